"""The one loop: ask all sources, decide, and ask for what the decision still needs (THEORY §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from .decide import GROWTH, decide
from .evidence import Evidence, merge, nothing_from
from .probe import Blind, Name, Probe
from .ranking import Decision, Ranking
from .source import Ask, NoAnswer, Source

SHORTLIST = 64
"""Rows proposed per probe before anything is known about how many are needed."""
SHORTLIST_OF_MANY = 32
"""The same where a query has views: each row is looked at by many probes, and few of them decide."""
MANY = 4
"""Probes; more are many."""
AT_ONCE = 1024
"""Probes of one first search: their rows take some hundred megabytes."""


class Decides(Protocol):
    """What a decision on evidence must say; see ``ranking.Decision``."""

    @property
    def needs(self) -> tuple[Ask, ...]:
        """What must be asked before it stands."""
        ...

    @property
    def wishes(self) -> tuple[Ask, ...]:
        """What is worth asking once."""
        ...


D = TypeVar("D", bound=Decides)
Pieces = list[Evidence]
"""What each source says of one probe."""


def settle(sources: Sequence[Source], probes: Sequence[Probe], k: int, *, certify: bool) -> Ranking:
    """The exact answer to one query: the first k items over all sources, with radii if asked for.

    Args:
        sources: that hold the gallery between them.
        probes: of the query.
        k: how many items.
        certify: also give radii, where they can be proved.
    """
    return settle_all(sources, [probes], k, certify=certify)[0]


def settle_all(
    sources: Sequence[Source],
    queries: Sequence[Sequence[Probe]],
    k: int,
    *,
    certify: bool,
    blind: Sequence[Blind | None] | None = None,
    tiers: bool = False,
) -> list[Ranking]:
    """As :func:`settle` for several queries; of no rows nothing is said.

    As many are searched for together as have ``AT_ONCE`` probes: what is listed of each is held until it is settled.
    ``blind`` is what each query has of views that show nothing; ``tiers`` as for ``decide``.
    """
    sources = [source for source in sources if source.rows]  # one without rows has nothing to say, and may be silent
    if not sources:
        return [Ranking(()) for _ in queries]
    most, unseen = max(map(len, queries), default=1), blind or [None] * len(queries)
    count = max(SHORTLIST if most <= MANY else SHORTLIST_OF_MANY, 4 * k)
    decision = partial(decide, k=k, certify=certify, tiers=tiers)
    step, found = max(1, AT_ONCE // most), []
    for start in range(0, len(queries), step):
        some = slice(start, start + step)
        found += _settled(sources, queries[some], unseen[some], count, decision)
    return found


def _settled(
    sources: Sequence[Source],
    queries: Sequence[Sequence[Probe]],
    blind: Sequence[Blind | None],
    count: int,
    decision: Callable[..., Decision],
) -> list[Ranking]:
    """With one first search for all of them."""
    first = propose(sources, [probe for probes in queries for probe in probes], count)
    found, place = [], 0
    for probes, hidden in zip(queries, blind, strict=True):
        own, place = first[place : place + len(probes)], place + len(probes)
        found.append(until_settled(sources, own, partial(decision, blind=hidden)).ranking)
    return found


def propose(sources: Sequence[Source], probes: Sequence[Probe], count: int) -> list[Pieces]:
    """Per probe, what each source finds near at first."""
    asks = [Ask(probe, nearest=count) for probe in probes]
    answers = [_ask(source, asks) or [nothing_from(probe, source.rows) for probe in probes] for source in sources]
    return [[answer[place] for answer in answers] for place in range(len(probes))]


def until_settled(sources: Sequence[Source], first: Sequence[Pieces], decision: Callable[..., D]) -> D:
    """Ask, decide, and ask again, until a decision needs nothing more.

    Args:
        sources: that hold the gallery between them.
        first: of :func:`propose`, for the probes of one query.
        decision: pure: (evidence per probe, growth=…) → what is decided and what that needs.
    """
    pieces, growth, wished = {own[0].probe.name: list(own) for own in first}, GROWTH, False
    for number in range(len(sources)):
        _silence_whole(pieces, number)
    while True:
        found = decision([merge(own) for own in pieces.values()], growth=growth)
        asks = found.needs or (() if wished else found.wishes)
        if not asks or not _fetch(sources, pieces, asks):
            return found
        wished = wished or not found.needs
        if any(ask.lists for ask in found.needs):
            growth *= growth  # few steps lead from a near miss to the whole gallery


def _fetch(sources: Sequence[Source], pieces: Mapping[Name, Pieces], asks: Sequence[Ask]) -> bool:
    """Put what the sources answer in its place; whether anything is there that was not."""
    came = False
    for number, source in enumerate(sources):
        if any(own[number].mute for own in pieces.values()):
            continue
        answers = _ask(source, asks)
        if answers is None:
            _silence(pieces, number)
        for ask, answer in zip(asks, answers or (), strict=answers is not None):
            own = pieces[ask.probe.name]
            own[number] = _now_known(own[number], ask, answer)
            came = True
        came = came or answers is None
    return came


def _now_known(known: Evidence, ask: Ask, answer: Evidence) -> Evidence:
    """What was asked for anew in the place of what was known; less sure where a part of what is kept is missing.

    How far rows reject, and which might contradict a claim, is said of all of them, whatever is listed.
    """
    rejects = max(known.rejects, answer.rejects)
    claims, rivals = (known.claims, known.rivals) if ask.claims is None else (answer.claims, answer.rivals)
    if ask.lists:
        return replace(answer, rejects=rejects, claims=claims, rivals=rivals)
    own, whole = (answer.own, answer.whole) if len(ask.own) else (known.own, known.whole)
    missing = tuple(dict.fromkeys((*known.missing, *answer.missing)))
    scanned = min(known.scanned, answer.scanned)
    said = {"scanned": scanned, "missing": missing, "rejects": rejects, "claims": claims, "rivals": rivals}
    return replace(known, own=own, whole=whole, **said)


def _silence(pieces: Mapping[Name, Pieces], number: int) -> None:
    for own in pieces.values():
        own[number] = own[number].silenced()


def _silence_whole(pieces: Mapping[Name, Pieces], number: int) -> None:
    """A source that missed one probe is asked no more, so what it says of the others would wait for it for ever."""
    if any(own[number].mute for own in pieces.values()):
        _silence(pieces, number)


def _ask(source: Source, asks: Sequence[Ask]) -> list[Evidence] | None:
    """None where the source is silent."""
    try:
        return source.answer(asks)
    except NoAnswer:
        return None
