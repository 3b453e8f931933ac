"""Probes: what a query is to a source of rows, one for each channel and view of the query (THEORY T9, T10)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..certificates.ranking import answer_radius
from ..certificates.rounding import norm_bounds
from ..core.errors import UsageError
from ..core.numerics import round_down, round_up
from ..core.types import Score, UpperBound
from ..images.found_views import placed
from ..indexer.blank import BEYOND_FLAT
from .channel import ORIGINAL, Channel, Float64, Pixels, QueryEmbedding, QueryView
from .scopes import Scopes

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
        local: whether rows have thresholds of their own.
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
class Blind:
    """Views of a query that show nothing: no row is compared with them, and after a change one might be.

    Attributes:
        views: their names.
        margin: in pixels: at the query no row has a margin in them above this, as the nearest edge of every copy region
            is no farther than the origin is. At an image ‖δ‖ away none has one above ``margin`` + ‖δ‖.
        error: how far rounding may move a margin there.
    """

    views: tuple[str, ...]
    margin: float
    error: float


@dataclass(frozen=True, slots=True)
class Query:
    """An image, embedded for every channel and view.

    Attributes:
        height, width: as decoded; radii are in its pixels.
        embedded: per probe, what was embedded.
        probes: what is asked.
        blind: views without a direction, which accept nothing; how much they leave of a proof.
        companions: what companions are asked, apart from ``probes``, which no radius ever looks at (THEORY T11).
    """

    height: int
    width: int
    embedded: tuple[QueryEmbedding, ...]
    probes: tuple[Probe, ...]
    blind: Blind | None = None
    companions: tuple[Probe, ...] = ()

    @property
    def refused(self) -> str | None:
        """Why there is no answer: the query itself must be seen by every channel, or nothing could be said."""
        return next((probe.refused for probe in self.probes if probe.refused), None)

    @property
    def values(self) -> int:
        """How many values the image has: n = 3·H·W."""
        return 3 * self.height * self.width


def embed(
    channels: Sequence[Channel],
    pixels: Pixels,
    views: Sequence[QueryView] = (ORIGINAL,),
    scopes: Scopes | None = None,
    *,
    looks: Mapping[int, Sequence[QueryView]] | None = None,
) -> Query:
    """Embed one image: the views of each channel in one batch.

    A view other than the query itself that has no direction is *blind*: it accepts nothing. That is a rule of the
    answer and not a part that is left out: what it costs a proof is counted (``decide_several``).

    Args:
        channels: of the index.
        pixels: (H, W, 3) float64 in [0, 1], or uint8 levels.
        views: of the query; every row is compared with each of them, unless
        scopes: say which.
        looks: by its number, the views that a channel has of its own: a companion's, where it is looked at as others.

    Raises:
        UsageError: two views of one name, which tells the probes apart.
    """
    names = [view.name for view in views]
    if len(set(names)) != len(names):
        raise UsageError(f"views of a query are told apart by their names, got {', '.join(names)}")
    pairs = [
        pair
        for number, channel in enumerate(channels)
        for pair in _asked(channel, number, pixels, (looks or {}).get(number, views), scopes or {})
    ]
    hidden = [(one, probe) for one, probe in pairs if probe.refused and probe.view != ORIGINAL.name]
    asked = [pair for pair in pairs if not pair[1].refused or pair[1].view == ORIGINAL.name]
    height, width = pixels.shape[:2]
    return Query(height, width, tuple(one for one, _ in asked), tuple(probe for _, probe in asked), _blind(hidden))


def embed_companions(
    channels: Sequence[Channel],
    first: int,
    pixels: Pixels,
    scopes: Scopes | None = None,
    looks: Sequence[QueryView] = (ORIGINAL,),
) -> tuple[Probe, ...]:
    """What companions are asked, embedded in one batch. A view without a direction is asked nothing.

    Args:
        channels: the companions.
        first: number of the first of them among all channels of the index.
        pixels: as for :func:`embed`.
        scopes: the rows that they are compared with, where not all.
        looks: the views that they look at; the query itself is one.
    """
    every = [
        probe
        for number, channel in enumerate(channels, start=first)
        for _, probe in _asked(channel, number, pixels, looks, scopes or {})
    ]
    return tuple(probe for probe in every if not probe.refused or probe.view == ORIGINAL.name)


def _asked(
    channel: Channel, number: int, pixels: Pixels, views: Sequence[QueryView], scopes: Scopes
) -> Iterator[tuple[QueryEmbedding, Probe]]:
    """The views of one channel, those that it is asked through."""
    scoped = any(one == number for one, _ in scopes)
    own = [view for view in views if not scoped or (number, view.name) in scopes]
    own = list(placed(own, pixels))
    for view, one in zip(own, channel.embed_views(pixels, own), strict=True):
        local = (number, view.name) in scopes
        yield one, probe_of(one, channel, number, values=pixels.size, view=view.name, local=local)


def _blind(hidden: Sequence[tuple[QueryEmbedding, Probe]]) -> Blind | None:
    if not hidden:
        return None
    bounds = [_most(one) for one, _ in hidden]
    names = dict.fromkeys(probe.view for _, probe in hidden)
    return Blind(tuple(names), max(margin for margin, _ in bounds), max(error for _, error in bounds))


def _most(one: QueryEmbedding) -> tuple[float, float]:
    """An upper bound on the margin of every row in a blind view, and on its rounding; inf where nothing is proved."""
    length = float(norm_bounds(one.z)[1])
    if one.lipschitz is None or one.forward_error is None or not math.isfinite(length):
        return math.inf, 0.0
    pixels = round_up(1.0 / one.lipschitz.value)
    margin = round_up(round_up(length + one.forward_error) * pixels)
    return margin, round_up(round_up(1.01 * one.forward_error + round_up(1e-11 * length)) * pixels)


def as_levels(pixels: Pixels) -> npt.NDArray[np.uint8] | None:
    """The 8-bit levels that an image is made of, or None where some value is no level."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    levels = np.rint(pixels * 255.0).astype(np.uint8)
    return levels if np.array_equal(levels / 255.0, pixels) else None


def probe_of(
    query: QueryEmbedding, channel: Channel, number: int, *, values: int, view: str = "original", local: bool = False
) -> Probe:
    """The probe of an embedded view.

    Args:
        query: the embedded view.
        channel: what embedded it.
        number: of the channel.
        values: n = 3·H·W of the whole query.
        view: name of the view.
        local: whether rows have thresholds of their own, whatever the channel says.
    """
    threshold = None if channel.threshold is None else channel.threshold.value
    refused = channel.why_refused(query)
    bounds = None if refused else bounds_of(query, channel.score, values)
    return Probe(number, view, query.z, channel.score, threshold, local or channel.is_local, bounds, refused)


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
