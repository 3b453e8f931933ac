"""The answer to a query, as people see it in a shell and in a notebook."""

from __future__ import annotations

from dataclasses import dataclass, fields
from html import escape
from typing import Any

from ..core.names import shown
from ..core.rounded import nearest_text
from ..core.units import Radius
from ..reports.numbers import radius_inline
from ..retrieval import answer as room

STYLE = "text-align:left;padding:0.15em 0.8em 0.15em 0"


@dataclass(frozen=True, slots=True, repr=False)
class Match(room.Match):
    """One item of the gallery in ranked order; its attributes are those of ``retrieval.answer.Match``."""

    def __repr__(self) -> str:
        radii = {"copy within": self.copy, "first within": self.top1, "among k within": self.topk}
        said = "".join(f", {words} {radius_inline(radius)}" for words, radius in radii.items() if radius is not None)
        return f"Match({self.rank}: {self.path!r}, score {nearest_text(self.score)}{said})"


@dataclass(frozen=True, slots=True, repr=False)
class Answer(room.Answer):
    """The answer to one query; see ``retrieval.answer.Answer`` for what it holds.

    Attributes:
        query: path of the image, or what it is where it has none.
    """

    query: str = ""

    def __repr__(self) -> str:
        first = f", first {self.matches[0].path!r}" if self.matches else ""
        return f"Answer({self.query!r}: {self.said}; {len(self.matches)} matches{first})"

    @property
    def said(self) -> str:
        """The verdict in words, with the radius or budget within which it is proved."""
        words = {"copy": "a copy", "not-a-copy": "not a copy"}.get(self.verdict, self.verdict)
        radius = self.copy if self.verdict == "copy" else self.not_a_copy if self.verdict == "not-a-copy" else None
        if radius is not None:
            return f"{words}, for every change within {radius_inline(radius)}"
        return f"{words}: {self.verdict_because}" if self.verdict_because else words

    def as_json(self, query: str | None = None) -> dict[str, Any]:
        """The answer as ``retr.query/1``, under the name of the query or the one given."""
        return room.Answer.as_json(self, self.query if query is None else query)

    def _repr_html_(self) -> str:
        """A small table for notebooks; radii are rounded down, and file names are escaped."""
        head = "".join(f'<th style="{STYLE}">{name}</th>' for name in ("#", "image", "score", *self._columns))
        rows = "".join(f"<tr>{''.join(map(_cell, self._row(match)))}</tr>" for match in self.matches)
        facts = [f"<b>{escape(self.said)}</b>", f"{escape(shown(self.query))}, {self.width}×{self.height}"]
        facts += [f"no certificate: {escape(shown(self.withheld))}"] if self.withheld else []
        return f"<div>{'<br>'.join(facts)}<table><tr>{head}</tr>{rows}</table></div>"

    @property
    def _columns(self) -> tuple[str, ...]:
        names = {"copy": "copy within", "top1": "first within", "topk": "among k within"}
        return tuple(
            words for name, words in names.items() if any(getattr(match, name) is not None for match in self.matches)
        )

    def _row(self, match: room.Match) -> list[str]:
        radii = {"copy within": match.copy, "first within": match.top1, "among k within": match.topk}
        return [
            str(match.rank),
            shown(match.path),
            nearest_text(match.score),
            *(_said(radii[name]) for name in self._columns),
        ]


def answer_of(found: room.Answer, query: str, asked: Radius | None = None) -> Answer:
    """The engine's answer, with the name of the query and the budget as it was given."""
    own: dict[str, Any] = {"matches": tuple(Match(**_values(match)) for match in found.matches)}
    if found.eps is not None and asked is not None:
        own["eps"] = asked
    return Answer(**{**_values(found), **own}, query=query)


def _values(record: room.Answer | room.Match) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _said(radius: Radius | None) -> str:
    return "–" if radius is None else radius_inline(radius)


def _cell(text: str) -> str:
    return f'<td style="{STYLE}">{escape(text)}</td>'
