"""What an audit asks of a retrieval system, and the systems that are indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from ..attacks.media import Pixels
from ..attacks.target import Sees, Target
from ..retrieval.answer import Answer
from ..retrieval.engine import Engine
from .retrieval_target import Aim, Goal, RetrievalTarget

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
        """For the records: ``model``, ``model_digest``, ``snapshot`` and ``policy_digest``."""
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """One item of an index: what other systems are to hold too.

    Attributes:
        id: of its first file.
        path: that file, as the catalog writes it (``indexer.corpus.text_to_path`` reads it).
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
    """An index, answered by the exact engine."""

    name: str
    engine: Engine
    kind: Kind = "index"

    @property
    def certified(self) -> bool:
        """See :class:`System`."""
        return self.engine.why_uncertified() is None

    @cached_property
    def _ids(self) -> tuple[str, ...]:
        return tuple(item.id for item in gallery_items(self.engine))

    def items(self) -> Sequence[str]:
        """See :class:`System`."""
        return self._ids

    def answer_many(self, images: Sequence[Pixels], *, k: int, certify: bool = False) -> list[Answer]:
        """See :class:`System`."""
        return self.engine.answer_many(images, k=k, certify=certify)

    def target(self, aims: Sequence[Aim], goal: Goal, *, sees: Sees) -> Target:
        """See :class:`System`; the gradient is the system's own whatever the attack sees."""
        del sees
        return RetrievalTarget(self.engine.channels, aims, goal)

    def describe(self) -> dict[str, str]:
        """See :class:`System`."""
        return {
            "model": self.engine.model,
            "model_digest": "+".join(channel.embedder.digest for channel in self.engine.channels),
            "snapshot": self.engine.snapshot,
            "policy_digest": self.engine.policy.digest,
        }
