"""An embedding model as a torch module: any image size in, vectors out, with what is proved of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, final, overload

import numpy as np
import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.numerics import round_up
from ..core.rounded import upper_text
from ..core.types import Score, UpperBound
from ..embedding.contract import Embedder
from ..embedding.model_file import SUFFIX
from ..embedding.registry import load_embedder
from ..images.resize import Resize, resize_operator
from .images import Float64, ImageLike, is_many, read_image, read_images
from .words import speaks_of_parameters


@speaks_of_parameters
def load_model(spec: str | os.PathLike[str], *, pretrained: bool = True, device: str = "cpu") -> Model:
    """Load an embedding model.

    >>> import retr, torch
    >>> model = retr.load_model("retr_s")
    >>> model(torch.rand(2, 3, 90, 120)).shape
    torch.Size([2, 256])

    Args:
        spec: a name as in ``retr models list`` (``retr_s``, ``block-means``, ``timm:resnet18``, …), or a model file.
        pretrained: for ``timm:`` and ``open_clip:``: fetch weights, or draw random ones.
        device: where its weights go.

    Raises:
        UsageError: nothing is called so; the message says what there is.
        ModelError: it is missing, unreadable or does not embed; WeightsUnavailable where weights cannot be fetched.
        IntegrityError: a model file differs from its digest.
    """
    name = os.fspath(spec)
    if isinstance(spec, os.PathLike) and not name.endswith(SUFFIX):
        name = f"file:{name}"
    return Model(load_embedder(name, pretrained=pretrained, device=device), device=device)


@final
class Model(nn.Module):
    """f = g∘R: our linear resize R to the network's input, then the network g.

    Weights are frozen, and are no parameters of the module: what is proved is proved of these very numbers. ``to``,
    ``cuda`` and ``cpu`` move them; their type never changes, arithmetic follows the images'.

    Args:
        embedder: the network.
        device: where its weights are.
    """

    def __init__(self, embedder: Embedder, *, device: str = "cpu") -> None:
        super().__init__()
        self._embedder, self._device = embedder, torch.device(device)
        self.eval()

    @property
    def name(self) -> str:
        """For people."""
        return self._embedder.name

    @property
    def spec(self) -> str:
        """What :func:`load_model` rebuilds it from."""
        return self._embedder.spec

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self._embedder.input_size

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._embedder.dim

    @property
    def score(self) -> Score:
        """How embeddings are compared: ``cosine`` or ``euclidean``."""
        return self._embedder.score

    @property
    def digest(self) -> str:
        """Hex SHA-256 of all that defines the network."""
        return self._embedder.digest

    @property
    def device(self) -> torch.device:
        """Where its weights are, and its images must be."""
        return self._device

    @property
    def lipschitz(self) -> UpperBound | None:
        """Proved bound on the constant of g (ℓ2 → ℓ2), with its method; None where nothing is proved."""
        return self._embedder.lipschitz

    @property
    def uncertified_because(self) -> str | None:
        """Why ``lipschitz`` is None; None where it is not."""
        return self._embedder.uncertified_because

    def rho(self, h: int, w: int) -> UpperBound:
        """Proved norm of R for images of h × w pixels, which is mostly far below 1 for large ones.

        >>> import retr
        >>> retr.load_model("block-means").rho(640, 640).value < 0.12
        True
        """
        return resize_operator((h, w), self.input_size).norm

    def bound(self, h: int, w: int) -> UpperBound | None:
        """Proved constant of f for images of h × w pixels, L·ρ: ‖f(x) − f(y)‖₂ ≤ L·ρ·‖x − y‖₂."""
        return None if self.lipschitz is None else self.lipschitz.times(self.rho(h, w))

    def forward_error(self, h: int, w: int) -> UpperBound | None:
        """Proved bound on ‖computed f(x) − f(x)‖₂ for h × w pixels in [0, 1], in float64 on a CPU; None if unknown."""
        own = self._embedder.rounding(torch.float64)
        if own is None or self.lipschitz is None:
            return None
        resize = self._resize(h, w).rounding
        value = round_up(own.value + round_up(self.lipschitz.value * resize.value))
        return UpperBound(value, f"{own.method}; {resize.method}")

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch, differentiably.

        Args:
            x: (b, 3, h, w) in [0, 1], float32 or float64, on the model's device, of any size.

        Returns:
            (b, dim), not normalised, in the dtype of x. float64 gives float64 arithmetic throughout, which is what
            certificates are about; an uncertified model may compute in the precision of its weights.

        Raises:
            UsageError: another shape or type, or values outside [0, 1].
        """
        require_batch(x, "a model")
        return self._embedder.forward(self._resize(x.shape[-2], x.shape[-1]).apply(x))

    @overload
    def embed(self, images: ImageLike) -> Float64: ...
    @overload
    def embed(self, images: Sequence[ImageLike]) -> Float64: ...
    @torch.inference_mode()
    def embed(self, images: Any) -> Float64:
        """Embed an image, or a list of images of any sizes, in the arithmetic that a query goes through.

        >>> import numpy as np, retr
        >>> retr.load_model("block-means:4").embed(np.zeros((40, 60, 3), np.uint8)).shape
        (48,)

        Args:
            images: a path, bytes, PIL image or array (H, W, 3), or a list of them.

        Returns:
            (dim,), or (n, dim) for a list; float64, not normalised.

        Raises:
            ImageRejected: one is no acceptable image.
            UsageError: one is no image at all.
        """
        if not is_many(images):
            return self._embedding(read_image(images).pixels)
        return np.stack([self._embedding(one.pixels) for one in read_images(images)])

    def __repr__(self) -> str:
        h, w = self.input_size
        bound = f"uncertified: {self.uncertified_because}"
        if self.lipschitz is not None:
            bound = f"L ≤ {upper_text(self.lipschitz.value, digits=9)}"
        return f"Model({self.spec!r}: {h}×{w} → {self.dim}, {self.score}, {bound})"

    def _resize(self, h: int, w: int) -> Resize:
        return resize_operator((h, w), self.input_size)

    def _embedding(self, pixels: Float64) -> Float64:
        x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
        # Clamping changes no bound, and keeps the input where the network's rounding is known.
        resized = self._resize(x.shape[-2], x.shape[-1]).apply(x).clamp(0.0, 1.0)
        given = resized if self.lipschitz is not None else resized.float()
        return self._embedder.forward(given.to(self._device))[0].cpu().double().numpy()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Model:
        """What ``to``, ``cuda``, ``cpu`` and ``double`` call for every tensor: only the device counts."""
        device = fn(torch.empty(0, device=self._device)).device
        if device != self._device:
            self._embedder.to(device)
            self._device = device
        return super()._apply(fn, recurse)


def require_batch(x: object, what: str) -> None:
    """Refuse what is not (b, 3, h, w) in [0, 1].

    Raises:
        UsageError: naming what was given.
    """
    if not isinstance(x, Tensor):
        raise UsageError(f"{what} takes a torch batch (b, 3, h, w), got {type(x).__name__}")
    if x.ndim != 4 or x.shape[1] != 3 or 0 in x.shape:
        raise UsageError(f"{what} takes a batch of shape (b, 3, h, w), got {tuple(x.shape)}")
    if x.dtype not in (torch.float32, torch.float64):
        raise UsageError(f"{what} takes float32 or float64 pixels in [0, 1], got {x.dtype}")
    low, high = (float(end) for end in x.detach().aminmax())
    if not (low >= 0.0 and high <= 1.0):
        raise UsageError(f"{what} takes pixels in [0, 1], got {low:g} to {high:g}; nothing may be normalised before")
