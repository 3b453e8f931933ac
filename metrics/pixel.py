"""Distance of pixels: the baseline that knows nothing of perception."""

from __future__ import annotations

import torch
from torch import Tensor

from .contract import Facts, Metric

FACTS = Facts(
    name="l2",
    title="ℓ2",
    source="root of the mean squared difference of all values: ‖ref − img‖₂ / √(3·h·w)",
    highest=1.0,
    licence="Apache-2.0 (retr)",
    weights="none",
)


def rms_difference(ref: Tensor, img: Tensor) -> Tensor:
    """(b, 3, h, w) twice → (b,): the ℓ2 norm of the difference over the square root of the number of values.

    It orders images as ‖ref − img‖₂ does and does not depend on their size. Its gradient at equal images is 0.
    """
    difference = (ref - img).flatten(1)
    return torch.linalg.vector_norm(difference, dim=1) / difference.shape[1] ** 0.5


def load_l2() -> Metric:
    """The metric ``l2``."""
    return Metric(FACTS, rms_difference)
