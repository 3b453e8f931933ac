"""The attacks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..core.errors import UsageError
from .apgd import apgd
from .carlini_wagner import carlini_wagner
from .fgsm import fgsm
from .fmn import fmn
from .hopskipjump import hopskipjump
from .mi_fgsm import mi_fgsm
from .one_pixel import one_pixel
from .pgd import pgd
from .projections import Norm
from .result import AttackResult
from .square import square
from .stadv import stadv
from .stadv_pgd import stadv_pgd
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


_GHILDYAL = "Ghildyal and Liu 2023, arXiv 2305.08840"
_MADRY = "Madry et al. 2018, arXiv 1706.06083, section 2.1"
_DONG = "Dong et al. 2018, arXiv 1710.06081, Algorithm 1"
_CROCE = "Croce and Hein 2020, arXiv 2003.01690, Algorithm 1"
_ANDRIUSHCHENKO = "Andriushchenko et al. 2020, arXiv 1912.00049, Algorithms 1 to 3"

_ALL = (
    Attack("fgsm", "linf", "gradient", True, fgsm, f"{_GHILDYAL}, Algorithm 3"),
    Attack("mi-fgsm-l2", "l2", "gradient", False, partial(mi_fgsm, norm="l2"), _DONG),
    Attack("mi-fgsm-linf", "linf", "gradient", False, partial(mi_fgsm, norm="linf"), _DONG),
    Attack("pgd-l2", "l2", "gradient", False, partial(pgd, norm="l2"), _MADRY),
    Attack("pgd-linf", "linf", "gradient", False, partial(pgd, norm="linf"), _MADRY),
    Attack("apgd-l2", "l2", "gradient", False, partial(apgd, norm="l2"), _CROCE),
    Attack("apgd-linf", "linf", "gradient", False, partial(apgd, norm="linf"), _CROCE),
    Attack("fmn-l2", "l2", "gradient", True, fmn, "Pintor et al. 2021, arXiv 2102.12827, Algorithm 1"),
    Attack("cw-l2", "l2", "gradient", True, carlini_wagner, "Carlini and Wagner 2017, arXiv 1608.04644, section VI-A"),
    Attack("stadv", "none", "gradient", False, stadv, f"{_GHILDYAL}, equations 3 to 6; Xiao et al. 2018"),
    Attack("stadv-pgd", "linf", "gradient", False, stadv_pgd, f"{_GHILDYAL}, section 4.2"),
    Attack("square-l2", "l2", "score", False, partial(square, norm="l2"), _ANDRIUSHCHENKO),
    Attack("square-linf", "linf", "score", False, partial(square, norm="linf"), _ANDRIUSHCHENKO),
    Attack("one-pixel", "l0", "score", False, one_pixel, "Su et al. 2019, arXiv 1710.08864, section 3.2"),
    Attack("hopskipjump-l2", "l2", "decision", True, hopskipjump, "Chen et al. 2020, arXiv 1904.02144, Algorithm 2"),
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
