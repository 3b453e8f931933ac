"""The photographs that nothing was trained on, cut in two: half for the reference set, half to measure with."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def folder() -> Path:
    """Where ``distractors`` lies: under $RETR_DATA, else beside the repository."""
    root = os.environ.get("RETR_DATA")
    return (Path(root) if root else Path(__file__).resolve().parents[4] / "shared" / "data") / "distractors"


def is_reference(encoded: bytes) -> bool:
    """Which half a file belongs to: whether the SHA-256 of its bytes is even. The other half measures."""
    return hashlib.sha256(encoded).digest()[-1] % 2 == 0


def members(source: Path) -> Iterator[tuple[str, bytes]]:
    """(name, encoded bytes) of the photographs in a folder's shards, in order."""
    for shard in sorted(source.glob("*.tar")):
        with tarfile.open(shard) as archive:
            for member in archive.getmembers():
                stream = archive.extractfile(member) if member.name.endswith(".jpg") else None
                if stream:
                    yield member.name, stream.read()


def photographs(*, reference: bool) -> Iterator[tuple[str, bytes]]:
    """(name, encoded bytes) of one half of the distractors."""
    return ((name, encoded) for name, encoded in members(folder()) if is_reference(encoded) == reference)


def decoded(encoded: bytes) -> Pixels:
    """(H, W, 3) uint8."""
    return np.asarray(Image.open(BytesIO(encoded)).convert("RGB"))
