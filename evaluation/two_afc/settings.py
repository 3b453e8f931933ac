"""The attacks of both papers on a metric, in their settings.

Ghildyal and Liu (TMLR 2023, arXiv 2305.08840) state sizes for pixels from −1 to 1, and so do the labels of their
settings; all other numbers here, and those in records, are for pixels from 0 to 1, where a change is half as large.
LipSim (arXiv 2310.18274) has pixels from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ...attacks.harness import Effort
from ...attacks.mi_fgsm import mi_fgsm
from ...attacks.registry import Attack, find_attack
from ...attacks.result import AttackResult
from ...attacks.stadv import stadv
from ...attacks.stadv_pgd import stadv_pgd
from ...attacks.target import Target
from ...core.errors import UsageError

Goal = Literal["flip", "reverse", "embedding"]
"""``flip``: the metric prefers the other candidate. ``reverse``: the same, by bringing the farther candidate near.
``embedding``: the embedding moves as far as it will."""
Moves = Literal["reference", "preferred", "other", "all"]
"""What the attack changes; ``preferred`` is the candidate that the metric finds nearer, ``other`` the farther one."""
Form = Literal["flip", "rank", "reverse", "margin", "shift"]
MOVES: tuple[Moves, ...] = get_args(Moves)

_HALF = 0.5  # of the scale from −1 to 1
_TMLR_EPS = 0.03
_TMLR_STEP = 0.001
_TMLR_STEPS = 30
_FGSM_EPS = 0.05
_OWN_SHARE = 0.999


@dataclass(frozen=True)
class Levels:
    """The numbers that a setting may depend on.

    Attributes:
        l2: radii of ℓ2 balls, pixels from 0 to 1.
        linf: radii of ℓ∞ balls.
        steps: gradient steps of the attacks whose paper setting names none.
        restarts: their random starts.
        queries: evaluations of the loss, for attacks that see no gradient.
        radii: how many radii FGSM tries; the paper 500.
        bends: gradient steps of stAdv.
    """

    l2: tuple[float, ...] = (36 / 255, 72 / 255, 108 / 255, 0.5, 1.0, 2.0, 3.0)
    linf: tuple[float, ...] = (0.01, 0.02, 0.03)
    steps: int = 100
    restarts: int = 1
    queries: int = 1000
    radii: int = 500
    bends: int = 200


@dataclass(frozen=True)
class Setting:
    """An attack as it is run.

    Attributes:
        key: the word for it on the command line.
        attack: from the registry, its run perhaps bound to a paper's numbers.
        label: in a few words, unique for each setting; on the paper's scale.
        eps: of the ball, for pixels from 0 to 1; a number of pixels for ℓ0; 0 for no ball.
        effort: how hard it tries.
        form: its loss.
        goal: what it is after.
        moves: what it changes unless told otherwise.
        transfer: it is made on one metric for others.
        at_radius: the ball of each triplet is this share of its own certified radius, and ``eps`` is not used.
    """

    key: str
    attack: Attack
    label: str
    eps: float
    effort: Effort
    form: Form
    goal: Goal = "flip"
    moves: Moves = "preferred"
    transfer: bool = False
    at_radius: float | None = None

    @property
    def endless(self) -> bool:
        """Whether it goes on to its end once it has won: for other metrics, or as far as an embedding will go."""
        return self.transfer or self.goal == "embedding"

    def moved(self, asked: Sequence[Moves]) -> tuple[Moves, ...]:
        """What it changes when asked for these; what it is meant to change where nothing is asked for.

        An attack that brings the farther candidate near moves that one, and one on embeddings has one image. stAdv
        bends one image: three in one would flow into one another.
        """
        if self.goal != "flip" or not asked:
            return (self.moves,)
        return tuple(one for one in asked if one != "all" or not self.attack.name.startswith("stadv"))


def settings_of(keys: Sequence[str], levels: Levels) -> tuple[Setting, ...]:
    """The settings that words stand for, in their order; ``all`` is every one.

    Raises:
        UsageError: for an unknown word, or a number out of range.
    """
    names = tuple(FAMILIES) if "all" in keys else tuple(dict.fromkeys(keys))
    unknown = [name for name in names if name not in FAMILIES]
    if unknown:
        raise UsageError(f"no attack setting is called {', '.join(unknown)}; choose from all, {', '.join(FAMILIES)}")
    return tuple(setting for name in names for setting in FAMILIES[name](name, levels))


# -- Ghildyal and Liu ---------------------------------------------------------------------------------------------


def _fgsm(key: str, levels: Levels) -> tuple[Setting, ...]:
    first = _FGSM_EPS / levels.radii
    label = f"FGSM eps {first:g}..{_FGSM_EPS:g}"
    return (Setting(key, find_attack("fgsm"), label, _FGSM_EPS * _HALF, Effort(steps=levels.radii), "flip"),)


def _pgd(
    key: str,
    levels: Levels,
    *,
    eps: float = _TMLR_EPS,
    alpha: float = _TMLR_STEP,
    steps: int = _TMLR_STEPS,
    **told: Any,
) -> tuple[Setting, ...]:
    del levels
    attack = replace(find_attack("pgd-linf"), run=partial(_from_clean, alpha=alpha * _HALF))
    label = f"PGD eps {eps:g} alpha {alpha:g} x{steps}{', to its end' if told.get('transfer') else ''}"
    return (Setting(key, attack, label, eps * _HALF, Effort(steps=steps), **{"form": "flip", **told}),)


def _from_clean(target: Target, x: Tensor, *, eps: Tensor, alpha: float, **told: Any) -> AttackResult:
    """The paper's PGD begins at the clean image: steps along the sign, clipped to the ball, and no momentum."""
    return mi_fgsm(target, x, norm="linf", eps=eps, alpha=torch.full_like(eps, alpha), mu=0.0, **told)


