"""The review of a calibration: negatives beside the stored images that they are near to, and a list to answer in."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..core.files import write_atomically
from ..indexer.addresses import absolute_text
from ..retrieval.calibrate import Calibration
from ..retrieval.known_pairs import COLUMNS, RELATION
from ..retrieval.near_pairs import PRESUMED, NearPair
from .audit_page_images import named_picture, picture
from .pages import Key, page

SHOWN = 200
"""Pairs that the page shows, the nearest ones; the list has all."""
LIST = "pairs.csv"


@dataclass(frozen=True)
class Shown:
    """A pair on the page.

    Attributes:
        negative, stored: data addresses; None for what cannot be read.
        pair: what is said of it.
    """

    negative: str | None
    stored: str | None
    pair: NearPair


def shown_pair(pair: NearPair) -> Shown:
    """A pair with its pictures, which are read now."""
    return Shown(_picture(pair.negative), _picture(pair.stored), pair)


def write_review(folder: Path, found: Calibration) -> Path:
    """Write ``index.html`` and ``pairs.csv`` into a folder, which is made.

    Args:
        folder: where.
        found: a calibration.

    Returns:
        The list, in which a person answers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = [shown_pair(pair) for pair in found.pairs[:SHOWN]]
    presumed = sum(pair.relation == PRESUMED for pair in found.pairs)
    text = page(
        "review.html.j2",
        when=datetime.now(UTC).date().isoformat(),
        counted=(f"{found.negatives} negatives used", f"snapshot {found.snapshot}"),
        keys=[
            Key(str(presumed), ("presumed copies,", "left out")),
            Key(str(len(found.pairs) - presumed), ("near a stored image,", "counted as false matches")),
        ],
        shown=shown,
        more=len(found.pairs) - len(shown),
        list=LIST,
    )
    write_atomically(folder / "index.html", text.encode())
    write_atomically(folder / LIST, _list(found.pairs).encode())
    return folder / LIST


def _picture(path: str) -> str | None:
    pixels = named_picture(path)
    return None if pixels is None else picture(pixels)


def _list(pairs: Sequence[NearPair]) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([*COLUMNS, RELATION, "channel", "nearness"])
    for pair in pairs:
        name = absolute_text(pair.negative)
        writer.writerow([name, pair.stored, pair.relation, pair.channel, f"{pair.nearness:.4f}"])
    return sink.getvalue()
