"""Edits with proof, on small images: what is proved of a range holds for every member, one by one, under attack."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from planted import draw_pictures, embedded_by, small_index

from retr.embedding.block_means import BlockMeans
from retr.images.families.asked import read_families
from retr.images.families.family import Continuous, Finite
from retr.indexer.where import parse_condition
from retr.retrieval.ranges import judge, members
from retr.retrieval.ranges.prove import prove_ranges

FAMILIES = ["jpeg:20..60", "brightness:0.3..3", "gamma:0.3..3", "saturation:0..4"]


@pytest.fixture(scope="module")
def pictures():
    return draw_pictures(8, side=20)


@pytest.fixture(scope="module")
def single(tmp_path_factory, pictures):
    """One channel, which is the index's own."""
    return embedded_by(small_index(tmp_path_factory.mktemp("s"), pictures), BlockMeans(4), threshold=0.9)


@pytest.fixture(scope="module", params=["one", "two"])
def engine(request, tmp_path_factory, pictures):
    """One channel that ranks by scores, and two that rank by margins."""
    home = tmp_path_factory.mktemp(request.param)
    one = embedded_by(small_index(home, pictures), BlockMeans(4), threshold=0.9)
    if request.param == "one":
        return one
    other = embedded_by(one, BlockMeans(2), threshold=0.95)
    return replace(one, channels=(*one.channels, *other.channels))


def ask(engine, pixels, families, *, eps=0.5):
    answer = engine.answer(pixels / 255.0, k=3, certify=True)
    return answer, prove_ranges(engine, pixels, answer, read_families(families), eps=eps, unit="rmse")


def members_of(family, reach, count=12):
    """Members inside of the proved range."""
    if isinstance(family, Finite):
        return [family.make(at) for at, value in enumerate(family.values) if reach.low[0] <= value <= reach.high[0]]
    assert isinstance(family, Continuous)
    return [family.member((at,)) for at in np.linspace(reach.low[0], reach.high[0], count)]


@pytest.mark.parametrize("text", FAMILIES)
def test_the_proved_range_holds_member_by_member_with_noise_on_top(engine, pictures, text):
    rng = np.random.default_rng(0)
    answer, proof = ask(engine, pictures[3], [text])
    family, [found] = read_families([text])[0].on(pictures[3], engine.policy), proof.families
    assert found.verdict.low is not None
    for part in ("verdict", "first"):
        reach = found.reach(part)
        for member in members_of(family, reach) if reach.low is not None else []:
            noise = rng.normal(size=member.shape)
            noise *= 0.499 / 255.0 * np.sqrt(noise.size) / np.linalg.norm(noise)
            attacked = engine.answer(np.clip(member / 255.0 + noise, 0.0, 1.0), k=1)
            if part == "verdict":
                assert attacked.point_verdict == answer.point_verdict
            else:
                assert attacked.matches[0].id == answer.matches[0].id


@pytest.mark.parametrize("text", ["jpeg:1..40"])
def test_the_proved_range_ends_at_most_where_the_exact_one_does(engine, pictures, text):
    """Each member by itself, by the engine's own certificate: the range cannot be longer, and is hardly shorter."""
    answer, proof = ask(engine, pictures[3], [text])
    family, [found] = read_families([text])[0].on(pictures[3], engine.policy), proof.families
    assert isinstance(family, Finite)
    assert answer.point_verdict == "copy"
    certified = []
    for at in range(len(family)):
        member = family.make(at)
        own = engine.answer(member / 255.0, k=3, certify=True)
        certified.append(own.copy is not None and own.copy.rmse > 0.5)
    first_failure = certified.index(False) if False in certified else len(certified)
    assert found.verdict.low == (family.values[first_failure - 1],)


def test_cells_cover_the_range_without_gaps(engine, pictures):
    from retr.retrieval.ranges.cover_cells import halves, piece_of

    family = read_families(["brightness:0.5..3"])[0].on(pictures[0], engine.policy)
    assert isinstance(family, Continuous)
    cells = halves(family.span, family)
    assert cells[0][0][1] == cells[1][0][0]
    assert (cells[0][0][0], cells[1][0][1]) == family.span[0]
    assert piece_of(((0.5, 0.75),), family).side == -1.0
    assert piece_of(((1.0, 2.0),), family).near == 0.0


