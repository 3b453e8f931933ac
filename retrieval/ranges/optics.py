"""How an edited image comes before the network: a view of it, resized, once for all channels of one input size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ...core.types import UpperBound
from ...images.resize import Resize, Size, resize_axis, resize_operator
from ..channel import ORIGINAL, Channel, Float64, QueryEmbedding, QueryView
from ..probe import Name, Probe, probe_of

_FAR = 10**12
"""Values of an image so large that its diagonal limits nothing here: the members' own sizes do (``Moves``)."""


@dataclass(frozen=True)
class Optic:
    """A view of the image and a resize to one input size."""

    view: QueryView
    target: Size

    def operator(self, size: Size) -> Resize:
        """The resize that follows the view of an image of this size."""
        return resize_operator(self._after(size), self.target)

    def operators(self, sizes: Sequence[Size]) -> list[Resize]:
        """The same for many sizes, with each side's factor made once."""
        seen = [self._after(size) for size in sizes]
        axes = [
            {side: resize_axis(side, target) for side in {size[axis] for size in seen}}
            for axis, target in enumerate(self.target)
        ]
        return [Resize(size, self.target, axes[0][size[0]], axes[1][size[1]]) for size in seen]

    def _after(self, size: Size) -> Size:
        """Of the view of an image of this size."""
        if self.view is ORIGINAL:
            return size
        seen = self.view.pick(torch.empty((1, 3, *size), device="meta"))
        return seen.shape[-2], seen.shape[-1]

    def see(self, levels: Float64) -> Float64:
        """(b, H, W, 3) in 8-bit levels → (b, 3·h·w), as the certified path computes it but for the last clamp."""
        x = torch.from_numpy(np.ascontiguousarray((levels / 255.0).transpose(0, 3, 1, 2)))
        with torch.inference_mode():
            seen = self.operator((x.shape[-2], x.shape[-1])).apply(self.view.pick(x))
        return seen.flatten(1).numpy()


@dataclass(frozen=True)
class Optics:
    """All of an engine's probes and what they look through.

    Attributes:
        channels, views: of the engine; probes are counted channel by channel, view by view.
        tests: which (channel, view) there are; None for all.
    """

    channels: tuple[Channel, ...]
    views: tuple[QueryView, ...]
    tests: tuple[Name, ...] | None = None

    @cached_property
    def probes(self) -> tuple[tuple[int, QueryView], ...]:
        """(channel, view) of each probe."""
        every = ((number, view) for number in range(len(self.channels)) for view in self.views)
        return tuple(
            (number, view) for number, view in every if self.tests is None or (number, view.name) in self.tests
        )

    @cached_property
    def every(self) -> tuple[Optic, ...]:
        """The different ones."""
        return tuple(dict.fromkeys(self._optic(place) for place in range(len(self.probes))))

    @cached_property
    def of_probe(self) -> list[int]:
        """Which optic each probe looks through."""
        return [self.every.index(self._optic(place)) for place in range(len(self.probes))]

    def _optic(self, place: int) -> Optic:
        number, view = self.probes[place]
        return Optic(view, self.channels[number].embedder.input_size)

    def see(self, levels: Float64) -> list[Float64]:
        """Per optic, (b, 3·h·w) of images (b, H, W, 3) in levels."""
        return [optic.see(levels) for optic in self.every]

    def norms(self, sizes: Sequence[Size]) -> Float64:
        """(n, p) ρ of each probe for images of these sizes."""
        own = [[one.norm.value for one in optic.operators(sizes)] for optic in self.every]
        return np.array([own[place] for place in self.of_probe]).T

    def rounding(self, sizes: Sequence[Size]) -> list[float]:
        """Per optic, a bound on the ℓ2 error of the resize from any of these sizes."""
        return [max(one.rounding.value for one in optic.operators(sizes)) for optic in self.every]

    def embed(self, images: Sequence[Float64], rounding: Sequence[float]) -> list[list[Probe]]:
        """The probes of representatives.

        Args:
            images: per optic, (b, 3·h·w) resized images.
            rounding: per optic, of the resize of any member that they stand for.

        Returns:
            Per image, its probes; L is that of the network alone, and radii are in resized units.
        """
        found = [self._embed_one(place, images, rounding) for place in range(len(self.probes))]
        return [list(own) for own in zip(*found, strict=True)]

    def _embed_one(self, place: int, images: Sequence[Float64], rounding: Sequence[float]) -> list[Probe]:
        number, view = self.probes[place]
        channel, at = self.channels[number], self.of_probe[place]
        x = torch.from_numpy(images[at]).reshape(-1, 3, *channel.embedder.input_size).clamp(0.0, 1.0)
        certified = channel.embedder.lipschitz is not None
        with torch.inference_mode():
            zs = channel.embedder.forward(x if certified else x.float().to(channel.embedder.device))
        plain = UpperBound(1.0, "a representative in the resized domain")
        error = channel.forward_error(UpperBound(rounding[at], "of the members' resize"))
        embedded = [QueryEmbedding(z, channel.embedder.lipschitz, plain, error) for z in zs.cpu().double().numpy()]
        return [probe_of(one, channel, number, values=_FAR, view=view.name) for one in embedded]
