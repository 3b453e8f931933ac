"""The loss of copy detection, written on the certificates themselves, in pixel units.

For a query view q of item i with embedding z and unit rows u_j, T1 certifies the first place of i up to

    h_ij = ⟨z, u_i − u_j⟩ / ‖u_i − u_j‖ · unit                      (cosine)
    h_ij = (‖z − e_j‖² − ‖z − e_i‖²) / (2·‖e_i − e_j‖) · unit       (Euclidean)

where ``unit`` turns ℓ2 in the network's input into RMSE in grey levels. The ranking term asks for a radius of ε against
every row: softplus(logsumexp_j((ε − h_ij)/t)). The threshold term asks that one half-angle θ serves all queries: with
m_j = sin θ·⟨z, u_j⟩ − cos θ·‖z − ⟨z, u_j⟩·u_j‖, the signed T5 distance to the cone of row j, it asks for m_i ≥ ε and
m_j ≤ −ε. For the Euclidean score the T4 distance τ − ‖z − e_j‖ takes the place of m_j. Both are differences of the
embedding alone: what training gains is a radius, not a score.

Sources: THEORY T1, T4, T5; Lipschitz-margin training, arXiv 1802.04034, asks for such margins in classification.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.types import Score

_LEAST_GAP = 1e-3
"""Rows nearer than √this to one another count as this far apart: copies within a batch must not divide by zero."""
_LEAST_SQUARE = 1e-6
"""Under a root, so that its slope stays finite."""


@dataclass(frozen=True, slots=True)
class CopiesLoss:
    """The parts of the loss of one batch, scalars.

    Attributes:
        loss: what is minimised, in grey levels.
        ranking: mean of the ranking term.
        verdicts: mean of the threshold term.
        recall: share of queries whose own row is first, against the rows of the batch and the queue.
        certified: share of queries whose radius exceeds ε.
    """

    loss: Tensor
    ranking: Tensor
    verdicts: Tensor
    recall: Tensor
    certified: Tensor


@dataclass(frozen=True, slots=True)
class Margins:
    """What the loss asks for.

    Attributes:
        epsilon: radius asked for, RMSE in grey levels.
        temperature: t, in grey levels; small t looks at the hardest row alone.
        unit: grey levels of RMSE per unit of ℓ2 in the network's input.
        threshold: half-angle θ in radians (cosine) or distance τ in grey levels (Euclidean).
        weight: of the threshold term against the ranking term.
        score: how rows are compared.
    """

    epsilon: float
    temperature: float
    unit: float
    threshold: float
    weight: float
    score: Score


def copies_loss(queries: Tensor, items: Tensor, queue: Tensor, margins: Margins) -> CopiesLoss:
    """The loss of one batch.

    Args:
        queries: (b, d) embeddings of edited views, not normalised.
        items: (b, d) embeddings of the items, not normalised; row i is the item of query i.
        queue: (k, d) embeddings of other items as earlier steps saw them, not normalised; k may be 0.
        margins: what is asked for.
    """
    rows = torch.cat((items, queue.to(items.dtype)))
    own = torch.arange(len(queries), device=rows.device)
    is_own = torch.zeros(len(queries), len(rows), dtype=torch.bool, device=rows.device)
    is_own[own, own] = True
    radii = half_space_distances(queries, rows, own, margins.score) * margins.unit
    inside = _SIGNED[margins.score](queries, rows, margins)
    ranking = _beyond((margins.epsilon - radii) / margins.temperature, is_own)
    accepted = torch.nn.functional.softplus((margins.epsilon - inside[is_own]) / margins.temperature)
    refused = _beyond((margins.epsilon + inside) / margins.temperature, is_own)
    radius = radii.detach().masked_fill(is_own, torch.inf).amin(1)
    return _combine(ranking, accepted + refused, radius, margins)


def half_space_distances(queries: Tensor, rows: Tensor, own: Tensor, score: Score) -> Tensor:
    """T1: distance of each query to where row j takes the place of its own row, negative beyond.

    Args:
        queries: (b, d), not normalised.
        rows: (n, d), not normalised.
        own: (b,) index of each query's row.
        score: ``cosine`` or ``euclidean``.

    Returns:
        (b, n) in embedding units; 0 in the own column.
    """
    if score == "cosine":
        units = torch.nn.functional.normalize(rows, dim=1)
        along = queries @ units.T
        gap = (2 - 2 * (units[own] @ units.T)).clamp_min(_LEAST_GAP).sqrt()
        return (along.gather(1, own[:, None]) - along) / gap
    square = _squares(queries, rows)
    gap = _squares(rows[own], rows).clamp_min(_LEAST_GAP).sqrt()
    return (square - square.gather(1, own[:, None])) / (2 * gap)


@torch.no_grad()
def nearest_others(rows: Tensor, count: int, margins: Margins) -> Tensor:
    """How near the nearest other row is to each of the first ``count`` rows, in the units of the threshold.

    Args:
        rows: (n, d), not normalised, n ≥ 2.
        count: how many to look at.
        margins: its score and unit are used.

    Returns:
        (count,) angles in radians (cosine) or distances in grey levels (Euclidean).
    """
    itself = torch.eye(count, len(rows), dtype=torch.bool, device=rows.device)
    if margins.score == "cosine":
        units = torch.nn.functional.normalize(rows, dim=1)
        return torch.arccos((units[:count] @ units.T).masked_fill(itself, -1.0).amax(1).clamp(-1.0, 1.0))
    square = _squares(rows[:count], rows).masked_fill(itself, torch.inf).amin(1)
    return square.clamp_min(0.0).sqrt() * margins.unit


def _combine(ranking: Tensor, verdicts: Tensor, radius: Tensor, margins: Margins) -> CopiesLoss:
    first, second = ranking.mean(), verdicts.mean()
    return CopiesLoss(
        loss=margins.temperature * (first + margins.weight * second),
        ranking=first.detach(),
        verdicts=second.detach(),
        recall=(radius > 0).float().mean(),
        certified=(radius > margins.epsilon).float().mean(),
    )


def _beyond(logits: Tensor, own: Tensor) -> Tensor:
    """softplus(logsumexp over the other rows): (b, n) → (b,)."""
    return torch.nn.functional.softplus(torch.logsumexp(logits.masked_fill(own, -torch.inf), 1))


def _in_cone(queries: Tensor, rows: Tensor, margins: Margins) -> Tensor:
    """T5: signed distance to each row's cone of half-angle θ, (b, n) in grey levels, positive inside."""
    along = queries @ torch.nn.functional.normalize(rows, dim=1).T
    across = (queries.square().sum(1, keepdim=True) - along.square()).clamp_min(_LEAST_SQUARE).sqrt()
    return (math.sin(margins.threshold) * along - math.cos(margins.threshold) * across) * margins.unit


def _in_ball(queries: Tensor, rows: Tensor, margins: Margins) -> Tensor:
    """T4: signed distance to each row's ball of radius τ, (b, n) in grey levels, positive inside."""
    return margins.threshold - _squares(queries, rows).clamp_min(_LEAST_SQUARE).sqrt() * margins.unit


def _squares(left: Tensor, right: Tensor) -> Tensor:
    """Squared distances (b, n)."""
    return left.square().sum(1, keepdim=True) + right.square().sum(1) - 2 * left @ right.T


_SIGNED = {"cosine": _in_cone, "euclidean": _in_ball}
