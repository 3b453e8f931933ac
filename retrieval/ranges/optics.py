"""How an edited image comes before the network: a view of it, resized, once for all channels of one input size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ...core.numerics import gamma, round_up
from ...core.types import UpperBound
from ...embedding.layers.sum_pool import scaled_block_sums
from ...images.families.family import Levels, Pixels
from ...images.resize import Resize, Size, resize_axis, resize_operator
from ..channel import ORIGINAL, Channel, Float64, QueryEmbedding, QueryView
from ..probe import Name, Probe, probe_of

_FAR = 10**12
"""Values of an image so large that its diagonal limits nothing here: the members' own sizes do (``Moves``)."""


@dataclass(frozen=True)
class Optic:
    """A view of the image, a resize to one input size, and block sums where the network sees nothing else.

    All of it is linear without negative entries, and the sums have norm 1: it is R of T12, with the resize's ρ.

    Attributes:
        view: of the image; target: the network's input size.
        sums: side k of the blocks that are summed and divided by k; 1 for none.
    """

    view: QueryView
    target: Size
    sums: int = 1

    @property
    def shape(self) -> Size:
        """Height and width of what comes out."""
        return self.target[0] // self.sums, self.target[1] // self.sums

    def operators(self, sizes: Sequence[Size]) -> list[Resize]:
        """The resize that follows the view of images of these sizes, with each side's factor made once."""
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

    def rounding(self, operator: Resize) -> float:
        """Bound on the ℓ2 error of what comes out: the resize's, and that of sums of k² values in [0, 1]."""
        if self.sums == 1:
            return operator.rounding.value
        largest = round_up(math.sqrt(3 * self.target[0] * self.target[1])) * 1.001
        return round_up(operator.rounding.value + round_up(gamma(self.sums**2 + 1) * largest))

    def resized(self, levels: Pixels | Levels) -> Tensor:
        """(H, W, 3) in 8-bit levels → (3, h, w), as the certified path computes it but for the last clamp."""
        whole = self.view is ORIGINAL
        if whole and levels.dtype == np.uint8:
            exact = levels.astype(np.uint8, copy=False)
            return resize_operator(exact.shape[:2], self.target).apply_levels(exact, torch.float64)
        x = torch.from_numpy(levels.transpose(2, 0, 1).astype(np.float64, order="C")).div_(255.0)
        seen = self.view.pick(x[None])
        return resize_operator((seen.shape[-2], seen.shape[-1]), self.target).apply(seen)[0]

    def summed(self, resized: Tensor) -> Float64:
        """(3, h, w) → the values that come out, flat."""
        out = resized if self.sums == 1 else scaled_block_sums(resized[None], self.sums)[0]
        return out.flatten().numpy()


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
        embedder = self.channels[number].embedder
        return Optic(view, embedder.input_size, embedder.sums)

    def see(self, levels: Pixels | Levels) -> list[Float64]:
        """Per optic, (3·h·w,) of one image (H, W, 3) in levels; each view is resized once for all that share it."""
        resized: dict[tuple[QueryView, Size], Tensor] = {}
        with torch.inference_mode():
            for optic in self.every:
                key = (optic.view, optic.target)
                resized[key] = resized[key] if key in resized else optic.resized(levels)
            return [optic.summed(resized[optic.view, optic.target]) for optic in self.every]

    def see_all(self, images: Sequence[Pixels | Levels]) -> list[Float64]:
        """Per optic, (b, 3·h·w) of some images."""
        return [np.stack(own) for own in zip(*map(self.see, images), strict=True)]

    def norms(self, sizes: Sequence[Size]) -> tuple[Float64, list[float]]:
        """For images of these sizes: (n, p) ρ of each probe; per optic, a bound on the ℓ2 error of what comes out."""
        lenses = {(optic.view, optic.target): optic for optic in self.every}
        resizes = {key: optic.operators(sizes) for key, optic in lenses.items()}
        norms = {key: [one.norm.value for one in own] for key, own in resizes.items()}
        own = [(optic, (optic.view, optic.target)) for optic in self.every]
        rho = np.array([norms[own[place][1]] for place in self.of_probe]).T
        return rho, [max(map(optic.rounding, resizes[key])) for optic, key in own]

    def embed(self, images: Sequence[Float64], rounding: Sequence[float]) -> list[list[Probe]]:
        """The probes of representatives.

        Args:
            images: per optic, (b, 3·h·w) of what comes out of it.
            rounding: per optic, of any member that they stand for.

        Returns:
            Per image, its probes; L is that of the network alone, and radii are in resized units.
        """
        found = [self._embed_one(place, images, rounding) for place in range(len(self.probes))]
        return [list(own) for own in zip(*found, strict=True)]

    def _embed_one(self, place: int, images: Sequence[Float64], rounding: Sequence[float]) -> list[Probe]:
        number, view = self.probes[place]
        channel, at = self.channels[number], self.of_probe[place]
        optic, embedder = self.every[at], channel.embedder
        # Members have values in [0, 1] after the resize, and sums of k² of them over k in [0, k].
        x = torch.from_numpy(images[at]).reshape(-1, 3, *optic.shape).clamp(0.0, float(optic.sums))
        certified = embedder.lipschitz is not None
        with torch.inference_mode():
            zs = embedder.beyond_sums(x if certified else x.float().to(embedder.device))
        plain = UpperBound(1.0, "a representative in the resized domain")
        error = channel.forward_error(UpperBound(rounding[at], "of the members' resize"))
        embedded = [QueryEmbedding(z, embedder.lipschitz, plain, error) for z in zs.cpu().double().numpy()]
        return [probe_of(one, channel, number, values=_FAR, view=view.name) for one in embedded]
