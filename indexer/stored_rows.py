"""Rows that stay where they are stored until some of them are asked for: no gallery is held in memory twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .mapped import let_go_of
from .vectors import Float32, Ids, RowStore


class SomeRows(Protocol):
    """Rows by their places: an array of them, or :class:`StoredRows`."""

    def __len__(self) -> int: ...

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, dim)."""
        ...

    def __getitem__(self, places: Ids | slice, /) -> Float32:
        """(m, dim) float32."""
        ...


@dataclass(frozen=True)
class StoredRows:
    """Some rows of a channel, in an order of one's own.

    Attributes:
        store: where they are.
        ids: (n,) their global numbers.
    """

    store: RowStore
    ids: Ids

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, dim)."""
        return len(self.ids), self.store.dim

    def __getitem__(self, places: Ids | slice, /) -> Float32:
        return self.store.take(self.ids[places])


def let_go(store: RowStore) -> None:
    """Give memory back that mapped rows have come to take by being looked at; they are read again when asked for."""
    for part in store.parts:
        let_go_of(part)
