"""Sources: whatever holds rows and answers probes with evidence: an opened index, a part of one, another machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..indexer.items import NO_KEYS, Keys
from .claims import Claims
from .evidence import Evidence
from .probe import Probe


class NoAnswer(Exception):  # noqa: N818 - a silent part of an index is an outcome that answers tell of
    """A source cannot be asked: its rows count as not scanned, and no certificate is given without them."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a source is asked about one probe.

    Attributes:
        nearest: list about so many of the nearest rows, or
        within: list every row nearer than this.
        own: also give every row of these items, near or not. With neither of the others nothing is listed anew.
        rejects: also say how far every row rejects the query (T4, T5), up to so many pixels: ``Evidence.rejects``.
        claims: also give every row that might contradict these (cosine): ``Evidence.rivals``.
    """

    probe: Probe
    nearest: int = 0
    within: float | None = None
    own: Keys = field(default_factory=lambda: NO_KEYS)
    rejects: float = 0.0
    claims: Claims | None = None

    @property
    def lists(self) -> bool:
        """Whether rows are to be listed anew."""
        return self.nearest > 0 or self.within is not None


class Source(Protocol):
    """Rows that can be searched exactly. Safe to use from several threads."""

    @property
    def rows(self) -> int:
        """Number of its live rows: what is missing where it does not answer."""
        ...

    def answer(self, asks: Sequence[Ask]) -> list[Evidence]:
        """Evidence for each. Where nothing is to be listed, only what else was asked for is looked at.

        Raises:
            NoAnswer: it cannot be asked.
        """
        ...
