"""Negative banks: a match in one of them silences the verdict *copy* (docs/theory.md, Several tests, one verdict).

A query is a copy when some row of the gallery accepts it and no row of any negative bank does. Gallery and banks are
disjoint sets of rows, each with its own answer, and T9 speaks of each set: *some row accepts* holds within the largest
of its radii, *no row accepts* within the smallest, unlisted rows included. So within r

* **copy** holds where r is within the gallery's copy radius and within the not-a-copy radius of every bank;
* **copy of this item** likewise, with the item's radius;
* **not a copy** holds where r is within the gallery's not-a-copy radius, or within the copy radius of one bank: either
  alone keeps the verdict, whatever becomes of the other.

Ranks are those of the gallery and have nothing to do with banks. Where a bank's part is not proved, its radius is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..certificates.verdicts import verdict_at
from ..core.rounded import budget_text, radius_text
from ..core.units import Radius
from .answer import Answer, Bank, VerdictName


@dataclass(frozen=True, slots=True)
class Heard:
    """What a bank says of a query.

    Attributes:
        where: the bank's condition.
        rows: live rows that it holds.
        answer: of the bank, asked like the gallery.
    """

    where: str
    rows: int
    answer: Answer

    @property
    def accepts(self) -> bool:
        """Whether the query is a copy of something in it."""
        return self.answer.point_verdict == "copy"

    def bank(self) -> Bank:
        """As part of the answer."""
        first = self.answer.matches[0] if self.answer.matches else None
        found = (first.id, first.path) if self.accepts and first is not None else (None, None)
        radius = self.answer.copy if self.accepts else self.answer.not_a_copy
        return Bank(self.where, self.rows, self.accepts, *found, radius)


def silenced(answer: Answer, heard: Sequence[Heard], *, eps: float | None, asked: str | None, refused: bool) -> Answer:
    """The answer of a gallery, as its negative banks leave it.

    Args:
        answer: of the gallery.
        heard: what each bank says.
        eps: ℓ2 budget of the verdict; None for the verdict on the query as it is.
        asked: the budget as it was given.
        refused: whether the networks can compare the query with nothing: it was looked up by its pixels.
    """
    answer = replace(answer, banks=tuple(one.bank() for one in heard))
    # A bank of blank images alone is asked for pixels, and no query that the networks see has them, near or far.
    heard = [one for one in heard if one.rows or refused]
    if any(one.accepts for one in heard):
        return _silent(answer, heard, eps, asked)
    if answer.point_verdict != "copy":
        return answer
    unsure = [one for one in heard if one.answer.point_verdict is None and not refused]
    if unsure:
        why = f"the negative bank {unsure[0].where} gives no verdict: {unsure[0].answer.verdict_because}"
        verdict: VerdictName = "undecided" if answer.verdict != "uncertified" else "uncertified"
        matches = tuple(replace(match, copy=None) for match in answer.matches)
        return replace(
            answer, verdict=verdict, verdict_because=why, point_verdict=None, copy=None, matches=matches, basis=None
        )
    return _narrowed(answer, heard, eps, asked)


def _silent(answer: Answer, heard: Sequence[Heard], eps: float | None, asked: str | None) -> Answer:
    """Some bank accepts: not a copy, for as long as one does or nothing in the gallery does."""
    proved = answer.certificate is not None
    radius = _largest([answer.not_a_copy, *(one.answer.copy for one in heard if one.accepts)]) if proved else None
    matches = tuple(replace(match, copy=None, accepted=False) for match in answer.matches)
    companion = None if answer.companion is None else replace(answer.companion, names_copy=False)
    found = replace(
        answer,
        point_verdict="not-a-copy",
        copy=None,
        not_a_copy=radius,
        matches=matches,
        companion=companion,
    )
    return _at(found, "not-a-copy", eps, asked)


def _narrowed(answer: Answer, heard: Sequence[Heard], eps: float | None, asked: str | None) -> Answer:
    """No bank accepts: a copy, for as long as none does."""
    if answer.certificate is None:
        return answer
    limits = [one.answer.not_a_copy for one in heard]
    matches = tuple(replace(match, copy=_smallest([match.copy, *limits])) for match in answer.matches)
    found = replace(answer, copy=_smallest([answer.copy, *limits]), matches=matches)
    return _at(found, "copy", eps, asked)


def _at(answer: Answer, point: VerdictName, eps: float | None, asked: str | None) -> Answer:
    """With the verdict that holds at the budget."""
    if answer.verdict == "uncertified":
        return answer
    if eps is None or answer.certificate is None:
        why = answer.withheld if eps is not None else None
        return replace(answer, verdict=point if eps is None else "undecided", verdict_because=why)
    copy, nothing = (0.0 if one is None else one.l2 for one in (answer.copy, answer.not_a_copy))
    verdict = verdict_at(eps, copy=copy, nothing=nothing)
    if verdict != "undecided":
        return replace(answer, verdict=verdict, verdict_because=None)
    reach = Radius(max(copy, nothing), 3 * answer.width * answer.height)
    proved = f"RMSE {radius_text(reach.rmse)} (ℓ2 {radius_text(reach.l2)})"
    words = f"{point} is proved only up to {proved}, and {asked or f'ℓ2 {budget_text(eps)}'} was asked for"
    return replace(answer, verdict=verdict, verdict_because=words)


def _largest(radii: Iterable[Radius | None]) -> Radius | None:
    return max((one for one in radii if one is not None), key=lambda one: one.l2, default=None)


def _smallest(radii: Sequence[Radius | None]) -> Radius | None:
    """None where one of them is: nothing is proved there."""
    known = [one for one in radii if one is not None]
    return min(known, key=lambda one: one.l2) if len(known) == len(radii) else None
