"""Bulk embedding: prepared files are embedded in batches, channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..core.errors import ImageRejected
from ..embedding.contract import Embedder
from .prepare import Prepared, Recipe, Refused


@dataclass(frozen=True, slots=True)
class Embedded:
    """A batch after embedding.

    Attributes:
        kept: (file, view name) per stored row.
        vectors: per channel (rows, dim) float32; unit rows where the score is cosine.
        refused: files whose embedding cannot be compared.
    """

    kept: list[tuple[Prepared, str]]
    vectors: list[npt.NDArray[np.float32]]
    refused: list[Refused]


def embed_batch(files: Sequence[Prepared], embedders: Sequence[Embedder], recipe: Recipe) -> Embedded:
    """Embed every view of every file in every channel.

    A file whose unedited view has no direction (cosine) or no finite embedding in some channel is refused; another
    view of it with that fault is only left out.
    """
    names = [view.name for view in recipe.views]
    per_channel = [_rows(files, len(names), embedder) for embedder in embedders]
    usable = np.ones((len(files), len(names)), dtype=np.bool_)
    for rows, embedder in zip(per_channel, embedders, strict=True):
        usable &= usable_rows(rows, embedder)
    good = usable[:, 0]
    refused = [Refused(file.path, _why(file)) for file, fine in zip(files, good, strict=True) if not fine]
    usable &= good[:, None]
    kept = [(files[i], names[v]) for i, v in np.argwhere(usable)]
    vectors = [stored_rows(rows[usable], embedder) for rows, embedder in zip(per_channel, embedders, strict=True)]
    return Embedded(kept, vectors, refused)


def _rows(files: Sequence[Prepared], views: int, embedder: Embedder) -> npt.NDArray[np.float64]:  # files views dim
    if not files:
        return np.empty((0, views, embedder.dim))
    batch = torch.stack([file.inputs[embedder.input_size] for file in files])  # b v 3 h w
    rows = forward(embedder, batch.flatten(0, 1))
    return rows.reshape(len(files), views, embedder.dim)


def forward(embedder: Embedder, batch: torch.Tensor) -> npt.NDArray[np.float64]:
    """Embed (b, 3, h, w) in the batch's dtype, wherever the embedder lives; (b, dim) float64 on the CPU."""
    with torch.inference_mode():
        parts = [embedder.forward(part.to(embedder.device)).cpu() for part in batch.split(AT_ONCE)]
    return torch.cat(parts).double().numpy()


AT_ONCE = 1024
"""Inputs per pass: many views of many files would need gigabytes for what is between the layers."""


def usable_rows(rows: npt.NDArray[np.float64], embedder: Embedder) -> npt.NDArray[np.bool_]:
    """Which embeddings of (..., dim) can be compared with others."""
    finite = np.asarray(np.isfinite(rows).all(axis=-1))
    if embedder.score != "cosine":
        return finite
    return finite & (np.linalg.norm(rows, axis=-1) > (FLAT if embedder.lipschitz is not None else 0.0))


FLAT = 1e-3
"""Least length of a certified embedding that has a direction. A flat image comes out of the float32 resize as noise of
about 1e-5; one value of a 256-pixel image changed by one level moves a 1-Lipschitz embedding by about 1e-3."""


def _why(file: Prepared) -> ImageRejected:
    return ImageRejected(
        stage="embed",
        reason="zero-embedding",
        detail="the image is flat for this embedder (or its embedding is not finite): cosine needs a direction",
        byte_count=file.byte_count,
    )


def stored_rows(rows: npt.NDArray[np.float64], embedder: Embedder) -> npt.NDArray[np.float32]:
    """(n, dim) float32 as they are stored: unit rows for cosine."""
    if embedder.score == "cosine":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows, dtype=np.float32)
