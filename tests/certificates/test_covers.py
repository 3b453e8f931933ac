"""Other threat models: covered only where the largest ℓ2 norm they reach stays strictly inside."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retr.certificates.covers import covers
from retr.core.errors import UsageError


@given(st.floats(0, 50), st.sampled_from(["l2", "linf", "l1", "pixels"]), st.integers(0, 40), st.integers(1, 40))
def test_the_worst_perturbation_is_inside(radius, norm, amount, pixels):
    n = 3 * pixels
    epsilon = amount if norm == "pixels" else amount / 8
    worst = np.zeros(n)
    if norm == "linf":
        worst[:] = epsilon
    elif norm == "pixels":
        worst[: 3 * amount] = 1.0
    else:
        worst[0] = epsilon
    exact = math.sqrt(math.fsum(worst**2))
    assert covers(radius, norm, epsilon, n) <= (exact < radius)
    assert covers(exact * (1 + 1e-9) + 1e-12, norm, epsilon, n)


def test_boundaries_are_not_covered():
    assert not covers(1.0, "l2", 1.0, 12)
    assert not covers(2.0, "linf", 0.5, 16)
    assert covers(2.0 + 1e-12, "linf", 0.5, 16)
    assert not covers(3.0, "pixels", 3, 300)
    assert not covers(0.0, "l1", 0.0, 3)
    assert covers(0.5, "l1", 0.25, 1)


def test_bad_numbers_are_refused():
    for radius, amount, n in [(math.nan, 1.0, 3), (-1.0, 1.0, 3), (1.0, -1.0, 3), (1.0, math.inf, 3), (1.0, 1.0, 0)]:
        with pytest.raises(UsageError, match="finite"):
            covers(radius, "l2", amount, n)
    with pytest.raises(UsageError, match="unknown norm"):
        covers(1.0, "l3", 1.0, 3)  # type: ignore[arg-type]
