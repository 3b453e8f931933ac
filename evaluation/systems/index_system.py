"""What an audit asks of a retrieval system, and the systems that are indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from ...attacks.media import Pixels
from ...attacks.target import Sees, Target
from ...retrieval.answer import Answer
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
    """An index, answered by the exact engine.

    Attributes:
        device: where attacks run; answers are float64 on the CPU.
    """

    name: str
    engine: Engine
    kind: Kind = "index"
    device: str = "cpu"

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
        """Embeddings of one image, (H, W, 3) float64 in [0, 1], along the certified path; one per channel."""
        return tuple(channel.embed_query(pixels) for channel in self.engine.channels)

    def target(self, aims: Sequence[Aim], goal: Goal, *, sees: Sees) -> Target:
        """See :class:`System`; the gradient is the system's own, whatever the attack sees."""
        del sees
        return RetrievalTarget(self._attacked, aims, goal)

    @cached_property
    def _attacked(self) -> tuple[Channel, ...]:
        """Its channels with copies of the embedders where attacks run."""
        if self.device == "cpu":
            return self.engine.channels
        return tuple(replace(c, embedder=deepcopy(c.embedder).to(self.device)) for c in self.engine.channels)

    def describe(self) -> dict[str, str]:
        """See :class:`System`."""
        return describe_engine(self.engine)


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
