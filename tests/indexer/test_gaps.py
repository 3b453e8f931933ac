"""Gaps: the rule pair by pair, what is set aside, and that they never depend on what came when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn import Stretches

from retr.core.errors import IntegrityError
from retr.core.files import sha256_file
from retr.core.types import Score
from retr.indexer import gap_pairs, gap_scan, gap_update, neighbours, short_rows
from retr.indexer.gallery import Gallery
from retr.indexer.gap_update import level_of, measure_gaps
from retr.indexer.gaps import Gaps, all_of, gaps_of, read_gaps, read_neighbours, write_gaps, write_neighbours
from retr.indexer.integrity import ContentCheck
from retr.indexer.items import Items
from retr.indexer.neighbours import measure_near
from retr.indexer.reference import Reference, encode
from retr.indexer.snapshot import SegmentInfo, Snapshot, neighbours_file
from retr.indexer.vectors import RowStore

DIM = 12


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def reference(seed: int = 0, *, score: Score = "cosine", count: int = 40, **given) -> Reference:
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    codes = encode(unit(rows) if score == "cosine" else rows.astype(np.float32), score)
    kind = (np.arange(count) % 2).astype(np.uint8)
    bare = Reference("m", "d" * 64, score, codes, kind, np.zeros(count, "f4"), ("photograph", "page"))
    return replace(bare, **({"near": measure_near(bare.rows(), score), "farthest": 1.2, "share": 0.6} | given))


REFERENCES = (reference(1), reference(2, score="euclidean", farthest=9.0))


class World:
    """Pictures, each of a few rows in two channels, that come and go in any order."""

    def __init__(self, count: int = 60, views: int = 3) -> None:
        rng = np.random.default_rng(5)
        centres = rng.normal(size=(count, DIM))
        centres[1] = centres[0] + 0.01 * rng.normal(size=DIM)  # a copy of it
        centres[2] = centres[0] + 0.012 * rng.normal(size=DIM)
        centres[7] = centres[6]  # the very same numbers
        centres[9] = REFERENCES[0].rows()[3]  # a picture of the set
        rows = centres[:, None] + 0.1 * rng.normal(size=(count, views, DIM))
        rows[:, 0] = centres
        self.rows = [unit(rows.reshape(-1, DIM)).reshape(rows.shape), rows.astype(np.float32)]
        self.views = views

    def gallery(self, items: list[int], *, dead: tuple[int, ...] = ()) -> Gallery:
        """Those items as segments of one item each, in this order; dead ones are stored and tombstoned."""
        digests = [
            f"{item * 0x9E3779B97F4A7C15 % 2**64:016x}".ljust(64, "0") for item in items for _ in range(self.views)
        ]
        live = np.array([item not in dead for item in items for _ in range(self.views)], dtype=np.bool_)
        names = ["original", *(f"v{n}" for n in range(1, self.views))] * len(items)
        stores = tuple(
            RowStore((own[items].reshape(-1, DIM),), (0, len(live)), DIM, score)
            for own, score in zip(self.rows, ("cosine", "euclidean"), strict=True)
        )
        segments = tuple(SegmentInfo(f"{item:016x}", self.views, 1, 0, {}) for item in items)
        catalog = pa.table({"view": names, "pixels_sha256": digests, "item": np.repeat(items, self.views)})
        table = Items.of(catalog["pixels_sha256"], live)
        check = ContentCheck(0, 0, 0, 0, None, (), 0)
        return Gallery(Snapshot({}, "", "none", (), segments), catalog, stores, live, np.zeros(0, "i8"), table, check)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def by_item(gallery: Gallery, gaps: Gaps) -> dict[int, list[tuple]]:
    """What is known of each live item, wherever its rows are."""
    found: dict[int, list[tuple]] = {}
    for row in np.flatnonzero(gallery.live):
        known = tuple(getattr(gaps, name)[row] for name in Gaps.__slots__)
        found.setdefault(gallery.catalog["item"][int(row)].as_py(), []).append(known)
    return found


def moved(old: Gaps, before: Gallery, after: Gallery) -> Gaps:
    """What was known of the rows of one gallery, as the rows of another."""
    parts = {}
    for number, segment in enumerate(before.snapshot.segments):
        rows = slice(number * segment.rows, (number + 1) * segment.rows)
        parts[segment.id] = Gaps(*(getattr(old, name)[rows] for name in Gaps.__slots__))
    return all_of(after.snapshot, parts)


def by_set(reference: Reference, far: np.ndarray) -> np.ndarray:
    """(rows, 2) reference gaps of (rows, n) distances, cut and uncut: pages, the odd vectors, are as near as two."""
    first, uncut = far.argmin(axis=1), np.minimum(far.min(axis=1), reference.farthest)
    return np.stack([np.where(first % 2 == 1, np.minimum(uncut, reference.near[first]), uncut), uncut], axis=1)


def part_of(reference: Reference, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(rows,) how near two rows never come if their kinds are in doubt, of (rows, 2) and (2,) reference gaps."""
    cuts = (one[:, 0] < one[:, 1]).astype(int) + int(other[0] < other[1])
    return np.array([reference.certain, 0.25, 0.0])[cuts] * np.minimum(one[:, 1], other[1])


