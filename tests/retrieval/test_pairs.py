"""Views of queries against stored views: every test by brute force, certificates attacked, snapshots kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import Quiet, draw
from PIL import Image
from planted import Claimed

from retr.core.errors import IntegrityError, UsageError
from retr.core.types import UpperBound
from retr.evaluation.copies.check import Scan
from retr.images.decode import load
from retr.images.families.asked import read_families
from retr.images.families.family import Continuous
from retr.images.view_pairs import VIEW_CLASSES, PairRule, rules_for
from retr.images.views import VIEW_SETS, parse_view
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.snapshot import SCHEMA_PAIRS, Threshold, parse_snapshot, require_current
from retr.indexer.vectors import RowStore
from retr.indexer.where import parse_condition
from retr.retrieval import settle
from retr.retrieval.calibrate import calibrate
from retr.retrieval.channel import Channel, reach_of_gaps
from retr.retrieval.engine import Engine
from retr.retrieval.links import find_links
from retr.retrieval.probe import Blind
from retr.retrieval.proofs import Subject, proofs_of
from retr.retrieval.ranges.prove import prove_ranges
from retr.retrieval.settle import propose

VIEWS = [view.name for view in VIEW_SETS["light"]]
MODELS = ("block-means:4", "block-means:8")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    for number in range(12):
        draw(root / "corpus" / f"{number:02}.png", number)
    build_index(str(root / "corpus"), root / "index", IndexOptions(models=MODELS, views="light"), Quiet())
    return root


@pytest.fixture(scope="module")
def engine(home) -> Engine:
    return Engine.open(home / "index")


@pytest.fixture(scope="module")
def drawn_networks(engine) -> Engine:
    """The same gallery, seen by two small networks drawn by chance: |W x| with orthonormal rows, so L ≤ 1."""
    views = dict(zip(VIEWS, (parse_view(name) for name in VIEWS), strict=True))
    names = zip(engine.gallery.catalog["path"].to_pylist(), engine.gallery.catalog["view"].to_pylist(), strict=True)
    images = [views[view].apply(load(Path(path), policy=engine.policy).pixels) for path, view in names]
    channels = tuple(drawn_network(engine, number, images) for number in range(2))
    return replace(engine, channels=channels)


def drawn_network(engine: Engine, seed: int, images: list[np.ndarray]) -> Channel:
    weights, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3 * 36, 24)))
    matrix = torch.from_numpy(weights.T.copy())

    def forward(x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) @ matrix.to(x.dtype).T).abs()

    embedder = Claimed(forward, UpperBound(1.0 + 1e-12, "orthonormal rows"), input_size=(6, 6))
    empty = replace(engine.channels[seed], embedder=embedder, gaps=None, threshold=Threshold(0.95, "given", None, 0))
    rows = np.stack([empty.embed_query(image).z for image in images])
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return replace(empty, store=RowStore((rows,), (0, len(rows)), rows.shape[1], "cosine"))


def picture(home, number: int) -> np.ndarray:
    with Image.open(home / "corpus" / f"{number:02}.png") as image:
        return np.asarray(image.convert("RGB").resize((24, 20), Image.Resampling.BOX), dtype=np.float64) / 255


def queries(home) -> list[np.ndarray]:
    """A picture, its mirror image, a window, a half covered, a frame around it, mixtures, and something else."""
    own, other = picture(home, 3), picture(home, 8)
    covered = own.copy()
    covered[11:] = [0.9, 0.1, 0.2]
    framed = np.full((26, 30, 3), 0.1)
    framed[3:23, 3:27] = own
    noise = np.random.default_rng(1).random((20, 24, 3))
    mixed = [0.1 + 0.8 * ((1 - part) * own + part * other) for part in (0.2, 0.5)]
    return [own, own[:, ::-1].copy(), own[3:17, 2:20].copy(), covered, framed, *mixed, 0.2 + 0.6 * noise]


def halves_of(engine: Engine) -> list[PairRule]:
    return [rule for rule in engine.gallery.snapshot.pairs if rule.kind == "halves"]


def by_brute_force(engine: Engine, image: np.ndarray) -> tuple[np.ndarray, float]:
    """(items,) the largest T5 margin over every test and row it allows; and the verdict's, by each row's own limit."""
    best, inside = np.full(engine.gallery.items, -np.inf), -np.inf
    views = engine.gallery.catalog["view"].to_pylist()
    rules = engine.gallery.snapshot.pairs
    for probe in engine.embed(image).probes:
        channel = engine.channels[probe.channel]
        length = np.linalg.norm(probe.z)
        for rule in rules:
            if rule.query != probe.view:
                continue
            part = rule.parts[probe.channel]
            ids = np.array([n for n, view in enumerate(views) if view in rule.gallery])
            gaps = np.full(len(ids), np.inf, dtype=np.float32)
            if channel.gaps is not None:
                unedited = [channel.groups.tolist().index(item) for item in channel.groups[ids]]
                gaps = np.minimum(channel.gaps[ids], channel.gaps[unedited])
                kept = (rule.least[probe.channel] == 0.0) | (channel.gaps[unedited] > rule.least[probe.channel])
                ids, gaps = ids[kept], gaps[kept]
            if not len(ids):
                continue
            phi = np.arccos(np.clip(channel.rows64(ids) @ probe.z / length, -1, 1))

            def margin(theta, phi=phi, length=length, scale=probe.proved.lipschitz.value):
                return length * np.sin(np.clip(theta - phi, -np.pi / 2, np.pi / 2)) / scale

            np.maximum.at(best, channel.groups[ids], margin(part * np.arccos(probe.tau)))
            assert channel.threshold is not None
            reach = reach_of_gaps(channel.threshold, gaps) if channel.is_local else np.arccos(probe.tau)
            inside = max(inside, float(margin(part * reach).max()))
    return best, inside


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("which", ["engine", "drawn_networks"])
def test_the_answer_is_that_of_every_test_and_row(home, request, which, number):
    engine: Engine = request.getfixturevalue(which)
    image = queries(home)[number]
    best, inside = by_brute_force(engine, image)
    found = engine.answer(image, k=5, certify=True)
    order = np.argsort(-best)
    assert [match.score for match in found.matches] == pytest.approx(best[order[:5]].tolist(), abs=1e-7)
    assert [match.group for match in found.matches] == order[:5].tolist()
    assert found.point_verdict == ("copy" if inside >= 0 else "not-a-copy")
    claimed = found.copy if inside >= 0 else found.not_a_copy
    assert claimed is not None
    assert claimed.l2 <= abs(inside)
    assert claimed.l2 == pytest.approx(abs(inside), rel=1e-6, abs=1e-7)
    first = found.matches[0].top1
    assert first is not None
    assert first.l2 >= min((best[order[0]] - best[order[1]]) / 2, claimed.l2 if inside >= 0 else np.inf) - 1e-7
    scan = Scan(engine, image)
    assert first.l2 <= scan.rank(found.matches[0].group, 1) * (1 + 1e-6) + 1e-6
    for match in found.matches:
        assert match.topk is not None
        assert match.topk.l2 <= max(0.0, scan.rank(match.group, 5)) * (1 + 1e-6) + 1e-6
    assert scan.inside() == pytest.approx(inside, abs=1e-7)
    assert found.certificate is not None
    assert found.certificate.rows_scanned == found.certificate.rows_total == 12 * 16


@pytest.mark.parametrize("number", range(8))
def test_no_image_inside_the_radii_has_another_answer(home, engine, number):
    image, rng = queries(home)[number], np.random.default_rng(number)
    found = engine.answer(image, k=1, certify=True)
    first, verdict = found.matches[0], found.copy or found.not_a_copy
    assert first.top1 is not None
    rivals = [np.resize(picture(home, other), image.shape) - image for other in (8, 5)]
    for direction in (*rivals, image[:, ::-1] - image, *rng.standard_normal((3, *image.shape))):
        step = direction / np.linalg.norm(direction)
        near = engine.answer(np.clip(image + 0.999 * first.top1.l2 * step, 0, 1), k=1)
        assert near.matches[0].group == first.group
        if verdict is not None:
            near = engine.answer(np.clip(image + 0.999 * verdict.l2 * step, 0, 1), k=1)
            assert near.point_verdict == found.point_verdict


def test_answers_say_which_view_of_the_query_met_which_stored_one(home, engine):
    named = [(m.query_view, m.view) for m in (engine.answer(image).matches[0] for image in queries(home)[:5])]
    assert named[0] == ("original", "original")
    assert named[1] == ("flip", "original")
    assert named[2][1].startswith("crop-")
    assert named[3] == ("crop-50x100-at-0x50", "crop-50x100-at-0x50")
    assert named[4] in [("crop-80x80-at-50x50", "original"), ("crop-90x90-at-50x50", "original")]
    record = engine.answer(queries(home)[1]).as_json("q.png")
    assert record["matches"][0]["query_view"] == "flip"


def test_a_view_looks_at_its_own_rows_alone(engine):
    halves = engine.scope((0, "crop-50x100-at-0x50"))
    assert halves.channel.store.rows == 12
    assert set(engine.gallery.catalog["view"].take(halves.ids).to_pylist()) == {"crop-50x100-at-0x50"}
    original = set(engine.gallery.catalog["view"].take(engine.scope((1, "original")).ids).to_pylist())
    assert original == {view.name for view in VIEW_SETS["light"]} - {rule.query for rule in halves_of(engine)}
    assert engine.scope((1, "flip")).channel.store is engine.scope((1, "crop-70x70-at-50x50")).channel.store
    every = np.arange(24)
    inside = halves.inward(every)
    assert halves.outward(inside).tolist() == [n for n in every.tolist() if n in halves.ids]


def test_a_half_that_shows_nothing_accepts_nothing_and_is_counted(home, engine):
    """The lower half is one grey: no network sees a direction in it. After any change it might show anything."""
    own = picture(home, 3)
    own[10:] = 0.5
    query = engine.embed(own)
    assert query.refused is None
    assert query.blind is not None
    assert query.blind.views == ("crop-50x100-at-100x50",)
    assert query.blind.margin < 1e-6
    assert "crop-50x100-at-100x50" not in {probe.view for probe in query.probes}
    found = engine.answer(own, k=1, certify=True, eps_l2=0.01)
    assert found.point_verdict == "copy"
    assert found.copy is not None
    rank = found.matches[0].top1
    assert rank is not None
    assert rank.l2 <= found.matches[0].score / 2
    noise = np.random.default_rng(0).random((20, 24, 3))
    noise[10:] = 0.5
    found = engine.answer(0.2 + 0.6 * noise, k=1, certify=True, eps_l2=0.01)
    assert found.point_verdict == "not-a-copy"
    assert found.not_a_copy is None
    assert found.verdict == "undecided"
    assert "shows nothing" in str(found.verdict_because)


def test_a_query_that_shows_nothing_at_all_is_refused_as_before(engine):
    assert engine.embed(np.full((20, 24, 3), 0.5)).refused is not None
    assert engine.answer(np.full((20, 24, 3), 0.5), certify=True).verdict == "undecided"


def test_what_is_blind_is_counted_in_pixels(engine):
    blind = engine.embed(
        np.concatenate([np.random.default_rng(0).random((10, 24, 3)), np.full((10, 24, 3), 0.5)])
    ).blind
    assert isinstance(blind, Blind)
    assert blind.margin >= 0.0
    assert 0.0 < blind.error < 1e-6


# -- the snapshot ------------------------------------------------------------------------------------------------------


def test_the_pairs_are_a_constant_of_the_snapshot(home):
    snapshot = require_current(home / "index")
    body = snapshot.as_json()
    assert (body["schema"], body["views"]) == (SCHEMA_PAIRS, "light/2")
    assert snapshot.pairs == rules_for(VIEW_CLASSES["light"], MODELS)
    assert parse_snapshot(body) == snapshot
    other = replace(snapshot, pairs=(replace(snapshot.pairs[0], parts=(0.5, 1.0)), *snapshot.pairs[1:]))
    assert other.id != snapshot.id


@pytest.mark.parametrize(
    "change",
    [
        {"parts": [1.0]},
        {"parts": [2.0, 1.0]},
        {"least": [0.1]},
        {"least": [-1.0, 0.0]},
        {"query": "trimmed"},
        {"gallery": "original"},
        {"gallery": [7]},
        {"other": 1},
    ],
)
def test_pairs_that_mean_nothing_are_no_snapshot(home, change):
    body = require_current(home / "index").as_json()
    body["pairs"] = [{**body["pairs"][0], **change}, *body["pairs"][1:]]
    with pytest.raises(IntegrityError, match=r"damaged|altered"):
        parse_snapshot(body)


def test_other_sets_say_nothing_of_pairs_and_compare_as_before(home):
    build_index(str(home / "corpus"), home / "first", IndexOptions(models=MODELS, views="light/1"), Quiet())
    snapshot = require_current(home / "first")
    assert (snapshot.views, snapshot.pairs) == ("light", ())
    assert "pairs" not in snapshot.as_json()
    engine = Engine.open(home / "first")
    assert [probe.name for probe in engine.embed(picture(home, 2)).probes] == [(0, "original"), (1, "original")]
    assert not engine.scopes
    with pytest.raises(UsageError, match="stores views 'light', not 'light/2'"):
        build_index(str(home / "corpus"), home / "first", IndexOptions(views="light"), Quiet())


def test_a_model_without_a_proof_is_asked_the_query_itself(home):
    from retr.indexer.options import template

    options = IndexOptions(models=("timm:resnet18",), views="light", pretrained=False)
    assert template(None, options).pairs == ()


# -- thresholds --------------------------------------------------------------------------------------------------------


def test_an_index_that_compares_views_states_no_rate_that_nobody_measured(home):
    assert all(c.threshold is not None and c.threshold.fpr is None for c in require_current(home / "index").channels)


def test_negatives_count_by_every_view(home, tmp_path):
    """Mirror images of stored pictures are presumed copies: views of a negative are looked at as those of a query."""
    paths = []
    for number in range(40):
        path = tmp_path / f"{number:02}.png"
        if number < 3:
            Image.open(home / "corpus" / f"{number:02}.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
        else:
            draw(path, 500 + number)
        paths.append(str(path))
    build_index(str(home / "corpus"), tmp_path / "index", IndexOptions(models=MODELS, views="light"), Quiet())
    found = calibrate(tmp_path / "index", paths, fpr=0.1)
    presumed = {pair.negative for pair in found.pairs if pair.relation == "presumed"}
    assert set(paths[:3]) <= presumed
    engine = Engine.open(tmp_path / "index")
    matched = sum(
        engine.answer(np.asarray(Image.open(path).convert("RGB")), k=1).point_verdict == "copy"
        for path in paths
        if path not in presumed
    )
    assert matched <= 0.1 * (len(paths) - len(presumed) + 1)
    again = calibrate(tmp_path / "index", paths, fpr=0.1)
    assert [t for _, t in again.thresholds] == [t for _, t in found.thresholds]


def test_one_threshold_for_all_rows_is_no_rule_for_pairs(home, tmp_path):
    with pytest.raises(UsageError, match="set local ones"):
        calibrate(home / "index", [], fpr=0.1, local=False)


def with_parts(engine: Engine, parts: dict[str, float]) -> Engine:
    """The engine with other parts of reach for some classes."""
    rules = tuple(replace(r, parts=(parts.get(r.kind, 1.0),) * 2) for r in engine.gallery.snapshot.pairs)
    return replace(engine, gallery=replace(engine.gallery, snapshot=replace(engine.gallery.snapshot, pairs=rules)))


def test_a_stored_view_accepts_no_farther_than_the_item_itself_and_sheets_have_no_halves(engine):
    """What is known of an item's kind is known of its unedited row: pages and slides share their halves."""
    gaps = engine.channels[0].gaps.copy()
    gaps[engine.channels[0].groups == 2] = 5.0
    first = np.flatnonzero(engine.channels[0].groups == 2)[0]
    gaps[first] = 0.1
    sheet = replace(engine, channels=(replace(engine.channels[0], gaps=gaps), *engine.channels[1:]))
    scope = sheet.scope((0, "original"))
    own = np.flatnonzero(scope.channel.groups == 2)
    assert len(own) == 12
    assert scope.channel.gaps[own] == pytest.approx(0.1)
    half = sheet.scope((0, "crop-50x100-at-0x50"))
    assert sorted(half.channel.groups.tolist()) == [n for n in range(12) if n != 2]
    assert 2 in sheet.scope((1, "crop-50x100-at-0x50")).channel.groups


