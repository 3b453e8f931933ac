"""What every two-alternative forced choice (2AFC) data set becomes: triplets, and what people preferred."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from .rows import RowSet

ImageT = TypeVar("ImageT")
"""A file on disk, or pixels."""


# No slots here: in Python 3.11, Triplet[Path](…) of a frozen class with slots is a TypeError.
@dataclass(frozen=True)
class Triplet(Generic[ImageT]):
    """A reference, two candidates, and how people judged them. Loaders give files, :mod:`.pixels` arrays.

    Attributes:
        name: unique in its data set.
        reference: the image that both candidates are compared with.
        left: candidate 0.
        right: candidate 1.
        preference: share of people who found ``right`` nearer to the reference, in [0, 1].
        votes: how many people judged, or None where the data set does not say.
        group: the part of the data set it belongs to (a kind of distortion), or "".
    """

    name: str
    reference: ImageT
    left: ImageT
    right: ImageT
    preference: float
    votes: int | None = None
    group: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.preference <= 1.0:
            raise ValueError(f"a preference is a share between 0 and 1, got {self.preference!r}")
        if self.votes is not None and self.votes < 1:
            raise ValueError(f"a judged triplet has at least one vote, got {self.votes!r}")

    @property
    def images(self) -> tuple[ImageT, ImageT, ImageT]:
        """Reference, left, right."""
        return self.reference, self.left, self.right

    @property
    def files(self: Triplet[Path]) -> tuple[Path, Path, Path]:
        """The same, where they are files."""
        return self.images

    @property
    def unanimous(self) -> bool:
        """Whether nobody judged otherwise."""
        return self.preference in (0.0, 1.0)

    def facts(self: Triplet[Path], folder: Path) -> list[Any]:
        """What a digest is taken over."""
        return [self.name, *(path.relative_to(folder).as_posix() for path in self.files), self.preference]


class TripletSet(RowSet[Triplet[Path]]):
    """One split of a 2AFC data set, as files. Every row is accounted for: seen = kept + skipped + rejected."""

    @property
    def triplets(self) -> tuple[Triplet[Path], ...]:
        """What can be used, in the data set's order."""
        return self.rows


def only_unanimous(data: TripletSet) -> TripletSet:
    """The papers' subset: triplets that all people judged alike (Ghildyal & Liu, TMLR 2023; LipSim)."""
    return data.keep(lambda triplet: triplet.unanimous, "not-unanimous")
