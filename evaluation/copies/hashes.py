"""Perceptual hashes beside the index of a copy benchmark: a row for each image, kept for the next run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ...core.errors import ImageRejected
from ...core.files import digest_json
from ...images.policy import DecodePolicy
from ...indexer.entries import Entry
from ..shared.images import listing_digest
from ..systems.baselines import Hash, check_hash, hash_images
from ..systems.hash_system import HashSpec, HashSystem
from ..systems.hash_target import Hashed
from ..systems.index_system import Item


@dataclass(frozen=True)
class BenchHashes:
    """Hashes of a gallery and its distractors.

    Attributes:
        gallery_rows: how many rows are the gallery's; they come first.
    """

    system: HashSystem
    gallery_rows: int

    def facts(self) -> dict[str, object]:
        """For the records: what is stored, and what a gallery item costs."""
        system = self.system
        value = system.threshold if system.has_verdicts else None
        threshold = {"channel": system.name, "value": value, "source": "calibrated", "samples": system.samples}
        return {
            "items": len({item.pixels_sha256 for item in system.catalog[: self.gallery_rows]}),
            "rows": len(system.catalog),
            "gallery_rows": self.gallery_rows,
            "bytes_per_item": float(system.gallery.hash.bits // 8),
            "rejected": None,
            "thresholds": [threshold],
        }


def open_hashes(
    name: str,
    gallery: Sequence[Entry],
    distractors: Sequence[Entry],
    *,
    out: Path,
    workers: int,
    advance: Callable[[], None] = lambda: None,
) -> BenchHashes:
    """Hash every image, or take the hashes of an earlier run over the same files; nothing is a copy before calibration.

    Args:
        name: a key of ``baselines.HASHES``.
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
        pairs = zip(stored["paths"].tolist(), stored["items"].tolist(), strict=True)
        catalog = tuple(Item(id=digest, path=path, pixels_sha256=digest) for path, digest in pairs)
        spec, hashed = HashSpec(name, -1, given=False), Hashed(chosen, stored["words"], -1)
        return BenchHashes(HashSystem(spec, hashed, catalog, DecodePolicy()), int(stored["gallery_rows"]))


def _hash_all(
    chosen: Hash, gallery: Sequence[Entry], distractors: Sequence[Entry], workers: int, advance: Callable[[], None]
) -> dict[str, np.ndarray]:
    words, items, paths, gallery_rows = [], [], [], 0
    entries = [*gallery, *distractors]
    hashed = hash_images(chosen, entries, DecodePolicy(), workers=workers, advance=advance)
    for place, (entry, found) in enumerate(zip(entries, hashed, strict=True)):
        if not isinstance(found, ImageRejected):
            words.append(found[0])
            items.append(found[1])
            paths.append(entry.name)
            gallery_rows += place < len(gallery)
    stacked = np.stack(words) if words else np.empty((0, chosen.bits // 64), dtype=np.uint64)
    arrays = {"items": np.array(items), "paths": np.array(paths), "gallery_rows": np.array(gallery_rows)}
    return {"words": stacked, **arrays}


def _write(file: Path, arrays: dict[str, np.ndarray]) -> None:
    part = file.with_suffix(".part")
    with part.open("wb") as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]
    part.replace(file)
