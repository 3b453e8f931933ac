"""Measure what docs/benchmarks/README.md states, on an index that exists.

    python docs/benchmarks/measure.py INDEX [--sample N]

For every item (or N of them, drawn by seed): the answer to the item itself, and to its benign edits, with certificates.
Prints recall, certified recall, median radius and the time of a query. Items with the same pixels count as one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retr.images.edits import EDITS
from retr.indexer.entries import load_named
from retr.retrieval.engine import Engine

LEVELS = (1.0, 2.0, 3.0, 5.0, 8.0)


class Judgement(NamedTuple):
    """One query: which edit made it, whether its item came first, the certified top-1 RMSE, and seconds."""

    edit: str
    first: bool
    rmse: float
    seconds: float


def judgements(engine: Engine, rows: np.ndarray, edits: list[str]) -> Iterator[Judgement]:
    """Answer every edit of every row's image."""
    for row in rows:
        image = load_named(str(engine.gallery.describe(int(row))["path"]), engine.policy)
        for number, edit in enumerate(edits):
            edited = EDITS[edit].apply(image.pixels, np.random.default_rng([int(row), number]))
            began = time.perf_counter()
            match = engine.answer(edited.astype(np.float64) / 255.0, k=1, certify=True).matches[0]
            first = match.group == engine.gallery.groups[row]
            radius = match.top1.rmse if first and match.top1 is not None else 0.0
            yield Judgement(edit, first, radius, time.perf_counter() - began)


def summary(found: list[Judgement]) -> dict[str, float]:
    """Recall, certified recall per level, median radius (0 where the item is not first)."""
    radii = np.array([one.rmse for one in found])
    certified = {f"certified@{level:g}": round(100 * float((radii > level).mean()), 1) for level in LEVELS}
    recall = round(100 * float(np.mean([one.first for one in found])), 1)
    return {"queries": len(found), "recall@1": recall, **certified, "median_rmse": round(float(np.median(radii)), 2)}


def main() -> None:
    """Print one JSON line per edit, then the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("--sample", type=int, help="how many items; all by default")
    parser.add_argument("--edits", nargs="*", default=list(EDITS), help="names of images.edits.EDITS")
    options = parser.parse_args()
    engine = Engine.open(options.index)
    _, rows = np.unique(engine.gallery.groups, return_index=True)
    rows = rows[engine.gallery.groups[rows] >= 0]
    if options.sample and options.sample < len(rows):
        rows = np.sort(np.random.default_rng(0).choice(rows, options.sample, replace=False))
    table: dict[str, list[Judgement]] = defaultdict(list)
    for one in judgements(engine, rows, options.edits):
        table[one.edit].append(one)
    for edit, found in table.items():
        print(json.dumps({"edit": edit, "geometric": EDITS[edit].geometric, **summary(found)}))
    seconds = np.array([one.seconds for found in table.values() for one in found])
    times = {f"p{q}_ms": round(1000 * float(np.percentile(seconds, q)), 1) for q in (50, 90, 99)}
    print(json.dumps({"rows": len(engine.gallery.catalog), "queries": len(seconds), **times}))


if __name__ == "__main__":
    main()
