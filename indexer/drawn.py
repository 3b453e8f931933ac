"""A reference set for a model that the package brings none for: pictures drawn by ``images.kinds``, embedded here."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..embedding.contract import Embedder
from ..images.kinds import Pixels, made_kinds
from ..images.resize import resize_operator
from .embed import forward, stored_rows, usable_rows
from .neighbours import constants_of, measure_near
from .reference import Reference, encode

DRAWN = 264
"""How many: a dozen of each kind."""


def drawn_reference(embedder: Embedder) -> Reference:
    """Embed the drawn kinds; those that are flat to the model are left out.

    They are no photographs: how near those come is known of packaged models only. So the constants are cautious, and
    no rate of false matches is stated.
    """
    names, inputs = _inputs(embedder.input_size)
    vectors = forward(embedder, inputs)
    usable = usable_rows(vectors, embedder)
    codes = encode(stored_rows(vectors[usable], embedder), embedder.score)
    kinds = tuple(dict.fromkeys(names))
    kind = np.array([kinds.index(name) for name in names], dtype=np.uint8)[usable]
    bare = Reference(embedder.name, embedder.digest, embedder.score, codes, kind, np.zeros(len(kind), "f4"), kinds)
    near = np.minimum(measure_near(bare.rows(), embedder.score), np.float32(_FAR[embedder.score]))
    known = constants_of(near)
    typical, farthest = known.get("typical", bare.typical), known.get("farthest", bare.farthest)
    return replace(bare, near=near, typical=typical, farthest=farthest, notes={"drawn": DRAWN})


_FAR = {"cosine": np.pi, "euclidean": np.finfo(np.float32).max}
"""Where there is no other vector."""


def _inputs(size: tuple[int, int]) -> tuple[list[str], Tensor]:
    """The kinds and (n, 3, h, w) float32."""
    kept = size[0] * size[1] <= _SMALL
    return _small_inputs(size) if kept else _resized(size)


_SMALL = 64 * 64
"""Values of an input that are worth keeping for the next model of this size."""


@lru_cache(maxsize=8)
def _small_inputs(size: tuple[int, int]) -> tuple[list[str], Tensor]:
    return _resized(size)


def _resized(size: tuple[int, int]) -> tuple[list[str], Tensor]:
    pairs = [(kind, _resize(pixels, size)) for kind, pixels in made_kinds(DRAWN)]
    return [kind for kind, _ in pairs], torch.cat([small for _, small in pairs])


def _resize(pixels: Pixels, size: tuple[int, int]) -> Tensor:  # 1 3 h w
    x = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float() / 255.0
    return resize_operator((x.shape[-2], x.shape[-1]), size).apply(x).clamp_(0.0, 1.0)
