"""Hinge losses for two-alternative forced choice: z embeds the reference, e_0 and e_1 the candidates, u_i = e_i/‖e_i‖.

- sound (default): h = ⟨z, u_1 − u_0⟩/‖u_1 − u_0‖, z *not* normalised: by T1 with two rows (docs/theory.md, Pairs and
  triplets), h/L is how far the reference must move before the judgement turns. With y = +1 where people chose
  candidate 1, −1 where they chose 0, and the margin m in embedding units:
  mean of w·max(0, m − y·h), w = |2p − 1| for the share p of people who chose candidate 1.
- published: LipSim's (arXiv 2310.18274): d_i = 1 − ⟨z, e_i⟩/(‖z‖‖e_i‖), mean of max(0, m − y·(d_0 − d_1)), m a
  difference of cosines. Its certificate is valid only where ‖z‖ ≥ 1 on the whole ball, which nothing ensures.

Ties (p = ½) teach nothing and are left out of both.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_TINY = 1e-6


def half_space_distance(z: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """h, signed distance from z to where the judgement turns; positive where ``right`` is nearer.

    Args:
        z: (b, d), not normalised.
        left: (b, d) candidate 0.
        right: (b, d) candidate 1.

    Returns:
        (b,) in embedding units; 0 where both candidates are one.
    """
    difference = functional.normalize(right, dim=1) - functional.normalize(left, dim=1)
    return (z * difference).sum(1) / difference.norm(dim=1).clamp_min(_TINY)


def cosine_difference(z: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """d_0 − d_1 of the paper: (b,), in [−2, 2], positive where ``right`` is nearer."""
    return functional.cosine_similarity(z, right) - functional.cosine_similarity(z, left)


def hinge(value: Tensor, preference: Tensor, *, margin: float, weighted: bool) -> Tensor:
    """The mean hinge over judgements that are no tie.

    Args:
        value: (b,), should be above the margin where p > ½, below −margin where p < ½.
        preference: (b,) p.
        margin: m ≥ 0.
        weighted: by |2p − 1|; else every judgement counts alike.

    Returns:
        A scalar; 0 for ties alone.
    """
    sign = torch.sign(preference - 0.5)
    weight = (2 * preference - 1).abs() if weighted else sign.abs()
    each = weight * functional.relu(margin - sign * value)
    return each.sum() / weight.sum().clamp_min(_TINY)
