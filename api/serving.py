"""What a service needs of an index beside its answers: items by id, pictures, and decoding of files from strangers."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..core.errors import ImageRejected
from ..images.decode import DecodedImage
from ..images.isolated import IsolatedDecoder
from ..images.policy import DecodePolicy
from ..indexer.addresses import is_url
from ..indexer.entries import read_named
from ..indexer.gallery import Gallery
from ..indexer.held import among
from ..indexer.integrity import check_content
from ..indexer.labels import labels_of
from ..indexer.snapshot import current_id
from .index import Index

__all__ = [
    "Decoder",
    "Item",
    "check_stored",
    "current_snapshot",
    "ids_of",
    "item_of",
    "items_with_pixels",
    "labels_in",
    "limited",
    "png",
    "thumbnail",
]

Levels = npt.NDArray[np.uint8]
"""(H, W, 3)."""
_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Item:
    """One file of an index, as its catalog has it.

    Attributes:
        id: in the catalog; path: its file, or URI.
        width, height: as decoded; format: of the file; bytes: its size.
        bytes_sha256, pixels_sha256: digests.
        labels: what users told of it.
    """

    id: str
    path: str
    width: int
    height: int
    format: str
    bytes: int
    bytes_sha256: str
    pixels_sha256: str
    labels: dict[str, str]


class Decoder:
    """Decodes files from strangers, in processes that are killed when they take too much time or memory.

    Safe to call from many threads; so many files are decoded at once.

    Args:
        workers: processes; they begin at once.
        seconds: processor time that one file may take.
        max_pixels, max_bytes: of one image; larger ones are refused before they are decoded.
    """

    def __init__(self, workers: int, *, seconds: float, max_pixels: int, max_bytes: int) -> None:
        self._isolated = IsolatedDecoder(workers, seconds=seconds, memory=2**28 + 13 * max_pixels)
        self._isolated.begin()
        self._most = (max_pixels, max_bytes)

    def __call__(self, data: bytes, policy: DecodePolicy) -> DecodedImage:
        """The pixels that a file stands for under an index's policy.

        Raises:
            ImageRejected: no acceptable image, or one that takes too much.
        """
        return self._isolated(data, policy=limited(policy, *self._most))

    @property
    def processes(self) -> list[int]:
        """Ids of the workers that are running."""
        return self._isolated.processes

    def close(self) -> None:
        """End the workers."""
        self._isolated.close()


def limited(policy: DecodePolicy, max_pixels: int, max_bytes: int) -> DecodePolicy:
    """The same rules with smaller limits; whatever passes them becomes the same pixels."""
    return replace(policy, max_pixels=min(policy.max_pixels, max_pixels), max_bytes=min(policy.max_bytes, max_bytes))


def check_stored(index: Index) -> None:
    """Whether the files behind an open index are still those it opened; what was read before is not read again.

    Raises:
        IntegrityError: one is missing, or differs from its SHA-256.
    """
    check_content(index.path, index.engine.gallery.snapshot)


def current_snapshot(index: Index) -> str | None:
    """Id of the snapshot that its folder is at by now."""
    return current_id(index.path)


def item_of(index: Index, name: str) -> Item | None:
    """The item of an id, at the snapshot that is open, in a negative bank or not; None where there is none."""
    return next((_item(index, one, place) for one, place in _found(index, "id", [name])), None)


def items_with_pixels(index: Index, digests: Iterable[str]) -> dict[str, Item]:
    """SHA-256 of pixels → the first item that has them, of those that the open snapshot holds."""
    found: dict[str, Item] = {}
    for gallery, place in _found(index, "pixels_sha256", digests):
        item = _item(index, gallery, place)
        found.setdefault(item.pixels_sha256, item)
    return found


def _found(index: Index, column: str, values: Iterable[str]) -> Iterator[tuple[Gallery, int]]:
    """Rows with one of some values, of items that are there, blank ones and those of negative banks too."""
    wanted = list(values)
    if not wanted:
        return  # of a million rows even that takes its time
    for engine in (index.engine, *(bank for _, bank in index.engine.banks)):
        gallery = engine.gallery
        shown = gallery.live.copy()
        shown[gallery.blank] = True
        yield from ((gallery, int(row)) for row in np.flatnonzero(among(gallery.catalog[column], wanted) & shown))


def _item(index: Index, gallery: Gallery, place: int) -> Item:
    row = gallery.describe(place)
    known = {field: row[field] for field in Item.__slots__ if field != "labels"}
    return Item(**known, labels=dict(labels_in(index).get(str(row["path"]), {})))  # type: ignore[arg-type]


def labels_in(index: Index) -> dict[str, dict[str, str]]:
    """Path → key → value, of all items that have labels, at the snapshot that is open."""
    return labels_of(index.path, index.engine.gallery.snapshot).by_path


def ids_of(index: Index, paths: Iterable[str]) -> dict[str, str]:
    """Path → id, of those paths that the open snapshot holds; of several contents the last, which is live."""
    wanted = sorted(set(paths))
    rows = (gallery.describe(place) for gallery, place in _found(index, "path", wanted))
    return {str(row["path"]): str(row["id"]) for row in rows}


def thumbnail(item: Item, policy: DecodePolicy, side: int, decode: Decoder) -> bytes | None:
    """A small picture of an item's file, decoded and written anew as WebP: nothing of the file itself comes along.

    Args:
        item: of an index.
        policy: that of the index.
        side: the longer one, at most.
        decode: decodes its file.

    Returns:
        None where the file is not there, or is not the image any more that was indexed; nor is it fetched from a URL.
    """
    if is_url(item.path):
        return None
    try:
        found = decode(read_named(item.path, policy), policy)
    except ImageRejected:
        return None
    if found.pixels_sha256 != item.pixels_sha256:
        return None
    picture = Image.fromarray(found.pixels, mode="RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    picture.save(sink, "WEBP", quality=_QUALITY, method=2)
    return sink.getvalue()


def png(levels: Levels) -> bytes:
    """(H, W, 3) uint8 as a PNG, which keeps every value."""
    sink = io.BytesIO()
    Image.fromarray(levels, mode="RGB").save(sink, "PNG", compress_level=1)
    return sink.getvalue()
