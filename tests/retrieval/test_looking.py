"""How far is looked: as far as the answer needs, and no farther than the theorem says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import plain
import pytest

from retr.certificates.channels import half_leads
from retr.core.types import UpperBound
from retr.retrieval.candidates import Candidates, hidden_margins
from retr.retrieval.decide import decide
from retr.retrieval.decide_several import decide_several
from retr.retrieval.looking import distances_to_look
from retr.retrieval.probe import Bounds
from retr.retrieval.settle import propose, settle

WIDE = 2.5
"""Growth that lets a probe look as far as there are rows."""


def two_views(seed: int):
    """Items with two like rows each in two channels, and a query near those of one item."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), 2)
    rows = [rng.standard_normal((60, dim)).repeat(2, 0) + 0.1 * rng.standard_normal((120, dim)) for dim in (16, 12)]
    channels = tuple(plain.make_channel(one, groups=groups, threshold=0.6) for one in rows)
    row = int(rng.integers(120))
    near = [channel.rows64(np.array([row]))[0] for channel in channels]
    return channels, [z + 0.1 * rng.standard_normal(len(z)) for z in near]


def listed(channels, zs, count: int):
    """What a first search of a few rows finds, with all rows of the item that comes first."""
    source, probes = plain.source_of(channels), plain.probes(channels, zs)
    evidence = [one for [one] in propose([source], probes, count)]
    needs = decide(evidence, 1, certify=True).needs
    for ask, answer in zip(needs, source.answer(needs), strict=True):
        place = probes.index(ask.probe)
        assert answer is not None
        evidence[place] = replace(evidence[place], own=answer.own, whole=answer.whole)
    return evidence


def _half_lead_holds_from(seen, margin: float, error: float, claimed: float) -> float:
    """The least chord from which hidden rows leave half a lead of so much; inf where none does."""
    near, far = seen.unseen, 2.0
    for _ in range(30):
        middle = 0.5 * (near + far)
        enough = float(half_leads(margin, error, hidden_margins(seen, middle))[0]) >= claimed
        near, far = (near, middle) if enough else (middle, far)
    return far


def test_where_t1_carries_the_lead_no_more_is_looked_at_than_t1_asks_for():
    """Half a lead would ask for rows much farther out: the larger of the two radii of what is hidden is enough."""
    nearer = 0
    for seed in range(15):
        channels, zs = two_views(seed)
        evidence = listed(channels, zs, 3)
        found = decide_several(evidence, 1, certify=True, growth=WIDE)
        asks = {ask.probe.name: ask.within for ask in found.needs if ask.within is not None}
        [item] = found.ranking.items
        candidates = Candidates.of(evidence)
        [place] = candidates.first(1)
        margin, error = float(candidates.total.values[place]), float(candidates.total.errors[place])
        for seen in evidence:
            if seen.probe.name not in asks or not item.top1:
                continue
            claimed = max(item.top1, item.topk or 0.0)
            half = _half_lead_holds_from(seen, margin, error, claimed)
            nearer += asks[seen.probe.name] < 0.98 * half
            assert asks[seen.probe.name] <= 1.01 * half + 1e-3
    assert nearer >= 3


def test_each_probe_looks_no_farther_than_it_must():
    """A hair nearer than the distance that is asked for, the answer would not be settled (10 halvings: 1/1024)."""
    asked = 0
    for seed in range(20):
        channels, zs = two_views(seed)
        evidence = listed(channels, zs, 3)
        needs = decide_several(evidence, 1, certify=True, growth=WIDE).needs
        if len(needs) != 1:
            continue
        [ask] = needs
        assert ask.within is not None
        place = [seen.probe.name for seen in evidence].index(ask.probe.name)
        step = (WIDE - 1) * evidence[place].unseen / 2**10
        for far, settled in ((ask.within, True), (ask.within - 2 * step, False)):
            if far <= evidence[place].unseen:
                continue
            moved = [replace(one, unseen=far) if n == place else one for n, one in enumerate(evidence)]
            assert (not decide_several(moved, 1, certify=True, growth=WIDE).needs) == settled
            asked += 1
    assert asked > 10


def test_where_probes_are_far_enough_alone_and_not_together_each_looks_farther():
    channels, zs = two_views(0)
    evidence = listed(channels, zs, 3)
    parts = Candidates.of([replace(one, unseen=1.9) for one in evidence]).parts
    assert distances_to_look(parts, [], 0, 1.5) == [1.5 * 1.9] * 2
    beside = Candidates.of([replace(evidence[0], unseen=math.inf), replace(evidence[1], unseen=1.9)]).parts
    assert distances_to_look(beside, [], 0, 1.5) == [math.inf, 1.5 * 1.9]


def test_the_radius_for_people_is_that_of_the_items_best_row():
    """With a forward error the claimed radius lies far below the raw one, which has none of it taken off."""
    checked = 0
    for seed in range(12):
        channels, zs = two_views(seed)
        bounds = Bounds(UpperBound(1.0, "for tests"), 0.01, plain.CAP)
        probes = [replace(one, bounds=bounds) for one in plain.probes(channels, zs)]
        found = settle([plain.source_of(channels)], probes, 1, certify=True).items[0]
        exact = settle([plain.source_of(channels)], plain.probes(channels, zs), 1, certify=True).items[0]
        assert found.key == exact.key
        if found.limited_by is None or found.limited_by != exact.limited_by or not exact.top1:
            continue
        checked += 1
        assert found.raw_top1 == pytest.approx(exact.top1, abs=1e-9)
        assert found.top1 is not None
        assert found.top1 < exact.top1 - 0.015
    assert checked > 3
