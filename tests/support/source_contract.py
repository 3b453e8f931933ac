"""What every source of rows must do, whatever holds them: tests that each kind inherits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from retr.certificates.ranking import pair_radii
from retr.certificates.verdicts import verdict_radii
from retr.retrieval.claims import Claims
from retr.retrieval.compared_rows import Rows
from retr.retrieval.distances import beyond, distances, lower_bounds
from retr.retrieval.engine import Engine
from retr.retrieval.evidence import Evidence
from retr.retrieval.index_source import IndexSource
from retr.retrieval.probe import Probe
from retr.retrieval.source import Ask, Source


def images_of(engine: Engine, count: int = 6) -> list[np.ndarray]:
    """Noise, and mixtures of gallery pictures with it."""
    rng, found = np.random.default_rng(3), []
    for number in range(count):
        noise = rng.random((24, 30, 3))
        stored = rng.random((4, 5, 3)).repeat(6, axis=0).repeat(6, axis=1)
        found.append(noise if number == 0 else (0.7 + 0.05 * number) * stored + (0.3 - 0.05 * number) * noise)
    return found


def assert_same_rows(one: Rows, other: Rows) -> None:
    for name in ("ids", "keys", "firsts", "numbers", "scores", "distances", "limits", "levels"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None), name
        assert mine is None or (mine.dtype == theirs.dtype and np.array_equal(mine, theirs)), name


def assert_same_evidence(one: Evidence, other: Evidence) -> None:
    """To the last bit."""
    assert_same_rows(one.listed, other.listed)
    order, reorder = np.argsort(one.own.ids, kind="stable"), np.argsort(other.own.ids, kind="stable")
    assert_same_rows(one.own.take(order), other.own.take(reorder))
    assert sorted(one.whole.tolist()) == sorted(other.whole.tolist())
    assert (one.rivals is None) == (other.rivals is None)
    if one.rivals is not None and other.rivals is not None:
        assert_same_rows(one.rivals, other.rivals)
        assert one.claims is not None
        assert one.claims.are(other.claims)
    for name in ("unseen", "widest", "longest", "scanned", "total", "span", "missing", "rejects"):
        assert getattr(one, name) == getattr(other, name), name


def _can_be_asked(ask: Ask, probe: Probe) -> bool:
    """How far rows reject is asked about thresholds, and the claims above are of unit rows of the first channel."""
    if ask.claims is not None and (probe.channel != 0 or probe.score != "cosine"):
        return False
    return probe.threshold is not None or not ask.rejects


class SourceContract:
    """Inherit it, and say in a fixture ``source`` what holds all rows of the fixture ``engine``."""

    @pytest.fixture
    def probes(self, engine: Engine) -> list[Probe]:
        return [probe for image in images_of(engine) for probe in engine.embed(image).probes]

    @pytest.fixture
    def whole(self, engine: Engine) -> IndexSource:
        return IndexSource(engine.every_channel, engine.gallery.table, scopes=engine.scopes)

    def test_it_counts_its_live_rows(self, source: Source, engine: Engine) -> None:
        assert source.rows == engine.gallery.live.sum()

    @pytest.mark.parametrize("count", [1, 5, 10_000])
    def test_the_nearest_are_those_of_a_look_at_every_row(self, source, engine, probes, count) -> None:
        for probe, seen in zip(probes, source.answer([Ask(p, nearest=count) for p in probes]), strict=True):
            scope = engine.scope(probe.name)
            ids = np.flatnonzero(scope.channel.groups >= 0)
            far = distances(probe.z, scope.channel.rows64(ids), probe.score)
            low = np.sort(lower_bounds(far, len(probe.z), probe.score))
            limit = low[count] if len(low) > count else math.inf
            wanted = ids[lower_bounds(far, len(probe.z), probe.score) < limit]
            assert sorted(seen.listed.ids.tolist()) == scope.outward(wanted).tolist()
            assert seen.unseen == limit
            assert (seen.scanned, seen.total, seen.probe.z.tobytes()) == (source.rows, source.rows, probe.z.tobytes())

    @pytest.mark.parametrize("distance", [0.05, 0.4, 2.0])
    def test_within_a_distance_is_what_a_look_at_every_row_finds(self, source, engine, probes, distance) -> None:
        for probe, seen in zip(probes, source.answer([Ask(p, within=distance) for p in probes]), strict=True):
            scope = engine.scope(probe.name)
            ids = np.flatnonzero(scope.channel.groups >= 0)
            near = distances(probe.z, scope.channel.rows64(ids), probe.score) < beyond(distance, probe.score)
            assert sorted(seen.listed.ids.tolist()) == scope.outward(ids[near]).tolist()
            assert seen.unseen == (math.inf if near.all() else distance)

    def test_how_far_every_row_rejects_is_what_a_look_at_every_row_finds(self, source, engine, probes) -> None:
        less = 0
        for probe in probes:
            if probe.threshold is None:
                continue
            channel = engine.scope(probe.name).channel
            ids = np.flatnonzero(channel.groups >= 0)
            bounds = {"lipschitz": probe.proved.lipschitz, "forward_error": probe.proved.forward_error}
            rows, limits = channel.rows64(ids), channel.limits(ids)
            exact = verdict_radii(probe.z, rows, score=probe.score, threshold=limits, **bounds).nothing.min()
            for wanted in (0.05, 0.5 * probe.proved.cap, probe.proved.cap):
                [found] = source.answer([Ask(probe, rejects=wanted)])
                assert found.rejects == max(0.0, min(wanted, float(exact)))
                less += found.rejects < wanted
        assert less or all(probe.threshold is None for probe in probes)

    def test_what_might_overtake_is_what_a_look_at_every_row_finds(self, source, engine, probes) -> None:
        found = 0
        for probe in probes:
            if probe.score != "cosine" or probe.bounds is None:
                continue
            scope = engine.scope(probe.name)
            ids = np.flatnonzero(scope.channel.groups >= 0)
            rows, stored = scope.channel.rows64(ids), scope.channel.store.take(ids)
            bounds = {"lipschitz": probe.bounds.lipschitz, "forward_error": probe.bounds.forward_error}
            for radius in (1e-3, 0.2 * probe.bounds.cap):
                claims = Claims(scope.outward(ids[:3]), stored[:3], np.array([radius, 2.0 * radius, 0.5 * radius]))
                radii = np.stack([pair_radii(probe.z, row, rows, score="cosine", **bounds) for row in rows[:3]])
                wanted = scope.outward(ids[(radii < claims.radii[:, None]).any(axis=0)])
                [seen] = source.answer([Ask(probe, claims=claims)])
                assert claims.are(seen.claims)
                assert seen.rivals is not None
                assert sorted(seen.rivals.ids.tolist()) == wanted.tolist()
                found += 3 < len(wanted) < len(ids)
        assert found or all(probe.score != "cosine" or probe.bounds is None for probe in probes)

    def test_all_it_says_is_what_one_process_says(self, source, whole, probes) -> None:
        names, ids = whole.items.keys(np.arange(0, whole.items.count, 3)), np.arange(2)
        for ask in (
            Ask(probes[0], nearest=4, own=names),
            Ask(probes[0], within=0.3),
            Ask(probes[0], own=names),
            Ask(probes[0], rejects=0.4),
            Ask(probes[0], claims=Claims(ids, whole.channels[0].store.take(ids), np.array([0.5, 0.1]))),
        ):
            able = [probe for probe in probes if _can_be_asked(ask, probe)]
            asks = [replace(ask, probe=probe) for probe in able]
            for mine, theirs in zip(source.answer(asks), whole.answer(asks), strict=True):
                assert_same_evidence(mine, theirs)