def test_rows_of_one_view_may_have_a_part_of_their_reach(engine):
    """A stricter class ranks and accepts by smaller cones, and no row accepts beyond the widest."""
    strict = with_parts(engine, {"crops": 0.5})
    channel = strict.scope((0, "original")).channel
    ids = np.arange(channel.store.rows)
    every = strict.scope((0, "original")).ids
    names = engine.gallery.catalog["view"].take(every).to_pylist()
    whole = np.array([not name.startswith("crop") for name in names])
    of_all = with_parts(engine, {}).scope((0, "original")).channel
    assert of_all.threshold is not None
    assert channel.reach(ids)[~whole] == pytest.approx(0.5 * of_all.reach(ids)[~whole])
    assert np.array_equal(channel.limits(ids)[whole], of_all.limits(ids)[whole])
    assert set(channel.levels(ids)[whole]) == {of_all.threshold.value}
    assert (channel.levels(ids)[~whole] > of_all.threshold.value).all()
    assert channel.widest == channel.limits(ids).min()
    assert channel.span == (channel.levels(ids).min(), channel.levels(ids).max())


# -- what else an index is asked for -----------------------------------------------------------------------------------


def test_edits_are_proved_through_every_view(home, engine):
    """T12 with T10: one range of brightness, of which every member inside has the claimed answer."""
    pixels = np.rint(255 * (0.25 + 0.5 * picture(home, 3))).astype(np.uint8)
    answer = engine.answer(pixels / 255.0, k=2, certify=True)
    asked = read_families(["brightness:0.9..1.1"])
    reach = prove_ranges(engine, pixels, answer, asked, eps=0.0, unit="rmse").families[0].verdict
    assert reach.low is not None
    assert reach.high is not None
    assert reach.low[0] < 1.0 < reach.high[0]
    family = asked[0].on(pixels, engine.policy)
    assert isinstance(family, Continuous)
    for at in np.linspace(reach.low[0], reach.high[0], 7):
        assert engine.answer(family.member((at,)), k=2).point_verdict == "copy"


