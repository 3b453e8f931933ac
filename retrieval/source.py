"""Sources: whatever holds rows and answers probes with evidence: an opened index, a part of one, another machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..indexer.items import NO_KEYS, Keys
from .evidence import Evidence
from .probe import Probe


class NoAnswer(Exception):  # noqa: N818 - a silent part of an index is an outcome that answers tell of
    """A source cannot be asked: its rows count as not scanned, and no certificate is given without them."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a source is asked about one probe.

    Attributes:
        nearest: list about so many of the nearest rows, or
        within: list every row nearer than the first of these distances that ``most`` allows.
        most: a distance with more rows than this is left for the next; None for no limit.
        own: also give every row of these items, near or not. With neither of the others nothing is listed anew.
    """

    probe: Probe
    nearest: int = 0
    within: tuple[float, ...] = ()
    most: int | None = None
    own: Keys = field(default_factory=lambda: NO_KEYS)

    @property
    def lists(self) -> bool:
        """Whether rows are to be listed anew."""
        return bool(self.nearest or self.within)


class Source(Protocol):
    """Rows that can be searched exactly. Safe to use from several threads."""

    @property
    def rows(self) -> int:
        """Number of its live rows: what is missing where it does not answer."""
        ...

    def answer(self, asks: Sequence[Ask]) -> list[Evidence | None]:
        """Evidence for each; None where ``most`` allows none of the distances.

        Where nothing is to be listed, only ``own`` and ``whole`` of the evidence are looked at.

        Raises:
            NoAnswer: it cannot be asked.
        """
        ...
