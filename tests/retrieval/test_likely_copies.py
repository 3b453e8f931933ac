"""Negatives between certain and likely: forgotten copies while they are few, false matches where they are many."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from retr.indexer.gaps import Gaps
from retr.indexer.reference import Rate, Reference
from retr.retrieval.conformal import set_offsets
from retr.retrieval.known_pairs import KnownPairs
from retr.retrieval.near_pairs import FEW, LIKELY, judge
from retr.retrieval.survey import Pairs, levels

WIDE, SHEET = 0, 1
"""Rows: a photograph with a gap of 1, and a sheet."""
NOTHING = KnownPairs()


def gaps() -> Gaps:
    unknown = Gaps.unknown(2)
    unknown.gap[:] = (1.0, 0.1)
    return unknown


def reference(**given) -> Reference:
    none = np.zeros((0, 4), np.int8), np.zeros(0, np.uint8), np.zeros(0, np.float32)
    own = {"share": 0.75, "certain": 0.4, "sheet": 0.1, "rate": Rate(1e-3, 4474, 0.00265)} | given
    return Reference("m", "d" * 64, "cosine", *none, ("photograph",), **own)


def engine() -> SimpleNamespace:
    stored = [{"path": f"stored-{row}", "id": str(row)} for row in range(2)]
    gallery = SimpleNamespace(describe=stored.__getitem__)
    return SimpleNamespace(gallery=gallery, channels=[SimpleNamespace(name="m")])


def judged(parts: dict[int, float], count: int, *, row: int = WIDE, one: Reference | None = None):
    """Of so many negatives some are nearer to a row than its share: by number, as a part of its gap."""
    own = gaps()
    far = np.array(list(parts.values())) * own.gap[row]
    pairs = Pairs(np.array(list(parts), dtype=np.int64), np.full(len(parts), row, dtype=np.int64), far)
    measured = SimpleNamespace(gaps=(own,), references=(one or reference(),))
    names = [f"negative-{number}" for number in range(count)]
    return judge(engine(), measured, [pairs], names, NOTHING)  # type: ignore[arg-type]


def relations(parts: dict[int, float], count: int, **given) -> list[str]:
    return [pair.relation for pair in judged(parts, count, **given).pairs]


def test_a_few_are_presumed_copies_and_many_count() -> None:
    near = {0: 0.3, 1: 0.45, 2: 0.59, 3: 0.61}
    assert relations(near, 200) == ["presumed", "presumed", "presumed", "counted"]
    assert relations(near, 199) == ["presumed", "counted", "counted", "counted"]  # two are more than one in a hundred
    assert judged(near, 200).kept.tolist() == list(range(3, 200))


def test_edges() -> None:
    assert relations({0: LIKELY}, 100) == ["presumed"]
    assert relations({0: float(np.nextafter(LIKELY, 1))}, 100) == ["counted"]
    assert relations(dict.fromkeys(range(10), 0.5), int(10 / FEW)) == ["presumed"] * 10
    assert relations(dict.fromkeys(range(11), 0.5), int(10 / FEW)) == ["counted"] * 11
    assert relations(dict.fromkeys(range(11), 0.4), 12) == ["presumed"] * 11  # certain: however many


def test_never_near_a_sheet_and_only_where_rates_were_measured() -> None:
    assert relations({0: 0.5}, 1000, row=SHEET) == ["counted"]
    assert relations({0: 0.3}, 1000, row=SHEET) == ["presumed"]
    assert relations({0: 0.5}, 1000, one=reference(rate=None)) == ["counted"]
    assert relations({0: 0.5}, 1000, one=reference(sheet=None)) == ["counted"]


def test_whoever_says_different_is_believed() -> None:
    own = gaps()
    pairs = Pairs(np.array([0, 1]), np.array([WIDE, WIDE]), np.array([0.5, 0.5]))
    stub = engine()
    stub.gallery.catalog = {"path": [SimpleNamespace(as_py=lambda: "stored-0"), SimpleNamespace(as_py=lambda: "-")]}
    measured, names = SimpleNamespace(gaps=(own,), references=(reference(),)), [f"{n}.png" for n in range(1000)]
    said = KnownPairs(frozenset(), frozenset({("0.png", "stored-0")}))
    found = judge(stub, measured, [pairs], names, said)  # type: ignore[arg-type]
    assert {pair.negative: pair.relation for pair in found.pairs} == {"0.png": "counted", "1.png": "presumed"}


def test_forgotten_copies_do_not_make_thresholds_tighter_and_the_rate_holds() -> None:
    """Negatives of which one in 150 is a copy; new images without one match at the rate that was asked for."""
    rng, rate, count, offsets, matched = np.random.default_rng(3), 0.01, 600, [], []
    for _ in range(200):
        far = 0.61 + 0.39 * rng.random(count)  # how near unrelated pictures come to the row
        far[:4] = rng.uniform(0.41, 0.59, 4)
        new = 0.61 + 0.39 * rng.random(2000)
        inside = np.flatnonzero(far <= 0.75)
        found = judged(dict(zip(inside.tolist(), far[inside].tolist(), strict=True)), count)
        (offset,), _ = set_offsets(levels(found.counted, [gaps().gap], len(found.kept)), fpr=rate)
        assert offset is not None
        offsets.append(offset)
        matched.append((new < min(0.75, offset + 0.5)).mean())
    assert min(offsets) > 0.1  # counted, four copies would have let none of these match
    assert 0.007 < np.mean(matched) <= rate * 1.02


@pytest.mark.parametrize("copies", [0, 6, 7])
def test_the_rate_holds_of_what_lies_farther_whether_they_count_or_not(copies: int) -> None:
    rng, rate, count, matched = np.random.default_rng(copies), 0.02, 600, []
    for _ in range(150):
        far = 0.61 + 0.39 * rng.random(count)
        far[:copies] = 0.5
        inside = np.flatnonzero(far <= 0.75)
        found = judged(dict(zip(inside.tolist(), far[inside].tolist(), strict=True)), count)
        (offset,), _ = set_offsets(levels(found.counted, [gaps().gap], len(found.kept)), fpr=rate)
        assert offset is not None
        matched.append(float(np.clip((min(0.75, offset + 0.5) - 0.61) / 0.39, 0, 1)))
    assert np.mean(matched) <= rate * 1.1  # four standard errors
