"""Faults of companions (THEORY T11): each planted in the engine's own code, and every claim of its answers attacked.

Queries are points of a plane, a certified channel sees them as they are (L = 1), and a companion sees them wildly: a
small step turns its embedding all the way round. So what a companion has to do with a claim, an attack finds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
from companion import write_companion
from drawn import Quiet
from plain import group_of, make_channel, probe, source_of
from planted import Found, audit, draw_pictures, save_pictures

from retr.indexer.build import IndexOptions, build_index
from retr.retrieval import tiers
from retr.retrieval.channel import Float64
from retr.retrieval.companions import Voice, hear
from retr.retrieval.engine import Engine
from retr.retrieval.index_source import IndexSource
from retr.retrieval.ranking import Ranking
from retr.retrieval.settle import settle_all

K = 2


def at(*angles: float) -> Float64:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@dataclass(frozen=True)
class World:
    """A gallery in a plane.

    Attributes:
        items: angle of each item's row in the certified channel; reach: how far from it a query is a copy.
        heard: its angle in the companion's; near: how far from it the companion accepts.
        turns: how many times as fast the companion's angle turns as the query moves along it.
        deaf: whether the companion does not answer at the query itself.
    """

    items: tuple[float, ...]
    heard: tuple[float, ...]
    reach: float = 0.5
    near: float = 0.3
    turns: float = 40.0
    deaf: bool = False

    @cached_property
    def source(self) -> IndexSource:
        pairs = ((self.items, self.reach), (self.heard, self.near))
        return source_of([make_channel(at(*angles), threshold=math.cos(far)) for angles, far in pairs])

    def answer(self, z: Float64, *, deaf: bool = False, certify: bool = True) -> tuple[Ranking, tiers.Spoken]:
        source = self.source
        probes = [probe(source.channels[0], z)]
        [ranking] = settle_all([source], [probes], K, certify=certify, tiers=True)
        seen = replace(probe(source.channels[1], self.companion(z), 1), bounds=None)
        [voice] = hear([source], [[replace(seen, refused="deaf")] if deaf else [seen]])
        return tiers.tiered(ranking, voice, K, probes=1)

    def companion(self, z: Float64) -> Float64:
        angle = self.turns * float(np.arctan2(z[1], z[0])) + 3.0 * self.turns * (float(np.linalg.norm(z)) - 1.0)
        return at(angle)[0]


def attack(world: World, z: Float64) -> Found:
    """Every claim of the answer at z, at points within it."""
    ranking, _ = world.answer(z, deaf=world.deaf)
    first = ranking.items[0]
    claims: list[tuple[str, float, Callable[[Ranking], bool]]] = [
        ("top1", first.top1 or 0.0, lambda after: after.items[0].key == first.key),
        ("copy", ranking.copy or 0.0, lambda after: after.point_verdict == "copy"),
        ("nothing", ranking.nothing or 0.0, lambda after: after.point_verdict == "not-a-copy"),
    ]
    for item in ranking.items:
        claims.append(("topk", item.topk or 0.0, lambda after, key=item.key: key in [one.key for one in after.items]))
    asked = [(kind, radius, holds) for kind, radius, holds in claims if radius > 0.0]
    broken = [kind for kind, radius, holds in asked if not _holds(world, z, radius, holds)]
    return Found(len(broken), len(asked) or 1, frozenset(broken))


def _holds(world: World, z: Float64, radius: float, holds: Callable[[Ranking], bool]) -> bool:
    return all(holds(world.answer(q, certify=False)[0]) for q in _near(z, radius))


def _near(z: Float64, radius: float):
    for share in (0.1, 0.5, 0.9, 0.999):
        for way in np.linspace(0.0, 2.0 * math.pi, 13):
            yield z + share * radius * np.array([math.cos(way), math.sin(way)])


def two_near(order: tuple[float, float]) -> World:
    """Two items that a query between them is a copy of, nearly alike; what the companion says of both is given."""
    return World((0.0, 0.4, 2.5), (*order, 3.0), near=1.2)


def by_the_companion(ranking: Ranking, voice: Voice, k: int, *, probes: int) -> tuple[Ranking, tiers.Spoken]:
    """Items that are nearly equally good come in the order of the companion's score."""
    liked = [one.key for one in voice.named]
    own = [item for item in ranking.items if item.accepted]
    if len(own) == 2 and own[0].score - own[1].score < 0.1 and own[1].key in liked[:1]:
        ahead = replace(own[1], top1=own[0].top1, raw_top1=own[0].raw_top1)
        ranking = replace(ranking, items=(ahead, own[0], *ranking.items[2:]))
    return TIERED(ranking, voice, k, probes=probes)


TIERED = tiers.tiered


def test_a_companion_breaks_ties_in_the_first_tier(planted, caught, monkeypatch):
    world, z = two_near((0.2, -2.5)), at(0.15)[0]
    if planted:
        monkeypatch.setattr(tiers, "tiered", by_the_companion)
    found = attack(world, z)
    caught(found, by=("top1",))


class WithoutWhatItNames(IndexSource):
    """What the companion lists is no rival any more: m_j = −∞."""

    def answer(self, asks):
        found = super().answer(asks)
        return [one if one is None or one.probe.channel else _without(one) for one in found]


def _without(seen):
    kept = np.flatnonzero(seen.listed.ids != 1)
    own = np.flatnonzero(seen.own.ids != 1)
    return replace(seen, listed=seen.listed.take(kept), own=seen.own.take(own), unseen=math.inf)


