"""Several sources as one: what an index in parts says is what one process says of the whole, to the last bit.

Each part lists a function of its rows alone (``index_source``): all that are nearer than its ``unseen``. So the
parts hold between them all that the whole would list, and what is too much is left out by the rule of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..indexer.items import Items
from .compared_rows import Rows
from .evidence import Evidence, merge, nothing_from
from .index_source import first_rows, whole_items
from .probe import Probe
from .source import Ask, NoAnswer

Reply = list[Evidence]
"""What ``Source.answer`` returns."""


@dataclass(frozen=True)
class Joined:
    """Parts that hold the rows of an opened index between them, each row once; see ``source.Source``.

    Attributes:
        items: which item each row of the index is of.
        names: of the parts, as answers name those that are silent.
        sizes: live rows of each part.
        ask: asks all parts the same, at once; in their order, None for one that does not answer.
    """

    items: Items
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    ask: Callable[[Sequence[Ask]], Sequence[Reply | None]]

    def __post_init__(self) -> None:
        if sum(self.sizes) != self.items.live_rows or len(self.names) != len(self.sizes):
            raise ValueError(f"parts of {sum(self.sizes)} rows are no index of {self.items.live_rows}")

    @property
    def rows(self) -> int:
        """See :class:`source.Source`."""
        return self.items.live_rows

    def answer(self, asks: Sequence[Ask]) -> list[Evidence]:
        """See :class:`source.Source`."""
        replies = self.ask(asks)
        if all(reply is None for reply in replies):
            raise NoAnswer
        return [self._join(ask, self._pieces(ask.probe, number, replies)) for number, ask in enumerate(asks)]

    def _pieces(self, probe: Probe, number: int, replies: Sequence[Reply | None]) -> list[Evidence]:
        """What the parts say to one of the asks."""
        parts = zip(replies, self.names, self.sizes, strict=True)
        return [nothing_from(probe, size, (name,)) if reply is None else reply[number] for reply, name, size in parts]

    def _join(self, ask: Ask, pieces: Sequence[Evidence]) -> Evidence:
        """The evidence of all parts as that of one."""
        seen = merge(pieces)
        listed, unseen = seen.listed, seen.unseen
        if ask.nearest:
            listed, unseen = first_rows(listed, ask.nearest, ask.probe.score, unseen)
        whole = np.concatenate([ask.own, whole_items(self.items, listed.ids)])
        rivals = None if seen.rivals is None else self._named(seen.rivals)
        own = self._named(seen.own)
        return replace(seen, listed=self._named(listed), own=own, whole=whole, unseen=unseen, rivals=rivals)

    def _named(self, rows: Rows) -> Rows:
        """With the first row that the whole index has of each item."""
        return replace(rows, firsts=self.items.first_rows(self.items.groups[rows.ids])) if len(rows) else rows