def test_not_a_copy_is_proved_against_every_row(engine):
    stranger = draw_pictures(40, side=20)[39]
    answer, proof = ask(engine, stranger, ["brightness:0.9..1.1"], eps=0.0)
    assert answer.point_verdict == "not-a-copy"
    assert proof.claim.verdict == "not-a-copy"
    assert proof.families[0].verdict.share > 0.0


def test_a_larger_budget_proves_no_more(engine, pictures):
    shares = [ask(engine, pictures[3], ["gamma:0.2..5"], eps=eps)[1].families[0].verdict.share for eps in (0, 1, 4, 64)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0.0


def test_the_claim_is_the_item_that_is_first_at_the_identity(engine, pictures):
    _, proof = ask(engine, pictures[5], ["jpeg:60..90"])
    assert str(proof.claim.path).endswith("005.png")


def test_a_withheld_certificate_withholds_the_proof(engine, pictures):
    channel = engine.channels[0]
    plain = copy(channel.embedder)
    plain.lipschitz, plain.uncertified_because = None, "nobody proved it"
    other = replace(engine, channels=(replace(channel, embedder=plain),))
    _, proof = ask(other, pictures[0], ["jpeg:60..90", "gamma"])
    for family in proof.families:
        for part in ("verdict", "first"):
            reach = family.reach(part)
            assert not reach.whole
            assert "nobody proved it" in str(reach.withheld)


def test_flat_queries_have_nothing_to_prove(engine):
    _, proof = ask(engine, np.full((9, 9, 3), 77, dtype=np.uint8), ["jpeg:60..90"])
    assert proof.families[0].verdict.withheld


@pytest.mark.parametrize("text", ["brightness:0.3..3", "crop:60"])
def test_what_the_network_was_not_shown_in_time_is_not_proved(engine, pictures, text, monkeypatch):
    _, whole = ask(engine, pictures[3], [text])
    monkeypatch.setattr(judge, "MOST", 2)
    _, short = ask(engine, pictures[3], [text])
    [few], [all_] = short.families, whole.families
    assert few.evaluations < all_.evaluations
    assert few.verdict.share < all_.verdict.share
    assert not few.verdict.whole
    assert any("not tried" in stop.because for stop in (*few.verdict.stops, *few.first.stops))


@pytest.mark.parametrize("text", FAMILIES[:2])
def test_a_condition_leaves_the_range_of_the_rest(single, pictures, text):
    """Rivals that are no part of the gallery threaten nothing, and a claim about what is left out is another claim."""
    conditions = (parse_condition(f"path!={single.gallery.describe(2)['path']}"),)
    part = single.only(conditions)
    assert part.gallery.items == single.gallery.items - 1
    for number in (2, 3):
        _, proof = ask(part, pictures[number], [text])
        found = proof.families[0]
        if number == 2:
            assert proof.claim.verdict != "copy" or not str(proof.claim.path).endswith("002.png")
            continue
        _, all_ = ask(single, pictures[number], [text])
        assert found.first.share >= all_.families[0].first.share
        family = read_families([text])[0].on(pictures[number], single.policy)
        for member in members_of(family, found.verdict)[:6] if found.verdict.low is not None else []:
            assert part.answer(member / 255.0, k=1).point_verdict == proof.claim.verdict


def test_a_family_that_cannot_be_made_of_an_image_leaves_the_others_alone(single):
    large = np.random.default_rng(1).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    _, proof = ask(single, large, ["crop:95", "bits:7..8"])
    crop, bits = proof.families
    assert "ask for a larger share" in str(crop.verdict.withheld)
    assert (crop.family, crop.members, crop.verdict.whole) == ("crop", None, False)
    assert bits.members == 2
    assert proof.as_json()["families"][0]["first"]["withheld"]


def test_a_family_that_cannot_be_held_is_withheld(single, pictures, monkeypatch):
    monkeypatch.setattr(members, "MOST_KEPT", 1000)
    _, proof = ask(single, pictures[3], ["jpeg:30..95"])
    assert "too many to hold" in str(proof.families[0].verdict.withheld)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (2, 3)])
def test_tiny_images_have_proofs_or_reasons(engine, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    _, proof = ask(engine, pixels, ["crop:95", "jpeg:90..95", "downscale:50", "rotation:-1..1", "flip"], eps=0.1)
    for family in proof.families:
        for part in ("verdict", "first"):
            reach = family.reach(part)
            assert 0.0 <= reach.share <= 1.0 + 1e-9
            assert reach.whole or reach.withheld or reach.stops