def test_an_item_that_only_the_companion_names_is_no_rival(planted, caught, monkeypatch):
    """Item 1 lies just outside of what the certified channel accepts, and the companion names it."""
    world = World((0.0, 0.7, 2.5), (2.0, 0.0, 3.0), turns=0.0)
    z = at(0.1)[0]
    if planted:
        plain = World.answer

        def answer(self, q, *, deaf=False, certify=True):
            if not certify:
                return plain(self, q, deaf=deaf, certify=certify)
            source = self.source
            blind = WithoutWhatItNames(source.channels, source.items)
            [ranking] = settle_all([blind], [[probe(source.channels[0], q)]], K, certify=True, tiers=True)
            return TIERED(ranking, Voice(), K, probes=1)

        monkeypatch.setattr(World, "answer", answer)
    caught(attack(world, z), by=("top1",))


def test_the_cap_of_the_first_tier_forgotten(planted, caught, monkeypatch):
    """No rival is near, but the item is hardly accepted: beyond that, what the companion names comes before it."""
    world = World((0.0, 2.5, 3.1), (2.0, 0.0, 0.4), near=1.0)
    if planted:
        monkeypatch.setattr(tiers, "_of_first_tier", lambda item: replace(item, tier="certified"))
    caught(attack(world, at(0.45)[0]), by=("top1",))


def test_a_rank_of_an_item_that_no_certified_channel_accepts(planted, caught, monkeypatch):
    world = World((0.0, 2.5, 3.1), (2.0, 1.0, 1.4), near=0.2)
    if planted:
        monkeypatch.setattr(tiers, "_unproved", lambda item, tier: replace(item, tier=tier))
    z = 1.05 * at(0.8)[0]
    assert world.answer(z)[0].point_verdict == "not-a-copy"
    caught(attack(world, z), by=("top1",))


@pytest.mark.parametrize("deaf", [False, True], ids=["on", "silent"])
def test_not_a_copy_proved_beside_a_companion(planted, caught, monkeypatch, deaf):
    world = World((0.0, 2.5, 3.1), (2.0, 1.0, 1.4), near=0.2, deaf=deaf)
    z = 1.05 * at(1.1)[0]
    assert world.answer(z, deaf=deaf)[0].point_verdict == "not-a-copy"
    if planted:

        def with_a_proof(ranking, voice, k, *, probes):
            found, spoken = TIERED(ranking, voice, k, probes=probes)
            return (replace(found, nothing=ranking.nothing) if not voice.named else found), spoken

        monkeypatch.setattr(tiers, "tiered", with_a_proof)
    caught(attack(world, z), by=("nothing",))


def test_a_copy_that_a_companion_proves(planted, caught, monkeypatch):
    """A companion's own distance to its threshold is no radius: it turns forty times as fast as the query."""
    world = World((2.5, 2.8, 3.1), (0.3, 2.0, 2.4), near=0.6, turns=8.0)
    z = at(0.0)[0]
    assert world.answer(z)[1].names
    if planted:

        def proved(ranking, voice, k, *, probes):
            found, spoken = TIERED(ranking, voice, k, probes=probes)
            return (replace(found, copy=0.3) if spoken.names and ranking.certified else found), spoken

        monkeypatch.setattr(tiers, "tiered", proved)
    caught(attack(world, z), by=("copy",))


def test_what_a_companion_says_changes_no_certified_evidence():
    """T11, last sentence: the first tier, its order and the verdict *copy* are those of the index without it."""
    rng = np.random.default_rng(3)
    for _ in range(40):
        world = World(tuple(rng.uniform(-3, 3, 6)), tuple(rng.uniform(-3, 3, 6)), near=float(rng.uniform(0.1, 2.0)))
        z = rng.standard_normal(2)
        source = world.source
        [alone] = settle_all([source], [[probe(source.channels[0], z)]], K, certify=True, tiers=True)
        ranking, _ = world.answer(z)
        accepted = [item for item in alone.items if item.accepted]
        own = [item for item in ranking.items if item.tier == "certified"]
        assert [group_of(item) for item in own] == [group_of(item) for item in accepted]
        assert [item.copy for item in own] == [item.copy for item in accepted]
        assert ranking.copy == alone.copy


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Five pictures in an index with a companion that knows them by their colours."""
    home = tmp_path_factory.mktemp("companion")
    pictures = draw_pictures(5)
    save_pictures(home / "corpus", pictures)
    options = IndexOptions(models=("block-means:4",), companion=write_companion(home / "c.pt"), workers=1)
    build_index(str(home / "corpus"), home / "index", options, Quiet())
    return Engine.open(home / "index", device="cpu"), pictures


def test_the_audit_attacks_both_tiers(planted, caught, seen, tmp_path, monkeypatch):
    """Pictures, and pictures rolled round, which the companion alone names: as if it could prove that."""
    engine, pictures = seen
    rolled = [np.roll(one, (8, 5), (0, 1)) for one in pictures[:2]]
    if planted:

        def proved(ranking, voice, k, *, probes):
            found, spoken = TIERED(ranking, voice, k, probes=probes)
            return (replace(found, copy=6.0) if spoken.names and ranking.certified else found), spoken

        monkeypatch.setattr("retr.retrieval.engine.tiered", proved)
    paths = save_pictures(tmp_path / "queries", [*rolled, *pictures[2:4]])
    chosen = {"queries": paths, "goals": ("evasion", "verdict"), "at_radius": (0.5, 0.97), "truth": _truth(tmp_path)}
    caught(audit(engine, tmp_path / "audit", **chosen), by=("verdict",))


def _truth(home):
    lines = ["query,truth", *(f"{n:03}.png,{n:03}.png" for n in range(4))]
    (home / "truth.csv").write_text("\n".join(lines) + "\n")
    return home / "truth.csv"
