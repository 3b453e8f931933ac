"""How fast rows are searched, and what certificates add: ``python docs/benchmarks/search.py WORK [--index INDEX] …``.

Four parts. ``small`` asks an index of photographs (``--index``, built by ``retr index`` with the default models) about
its own files, changed a little: plain, certified, in batches, beside FAISS flat search over the same rows and the
networks in float64. ``large`` asks rows that are drawn to look like the embeddings of such an index (or, without one,
like those of a falling spectrum): a row of it, moved within the covariance of all, so that the spectrum and the
crowding stay; one row in a hundred is a near-duplicate of the row before it, 1e-4 to 1e-2 away. ``int8`` stores the
same rows as 8-bit codes, and ``memory`` looks at a process of its own. All of it in one
process with one thread; each figure is the median of several runs, and ratios are of runs side by side. What is
measured is kept in WORK/search.json, so that a run that was broken off goes on; ``--anew`` forgets it. Functions give
dicts, for others.

On a busy machine times are larger than they need be; the ratios hold.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from retr.core.cache import user_cache
from retr.core.files import sha256_file
from retr.core.types import UpperBound
from retr.indexer.entries import load_named
from retr.indexer.items import Items
from retr.indexer.row_codes import ROW_CODES
from retr.indexer.vectors import RowStore, open_rows
from retr.retrieval.channel import Channel
from retr.retrieval.engine import Engine
from retr.retrieval.index_source import IndexSource
from retr.retrieval.probe import Bounds, Probe
from retr.retrieval.settle import settle_all

K, BATCH = 10, 64
ZS = 256
"""Queries of a batch against synthetic rows."""
CHECKED = 200
LIPSCHITZ = 0.3
LIKE_DIM = 256
"""Of the embeddings of retr_s, the last of the default models."""
Figures = dict[str, Any]


def median_ms(runs: Sequence[Callable[[], object]]) -> float:
    """The median of what each takes, in ms."""
    spent = []
    for run in runs:
        began = time.perf_counter()
        run()
        spent.append(1e3 * (time.perf_counter() - began))
    return round(statistics.median(spent), 2)


def small(index: Path, queries: int = 40) -> Figures:
    """An index of photographs, one thread."""
    began = time.perf_counter()
    engine = Engine.open(index)
    opened = time.perf_counter() - began
    rows = np.linspace(0, engine.gallery.catalog.num_rows - 1, queries + BATCH).astype(int)
    images = [_changed(engine, int(row)) for row in rows]
    some, batch = images[:queries], images[queries:]
    for image in images[:3]:
        engine.answer(image, certify=True, eps_l2=1.0)
    stores = [channel.store for channel in engine.channels]
    zs = [[channel.query32(channel.embed_query(image).z)[None] for channel in engine.channels] for image in some]

    def scan(own: Sequence[np.ndarray]) -> None:
        for store, z in zip(stores, own, strict=True):
            _bare(store, z, 128)

    found: Figures = {
        "rows": stores[0].rows,
        "open s": round(opened, 2),
        "FAISS flat ms": median_ms([lambda own=own: scan(own) for own in zs]),
        "network ms": median_ms([lambda image=image: engine.embed(image) for image in some]),
        "plain ms": median_ms([lambda image=image: engine.answer(image, k=K) for image in some]),
        "certified ms": median_ms([lambda i=i: engine.answer(i, k=K, certify=True, eps_l2=1.0) for i in some]),
    }
    together = median_ms([lambda: engine.answer_many(batch, k=K, certify=True, eps_l2=[1.0] * BATCH)] * 5)
    found[f"certified, {BATCH} at once, ms each"] = round(together / BATCH, 2)
    floor = found["FAISS flat ms"] + found["network ms"]
    found["certified / (FAISS + network)"] = round(found["certified ms"] / floor, 2)
    found["certificate beyond plain"] = round(found["certified ms"] / found["plain ms"] - 1.0, 3)
    found["at once / one by one"] = round(together / BATCH / found["certified ms"], 2)
    return found


def _changed(engine: Engine, row: int) -> np.ndarray:
    """A file of the index, darker by a tenth, two columns less."""
    image = load_named(str(engine.gallery.describe(row)["path"]), engine.policy).pixels
    return (image[:, 2:] * 0.9).astype(np.uint8)


def _bare(store: RowStore, queries: np.ndarray, count: int) -> None:
    for part in store.parts:
        faiss.knn(queries, part, count, metric=faiss.METRIC_INNER_PRODUCT)


def draw(path: Path, rows: int, dim: int, like: np.ndarray | None) -> None:
    """Write synthetic rows; see the module."""
    rng = np.random.default_rng(0)
    if like is None:
        made: np.ndarray = rng.standard_normal((20_000, dim)) * np.exp(-np.arange(dim) / (dim / 12))
        made[:, 0] += 1.5
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        like = made
    apart = like - like.mean(axis=0)
    root = np.linalg.cholesky(apart.T @ apart / len(apart) + 1e-9 * np.eye(like.shape[1]))
    with path.open("wb") as file:
        for start in range(0, rows, 50_000):
            count = min(50_000, rows - start)
            picked = like[rng.integers(0, len(like), count)]
            drawn = picked + 0.35 * rng.standard_normal((count, like.shape[1])).astype(np.float32) @ root.T
            copies = np.arange(1, count, 100)
            sizes = 10.0 ** rng.uniform(-4, -2, len(copies))[:, None] / like.shape[1] ** 0.5
            drawn[copies] = drawn[copies - 1] + sizes * rng.standard_normal((len(copies), like.shape[1]))
            file.write((drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype("<f4").tobytes())


def rows_file(work: Path, rows: int, index: Path | None) -> tuple[Path, int]:
    """A file of synthetic rows, drawn if it is not there, and how long they are."""
    like = None if index is None else _rows_like(index)
    dim = LIKE_DIM if like is None else like.shape[1]
    path = work / f"rows-{rows}-{dim}-{'drawn' if like is None else 'like'}.f32"
    if not path.exists():
        draw(path.with_suffix(".part"), rows, dim, like)
        path.with_suffix(".part").rename(path)
    return path, dim


def coded_file(path: Path, rows: int, dim: int, code: str) -> Path:
    """The same rows as smaller codes, which define rows of their own."""
    found = path.with_suffix(f".{ROW_CODES[code].suffix}")
    if not found.exists():
        whole = np.memmap(path, "<f4", "r", shape=(rows, dim))
        with found.with_suffix(".part").open("wb") as file:
            for start in range(0, rows, 65_536):
                file.write(ROW_CODES[code].encode(np.array(whole[start : start + 65_536])).tobytes())
        found.with_suffix(".part").rename(found)
    return found


def open_synthetic(path: Path, rows: int, dim: int, *, filtered: bool = True, code: str = "float32") -> Channel:
    """Synthetic rows as a channel whose embedder is never asked."""
    cache = user_cache() if filtered else None
    digests = [_digest(path)] if filtered else None
    store = open_rows([(path, rows)], dim=dim, score="cosine", code=code, digests=digests, cache=cache)
    return Channel("synthetic", None, store, np.arange(rows), None)  # type: ignore[arg-type]


def _digest(path: Path) -> str:
    kept = path.with_name(f"{path.name}.sha256")
    if not kept.exists():
        kept.write_text(sha256_file(path))
    return kept.read_text()


def source_of(channel: Channel) -> IndexSource:
    """All rows, each an item."""
    import pyarrow as pa

    groups, count = channel.groups, channel.store.rows
    names = pa.chunked_array([pa.array([f"{number:064x}" for number in range(count)])])
    return IndexSource((channel,), Items(names, groups))


def probe_of(z: np.ndarray) -> Probe:
    """A certified probe."""
    bounds = Bounds(UpperBound(LIPSCHITZ, "for a benchmark"), 1e-12, 1e9)
    return Probe(0, "original", z, "cosine", None, False, bounds)


def queries_of(channel: Channel, count: int) -> list[np.ndarray]:
    """Rows moved by a tenth to a half of their length, of lengths 0.5 to 2."""
    rng = np.random.default_rng(1)
    rows = channel.rows64(np.sort(rng.integers(0, channel.store.rows, count)))
    noise = rng.standard_normal(rows.shape) / rows.shape[1] ** 0.5
    moved = rows + rng.uniform(0.1, 0.5, (count, 1)) * noise
    return list(moved * rng.uniform(0.5, 2.0, (count, 1)))


def large(work: Path, rows: int, index: Path | None) -> Figures:
    """Synthetic rows, one thread."""
    path, dim = rows_file(work, rows, index)
    _digest(path)
    began = time.perf_counter()
    channel = open_synthetic(path, rows, dim)
    first = time.perf_counter() - began
    began = time.perf_counter()
    channel = open_synthetic(path, rows, dim)
    again = time.perf_counter() - began
    source, zs = source_of(channel), queries_of(channel, ZS)
    y = np.stack([channel.query32(z) for z in zs])
    certified = [settle_all([source], [[probe_of(z)]], K, certify=True)[0] for z in zs[:2]]
    assert all(one.certified for one in certified)
    some = range(2, 22)
    [codes] = channel.store.filtered
    found: Figures = {
        "rows": rows,
        "dim": dim,
        "bytes of codes / bytes of rows": None if codes is None else round(codes.codes.width / (4 * dim), 3),
        "making the filter s": round(first, 2),
        "opening it s": round(again, 2),
        "FAISS flat ms": median_ms([lambda q=q: _bare(channel.store, y[q : q + 1], 128) for q in some]),
        "certified ms": median_ms(
            [lambda q=q: settle_all([source], [[probe_of(zs[q])]], K, certify=True) for q in some]
        ),
        "plain ms": median_ms(
            [lambda q=q: settle_all([source], [[probe_of(zs[q] + 1e-3)]], K, certify=False) for q in some]
        ),
    }
    bare = median_ms([lambda: _bare(channel.store, y, 128)] * 3)
    batches = [[[probe_of(z + 1e-4 * run)] for z in zs] for run in range(5)]
    fresh = [open_synthetic(path, rows, dim) for _ in batches]
    sources = [IndexSource((one,), source.items) for one in fresh]
    together = median_ms(
        [lambda s=s, b=b: settle_all([s], b, K, certify=True) for s, b in zip(sources, batches, strict=True)]
    )
    naive = median_ms([lambda q=q: naive_certificate(channel, zs[q]) for q in range(3)])
    found |= {
        f"FAISS flat, {ZS} at once, ms each": round(bare / ZS, 2),
        f"certified, {ZS} at once, ms each": round(together / ZS, 2),
        "naive certificate ms": naive,
        "certified / FAISS": round(found["certified ms"] / found["FAISS flat ms"], 2),
        "certified / FAISS, at once": round(together / bare, 3),
        "naive / certified": round(naive / found["certified ms"], 1),
    }
    return found | exactness(source, channel, zs[:CHECKED])


def naive_certificate(channel: Channel, z: np.ndarray) -> float:
    """T1 in float64 against every row, as a plain program would have it."""
    nearest, best, first = np.inf, -np.inf, 0
    rows = channel.store.rows
    for start in range(0, rows, 65_536):
        scores = channel.rows64(np.arange(start, min(rows, start + 65_536))) @ z
        if scores.max() > best:
            best, first = float(scores.max()), start + int(scores.argmax())
    [winner] = channel.rows64(np.array([first]))
    for start in range(0, rows, 65_536):
        ids = np.arange(start, min(rows, start + 65_536))
        apart = winner - channel.rows64(ids)
        width = np.linalg.norm(apart, axis=1)
        h = np.divide(apart @ z, width, out=np.full(len(ids), np.inf), where=ids != first)
        nearest = min(nearest, float(h.min()))
    return nearest / LIPSCHITZ


def exactness(source: IndexSource, channel: Channel, zs: Sequence[np.ndarray]) -> Figures:
    """The first items and the first radius against float64 brute force over every row, without a shortlist."""
    found = settle_all([source], [[probe_of(z)] for z in zs], K, certify=True)
    stacked, rows = np.stack(zs), channel.store.rows
    top = np.array([one.items[0].row for one in found])
    winners = channel.rows64(top)
    best = np.full((len(zs), 0), -np.inf)
    numbers = np.zeros((len(zs), 0), dtype=np.int64)
    h = np.full(len(zs), np.inf)
    lead = np.einsum("ij,ij->i", winners, stacked)
    for start in range(0, rows, 65_536):
        ids = np.arange(start, min(rows, start + 65_536))
        block = channel.rows64(ids)
        scores = stacked @ block.T
        width = np.sqrt(np.maximum(2.0 - 2.0 * (winners @ block.T), 0.0))
        ahead = (lead[:, None] - scores) / np.where(width > 1e-3, width, np.inf)
        ahead[width <= 1e-3] = np.inf
        ahead[:, :] = np.where(ids[None] == top[:, None], np.inf, ahead)
        h = np.minimum(h, ahead.min(axis=1))
        for query, row in zip(*np.nonzero((width <= 1e-3) & (ids[None] != top[:, None])), strict=True):
            apart = winners[query] - block[row]
            h[query] = min(h[query], float(apart @ stacked[query]) / float(np.linalg.norm(apart)))
        best, numbers = np.hstack([best, scores]), np.hstack([numbers, np.broadcast_to(ids, scores.shape)])
        keep = np.argpartition(-best, 4 * K, axis=1)[:, : 4 * K]
        best, numbers = np.take_along_axis(best, keep, 1), np.take_along_axis(numbers, keep, 1)
    same = radii = 0
    for place, one in enumerate(found):
        exact = channel.rows64(numbers[place]).astype(np.longdouble) @ stacked[place].astype(np.longdouble)
        order = numbers[place][np.lexsort((numbers[place], -exact))][:K]
        same += [item.row for item in one.items] == order.tolist()
        radius = one.items[0].top1 or 0.0
        radii += max(0.0, h[place] / LIPSCHITZ) - 1e-6 <= radius <= max(0.0, h[place] / LIPSCHITZ) + 1e-12
    return {"checked": len(zs), "first items right": int(same), "radii right": int(radii)}


def _rows_like(index: Path) -> np.ndarray:
    """Up to 60,000 rows of its last channel, as its files hold them."""
    files = sorted(index.glob("segments/*/rows-*.f32"))
    last = max(file.name for file in files)
    rows = [np.fromfile(file, np.float32).reshape(-1, LIKE_DIM) for file in files if file.name == last]
    return np.concatenate(rows)[:60_000].astype(np.float64)


def coded(work: Path, rows: int, index: Path | None) -> Figures:
    """Rows stored as int8 beside the same rows in float32: bytes, times in turns, and exactness among themselves."""
    path, dim = rows_file(work, rows, index)
    files = {"float32": path, "int8": coded_file(path, rows, dim, "int8")}
    channels = {code: open_synthetic(file, rows, dim, code=code) for code, file in files.items()}
    sources = {code: source_of(channel) for code, channel in channels.items()}
    zs = queries_of(channels["float32"], 42)
    spent: dict[str, list[float]] = {code: [] for code in files}
    for number, z in enumerate(zs):
        for code in files if number % 2 else reversed(files):
            began = time.perf_counter()
            settle_all([sources[code]], [[probe_of(z)]], K, certify=True)
            spent[code].append(1e3 * (time.perf_counter() - began))
    found: Figures = {f"certified, {code}, ms": round(statistics.median(each[2:]), 2) for code, each in spent.items()}
    ratios = [a / b for a, b in zip(spent["int8"][2:], spent["float32"][2:], strict=True)]
    found["int8 / float32, median of pairs"] = round(statistics.median(ratios), 2)
    found["bytes of int8 rows / of float32 rows"] = files["int8"].stat().st_size / path.stat().st_size
    return found | exactness(sources["int8"], channels["int8"], zs)


def memory(work: Path, rows: int, index: Path | None, code: str = "float32") -> Figures:
    """A process that opens synthetic rows and answers: what it holds beyond files that it maps and what torch takes."""
    path, dim = rows_file(work, rows, index)
    if code != "float32":
        path = coded_file(path, rows, dim, code)
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch, faiss, pyarrow, retr.retrieval.engine
from search import *
def anonymous():
    lines = open('/proc/self/smaps_rollup').read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith('Anonymous:'))
before = anonymous()
channel = open_synthetic(Path({str(path)!r}), {rows}, {dim}, code={code!r})
opened = anonymous()
settle_all([source_of(channel)], [[probe_of(z)] for z in queries_of(channel, 8)], K, certify=True)
print(before, opened, anonymous())
"""
    run = [sys.executable, "-c", script]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()  # noqa: S603 - our own text
    before, opened, after = map(int, said)
    return {
        "anonymous MB after imports": round(before / 1024),
        "beyond them, opened, MB": round((opened - before) / 1024),
        "beyond them, after 8 queries, MB": round((after - before) / 1024),
    }


def main() -> None:
    """Measure what is asked for, print it, keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--index", type=Path, help="an index of photographs")
    parser.add_argument("--rows", type=int, default=200_000, help="synthetic rows [200,000; the table has 1,000,000]")
    parser.add_argument("--part", choices=("small", "large", "int8", "memory"), action="append")
    parser.add_argument("--anew", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    kept = options.work / "search.json"
    found: Figures = json.loads(kept.read_text()) if kept.exists() and not options.anew else {}
    for part in options.part or ("small", "large", "int8", "memory"):
        name = part if part == "small" else f"{part} {options.rows}"
        if name in found:
            continue
        if part != "small":
            found[name] = {"large": large, "int8": coded, "memory": memory}[part](
                options.work, options.rows, options.index
            )
        elif options.index is not None:
            found[name] = small(options.index)
        else:
            continue
        found[name]["load of the machine"] = round(os.getloadavg()[0], 1)
        kept.write_text(json.dumps(found, indent=1))
    for name, figures in found.items():
        print(f"| {name} | |\n|---|---|")
        print("\n".join(f"| {what} | {value} |" for what, value in figures.items()), end="\n\n")


if __name__ == "__main__":
    main()
