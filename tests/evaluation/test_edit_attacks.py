"""What is proved of ranges, attacked: no alarm where the proof is right, and alarms where it claims too much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import draw_pictures, embedded_by, small_index

from retr.embedding.block_means import BlockMeans
from retr.evaluation.edits.attacking import RangeAttack, attack_ranges
from retr.evaluation.edits.worst_members import draw_members
from retr.images.families.asked import read_families
from retr.images.families.family import Finite
from retr.retrieval.ranges.prove import prove_ranges
from retr.retrieval.ranges.result import Reach

TEXTS = ["brightness:0.3..3", "jpeg:30..95", "crop:90", "rotation:-3..3", "downscale:50", "blur:0..2"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    one = embedded_by(
        small_index(tmp_path_factory.mktemp("a"), draw_pictures(8, side=20)), BlockMeans(4), threshold=0.9
    )
    return replace(one, channels=(*one.channels, *embedded_by(one, BlockMeans(2), threshold=0.95).channels))


def attack(engine, pixels, *, claimed, attacked):
    families = read_families(TEXTS)
    answer = engine.answer(pixels / 255.0, k=3, certify=True)
    proof = prove_ranges(engine, pixels, answer, families, eps=claimed, unit="rmse")
    return attack_ranges(RangeAttack(engine, pixels, proof, attacked, "rmse", members=6, steps=6), families)


def test_no_alarm_where_the_proof_is_right(engine):
    found = attack(engine, draw_pictures(3, side=20)[2], claimed=1.0, attacked=1.0)
    assert found.pairs > 20
    assert not found.alarms


def test_a_proof_for_a_smaller_budget_is_overturned(engine):
    """The attack is strong enough to see a claim that is a few times too large."""
    found = attack(engine, draw_pictures(3, side=20)[2], claimed=0.5, attacked=25.0)
    assert found.alarms


def test_members_are_drawn_inside_of_what_is_proved(engine):
    pixels = draw_pictures(3, side=20)[2]
    families = read_families(["brightness:0.3..3", "jpeg:30..95"])
    answer = engine.answer(pixels / 255.0, k=3, certify=True)
    proof = prove_ranges(engine, pixels, answer, families, eps=0.5, unit="rmse")
    rng = np.random.default_rng(0)
    for asked, found in zip(families, proof.families, strict=True):
        assert len(draw_members(asked.on(pixels, engine.policy), found.verdict, 5, rng=rng)) >= 2
        nothing = replace(found.verdict, low=None, high=None, whole=False)
        assert draw_members(asked.on(pixels, engine.policy), nothing, 5, rng=rng) == []


def test_what_is_no_copy_is_attacked_too(engine):
    """A stranger is pushed into acceptance: not within what is proved, and surely with a budget many times as large."""
    stranger = draw_pictures(40, side=20)[39]
    assert not attack(engine, stranger, claimed=0.2, attacked=0.2).alarms
    found = attack(engine, stranger, claimed=0.2, attacked=60.0)
    assert any("nothing" in alarm for alarm in found.alarms)


@pytest.mark.parametrize("text", ["brightness:0.5..2", "crop:80", "jpeg:30..95"])
def test_evolution_finds_worse_members_than_chance_and_none_outside(engine, text):
    pixels = draw_pictures(3, side=20)[2]
    family = read_families([text])[0].on(pixels, engine.policy)
    whole = Reach(True, *(tuple(one[at] for one in family.span) for at in (0, 1)), share=1.0)
    known = {family.make(at).tobytes() for at in range(len(family))} if isinstance(family, Finite) else None

    def losses(members):
        assert known is None or all(member.tobytes() in known for member in members)
        return np.array([float(member.mean()) for member in members])

    drawn, evolved = (draw_members(family, whole, 12, rng=np.random.default_rng(4), losses=by) for by in (None, losses))
    assert len(drawn) == len(evolved)
    assert losses(evolved).mean() >= losses(drawn).mean()
