"""Families of edits in the terminal: how much of each the verdict and first place are proved of."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from ..core.names import shown
from ..core.rounded import budget_text, lower_text, upper_text
from ..retrieval.answer import Answer
from ..retrieval.ranges.result import FamilyProof, RangeProof, Reach
from .kinds import COUNT, NAME, SECONDS
from .table import Column, Table
from .terminal import say, show

COLUMNS = (
    Column("edits", NAME, lambda one: one.asked),
    Column("verdict", NAME, lambda one: reach_words(one, one.verdict)),
    Column("first", NAME, lambda one: reach_words(one, one.first)),
    Column("members", COUNT, lambda one: one.members),
    Column("network", COUNT, lambda one: one.evaluations),
    Column("s", SECONDS, lambda one: one.seconds),
)


def print_ranges(answer: Answer, out: Console, *, asked: str | None) -> None:
    """A table of the families, the sentence that is proved, and what ended each range.

    Args:
        answer: to one query, with ``against``.
        out: where to print.
        asked: the budget in words, as it was given.
    """
    proof = answer.against
    assert proof is not None, "there is nothing to print of edits"
    show(out, Table.of(COLUMNS, proof.families))
    for line in lines(proof, asked, why_nothing(answer)):
        say(out, line, on_one_line=True)


def why_nothing(answer: Answer) -> str | None:
    """Why the verdict is proved of no edit: the reason that is the query's own; None where another ended it."""
    proof = answer.against
    if proof is None or proof.of_verdict:
        return None
    return answer.withheld or answer.verdict_because


def lines(proof: RangeProof, asked: str | None, why: str | None = None) -> Iterator[str]:
    """What is said under the table; ``why`` is :func:`why_nothing`."""
    yield from sentences(proof, asked, why)
    for family in proof.families:
        for part, reach in (("verdict", family.verdict), ("first place", family.first)):
            for stop in reach.stops[:2] if why is None or part != "verdict" else ():
                rival = f"; nearest competitor {shown(stop.rival)}" if stop.rival else ""
                yield f"{family.family}: {part} not proved at {stop.at}{rival}"
        if family.program:
            yield f"{family.family} is made by: {family.program}"
        if family.verdict.withheld is not None and family.verdict.withheld != why:
            yield f"{family.family}: nothing is proved of the verdict: {family.verdict.withheld}"


def sentences(proof: RangeProof, asked: str | None, why: str | None = None) -> Iterator[str]:
    """What "proved" means in the table, of what anything is proved of."""
    on_top = "" if asked is None else f", with any change up to {asked} on top"
    claim = proof.claim
    if not proof.of_verdict:
        because = "" if why is None else f": {why}"
        yield f"nothing is proved of the verdict on any of these edits{on_top}{because}"
        if proof.of_first:
            yield f"first place, proved: {shown(str(claim.path))} stays first for every edit in the range{on_top}"
    elif claim.verdict == "copy":
        yield f"proved: every edit in the range is found to be a copy of {shown(str(claim.path))}{on_top}"
    else:
        yield f"proved: every edit in the range is found to be no copy of anything in the index{on_top}"


def reach_words(family: FamilyProof, reach: Reach) -> str:
    """A cell: all of it, from where to where, which share, or nothing."""
    if reach.withheld is not None:
        return "withheld"
    if reach.whole:
        return "all"
    if reach.low is None or reach.high is None:
        return f"{lower_text(100.0 * reach.share, decimals=1)} % of the edits" if reach.share > 0.0 else "nothing"
    return ", ".join(
        f"{_low(low, span[0])}..{_high(high, span[1])}"
        for low, high, span in zip(reach.low, reach.high, family.span, strict=True)
    )


def _low(value: float, asked: float) -> str:
    """The lower end, never lower than what is proved."""
    return budget_text(value) if value == asked else upper_text(value)


def _high(value: float, asked: float) -> str:
    return budget_text(value) if value == asked else lower_text(value)
