"""What every layer with a proved constant offers."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ...core.errors import ModelError
from ..forward_error import Claim


class ProvedLayer(nn.Module, ABC):
    """A layer that states its Lipschitz constant, its offset and its rounding, from the numbers it ships."""

    @abstractmethod
    def claim(self, shape: tuple[int, ...]) -> Claim:
        """What the layer guarantees for inputs of a shape (without the batch).

        Raises:
            ModelError: where the shape does not fit, or the weights prove nothing.
        """

    def quick(self, x: Tensor) -> Tensor:
        """``forward`` by the backend's own kernels, whose order of arithmetic nobody states: for rows that are stored.

        A layer says here how, where that is another way.
        """
        return self(x)


def require_float32(layer: nn.Module, kind: str) -> None:
    """Refuse shipped numbers that are not float32: a cast would make the float32 path another map."""
    odd = [name for name, value in layer.named_buffers() if value.dtype != torch.float32]
    if odd:
        raise ModelError(f"{kind} ships float32 numbers only; {odd[0]} is another type")


def require_image(shape: tuple[int, ...], channels: int | None, kind: str) -> tuple[int, int, int]:
    """The shape as (c, h, w), refused unless it is one with the right channel count."""
    if len(shape) != 3 or (channels is not None and shape[0] != channels):
        wanted = f"({'c' if channels is None else channels}, h, w)"
        raise ModelError(f"{kind} takes inputs of shape {wanted}, got {shape}")
    return shape[0], shape[1], shape[2]
