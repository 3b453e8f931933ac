"""Every call of a rounding, counted, and one of them exaggerated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from retr.certificates import channels, covers, pairs, ranking, rounding, shortlist, triplets, verdicts, within_channel
from retr.core import numerics, types

COARSER = 1e9
"""Where the arithmetic itself is tested it is this much coarser, so that each of its error terms can be seen."""
ROUNDED = [numerics, types, rounding, ranking, verdicts, channels, within_channel, shortlist, pairs, triplets, covers]
"""Modules that round outward, all imported before any is patched: they take names from one another."""


class Roundings:
    """``up``, ``down``, ``round_up``, ``round_down`` of every module; the chosen call goes ``factor`` times too far."""

    def __init__(self) -> None:
        self.calls = 0
        self.chosen = -1
        self.factor = 0.0

    def reset(self, chosen: int = -1, factor: float = 0.0) -> None:
        """Count from 0 again."""
        self.calls, self.chosen, self.factor = 0, chosen, factor

    def patched(self, plain: Callable, sign: float) -> Callable:
        def rounded(x):
            self.calls += 1
            further = self.factor if self.calls - 1 == self.chosen else 0.0
            return plain(x) + sign * further * np.abs(x) if further else plain(x)

        return rounded


@pytest.fixture
def roundings(monkeypatch: pytest.MonkeyPatch) -> Roundings:
    """In place of the four functions, wherever a module imported them; every γ is COARSER."""
    found = Roundings()
    signs = {"up": 1.0, "down": -1.0, "round_up": 1.0, "round_down": -1.0}
    patched = {name: found.patched(getattr(rounding, name), s) for name, s in signs.items()}
    coarse = rounding.gammas
    monkeypatch.setattr(triplets, "gamma", lambda n: COARSER * numerics.gamma(n))
    for module in ROUNDED:
        if hasattr(module, "gammas"):
            monkeypatch.setattr(module, "gammas", lambda dim, count: COARSER * coarse(dim, count))
        for name, function in patched.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, function)
    return found


class Coarse:
    """An arithmetic whose error terms are no smaller than other numbers: γ and the constants for underflow, as patched.

    In it a documented formula can be compared with the code to the last digits, each of its terms in plain sight.
    """

    under = 3e-6
    """In place of UNDERFLOW."""
    short = 2e-5
    """In place of UNDERFLOW_NORM."""

    @staticmethod
    def gammas(dim: int, roundings: int) -> float:
        """In place of γ for a tree over dim terms and some roundings more."""
        return 1e-5 * roundings + 1e-7 * dim

    @staticmethod
    def gamma(n: int, unit: float = 0.0) -> float:
        """In place of γ_n."""
        return 1e-6 * n

    def bounds(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """‖a‖·(1 ∓ γ) and the constant for underflow."""
        length, g = np.linalg.norm(a, axis=-1), self.gammas(a.shape[-1], 5)
        return np.maximum(length * (1 - g) - self.short, 0.0), length * (1 + g) + self.short


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> Coarse:
    """The certificates in a coarse arithmetic."""
    found = Coarse()
    named = {"gammas": found.gammas, "UNDERFLOW": found.under, "UNDERFLOW_NORM": found.short}
    for module in ROUNDED:
        for constant, value in named.items():
            if hasattr(module, constant):
                monkeypatch.setattr(module, constant, value)
    monkeypatch.setattr(triplets, "gamma", found.gamma)
    return found
