"""What a copy benchmark asks of a system, and the system that is ours: an index opened by the exact engine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from ...core.units import Radius
from ...indexer.gaps import gaps_of, read_gaps
from ...indexer.items import NO_KEYS
from ...indexer.snapshot import Threshold
from ...indexer.writer import Writer
from ...retrieval.answer import Answer
from ...retrieval.calibrate import Nearness
from ...retrieval.channel import Float64
from ...retrieval.engine import Engine

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a system says of one query.

    Attributes:
        item: SHA-256 of the first item's pixels; None where nothing can be compared (a flat query).
        path, view, channel: of its best row.
        confidence: larger is more sure; comparable between queries of one system.
        accepted: the threshold's verdict: ``True`` for "a copy of some item"; None without a threshold.
        first_accepted: the same of the first item, where that may differ: local thresholds may accept a farther one.
        top1: proved radius of the first place; verdict: of the verdict; None where not certified.
        withheld: why there is no certificate.
        seconds: embedding and search, its share of the batch.
    """

    item: str | None
    path: str | None
    view: str | None
    channel: str | None
    confidence: float
    accepted: bool | None
    top1: Radius | None = None
    verdict: Radius | None = None
    withheld: str | None = None
    seconds: float = 0.0
    first_accepted: bool | None = None


class System(Protocol):
    """Something that finds copies."""

    @property
    def name(self) -> str:
        """As in tables."""
        ...

    @property
    def digest(self) -> str:
        """Of everything that defines it."""
        ...

    def calibrate(self, negatives: Iterable[Sequence[Pixels]], *, fpr: float) -> System:
        """Itself with thresholds for a false-match rate, from batches of images known to be absent."""
        ...

    def find(self, images: Sequence[Pixels]) -> list[Found]:
        """The first item for each query, with what is proved of it."""
        ...


def as_query(pixels: Pixels) -> Float64:
    """8-bit pixels as the query that the theorems speak of: (H, W, 3) float64 in [0, 1]."""
    return pixels.astype(np.float64) / 255.0


class Queries(Sequence[Float64]):
    """Many queries, each made float64 when it is looked at: eight times the memory is needed for one at a time only."""

    def __init__(self, images: Sequence[Pixels]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, place: int) -> Float64: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Float64]: ...

    def __getitem__(self, place: int | slice) -> Float64 | Sequence[Float64]:
        return Queries(self.images[place]) if isinstance(place, slice) else as_query(self.images[place])


@dataclass(frozen=True)
class EngineSystem:
    """An index answered by the exact engine: float64 decides, radii are proved, k = 1.

    Attributes:
        engine: the opened index.
        verdicts: whether its thresholds were set on negatives; if not, they serve only to rank several channels.
        alias: its name where that of its models would not tell it from another system.
        local: whether :meth:`calibrate` gives every row a threshold of its own.
    """

    engine: Engine
    verdicts: bool = False
    alias: str | None = None
    local: bool = True

    @property
    def name(self) -> str:
        """The alias, or the names of the channels' models, joined by +."""
        return self.alias or self.engine.model

    @property
    def digest(self) -> str:
        """Digests of the models, joined by +."""
        return "+".join(channel.embedder.digest for channel in self.engine.channels)

    @cached_property
    def items(self) -> list[str]:
        """SHA-256 of the pixels of each row's item."""
        return self.engine.gallery.catalog["pixels_sha256"].to_pylist()

    def calibrate(self, negatives: Iterable[Sequence[Pixels]], *, fpr: float) -> EngineSystem:
        """As ``retrieval.calibrate``: thresholds set together, for the false-match rate of the union (THEORY T9).

        The thresholds are committed to the index as a new snapshot.

        Raises:
            UsageError: too few negatives for so small a rate, or a negative that no threshold tells from a stored row.
        """
        engine = self.engine
        near = Nearness(engine, local=self.local)
        for batch in negatives:
            near.see(Queries(batch))
        found = near.thresholds(fpr=fpr)
        with Writer(engine.path) as writer:
            return replace(self, engine=with_thresholds(engine, found, writer), verdicts=True)

    def stored_thresholds(self) -> list[dict[str, Any]]:
        """The channels' thresholds as JSON."""
        return [asdict(channel.threshold) for channel in self.engine.channels if channel.threshold is not None]

    def with_stored(self, thresholds: Sequence[dict[str, Any]]) -> EngineSystem:
        """Itself with thresholds of :meth:`stored_thresholds`."""
        found = [Threshold(**one) for one in thresholds]
        with Writer(self.engine.path) as writer:
            return replace(self, engine=with_thresholds(self.engine, found, writer), verdicts=True)

    def group_of(self, item: str) -> int:
        """The engine's number of an item."""
        return int(self.engine.gallery.table.numbers(np.array([item], dtype=NO_KEYS.dtype))[0])

    def find(self, images: Sequence[Pixels]) -> list[Found]:
        """Certified answers with k = 1."""
        answers = self.engine.answer_many(Queries(images), k=1, certify=True)
        return [self._found(answer) for answer in answers]

    def _found(self, answer: Answer) -> Found:
        seconds = math.fsum(answer.seconds.values())
        if not answer.matches:
            accepted = False if self.verdicts else None
            return Found(None, None, None, None, -math.inf, accepted, withheld=answer.withheld, seconds=seconds)
        first = answer.matches[0]
        accepted = answer.point_verdict == "copy" if self.verdicts else None
        first_accepted = first.accepted if self.verdicts else None
        return Found(
            item=self.engine.gallery.table.keys(np.array([first.group]))[0].decode(),
            path=first.path,
            view=first.view,
            channel=first.channel,
            confidence=self._confidence(first.score, answer),
            accepted=accepted,
            top1=first.top1,
            verdict=_verdict_radius(answer, accepted),
            withheld=answer.withheld,
            seconds=seconds,
            first_accepted=first_accepted,
        )

    def _confidence(self, score: float, answer: Answer) -> float:
        """The score of one channel; the margin of several in RMSE levels, so that sizes of queries play no part."""
        if len(self.engine.channels) == 1:
            return score
        return 255.0 * score / math.sqrt(3 * answer.width * answer.height)


def _verdict_radius(answer: Answer, accepted: bool | None) -> Radius | None:
    """T4, T5 or T9: of "copy of the first item" if accepted, else of "copy of nothing"; 0 if nothing is proved."""
    if accepted is None or answer.certificate is None:
        return None
    proved = answer.matches[0].copy if accepted else answer.not_a_copy
    return proved or Radius(0.0, 3 * answer.width * answer.height)


def with_thresholds(engine: Engine, thresholds: Sequence[Threshold], writer: Writer) -> Engine:
    """The same index, opened with these thresholds, which become its own."""
    snapshot = engine.gallery.snapshot
    done = writer.set_thresholds(thresholds, on=snapshot.id)
    gaps = [None if t.gaps is None else gaps_of(snapshot, read_gaps(engine.path, t.gaps)) for t in thresholds]
    parts = zip(engine.channels, thresholds, gaps, strict=True)
    opened = tuple(replace(channel, threshold=threshold, gaps=own) for channel, threshold, own in parts)
    return replace(engine, gallery=replace(engine.gallery, snapshot=done), channels=opened)


def open_system(path: Path, snapshot: str, *, device: str) -> EngineSystem:
    """Open an index as a system, at the snapshot it was built with: thresholds of earlier runs are put aside."""
    with Writer(path) as writer:
        writer.restore(snapshot)
    return EngineSystem(Engine.open(path, device=device))
