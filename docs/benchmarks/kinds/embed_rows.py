"""Unit rows of pictures in the channels of the default index, as an index stores them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from retr.embedding.contract import Embedder
from retr.embedding.registry import load_embedder
from retr.images.resize import resize_operator
from retr.indexer.embed import FLAT

Float32 = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
MODELS: tuple[str, ...] = ("retr_s", "block-means")


def embedders() -> list[Embedder]:
    """Of the default index."""
    torch.set_num_threads(1)
    return [load_embedder(name) for name in MODELS]


def embed(pictures: Iterable[Pixels], models: Sequence[Embedder]) -> list[Float32]:
    """(n, dim) float32 unit rows per model; NaN for a picture that is flat to the model."""
    return [unit(rows) for rows in embed_raw(pictures, models)]


def embed_raw(pictures: Iterable[Pixels], models: Sequence[Embedder]) -> list[Float32]:
    """(n, dim) float32 embeddings per model, of any length."""
    rows: list[list[Float32]] = [[np.empty((0, model.dim), np.float32)] for model in models]
    stream = iter(pictures)
    while batch := list(islice(stream, 128)):
        for found, model in zip(rows, models, strict=True):
            with torch.inference_mode():
                found.append(model.forward(torch.stack([_input(one, model.input_size) for one in batch])).numpy())
    return [np.concatenate(found) for found in rows]


def unit(rows: Float32) -> Float32:
    """Rows of length 1; NaN where a length says nothing."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths > FLAT, rows / np.maximum(lengths, 1e-12), np.nan).astype(np.float32)


def _input(pixels: Pixels, size: tuple[int, int]) -> torch.Tensor:
    x = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32, order="C")).div_(255.0)
    return resize_operator((pixels.shape[0], pixels.shape[1]), size).apply(x)
