"""Faults of shards: replies that do not tile the index, and what a merged answer would claim if they were believed.

Every fault is run twice. Believed, some certificate must claim more than one process proves, or the test shows nothing.
Checked, as a crew does, the reply is refused: no certificate is given, and the answer names the shard.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from planted import draw_pictures, small_index

from retr.cluster.gallery import Gallery, counted, gallery_of
from retr.cluster.holder import Holder
from retr.cluster.manifest import Manifest, Reply
from retr.retrieval import settle
from retr.retrieval.answer import Answer
from retr.retrieval.engine import Engine
from retr.retrieval.evidence import Evidence, Rows
from retr.retrieval.joined import Joined
from retr.retrieval.joined import Reply as Said
from retr.retrieval.source import Ask

PICTURES = 30
FAULTY = 1
"""The shard with the fault, of three."""
Fault = Callable[[list[Holder], Gallery, Sequence[Ask]], Reply]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Engine:
    return small_index(tmp_path_factory.mktemp("shards"), draw_pictures(PICTURES))


def _asked(holders: list[Holder], gallery: Gallery, asks: Sequence[Ask], number: int = FAULTY) -> Reply:
    reply = holders[number].answer(gallery.key, asks)
    assert reply is not None
    return reply


def another_answers_twice(holders, gallery, asks) -> Reply:
    """Shard 0 is asked in its place too."""
    return _asked(holders, gallery, asks, 0)


def another_answers_under_its_name(holders, gallery, asks) -> Reply:
    """The same, and it says that it is shard 1: its rows tell."""
    one = gallery.expected[FAULTY]
    return replace(_asked(holders, gallery, asks, 0), shard=FAULTY, start=one.start, stop=one.stop)


def missing_and_counted(holders, gallery, asks) -> Reply:
    """Nothing was looked at, and all of it is said to have been."""
    return _edited(_asked(holders, gallery, asks), _emptied)


def _emptied(seen: Evidence) -> Evidence:
    none = Rows.none(seen.probe)
    return replace(seen, listed=none, own=none, whole=seen.whole[:0], unseen=math.inf)


def bound_lost(holders, gallery, asks) -> Reply:
    """The nearest row of the shard alone, and no word on the others."""
    return _edited(_asked(holders, gallery, asks), _nearest_alone)


def _nearest_alone(seen: Evidence) -> Evidence:
    rivals = None if seen.rivals is None else seen.rivals.take(_first[: len(seen.rivals)])
    return replace(seen, listed=seen.listed.take(_first[: len(seen.listed)]), unseen=math.inf, rivals=rivals)


_first = np.arange(1)


def overlapping(holders, gallery, asks) -> Reply:
    """It holds the rows of shard 0 as well as half of its own, so that the other half is nobody's."""
    one = gallery.expected[FAULTY]
    wide = Holder(str(holders[0].index), Manifest(gallery.engine.snapshot, (0, one.stop - 5, PICTURES)), 0)
    wide.hold(gallery.key, gallery.slice(replace(one, start=0, stop=one.stop - 5)))
    return replace(_asked([wide], gallery, asks, 0), shard=FAULTY)


def of_another_snapshot(other: Engine) -> Fault:
    """A shard of an index in which one picture was another."""

    def answer(holders, gallery, asks) -> Reply:
        manifest = Manifest(other.snapshot, holders[0].manifest.edges)
        own = gallery_of(other, manifest)
        old = Holder(str(other.path), manifest, FAULTY)
        old.hold(gallery.key, own.slice(own.expected[FAULTY]))
        return _asked([old], gallery, asks, 0)

    return answer


def scanned_in_part(holders, gallery, asks) -> Reply:
    """It says itself that it did not look at all of its rows."""
    return _edited(_asked(holders, gallery, asks), lambda seen: replace(_emptied(seen), scanned=seen.scanned - 4))


def test_a_reply_that_knows_of_no_version_has_none() -> None:
    """A default would be this version's own, also where an older shard sent nothing."""
    assert not hasattr(Reply, "version")


def of_another_version(holders, gallery, asks) -> Reply:
    """Another retr may bound what it does not list by other rules."""
    return replace(bound_lost(holders, gallery, asks), version="0.0.1")


