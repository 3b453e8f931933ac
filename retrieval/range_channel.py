"""A channel as a proof of edits sees it: every live row compared exactly, distances taken where the model begins."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch

from ..certificates.ranking import half_space_distances
from ..certificates.verdicts import signed_distances
from ..embedding.layers.sum_pool import scaled_block_sums
from ..images.families.family import Levels, Pixels
from ..images.resize import Resize, resize_operator
from .channel import Channel, Float64
from .engine import Engine
from .evidence import Ids

NEAREST = 512
"""Of more rows only those are compared exactly that float64 products cannot tell from the largest."""
_RELATIVE = 1e-6


class RangeChannel:
    """A channel and its live rows, compared exactly."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.engine, self.number = engine, number
        self.channel: Channel = engine.channels[number]
        network = self.channel.embedder.lipschitz
        assert network is not None, "a certified answer has proved constants"
        self.lipschitz = network.value
        self.sums = self.channel.embedder.sums

    @cached_property
    def live(self) -> Ids:
        """Numbers of the rows in the gallery."""
        return np.flatnonzero(self.engine.gallery.groups >= 0)

    @cached_property
    def groups(self) -> Ids:
        """The item of each."""
        return self.engine.gallery.groups[self.live]

    @cached_property
    def rows(self) -> Float64:
        """(n, d) as they define the gallery."""
        return self.channel.rows64(self.live)

    @cached_property
    def limits(self) -> Float64:
        """(n,) what the verdict compares each with."""
        return self.channel.limits(self.live)

    def of_item(self, group: int | None) -> Ids:
        """Places of an item's rows."""
        return np.flatnonzero(self.groups == group)

    def others(self, group: int | None) -> Ids:
        """Places of all other rows."""
        return np.flatnonzero(self.groups != group)

    def resize(self, size: tuple[int, int]) -> Resize:
        """Of an image of this size, for this channel."""
        return resize_operator(size, self.channel.embedder.input_size)

    def _resized(self, levels: Levels | Pixels) -> torch.Tensor:
        x = torch.from_numpy(levels.transpose(2, 0, 1)[None].astype(np.float64) / 255.0)
        return self.resize((levels.shape[0], levels.shape[1])).apply(x)

    @torch.inference_mode()
    def see(self, levels: Levels | Pixels) -> Float64:
        """(v,) what distances are taken of: the resized image, or the sums that are all that the model sees of it."""
        resized = self._resized(levels)
        return (resized if self.sums == 1 else scaled_block_sums(resized, self.sums)).flatten().numpy()

    @torch.inference_mode()
    def embed(self, levels: Levels) -> Float64:
        """(d,) the embedding of a representative."""
        return self.channel.embedder.forward(self._resized(levels).clamp(0.0, 1.0))[0].double().numpy()

    def largest(self, z: Float64, places: Ids, *, ranking: bool = False) -> float | None:
        """The largest signed distance (T4, T5) of some rows over L; by the channel's threshold for ranks."""
        threshold = self.channel.threshold
        assert threshold is not None, "a margin needs a threshold"
        limits = np.full(len(self.rows), threshold.value) if ranking else self.limits
        score = self.channel.score
        if len(places) > NEAREST and score == "cosine":
            length, tau = float(np.linalg.norm(z)), limits[places]
            along = self.rows[places] @ z
            across = np.sqrt(np.maximum(length**2 - along**2, 0.0))
            sine = np.sqrt((1.0 - tau) * (1.0 + tau))
            apex = np.where(along > tau * length, length, -length)
            about = np.where(tau * along + sine * across <= 0.0, apex, sine * along - tau * across)
            places = places[about >= about.max() - _RELATIVE * length]
        if not len(places):
            return None
        found = signed_distances(z, self.rows[places], score=score, threshold=limits[places])
        return float(found.max() / self.lipschitz)

    def lead(self, z: Float64, group: int | None) -> float:
        """T1, T3: the best of the item's rows against the worst row of any other, over L."""
        rivals = self.rows[self.others(group)]
        leads = [
            half_space_distances(z, row, rivals, self.channel.score).min(initial=math.inf)
            for row in self.rows[self.of_item(group)]
        ]
        return float(max(leads) / self.lipschitz)