def plain(world: World, items: list[int], channel: int) -> dict[int, np.ndarray]:
    """The rule, as it is written, pair by pair in float64."""

    def far(a, b):
        apart = np.linalg.norm(a.astype(np.float64)[:, None] - b.astype(np.float64)[None], axis=2)
        return 2 * np.arcsin(np.minimum(apart / 2, 1))

    def euclid(a, b):
        return np.linalg.norm(a.astype(np.float64)[:, None] - b.astype(np.float64)[None], axis=2)

    measures, sets = (far, euclid), REFERENCES
    alone = []
    for k in range(2):
        to_set = {i: measures[k](world.rows[k][i], sets[k].rows()) for i in items}
        aside = {
            i: (d <= sets[k].certain * np.minimum(sets[k].near, sets[k].farthest)).any(axis=0)
            for i, d in to_set.items()
        }
        alone.append({i: by_set(sets[k], np.where(aside[i], np.inf, d)) for i, d in to_set.items()})
    found = {}
    for i in items:
        gap = alone[channel][i][:, 0].copy()
        for j in items:
            if j == i:
                continue
            apart = [measures[k](world.rows[k][i], world.rows[k][j][:1])[:, 0] for k in range(2)]
            sure = [
                (apart[k] <= sets[k].certain * np.minimum(alone[k][i][:, 0], alone[k][j][0, 0])).any() for k in range(2)
            ]
            doubted = [apart[k] <= part_of(sets[k], alone[k][i], alone[k][j][0]) for k in range(2)]
            if not any(sure) and not (doubted[0] & doubted[1]).any():
                gap = np.minimum(gap, measures[channel](world.rows[channel][i], world.rows[channel][j][:1])[:, 0])
        found[i] = gap
    return found


def test_gaps_follow_the_rule(world: World):
    items = list(range(30))
    gallery = world.gallery(items)
    found = measure_gaps(gallery, REFERENCES)
    for channel in range(2):
        expected = plain(world, items, channel)
        for item, known in by_item(gallery, found[channel]).items():
            assert [one[0] for one in known] == pytest.approx(expected[item].tolist(), rel=1e-6)
    names = gallery.table.keys(np.arange(gallery.items))
    presumed = {item: known[0][3] for item, known in by_item(gallery, found[0]).items()}
    assert presumed[0] in names[[1, 2]]
    assert presumed[1] == presumed[2] == names[0]
    assert presumed[6] == names[7]
    assert presumed[20] == b""
    assert found[0].gap[0] > 10 * 0.012  # the copies do not count
    assert {one[2].split(b":")[0] for known in by_item(gallery, found[0]).values() for one in known} >= {b"kind"}


def test_measuring_says_how_far_it_is(world: World, monkeypatch: pytest.MonkeyPatch):
    gallery = world.gallery(list(range(40)))
    monkeypatch.setattr(neighbours, "BLOCK", 130)
    told = Stretches()
    known = measure_gaps(gallery, REFERENCES, progress=told)
    titles = ["measuring gaps to the reference set"] * 2 + ["measuring gaps between images"]
    assert told.told == [(title, gallery.items, gallery.items) for title in titles]
    nothing = Stretches()
    measure_gaps(gallery, REFERENCES, known, nothing)
    assert nothing.told == []


def test_blocks_and_order_change_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    items = list(range(40))
    gallery = world.gallery(items)
    whole = [by_item(gallery, one) for one in measure_gaps(gallery, REFERENCES)]
    monkeypatch.setattr(neighbours, "BLOCK", 130)
    shuffled = world.gallery(np.random.default_rng(1).permutation(items).tolist())
    assert [by_item(shuffled, one) for one in measure_gaps(shuffled, REFERENCES)] == whole


