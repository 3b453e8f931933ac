"""One channel of an index at query time: its embedder, its rows, its threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..certificates.shortlist import TF32_UNIT, stored_row_tolerance
from ..core.errors import IntegrityError
from ..core.numerics import UNIT32, gamma, norm, round_down, round_up
from ..core.types import Score, UpperBound
from ..embedding.contract import Embedder
from ..images.resize import resize_operator
from ..indexer.snapshot import Threshold
from ..indexer.vectors import Float32, Ids, RowStore

Float64 = npt.NDArray[np.float64]

FLAT_QUERY = 1e-9
"""An embedding this short is rounding of the float64 path (1e-10 at most), not a direction: cosine refuses it."""


@dataclass(frozen=True, slots=True)
class QueryEmbedding:
    """f(q) and what is proved about f at this image size.

    Attributes:
        z: (d,) float64, not normalised.
        network: proved bound on L_g, or None.
        resize: proved bound ρ of the resize from this size.
        forward_error: bound on ‖computed f − f‖ anywhere in [0, 1]; None for an uncertified embedder.
    """

    z: Float64
    network: UpperBound | None
    resize: UpperBound
    forward_error: float | None

    @property
    def lipschitz(self) -> UpperBound | None:
        """L = L_g·ρ (THEORY §0)."""
        return None if self.network is None else self.network.times(self.resize)


@dataclass(frozen=True)
class Channel:
    """An embedder and the rows it made.

    Attributes:
        groups: (rows,) item number of each row; −1 for rows that are no longer part of the gallery.
        gaps: (rows,) of ``indexer.gaps``, where the threshold is local.
    """

    name: str
    embedder: Embedder
    store: RowStore
    groups: npt.NDArray[np.int64]
    threshold: Threshold | None
    gpu: bool = False
    gaps: Float32 | None = None

    @property
    def score(self) -> Score:
        """How rows are compared."""
        return self.store.score

    @cached_property
    def _local(self) -> Float64 | None:
        """(rows,) the threshold of each row, where it is local.

        Computed once for all: a certificate speaks of these very numbers, and a cosine of the same angle may differ in
        its last digit from one call to the next.
        """
        if self.threshold is None or self.threshold.offset is None:
            return None
        assert self.gaps is not None, "a local threshold needs gaps"
        reach = np.maximum(0.0, self.threshold.offset + 0.5 * self.gaps.astype(np.float64))
        return np.cos(np.minimum(reach, np.pi)) if self.score == "cosine" else reach

    @property
    def is_local(self) -> bool:
        """Whether every row has a threshold of its own."""
        return self.threshold is not None and self.threshold.offset is not None

    def limits(self, ids: Ids) -> float | Float64:
        """What the verdict compares these rows' values with: one number, or (m,), one for each row."""
        assert self.threshold is not None, "a verdict needs a threshold"
        return self.threshold.value if self._local is None else self._local[ids]

    @cached_property
    def widest(self) -> float:
        """The threshold of the row that accepts farthest out: no row beyond it accepts."""
        assert self.threshold is not None, "a verdict needs a threshold"
        if self._local is None:
            return self.threshold.value
        live = self._local[self.groups >= 0]
        return float(live.min(initial=1.0) if self.score == "cosine" else live.max(initial=0.0))

    @property
    def reach(self) -> float:
        """A chord, or distance, beyond which no row accepts."""
        return math.sqrt(max(0.0, 2.0 - 2.0 * self.widest)) if self.score == "cosine" else self.widest

    def embed(self, x: Tensor) -> Tensor:
        """Embed a batch of equally sized images, differentiable: (b, 3, H, W) in [0, 1] → (b, d), in x's dtype."""
        operator = resize_operator((x.shape[-2], x.shape[-1]), self.embedder.input_size)
        return self.embedder.forward(operator.apply(x))

    def embed_query(self, pixels: Float64) -> QueryEmbedding:
        """Embed one image along the path that is certified (float64), or float32 for an uncertified embedder.

        Args:
            pixels: (H, W, 3) float64 in [0, 1].
        """
        operator = resize_operator((pixels.shape[0], pixels.shape[1]), self.embedder.input_size)
        certified = self.embedder.lipschitz is not None
        x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
        with torch.inference_mode():
            # Clamping is 1-Lipschitz: it changes no bound, and keeps the input where the network's rounding is known.
            resized = operator.apply(x).clamp(0.0, 1.0)
            z = self.embedder.forward(resized if certified else resized.float().to(self.embedder.device))
        embedding = z[0].cpu().double().numpy()
        return QueryEmbedding(embedding, self.embedder.lipschitz, operator.norm, self._forward_error(operator.rounding))

    def _forward_error(self, resize_error: UpperBound) -> float | None:
        own = self.embedder.rounding(torch.float64)
        if self.embedder.lipschitz is None or own is None:
            return None
        return round_up(own.value + round_up(self.embedder.lipschitz.value * resize_error.value))

    @property
    def why_uncertified(self) -> str | None:
        """Why no radius can be given in this channel, or None."""
        if self.embedder.lipschitz is None:
            return f"{self.name} is uncertified: {self.embedder.uncertified_because}"
        if self.embedder.rounding(torch.float64) is None:
            return f"{self.name} is uncertified: no bound is known on its rounding in float64"
        return None

    def why_refused(self, z: Float64) -> str | None:
        """Why an embedding cannot be compared with any row, or None."""
        with np.errstate(over="ignore", invalid="ignore"):
            length = float(norm(z))
        if not np.isfinite(length):
            return f"{self.name} gives no finite embedding for this image"
        if self.score == "cosine" and length <= FLAT_QUERY:
            return f"zero embedding: the image is flat to {self.name}, and a cosine needs a direction"
        return None

    def rows64(self, ids: Ids) -> Float64:
        """Rows as the exact numbers that define the gallery: (m,) → (m, d) float64, unit rows for cosine."""
        rows = self.store.take(ids).astype(np.float64)
        return rows / norm(rows)[:, None] if self.score == "cosine" else rows

    def query32(self, z: Float64) -> Float32:
        """What FAISS searches for: ẑ for cosine, z for Euclidean, rounded to float32."""
        return (z / norm(z) if self.score == "cosine" else z).astype(np.float32)

    def propose(self, z: Float64, count: int) -> Ids:
        """Live rows that a float32 search finds nearest, best first; some nearer row may be missing."""
        _, ids = self.store.nearest(self.query32(z)[None], count, gpu=self.gpu)
        return ids[0][self.groups[ids[0]] >= 0]

    @property
    def input_unit(self) -> float:
        """Roundoff of what enters a float32 product: TF32's where a GPU searches (THEORY §6.1)."""
        return TF32_UNIT if self.gpu else UNIT32

    @cached_property
    def longest(self) -> float:
        """An upper bound on the norm of every row (Euclidean only; unit rows need none)."""
        top = max((float(lengths.max()) for _, lengths in row_norms(self.store)), default=0.0)
        return round_up(top * round_up(1.0 + gamma(self.store.dim + 2)))


