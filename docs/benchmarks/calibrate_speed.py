"""How long calibration takes where everything is embedded: 36,000 rows of both default channels, 9,000 negatives.

Run as ``python docs/benchmarks/calibrate_speed.py [ITEMS VIEWS NEGATIVES]``. Vectors are synthetic: unit vectors
about as far apart as photographs are, so that few negatives lie within a row's share, as in life. Prints seconds for
measuring the gaps of all rows and for setting the thresholds.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pyarrow as pa

from retr.indexer.gallery import Gallery
from retr.indexer.gap_update import measure_gaps
from retr.indexer.integrity import ContentCheck
from retr.indexer.items import Items
from retr.indexer.neighbours import measure_near
from retr.indexer.reference import Reference, encode
from retr.indexer.snapshot import Snapshot, Threshold
from retr.indexer.vectors import RowStore
from retr.retrieval.channel import Channel, reach_of_gaps
from retr.retrieval.conformal import set_offsets
from retr.retrieval.survey import certain, in_reference, levels, searched, within

DIMS = (768, 256)
CORRELATION = 0.35
"""Cosine of two vectors, about."""


def unit(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    """(count, dim) float32 unit vectors."""
    rows = rng.normal(size=(count, dim)) + np.sqrt(dim * CORRELATION / (1 - CORRELATION)) * np.eye(dim)[0]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def main(items: int, views: int, negatives: int) -> None:
    """Measure and print."""
    rng, rows = np.random.default_rng(0), items * views
    stores = tuple(RowStore((unit(rng, rows, dim),), (0, rows), dim, "cosine") for dim in DIMS)
    references = [reference(rng, dim) for dim in DIMS]
    digests = pa.chunked_array([pa.array([f"{n:064x}" for n in range(items) for _ in range(views)])])
    live = np.ones(rows, dtype=np.bool_)
    catalog = pa.table({"view": ["original", *["view"] * (views - 1)] * items, "pixels_sha256": digests})
    check = ContentCheck(0, 0, 0, 0, None, (), 0)
    table = Items.of(digests, live)
    gallery = Gallery(Snapshot({}, "", "none", ()), catalog, stores, live, np.zeros(0, "i8"), table, check)
    began = time.perf_counter()
    gaps = measure_gaps(gallery, references)
    print(f"gaps of {rows} rows: {time.perf_counter() - began:.1f} s")
    channels = [Channel("synthetic", None, store, table.groups, None) for store in stores]  # pyright: ignore[reportArgumentType]
    zs = [unit(rng, negatives, dim).astype(np.float64) for dim in DIMS]
    began = time.perf_counter()
    pairs = []
    for channel, known, one, z in zip(channels, gaps, references, zs, strict=True):
        in_reference(one, z)
        share = Threshold(0.0, "reference", None, 0, share=one.share)
        near = within(channel, searched(z, channel), reach_of_gaps(share, known.gap))
        pairs.append(near.take(~certain(near, known.gap, one.certain)))
    offsets, limit = set_offsets(levels(pairs, [known.gap for known in gaps], negatives), fpr=1e-3)
    print(f"{negatives} negatives: {time.perf_counter() - began:.1f} s; offsets {offsets}, 95 % limit {limit:.4f}")


def reference(rng: np.random.Generator, dim: int, count: int = 6000) -> Reference:
    """A set as large as a packaged one."""
    codes = encode(unit(rng, count, dim), "cosine")
    bare = Reference("", "", "cosine", codes, np.zeros(count, "u1"), np.zeros(count, "f4"), ("photograph",), share=0.65)
    near = measure_near(bare.rows(), "cosine")
    return Reference("", "", "cosine", codes, bare.kind, near, bare.kinds, share=0.65)


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:4] or (2250, 16, 9000)))
