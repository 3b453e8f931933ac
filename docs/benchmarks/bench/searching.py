"""Search on synthetic rows: certified answers beside what others do with the same rows, on one thread.

Rows and queries are those of ``docs/benchmarks/search.py``: like the embeddings of the photographs that were indexed,
and of a falling spectrum where pictures were drawn; one in a hundred is a near-duplicate of the row before it.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import faiss
import numpy as np
import torch
from measuring import Setting, megabytes, rates, table

sys.path.append(str(Path(__file__).parents[1]))

from search import (
    ZS,
    coded_file,
    exactness,
    memory,
    naive_certificate,
    open_synthetic,
    probe_of,
    queries_of,
    rows_file,
    source_of,
)

from retr.retrieval.channel import Channel
from retr.retrieval.index_source import IndexSource
from retr.retrieval.settle import settle_all

K, FEW = 10, 8
CERTIFIED, FLAT, NAIVE = "retr --certify", "FAISS flat", "naive certificate: float64 against every row"
AT_ONCE = f", {ZS} at once"


def rows(setting: Setting) -> dict[str, object]:
    """Milliseconds a query, for every number of rows, each of which is kept; one thread."""
    torch.set_num_threads(1)
    return {f"{count} rows": _kept(count, setting) for count in setting.size.rows}


def _kept(count: int, setting: Setting) -> dict[str, object]:
    file = setting.kept(f"search-{count}")
    if not file.exists():
        part = file.with_suffix(".part")
        part.write_text(json.dumps(_one(count, setting)))
        part.replace(file)
    return json.loads(file.read_text())


def _one(count: int, setting: Setting) -> dict[str, object]:
    faiss.omp_set_num_threads(1)
    index = setting.work / "index" if setting.data and (setting.work / "index").exists() else None
    path, dim = rows_file(setting.work, count, index)
    began = time.perf_counter()
    channel = open_synthetic(path, count, dim)
    first, began = time.perf_counter() - began, time.perf_counter()
    open_synthetic(path, count, dim)
    again = time.perf_counter() - began
    zs = queries_of(channel, ZS)
    jobs = _certified(channel, zs, path, setting) | _others(channel, zs)
    if count < max(setting.size.rows):  # they take minutes, and are asked for of the most rows
        jobs = {name: job for name, job in jobs.items() if not name.endswith(AT_ONCE)}
    built, recall = {}, {}
    for name, search, right, seconds in _approximate(channel, zs, setting):
        jobs[name], recall[name], built[name] = search, right, seconds
    found = rates(jobs, max(5, setting.size.rounds) if setting.name != "tiny" else 1)
    milliseconds = {name: [1e3 / rate for rate in each] for name, each in found.items()}
    lines = table(milliseconds, CERTIFIED)
    for line in lines:
        line |= {"recall": recall.get(str(line["what"]), 1.0), "built, s": built.get(str(line["what"]), 0.0)}
    return {
        "rows": count,
        "dim": dim,
        "like": "photographs" if index else "a falling spectrum",
        "rows, ms": lines,
        "ratios": _ratios(milliseconds),
        "making the filter, s": first,
        "opening, s": again,
        "peak MB": megabytes(),
        "exactness": exactness(source_of(channel), channel, zs[: setting.size.checked]),
        "memory": {code: memory(setting.work, count, index, code) for code in setting.size.codes},
    }


def _certified(channel: Channel, zs: list[np.ndarray], path: Path, setting: Setting) -> dict[str, Callable[[], int]]:
    """Answers of retr; a query is moved a little each time, so that nothing is known of it."""
    count, dim = channel.store.rows, channel.store.dim
    smaller = open_synthetic(coded_file(path, count, dim, "int8"), count, dim, code="int8")
    source, turn = source_of(channel), iter(range(10**9))

    def few(of: IndexSource, *, certify: bool) -> int:
        for _ in range(FEW):
            number = next(turn)
            probe = probe_of(zs[number % ZS] + 1e-5 * (number // ZS + 1))
            settle_all([of], [[probe]], K, certify=certify)
        return FEW

    fresh = cycle([IndexSource((one,), source.items) for one in _opened(path, channel, setting)])

    def many() -> int:
        moved = 1e-5 * next(turn)
        settle_all([next(fresh)], [[probe_of(z + moved)] for z in zs], K, certify=True)
        return len(zs)

    coded = source_of(smaller)
    for of in (source, coded):
        few(of, certify=True)  # what is made once is made
    return {
        CERTIFIED: lambda: few(source, certify=True),
        "retr": lambda: few(source, certify=False),
        f"{CERTIFIED}, int8 rows": lambda: few(coded, certify=True),
        f"{CERTIFIED}{AT_ONCE}": many,
    }


def _opened(path: Path, channel: Channel, setting: Setting) -> list[Channel]:
    return [open_synthetic(path, channel.store.rows, channel.store.dim) for _ in range(setting.size.rounds)]


def _others(channel: Channel, zs: list[np.ndarray]) -> dict[str, Callable[[], int]]:
    [own] = channel.store.parts
    single, turn = _units(zs), iter(range(10**9))

    def flat() -> int:
        for _ in range(FEW):
            one = next(turn) % len(zs)
            faiss.knn(single[one : one + 1], own, K, metric=faiss.METRIC_INNER_PRODUCT)
        return FEW

    def flat_many() -> int:
        faiss.knn(single, own, K, metric=faiss.METRIC_INNER_PRODUCT)
        return len(zs)

    def naive() -> int:
        naive_certificate(channel, zs[next(turn) % len(zs)])
        return 1

    return {FLAT: flat, f"{FLAT}{AT_ONCE}": flat_many, NAIVE: naive}


def _units(zs: list[np.ndarray]) -> np.ndarray:
    return np.stack([z / np.linalg.norm(z) for z in zs]).astype(np.float32)


def _ratios(milliseconds: dict[str, list[float]]) -> dict[str, float]:
    """Medians over rounds."""
    pairs = {
        "certified / FAISS flat": (CERTIFIED, FLAT),
        f"certified / FAISS flat{AT_ONCE}": (CERTIFIED + AT_ONCE, FLAT + AT_ONCE),
        "naive certificate / certified": (NAIVE, CERTIFIED),
        "certified of int8 rows / of float32 rows": (f"{CERTIFIED}, int8 rows", CERTIFIED),
        "certified / plain": (CERTIFIED, "retr"),
    }
    return {
        name: statistics.median(a / b for a, b in zip(milliseconds[one], milliseconds[other], strict=True))
        for name, (one, other) in pairs.items()
        if one in milliseconds
    }


Approximate = tuple[str, Callable[[], int], float, float]


def _approximate(channel: Channel, zs: list[np.ndarray], setting: Setting) -> Iterator[Approximate]:
    """Name, search, recall, and seconds to build."""
    count, [own] = channel.store.rows, channel.store.parts
    single = _units(zs)
    exact = faiss.knn(single, own, K, metric=faiss.METRIC_INNER_PRODUCT)[1]
    makers = {"FAISS IVF, a list in 32": _lists} | ({"FAISS HNSW 32": _graph} if count <= setting.size.graph else {})
    for name, make in makers.items():
        faiss.omp_set_num_threads(os.cpu_count() or 1)
        began = time.perf_counter()
        index = make(own)
        seconds = time.perf_counter() - began
        faiss.omp_set_num_threads(1)
        found = index.search(single, K)[1]
        recall = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, exact, strict=True)]))
        yield name, lambda index=index: (index.search(single[:1], K), 1)[1], recall, seconds


def _lists(own: np.ndarray) -> faiss.Index:
    count, dim = own.shape
    many = max(1, int(np.sqrt(count)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, many, faiss.METRIC_INNER_PRODUCT)
    index.train(own[:: max(1, count // (40 * many))])
    index.add(own)
    index.nprobe = max(1, many // 32)
    return index


def _graph(own: np.ndarray) -> faiss.Index:
    index = faiss.IndexHNSWFlat(own.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.add(own)
    return index
