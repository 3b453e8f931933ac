"""Probes: what a query is to a source of rows, one for each channel and view of the query (THEORY T9, T10)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..certificates.ranking import answer_radius
from ..core.errors import UsageError
from ..core.numerics import round_down, round_up
from ..core.types import Score, UpperBound
from ..indexer.blank import BEYOND_FLAT
from .channel import ORIGINAL, Channel, Float64, Pixels, QueryEmbedding, QueryView

Name = tuple[int, str]
"""Number of a channel and name of a view: what tells the probes of a query apart."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is proved of a probe: all that a radius needs.

    Attributes:
        lipschitz: L, of resize and network together.
        forward_error: bound on ‖computed f − f‖ anywhere in [0, 1].
        cap: in pixels: farther out there is no such image, or the engine could refuse it as flat.
    """

    lipschitz: UpperBound
    forward_error: float
    cap: float


@dataclass(frozen=True, slots=True)
class Probe:
    """One test of a query: a view of it, embedded by one channel.

    Attributes:
        channel: number of the channel; view: name of the query's view.
        z: (d,) float64, not normalised.
        score: how rows are compared.
        threshold: what channels are compared by, and every row's threshold unless it is ``local``; None for none.
        bounds: None for an uncertified channel, and where it is refused.
        refused: why it cannot be compared with any row; None where it can.
    """

    channel: int
    view: str
    z: Float64
    score: Score
    threshold: float | None
    local: bool
    bounds: Bounds | None
    refused: str | None = None

    @property
    def name(self) -> Name:
        """Which probe of its query it is."""
        return self.channel, self.view

    @property
    def proved(self) -> Bounds:
        """The bounds of a probe that is known to have them."""
        assert self.bounds is not None, "an uncertified probe proves nothing"
        return self.bounds

    @property
    def tau(self) -> float:
        """The threshold of a probe that is known to have one."""
        assert self.threshold is not None, "a margin needs a threshold"
        return self.threshold


@dataclass(frozen=True, slots=True)
class Query:
    """An image, embedded for every channel and view.

    Attributes:
        height, width: as decoded; radii are in its pixels.
        embedded: per probe, what was embedded.
    """

    height: int
    width: int
    embedded: tuple[QueryEmbedding, ...]
    probes: tuple[Probe, ...]

    @property
    def refused(self) -> str | None:
        """Why there is no answer: no probe may be left out, or there would be no proof of what it sees."""
        return next((probe.refused for probe in self.probes if probe.refused), None)

    @property
    def values(self) -> int:
        """How many values the image has: n = 3·H·W."""
        return 3 * self.height * self.width


def embed(channels: Sequence[Channel], pixels: Pixels, views: Sequence[QueryView] = (ORIGINAL,)) -> Query:
    """Embed one image: the views of each channel in one batch.

    Args:
        channels: of the index.
        pixels: (H, W, 3) float64 in [0, 1], or uint8 levels.
        views: of the query; every row is compared with each of them.

    Raises:
        UsageError: two views of one name, which tells the probes apart.
    """
    names = [view.name for view in views]
    if len(set(names)) != len(names):
        raise UsageError(f"views of a query are told apart by their names, got {', '.join(names)}")
    embedded, probes = [], []
    for number, channel in enumerate(channels):
        for view, one in zip(views, channel.embed_views(pixels, views), strict=True):
            embedded.append(one)
            probes.append(probe_of(one, channel, number, values=pixels.size, view=view.name))
    height, width = pixels.shape[:2]
    return Query(height, width, tuple(embedded), tuple(probes))


def as_levels(pixels: Pixels) -> npt.NDArray[np.uint8] | None:
    """The 8-bit levels that an image is made of, or None where some value is no level."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    levels = np.rint(pixels * 255.0).astype(np.uint8)
    return levels if np.array_equal(levels / 255.0, pixels) else None


def probe_of(query: QueryEmbedding, channel: Channel, number: int, *, values: int, view: str = "original") -> Probe:
    """The probe of an embedded view.

    Args:
        query: the embedded view.
        channel: what embedded it.
        number: of the channel.
        values: n = 3·H·W of the whole query.
        view: name of the view.
    """
    threshold = None if channel.threshold is None else channel.threshold.value
    refused = channel.why_refused(query)
    bounds = None if refused else bounds_of(query, channel.score, values)
    return Probe(number, view, query.z, channel.score, threshold, channel.is_local, bounds, refused)


def bounds_of(query: QueryEmbedding, score: Score, values: int) -> Bounds | None:
    """The numbers behind a certificate, or None for an uncertified embedding.

    Args:
        query: an embedding that its channel does not refuse.
        score: how rows are compared.
        values: n = 3·H·W of the query.
    """
    if query.lipschitz is None or query.forward_error is None:
        return None
    far = round_up(math.sqrt(values))  # no two images are farther apart
    reach = answer_radius(query.z, score=score, lipschitz=query.lipschitz, forward_error=query.forward_error)
    if score == "cosine":  # the engine refuses earlier than the theorem must
        reach = max(0.0, round_down(reach - round_up(query.flat * BEYOND_FLAT / query.lipschitz.value)))
    return Bounds(query.lipschitz, query.forward_error, min(far, reach))
