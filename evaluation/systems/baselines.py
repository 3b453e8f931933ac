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

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...core.errors import ImageRejected, ModelError, UsageError
from ...core.files import digest_json
from ...core.parallel import in_order
from ...core.rounded import budget_text
from ...images.policy import DecodePolicy
from ...indexer.sources import Entry
from ..shared.images import listing_digest
from .copy_system import Found, Pixels

Words = npt.NDArray[np.uint64]
"""Bits of hashes: (rows, bits ÷ 64)."""


def phash(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """64 bits."""
    import imagehash

    return np.asarray(imagehash.phash(Image.fromarray(pixels)).hash).ravel()


def dhash(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """64 bits."""
    import imagehash

    return np.asarray(imagehash.dhash(Image.fromarray(pixels)).hash).ravel()


def pdq(pixels: Pixels) -> npt.NDArray[np.bool_]:
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
    apply: Callable[[Pixels], npt.NDArray[np.bool_]]
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


@dataclass(frozen=True)
class HashSystem:
    """Hashes of a gallery and its distractors.

    Attributes:
        words: (rows, bits ÷ 64), the gallery's rows first.
        items: SHA-256 of each row's pixels; paths: their names.
        gallery_rows: how many rows are the gallery's.
        limit: largest distance that counts as a copy, −1 for none; None before calibration.
        samples: negatives it was set on.
    """

    hash: Hash
    words: Words
    items: npt.NDArray[np.str_]
    paths: npt.NDArray[np.str_]
    gallery_rows: int
    limit: int | None = None
    samples: int = 0

    @property
    def name(self) -> str:
        """Of the hash."""
        return self.hash.name

    @property
    def digest(self) -> str:
        """Of the hash and its package's version."""
        return digest_json([self.name, self.hash.package, version(self.hash.package)])

    def calibrate(self, negatives: Iterable[Sequence[Pixels]], *, fpr: float) -> HashSystem:
        """The largest distance below the one that split conformal prediction allows (``retrieval.calibrate``).

        Raises:
            UsageError: too few negatives.
        """
        nearest = np.sort(np.concatenate([self._nearest(batch)[0] for batch in negatives]))
        n = len(nearest)
        beyond = n - math.ceil((1 - Fraction(str(fpr))) * (n + 1))
        if beyond < 0:
            raise UsageError(
                f"{n} negatives cannot support a false-match rate of {budget_text(fpr)}; give more, or raise fpr"
            )
        return replace(self, limit=int(nearest[beyond]) - 1, samples=n)

    def find(self, images: Sequence[Pixels]) -> list[Found]:
        """The nearest row of each query; uncertified."""
        began = time.perf_counter()
        pairs = list(zip(*self._nearest(images), strict=True))
        share = (time.perf_counter() - began) / max(1, len(images))
        return [self._found(int(distance), int(row), share) for distance, row in pairs]

    def _found(self, distance: int, row: int, seconds: float) -> Found:
        return Found(
            item=str(self.items[row]),
            path=str(self.paths[row]),
            view="original",
            channel=self.name,
            confidence=float(-distance),
            accepted=None if self.limit is None else distance <= self.limit,
            withheld=why_uncertified(self.name),
            seconds=seconds,
        )

    def _nearest(self, images: Sequence[Pixels]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(distances, rows), ties to the first row."""
        best = np.empty((2, len(images)), dtype=np.int64)
        for place, pixels in enumerate(images):
            distances = hamming(self.words, pack(self.hash.apply(pixels)))
            best[:, place] = distances.min(), distances.argmin()
        return best[0], best[1]

    def facts(self) -> dict[str, object]:
        """For the records: what is stored, and what a gallery item costs."""
        size = self.hash.bits // 8
        threshold = {"channel": self.name, "value": self.limit, "source": "calibrated", "samples": self.samples}
        return {
            "items": len(np.unique(self.items[: self.gallery_rows])),
            "rows": len(self.words),
            "gallery_rows": self.gallery_rows,
            "bytes_per_item": float(size),
            "rejected": None,
            "thresholds": [threshold],
        }


def pack(bits: npt.NDArray[np.bool_]) -> Words:
    """(bits,) bool → (bits ÷ 64,) words."""
    return np.packbits(bits).view(np.uint64)


def hamming(words: Words, query: Words) -> npt.NDArray[np.int64]:
    """(rows,) numbers of bits in which each row of words differs from the query's (bits ÷ 64,)."""
    return np.bitwise_count(words ^ query).sum(axis=1, dtype=np.int64)


def why_uncertified(name: str) -> str:
    """The reason that stands in place of a hash's certificates."""
    return f"{name} is uncertified: a hash has no proved radius"


def hash_system(
    name: str,
    gallery: Sequence[Entry],
    distractors: Sequence[Entry],
    *,
    out: Path,
    workers: int,
    advance: Callable[[], None] = lambda: None,
) -> HashSystem:
    """Hash every image, or take the hashes of an earlier run over the same files.

    Args:
        name: a key of :data:`HASHES`.
        gallery: queried items.
        distractors: the other rows.
        out: folder where hashes are kept.
        workers: decoding threads.
        advance: called after each image.
    """
    chosen = check_hash(name)
    key = digest_json([name, version(chosen.package), listing_digest(gallery), listing_digest(distractors)])
    file = out / f"hashes-{name}-{key[:16]}.npz"
    if not file.exists():
        out.mkdir(parents=True, exist_ok=True)
        _write(file, _hash_all(chosen, gallery, distractors, workers, advance))
    with np.load(file, allow_pickle=False) as stored:
        return HashSystem(chosen, stored["words"], stored["items"], stored["paths"], int(stored["gallery_rows"]))


def _hash_all(
    chosen: Hash, gallery: Sequence[Entry], distractors: Sequence[Entry], workers: int, advance: Callable[[], None]
) -> dict[str, np.ndarray]:
    policy = DecodePolicy()
    words, items, paths, gallery_rows = [], [], [], 0

    def one(entry: Entry) -> tuple[Words, str] | None:
        image = entry.attempt(policy)
        return None if isinstance(image, ImageRejected) else (pack(chosen.apply(image.pixels)), image.pixels_sha256)

    entries = [*gallery, *distractors]
    for place, found in enumerate(in_order(one, entries, workers=workers)):
        advance()
        if found is not None:
            words.append(found[0])
            items.append(found[1])
            paths.append(entries[place].name)
            gallery_rows += place < len(gallery)
    stacked = np.stack(words) if words else np.empty((0, chosen.bits // 64), dtype=np.uint64)
    return {
        "words": stacked,
        "items": np.array(items),
        "paths": np.array(paths),
        "gallery_rows": np.array(gallery_rows),
    }


def _write(file: Path, arrays: dict[str, np.ndarray]) -> None:
    part = file.with_suffix(".part")
    with part.open("wb") as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]
    part.replace(file)
