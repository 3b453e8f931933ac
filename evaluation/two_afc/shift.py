"""How far attacks moved an embedding, against how far its proved constant lets it (LipSim, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...attacks.media import Pixels
from ...core.numerics import round_up
from ...embedding.contract import Embedder
from ...images.resize import resize_operator
from ...retrieval.channel import QueryEmbedding
from ..shared.embedding_shift import Shift, shift_of
from .certificates import path_error
from .targets import planes

__all__ = ["Shift", "shifts_of"]


def shifts_of(
    embedder: Embedder, clean: Sequence[Pixels], changed: Sequence[Pixels], l2: Sequence[float]
) -> list[Shift]:
    """‖f(x + δ) − f(x)‖ of images of one size, in float64.

    The limit is L·‖δ‖ and what float64 may add to it: an embedding that moves by more has a wrong constant.

    Args:
        embedder: f, without the resize that is part of it here.
        clean: (H, W, 3) images in [0, 1].
        changed: the same ones, changed.
        l2: norms of the changes, rounded up.
    """
    before, after = (_embed(embedder, planes(images)) for images in (clean, changed))
    return [_with_error(a, b, shift_of([a], [b], size)) for a, b, size in zip(before, after, l2, strict=True)]


def _embed(embedder: Embedder, x: Tensor) -> list[QueryEmbedding]:
    operator = resize_operator((x.shape[-2], x.shape[-1]), embedder.input_size)
    rounding, bound = embedder.rounding(torch.float64), embedder.lipschitz
    error = None if rounding is None or bound is None else path_error(bound, rounding, operator)
    with torch.no_grad():
        z = embedder.forward(operator.apply(x).to(embedder.device)).double().cpu().numpy()
    return [QueryEmbedding(row, bound, operator.norm, error) for row in z]


def _with_error(before: QueryEmbedding, after: QueryEmbedding, shift: Shift) -> Shift:
    if shift.limit is None or before.forward_error is None or after.forward_error is None:
        return shift
    error = round_up(before.forward_error + after.forward_error)
    return replace(shift, limit=round_up(shift.limit + error))
