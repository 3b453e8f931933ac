"""The contract every perceptual metric keeps: two images in, a distance out, lower = closer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, final

from torch import Tensor, nn

from ..core.errors import UsageError

Measure = Callable[[Tensor, Tensor], Tensor]
"""(ref, img), both (b, 3, h, w) in [0, 1] → (b,) distances."""

ROUNDING = 1e-5
"""How far a pixel may lie outside [0, 1]: float32 arithmetic that ends at 0 or 1 may end beside them."""

Features = Callable[[Tensor], Tensor]
"""(b, 3, h, w) in [0, 1] → (b, d): the distance of two images is ‖features(ref) − features(img)‖²."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a metric before anything is loaded; left out: a distance ≥ 0 without a bound, with gradients.

    Attributes:
        name: what people write, for example ``lpips-alex``.
        title: what tables print, for example ``LPIPS (Alex)``.
        source: the paper that defines it, with what is chosen here where the paper leaves a choice.
        differentiable: whether gradients flow to both images; if not, only black-box attacks apply.
        lowest: least distance it can return, −∞ where none is known.
        highest: largest distance it can return, +∞ where none is known.
        zero_at_identity: whether the distance of an image to itself is 0.
        smallest_side: least height and width it takes, in pixels.
        input_size: (height, width) that images are resized to inside, None where they are taken as they are.
        licence: of the code and weights that it uses.
        weights: where its weights come from, in words.
    """

    name: str
    title: str
    source: str
    differentiable: bool = True
    lowest: float = 0.0
    highest: float = math.inf
    zero_at_identity: bool = True
    smallest_side: int = 1
    input_size: tuple[int, int] | None = None
    licence: str
    weights: str

    def __post_init__(self) -> None:
        if math.isnan(self.lowest) or math.isnan(self.highest) or not self.lowest < self.highest:
            raise ValueError(f"{self.name}: a range needs lowest < highest, got {self.lowest} … {self.highest}")
        if self.smallest_side < 1:
            raise ValueError(f"{self.name}: the smallest side must be at least 1, got {self.smallest_side}")


class Movable(Protocol):
    """What holds weights: a module, or an embedder."""

    def to(self, device: str, /) -> object:
        """Move them."""
        ...


@final
class Metric:
    """A loaded metric.

    Attributes:
        facts: what it is.
        spec: what ``load_metric`` rebuilds it from.
        features: the distance in two steps, for attacks, which then encode once what does not move; None where it
            has no such form.

    Args:
        facts: what it is.
        measure: the distance itself; called with checked images only.
        features: as the attribute; up to rounding the same distance.
        spec: as the attribute; the name by default.
        module: what holds its weights, if anything does; a torch module is set to evaluation and frozen.
    """

    def __init__(
        self,
        facts: Facts,
        measure: Measure,
        *,
        features: Features | None = None,
        spec: str | None = None,
        module: Movable | None = None,
    ) -> None:
        self.facts = facts
        self.spec = spec or facts.name
        self.features = features
        self._measure = measure
        self._module = module.eval().requires_grad_(False) if isinstance(module, nn.Module) else module

    @property
    def module(self) -> Movable | None:
        """What holds its weights, if anything does."""
        return self._module

    @property
    def name(self) -> str:
        """As in the facts."""
        return self.facts.name

    def distance(self, ref: Tensor, img: Tensor) -> Tensor:
        """Distances of image pairs, lower = closer.

        Args:
            ref: (b, 3, h, w) in [0, 1], float32 or float64: the reference. Not every metric is symmetric.
            img: the same shape and dtype: what is compared with it.

        Returns:
            (b,) in the dtype of ref; row i depends on pair i alone. Metrics with float32 weights compute in float32.

        Raises:
            UsageError: for shapes or dtypes that do not fit, sides under ``facts.smallest_side``, or pixels outside
                [0, 1] by more than :data:`ROUNDING`: images scaled to [−1, 1] or 0 to 255 would get a number too.
        """
        require_pair(ref, img, self.facts)
        return self._measure(ref, img).reshape(len(ref)).to(ref.dtype)

    def to(self, device: str) -> Self:
        """Move the weights; returns self."""
        if self._module is not None:
            self._module.to(device)
        return self


def require_pair(ref: Tensor, img: Tensor, facts: Facts) -> None:
    """Check two batches of images against a metric's needs, the range of their pixels included.

    Raises:
        UsageError: naming the metric and what was given.
    """
    given = f"got {ref.dtype} of shape {tuple(ref.shape)} and {img.dtype} of shape {tuple(img.shape)}"
    if ref.ndim != 4 or ref.shape[1] != 3 or ref.shape != img.shape or ref.dtype != img.dtype:
        raise UsageError(f"{facts.name} compares two batches (b, 3, h, w) of one shape and dtype, {given}")
    if not ref.is_floating_point():
        raise UsageError(f"{facts.name} takes floating-point pixels in [0, 1], {given}")
    if min(ref.shape[2:]) < facts.smallest_side:
        raise UsageError(f"{facts.name} needs sides of at least {facts.smallest_side} pixels, {given}")
    for which, images in (("first", ref), ("second", img)):
        _require_range(images, f"{facts.name} takes pixels in [0, 1], and the {which} batch has them")


def _require_range(images: Tensor, sentence: str) -> None:
    if not images.numel():
        return
    low, high = (float(end) for end in images.detach().aminmax())
    if not (low >= -ROUNDING and high <= 1.0 + ROUNDING):  # so that NaN, which compares as nothing, is refused too
        raise UsageError(f"{sentence} from {low:.6g} to {high:.6g}")


def in_float32(measure: Measure) -> Measure:
    """The measure of a network with float32 weights, for images of any floating dtype."""
    return lambda ref, img: measure(ref.float(), img.float())
