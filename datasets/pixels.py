"""Triplets with pixels, decoded or made when they are asked for: what every evaluation reads, whatever the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from ..core.errors import ImageRejected, UsageError
from ..core.files import digest_json
from ..images.decode import load
from ..images.edits import Pixels
from ..images.policy import DecodePolicy
from .rows import RejectedRow, RowError
from .triplets import Triplet, TripletSet

LARGEST_SIDE = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """One triplet, known without its pixels.

    Attributes:
        name: unique in the data set.
        group: its part of the data set, or "".
        preference: share of people who found the right one nearer, in [0, 1].
    """

    name: str
    group: str
    preference: float


@dataclass(frozen=True, eq=False)
class LazyTriplets(Sequence[Triplet[Pixels]]):
    """Triplets of S×S pixels, in order. Nothing is kept: asking twice decodes twice, and gives the same.

    An index out of range is an IndexError, a slice is lazy again. Safe to read from many threads.

    Attributes:
        layout: which loader they are from, or ``synthetic``.
        split: which part of it.
        side: S, or None where images are as they lie on disk, each triplet of one size.
        places: what is known of each triplet without decoding.
        digest: hex SHA-256 over what decides the pixels: rows, judgements, side; not over files' contents.
        source: plain JSON for records: what was seen, kept, skipped and rejected before decoding.
        make: number of a triplet in the source → the triplet; raises RowError, naming the file.
        numbers: which numbers of the source these places are.
    """

    layout: str
    split: str
    side: int | None
    places: tuple[Place, ...]
    digest: str
    source: Mapping[str, Any]
    make: Callable[[int], Triplet[Pixels]] = field(repr=False)
    numbers: tuple[int, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Triplet[Pixels]: ...

    @overload
    def __getitem__(self, index: slice) -> LazyTriplets: ...

    def __getitem__(self, index: int | slice) -> Triplet[Pixels] | LazyTriplets:
        """One triplet, or lazily several.

        Raises:
            UsageError: naming the triplet and the file, where an image cannot be used.
        """
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        try:
            return self.make(self.numbers[index])
        except RowError as error:
            raise UsageError(str(error.at(self.places[index].name))) from None

    def outcomes(self) -> Iterator[Triplet[Pixels] | RejectedRow]:
        """Every triplet in order; one that cannot be used is a reject with file and reason, and the rest go on."""
        for number, place in zip(self.numbers, self.places, strict=True):
            try:
                yield self.make(number)
            except RowError as error:
                yield error.at(place.name)

    def select(self, indices: Sequence[int]) -> LazyTriplets:
        """Only these, in this order.

        Raises:
            IndexError: for an index out of range.
        """
        chosen = tuple(self.numbers[index] for index in indices)
        places = tuple(self.places[index] for index in indices)
        digest = digest_json([self.digest, [place.name for place in places]])
        return replace(self, places=places, numbers=chosen, digest=digest)

    def sample(self, count: int, *, seed: int) -> LazyTriplets:
        """A random subset in the data set's order; who belongs to it depends on names and seed, not on positions.

        Raises:
            UsageError: for fewer than one.
        """
        if count < 1:
            raise UsageError(f"a sample has at least one triplet, got {count}")
        lots = [digest_json(["sample", seed, place.name]) for place in self.places]
        return self.select(sorted(sorted(range(len(self)), key=lots.__getitem__)[:count]))

    def groups(self) -> dict[str, int]:
        """Group → how many triplets."""
        return dict(Counter(place.group for place in self.places))

    def describe(self) -> dict[str, Any]:
        """Plain JSON for records."""
        return {"source": dict(self.source), "side": self.side, "triplets": len(self), "sha256": self.digest}


def open_images(data: TripletSet, *, side: int | None, policy: DecodePolicy | None = None) -> LazyTriplets:
    """The triplets of a split with their pixels.

    Args:
        data: as a loader gives it.
        side: images are resized to S×S by Pillow's antialiased bilinear filter, as the papers do; images of that size
            are not touched. None leaves all as they are; a triplet of several sizes is then a reject.
        policy: how files are decoded.

    Raises:
        UsageError: for a side that cannot be, or a split without a triplet.
    """
    check_side(side)
    if not data.rows:
        raise UsageError(f"{data.folder} has no usable triplet in {data.split}{_why(data)}")
    places = tuple(Place(row.name, row.group, row.preference) for row in data.rows)
    digest = digest_json([data.digest(), side])
    make = partial(_decoded, data, side, policy or DecodePolicy())
    numbers = tuple(range(len(places)))
    return LazyTriplets(data.layout, data.split, side, places, digest, data.describe(), make, numbers)


def check_side(side: int | None) -> None:
    """Refuse a side that cannot be.

    Raises:
        UsageError: unless None or 1 to LARGEST_SIDE.
    """
    if side is not None and not 1 <= side <= LARGEST_SIDE:
        raise UsageError(f"a side is 1 to {LARGEST_SIDE} pixels, got {side}")


def decode_image(path: Path, name: str, *, policy: DecodePolicy) -> Pixels:
    """The pixels of a file, (H, W, 3) uint8.

    Raises:
        RowError: with the reason of the decoder's table, naming the file.
    """
    try:
        return load(path, policy=policy).pixels
    except ImageRejected as error:
        raise RowError(error.reason, f"{error.stage}: {error.detail}", file=name) from None


def resized(pixels: Pixels, side: int) -> Pixels:
    """S×S by the antialiased bilinear filter; the same pixels where they are of that size."""
    if pixels.shape[:2] == (side, side):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


def _decoded(data: TripletSet, side: int | None, policy: DecodePolicy, number: int) -> Triplet[Pixels]:
    row = data.rows[number]
    files = [(path, path.relative_to(data.folder).as_posix()) for path in row.files]
    images = [decode_image(path, name, policy=policy) for path, name in files]
    if side is not None:
        images = [resized(image, side) for image in images]
    for image, (_, name) in zip(images, files, strict=True):
        if image.shape != images[0].shape:
            sizes = " and ".join(f"{x.shape[1]}×{x.shape[0]}" for x in (images[0], image))
            raise RowError("other-size", f"{sizes} pixels, where all three must be of one size", file=name)
    return Triplet(row.name, *images, row.preference, row.votes, row.group)


def _why(data: TripletSet) -> str:
    counts = {**data.skipped, **data.reject_counts()}
    reasons = ", ".join(f"{count} × {reason}" for reason, count in counts.items()) or "the split is empty"
    first = f"; the first: {data.rejects[0]}" if data.rejects else ""
    return f": {reasons}{first}"
