"""One index as several sources: the answer, the radii and the certificate are those of the one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import rank

from retr.retrieval.channel import Channel
from retr.retrieval.claims import Claims
from retr.retrieval.decide import decide
from retr.retrieval.distances import distance_bounds
from retr.retrieval.evidence import Evidence, merge, nothing_from
from retr.retrieval.ranking import Ranking
from retr.retrieval.settle import SHORTLIST, propose, settle
from retr.retrieval.source import Ask, NoAnswer

ITEMS, VIEWS = 25, 3
ROWS = ITEMS * VIEWS
seeds = st.integers(0, 2**32 - 1)


def gallery(rng: np.random.Generator, *, local: bool) -> tuple[Channel, Channel]:
    """A cosine channel and a Euclidean one; items of a few rows in any order, some dead, some rows twice."""
    groups = rng.integers(0, ITEMS, ROWS)
    groups[rng.choice(ROWS, 8, replace=False)] = -1
    centres = rng.standard_normal((ITEMS + 1, 6))
    rows = centres[groups] + 0.3 * rng.standard_normal((ROWS, 6))
    rows[5] = rows[40]
    first = plain.make_channel(rows, groups=groups, threshold=0.8)
    other = plain.make_channel(
        rows[:, :4] + 0.2 * rng.standard_normal((ROWS, 4)), "euclidean", groups=groups, threshold=1.0
    )
    return (_local(first, rng), _local(other, rng)) if local else (first, other)


def _local(channel: Channel, rng: np.random.Generator) -> Channel:
    assert channel.threshold is not None
    threshold = replace(channel.threshold, offset=0.1, gaps="0" * 64)
    return replace(channel, threshold=threshold, gaps=rng.uniform(0, 0.8, ROWS).astype(np.float32))


def cut(channels, rng: np.random.Generator, parts: int):
    """Sources that hold all rows between them, some of them perhaps none."""
    owner = rng.integers(0, parts, ROWS)
    return [plain.scattered(channels, np.flatnonzero(owner == part)) for part in range(parts)]


def zs_of(channels, rng: np.random.Generator, noise: float) -> list[np.ndarray]:
    row = int(rng.integers(ROWS))
    rows = [channel.rows64(np.array([row]))[0] for channel in channels]
    return [2.0 * (z + noise * rng.standard_normal(len(z))) for z in rows]


def facts(found, channels) -> list[tuple]:
    """What must be the same, bit for bit; items by name, wherever their rows lie."""
    groups = channels[0].groups
    return [
        (i.key, i.row, i.probe, i.score, i.distance, i.accepted, None if i.limited_by is None else groups[i.limited_by])
        for i in found.items
    ]


def close(one: float | None, other: float | None) -> bool:
    return one is other is None or (one is not None and one == pytest.approx(other, rel=1e-12, abs=1e-12))


def assert_same(one, other, channels) -> None:
    """The same but for last digits of T5 and T9: their slack is the largest of the rows that happen to be listed."""
    assert facts(one, channels) == facts(other, channels)
    assert (one.point_verdict, one.certified, one.scanned, one.total) == (
        other.point_verdict,
        other.certified,
        other.scanned,
        other.total,
    )
    assert close(one.copy, other.copy)
    assert close(one.nothing, other.nothing)
    for mine, theirs in zip(one.items, other.items, strict=True):
        assert all(close(getattr(mine, name), getattr(theirs, name)) for name in ("top1", "topk", "copy", "raw_top1"))


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(2, 4), st.sampled_from([1, 3, 20, 128]), st.sampled_from([1, 4, 60]), st.booleans())
def test_one_probe_is_answered_alike_however_the_rows_are_split(seed, parts, first, k, local):
    rng = np.random.default_rng(seed)
    for channel in gallery(rng, local=local):
        [z] = zs_of([channel], rng, rng.choice([0.0, 0.1, 1.0]))
        for certify in (True, False):
            whole = rank(channel, z, k, first=first, certify=certify)
            parted = rank(channel, z, k, first=first, certify=certify, sources=cut([channel], rng, parts))
            assert_same(parted, whole, [channel])


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(2, 4), st.sampled_from([1, 3, 20, 128]), st.sampled_from([1, 4, 60]), st.booleans())
def test_several_probes_are_answered_alike_however_the_rows_are_split(seed, parts, first, k, local):
    rng = np.random.default_rng(seed)
    channels = gallery(rng, local=local)
    zs = zs_of(channels, rng, rng.choice([0.0, 0.1, 1.0]))
    for certify in (True, False):
        whole = rank(channels, zs, k, first=first, certify=certify)
        parted = rank(channels, zs, k, first=first, certify=certify, sources=cut(channels, rng, parts))
        assert_same(parted, whole, channels)


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(1, 4), st.one_of(st.integers(1, 30), st.floats(0.01, 2.5)))
def test_no_row_that_is_not_listed_is_nearer_than_the_merged_bound(seed, parts, wanted):
    rng = np.random.default_rng(seed)
    for channel in gallery(rng, local=False):
        [z] = zs_of([channel], rng, 0.5)
        one = plain.probe(channel, z)
        ask = Ask(one, nearest=wanted) if isinstance(wanted, int) else Ask(one, within=wanted)
        pieces = [source.answer([ask])[0] for source in cut([channel], rng, parts)]
        seen = merge([piece for piece in pieces if piece is not None])
        live = np.flatnonzero(channel.groups >= 0)
        assert (seen.scanned, seen.total) == (len(live), len(live))
        hidden = np.setdiff1d(live, seen.listed.ids)
        low, _ = distance_bounds(z, channel.rows64(hidden), channel.score)
        assert (low >= seen.unseen - 1e-12).all()
        assert len(hidden) == 0 or not seen.everything_listed
        assert seen.listed.scores.tolist() == sorted(seen.listed.scores, reverse=True)


def test_rivals_are_those_of_claims_that_every_part_was_asked_about():
    rng = np.random.default_rng(1)
    channel, _ = gallery(rng, local=False)
    one = plain.probe(channel, channel.rows64(np.array([3]))[0])
    claims = Claims(np.array([3]), channel.store.take(np.array([3])), np.array([0.5]))
    other = replace(claims, radii=np.array([0.25]))
    sources = cut([channel], rng, 2)
    asked, less = ([source.answer([Ask(one, claims=each)])[0] for source in sources] for each in (claims, other))
    silent = [source.answer([Ask(one, within=0.1)])[0] for source in sources]
    whole = merge(asked)
    assert whole.rivals is not None
    found = np.concatenate([part.rivals.ids for part in asked if part.rivals is not None])
    assert sorted(whole.rivals.ids) == sorted(found)
    for parts in ([asked[0], less[1]], [asked[0], silent[1]], [silent[0], asked[1]], [asked[0], asked[1].silenced()]):
        assert merge(parts).claims is None
        assert merge(parts).rivals is None


def test_merging_takes_the_weakest_bound_and_the_widest_threshold():
    rng = np.random.default_rng(0)
    for channel in gallery(rng, local=True):
        [z] = zs_of([channel], rng, 0.5)
        pieces = [one for own in propose(cut([channel], rng, 3), [plain.probe(channel, z)], 4) for one in own]
        seen = merge(pieces)
        assert seen.unseen == min(piece.unseen for piece in pieces) < max(piece.unseen for piece in pieces)
        assert seen.widest == channel.widest
        assert seen.reach == max(piece.reach for piece in pieces)
        assert seen.longest == max(piece.longest for piece in pieces)


def test_an_item_is_whole_only_where_every_source_gave_all_its_rows():
    rng = np.random.default_rng(1)
    channel, _ = gallery(rng, local=False)
    sources, one = cut([channel], rng, 2), plain.probe(channel, zs_of([channel], rng, 0.1)[0])
    items = plain.source_of([channel]).items
    names = items.keys(np.array([0, 1]))
    asks = [Ask(one, nearest=3, own=names[:count]) for count in (2, 1)]
    answers = [source.answer([ask])[0] for source, ask in zip(sources, asks, strict=True)]
    seen = merge([answer for answer in answers if answer is not None])
    assert seen.whole.tolist() == names[:1].tolist()
    assert set(items.rows_of(0).tolist()) <= set(seen.own.ids.tolist())


# -- a source that does not answer -------------------------------------------------------------------------------------


class Silent:
    """A source that answers so often, and then no more."""

    def __init__(self, inner, answers: int) -> None:
        self.inner, self.left = inner, answers

    @property
    def rows(self) -> int:
        return self.inner.rows

    def answer(self, asks):
        self.left -= 1
        if self.left < 0:
            raise NoAnswer
        return self.inner.answer(asks)


@pytest.mark.parametrize("answers", [0, 1, 2])
@pytest.mark.parametrize("several", [False, True])
def test_without_a_source_nothing_is_proved_and_the_others_are_ranked(answers, several):
    lost = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        channels = gallery(rng, local=False) if several else gallery(rng, local=False)[:1]
        zs, sources = zs_of(channels, rng, 0.3), cut(channels, rng, 3)
        whole = rank(channels, zs, 3, first=2, sources=sources)
        found = rank(channels, zs, 3, first=2, sources=[*sources[:2], Silent(sources[2], answers)])
        if found.scanned == found.total:  # it was not asked again
            assert answers
            assert found == whole
            continue
        lost += 1
        assert (found.scanned, found.total) == (sources[0].rows + sources[1].rows, whole.total)
        assert not found.certified
        assert found.copy is found.nothing is None
        assert all(item.top1 is item.topk is item.copy is None for item in found.items)
        if answers == 0:
            rest = rank(channels, zs, 3, first=2, certify=False, sources=sources[:2])
            assert [item.row for item in found.items] == [item.row for item in rest.items]
    assert lost or (answers, several) == (2, False), "no source was lost"


def test_where_no_source_answers_nothing_is_found():
    rng = np.random.default_rng(0)
    channels = gallery(rng, local=False)
    found = rank(channels, zs_of(channels, rng, 0.1), 2, sources=[Silent(plain.source_of(channels), 0)])
    assert (found.items, found.certified, found.scanned) == ((), False, 0)
    assert found.total == plain.source_of(channels).rows


@pytest.mark.parametrize("several", [False, True])
def test_a_source_without_rows_may_be_silent(several):
    rng = np.random.default_rng(0)
    channels = gallery(rng, local=False) if several else gallery(rng, local=False)[:1]
    probes, source, empty = plain.probes(channels, zs_of(channels, rng, 0.3)), plain.source_of(channels), nowhere()
    whole = settle([source], probes, 3, certify=True)
    assert whole.certified
    assert settle([source, empty], probes, 3, certify=True) == whole
    assert settle([empty], probes, 3, certify=True) == Ranking(())


def nowhere() -> Silent:
    """A source of no rows that never answers, and is asked no more than so often."""

    class Nowhere(Silent):
        @property
        def rows(self) -> int:
            return 0

        def answer(self, asks):
            assert self.left > -9, "asked again and again"
            return super().answer(asks)

    return Nowhere(None, 0)


# -- the decision is pure ----------------------------------------------------------------------------------------------


def freeze(seen: Evidence) -> Evidence:
    """The evidence with arrays that cannot be written to."""
    for rows in (seen.listed, seen.own):
        for array in (rows.ids, rows.keys, rows.firsts, rows.numbers, rows.scores, rows.distances, rows.limits):
            if array is not None:
                array.flags.writeable = False
    seen.probe.z.flags.writeable = False
    return seen


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("certify", [False, True])
def test_the_same_evidence_gives_the_same_decision_and_is_left_as_it_was(several, certify):
    kinds = set()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        channels = gallery(rng, local=True)[: 2 if several else 1]
        zs = zs_of(channels, rng, 0.2)
        for count in (2, 30, 128):
            pieces = propose([plain.source_of(channels)], plain.probes(channels, zs), count)
            evidence = [freeze(one) for [one] in pieces]
            first, second = (decide(evidence, 3, certify=certify) for _ in range(2))
            assert first.ranking == second.ranking
            for name in ("needs", "wishes"):
                mine, theirs = getattr(first, name), getattr(second, name)
                assert [(a.probe.name, a.within, a.nearest, a.rejects, a.own.tolist()) for a in mine] == [
                    (a.probe.name, a.within, a.nearest, a.rejects, a.own.tolist()) for a in theirs
                ]
            kinds.add((bool(first.needs), bool(first.wishes)))
    assert (True, False) in kinds


def test_settling_is_asking_until_nothing_is_needed():
    """A query that needs widening: every decision but the last needs something, and the last is that of a scan."""
    rng = np.random.default_rng(3)
    channels = gallery(rng, local=False)
    zs = zs_of(channels, rng, 0.4)
    asked = []

    class Watched(type(plain.source_of(channels))):
        def answer(self, asks):
            asked.append([(ask.nearest, ask.within, len(ask.own)) for ask in asks])
            return super().answer(asks)

    inner = plain.source_of(channels)
    found = settle([Watched(inner.channels, inner.items)], plain.probes(channels, zs), 20, certify=True)
    assert asked[0] == [(max(SHORTLIST, 4 * 20), None, 0)] * 2
    del asked[:]
    again = rank(channels, zs, 20, first=1, sources=[Watched(inner.channels, inner.items)])
    assert any(within for batch in asked[1:] for _, within, _ in batch)
    assert_same(again, found, channels)


def test_nothing_from_a_source_is_no_evidence_of_its_rows():
    rng = np.random.default_rng(0)
    channel, _ = gallery(rng, local=False)
    [z] = zs_of([channel], rng, 0.1)
    nothing = nothing_from(plain.probe(channel, z), 7)
    assert (nothing.silent, nothing.scanned, nothing.total, len(nothing.listed)) == (True, 0, 7, 0)
    with pytest.raises(ValueError, match="scanned 8 of 7"):
        replace(nothing, scanned=8)
