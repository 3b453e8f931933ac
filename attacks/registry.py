"""The attacks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..core.errors import UsageError
from .apgd import apgd
from .pgd import pgd
from .projections import Norm
from .result import AttackResult


@dataclass(frozen=True)
class Attack:
    """An attack within a ball.

    Attributes:
        name: as on the command line and in records.
        norm: the ball's norm.
        run: called as ``run(target, x, eps=…, steps=…, restarts=…, seeds=…, stop_on_success=…)``.
    """

    name: str
    norm: Norm
    run: Callable[..., AttackResult]


ATTACKS: dict[str, Attack] = {
    "pgd-l2": Attack("pgd-l2", "l2", partial(pgd, norm="l2")),
    "pgd-linf": Attack("pgd-linf", "linf", partial(pgd, norm="linf")),
    "apgd-l2": Attack("apgd-l2", "l2", partial(apgd, norm="l2")),
    "apgd-linf": Attack("apgd-linf", "linf", partial(apgd, norm="linf")),
}


def find_attack(name: str) -> Attack:
    """The attack of that name.

    Raises:
        UsageError: if there is none; the message lists those there are.
    """
    if name not in ATTACKS:
        raise UsageError(f"no attack is called {name!r}; choose from {', '.join(ATTACKS)}")
    return ATTACKS[name]
