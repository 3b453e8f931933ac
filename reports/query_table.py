"""The terminal view of one answer: the verdict in words, then the matches, then what stands behind them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

from rich.console import Console

from ..core.errors import ImageRejected
from ..core.names import shown
from ..core.rounded import nearest_text, percent_text, upper_text
from ..core.units import Radius
from ..indexer.addresses import asked_name
from ..retrieval.answer import Answer, Bank, Match
from ..retrieval.answering import NOT_ASKED, PIXELS
from .index_table import limit_words
from .kinds import COUNT, LINES, counted, measured
from .numbers import radius_inline, radius_lines
from .ranges_table import print_ranges
from .table import Column, Kind, Table
from .terminal import say, show

SAME_PIXELS = "whose pixels are the same"
NOT_PROVED = "by the threshold alone; how far it holds is proved with --certify"


def print_answer(answer: Answer, query: str, console: Console | None = None, *, asked: str | None = None) -> None:
    """The verdict, ranked matches with their radii, and the certificate or the reason why there is none.

    Args:
        answer: from the engine.
        query: the path that the query came from.
        console: where to print; standard output by default.
        asked: the budget in words, exactly as it was given.
    """
    out = console or Console()
    say(out, (query, "bold"), on_one_line=True)
    say(out, f"verdict: {verdict_words(answer, asked)}", on_one_line=True)
    if answer.matches:
        table = match_table(answer)
        show(out, table, lines=len(table.columns) > 3)
    if answer.against is not None:
        print_ranges(answer, out, asked=asked)
    for line in lines(answer):
        say(out, line, on_one_line=True)


def print_refusal(why: ImageRejected, query: str, console: Console | None = None) -> None:
    """The place of an answer, for an input that has none.

    Args:
        why: what is wrong with it.
        query: the path that was asked about.
        console: where to print; standard output by default.
    """
    out = console or Console()
    say(out, (query, "bold"), on_one_line=True)
    say(out, f"no answer: {why}", on_one_line=True)


def verdict_words(answer: Answer, asked: str | None = None) -> str:
    """The verdict as a sentence: what it is, how far that is proved, and what was asked for.

    Args:
        answer: from the engine.
        asked: the budget in words, exactly as it was given.
    """
    budget = "" if asked is None or answer.eps is None else f"; asked for: {asked}"
    if answer.verdict == "copy":
        return _copy(answer) + budget
    if answer.verdict == "not-a-copy":
        reach = NOT_PROVED if answer.not_a_copy is None else _proved(answer.not_a_copy)
        if answer.not_a_copy is None and answer.companion is not None and answer.verdict_because is not None:
            reach = answer.verdict_because
        return f"{_nothing(answer)}, {reach}{budget}"
    if answer.companion is not None and answer.companion.names_copy:  # what was found leads
        return f"{_by_companion(answer)}; {answer.verdict} because {answer.verdict_because}"
    as_it_is = "" if answer.point_verdict is None else f"; as it is: {_point(answer)}"
    return f"{answer.verdict} because {answer.verdict_because or 'nothing is known'}{as_it_is}"


def _copy(answer: Answer) -> str:
    """Which item it is a copy of, and how far; a copy of *something* may be proved farther than of any one item."""
    if answer.companion is not None and answer.companion.names_copy:
        return _by_companion(answer)
    if answer.copy is None:
        same = [match for match in answer.matches if match.channel == PIXELS]
        return f"{_point(answer)}, {SAME_PIXELS if same else NOT_PROVED}"
    proved = [(match.copy.l2, -match.rank, match) for match in answer.matches if match.copy is not None]
    best = max(proved, key=lambda entry: entry[:2])[2] if proved else None
    least = 0.0 if answer.eps is None else answer.eps.l2
    if best is None or best.copy is None or best.copy.l2 < least:
        return f"copy of something in the index, {_proved(answer.copy)}"
    more = f"; of something in the index for every change up to {radius_inline(answer.copy)}"
    return f"copy of {short_path(best.path)}, {_proved(best.copy)}{more if answer.copy.l2 > best.copy.l2 else ''}"


def _by_companion(answer: Answer) -> str:
    assert answer.companion is not None, "only a companion names a copy"
    return f"{_point(answer)} by the companion {' and '.join(answer.companion.channels)} alone: not proved"


def _nothing(answer: Answer) -> str:
    """Not a copy: of nothing, or since a negative bank holds what it is a copy of."""
    silent = [bank for bank in answer.banks if bank.silences]
    if not silent:
        return "not a copy of anything in the index"
    named = ", ".join(f"{bank.where}{'' if bank.path is None else f' ({short_path(bank.path)})'}" for bank in silent)
    return f"not a copy: silenced by the negative bank {named}"


def _proved(radius: Radius) -> str:
    return f"proved for every change up to {radius_inline(radius)}"


def _point(answer: Answer) -> str:
    """What the threshold says of the query as it is; a local threshold may refuse the nearest item."""
    if answer.point_verdict != "copy":
        return _nothing(answer)
    accepting = [match for match in answer.matches if match.accepted]
    return f"copy of {short_path(accepting[0].path)}" if accepting else "copy of an item that is not listed here"


def lines(answer: Answer) -> Iterator[str]:
    """What is said under the table, line by line."""
    if answer.matches:
        yield _score(answer)
    certificate = _certificate(answer)
    if certificate is not None:
        yield certificate
    if answer.withheld not in (None, NOT_ASKED):
        yield f"certificate withheld: {answer.withheld}"
    if answer.companion is not None:
        yield f"companion: {answer.companion.words()}"
    yield from map(_bank, answer.banks)
    yield from _explanations(answer)
    for threshold in answer.thresholds:
        yield _threshold(threshold)
    yield f"query: {answer.width}×{answer.height} pixels; model {answer.model}; snapshot {answer.snapshot}"


def _bank(bank: Bank) -> str:
    said = "accepts the query" if bank.silences else "accepts nothing"
    how_far = "" if bank.radius is None else f", {_proved(bank.radius)}"
    return f"negative bank {bank.where}: {said}{how_far}; {counted(bank.rows, 'row')}"


def _explanations(answer: Answer) -> Iterator[str]:
    """One line for each match that is explained."""
    for match in answer.matches:
        said = None if match.explained is None else match.explained.as_json()
        if said is None:
            continue
        part = 0.0 if said["part"] is None else said["part"]
        near = f"{nearest_text(part, decimals=3)} of the way to its nearest unrelated neighbour"
        distance, within = (nearest_text(said[name], decimals=4) for name in ("distance", "within"))
        unit = " rad" if said.get("unit") == "rad" else ""  # earlier records do not say
        does = {True: ": this image accepts the query", False: ": this image refuses the query", None: ""}[
            match.accepted
        ]
        how = f"{said['channel']}; distance {distance}, accepted within {within}{unit}{does}"
        yield f"why {match.rank}: {near}, {_neighbour(said['neighbour'])} ({how}){_crowded(said)}"


def _crowded(said: Mapping[str, Any]) -> str:
    """What a near neighbour in the gallery costs."""
    if not said.get("crowded"):
        return ""
    part = percent_text(said["gap"] / said["reference"], decimals=0)
    return f"; only {part} % of the way it would have without that image: are they one picture? retr dupes --same"


def _neighbour(said: Mapping[str, Any] | None) -> str:
    if said is None:
        return "which is farther than any picture is taken to be"
    if said["kind"] is not None:
        return f"a picture of the reference set: {said['kind']}"
    if said["path"] is None:
        return "an image that was not asked about"
    return f"{short_path(said['path'])} {said['id']}"


def _score(answer: Answer) -> str:
    if max(answer.tests, len(answer.thresholds)) > 1 and all(
        threshold["value"] is not None for threshold in answer.thresholds
    ):
        pixels = (
            "score: how far (ℓ2, in pixels) the query is inside (+) or outside (−) of one threshold for all rows; "
            "verdicts go by each row's own"
        )
        return pixels if answer.companion is None else f"{pixels}; of what a companion alone finds, its own likeness"
    if all(match.score == -match.distance for match in answer.matches):
        return "score: minus the distance between the embeddings; 0 is the same"
    return "score: cosine of the angle between the embeddings; 1 is the same"


_RADIUS = Kind(radius_lines)


def match_table(answer: Answer) -> Table:
    """The matches with their radii in three units; a column for every promise that any of them has."""
    promises = {"stays first": "top1", f"in top {answer.k}": "topk", "copy of it": "copy"}
    columns = [
        Column("#", COUNT, attrgetter("rank")),
        Column("image", LINES, _name),
        Column("score", measured(decimals=4), attrgetter("score")),
    ]
    if answer.companion is not None:
        columns.append(Column("found by", LINES, found_by))
    for head, name in promises.items():
        if any(getattr(match, name) is not None for match in answer.matches):
            columns.append(Column(head, _RADIUS, attrgetter(name)))
    return Table.of(columns, answer.matches)


def found_by(match: Match) -> list[str]:
    """Which tier of the answer a match is of, and by which channel; for an index with a companion."""
    if match.tier == "certified":
        return [match.channel, "certified"]
    if match.tier == "companion":
        return [match.channel, "companion: not proved"]
    return ["–", "no copy"]


def _name(match: Match) -> list[str]:
    name = [f"{short_path(match.path)}{_views(match)}", match.id]
    more = counted(len(match.duplicates), "more file")
    return [*name, f"= {more} with these pixels"] if match.duplicates else name


def _views(match: Match) -> str:
    """Which view of the query met which stored one, unless both are the images themselves."""
    stored = "" if match.view == "original" else match.view
    if match.query_view == "original":
        return f" ({stored})" if stored else ""
    return f" (query {match.query_view}, stored {match.view})"


def short_path(path: str) -> str:
    """The path from here, or its last two parts: whole paths are in the other formats."""
    path, here = asked_name(path), os.getcwd().rstrip("/") + "/"
    if path.startswith(here):
        return shown(path.removeprefix(here))
    return shown("…/" + "/".join(path.rsplit("/", 2)[-2:]) if path.count("/") > 2 else path)


def _certificate(answer: Answer) -> str | None:
    proof = answer.certificate
    if proof is None:
        return None
    kind = "exact" if proof.exact else "partial"
    limit = "" if proof.limited_by is None else f", limited by {proof.limited_by}"
    network, resize = (upper_text(bound.value, digits=6) for bound in (proof.network, proof.resize))
    return (
        f"certificate: {kind}, {proof.rows_scanned} of {proof.rows_total} rows{_where(answer)}; Lipschitz ≤ {network} "
        f"(network) × {resize} (resize); slack {upper_text(proof.slack, digits=2)} px{limit}"
    )


def _where(answer: Answer) -> str:
    return f" where {' and '.join(answer.where)}" if answer.where else ""


def _threshold(threshold: Mapping[str, Any]) -> str:
    name, value = threshold["channel"], threshold["value"]
    if threshold.get("role") == "companion":
        name = f"{name} (a companion)"
    if value is None:
        return f"threshold of {name}: none"
    text = f"threshold of {name}: {limit_words(threshold)} ({threshold['source']})"
    if threshold["source"] == "leave-one-out":
        return text + ": an older version set it; the next run of retr index renews it"
    if threshold.get("stale"):
        return text + ", before the gallery last changed: its false-match bound no longer holds; see retr calibrate"
    if threshold.get("upper95") is not None:
        rate = upper_text(threshold["upper95"], digits=2)
        if threshold["source"] == "reference":  # of other pictures than the user's: a measurement, no promise
            return text + f", false-match rate measured at most {rate} (95 %)"
        return text + f", false-match rate at most {rate} (95 %)"
    if threshold["source"] == "reference":
        return text + ", false-match rate not measured for these channels and views together; see retr calibrate"
    return text
