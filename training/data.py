"""Training images, decoded once: S×S uint8 pixels in one memory-mapped file, with what they were made of.

Training images are constants, so the exact resize that a certificate needs (``images.resize``) is not needed here:
Pillow's antialiased bilinear filter has the same geometry, rounds to 8 bits, and is many times faster.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..core.errors import ImageRejected, UsageError
from ..core.files import canonical_json, sync_directory, write_atomically
from ..core.parallel import in_order
from ..core.progress import Progress
from ..images.decode import decode
from ..images.policy import DecodePolicy
from .sources import Container, count_images, list_containers, read_images, sources_digest

FORMAT = "retr.images/1"
_AHEAD = 16
"""Images read ahead of the decoders, for each of them."""


@dataclass(frozen=True, eq=False)
class ImageStore:
    """Images of one size, in order.

    Attributes:
        pixels: (n, S, S, 3) uint8 sRGB, squashed to the square, memory-mapped and read-only.
        aspect: (n,) float32, width divided by height of each source image.
        names: (n) member or relative file names; repeated where sources repeat them.
        digest: hex SHA-256 of the pixels, whatever files they came from.
        rejected: (name, reason) of the files that are no acceptable image.
    """

    pixels: npt.NDArray[np.uint8]
    aspect: npt.NDArray[np.float32]
    names: tuple[str, ...]
    digest: str
    rejected: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def side(self) -> int:
        """S."""
        return self.pixels.shape[1]

    def split(self, seed: int, holdout: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows to train on and rows to validate on, each sorted; the same for the same n, seed and holdout.

        Raises:
            UsageError: unless 0 ≤ holdout < n.
        """
        if not 0 <= holdout < len(self):
            raise UsageError(f"a hold-out of {holdout} images is not possible with {len(self)} images; name fewer")
        order = np.random.default_rng([seed, len(self)]).permutation(len(self))
        return np.sort(order[holdout:]), np.sort(order[:holdout])

    def describe(self) -> dict[str, Any]:
        """What a training record says of the data."""
        reasons = Counter(reason for _, reason in self.rejected)
        return {
            "images": len(self),
            "side": self.side,
            "sha256": self.digest,
            "rejected": dict(sorted(reasons.items())),
        }


def open_store(
    sources: Sequence[Path], *, side: int, cache: Path, workers: int, progress: Progress | None = None
) -> ImageStore:
    """The images of the sources at S×S, from the cache where it is still true, else decoded into it.

    Args:
        sources: folders of images, tar shards, folders of shards, image files.
        side: S, 1 to 1024.
        cache: folder for ``images-S.npy`` and ``images-S.json``; made if absent. Stale ones are replaced.
        workers: decoding threads, at least 1.
        progress: told of every image decoded; not called when the cache holds.

    Raises:
        UsageError: for a source, side or number of workers that cannot be, no acceptable image, or too small a disk.
        IntegrityError: for a damaged shard.
    """
    if not 1 <= side <= 1024 or workers < 1:
        raise UsageError(f"an image side is 1 to 1024 and workers at least 1, got side {side} and {workers} workers")
    containers, policy = list_containers(sources), DecodePolicy()
    wanted = sources_digest(containers, side=side, policy=policy)
    files = _Files(cache, side)
    store = files.load(wanted)
    if store is None:
        _build(containers, files, wanted, policy=policy, workers=workers, progress=progress)
        store = files.load(wanted)
    assert store is not None
    return store


