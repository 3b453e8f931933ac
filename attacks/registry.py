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
from .target import Sees


@dataclass(frozen=True)
class Attack:
    """An attack, and what it may use.

    Attributes:
        name: as on the command line and in records.
        norm: the ball that the harness holds it to.
        sees: what it is shown of the loss.
        minimal: it looks for the smallest winning change within eps, so one run at the largest budget says it all.
        run: called as ``run(target, x, eps=…, steps=…, restarts=…, seeds=…, stop_on_success=…)``; ``steps`` are
            gradient steps per start, or evaluations of the loss per start for an attack that sees no gradient.
        source: paper and section.
    """

    name: str
    norm: Norm
    sees: Sees
    minimal: bool
    run: Callable[..., AttackResult]
    source: str


_MADRY = "Madry et al. 2018, arXiv 1706.06083, section 2.1"
_CROCE = "Croce and Hein 2020, arXiv 2003.01690, Algorithm 1"

_ALL = (
    Attack("pgd-l2", "l2", "gradient", False, partial(pgd, norm="l2"), _MADRY),
    Attack("pgd-linf", "linf", "gradient", False, partial(pgd, norm="linf"), _MADRY),
    Attack("apgd-l2", "l2", "gradient", False, partial(apgd, norm="l2"), _CROCE),
    Attack("apgd-linf", "linf", "gradient", False, partial(apgd, norm="linf"), _CROCE),
)

ATTACKS: dict[str, Attack] = {attack.name: attack for attack in _ALL}


def find_attack(name: str) -> Attack:
    """The attack of that name.

    Raises:
        UsageError: if there is none; the message lists those there are.
    """
    if name not in ATTACKS:
        raise UsageError(f"no attack is called {name!r}; choose from {', '.join(ATTACKS)}")
    return ATTACKS[name]
