"""A labelled gallery in memory: rows embedded once, with the label of each; searched exactly, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import TypeVar

import numpy as np
import torch

from ...core.errors import UsageError
from ...core.numerics import norm
from ...core.parallel import in_order
from ...datasets.labelled import LabelledImage, LabelledSet
from ...datasets.pixels import check_side, decode_image, resized
from ...datasets.rows import RejectedRow, RowError
from ...embedding.contract import Embedder
from ...images.edits import Pixels
from ...images.policy import DecodePolicy
from ...images.resize import resize_operator
from ...indexer.embed import FLAT, forward
from ...indexer.row_lengths import check_rows
from ...indexer.vectors import Float32, RowStore
from ...retrieval.channel import Channel, Float64

_BATCH = 32
_T = TypeVar("_T")


@dataclass(frozen=True)
class LabelledGallery:
    """Rows and what they show.

    Attributes:
        channel: the embedder and its rows; ``channel.groups`` is the number of each row's label.
        labels: the labels by number.
        names: the rows' files.
        rejects: images that are not in it, and why.
    """

    channel: Channel
    labels: tuple[str, ...]
    names: tuple[str, ...]
    rejects: tuple[RejectedRow, ...]

    @cached_property
    def rows(self) -> Float64:
        """(N, d) float64, unit rows for cosine: the numbers that define the gallery."""
        return self.channel.rows64(np.arange(self.channel.store.rows))

    def number_of(self, label: str) -> int:
        """Of a label; −1 where no row has it."""
        return self.labels.index(label) if label in self.labels else -1


def open_labelled(
    data: LabelledSet, *, side: int | None, workers: int
) -> Iterator[tuple[LabelledImage, Pixels] | RejectedRow]:
    """Decode the images of a labelled folder in order; a bad one is a reject, and the rest go on.

    Args:
        data: as loaded.
        side: S, images are resized to S×S by Pillow's antialiased bilinear filter; None leaves them as they are.
        workers: decoding threads.
    """
    check_side(side)
    return in_order(partial(_decoded, side), data.rows, workers=workers)


def embed_gallery(
    embedder: Embedder, data: LabelledSet, *, side: int | None, workers: int, advance: Callable[[], None]
) -> LabelledGallery:
    """Embed every image of a labelled folder; float32, as an index does: rows are constants.

    Args:
        embedder: certified or not.
        data: the folder.
        side: see :func:`open_labelled`.
        workers: decoding threads.
        advance: called after each image.

    Raises:
        UsageError: where no image can be used.
    """
    rows, labels, names, rejects = [], [], [], []
    outcomes = open_labelled(data, side=side, workers=workers)
    for batch in _batches(outcomes, _BATCH):
        good = [one for one in batch if not isinstance(one, RejectedRow)]
        rejects += [one for one in batch if isinstance(one, RejectedRow)]
        for (image, _), row in zip(good, _embedded(embedder, [pixels for _, pixels in good]), strict=True):
            kept = _stored(row, embedder)
            if kept is None:
                rejects.append(RejectedRow(image.name, "flat", f"flat to {embedder.name}", image.name))
                continue
            rows.append(kept)
            labels.append(image.label)
            names.append(image.name)
        for _ in batch:
            advance()
    if not rows:
        why = f"; the first: {rejects[0]}" if rejects else ""
        raise UsageError(f"{data.folder} has no image that {embedder.name} can embed{why}")
    every = tuple(sorted(set(labels)))
    numbers = np.array([every.index(label) for label in labels], dtype=np.int64)
    return LabelledGallery(_channel(embedder, np.stack(rows), numbers), every, tuple(names), tuple(rejects))


def _channel(embedder: Embedder, rows: Float32, labels: np.ndarray) -> Channel:
    store = RowStore((rows,), (0, len(rows)), embedder.dim, embedder.score)
    check_rows(store, embedder.name)
    return Channel(embedder.name, embedder, store, labels, None)


def _decoded(side: int | None, image: LabelledImage) -> tuple[LabelledImage, Pixels] | RejectedRow:
    try:
        pixels = decode_image(image.file, image.name, policy=DecodePolicy())
    except RowError as error:
        return error.at(image.name)
    return image, pixels if side is None else resized(pixels, side)


def _embedded(embedder: Embedder, images: list[Pixels]) -> Float64:
    """(n, d) float64 of images of any sizes, computed in float32."""
    inputs = [_input(image, embedder.input_size) for image in images]
    return forward(embedder, torch.stack(inputs)) if inputs else np.empty((0, embedder.dim))


def _input(pixels: Pixels, size: tuple[int, int]) -> torch.Tensor:
    x = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32, order="C")).div_(255.0)
    return resize_operator((pixels.shape[0], pixels.shape[1]), size).apply(x)


def _stored(row: Float64, embedder: Embedder) -> Float32 | None:
    """The row as an index would store it; None where it cannot be compared."""
    if not np.isfinite(row).all():
        return None
    if embedder.score != "cosine":
        return row.astype(np.float32)
    length = float(norm(row))
    shortest = FLAT if embedder.lipschitz is not None else 0.0
    return (row / length).astype(np.float32) if length > shortest else None


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
