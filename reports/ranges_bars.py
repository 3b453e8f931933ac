"""A bar for each family of edits: the range that was asked for, and how much of it is proved."""

from __future__ import annotations

from ..retrieval.ranges.result import FamilyProof, RangeProof, Reach
from .html_tags import Html, tag
from .ranges_table import reach_words

WIDTH, ROW, LEFT, RIGHT = 640.0, 30.0, 190.0, 170.0


def bars(proof: RangeProof) -> Html:
    """All families, one below the other, by their verdicts."""
    rows = [_row(family, at) for at, family in enumerate(proof.families)]
    words = "; ".join(f"{family.asked}: {reach_words(family, family.verdict)}" for family in proof.families)
    return tag(
        "svg",
        *rows,
        viewBox=f"0 0 {WIDTH:g} {ROW * len(rows) + 4.0:g}",
        role="img",
        aria_label=words,
        class_="chart",
        xmlns="http://www.w3.org/2000/svg",
    )


def proved_part(family: FamilyProof, reach: Reach) -> tuple[float, float]:
    """The proved part of the range as shares of its length, 0…1; never longer than what is proved."""
    if reach.whole:
        return 0.0, 1.0
    if reach.low is None or reach.high is None or len(family.span) > 1:
        return 0.0, reach.share
    low, high = next(iter(family.span))
    length = (high - low) or 1.0
    return (reach.low[0] - low) / length, (reach.high[0] - low) / length


def _row(family: FamilyProof, at: int) -> Html:
    top, length = at * ROW + 6.0, WIDTH - LEFT - RIGHT
    start, end = proved_part(family, family.verdict)
    said = reach_words(family, family.verdict)
    return tag(
        "g",
        tag("text", family.asked, x=LEFT - 10.0, y=top + 13.0, text_anchor="end"),
        tag("rect", x=LEFT, y=top, width=length, height=18.0, rx=3.0, class_="part track"),
        tag(
            "rect",
            tag("title", said),
            x=LEFT + start * length,
            y=top,
            width=max(0.0, end - start) * length,
            height=18.0,
            rx=3.0,
            class_="part proved",
        ),
        tag("text", "proved: all" if family.verdict.whole else f"proved: {said}", x=WIDTH - RIGHT + 10.0, y=top + 13.0),
    )