@pytest.mark.parametrize("dear", [1, 10**9])
def test_short_rows_change_nothing(world: World, dear: int, monkeypatch: pytest.MonkeyPatch):
    gallery = world.gallery(list(range(40)))
    whole = measure_gaps(gallery, REFERENCES)
    monkeypatch.setattr(gap_scan, "_WORTH", 1)
    monkeypatch.setattr(gap_pairs, "DEAR", dear)
    monkeypatch.setattr(gap_scan, "codes_of", lambda others: None)
    monkeypatch.setattr(short_rows, "_STEP", 1)
    monkeypatch.setattr(short_rows, "LEFT", 0.8)
    for one, other in zip(whole, measure_gaps(gallery, REFERENCES), strict=True):
        assert all((getattr(one, name) == getattr(other, name)).all() for name in Gaps.__slots__)


def test_what_is_brought_up_to_date_is_what_is_measured_anew(world: World):
    """Items come, go, and come again; the sample is small enough for its level to be 1."""
    rng = np.random.default_rng(3)
    items, dead = list(range(20)), set()
    gallery = world.gallery(items)
    known = measure_gaps(gallery, REFERENCES)
    redone = 0
    for step in range(12):
        fresh = [n for n in range(60) if n not in items]
        items = items + rng.choice(fresh, min(3, len(fresh)), replace=False).tolist()
        if step % 2:
            dead |= set(rng.choice([n for n in items if n not in dead], 2, replace=False).tolist())
        if step == 6:
            dead -= {min(dead)}  # it is back
        after = world.gallery(items, dead=tuple(dead))
        old = [moved(one, gallery, after) for one in known]
        renewed, anew = measure_gaps(after, REFERENCES, old), measure_gaps(after, REFERENCES)
        for channel in range(2):
            assert by_item(after, renewed[channel]) == by_item(after, anew[channel])
        redone += sum(int((one.limit[one.reference >= 0] != b"").any()) for one in renewed)
        gallery, known = after, renewed
    assert redone


def test_items_whose_segment_is_dropped_limit_nothing_any_more(world: World):
    gallery = world.gallery(list(range(30)))
    known = measure_gaps(gallery, REFERENCES)
    limits = {key for one in known for key in one.limit} & set(gallery.table.keys(np.arange(30)))
    gone = [int(item) for item in gallery.table.numbers(np.array(sorted(limits)))[:4]]
    after = world.gallery([item for item in range(30) if item not in [0, *gone]])
    renewed = measure_gaps(after, REFERENCES, [moved(one, gallery, after) for one in known])
    assert [by_item(after, one) for one in renewed] == [by_item(after, one) for one in measure_gaps(after, REFERENCES)]


def test_a_large_gallery_is_sampled_by_digest_alone(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gap_update, "REFERENCES", 16)
    assert [level_of(n) for n in (0, 16, 17, 32, 33)] == [0, 0, 1, 1, 2]
    items = list(range(25))
    gallery = world.gallery(items)
    known = measure_gaps(gallery, REFERENCES)
    names = dict(enumerate(gallery.table.keys(np.arange(25))))
    limits = {key for one in known for key in one.limit} & set(names.values())
    assert limits
    assert all(int(key[:1], 16) < 8 for key in limits)
    after = world.gallery([*items, 30, 31])
    renewed = measure_gaps(after, REFERENCES, [moved(one, gallery, after) for one in known])
    assert [by_item(after, one) for one in renewed] == [by_item(after, one) for one in measure_gaps(after, REFERENCES)]


def test_gaps_are_written_and_read(world: World, tmp_path: Path):
    gallery = world.gallery([3, 1, 2], dead=(1,))
    gaps = measure_gaps(gallery, REFERENCES)[0]
    plain = write_gaps(tmp_path, gallery.snapshot, gaps.gap)
    digest = write_neighbours(tmp_path, gallery.snapshot, gaps, basis="b")
    by_segment, basis = read_neighbours(tmp_path, plain, digest)
    again = all_of(gallery.snapshot, by_segment)
    assert basis == "b"
    assert all((getattr(again, name) == getattr(gaps, name)).all() for name in Gaps.__slots__)
    assert (gaps_of(gallery.snapshot, read_gaps(tmp_path, plain)) == gaps.gap).all()
    assert (gaps.gap[~gallery.live] == 0).all()
    assert (gaps.reference[~gallery.live] == -1).all()
    older = pq.read_table(neighbours_file(tmp_path, digest)).drop_columns(["uncut"])
    pq.write_table(older, tmp_path / "older")
    older_digest = sha256_file(tmp_path / "older")
    (tmp_path / "older").rename(neighbours_file(tmp_path, older_digest))
    known, _ = read_neighbours(tmp_path, plain, older_digest)
    assert (all_of(gallery.snapshot, known).uncut == gaps.reference).all()
    file = neighbours_file(tmp_path, digest)
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match="does not match"):
        read_neighbours(tmp_path, plain, digest)
