"""The page of a calibration: the thresholds, what they promise, and the negatives that came near."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ..core.files import write_atomically
from ..core.rounded import budget_text, upper_text
from ..indexer.snapshot import Threshold
from ..retrieval.calibrate import Calibration
from ..retrieval.near_pairs import PRESUMED
from .html_tags import Html
from .kinds import COUNT, NAME
from .pages import Key, page
from .review_page import SHOWN, Shown, shown_pair
from .svg_charts import Mark, histogram_chart
from .table import Column, Table


def write_calibration_page(out: Path, found: Calibration, index: str) -> None:
    """Write the page, in one step; the pictures of the nearest pairs are read now.

    Args:
        out: the file.
        found: a calibration.
        index: the folder that was calibrated.
    """
    presumed = sum(pair.relation == PRESUMED for pair in found.pairs)
    left_out = len(found.present) + len(found.known) + len(found.in_reference) + presumed
    shown: list[Shown] = [shown_pair(pair) for pair in found.pairs[:SHOWN]]
    text = page(
        "calibration.html.j2",
        when=datetime.now(UTC).date().isoformat(),
        counted=(f"index {index}", f"snapshot {found.snapshot}"),
        keys=[
            Key(str(found.negatives), ("negatives used",)),
            Key(str(left_out), ("left out: copies of", "stored images, or listed so")),
            Key(str(len(found.pairs) - presumed), ("near a stored image,", "counted as false matches")),
        ],
        thresholds=_thresholds(found),
        chart=_chart(found),
        shown=shown,
        more=len(found.pairs) - len(shown),
        at_worst=None if found.at_worst is None else upper_text(100.0 * found.at_worst, digits=2),
    )
    write_atomically(out, text.encode())


def _thresholds(found: Calibration) -> Table:
    columns = [
        Column("channel", NAME, lambda line: line[0]),
        Column("a copy is", NAME, lambda line: _rule(line[1])),
        Column("negatives", COUNT, lambda line: line[1].samples),
        Column("asked for", NAME, lambda line: _number(line[1].fpr)),
        Column("false matches at most (95 %)", NAME, lambda line: _rate(line[1])),
    ]
    return Table.of(columns, found.thresholds)


def _rule(threshold: Threshold) -> str:
    if threshold.share is not None and threshold.offset is not None:
        share, offset = budget_text(threshold.share), _signed(threshold.offset)
        return f"within {share} of the way to its nearest unrelated picture, and half of that way {offset}"
    if threshold.share is not None:
        return f"within {budget_text(threshold.share)} of the way to its nearest unrelated picture"
    if threshold.offset is not None:
        return f"within half of the way to its nearest unrelated picture, {_signed(threshold.offset)}"
    return f"at a score of {budget_text(threshold.value)} or nearer"


def _signed(offset: float) -> str:
    return f"{'less' if offset < 0 else 'plus'} {budget_text(abs(offset))}"


def _number(value: float | None) -> str:
    return "–" if value is None else budget_text(value)


def _rate(threshold: Threshold) -> str:
    return "–" if threshold.upper95 is None else upper_text(threshold.upper95, digits=2)


def _chart(found: Calibration) -> Html | None:
    """How near the negatives came that are near a stored image."""
    if not found.pairs:
        return None
    near = np.array([pair.nearness for pair in found.pairs])
    return histogram_chart(
        near,
        x_max=max(1.0, float(near.max())),
        axis="distance, as a part of the way to the nearest unrelated picture",
        label=f"How near {len(near)} negatives come to the stored image that they are nearest to.",
        kind="attacked",
        marks=[Mark(0.5, "half way")],
    )
