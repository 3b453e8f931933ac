"""What a worker does for one file: decode it, make its views, resize each; never raise for a bad file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import ImageRejected
from ..images.decode import DecodedImage, decode
from ..images.isolated import Decoder
from ..images.policy import DecodePolicy
from ..images.resize import resize_operator
from ..images.views import Pixels, View
from .catalog import CatalogRow, RejectRow, item_id
from .entries import Entry, stamp_of
from .places import Stamp


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to do with every file.

    Attributes:
        policy: how it is decoded; decode: by what.
        views: what is stored of it.
        sizes: input sizes of the channels that see every view.
        partly: by their numbers, how many of the views some channels see, from the first: that one's row stands for
            those that they do not.
        few: by their input sizes, those that are not among ``sizes``, the same.
    """

    policy: DecodePolicy
    views: tuple[View, ...]
    sizes: tuple[tuple[int, int], ...]
    decode: Decoder = decode
    partly: Mapping[int, int] = field(default_factory=dict)
    few: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @staticmethod
    def of(
        policy: DecodePolicy,
        views: tuple[View, ...],
        inputs: Sequence[tuple[int, int]],
        decode: Decoder = decode,
        partly: Mapping[int, int] | None = None,
    ) -> Recipe:
        """The recipe for channels with these input sizes, of which some see the first views alone."""
        seen = {number: min(count, len(views)) for number, count in (partly or {}).items()}
        sizes = tuple({size for number, size in enumerate(inputs) if number not in seen})
        few: dict[tuple[int, int], int] = {}
        for number, count in seen.items():
            if inputs[number] not in sizes:
                few[inputs[number]] = max(count, few.get(inputs[number], 0))
        return Recipe(policy, views, sizes, decode, seen, few)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One good file, ready to embed. Its pixels are not kept, so that waiting files cost little memory.

    Attributes:
        inputs: input size → (views, 3, h, w) float32; of the recipe's ``few`` sizes the first of them.
        note: what is wrong with the file although its pixels are whole: see ``images.decode.NOTES``.
        entry: where it was read, to be read again.
    """

    path: str
    bytes_sha256: str
    pixels_sha256: str
    byte_count: int
    mtime_ns: int
    width: int
    height: int
    format: str
    inputs: dict[tuple[int, int], Tensor]
    decode_s: float = 0.0
    resize_s: float = 0.0
    note: str | None = None
    entry: Entry | None = None

    def again(self, recipe: Recipe) -> DecodedImage | None:
        """The image once more; None where its file holds something else by now."""
        if self.entry is None:
            return None
        image = self.entry.attempt(recipe.policy, recipe.decode)
        return image if isinstance(image, DecodedImage) and image.bytes_sha256 == self.bytes_sha256 else None

    def row(self, view: str) -> CatalogRow:
        """What the catalog says of one of its views."""
        return CatalogRow(
            id=item_id(self.path, self.bytes_sha256),
            path=self.path,
            bytes_sha256=self.bytes_sha256,
            pixels_sha256=self.pixels_sha256,
            bytes=self.byte_count,
            mtime_ns=self.mtime_ns,
            width=self.width,
            height=self.height,
            format=self.format,
            view=view,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """One file that is no acceptable image."""

    path: str
    why: ImageRejected
    decode_s: float = 0.0

    def row(self) -> RejectRow:
        """What the list of rejects says of it."""
        return RejectRow(self.path, self.why.stage, self.why.reason, self.why.detail, self.why.byte_count)


def prepare(path: str, recipe: Recipe, stamp: Callable[[str], Stamp | None] = stamp_of) -> Prepared | Refused:
    """Decode, view and resize one image, as it is now."""
    size, time = stamp(path) or (0, 0)
    return prepare_entry(Entry(path, size or 0, time), recipe)


def prepare_entry(entry: Entry, recipe: Recipe) -> Prepared | Refused:
    """Decode, view and resize one listed image."""
    began = time.perf_counter()
    try:
        image = entry.load(recipe.policy, recipe.decode)
        pixels_sha256 = image.pixels_sha256
    except ImageRejected as why:
        return Refused(entry.name, why, time.perf_counter() - began)
    decoded = time.perf_counter()
    inputs = resize_views(image, recipe)
    resized = time.perf_counter()
    return Prepared(
        path=entry.name,
        bytes_sha256=image.bytes_sha256,
        pixels_sha256=pixels_sha256,
        byte_count=image.byte_count,
        mtime_ns=entry.mtime_ns,
        width=image.width,
        height=image.height,
        format=image.format,
        inputs=inputs,
        decode_s=decoded - began,
        resize_s=resized - decoded,
        note=image.note,
        entry=entry,
    )


def resize_views(image: DecodedImage, recipe: Recipe) -> dict[tuple[int, int], Tensor]:
    """All views of an image at all input sizes, float32.

    Gallery rows are constants, so the quickest float32 serves here; the certified path of a query is float64 (THEORY
    §0). Where there are more than MANY_VIEWS, those after the first go a quicker way: from a smaller copy, and resized
    by Pillow, whose antialiased triangle filter is that of ``images.resize`` up to its rounding to 8 bits.
    """
    few = {
        size: _resized(image.pixels, recipe.views[:count], (size,))[size] for size, count in recipe.few.items()
    }  # apart: what they need changes no bit of the others
    return few | _resized(image.pixels, recipe.views, recipe.sizes)


def _resized(pixels: Pixels, views: Sequence[View], sizes: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Tensor]:
    first, *others = views
    if len(views) <= MANY_VIEWS:
        return {size: torch.stack([_resize(view.apply(pixels), size) for view in views]) for size in sizes}
    small = reduced(pixels, sizes)
    seen = [Image.fromarray(np.ascontiguousarray(view.apply(small))) for view in others]
    return {size: torch.cat([_resize(first.apply(pixels), size)[None], _quick(seen, size)]) for size in sizes}


MANY_VIEWS = 4
_SPARE = 2.5


def reduced(pixels: Pixels, sizes: Sequence[tuple[int, int]]) -> Pixels:
    """The image made smaller until its short side is 2.5 times the largest input's; itself where it is no larger."""
    short = min(pixels.shape[:2])
    side = round(_SPARE * max(max(size) for size in sizes))
    if short <= side:
        return pixels
    height, width = (round(length * side / short) for length in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def _resize(pixels: Pixels, size: tuple[int, int]) -> Tensor:  # 3 h w
    return resize_operator((pixels.shape[0], pixels.shape[1]), size).quick_levels(pixels)


def _quick(views: Sequence[Image.Image], size: tuple[int, int]) -> Tensor:  # v 3 h w
    small = np.stack([np.asarray(view.resize((size[1], size[0]), Image.Resampling.BILINEAR)) for view in views])
    return torch.from_numpy(small.transpose(0, 3, 1, 2).astype(np.float32, order="C")).div_(255.0)
