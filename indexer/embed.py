"""Bulk embedding: prepared files are embedded in batches, channel by channel.

| reason | stage | what it means |
|---|---|---|
| `not-finite` | embed | an embedding of the image holds a number that is not finite |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..core.errors import ImageRejected
from ..embedding.contract import Embedder
from .blank import direction
from .catalog import BLANK
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

    A file whose unedited view has no finite embedding in some channel is refused. One that float32 cannot tell from a
    flat one is embedded again in float64; where that gives a cosine no direction either, the file is stored as blank:
    one row that is no part of what is searched. Another view with such a fault is only left out.
    """
    names = [view.name for view in recipe.views]
    per_channel = [
        _rows(files, len(names), embedder, seen=recipe.partly.get(number, len(names)))
        for number, embedder in enumerate(embedders)
    ]
    finite = np.ones(len(files), dtype=np.bool_)
    usable = np.ones((len(files), len(names)), dtype=np.bool_)
    for rows, embedder in zip(per_channel, embedders, strict=True):
        finite &= np.isfinite(rows[:, 0]).all(axis=-1)
        usable &= usable_rows(rows, embedder)
    blank = {
        place
        for place in np.flatnonzero(finite & ~usable[:, 0]).tolist()
        if not _look_again(files[place], place, per_channel, embedders, recipe)
    }
    usable[finite, 0] = True
    usable &= finite[:, None]
    usable[sorted(blank), 1:] = False
    for rows in per_channel:
        rows[sorted(blank), 0] = np.eye(1, rows.shape[-1])[0]  # any number serves: nothing is ever compared with it
    refused = [Refused(file.path, _why(file)) for file, fine in zip(files, finite, strict=True) if not fine]
    kept = [(files[i], BLANK if i in blank else names[v]) for i, v in np.argwhere(usable)]
    vectors = [stored_rows(rows[usable], embedder) for rows, embedder in zip(per_channel, embedders, strict=True)]
    return Embedded(kept, vectors, refused)


def join(parts: Sequence[Embedded]) -> Embedded:
    """Several batches as one, in their order; at least one."""
    vectors = [np.concatenate(rows) for rows in zip(*(part.vectors for part in parts), strict=True)]
    return Embedded([one for p in parts for one in p.kept], vectors, [one for p in parts for one in p.refused])


def _look_again(
    file: Prepared,
    place: int,
    per_channel: Sequence[npt.NDArray[np.float64]],
    embedders: Sequence[Embedder],
    recipe: Recipe,
) -> bool:
    """Put the float64 embeddings of an image that is all but flat in place; False where it has no direction."""
    image = file.again(recipe)
    if image is None:
        return False
    for rows, embedder in zip(per_channel, embedders, strict=True):
        if not usable_rows(rows[place, :1], embedder)[0]:
            found = direction(embedder, image.pixels)
            if found is None:
                return False
            rows[place, 0] = found
    return True


def _rows(files: Sequence[Prepared], views: int, embedder: Embedder, *, seen: int) -> npt.NDArray[np.float64]:
    """(files, views, dim); the row of the first view for those after the first few that are ``seen``."""
    if not files:
        return np.empty((0, views, embedder.dim))
    batch = torch.stack([file.inputs[embedder.input_size] for file in files])  # b v 3 h w
    rows = bulk(embedder, batch[:, :seen].flatten(0, 1)).reshape(len(files), seen, embedder.dim)
    return np.concatenate([rows, np.repeat(rows[:, :1], views - seen, axis=1)], axis=1)


def forward(embedder: Embedder, batch: torch.Tensor) -> npt.NDArray[np.float64]:
    """Embed (b, 3, h, w) in the batch's dtype, wherever the embedder lives; (b, dim) float64 on the CPU."""
    with torch.inference_mode():
        parts = [embedder.forward(part.to(embedder.device)).cpu() for part in batch.split(AT_ONCE)]
    return torch.cat(parts).double().numpy()


def bulk(embedder: Embedder, batch: torch.Tensor) -> npt.NDArray[np.float64]:
    """As :func:`forward`, for rows to store: the quickest way, and the same bits in a batch of any size.

    Backends compute small batches by other kernels, so one of fewer than LEAST images is filled up.
    """
    count = len(batch)
    filled = batch if count >= LEAST else torch.cat([batch, batch.new_zeros(LEAST - count, *batch.shape[1:])])
    with torch.inference_mode():
        parts = [embedder.bulk(part.to(embedder.device)).cpu() for part in _evenly(filled)]
    return torch.cat(parts)[:count].double().numpy()


def _evenly(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Parts of at most AT_ONCE, none of which is a small rest."""
    return batch.tensor_split(-(-len(batch) // AT_ONCE))


LEAST = 16
AT_ONCE = 1024
"""Inputs per pass: many views of many files would need gigabytes for what is between the layers."""


def usable_rows(rows: npt.NDArray[np.float64], embedder: Embedder) -> npt.NDArray[np.bool_]:
    """Which embeddings of (..., dim) can be compared with others."""
    finite = np.asarray(np.isfinite(rows).all(axis=-1))
    if embedder.score != "cosine":
        return finite
    return finite & (np.linalg.norm(rows, axis=-1) > (FLAT if embedder.lipschitz is not None else 0.0))


FLAT = 1e-3
"""Least length of a certified embedding whose direction float32 tells. A flat image comes out of the float32 resize as
noise of about 1e-5; one value of a 256-pixel image changed by one level moves a 1-Lipschitz embedding by about 1e-3."""


def _why(file: Prepared) -> ImageRejected:
    return ImageRejected(
        stage="embed",
        reason="not-finite",
        detail="the embedding of the image holds a number that is not finite",
        byte_count=file.byte_count,
    )


def stored_rows(rows: npt.NDArray[np.float64], embedder: Embedder) -> npt.NDArray[np.float32]:
    """(n, dim) float32 as they are stored: unit rows for cosine."""
    if embedder.score == "cosine":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows, dtype=np.float32)
