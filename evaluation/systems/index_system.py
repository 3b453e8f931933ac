"""What an audit asks of a retrieval system, and the systems that are indexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, overload

import numpy as np

from ...attacks.media import Bytes, Pixels, as_pixels
from ...attacks.target import Sees, Target
from ...core.progress import Progress
from ...indexer.gaps import gaps_of, read_gaps
from ...indexer.snapshot import Threshold
from ...indexer.writer import Writer
from ...retrieval.answer import Answer
from ...retrieval.calibrate import Nearness
from ...retrieval.channel import Channel, QueryEmbedding
from ...retrieval.engine import Engine
from ..shared.provenance import describe_engine
from ..shared.truth import Groups
from .retrieval_losses import Goal
from .retrieval_target import Aim, RetrievalTarget

Kind = Literal["index", "embedder", "hash"]


class System(Protocol):
    """Something that finds copies, certified or not. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """As on the command line and in records."""
        ...

    @property
    def kind(self) -> Kind:
        """An index that was given, an embedder or a hash over the items of the first index."""
        ...

    @property
    def certified(self) -> bool:
        """Whether its answers carry radii."""
        ...

    def items(self) -> Sequence[str]:
        """Ids of its items; the place of each is its number (``Match.group``)."""
        ...

    def answer_many(self, images: Sequence[Pixels], *, k: int, certify: bool = False) -> list[Answer]:
        """Answer queries, (H, W, 3) float64 in [0, 1] each."""
        ...

    def target(self, aims: Sequence[Aim], goal: Goal, *, sees: Sees) -> Target:
        """The loss that an attack on queries with these aims raises.

        Args:
            aims: one per query of the batch.
            goal: what it is after.
            sees: what the attack will be shown; a system without a gradient of its own offers a surrogate's to
                ``gradient``, and its true loss to the others.
        """
        ...

    def describe(self) -> dict[str, str]:
        """For the records: ``model``, ``model_digest``, ``snapshot`` and ``policy_digest``; more goes to audit.json."""
        ...


class Calibrated(System, Protocol):
    """A system whose thresholds can be set on images that are known to be absent."""

    @property
    def has_verdicts(self) -> bool:
        """Whether its verdicts count: its thresholds were set so, or are to be taken as they come."""
        ...

    def pixels_of(self, item: int) -> str:
        """SHA-256 of the pixels of an item, by its number."""
        ...

    def calibrate(self, negatives: Iterable[Sequence[Bytes]], *, fpr: float) -> Calibrated:
        """Itself with thresholds for a false-match rate, from batches of (H, W, 3) images known to be absent.

        Raises:
            UsageError: too few negatives for so small a rate.
        """
        ...


class Queries(Sequence[Pixels]):
    """Many 8-bit images, each made float64 when it is looked at: eight times the memory is needed for one at a time."""

    def __init__(self, images: Sequence[Bytes]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, place: int) -> Pixels: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Pixels]: ...

    def __getitem__(self, place: int | slice) -> Pixels | Sequence[Pixels]:
        return Queries(self.images[place]) if isinstance(place, slice) else as_pixels(self.images[place])


@dataclass(frozen=True, slots=True)
class Item:
    """One item of an index: what other systems are to hold too.

    Attributes:
        id: of its first file.
        path: that file, as the catalog writes it (``indexer.sources.text_to_path`` reads it).
        pixels_sha256: digest of its decoded pixels.
    """

    id: str
    path: str
    pixels_sha256: str


def gallery_items(engine: Engine) -> tuple[Item, ...]:
    """The items of an index, each at the place of its number."""
    rows = engine.gallery.originals()
    _, first = np.unique(engine.gallery.groups[rows], return_index=True)
    names = ("id", "path", "pixels_sha256")
    columns = [engine.gallery.catalog[name].take(rows[first]).to_pylist() for name in names]
    return tuple(Item(*values) for values in zip(*columns, strict=True))


