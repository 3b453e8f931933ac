"""Signs that an attack failed because it was weak, not because the system is strong.

After the checks of AutoAttack (github.com/fra31/auto-attack, ``checks.py``, and Carlini et al. 2019, arXiv 1902.06705).
What can be seen on one image is here; what needs several runs (success at a small and not at a larger budget, no gain
from restarts) is found in the records.
"""

from __future__ import annotations

from typing import Literal

from .result import AttackResult
from .target import Sees

Weakness = Literal["zero-gradient", "flat-loss"]

_MOST_ZEROS = 0.1


def weaknesses(result: AttackResult, i: int, *, sees: Sees) -> tuple[Weakness, ...]:
    """What is suspicious about a failed attack on sample i; nothing about one that won.

    - ``zero-gradient``: more than a tenth of its gradients were exactly zero, as for losses that saturate or round.
    - ``flat-loss``: its loss never rose above that of its first point. A decision-based attack sees no loss to raise.
    """
    if bool(result.success[i]):
        return ()
    flat = sees != "decision" and not float(result.loss[i]) > float(result.first_loss[i])
    blind = float(result.zero_gradients[i]) > _MOST_ZEROS
    signs: tuple[tuple[Weakness, bool], ...] = (("zero-gradient", blind), ("flat-loss", flat))
    return tuple(name for name, seen in signs if seen)
