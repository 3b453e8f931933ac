"""An index with a companion: what it finds, how that is said, and that nothing certified depends on it (THEORY T11)."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from companion import write_companion
from drawn import Quiet, draw
from PIL import Image

from retr.core.errors import IntegrityError, UsageError
from retr.images.decode import load
from retr.images.families.asked import read_families
from retr.images.policy import DecodePolicy
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.snapshot import COMPANION, SCHEMA_COMPANION, parse_snapshot, require_current
from retr.reports.query_records import COLUMNS, answer_of_record, answer_record, query_rows
from retr.reports.query_table import lines, verdict_words
from retr.retrieval import companions
from retr.retrieval.calibrate import calibrate
from retr.retrieval.duplicates import find_duplicates
from retr.retrieval.engine import Engine
from retr.retrieval.proofs import check_provable
from retr.retrieval.ranges.prove import prove_ranges

MODELS = ("block-means:4", "block-means:8")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("companion")
    spec = write_companion(root / "colours.pt")
    for number in range(12):
        draw(root / "corpus" / f"{number:02}.png", number)
    for views in ("none", "light"):
        options = IndexOptions(models=MODELS, companion=spec, views=views, workers=1)
        build_index(str(root / "corpus"), root / views, options, Quiet())
    return root


@pytest.fixture(scope="module", params=["none", "light"])
def engine(request, home) -> Engine:
    return Engine.open(home / request.param, device="cpu")


@pytest.fixture(scope="module")
def pictures(home) -> dict[str, np.ndarray]:
    own = load(home / "corpus" / "03.png", policy=DecodePolicy()).pixels
    shuffled = np.ascontiguousarray(np.roll(own, (own.shape[0] // 2, own.shape[1] // 3), (0, 1))[::-1])
    noise = np.random.default_rng(1).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    return {"itself": own, "rolled": shuffled, "other": noise}


def answer(engine: Engine, pixels: np.ndarray, **more):
    return engine.answer(pixels, **({"k": 4, "certify": True, "eps_l2": 0.05} | more))


def test_a_copy_that_is_proved_is_as_proved_beside_a_companion(engine, pictures):
    found, alone = answer(engine, pictures["itself"]), answer(engine.certified, pictures["itself"])
    assert found.verdict == alone.verdict == "copy"
    assert found.copy == alone.copy
    assert (found.matches[0].tier, found.matches[0].path) == ("certified", alone.matches[0].path)
    first, before = found.matches[0].top1, alone.matches[0].top1
    assert first is not None
    assert before is not None
    assert found.matches[0].copy is not None
    assert first.l2 <= found.matches[0].copy.l2
    assert {match.tier for match in found.matches[1:]} <= {"rest", "companion"}
    assert all(match.top1 is match.topk is match.copy is None for match in found.matches[1:])


def test_what_the_companion_alone_finds_is_not_proved(engine, pictures):
    found = answer(engine, pictures["rolled"], eps_l2=None)
    assert answer(engine.certified, pictures["rolled"], eps_l2=None).verdict == "not-a-copy"
    assert (found.verdict, found.point_verdict) == ("copy", "copy")
    assert found.matches[0].path.endswith("03.png")
    assert (found.matches[0].tier, found.matches[0].channel) == ("companion", "colours")
    assert found.copy is found.certificate is found.not_a_copy is None
    assert found.verdict_because == "only the companion accepts: not proved"
    assert found.companion is not None
    assert found.companion.names_copy
    at_budget = answer(engine, pictures["rolled"])
    assert at_budget.verdict == "undecided"
    assert "not proved" in str(at_budget.verdict_because)


def test_what_lies_deep_inside_of_its_threshold_comes_before_what_is_nearer_and_hardly_accepted(home, pictures):
    engine = Engine.open(home / "none", device="cpu")
    [channel] = engine.companions
    [probe] = engine.embed(pictures["rolled"]).companions
    angles = np.arccos(np.clip(channel.rows64(np.arange(12)) @ (probe.z / np.linalg.norm(probe.z)), -1.0, 1.0))
    near, far = np.argsort(angles)[:2]
    gaps = np.full(12, 1e-6, dtype=np.float32)
    gaps[near], gaps[far] = 1.01 * angles[near] + 1e-4, 1.5 * angles[far]
    assert channel.threshold is not None
    threshold = replace(channel.threshold, share=1.0, offset=None)
    told = replace(engine, companions=(replace(channel, gaps=gaps, threshold=threshold),))
    [voice] = companions.hear(told.sources, [told.embed(pictures["rolled"]).companions])
    assert [one.row for one in voice.named] == [far, near]
    assert voice.named[0].score < voice.named[1].score
    matches = told.answer(pictures["rolled"], k=4).matches
    assert [match.tier for match in matches[:2]] == ["companion"] * 2


def test_not_a_copy_is_withheld_beside_a_companion_and_proved_without(engine, pictures):
    found, alone = answer(engine, pictures["other"]), answer(engine.certified, pictures["other"])
    assert alone.not_a_copy is not None
    assert alone.companion is None
    assert found.not_a_copy is None
    assert found.certificate is None
    assert found.verdict == "undecided"
    assert "could be made to accept" in str(found.verdict_because)
    assert [match.path for match in found.matches] == [match.path for match in alone.matches]
    assert "certified channels alone" in str(found.withheld)


def test_every_output_says_the_tier_and_that_it_is_not_proved(engine, pictures):
    found = answer(engine, pictures["rolled"], eps_l2=None)
    assert verdict_words(found).endswith("by the companion colours alone: not proved")
    assert any("not proved" in line for line in lines(found))
    record = json.loads(json.dumps(answer_record(found, "q.png"), allow_nan=False))
    assert record["companion"]["proved"] is False
    assert "not proved" in record["companion"]["words"]
    assert [match["proved"] for match in record["matches"]] == [False] * 4
    first, *_ = query_rows(record)
    assert first.keys() <= COLUMNS.keys()
    assert (first["match.tier"], first["match.proved"]) == ("companion", False)
    assert "not proved" in first["companion"]
    again = answer_of_record(record)
    assert again.companion == found.companion
    assert [match.tier for match in again.matches] == [match.tier for match in found.matches]
    nothing = answer(engine, pictures["other"], eps_l2=None)
    assert "not proved" in verdict_words(nothing)


def test_a_companion_that_does_not_answer_is_said_and_proves_nothing(engine, pictures, monkeypatch):
    """One colour has no histogram that differs between colours: the companion sees no direction."""
    monkeypatch.setattr("retr.retrieval.engine.hear", lambda sources, queries: [companions.Voice(silent=True, why="x")])
    found = answer(engine, pictures["other"])
    assert found.verdict == "undecided"
    assert found.not_a_copy is None
    assert found.companion is not None
    assert not found.companion.answered
    assert "did not answer (x)" in found.companion.words()
    as_it_is = answer(engine, pictures["other"], eps_l2=None)
    assert as_it_is.verdict == "not-a-copy"
    assert "did not answer (x)" in str(as_it_is.verdict_because)


def test_edits_are_of_certified_channels_alone(home, pictures):
    engine = Engine.open(home / "none", device="cpu")
    check_provable(engine)
    found = answer(engine, pictures["itself"])
    with pytest.raises(UsageError, match="certified-only"):
        prove_ranges(engine, pictures["itself"], found, read_families(["brightness:0.9..1.1"]), eps=0.0, unit="l2")


def test_opened_without_it_an_index_answers_as_its_certified_channels(home, pictures):
    engine = Engine.open(home / "none", device="cpu")
    alone = Engine.open(home / "none", device="cpu", certified_only=True)
    for pixels in pictures.values():
        assert replace(answer(engine.certified, pixels), basis=None) == replace(answer(alone, pixels), basis=None)


def test_the_snapshot_says_its_role(home):
    held = require_current(home / "light")
    assert [channel.role for channel in held.channels] == ["answers", "answers", COMPANION]
    said = held.as_json()
    assert said["schema"] == SCHEMA_COMPANION
    assert "role" not in said["channels"][0]
    assert parse_snapshot(said) == held
    meets = [(rule.query, rule.gallery) for rule in held.pairs if rule.parts[2] > 0.0]
    assert meets == [("original", ("original",))]


@pytest.mark.parametrize(
    ("order", "why"),
    [((2, 0, 1), "must be the last"), ((2,), "cannot stand alone"), ((0, 2, 2), "one companion at most")],
)
def test_roles_that_no_tier_can_be_made_of_are_refused(home, order, why):
    held = require_current(home / "none")
    forged = replace(held, channels=tuple(held.channels[number] for number in order))
    with pytest.raises(IntegrityError, match=why):
        parse_snapshot(forged.as_json())


def test_one_that_stands_beside_what_proves_nothing_is_refused(home):
    held = require_current(home / "none")
    forged = replace(held, channels=(replace(held.channels[0], certified=False), *held.channels[1:]))
    with pytest.raises(IntegrityError, match="beside block-means:4, which is uncertified"):
        parse_snapshot(forged.as_json())


def test_options_that_make_no_companion(home, tmp_path):
    corpus, spec = str(home / "corpus"), f"torchscript:{home / 'colours.pt'}@16x16"
    for options, why in [
        (IndexOptions(models=MODELS, companion="block-means:6"), "is certified: give it as a model"),
        (IndexOptions(models=(spec,), companion="timm:resnet10t#random"), "which is uncertified"),
    ]:
        with pytest.raises(UsageError, match=why):
            build_index(corpus, tmp_path / "index", options, Quiet())
    build_index(corpus, tmp_path / "plain", IndexOptions(models=MODELS), Quiet())
    with pytest.raises(UsageError, match="has no companion"):
        build_index(corpus, tmp_path / "plain", IndexOptions(companion=spec), Quiet())
    other = write_companion(tmp_path / "other.pt", side=12)
    with pytest.raises(UsageError, match="the companion of this index is colours"):
        build_index(corpus, home / "none", IndexOptions(companion=other), Quiet())


def test_an_index_with_a_companion_lives_and_is_calibrated(home, tmp_path, pictures):
    """Added to, taken from, compacted, checked, searched for duplicates, calibrated in the union, exported."""
    import retr

    root = tmp_path / "corpus"
    for number in range(8):
        draw(root / f"{number:02}.png", number)
    index = retr.build(root, tmp_path / "index", models=MODELS, companion=write_companion(tmp_path / "c.pt"))
    assert index.companion == "c"
    assert "+c" not in index.model
    draw(root / "new.png", 50)
    index.add([root / "new.png"])
    index = index.latest()
    assert index.query(root / "new.png").matches[0].tier == "certified"
    index.remove([str(root / "00.png")])
    index.compact()
    index = index.latest()
    assert len(index) == 8
    assert not index.verify().problems
    find_duplicates(index.engine)
    negatives = [str(draw(tmp_path / "negatives" / f"{n:03}.png", 1000 + n)) for n in range(60)]
    found = calibrate(tmp_path / "index", negatives, fpr=0.1)
    assert [name for name, _ in found.thresholds] == ["block-means:4", "block-means:8", "c"]
    index = index.latest()
    accepted = sum(index.query(path, k=1).point_verdict == "copy" for path in negatives)
    assert accepted <= 6
    rolled = np.asarray(Image.open(root / "03.png"))
    assert index.query(rolled).verdict == "copy"
    assert index.certified().companion is None