def row_norms(store: RowStore) -> Iterator[tuple[int, Float64]]:
    """(number of the first row, norms) for some thousand rows at a time; relative error at most γ_{d+2}.

    Squares of float32 numbers are exact in float64, whatever the order of summation.
    """
    for part, start in zip(store.parts, store.starts, strict=False):
        for first in range(0, len(part), 4096):
            piece = part[first : first + 4096].astype(np.float64)
            yield start + first, np.sqrt(np.einsum("ij,ij->i", piece, piece))


def check_rows(store: RowStore, name: str) -> None:
    """Refuse rows that a shortlist proves nothing about: not of unit length (cosine), or not finite.

    The floor under what a float32 search did not return takes unit rows for granted (THEORY §6). One pass over every
    row: 20 ms for 20,000 rows of 768 numbers.

    Raises:
        IntegrityError: naming the first such row.
    """
    dim = store.dim
    allowed = round_down(stored_row_tolerance(dim) - gamma(dim + 4)) if store.score == "cosine" else np.inf
    for first, lengths in row_norms(store):
        wrong = ~np.isfinite(lengths) | (np.abs(lengths - 1.0) > allowed)
        if wrong.any():
            place = int(wrong.argmax())
            raise IntegrityError(
                f"row {first + place} of {name} has length {lengths[place]:.9g}, which no index of retr holds: "
                "its files are damaged or foreign; check them with: retr info --verify"
            )
