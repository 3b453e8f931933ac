"""A teacher: any embedder, asked without gradients; its embeddings brought to a length and to the student's dimension.

The target of an image with teacher embedding t (D numbers) for a student of d numbers is c·P·ℓ·t/‖t‖, where ℓ is the
wanted length (ℓ/‖t‖ is left out for ℓ = 0: raw embeddings) and P a fixed (d, D) matrix that the seed decides:

- D = d: the identity; c = 1.
- D < d: orthonormal columns; c = 1: distances are kept exactly.
- D > d: orthonormal rows; c = √(D/d): squared distances are kept on average over P (Johnson & Lindenstrauss).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ..core.errors import UsageError
from ..core.files import digest_json, sync_directory
from ..core.progress import Progress
from ..embedding.contract import Embedder
from ..embedding.registry import load_embedder
from .data import ImageStore

BLOCK = 32
"""Images that the teacher sees at once."""


class Teacher:
    """Targets for a student.

    Args:
        embedder: certified or not.
        dim: d, of the student.
        length: ℓ ≥ 0.
        seed: of P.

    Raises:
        UsageError: for a negative or infinite length.
    """

    def __init__(self, embedder: Embedder, *, dim: int, length: float, seed: int) -> None:
        if not (math.isfinite(length) and length >= 0):
            raise UsageError(f"the teacher's length must be finite and at least 0 (0 keeps its own), got {length}")
        self.embedder, self.dim, self.length, self.seed = embedder, dim, length, seed
        self.projection = orthogonal_projection(embedder.dim, dim, seed=seed)
        self._device = torch.device("cpu")

    @torch.no_grad()
    def targets(self, images: Tensor) -> Tensor:  # b 3 s s uint8 -> b dim
        """Targets of a batch, float32, on the batch's device; the teacher moves there."""
        self._move(images.device)
        parts = [self._embedded(part) for part in images.split(BLOCK)]
        rows = torch.cat(parts) if self.length == 0 else self.length * functional.normalize(torch.cat(parts), dim=1)
        return rows if self.projection is None else rows @ self.projection.T

    def describe(self) -> dict[str, Any]:
        """Plain JSON for the training record."""
        return {
            "spec": self.embedder.spec,
            "digest": self.embedder.digest,
            "dim": self.embedder.dim,
            "length": self.length,
            "projected_to": None if self.projection is None else self.dim,
            "seed": self.seed,
        }

    def _embedded(self, images: Tensor) -> Tensor:
        return self.embedder.forward(at_size(images, self.embedder.input_size)).float()

    def _move(self, device: torch.device) -> None:
        if device != self._device:
            self.embedder.to(device)
            self.projection = None if self.projection is None else self.projection.to(device)
            self._device = device


def load_teacher(spec: str, *, pretrained: bool, dim: int, length: float, seed: int) -> Teacher:
    """The teacher that a spec names: any of ``embedding.registry.FORMS``.

    Raises:
        UsageError, ModelError, WeightsUnavailable, IntegrityError: as ``load_embedder``.
    """
    return Teacher(load_embedder(spec, pretrained=pretrained), dim=dim, length=length, seed=seed)


def at_size(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(b, 3, s, s) uint8 → (b, 3, h, w) float32 in [0, 1], by the antialiased bilinear filter of ``images.resize``."""
    pixels = images.float().div_(255.0)
    if tuple(images.shape[-2:]) == size:
        return pixels
    return functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)


def orthogonal_projection(source: int, target: int, *, seed: int) -> Tensor | None:
    """c·P, (target, source) float32; None for the identity."""
    if source == target:
        return None
    generator = torch.Generator().manual_seed(seed)
    gauss = torch.randn(max(source, target), min(source, target), generator=generator, dtype=torch.float64)
    columns, triangle = torch.linalg.qr(gauss)
    columns = columns * triangle.diagonal().sign()  # makes P the same whatever signs the decomposition chose
    if source < target:
        return columns.float()
    return (math.sqrt(source / target) * columns.T).float()


def stored_targets(
    teacher: Teacher, store: ImageStore, *, folder: Path, device: str, progress: Progress | None = None
) -> npt.NDArray[np.float32]:
    """(n, dim) targets of every clean image, memory-mapped from a file that is made when it is not there.

    They are computed in order and in fixed blocks, so that a resumed run reads the numbers that it began with.

    Args:
        teacher: asked only where the file is missing.
        store: the images.
        folder: where the file lies; its name is the digest of teacher and images.
        device: where to compute.
        progress: told of every image.
    """
    name = digest_json({"teacher": teacher.describe(), "images": store.digest})[:16]
    file = folder / f"targets-{name}.npy"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        rows = np.empty((len(store), teacher.dim), dtype=np.float32)
        for start, block in _computed(teacher, store, device, progress):
            rows[start : start + len(block)] = block
        partial = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        with partial.open("wb") as handle:
            np.save(handle, rows, allow_pickle=False)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(file)
        sync_directory(folder)
    return np.load(file, mmap_mode="r", allow_pickle=False)


def _computed(
    teacher: Teacher, store: ImageStore, device: str, progress: Progress | None
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    if progress is not None:
        progress.start(len(store), 0)
    for start in range(0, len(store), BLOCK):
        block = as_images(store.pixels[start : start + BLOCK])
        yield start, teacher.targets(block.to(device)).cpu().numpy()
        if progress is not None:
            progress.advance(len(block))


def as_images(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """(b, s, s, 3) → (b, 3, s, s) uint8 tensor, copied."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
