"""A companion in the copy benchmark: the union and its certified channels are two lines, from one search."""

from __future__ import annotations

import numpy as np
from companion import write_companion
from drawn import Quiet, draw

from retr.evaluation.copies.bench import run_copy_bench
from retr.evaluation.copies.plan import CopyPlan


def test_the_union_and_its_certified_channels_are_two_lines(tmp_path):
    for number in range(6):
        draw(tmp_path / "own" / f"{number}.png", number)
        for at in range(10):
            draw(tmp_path / "others" / f"{number}-{at}.png", 100 + 10 * number + at)
    plan = CopyPlan(
        gallery=str(tmp_path / "own"),
        negatives=tmp_path / "others",
        models=("block-means:4", "block-means:8"),
        companion=write_companion(tmp_path / "colours.pt"),
        families=("identity", "flip"),
        queries=4,
        fpr=0.2,
        out=tmp_path / "out",
        workers=1,
    )
    result = run_copy_bench(plan, Quiet())
    union, alone = result.summary.systems
    assert alone.system == f"{union.system}, certified only"
    assert union.system == "block-means:4+block-means:8+colours"
    assert union.mean.verdict is not None
    assert alone.mean.verdict is not None
    assert union.mean.verdict > alone.mean.verdict  # colours do not mind being mirrored
    assert union.mean.verdict_certified == alone.mean.verdict_certified
    assert union.refuted == alone.refuted == 0
    rows = result.records.table.to_pylist()
    assert len(rows) == 2 * (8 + 30)
    shared = [(row["query"], row["edit"]) for row in rows]
    assert all(np.equal(shared.count(one), 2) for one in set(shared))
