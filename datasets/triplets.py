"""What every two-alternative forced choice (2AFC) data set becomes: triplets of files, and what people preferred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..core.files import digest_json


@dataclass(frozen=True, slots=True)
class Triplet:
    """A reference, two candidates, and how people judged them.

    Attributes:
        name: unique in its data set.
        reference: image file.
        left: image file of candidate 0.
        right: image file of candidate 1.
        preference: share of people who found ``right`` nearer to the reference, in [0, 1].
        votes: how many people judged, or None where the data set does not say.
        group: the part of the data set it belongs to (a kind of distortion), or "".
    """

    name: str
    reference: Path
    left: Path
    right: Path
    preference: float
    votes: int | None = None
    group: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.preference <= 1.0:
            raise ValueError(f"a preference is a share between 0 and 1, got {self.preference!r}")
        if self.votes is not None and self.votes < 1:
            raise ValueError(f"a judged triplet has at least one vote, got {self.votes!r}")

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """Reference, left, right."""
        return self.reference, self.left, self.right


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row of a data set that cannot be used.

    Attributes:
        name: where it stands (``line 7``, ``cnn/000012``).
        reason: a short stable name, the key of counts.
        detail: a sentence for people.
    """

    name: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class TripletSet:
    """One split of a data set. Every row is accounted for: seen = kept + skipped + rejected.

    Attributes:
        layout: which loader read it.
        folder: where it lies.
        split: which part of it.
        triplets: what can be used, in the data set's order.
        skipped: reason → good rows left out on purpose (another split, too few votes).
        rejects: rows that are wrong.
    """

    layout: str
    folder: Path
    split: str
    triplets: tuple[Triplet, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    rejects: tuple[RejectedRow, ...] = ()

    @property
    def seen(self) -> int:
        """Rows of the data set that were looked at."""
        return len(self.triplets) + sum(self.skipped.values()) + len(self.rejects)

    def reject_counts(self) -> dict[str, int]:
        """Reason → how many."""
        return dict(sorted(Counter(row.reason for row in self.rejects).items()))

    def digest(self) -> str:
        """Hex SHA-256 over the rows kept: files by their place in the folder, and judgements. Not over pixels."""
        rows = [
            [t.name, *(p.relative_to(self.folder).as_posix() for p in t.files), t.preference] for t in self.triplets
        ]
        return digest_json({"layout": self.layout, "split": self.split, "rows": rows})


class RowError(Exception):
    """A row is wrong; loaders turn it into a :class:`RejectedRow`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail

    def at(self, name: str) -> RejectedRow:
        """The record of it."""
        return RejectedRow(name, self.reason, self.detail)
