"""One channel of an index at query time: its embedder, its rows, its threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..certificates.shortlist import TF32_UNIT
from ..certificates.stored import defined_rows
from ..core.cosine import cosine
from ..core.numerics import UNIT32, gamma, norm, round_up
from ..core.types import Score, UpperBound
from ..embedding.contract import Embedder
from ..images.query_views import ORIGINAL, QueryView
from ..images.quiet import quiet
from ..images.resize import Resize, resize_operator
from ..indexer.blank import flat_limit, forward_error
from ..indexer.row_lengths import row_norms
from ..indexer.snapshot import Threshold
from ..indexer.vectors import Float32, Ids, RowStore

Float64 = npt.NDArray[np.float64]

Pixels = Float64 | npt.NDArray[np.uint8]
"""An image: (H, W, 3) float64 in [0, 1], or uint8 levels, which stand for themselves divided by 255."""


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

    @property
    def flat(self) -> float:
        """How long an embedding may be and still be no direction; see ``indexer.blank.flat_limit``."""
        return flat_limit(self.forward_error)


@dataclass(frozen=True)
class Channel:
    """An embedder and the rows it made.

    Attributes:
        groups: (rows,) item number of each row; −1 for rows that are no longer part of the gallery.
        gaps: (rows,) of ``indexer.gaps``, where the threshold is local.
        factors: (rows,) how many times as far each row accepts (``indexer.rules``); None for once.
        parts: (rows,) what part of its reach each row has for one view of the query (``scopes``); None for all of it.
    """

    name: str
    embedder: Embedder
    store: RowStore
    groups: npt.NDArray[np.int64]
    threshold: Threshold | None
    gpu: bool = False
    gaps: Float32 | None = None
    factors: Float64 | None = None
    parts: Float64 | None = None

    @property
    def score(self) -> Score:
        """How rows are compared."""
        return self.store.score

    @property
    def is_local(self) -> bool:
        """Whether every row has a threshold of its own."""
        return self.threshold is not None and (
            self.threshold.local or self.factors is not None or self.parts is not None
        )

    @cached_property
    def live(self) -> int:
        """Number of rows that are part of the gallery."""
        return int(np.count_nonzero(self.groups >= 0))

    def limits(self, ids: Ids) -> Float64:
        """(m,) what the verdict compares these rows' values with: the channel's threshold, or each row's own."""
        assert self.threshold is not None, "a verdict needs a threshold"
        if not self.is_local:
            return np.full(len(ids), self.threshold.value)
        known, limits = self._limits
        fresh = ids[~known[ids]]
        if len(fresh):  # the same numbers whoever writes them first
            reach = self.reach(fresh)
            limits[fresh] = cosine(np.minimum(reach, math.pi)) if self.score == "cosine" else reach
            known[fresh] = True
        return limits[ids]

    @cached_property
    def _limits(self) -> tuple[npt.NDArray[np.bool_], Float64]:
        """Which rows' own thresholds were worked out, and these: an exact cosine takes longer than a row's product.

        Pages that no query has come to take no memory.
        """
        return np.zeros(len(self.groups), dtype=np.bool_), np.zeros(len(self.groups))

    def reach(self, ids: Ids) -> Float64:
        """(m,) angle or distance up to which each of these rows accepts, where thresholds are local."""
        assert self.threshold is not None
        reach = self._usual_reach(self.threshold, ids)
        reach = reach if self.factors is None else reach * self.factors[ids]
        return reach if self.parts is None else self.parts[ids] * reach

    def _usual_reach(self, threshold: Threshold, ids: Ids) -> Float64:
        if threshold.local:
            assert self.gaps is not None, "a local threshold needs gaps"
            return reach_of_gaps(threshold, self.gaps[ids])
        far = math.acos(min(1.0, max(-1.0, threshold.value))) if self.score == "cosine" else threshold.value
        return np.full(len(ids), far)

    def levels(self, ids: Ids) -> Float64:
        """(m,) the thresholds that items are ranked by: the channel's, made stricter where a row has part of its reach.

        Constants of the snapshot (THEORY T10); T1 holds between two of them where the rival's is no more permissive.
        """
        assert self.threshold is not None, "margins need a threshold"
        if self.parts is None:
            return np.full(len(ids), self.threshold.value)
        parts, value = self.parts[ids], self.threshold.value
        if self.score != "cosine":
            return parts * value
        distinct, place = np.unique(parts, return_inverse=True)  # a few, for thousands of rows
        return np.array([self._level(part) for part in distinct.tolist()], dtype=np.float64)[place]

    def _level(self, part: float) -> float:
        """The level of rows that have this part of their reach, worked out once."""
        assert self.threshold is not None
        if part not in self._levels:
            value = self.threshold.value
            far = np.array([min(part * math.acos(value), math.pi)])
            self._levels[part] = value if part == 1.0 else float(cosine(far)[0])
        return self._levels[part]

    @cached_property
    def _levels(self) -> dict[float, float]:
        return {}

    @cached_property
    def span(self) -> tuple[float, float]:
        """The least and the greatest of the :meth:`levels` of all rows that are searched."""
        live = np.flatnonzero(self.groups >= 0)
        if self.parts is None or not live.size:
            assert self.threshold is not None, "margins need a threshold"
            return self.threshold.value, self.threshold.value
        levels = self.levels(live)
        return float(levels.min()), float(levels.max())

    @cached_property
    def widest(self) -> float:
        """The threshold of the row that accepts farthest out: no row beyond it accepts."""
        assert self.threshold is not None, "a verdict needs a threshold"
        live = np.flatnonzero(self.groups >= 0)
        if not self.is_local:
            return self.threshold.value
        if not len(live):
            return 1.0 if self.score == "cosine" else 0.0
        reach = self.reach(live)
        # Cosines fall as angles grow, but for rounding between angles that are all but equal.
        farthest = self.limits(live[reach >= reach.max() * (1.0 - 1e-12)])
        return float(farthest.min() if self.score == "cosine" else farthest.max())

    def embed(self, x: Tensor) -> Tensor:
        """Embed a batch of equally sized images, differentiable: (b, 3, H, W) in [0, 1] → (b, d), in x's dtype."""
        operator = resize_operator((x.shape[-2], x.shape[-1]), self.embedder.input_size)
        return self.embedder.forward(operator.apply(x))

    def embed_query(self, pixels: Pixels) -> QueryEmbedding:
        """Embed one image along the path that is certified (float64), or float32 for an uncertified embedder."""
        return self.embed_views(pixels, (ORIGINAL,))[0]

    def embed_views(self, pixels: Pixels, views: Sequence[QueryView]) -> list[QueryEmbedding]:
        """Embed views of one image in one batch, as :meth:`embed_query` does one of them."""
        planes = pixels.transpose(2, 0, 1)
        with quiet():  # of an array that nobody may write to, torch warns; nothing here writes
            x = torch.from_numpy(planes if pixels.dtype == np.uint8 else np.ascontiguousarray(planes))[None]
        certified = self.embedder.lipschitz is not None
        with torch.inference_mode():
            seen = [view.pick(x) for view in views]
            resizes = [resize_operator((one.shape[-2], one.shape[-1]), self.embedder.input_size) for one in seen]
            # Clamping is 1-Lipschitz: it changes no bound, and keeps the input where the network's rounding is known.
            # Many views of what proves nothing are resized as rows are: float32, which is what is embedded.
            resized = _quickly if len(views) > 1 and not certified and x.dtype == torch.uint8 else _resized
            parts = [resized(r, one).clamp(0.0, 1.0) for r, one in zip(resizes, seen, strict=True)]
            # One alone keeps its layout in memory, and with it the last digits that every index so far was queried by.
            batch = parts[0] if len(parts) == 1 else torch.cat(parts)
            zs = self.embedder.forward(batch if certified else batch.float().to(self.embedder.device))
        network, zs = self.embedder.lipschitz, zs.cpu().double().numpy()
        return [
            QueryEmbedding(z, network, resize.norm, self.forward_error(resize.rounding))
            for z, resize in zip(zs, resizes, strict=True)
        ]

    def forward_error(self, resize_error: UpperBound) -> float | None:
        """Bound on ‖computed f − f‖ anywhere in [0, 1], given that of the resize; None for an uncertified embedder."""
        return forward_error(self.embedder, resize_error)

    @property
    def why_uncertified(self) -> str | None:
        """Why no radius can be given in this channel, or None."""
        if self.embedder.lipschitz is None:
            return f"{self.name} is uncertified: {self.embedder.uncertified_because}"
        if self.embedder.rounding(torch.float64) is None:
            return f"{self.name} is uncertified: no bound is known on its rounding in float64"
        return None

    def why_refused(self, query: QueryEmbedding) -> str | None:
        """Why an embedding cannot be compared with any row, or None."""
        with np.errstate(over="ignore", invalid="ignore"):
            length = float(norm(query.z))
        if not np.isfinite(length):
            return f"{self.name} gives no finite embedding for this image"
        if self.score == "cosine" and length <= query.flat:
            return f"the image is flat to {self.name}, and a cosine needs a direction"
        return None

    def rows64(self, ids: Ids) -> Float64:
        """Rows as the exact numbers that define the gallery: (m,) → (m, d) float64, unit rows for cosine."""
        return defined_rows(self.store.take(ids), self.score)

    def query32(self, z: Float64) -> Float32:
        """What FAISS searches for: ẑ for cosine, z for Euclidean, rounded to float32."""
        return (z / norm(z) if self.score == "cosine" else z).astype(np.float32)

    @property
    def input_unit(self) -> float:
        """Roundoff of what enters a float32 product: TF32's where a GPU searches (THEORY §6.1)."""
        return TF32_UNIT if self.gpu else UNIT32

    @cached_property
    def longest(self) -> float:
        """An upper bound on the norm of every row (Euclidean only; unit rows need none)."""
        top = max((float(lengths.max()) for _, lengths in row_norms(self.store)), default=0.0)
        return round_up(top * round_up(1.0 + gamma(self.store.dim + 2)))


def reach_of_gaps(threshold: Threshold, gaps: Float32) -> Float64:
    """(m,) angle or distance up to which rows with these gaps accept: within each limit that the threshold sets."""
    wide = gaps.astype(np.float64)
    reach = np.full(len(wide), math.inf)
    if threshold.share is not None:
        reach = np.minimum(reach, threshold.share * wide)
    if threshold.offset is not None:
        reach = np.minimum(reach, threshold.offset + 0.5 * wide)
    return np.maximum(0.0, reach)


def _quickly(resize: Resize, x: Tensor) -> Tensor:
    """(1, 3, H, W) of levels, in float32."""
    return resize.quick_levels(np.ascontiguousarray(x[0].permute(1, 2, 0).numpy()))[None]


def _resized(resize: Resize, x: Tensor) -> Tensor:
    """(1, 3, H, W) of float64, or of levels, in float64."""
    if x.dtype != torch.uint8:
        return resize.apply(x)
    return resize.apply_levels(x[0].permute(1, 2, 0).numpy(), torch.float64)[None]