def _reverse(key: str, levels: Levels, **numbers: Any) -> tuple[Setting, ...]:
    (made,) = _pgd(key, levels, form="reverse", goal="reverse", moves="other", **numbers)
    return (replace(made, label=f"reverse {made.label}"),)


def _one_pixel(key: str, levels: Levels) -> tuple[Setting, ...]:
    label = f"one pixel x{levels.queries}"
    return (Setting(key, find_attack("one-pixel"), label, 1.0, Effort(queries=levels.queries), "flip"),)


def _stadv(key: str, levels: Levels, *, alpha: float, released: bool = False, transfer: bool = False) -> tuple[Setting]:
    attack = replace(find_attack("stadv"), run=partial(stadv, alpha=alpha, beta=0.05, released=released))
    label = f"stAdv alpha {alpha:g} beta 0.05 x{levels.bends}"
    label += ", released L_flow" * released + ", to its end" * transfer
    return (Setting(key, attack, label, 0.0, Effort(steps=levels.bends), "rank", transfer=transfer),)


def _stadv_pgd(key: str, levels: Levels, *, steps: int) -> tuple[Setting, ...]:
    attack = replace(find_attack("stadv-pgd"), run=partial(_bent_first, steps_after=steps))
    effort = Effort(steps=levels.bends + steps)
    label = f"stAdv x{levels.bends} + PGD({steps}) eps {_TMLR_EPS:g}, to its end"
    return (Setting(key, attack, label, _TMLR_EPS * _HALF, effort, "rank", transfer=True),)


def _bent_first(target: Target, x: Tensor, *, eps: Tensor, steps_after: int, **told: Any) -> AttackResult:
    return stadv_pgd(target, x, eps=eps, k=steps_after, alpha=torch.full_like(eps, _TMLR_STEP * _HALF), **told)


# -- LipSim -------------------------------------------------------------------------------------------------------