@dataclass(frozen=True)
class EngineSystem:
    """An index, answered by the exact engine: float64 decides, radii are proved.

    Attributes:
        device: where attacks run; answers are float64 on the CPU.
        has_verdicts: whether its verdicts count: its thresholds were set by :meth:`calibrate`, or are to be taken as
            the index came. If not, they serve only to rank channels.
        local: whether that gives every row a threshold of its own.
    """

    name: str
    engine: Engine
    kind: Kind = "index"
    device: str = "cpu"
    has_verdicts: bool = False
    local: bool = True

    @property
    def certified(self) -> bool:
        """See :class:`System`."""
        return self.engine.why_uncertified() is None

    @cached_property
    def gallery(self) -> tuple[Item, ...]:
        """Its items."""
        return gallery_items(self.engine)

    def items(self) -> Sequence[str]:
        """See :class:`System`."""
        return tuple(item.id for item in self.gallery)

    def answer_many(self, images: Sequence[Pixels], *, k: int, certify: bool = False) -> list[Answer]:
        """See :class:`System`."""
        return self.engine.answer_many(images, k=k, certify=certify)

    def embed(self, pixels: Pixels) -> tuple[QueryEmbedding, ...]:
        """Embeddings of one image, (H, W, 3) float64 in [0, 1], along the certified path; one for each test."""
        views = {view.name: view for view in self.engine.views}
        asked = [[views[v] for n, v in self.engine.tests if n == number] for number in range(len(self.engine.channels))]
        pairs = zip(self.engine.channels, asked, strict=True)
        return tuple(one for channel, own in pairs for one in channel.embed_views(pixels, own))

    def target(self, aims: Sequence[Aim], goal: Goal, *, sees: Sees) -> Target:
        """See :class:`System`; the gradient is the system's own, whatever the attack sees."""
        del sees
        engine = self.engine
        views = {view.name: view for view in (*engine.views, *engine.looks)}
        asked = [views[name] for _, name in (*engine.tests, *engine.companion_tests)]
        return RetrievalTarget(self._attacked, aims, goal, views=asked, companions=len(engine.companion_tests))

    @cached_property
    def _attacked(self) -> tuple[Channel, ...]:
        """Per test, the channel of its rows, with a copy of the embedder where attacks run."""
        tests = [*self.engine.tests, *self.engine.companion_tests]
        every = [(number, self.engine.scope((number, view)).channel) for number, view in tests]
        if self.device == "cpu":
            return tuple(channel for _, channel in every)
        there = [deepcopy(channel.embedder).to(self.device) for channel in self.engine.every_channel]
        return tuple(replace(channel, embedder=there[number]) for number, channel in every)

    def describe(self) -> dict[str, str]:
        """See :class:`System`."""
        return describe_engine(self.engine)

    def pixels_of(self, item: int) -> str:
        """See :class:`Calibrated`."""
        return self.engine.gallery.table.keys(np.array([item]))[0].decode()

    def calibrate(
        self, negatives: Iterable[Sequence[Bytes]], *, fpr: float, progress: Progress | None = None
    ) -> EngineSystem:
        """As ``retrieval.calibrate``: thresholds set together, for the false-match rate of the union (THEORY T9).

        The thresholds are committed to the index as a new snapshot.

        Raises:
            UsageError: too few negatives for so small a rate, or a negative that no threshold tells from a stored row.
        """
        near = Nearness(self.engine.surveying, local=self.local, progress=progress)
        for batch in negatives:
            near.see(Queries(batch))
        found = near.thresholds(fpr=fpr)
        with Writer(self.engine.path) as writer:
            return self._with(found, writer)

    def stored_thresholds(self) -> list[dict[str, Any]]:
        """The channels' thresholds as JSON."""
        return [asdict(channel.threshold) for channel in self.engine.every_channel if channel.threshold is not None]

    def with_stored(self, thresholds: Sequence[dict[str, Any]]) -> EngineSystem:
        """Itself with thresholds of :meth:`stored_thresholds`."""
        with Writer(self.engine.path) as writer:
            return self._with([Threshold(**one) for one in thresholds], writer)

    def _with(self, thresholds: Sequence[Threshold], writer: Writer) -> EngineSystem:
        """The same index, opened with these thresholds, which become its own."""
        engine, snapshot = self.engine, self.engine.gallery.snapshot
        done = writer.set_thresholds(thresholds, on=snapshot.id)
        gaps = [None if t.gaps is None else gaps_of(snapshot, read_gaps(engine.path, t.gaps)) for t in thresholds]
        parts = zip(engine.every_channel, thresholds, gaps, strict=True)
        opened = tuple(replace(channel, threshold=threshold, gaps=own) for channel, threshold, own in parts)
        answering, gallery = len(engine.channels), replace(engine.gallery, snapshot=done)
        engine = replace(engine, gallery=gallery, channels=opened[:answering], companions=opened[answering:])
        return replace(self, engine=engine, has_verdicts=True)


def open_at(path: Path, snapshot: str, *, device: str) -> EngineSystem:
    """Open an index, named after its models, at a snapshot: thresholds of earlier runs are put aside."""
    with Writer(path) as writer:
        writer.restore(snapshot)
    engine = Engine.open(path, device=device, unsilenced=True)
    return EngineSystem("+".join(channel.name for channel in engine.every_channel), engine)


def embed(system: System, pixels: Pixels) -> tuple[QueryEmbedding, ...]:
    """Embeddings of one image, one per channel; none of a system without any."""
    return system.embed(pixels) if isinstance(system, EngineSystem) else ()


@dataclass(frozen=True)
class Entrant:
    """A system in an audit, and its own numbers for the items of the index that queries come from.

    Attributes:
        items: how many that index has.
        numbers: that index's number → its own, for items that it holds; None where both are the same.
    """

    system: System
    items: int
    numbers: Mapping[int, int] | None = None

    def number(self, item: int) -> int | None:
        """Its number of an item; None if it does not hold it."""
        return item if self.numbers is None else self.numbers.get(item)

    def groups(self, items: Groups) -> Groups:
        """Its numbers of the items it holds."""
        found = (self.number(item) for item in items)
        return frozenset(number for number in found if number is not None)


def enter(system: System, base: Engine) -> Entrant:
    """Bring a system into an audit of an index. Hashes are made of its items in its order; indexes have their own."""
    if not isinstance(system, EngineSystem) or system.engine is base:
        return Entrant(system, base.gallery.items)
    theirs = {item.pixels_sha256: number for number, item in enumerate(system.gallery)}
    ours = gallery_items(base)
    numbers = {n: theirs[one.pixels_sha256] for n, one in enumerate(ours) if one.pixels_sha256 in theirs}
    return Entrant(system, len(ours), numbers)
