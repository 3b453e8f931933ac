"""Search on synthetic rows: what others do with the same rows, and what a certificate costs that is made naively.

Rows are unit vectors about some centres, as embeddings of photographs are; each query lies near one of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import faiss
import numpy as np
from measuring import Setting, megabytes, rates, table

DIM, K, MANY = 256, 10, 256


def rows_of(count: int, seed: int = 0) -> np.ndarray:
    """(count, 256) float32 unit rows about count / 100 centres, in 32 directions more than in others."""
    rng = np.random.default_rng(seed)
    spread = (np.where(np.arange(DIM) < 32, 1.0, 0.2)).astype(np.float32)
    centres = rng.standard_normal((max(1, count // 100), DIM), dtype=np.float32) * spread
    found = np.empty((count, DIM), np.float32)
    for first in range(0, count, 50_000):
        last = min(count, first + 50_000)
        own = centres[rng.integers(0, len(centres), last - first)]
        own += 0.5 * spread * rng.standard_normal((last - first, DIM), dtype=np.float32)
        found[first:last] = own / np.linalg.norm(own, axis=1, keepdims=True)
    return found


def queries_of(rows: np.ndarray, count: int = MANY, seed: int = 1) -> np.ndarray:
    """(count, 256) float64 unit vectors, each near one row."""
    rng = np.random.default_rng(seed)
    found = rows[rng.integers(0, len(rows), count)].astype(np.float64)
    found += 0.02 * rng.standard_normal(found.shape)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def rows(setting: Setting) -> dict[str, object]:
    """Milliseconds a query, for every number of rows."""
    return {f"{count} × {DIM}": _one(count, setting) for count in setting.size.rows}


def _one(count: int, setting: Setting) -> dict[str, object]:
    own = rows_of(count)
    queries = queries_of(own)
    single = queries.astype(np.float32)
    exact = faiss.knn(single, own, K, metric=faiss.METRIC_INNER_PRODUCT)[1]
    turn = iter(range(10**9))

    def flat() -> int:
        one = next(turn) % MANY
        faiss.knn(single[one : one + 1], own, K, metric=faiss.METRIC_INNER_PRODUCT)
        return 1

    def flat_many() -> int:
        faiss.knn(single, own, K, metric=faiss.METRIC_INNER_PRODUCT)
        return MANY

    jobs: dict[str, Callable[[], int]] = {
        "FAISS flat": flat,
        f"FAISS flat, {MANY} at once": flat_many,
        "naive certificate: float64 against every row": lambda: _naive(own, queries[next(turn) % MANY]),
    }
    built, recall = {}, {}
    for name, make in _approximate(count, setting).items():
        began = time.perf_counter()
        index = make(own)
        built[name] = time.perf_counter() - began
        found = index.search(single, K)[1]
        recall[name] = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, exact, strict=True)]))
        jobs[name] = lambda index=index: (index.search(single[:1], K), 1)[1]
    found = rates(jobs, max(5, setting.size.rounds) if setting.name != "tiny" else 1)
    milliseconds = {name: [1e3 / rate for rate in each] for name, each in found.items()}
    lines = table(milliseconds, "FAISS flat")
    for line in lines:
        line |= {"recall": recall.get(str(line["what"]), 1.0), "built, s": built.get(str(line["what"]), 0.0)}
    return {"rows, ms": lines, "peak MB": megabytes()}


def _naive(own: np.ndarray, query: np.ndarray) -> int:
    """Every distance in float64, then the first rows of all: the radius of the first is half of what lies between."""
    far = np.empty(len(own))
    for first in range(0, len(own), 65_536):
        apart = own[first : first + 65_536].astype(np.float64) - query
        far[first : first + 65_536] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    np.argsort(far, kind="stable")[: K + 1]
    return 1


def _approximate(count: int, setting: Setting) -> dict[str, Callable[[np.ndarray], faiss.Index]]:
    def lists(own: np.ndarray) -> faiss.Index:
        many = max(1, int(np.sqrt(count)))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIM), DIM, many, faiss.METRIC_INNER_PRODUCT)
        index.train(own[:: max(1, count // (40 * many))])
        index.add(own)
        index.nprobe = max(1, many // 32)
        return index

    def graph(own: np.ndarray) -> faiss.Index:
        index = faiss.IndexHNSWFlat(DIM, 32, faiss.METRIC_INNER_PRODUCT)
        index.add(own)
        return index

    return {"FAISS IVF, a list in 32": lists} | ({"FAISS HNSW 32": graph} if count <= setting.size.graph else {})
