"""What is proved of ranges, attacked: no alarm where the proof is right, and alarms where it claims too much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import draw_pictures, embedded_by, small_index

from retr.embedding.block_means import BlockMeans
from retr.evaluation.edits.attacking import attack_ranges
from retr.evaluation.edits.worst_members import draw_members
from retr.images.families.asked import read_families
from retr.retrieval.ranges.prove import prove_ranges

TEXTS = ["brightness:0.3..3", "jpeg:30..95", "crop:90", "rotation:-3..3", "downscale:50"]


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
    return attack_ranges(engine, pixels, proof, families, eps=attacked, unit="rmse", members=6, steps=6)


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