def _edited(reply: Reply, edit: Callable[[Evidence], Evidence]) -> Reply:
    return replace(reply, evidence=[edit(seen) for seen in reply.evidence])


FAULTS = {
    another_answers_twice: "it answered for shard 0, and 1 was asked",
    another_answers_under_its_name: "it lists rows outside of",
    missing_and_counted: "it lists 0 of 10 rows, and bounds no other",
    bound_lost: "it lists 1 of 10 rows, and bounds no other",
    overlapping: "it answered for start 0",
    scanned_in_part: "it scanned 6 of 10 rows",
    of_another_version: "it answered for version 0.0.1, and ",
}


def _crew(engine: Engine, fault: Fault | None, *, believed: bool, reasons: set[str]) -> Engine:
    """An engine over three shards, one of which has the fault."""
    manifest = Manifest.even(engine.snapshot, PICTURES, 3)
    gallery = gallery_of(engine, manifest)
    holders = [Holder(str(engine.path), manifest, number) for number in range(3)]
    for holder, one in zip(holders, gallery.expected, strict=True):
        holder.hold(gallery.key, gallery.slice(one))

    def ask(asks: Sequence[Ask]) -> list[Said | None]:
        replies = {number: _asked(holders, gallery, asks, number) for number in range(3)}
        if fault is not None:
            replies[FAULTY] = fault(holders, gallery, asks)
        if believed:
            return [replies[number].evidence for number in range(3)]
        found, lost = counted(gallery, replies, asks)
        reasons.update(lost.values())
        return found

    names = tuple(manifest.name(number) for number in range(3))
    return replace(engine, parts=(Joined(gallery.items, names, (10, 10, 10), ask),))


def _answers(engine: Engine) -> list[Answer]:
    """Of mixtures of two pictures each, one of them or both in the faulty shard."""
    pictures = [picture.astype(np.float64) / 255.0 for picture in draw_pictures(PICTURES)]
    pairs = [(n, (n + far) % PICTURES) for far in (3, 13) for n in range(7, 20)]
    mixed = [0.55 * pictures[one] + 0.45 * pictures[other] for one, other in pairs]
    return engine.answer_many(mixed, k=2, certify=True)


def _claims_too_much(found: Answer, truth: Answer) -> bool:
    """A certificate for another first match, or for a larger radius, than one process proves."""
    if found.certificate is None or found.matches[0].top1 is None or truth.matches[0].top1 is None:
        return False
    return found.matches[0].id != truth.matches[0].id or found.matches[0].top1.l2 > truth.matches[0].top1.l2 + 1e-9


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "SHORTLIST", 8)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_of_a_shard(planted, home, fault):
    reasons: set[str] = set()
    truth = _answers(home)
    try:
        found = _answers(_crew(home, fault, believed=planted, reasons=reasons))
    except ValueError:  # evidence that contradicts itself, or the whole, does not even merge
        assert planted
        return
    lies = sum(map(_claims_too_much, found, truth))
    assert (lies > 0) == (planted and fault is not scanned_in_part)
    if not planted:
        assert all(answer.certificate is None for answer in found)
        assert all("shard 1 (rows 10 to 19) is silent" in str(answer.withheld) for answer in found)
        assert all(FAULTS[fault] in why for why in reasons)
        assert reasons


def test_the_shard_of_another_snapshot(planted, home, tmp_path):
    pictures = draw_pictures(PICTURES + 1)
    other = small_index(tmp_path, [*pictures[:14], pictures[PICTURES], *pictures[15:PICTURES]])
    reasons: set[str] = set()
    found = _answers(_crew(home, of_another_snapshot(other), believed=planted, reasons=reasons))
    assert (sum(map(_claims_too_much, found, _answers(home))) > 0) == planted
    if not planted:
        assert all(answer.certificate is None for answer in found)
        assert reasons == {f"it answered for snapshot {other.snapshot}, and {home.snapshot} was asked"}


def test_without_a_fault_the_same_certificates_are_given(home):
    reasons: set[str] = set()
    assert _answers(_crew(home, None, believed=False, reasons=reasons)) == _answers(home)
    assert not reasons
