"""Local thresholds: gaps, calibration, and verdicts and radii against a scan of every row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import plain
import pytest
from drawn import Quiet, draw
from PIL import Image
from plain import group_of, rank

from retr.certificates.verdicts import signed_distances, verdict_radii
from retr.core.errors import IntegrityError, UsageError
from retr.core.types import UpperBound
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.info import describe_index, list_presumed
from retr.indexer.snapshot import SCHEMA_LOCAL, SCHEMA_SHARE, gaps_file, require_current
from retr.retrieval import rejecting
from retr.retrieval.calibrate import calibrate
from retr.retrieval.conformal import set_offsets, upper95
from retr.retrieval.engine import Engine
from retr.retrieval.query import query_files
from retr.retrieval.survey import levels, searched, within
from retr.retrieval.verdict import hidden_nothing

ITEMS, VIEWS = 60, 3
ROWS = ITEMS * VIEWS


def local(channel, offset: float | None, seed: int, share: float | None = None):
    """The channel with a threshold of its own for every row: some wide, some narrow, some that accept nothing."""
    gaps = np.random.default_rng(seed).uniform(0.0, 1.4, ROWS).astype(np.float32)
    named = {"gaps": "0" * 64} | dict.fromkeys(("reference", "neighbours"), None if share is None else "1" * 64)
    return replace(channel, threshold=replace(channel.threshold, offset=offset, share=share, **named), gaps=gaps)


def reach(channel) -> np.ndarray:
    """(rows,) angle or distance up to which each row accepts, by its definition."""
    wide, limits = channel.gaps.astype(np.float64), []
    if channel.threshold.offset is not None:
        limits.append(channel.threshold.offset + wide / 2)
    if channel.threshold.share is not None:
        limits.append(channel.threshold.share * wide)
    return np.maximum(np.min(limits, axis=0), 0.0)


def at_most(claimed: float | None, exact: float) -> bool:
    """Whether a claim is made, and sound."""
    return claimed is not None and claimed <= max(exact, 0.0)


def inside(z: np.ndarray, channel) -> np.ndarray:
    """(rows,) signed T4/T5 distances with angles, in 80-bit arithmetic; −inf for dead rows."""
    rows, z = channel.rows64(np.arange(ROWS)).astype(np.longdouble), z.astype(np.longdouble)
    if channel.score == "euclidean":
        found = reach(channel) - np.sqrt(((z - rows) ** 2).sum(1))
    else:
        length = np.sqrt(z @ z)
        away = 2 * np.arcsin(np.minimum(np.sqrt(((z / length - rows) ** 2).sum(1)) / 2, 1))
        found = length * np.sin(np.clip(reach(channel) - away, -np.pi / 2, np.pi / 2))
    return np.where(channel.groups >= 0, found, -np.inf)


RULES = {
    "offset": ((-0.2, None), (-0.1, None)),
    "both": ((-0.2, 0.35), (-0.1, 0.4)),
    "share": ((None, 0.3), (None, 0.4)),
}


@pytest.fixture(params=RULES)
def two(make_channel, request):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(ITEMS), VIEWS)
    groups[6:9] = -1
    base = rng.standard_normal((ITEMS, 6)).repeat(VIEWS, 0)
    first = make_channel(base + 0.3 * rng.standard_normal(base.shape), groups=groups, threshold=0.9, parts=2)
    other = make_channel(rng.standard_normal((ROWS, 4)), "euclidean", groups=groups, threshold=0.5)
    (first_offset, first_share), (other_offset, other_share) = RULES[request.param]
    return local(first, first_offset, 1, first_share), local(other, other_offset, 2, other_share)


def queries(channel, seed: int = 3) -> list[np.ndarray]:
    """Near a row, on a row, near the dead item, between, far."""
    rng = np.random.default_rng(seed)
    rows = channel.rows64(np.arange(ROWS))
    near = [rows[i] + noise * rng.standard_normal(rows.shape[1]) for i in range(0, ROWS, 7) for noise in (0.05, 0.3)]
    return [*near, rows[20].copy(), rows[7] * 1.5, 5.0 * rng.standard_normal(rows.shape[1])]


def test_the_threshold_of_a_row_is_the_same_whenever_it_is_asked_for(two):
    for channel in two:
        whole, again = replace(channel).limits(np.arange(ROWS)), replace(channel)
        for ids in (np.array([3, 1, 3]), np.arange(ROWS)[::-2], np.arange(ROWS), np.arange(0)):
            assert (again.limits(ids) == whole[ids]).all()
        assert (replace(again, gaps=0.5 * again.gaps).limits(np.arange(ROWS)) != whole).any()


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("first", [1, 5, 1000])
def test_verdict_and_radii_of_one_channel_are_those_of_a_scan(two, number, first):
    channel, seen = two[number], set()
    for z in queries(channel):
        scan = inside(z, channel)
        found = rank(channel, z, 5, first=first)
        assert found.point_verdict == ("copy" if scan.max() >= 0 else "not-a-copy")
        assert at_most(found.copy, float(scan.max()))
        assert at_most(found.nothing, -float(scan.max()))
        assert found.nothing == pytest.approx(max(-float(scan.max()), 0.0), abs=1e-6)
        for item in found.items:
            own = float(scan[channel.groups == group_of(item)].max())
            assert item.accepted == (own >= 0)
            assert item.copy == pytest.approx(max(own, 0.0), abs=1e-9)
            assert at_most(item.copy, own)
        seen.add((found.point_verdict, found.items[0].accepted))
    assert ("copy", False) in seen, "no query whose nearest item does not accept it, while another does"
    assert {("copy", True), ("not-a-copy", False)} < seen


@pytest.mark.parametrize("first", [1, 5, 1000])
def test_verdict_and_radii_of_two_channels_are_those_of_a_scan(two, first):
    seen = set()
    for zs in zip(*map(queries, two), strict=True):
        scan = np.maximum(*(inside(z, channel) for z, channel in zip(zs, two, strict=True)))
        found = rank(two, zs, 5, first=first)
        assert found.point_verdict == ("copy" if scan.max() >= 0 else "not-a-copy")
        assert at_most(found.copy, float(scan.max()))
        assert at_most(found.nothing, -float(scan.max()))
        assert found.nothing == pytest.approx(max(-float(scan.max()), 0.0), abs=1e-6)
        for item in found.items:
            own = float(scan[two[0].groups == group_of(item)].max())
            assert item.accepted == (own >= 0)
            assert at_most(item.copy, own)
        first_copy = float(scan[two[0].groups == group_of(found.items[0])].max())
        assert found.items[0].copy == pytest.approx(max(first_copy, 0.0), abs=1e-9)
        seen.add((found.point_verdict, found.items[0].accepted))
    assert {("copy", True), ("not-a-copy", False)} <= seen


@pytest.mark.parametrize("first", [1, 3])
def test_the_verdict_without_radii_looks_as_far_as_any_row_accepts(two, first):
    seen = set()
    for zs in zip(*map(queries, two), strict=True):
        scans = [inside(z, channel) for z, channel in zip(zs, two, strict=True)]
        alone = [rank(c, z, 1, first=first, certify=False) for c, z in zip(two, zs, strict=True)]
        assert [one.point_verdict == "copy" for one in alone] == [scan.max() >= 0 for scan in scans]
        both = rank(two, zs, 1, first=first, certify=False)
        assert (both.point_verdict == "copy") == (np.max(scans) >= 0)
        seen.add(both.point_verdict)
    assert len(seen) == 2


@pytest.mark.parametrize("number", [0, 1])
def test_nothing_is_claimed_for_rows_that_are_not_listed(two, number):
    channel, claims = two[number], []
    for z in queries(channel):
        for count in (1, 4, 20, 60, 120):
            seen = plain.look(channel, z, count)
            others = np.setdiff1d(np.flatnonzero(channel.groups >= 0), seen.listed.ids)
            farthest_in = float(inside(z, channel)[others].max())
            claims.append(hidden_nothing(seen))
            assert claims[-1] <= max(0.0, -farthest_in)
    assert max(claims) > 0.1


def test_few_rows_are_looked_at_for_the_radius_of_nothing_alone(two, monkeypatch):
    """Those that may accept first are compared, a block of them; the radius is that of a look at every row."""
    compared, blocks = [], rejecting._radii

    def counted(channel, probe, ids):
        compared.append(len(ids))
        return blocks(channel, probe, ids)

    monkeypatch.setattr(rejecting, "_radii", counted)
    monkeypatch.setattr(rejecting, "AT_ONCE", 16)
    asked = 0
    for channel in two:
        for z in queries(channel):
            compared.clear()
            found = rank(channel, z, 1, first=5)
            assert found.nothing == pytest.approx(max(-float(inside(z, channel).max()), 0.0), abs=1e-6)
            asked += bool(compared)
            assert sum(compared) <= channel.live // 2
    assert asked > 5


def test_items_are_ranked_as_without_local_thresholds(two):
    none = dict.fromkeys(("offset", "gaps", "share", "reference", "neighbours"))
    global_ones = [replace(c, threshold=replace(c.threshold, **none), gaps=None) for c in two]
    for zs in zip(*map(queries, two), strict=True):
        here, there = (rank(channels, zs, 3, first=4) for channels in (two, global_ones))
        assert [item.key for item in here.items] == [item.key for item in there.items]
        assert here.items[0].top1 == pytest.approx(there.items[0].top1, abs=1e-9)
        assert [item.topk for item in here.items] == pytest.approx([item.topk for item in there.items], abs=1e-9)


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_radii_with_a_threshold_per_row_are_those_of_each_threshold(score):
    rng = np.random.default_rng(0)
    rows, z = rng.standard_normal((9, 5)), rng.standard_normal(5)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    limits = np.r_[rng.uniform(0, 1, 7), 1.0, 0.0]
    bounds = {"score": score, "lipschitz": UpperBound(2.0, "for tests"), "forward_error": 1e-9}
    together = verdict_radii(z, rows, threshold=limits, **bounds)
    apart = [verdict_radii(z, rows, threshold=float(one), **bounds) for one in limits]
    assert together.copy.tolist() == [one.copy[place] for place, one in enumerate(apart)]
    assert together.nothing.tolist() == [one.nothing[place] for place, one in enumerate(apart)]
    for wrong in (limits[:3], np.r_[limits[:8], 1.5 if score == "cosine" else -1.0], np.r_[limits[:8], np.nan]):
        with pytest.raises(UsageError):
            signed_distances(z, rows, score=score, threshold=wrong)


@pytest.mark.parametrize("number", [0, 1])
def test_the_level_is_the_least_offset_that_accepts(two, number, monkeypatch):
    monkeypatch.setattr("retr.retrieval.survey._ROWS", 50)
    monkeypatch.setattr("retr.retrieval.survey._QUERIES", 7)
    share = 0.8
    channel = replace(two[number], threshold=replace(two[number].threshold, share=share))
    zs, live = queries(channel), np.flatnonzero(channel.groups >= 0)
    wide = share * channel.gaps.astype(np.float64)
    pairs = within(channel, searched(np.stack(zs), channel), wide)
    found, refused = levels([pairs], [channel.gaps], len(zs))[:, 0], 0
    assert set(pairs.rows.tolist()) <= set(live.tolist())
    for z, level in zip(zs, found, strict=True):
        alone = replace(channel, threshold=replace(channel.threshold, offset=None))
        if np.isinf(level):
            assert (inside(z, alone).max() >= -1e-7) == (level < 0)
            refused += level > 0
            continue
        for shift, accepts in ((-1e-6, False), (1e-6, True)):
            moved = replace(channel, threshold=replace(channel.threshold, offset=float(level) + shift))
            assert (inside(z, moved).max() >= 0) == accepts
    assert 0 < refused < len(zs)


def test_offsets_keep_the_rate_and_refuse_stored_rows():
    rng = np.random.default_rng(0)
    found = rng.uniform(-0.2, 0.9, (199, 2))
    offsets, limit = set_offsets(found, fpr=0.05)
    assert 8 <= (found <= np.asarray(offsets)).any(axis=1).sum() <= 9  # ⌊0.05·200⌋ = 10 are cut, the edges excluded
    assert limit == upper95(9, 199)
    found[5, 1] = -np.inf
    with pytest.raises(UsageError, match="1 of 199 negatives cannot be told"):
        set_offsets(found, fpr=0.01)
    with pytest.raises(UsageError, match="at least 199 are needed"):
        set_offsets(found[:100], fpr=0.01)


def test_a_channel_whose_share_refuses_what_is_left_needs_no_offset():
    far = np.full((199, 2), np.inf)
    assert set_offsets(far, fpr=0.05) == ((None, None), upper95(9, 199))
    far[:30, 1] = np.linspace(0.1, 0.4, 30)
    (first, other), _ = set_offsets(far, fpr=0.05)
    assert first is None
    assert other is not None
    assert (far[:, 1] <= other).sum() == 9  # all that a rate of 0.05 allows: (9 + 1)/(199 + 1)


# -- on an index ------------------------------------------------------------------------------------------------------


def absent(folder: Path, count: int) -> list[str]:
    folder.mkdir()
    return [str(draw(folder / f"{number}.png", 1000 + number)) for number in range(count)]


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(12):
        draw(folder / f"{number}.png", number)
    (folder / "again.png").write_bytes((folder / "3.png").read_bytes())
    return folder


@pytest.fixture
def index(corpus, tmp_path) -> Path:
    path = tmp_path / "index"
    build_index(str(corpus), path, IndexOptions(models=("block-means:4", "block-means:8"), views="light/1"), Quiet())
    return path


def test_the_same_picture_in_another_file_is_no_neighbour(corpus, index):
    before = [channel.gaps for channel in Engine.open(index).channels]
    pixels = np.asarray(Image.open(corpus / "3.png")).astype(np.int16)
    Image.fromarray(np.clip(pixels + 2, 0, 255).astype(np.uint8)).save(corpus / "brighter.png")
    build_index(str(corpus), index, IndexOptions(models=("block-means:4", "block-means:8"), views="light/1"), Quiet())
    for old, channel in zip(before, Engine.open(index).channels, strict=True):
        assert old is not None
        assert channel.gaps is not None
        assert channel.gaps[: len(old)] == pytest.approx(old, abs=0.05)
        assert channel.gaps[len(old) :].min() > 0.3 * float(np.median(old))
    assert describe_index(index)["presumed_copies"] == 2
    pairs = {(Path(pair["path"]).name, Path(pair["copy_of"]).name) for pair in list_presumed(index)}
    assert pairs in (
        {("3.png", "brighter.png"), ("brighter.png", "3.png")},
        {("again.png", "brighter.png"), ("brighter.png", "again.png")},
    )


def test_calibration_is_local_unless_told_otherwise(index, tmp_path):
    paths = absent(tmp_path / "absent", 39)
    found = calibrate(index, paths, fpr=0.1)
    snapshot = require_current(index)
    assert snapshot.as_json()["schema"] == SCHEMA_SHARE
    assert [channel.threshold for channel in snapshot.channels] == [threshold for _, threshold in found.thresholds]
    engine = Engine.open(index)
    assert all(channel.is_local for channel in engine.channels)
    answers = [outcome.answer for outcome in query_files(engine, paths, certify=True) if outcome.answer]
    assert len(answers) == 39
    assert sum(answer.point_verdict == "copy" for answer in answers) <= 3
    for answer in answers:
        assert answer.matches[0].accepted in (True, False)
        assert (answer.copy is not None) == (answer.point_verdict == "copy")
        assert answer.thresholds[0]["share"] == 0.5
    before = snapshot.id
    calibrate(index, paths, fpr=0.1, local=False)
    plain = require_current(index)
    assert plain.parent == before
    assert plain.as_json()["schema"] not in (SCHEMA_SHARE, SCHEMA_LOCAL)
    assert not {"offset", "share"} & set(plain.as_json()["channels"][0]["threshold"])
    answers = [outcome.answer for outcome in query_files(Engine.open(index), paths) if outcome.answer]
    assert sum(answer.point_verdict == "copy" for answer in answers) <= 3


def test_images_that_are_added_later_get_gaps_and_can_only_lower_those_of_others(corpus, index, tmp_path):
    calibrate(index, absent(tmp_path / "absent", 39), fpr=0.1)
    before = Engine.open(index).channels
    draw(corpus / "new.png", 500)
    first, new = (Image.open(path).convert("RGB") for path in (min(corpus.glob("*.png")), corpus / "new.png"))
    Image.blend(first, new.resize(first.size), 0.5).save(corpus / "new.png")  # between the two: nearer than most
    build_index(str(corpus), index, IndexOptions(models=("block-means:4", "block-means:8"), views="light/1"), Quiet())
    after, fewer = Engine.open(index).channels, 0
    for one, was in zip(after, before, strict=True):
        assert one.threshold is not None
        assert was.threshold is not None
        assert one.gaps is not None
        assert was.gaps is not None
        assert one.threshold.stale
        assert one.threshold.offset == was.threshold.offset
        held = len(was.gaps)
        assert (one.gaps[:held] <= was.gaps).all()
        assert (one.gaps[held:] > 0).all()
        fewer += int((one.gaps[:held] < was.gaps).sum())
    assert fewer


def test_a_damaged_file_of_gaps_is_refused(index, tmp_path):
    calibrate(index, absent(tmp_path / "absent", 39), fpr=0.1)
    assert "files match" in describe_index(index, verify=True)["verified"]
    threshold = require_current(index).channels[1].threshold
    assert threshold is not None
    file = gaps_file(index, str(threshold.gaps))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    for look in (lambda: Engine.open(index), lambda: describe_index(index, verify=True)):
        with pytest.raises(IntegrityError, match="does not match"):
            look()
    file.unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        Engine.open(index)
