"""Rows of one channel: float32, memory-mapped or decoded, searched through their filter, or by FAISS without a copy.

Everything here *proposes*: float32 scores, some rows. What is unseen is bounded by the caller (THEORY §6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import faiss
import numpy as np
import numpy.typing as npt

from ..core.errors import IntegrityError, UsageError
from ..core.types import Score
from .filter_file import find_filter
from .filtered import FilteredRows, Matters, every_row
from .filtered import nearest as filtered_nearest
from .row_codes import ROW_CODES, CodedRows, RowCode, decode

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
_LONG_RUN = 1024
"""Rows in a row, on average, that are worth a search of their own."""


@dataclass(frozen=True, slots=True)
class RowStore:
    """All rows of one channel, over segments, addressed by global row number.

    Attributes:
        parts: one (rows, dim) float32 array per segment, in snapshot order: a memory map of stored float32 rows, or
            what stored codes decode to, which is worked out of those that are looked at where there is a filter.
        starts: global number of the first row of each part, and the total at the end.
        dim: row length.
        score: cosine (inner product of unit rows) or euclidean.
        filtered: per part its rows with a filter, None where all are read; empty for no filters.
    """

    parts: tuple[Float32, ...]
    starts: tuple[int, ...]
    dim: int
    score: Score
    filtered: tuple[FilteredRows | None, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.starts[-1]

    def take(self, ids: Ids) -> Float32:
        """Copy rows out: (m,) global numbers → (m, dim) float32."""
        out = np.empty((len(ids), self.dim), dtype=np.float32)
        for part, start, stop in zip(self.parts, self.starts, self.starts[1:], strict=False):
            inside = (ids >= start) & (ids < stop)
            if inside.any():
                out[inside] = part[ids[inside] - start]
        return out

    def only(self, kept: npt.NDArray[np.bool_]) -> RowStore:
        """Some of the rows, numbered anew: long runs of them as they lie, memory-mapped or not, others copied.

        Args:
            kept: (rows,) which stay.
        """
        parts: list[Float32] = []
        filtered: list[FilteredRows | None] = []
        for number, (part, start, stop) in enumerate(zip(self.parts, self.starts, self.starts[1:], strict=False)):
            codes = self._filter(number)
            ids = np.flatnonzero(kept[start:stop])
            runs = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1) if len(ids) else []
            whole = len(runs) * _LONG_RUN <= len(ids)
            pieces = [slice(int(run[0]), int(run[-1]) + 1) for run in runs] if whole else [ids]
            for piece in pieces:
                own = some_rows(part, piece, decoded=codes is None)
                parts.append(own)
                filtered.append(None if codes is None or not len(own) else codes.only(own, piece))
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(int)
        return RowStore(tuple(parts), tuple(starts.tolist()), self.dim, self.score, tuple(filtered))

    def _filter(self, number: int) -> FilteredRows | None:
        return self.filtered[number] if self.filtered else None

    def nearest(self, queries: Float32, count: int, *, gpu: bool = False) -> tuple[Float32, Ids]:
        """The nearest of every row in float32: by FAISS flat search, or what it would find, through filters.

        Args:
            queries: (b, dim) float32.
            count: how many rows to return per query; more than there are is cut.
            gpu: search on the first CUDA device.

        Returns:
            (b, m) scores (inner products, or squared distances) best first, and (b, m) global row numbers.
        """
        scores, ids, through = [], [], []
        for number, (part, start) in enumerate(zip(self.parts, self.starts, strict=False)):
            codes = self._filter(number) if isinstance(part, CodedRows) or not gpu else None
            if codes is not None:
                through.append((start, codes))
            elif len(part):
                score, found = _flat_search(queries, part, min(count, len(part)), self.score, gpu)
                scores.append(score)
                ids.append(found + start)
        if through:
            score, found = filtered_nearest(through, queries, min(count, sum(len(one.rows) for _, one in through)))
            scores.append(score)
            ids.append(found)
        return _merge(np.concatenate(scores, axis=1), np.concatenate(ids, axis=1), count, self.score)

    def within(self, query: Float32, bound: float) -> Ids:
        """Global numbers of all rows at or better than a float32 score bound, and maybe some others, ascending.

        Args:
            query: (dim,) float32.
            bound: least inner product, or largest squared distance.
        """
        return np.sort(self.scored(query, bound)[0])

    def scored(self, query: Float32, bound: float, matters: Matters = every_row) -> tuple[Ids, Float64]:
        """:meth:`within`, in any order, of those that matter.

        Args:
            query: (dim,) float32.
            bound: least inner product, or largest squared distance.
            matters: (global numbers, (m,) float32 scores or bounds on them, in no row's favour) → which of them do.

        Returns:
            numbers, and float32 scores.
        """
        found, scores = [], []
        for number, (part, start) in enumerate(zip(self.parts, self.starts, strict=False)):
            codes = self._filter(number)
            if codes is not None:
                rows, said = codes.scored(query, bound, lambda rows, high, start=start: matters(rows + start, high))
            elif len(part):
                rows, said = _range_search(query, part, bound, self.score)
            else:
                continue
            kept = matters(rows + start, said)
            found.append(rows[kept] + start)
            scores.append(said[kept])
        if not found:
            return np.empty(0, dtype=np.int64), np.empty(0)
        return np.concatenate(found), np.concatenate(scores)

    def ceilings(self, queries: Float32, ids: Ids) -> Float64:
        """Upper bounds on inner products by filters alone: no row is read.

        Args:
            queries: (b, dim) float32.
            ids: (m,) global numbers.

        Returns:
            (b, m); inf where there is no filter.
        """
        high = np.full((len(queries), len(ids)), np.inf)
        for number, (start, stop) in enumerate(zip(self.starts, self.starts[1:], strict=False)):
            codes, inside = self._filter(number), (ids >= start) & (ids < stop)
            if codes is not None and inside.any():
                high[:, inside] = codes.ceilings(queries, ids[inside] - start)
        return high


def open_rows(
    files: list[tuple[Path, int]],
    *,
    dim: int,
    score: Score,
    code: str = "float32",
    digests: Sequence[str | None] | None = None,
    cache: Path | None = None,
) -> RowStore:
    """Memory-map one channel's rows; smaller codes than float32 are decoded into memory where they have no filter.

    Args:
        files: (path, number of rows) per segment.
        dim: row length.
        score: how rows are compared.
        code: a key of ``row_codes.ROW_CODES``: how they are stored.
        digests: SHA-256 of each file that was compared with it, by which filters of rows are found; None for no filter.
        cache: the user's folder that they are kept in; None for no filters.

    Raises:
        IntegrityError: a file is missing, its size is not rows·dim·(bytes per number), or it holds impossible codes.
    """
    parts, starts, filtered = [], [0], []
    for number, (path, rows) in enumerate(files):
        stored = _mapped(path, rows, dim, ROW_CODES[code])
        lazily = cast("Float32", stored if code == "float32" else CodedRows(stored, code, str(path)))
        codes = None
        digest = None if digests is None or score != "cosine" else digests[number]
        if digest is not None:
            codes = find_filter(lazily, stored, digest, cache, str(path))
        part = lazily if codes is not None or code == "float32" else decode(stored, code, where=str(path))
        parts.append(part)
        filtered.append(None if codes is None else FilteredRows(part, codes))
        starts.append(starts[-1] + rows)
    return RowStore(tuple(parts), tuple(starts), dim, score, tuple(filtered))


def _mapped(path: Path, rows: int, dim: int, code: RowCode) -> npt.NDArray[np.generic]:
    check_size(path, rows, dim, code)
    return np.memmap(path, dtype=code.dtype, mode="r", shape=(rows, dim)) if rows else np.empty((0, dim), code.dtype)


def some_rows(part: Float32, kept: Ids | slice, *, decoded: bool) -> Float32:
    """Some rows of a part; of stored codes those codes, unless they are to be ``decoded``."""
    return cast("Float32", part.only(kept)) if isinstance(part, CodedRows) and not decoded else part[kept]


def check_size(path: Path, rows: int, dim: int, code: RowCode) -> None:
    """Check that a file can hold what a snapshot says of it, without reading it.

    Raises:
        IntegrityError: it is missing or has another size.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}") from error
    expected = rows * dim * code.width
    if size != expected:
        raise IntegrityError(f"{path} has {size} bytes; {rows} rows of {dim} {code.name} take {expected}")