def test_copies_among_stored_items_are_linked_by_the_rows_that_meet_a_query(home, engine):
    """Links look at unedited views only, by the rule of the query itself; the proof looks through every view."""
    every = find_links(with_parts(engine, {}))
    assert len(find_links(with_parts(engine, {"crops": 0.01, "turned": 0.01}))) <= len(every)
    assert len(find_links(with_parts(engine, {"mirror": 0.01, "inside": 0.01, "halves": 0.01}))) == len(every)


def test_proofs_name_every_view_of_the_query(home, engine):
    answer = engine.answer(picture(home, 3), certify=True)
    found = list(proofs_of(engine, answer, Subject(None, None, "0" * 64)))
    assert "first-place" in {proof.claim["kind"] for proof in found}
    views = {test[1] for test in engine.tests}
    assert all({probe["view"] for probe in proof.predicate["probes"]} <= views for proof in found)
    assert any(len(proof.predicate["probes"]) > 1 for proof in found)


def test_an_empty_gallery_is_asked_like_any_other(engine):
    nothing = engine.only((parse_condition("id=nobody"),))
    assert nothing.gallery.items == 0
    assert [scope.channel.store.rows for scope in nothing.scopes.values()] == [0] * len(engine.tests)
    assert nothing.answer(np.random.default_rng(0).random((20, 24, 3)), certify=True).matches == ()


def test_many_queries_are_searched_for_some_at_a_time(home, engine, monkeypatch):
    """What is listed of a query with many views is much: it is not held for hundreds of queries at once."""
    widths = []

    def watched(sources, probes, count):
        widths.append(len(probes))
        return propose(sources, probes, count)

    monkeypatch.setattr(settle, "propose", watched)
    monkeypatch.setattr(settle, "AT_ONCE", 3 * len(engine.tests))
    images = queries(home)[:5]
    found = engine.answer_many(images, k=2)
    assert widths == [3 * len(engine.tests), 2 * len(engine.tests)]
    assert [answer.matches[0].id for answer in found] == [engine.answer(one, k=2).matches[0].id for one in images]