_LIPSIM_NAMES = {
    "apgd": "APGD",
    "mi-fgsm": "MI-FGSM",
    "pgd": "PGD",
    "square": "Square",
    "cw": "CW",
    "fmn": "FMN",
    "hopskipjump": "HopSkipJump",
}


def _in_balls(key: str, levels: Levels) -> tuple[Setting, ...]:
    """An attack of the registry at each radius, or at the largest one where it looks for the smallest change."""
    attack = find_attack(key)
    radii = levels.l2 if attack.norm == "l2" else levels.linf
    effort = _effort(levels)
    title, ball = _LIPSIM_NAMES[key.rpartition("-")[0]], key.rpartition("-")[2]
    count = f"x{effort.steps_of(attack)}" + (f" starts {levels.restarts}" if levels.restarts > 1 else "")
    radii = (max(radii),) if attack.minimal else radii
    bound = "eps at most" if attack.minimal else "eps"
    return tuple(
        Setting(key, attack, f"{title} {ball} {bound} {eps:.4g} {count}", eps, effort, "margin", moves="reference")
        for eps in radii
    )


def _embedding(key: str, levels: Levels) -> tuple[Setting, ...]:
    attack, effort = find_attack("apgd-l2"), _effort(levels)
    return tuple(
        Setting(
            key,
            attack,
            f"embedding, APGD l2 eps {eps:.4g} x{levels.steps}",
            eps,
            effort,
            "shift",
            goal="embedding",
            moves="reference",
        )
        for eps in levels.l2
    )


def _at_radius(key: str, levels: Levels) -> tuple[Setting, ...]:
    """As large as a change may be that the certificate still covers: an attack that wins here has refuted it."""
    label = f"APGD l2 at {_OWN_SHARE:g} of the certified radius x{levels.steps}"
    attack = replace(find_attack("apgd-l2"), name=key)  # a series of its own: its balls are of no one size
    setting = Setting(key, attack, label, 0.0, _effort(levels), "margin", moves="reference")
    return (replace(setting, at_radius=_OWN_SHARE),)


def _effort(levels: Levels) -> Effort:
    return Effort(steps=levels.steps, restarts=levels.restarts, queries=levels.queries)


# -- by name ------------------------------------------------------------------------------------------------------

Family = Callable[[str, Levels], tuple[Setting, ...]]

FAMILIES: dict[str, Family] = {
    "fgsm": _fgsm,
    "pgd": _pgd,
    "pgd-a00375": partial(_pgd, alpha=0.00375),
    "pgd-a006": partial(_pgd, alpha=0.006),
    "one-pixel": _one_pixel,
    "stadv-50": partial(_stadv, alpha=50.0),
    "stadv-200": partial(_stadv, alpha=200.0),
    "stadv-1000": partial(_stadv, alpha=1000.0),
    "stadv-released": partial(_stadv, alpha=50.0, released=True),
    "reverse-pgd": _reverse,
    "reverse-pgd-released": partial(_reverse, eps=0.1, steps=50),
    "transfer-pgd-10": partial(_pgd, steps=10, transfer=True),
    "transfer-pgd-20": partial(_pgd, steps=20, transfer=True),
    "transfer-stadv": partial(_stadv, alpha=50.0, transfer=True),
    **{f"transfer-stadv-pgd-{k}": partial(_stadv_pgd, steps=k) for k in (5, 10, 15, 20)},
    **dict.fromkeys(("apgd-l2", "apgd-linf", "mi-fgsm-l2", "mi-fgsm-linf", "pgd-l2", "pgd-linf"), _in_balls),
    **dict.fromkeys(("square-l2", "square-linf", "cw-l2", "fmn-l2", "hopskipjump-l2"), _in_balls),
    "apgd-radius": _at_radius,
    "embedding": _embedding,
}
"""Every attack setting by its word; a word may stand for one setting at each radius."""

TRANSFERS = tuple(name for name in FAMILIES if name.startswith("transfer-"))