def _flat_search(queries: Float32, part: Float32, count: int, score: Score, gpu: bool) -> tuple[Float32, Ids]:
    metric = faiss.METRIC_INNER_PRODUCT if score == "cosine" else faiss.METRIC_L2
    if gpu:
        return faiss.knn_gpu(faiss.StandardGpuResources(), queries, part, count, metric=metric)
    return faiss.knn(queries, part, count, metric=metric)


def _merge(scores: Float32, ids: Ids, count: int, score: Score) -> tuple[Float32, Ids]:
    order = np.argsort(-scores if score == "cosine" else scores, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)


def _range_search(query: Float32, part: Float32, bound: float, score: Score) -> tuple[Ids, Float64]:
    # The C functions read the memory map in place; IndexFlat.range_search would first copy every row.
    # Their tests are strict (> and <), so the bound is moved outwards by one float32 step.
    result = faiss.RangeSearchResult(1)
    search = faiss.range_search_inner_product if score == "cosine" else faiss.range_search_L2sqr
    outward = np.nextafter(np.float32(bound), np.float32(-np.inf if score == "cosine" else np.inf))
    xq = np.ascontiguousarray(query, dtype=np.float32)
    search(faiss.swig_ptr(xq), faiss.swig_ptr(part), part.shape[1], 1, len(part), float(outward), result)
    total = int(faiss.rev_swig_ptr(result.lims, 2)[1])
    if not total:
        return np.empty(0, dtype=np.int64), np.empty(0)
    labels, scores = faiss.rev_swig_ptr(result.labels, total), faiss.rev_swig_ptr(result.distances, total)
    return labels.astype(np.int64), scores.astype(np.float64)


def gpu_available() -> bool:
    """Whether this FAISS build has GPU search and sees a device."""
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def choose_gpu(device: str) -> bool:
    """Resolve ``auto``, ``cpu`` or ``cuda`` for the search.

    Raises:
        UsageError: another word, or cuda where FAISS has no GPU to use.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {device!r}; choose auto, cpu or cuda")
    if device == "cuda" and not gpu_available():
        raise UsageError("device cuda: this FAISS build has no GPU search or sees no GPU (see the gpu extra)")
    return device != "cpu" and gpu_available()