@dataclass(frozen=True)
class _Files:
    """The two files of a cache. The JSON is written last and removed first, so it never speaks of other pixels."""

    folder: Path
    side: int

    @property
    def pixels(self) -> Path:
        return self.folder / f"images-{self.side}.npy"

    @property
    def facts(self) -> Path:
        return self.folder / f"images-{self.side}.json"

    def load(self, wanted: str) -> ImageStore | None:
        """The store, or None where there is none, a damaged one, or one of other sources."""
        try:
            facts = json.loads(self.facts.read_text())
            if facts["format"] != FORMAT or facts["sources"] != wanted:
                return None
            pixels = np.load(self.pixels, mmap_mode="r", allow_pickle=False)
            aspect, names = np.asarray(facts["aspect"], np.float32), tuple(facts["names"])
            rejected = tuple((name, reason) for name, reason in facts["rejected"])
            digest = str(facts["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        whole = pixels.dtype == np.uint8 and pixels.shape == (len(names), self.side, self.side, 3) == (
            len(aspect),
            *pixels.shape[1:],
        )
        return ImageStore(pixels, aspect, names, digest, rejected) if whole else None

    def replace(self, pixels: Path, facts: dict[str, Any]) -> None:
        self.facts.unlink(missing_ok=True)
        pixels.replace(self.pixels)
        sync_directory(self.folder)
        write_atomically(self.facts, canonical_json(facts))


_Decoded = tuple[npt.NDArray[np.uint8], float]
"""(S, S, 3) pixels, aspect."""


def _build(
    containers: Sequence[Container],
    files: _Files,
    wanted: str,
    *,
    policy: DecodePolicy,
    workers: int,
    progress: Progress | None,
) -> None:
    """Decode everything into the cache."""
    files.folder.mkdir(parents=True, exist_ok=True)
    total = count_images(containers)
    _require_room(files.folder, total * files.side**2 * 3)
    if progress is not None:
        progress.start(total, 0)
    partial_file = files.folder / f".{files.pixels.name}.{os.getpid()}.tmp"
    try:
        with partial_file.open("wb") as handle:
            decoded = _decoded(read_images(containers, policy=policy), files.side, policy=policy, workers=workers)
            facts = _write(handle, decoded, files.side, progress)
        files.replace(partial_file, {"format": FORMAT, "sources": wanted, **facts})
    finally:
        partial_file.unlink(missing_ok=True)


def _write(
    handle: BinaryIO,
    decoded: Iterable[tuple[str, _Decoded | ImageRejected]],
    side: int,
    progress: Progress | None,
) -> dict[str, Any]:
    """Append the pixels row by row; the header, which states their number, is written again at the end."""
    names, aspects, rejected, digest = [], [], [], hashlib.sha256()
    begin = _write_header(handle, 0, side)
    for name, outcome in decoded:
        if isinstance(outcome, ImageRejected):
            rejected.append([name, outcome.reason])
        else:
            handle.write(outcome[0].data)
            digest.update(outcome[0].data)
            names.append(name)
            aspects.append(float(np.float32(outcome[1])))
        if progress is not None:
            progress.advance(1)
    if not names:
        raise UsageError(f"none of {len(rejected)} files is an acceptable image; the first: {rejected[0]}")
    handle.seek(0)
    assert _write_header(handle, len(names), side) == begin, "numpy keeps room in its header for growth"
    handle.flush()
    os.fsync(handle.fileno())
    return {"names": names, "aspect": aspects, "rejected": rejected, "sha256": digest.hexdigest()}


def _write_header(handle: BinaryIO, count: int, side: int) -> int:
    """The header of a .npy file of (count, side, side, 3) uint8; returns where the data begin."""
    descr = np.lib.format.dtype_to_descr(np.dtype(np.uint8))
    header = {"descr": descr, "fortran_order": False, "shape": (count, side, side, 3)}
    np.lib.format.write_array_header_1_0(handle, header)
    return handle.tell()


def _decoded(
    images: Iterator[tuple[str, bytes | ImageRejected]], side: int, *, policy: DecodePolicy, workers: int
) -> Iterator[tuple[str, _Decoded | ImageRejected]]:
    """Decode on threads, in order, with few images ahead."""

    def work(image: tuple[str, bytes | ImageRejected]) -> tuple[str, _Decoded | ImageRejected]:
        return image[0], _shrunk(image[1], side=side, policy=policy)

    return in_order(work, images, workers=workers, ahead=_AHEAD)


def _shrunk(data: bytes | ImageRejected, *, side: int, policy: DecodePolicy) -> _Decoded | ImageRejected:
    """Decode and squash one image."""
    if isinstance(data, ImageRejected):
        return data
    try:
        image = decode(data, policy=policy)
    except ImageRejected as why:
        return why
    small = Image.fromarray(image.pixels).resize((side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(small), image.width / image.height


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        sizes = f"{needed / 2**30:.1f} GiB and {folder} has {free / 2**30:.1f} GiB free"
        raise UsageError(f"the cache needs {sizes}; name another folder for it")
