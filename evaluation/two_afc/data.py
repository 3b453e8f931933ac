"""The data sets of a 2AFC benchmark, by the words a user writes: ``LAYOUT:FOLDER``, or a folder that tells itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import UsageError
from ...datasets.layouts import load_triplets
from ...datasets.nights import MIN_VOTES
from ...datasets.pixels import LazyTriplets, open_images
from ...datasets.specs import AUTO, NAMES, read_spec
from ...datasets.synthetic import COUNT, LAYOUT, synthetic
from ...images.policy import DecodePolicy

_DEFAULT_SIDE = 64


@dataclass(frozen=True)
class Choice:
    """Which triplets of a data set, and how large.

    Attributes:
        split: of a layout that has several; where empty, the one that the papers evaluate on.
        kinds: kinds of distortion, of BAPPS and synthetic triplets; all where empty.
        unanimous: only triplets that all people judged alike, the papers' subset.
        side: of the images in pixels; None as they lie on disk, which is 64 for synthetic ones.
        limit: at most so many, drawn by seed; None for all of them (synthetic: 1000, or what the photos give).
        seed: of the sample, and of synthetic triplets.
    """

    split: str = ""
    kinds: tuple[str, ...] = ()
    unanimous: bool = False
    side: int | None = None
    limit: int | None = None
    seed: int = 0


def open_data(spec: str, choice: Choice, *, policy: DecodePolicy) -> LazyTriplets:
    """The triplets that a spec names.

    Args:
        spec: ``LAYOUT:FOLDER`` with a layout of NAMES, or a folder whose content tells its layout.
        choice: which of them.
        policy: how images are decoded.

    Raises:
        UsageError: for an unknown layout, a folder of another one, or a choice that it does not offer.
    """
    if choice.limit is not None and choice.limit < 1:
        raise UsageError(f"limit must be at least 1, got {choice.limit}")
    layout, folder = read_spec(spec)
    if layout == LAYOUT:
        return _made(folder, choice, policy)
    if layout == AUTO and not folder.is_dir():
        raise UsageError(f"{spec!r} is neither a folder nor LAYOUT:FOLDER with {', '.join(NAMES)}")
    data = load_triplets(
        folder,
        layout=layout,
        split=choice.split,
        kinds=choice.kinds,
        min_votes=MIN_VOTES,
        unanimous=choice.unanimous,
    )
    found = open_images(data, side=choice.side, policy=policy)
    return found if choice.limit is None else found.sample(min(choice.limit, len(found)), seed=choice.seed)


def _made(folder: Path, choice: Choice, policy: DecodePolicy) -> LazyTriplets:
    """Synthetic triplets are unanimous, and have no splits."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of photographs")
    if choice.split not in ("", "all"):
        raise UsageError(f"synthetic triplets have no split {choice.split!r}")
    side, count = choice.side or _DEFAULT_SIDE, choice.limit or COUNT
    return synthetic(folder, side=side, count=count, kinds=choice.kinds, seed=choice.seed, policy=policy)


def chunks(data: LazyTriplets, size: int) -> Iterator[LazyTriplets]:
    """Some triplets at a time, in order."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
