"""The page of a query: each image that was asked about, its verdict in words, and its matches with their pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..core.errors import ImageRejected
from ..core.files import write_atomically
from ..core.rounded import radius_text
from ..core.units import Radius
from ..indexer.addresses import asked_text
from ..retrieval.answer import Answer, Match
from ..retrieval.answering import PIXELS
from .audit_page_images import named_picture, picture
from .html_tags import Html, tag
from .kinds import COUNT, NAME, WRAPPED, measured
from .numbers import radius_inline
from .pages import Key, page
from .query_table import found_by, lines, short_path, verdict_words
from .ranges_bars import bars as range_bars
from .table import Column, Table

MOST, PICTURES = 100, 5
"""Images that a page shows, and matches of each whose pictures are shown."""
_COUNTED = {
    "copy, proved": "copies, proved",
    "copy by the same pixels": "copies by the same pixels",
    "copy, not proved": "copies, not proved",
    "not a copy": "not a copy",
    "undecided": "undecided",
    "no answer": "no answer",
}
"""What an image counts as, and several of them."""


@dataclass(frozen=True)
class Shot:
    """A picture as a data address, None for what cannot be read, and what is said of it."""

    address: str | None
    words: str


@dataclass(frozen=True)
class Asked:
    """One image on the page.

    Attributes:
        name: that it came under; verdict: in words; look: of the box around it.
        counted: what it counts as, of :data:`_COUNTED`.
        query, matches: pictures; table: of all matches; bars: of their radii; ranges: of edits with proof.
        lines: what stands behind the answer.
    """

    name: str
    verdict: str
    look: str
    counted: str
    query: Shot
    matches: tuple[Shot, ...] = ()
    table: Table | None = None
    bars: Html | None = None
    ranges: Html | None = None
    lines: tuple[str, ...] = ()


def asked(answer: Answer | ImageRejected, name: str, words: str | None, *, here: bool = True) -> Asked:
    """An image for the page; its picture and those of its matches are read now.

    Args:
        answer: or why there is none.
        name: the name that the image came under.
        words: the budget as it was given.
        here: whether the matches' paths are of this machine; files of the same names are others where they are not.
    """
    query = Shot(_read(asked_text(name)), name)
    if isinstance(answer, ImageRejected):
        return Asked(name, f"no answer: {answer}", "alarmed", "no answer", query)
    return Asked(
        name,
        verdict_words(answer, words),
        "" if answer.verdict in ("copy", "not-a-copy") else "none",
        _counted(answer),
        query,
        tuple(Shot(_read(match.path) if here else None, _said(match)) for match in answer.matches[:PICTURES]),
        _table(answer, f"Matches of {short_path(name)}") if answer.matches else None,
        radius_bars(answer),
        None if answer.against is None else range_bars(answer.against),
        tuple(lines(answer)),
    )


def write_query_page(out: Path, found: Sequence[Asked], index: str) -> None:
    """Write the page, in one step."""
    text = page(
        "query.html.j2",
        when=datetime.now(UTC).date().isoformat(),
        counted=(f"index {index}",),
        keys=_keys(found),
        shown=found[:MOST],
        more=max(0, len(found) - MOST),
    )
    write_atomically(out, text.encode())


def _counted(answer: Answer) -> str:
    """What an answer counts as; without a certificate that is by what the image is as it is."""
    if answer.companion is not None and answer.companion.names_copy:
        return "copy, not proved"
    verdict = answer.point_verdict if answer.verdict == "uncertified" else answer.verdict
    if verdict == "copy" and answer.copy is None:
        same = any(match.channel == PIXELS for match in answer.matches)
        return "copy by the same pixels" if same else "copy, not proved"
    return {"copy": "copy, proved", "not-a-copy": "not a copy"}.get(verdict or "", "undecided")


def _keys(found: Sequence[Asked]) -> list[Key]:
    """How many images there are, and how many of each kind that any is of."""
    counts = Counter(one.counted for one in found)
    asked_about = Key(str(len(found)), ("image asked about" if len(found) == 1 else "images asked about",))
    return [
        asked_about,
        *(
            Key(str(counts[words]), (many if counts[words] > 1 else words,))
            for words, many in _COUNTED.items()
            if counts[words]
        ),
    ]


def radius_bars(answer: Answer) -> Html | None:
    """A bar for each promise of the first matches, as long as its radius; None where nothing is proved."""
    promises = (("copy of it", "copy"), ("stays first", "top1"), (f"in the first {answer.k}", "topk"))
    known = [
        (f"{match.rank}. {words}", radius)
        for match in answer.matches[:PICTURES]
        for words, name in promises
        if (radius := getattr(match, name)) is not None
    ]
    most = max((radius.l2 for _, radius in known), default=0.0)
    if not most:
        return None
    height, left, length = 22.0, 130.0, 300.0
    rows = [
        tag(
            "g",
            tag("text", words, x=left - 8, y=at * height + 14, text_anchor="end"),
            tag("rect", x=left, y=at * height + 4, width=length, height=12, rx=3, class_="part track"),
            tag(
                "rect",
                x=left,
                y=at * height + 4,
                width=length * radius.l2 / most,
                height=12,
                rx=3,
                class_="part proved",
            ),
            tag("text", f"RMSE {radius_text(radius.rmse, decimals=2)}", x=left + length + 8, y=at * height + 14),
        )
        for at, (words, radius) in enumerate(known)
    ]
    label = "; ".join(f"{words}: {radius_inline(radius)}" for words, radius in known)
    box = f"0 0 520 {height * len(rows) + 4:g}"
    return tag("svg", *rows, viewBox=box, role="img", aria_label=label, class_="chart")


def _table(answer: Answer, title: str) -> Table:
    """All matches; of the radii those that any of them has. They wrap: what paper cuts off cannot be scrolled to."""
    promises = {"stays first": "top1", f"in top {answer.k}": "topk", "copy of it": "copy"}
    radii = [
        Column(head, WRAPPED, lambda match, name=name: _inline(getattr(match, name)))
        for head, name in promises.items()
        if any(getattr(match, name) is not None for match in answer.matches)
    ]
    columns = [
        Column("#", COUNT, lambda match: match.rank),
        Column("image", WRAPPED, lambda match: f"{short_path(match.path)} ({match.id})"),
        Column("score", measured(decimals=4), lambda match: match.score),
        *([] if answer.companion is None else [Column("found by", NAME, lambda match: ", ".join(found_by(match)))]),
        *radii,
    ]
    return Table.of(columns, answer.matches, title=title)


def _inline(radius: Radius | None) -> str:
    return "–" if radius is None else radius_inline(radius)


def _read(address: str) -> str | None:
    pixels = named_picture(address)
    return None if pixels is None else picture(pixels)


def _said(match: Match) -> str:
    copy = "" if match.copy is None else f", a copy within {radius_inline(match.copy)}"
    copy = ", a copy by the companion alone: not proved" if match.tier == "companion" else copy
    return f"{match.rank}. {short_path(match.path)}{copy}"
