"""What a companion looks at: parts, turns and windows that are found, which never touch what is certified (T11)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from companion import write_companion
from drawn import Quiet, draw
from PIL import Image

from retr.core.cosine import cosine
from retr.core.errors import IntegrityError, UsageError
from retr.images.light_views import LIGHT
from retr.images.looks import LOOKS, looks_for, seen_by
from retr.images.view_pairs import PairRule, check_looks, check_rules
from retr.indexer.build import build_index
from retr.indexer.export import export_rows
from retr.indexer.history import list_snapshots, restore_snapshot
from retr.indexer.options import IndexOptions, partly_seeing
from retr.indexer.snapshot import SCHEMA_LOOKS, parse_snapshot, require_current
from retr.retrieval import channel as channels
from retr.retrieval import decide_several
from retr.retrieval import engine as module
from retr.retrieval.calibrate import calibrate
from retr.retrieval.engine import Engine
from retr.retrieval.probe import embed

MODELS = ("block-means:4", "block-means:8")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("looks")
    spec = write_companion(root / "colours.pt")
    for number in range(10):
        draw(root / "corpus" / f"{number:02}.png", number)
    for name, views, looks in (("plain", "none", None), ("none", "none", True), ("light", "light", True)):
        options = IndexOptions(models=MODELS, companion=spec, looks=looks, views=views, workers=1)
        build_index(str(root / "corpus"), root / name, options, Quiet())
    return root


@pytest.fixture(scope="module", params=["none", "light"])
def engine(request, home) -> Engine:
    return Engine.open(home / request.param, device="cpu")


@pytest.fixture(scope="module")
def framed(home) -> np.ndarray:
    """A stored picture, moved round and set into a wide white frame: its colours as a whole are other ones."""
    own = np.asarray(Image.open(home / "corpus" / "03.png").convert("RGB"))
    height, width = own.shape[:2]
    moved = np.roll(own, (height // 2, width // 3), (0, 1))
    return np.pad(moved, ((height, height), (width, width), (0, 0)), constant_values=255)


def test_a_window_that_is_found_names_a_copy_that_the_whole_does_not(home, engine, framed):
    found = engine.answer(framed, k=3, certify=True)
    assert (found.point_verdict, found.matches[0].tier) == ("copy", "companion")
    assert found.matches[0].path.endswith("03.png")
    assert found.copy is found.not_a_copy is found.certificate is None
    plain = Engine.open(home / "plain", device="cpu").answer(framed, k=3)
    assert plain.point_verdict == "not-a-copy"


def test_the_view_that_names_a_copy_is_told_where_the_whole_query_is_refused(engine, framed, monkeypatch):
    made, told = module.embed_companions, engine.answer(framed, k=3).matches[0]
    assert told.query_view != "original"

    def refused(*given):
        return tuple(replace(one, refused="flat") if one.view == "original" else one for one in made(*given))

    monkeypatch.setattr(module, "embed_companions", refused)
    match = engine.answer(framed, k=3).matches[0]
    assert (match.path, match.query_view) == (told.path, told.query_view)


def test_looks_change_nothing_that_is_certified(home, framed):
    looking, plain = (Engine.open(home / name, device="cpu") for name in ("none", "plain"))
    own = np.asarray(Image.open(home / "corpus" / "05.png").convert("RGB"))
    for pixels in (framed, own, own[4:-3, 2:-5]):
        ours, theirs = (
            one.certified.answer(np.ascontiguousarray(pixels), k=5, certify=True) for one in (looking, plain)
        )
        assert (ours.verdict, ours.copy, ours.not_a_copy) == (theirs.verdict, theirs.copy, theirs.not_a_copy)
        shown = [[(m.path, m.score, m.top1, m.copy) for m in answer.matches] for answer in (ours, theirs)]
        assert shown[0] == shown[1]
    assert looking.tests == plain.tests == ((0, "original"), (1, "original"))
    assert len(looking.companion_tests) > 10
    assert plain.companion_tests == ((2, "original"),)


def test_a_certified_channel_never_looks_where_something_was_found(engine):
    assert not any("found" in view for _, view in engine.tests)
    assert {number for number, _ in engine.companion_tests} == {2}


def test_the_snapshot_says_what_is_looked_at(home):
    held = require_current(home / "light")
    said = held.as_json()
    assert said["schema"] == SCHEMA_LOOKS
    assert parse_snapshot(said) == held
    assert "looks" not in require_current(home / "plain").as_json()
    forged = replace(held, channels=held.channels[:2], pairs=())
    with pytest.raises(IntegrityError, match="looks of no companion"):
        parse_snapshot(forged.as_json())


def test_a_companion_sees_the_crops_that_its_looks_meet_and_no_more(home):
    held = require_current(home / "light")
    assert partly_seeing(held) == {2: 8}
    assert partly_seeing(require_current(home / "none")) == {2: 1}
    engine = Engine.open(home / "light", device="cpu")
    rows = engine.companions[0].store.take(np.arange(16))
    assert len(np.unique(rows[:8], axis=0)) > 4
    assert (rows[8:] == rows[0]).all()


def test_parts_are_of_what_there_is():
    light, none = looks_for("light", LIGHT.split()), looks_for("none", ["original"])
    for rules in (light, none):
        check_looks(rules)
        assert next(rule for rule in rules if rule.query == "original").parts == (1.0,)
    assert {rule.kind for rule in light} == {look.name for look in LOOKS}
    assert {view for rule in none for view in rule.gallery} == {"original"}
    assert looks_for("flip", ["original", "flip"]) == ()
    assert seen_by((), LIGHT.split()) == 1
    found = PairRule("x", "found-trim", ("original",), (1.0,), (0.0,))
    with pytest.raises(UsageError, match="is no step"):
        check_rules([found], 1)
    with pytest.raises(UsageError, match="twice"):
        check_looks([found, found])


def test_options_that_cannot_be(home, tmp_path):
    corpus, spec = str(home / "corpus"), f"torchscript:{home / 'colours.pt'}@16x16"
    for options, why in [
        (IndexOptions(models=MODELS, looks=True), "name a companion too"),
        (IndexOptions(models=MODELS, companion=spec, views="flip", looks=True), "no looks are known"),
    ]:
        with pytest.raises(UsageError, match=why):
            build_index(corpus, tmp_path / "index", options, Quiet())
    with pytest.raises(UsageError, match="compares the query as it is; use another index"):
        build_index(corpus, home / "plain", IndexOptions(looks=True), Quiet())
    with pytest.raises(UsageError, match="looks at parts and turns of a query; use another index"):
        build_index(corpus, home / "none", IndexOptions(looks=False), Quiet())


def test_every_look_counts_in_a_calibration(home, tmp_path):
    """Of 60 absent pictures no more are taken for copies than the rate allows, whatever view sees them."""
    negatives = [str(draw(tmp_path / f"{number}.png", 1000 + number)) for number in range(60)]
    calibrate(home / "none", negatives, fpr=0.1)
    engine = Engine.open(home / "none", device="cpu")
    pictures = [np.asarray(Image.open(path)) for path in negatives]
    assert sum(answer.point_verdict == "copy" for answer in engine.answer_many(pictures, k=1)) <= 6
    together = engine.surveying
    assert len(together.tests) == 2 + len(engine.companion_tests)
    alone = embed(engine.channels, pictures[0])
    for probe, one in zip(together.embed(pictures[0]).probes[:2], alone.probes, strict=True):
        assert np.array_equal(probe.z, one.z)


def test_an_index_whose_companion_looks_lives(tmp_path, framed):
    """Followed, added to, taken from, compacted, checked, exported, and put back: it goes on looking."""
    import retr

    root, home = tmp_path / "corpus", tmp_path / "index"
    for number in range(8):
        draw(root / f"{number:02}.png", number)
    index = retr.build(root, home, models=MODELS, companion=write_companion(tmp_path / "c.pt"), looks=True)
    first = index.engine.snapshot

    def named() -> str:
        found = retr.open(home).query(framed)
        assert found.matches[0].tier == "companion"
        return found.matches[0].path

    assert named().endswith("03.png")
    draw(root / "20.png", 20)
    (root / "00.png").unlink()
    report = index.sync(root, prune_all=True)
    assert (report.indexed, report.pruned) == (1, 1)
    index.remove([str(root / "03.png")])
    assert retr.open(home).query(framed).point_verdict == "not-a-copy"
    index.add([root / "03.png"])
    index.compact()
    assert named().endswith("03.png")
    assert not retr.open(home).verify().problems
    assert require_current(home).looks == looks_for("none", ["original"])
    for name in ("rows.parquet", "rows.faiss"):
        assert export_rows(home, require_current(home), tmp_path / name, channel="c").rows == 8
    assert len(pq.read_table(tmp_path / "rows.parquet")["row.c"][0]) == 24
    assert first in [state.id for state in list_snapshots(home)]
    restore_snapshot(home, first)
    assert len(retr.open(home)) == 8
    assert named().endswith("03.png")


def test_a_threshold_of_a_row_is_worked_out_once_and_is_the_same_whoever_asks(home, monkeypatch):
    engine = Engine.open(home / "light", device="cpu")
    channel = next(scope.channel for scope in engine.scopes.values() if scope.channel.parts is not None)
    ids = np.array([3, 0, 3, 5])
    whole, levels = channel.limits(np.arange(8)), channel.levels(np.arange(8))
    fresh = replace(channel)
    assert np.array_equal(fresh.limits(ids), whole[ids])
    assert np.array_equal(fresh.levels(ids), levels[ids])
    assert np.array_equal(whole, cosine(np.minimum(channel.reach(np.arange(8)), np.pi)))
    monkeypatch.setattr(channels, "cosine", None)  # whoever calls it fails
    assert np.array_equal(fresh.limits(ids[:3]), whole[ids[:3]])
    assert np.array_equal(fresh.levels(ids), levels[ids])


def test_of_a_copy_nobody_asks_how_far_other_rows_reject(home, monkeypatch):
    engine = Engine.open(home / "light", device="cpu", certified_only=True)
    asked: list[float] = []
    hidden = decide_several.hidden_nothing
    monkeypatch.setattr(decide_several, "hidden_nothing", lambda seen: asked.append(1.0) or hidden(seen))
    stored = np.asarray(Image.open(home / "corpus" / "00.png").convert("RGB"))
    copy = engine.answer(stored, certify=True)
    assert copy.point_verdict == "copy"
    assert copy.not_a_copy is None
    assert not asked
    absent = engine.answer(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), certify=True)
    assert absent.point_verdict == "not-a-copy"
    assert asked
