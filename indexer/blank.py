"""Images without a direction: what an embedder sees nothing in, by the same limit at indexing and at query time.

A cosine compares directions, and an image that is flat to an embedder has none. Such an image is stored all the same:
its row is no part of the gallery that is searched, so no theorem speaks of it, and a query with its very pixels finds
it by their SHA-256 (``retrieval.engine``). Every certified radius ends before an image that has no direction, so none
of them is touched by that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ..core.numerics import norm, round_up
from ..core.types import UpperBound
from ..embedding.contract import Embedder
from ..images.resize import resize_operator

FLAT_QUERY = 1e-9
"""An embedding at most this long gives cosine no direction, whatever is proved of the embedder's rounding."""
BEYOND_FLAT = 1.0 + 1e-9
"""A vector longer than a limit by this factor is computed as longer than it."""


def forward_error(embedder: Embedder, resize_error: UpperBound) -> float | None:
    """Bound on ‖computed f − f‖ in float64 anywhere in [0, 1]; None for an embedder without a proof."""
    own = embedder.rounding(torch.float64)
    if embedder.lipschitz is None or own is None:
        return None
    return round_up(own.value + round_up(embedder.lipschitz.value * resize_error.value))


def flat_limit(error: float | None) -> float:
    """An embedding that is computed to be at most this long may be rounding, and no direction: cosine refuses it.

    Where f(q) = 0 the computed one is no longer than the forward error: 5e-12 for block means, 1.1e-8 for retr_s. It is
    the same for all images of one size, so that a radius can end before it (``retrieval.probe.bounds_of``).
    """
    return FLAT_QUERY if error is None else max(FLAT_QUERY, error * BEYOND_FLAT)


def direction(embedder: Embedder, levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64] | None:
    """The float64 embedding of an image that float32 cannot tell from a flat one; None where it is flat.

    Args:
        embedder: certified, or not; compared by cosine.
        levels: (H, W, 3) uint8, as decoded.

    Returns:
        (dim,), longer than :func:`flat_limit` says a flat one may be.
    """
    operator = resize_operator((levels.shape[0], levels.shape[1]), embedder.input_size)
    certified = embedder.lipschitz is not None
    with torch.inference_mode():
        batch = operator.apply_levels(levels, torch.float64).clamp(0.0, 1.0)[None]
        z = embedder.forward(batch if certified else batch.float().to(embedder.device))[0].cpu().double().numpy()
    return z if norm(z) > flat_limit(forward_error(embedder, operator.rounding)) else None
