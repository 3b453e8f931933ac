"""Perceptual hashes as baselines: nearest by Hamming distance, one threshold, no certificates.

| hash | bits | from |
|---|---|---|
| `phash` | 64 | `imagehash.phash`: signs of the low frequencies of a 32×32 DCT |
| `dhash` | 64 | `imagehash.dhash`: signs of horizontal differences of a 9×8 reduction |
| `pdq` | 256 | `pdqhash.compute`: Meta's PDQ, a 64×64 luma DCT |

The nearest item is the one with the smallest distance; **ties go to the first row**, as in the engine, and the rows of
the gallery come before those of the distractors: a tie is settled in favour of the baseline. One row per item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...attacks.media import Bytes
from ...core.errors import ImageRejected, ModelError, UsageError
from ...core.parallel import in_order
from ...images.policy import DecodePolicy
from ...indexer.entries import Entry

Words = npt.NDArray[np.uint64]
"""Bits of hashes: (rows, bits ÷ 64)."""


def phash(pixels: Bytes) -> npt.NDArray[np.bool_]:
    """64 bits."""
    import imagehash

    return np.asarray(imagehash.phash(Image.fromarray(pixels)).hash).ravel()


def dhash(pixels: Bytes) -> npt.NDArray[np.bool_]:
    """64 bits."""
    import imagehash

    return np.asarray(imagehash.dhash(Image.fromarray(pixels)).hash).ravel()


def pdq(pixels: Bytes) -> npt.NDArray[np.bool_]:
    """256 bits."""
    pdqhash = import_module("pdqhash")  # by name: it has no wheel for every Python, and type checkers may not have it

    return np.asarray(pdqhash.compute(np.ascontiguousarray(pixels))[0], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Hash:
    """One perceptual hash.

    Attributes:
        apply: (H, W, 3) uint8 → (bits,) bool.
        package: where it comes from, a package of the extra ``baselines``.
    """

    name: str
    bits: int
    apply: Callable[[Bytes], npt.NDArray[np.bool_]]
    package: str


HASHES: dict[str, Hash] = {
    one.name: one
    for one in (
        Hash("phash", 64, phash, "imagehash"),
        Hash("dhash", 64, dhash, "imagehash"),
        Hash("pdq", 256, pdq, "pdqhash"),
    )
}
"""Every hash by name."""


def check_hash(name: str) -> Hash:
    """Look a hash up and make sure that it can be computed here.

    Raises:
        UsageError: no such hash.
        ModelError: its package is not installed.
    """
    if name not in HASHES:
        raise UsageError(f"no hash is called {name!r}; choose from {', '.join(HASHES)}")
    chosen = HASHES[name]
    try:
        chosen.apply(np.zeros((8, 8, 3), dtype=np.uint8))
    except ImportError as error:
        raise ModelError(f"{name} needs {chosen.package}: pip install 'retr[baselines]' ({error})") from error
    return chosen


def pack(bits: npt.NDArray[np.bool_]) -> Words:
    """(bits,) bool → (bits ÷ 64,) words."""
    return np.packbits(bits).view(np.uint64)


def hamming(words: Words, query: Words) -> npt.NDArray[np.int64]:
    """(rows,) numbers of bits in which each row of words differs from the query's (bits ÷ 64,)."""
    return np.bitwise_count(words ^ query).sum(axis=1, dtype=np.int64)


def why_uncertified(name: str) -> str:
    """The reason that stands in place of a hash's certificates."""
    return f"{name} is uncertified: a hash has no proved radius"


def hash_images(
    chosen: Hash, entries: Sequence[Entry], policy: DecodePolicy, *, workers: int, advance: Callable[[], None]
) -> Iterator[tuple[Words, str] | ImageRejected]:
    """(words, SHA-256 of the pixels) of every image in order, or why it is none.

    Args:
        chosen: the hash.
        entries: images.
        policy: how they are decoded.
        workers: decoding threads.
        advance: called after each image.
    """

    def one(entry: Entry) -> tuple[Words, str] | ImageRejected:
        image = entry.attempt(policy)
        return image if isinstance(image, ImageRejected) else (pack(chosen.apply(image.pixels)), image.pixels_sha256)

    for found in in_order(one, entries, workers=workers):
        advance()
        yield found
