"""Copies of pictures whose kind is in doubt: they cut nobody's reach, and pages are told apart as before."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from retr.indexer.gallery import Gallery
from retr.indexer.gap_update import measure_gaps
from retr.indexer.gaps import Gaps, all_of
from retr.indexer.integrity import ContentCheck
from retr.indexer.items import Items
from retr.indexer.reference import Reference, encode
from retr.indexer.snapshot import SegmentInfo, Snapshot
from retr.indexer.vectors import RowStore

DIM, SHEET, FAR = 5, 0.1, 0.5
"""A set of a photograph and a page, each ``arccos(FAR)`` off the rows; a sheet's gap counts as no more than SHEET."""
KEPT = pytest.approx(np.arccos(FAR), abs=0.2)
CUT = pytest.approx(SHEET, abs=1e-7)


def reference(*, votes: float | None = 30.0, discerns: bool = True) -> Reference:
    codes, near = encode(np.eye(DIM, dtype=np.float32)[:2], "cosine"), np.full(2, 1.5, "f4")
    kinds = ("photograph", "page")
    return Reference(
        *("m", "d" * 64, "cosine", codes, np.arange(2, dtype=np.uint8), near, kinds),
        certain=0.4,
        farthest=1.5,
        sheet=SHEET,
        open=("photograph",),
        votes=votes,
        discerns=discerns,
    )


def row(lead: float, aside: float = 0.0) -> np.ndarray:
    """A row whose vote is so far ahead for a page, and how far it lies to one side of the others."""
    photograph, page = FAR - lead / 60.0, FAR + lead / 60.0
    return np.array([photograph, page, np.sqrt(1.0 - photograph**2 - page**2 - aside**2), aside, 0.0], dtype=np.float32)


def gallery(*channels: list[np.ndarray]) -> Gallery:
    """One item a row, in the same order in each channel."""
    count = len(channels[0])
    stores = tuple(RowStore((np.stack(rows),), (0, count), DIM, "cosine") for rows in channels)
    digests = [f"{number:064x}" for number in range(1, count + 1)]
    catalog = pa.table({"view": ["original"] * count, "pixels_sha256": digests})
    live = np.ones(count, dtype=np.bool_)
    segments = tuple(SegmentInfo(f"{number:016x}", 1, 1, 0, {}) for number in range(count))
    table, check = Items.of(catalog["pixels_sha256"], live), ContentCheck(0, 0, 0, 0, None, (), 0)
    return Gallery(Snapshot({}, "", "none", (), segments), catalog, stores, live, np.zeros(0, "i8"), table, check)


def test_a_copy_that_is_taken_for_a_page_does_not_cut_the_original() -> None:
    (known,) = measure_gaps(gallery([row(-1.4), row(1.4)]), [reference()])  # 0.066 rad apart
    assert known.reference.tolist() == [KEPT, CUT]
    assert known.gap.tolist() == known.reference.tolist()
    assert (known.presumed != b"").all()


def test_two_shots_that_are_both_taken_for_pages_do_not_cut_each_other() -> None:
    (known,) = measure_gaps(gallery([row(1.0, 0.035), row(1.0, -0.035)]), [reference()])  # 0.07 rad apart
    assert known.gap.tolist() == [CUT, CUT]
    assert (known.presumed != b"").all()


def test_two_pages_beyond_doubt_do() -> None:
    apart = pytest.approx(0.07, abs=1e-3)
    (known,) = measure_gaps(gallery([row(2.0, 0.035), row(2.0, -0.035)]), [reference()])
    assert known.gap.tolist() == [apart, apart]
    assert (known.presumed == b"").all()
    assert known.uncut.tolist() == [CUT, CUT]


def test_nobody_is_in_doubt_where_nobody_votes() -> None:
    (known,) = measure_gaps(gallery([row(1.0, 0.035), row(1.0, -0.035)]), [reference(votes=None)])
    assert known.gap.tolist() == [pytest.approx(0.07, abs=1e-3)] * 2


@pytest.mark.parametrize(("aside", "presumed"), [(0.1, True), (0.4, False)])
def test_every_channel_must_see_them_near(aside: float, presumed: bool) -> None:
    other = [row(0.0, aside), row(0.0, -aside)]
    first, second = measure_gaps(
        gallery([row(-1.4), row(1.4)], other), [reference(), reference(votes=None, discerns=False)]
    )
    assert ((first.presumed != b"") & (second.presumed != b"")).all() == presumed
    assert first.gap[0] == (KEPT if presumed else pytest.approx(0.066, abs=1e-3))


def test_what_is_brought_up_to_date_is_what_is_measured_anew() -> None:
    rows = [row(-1.4), row(1.4), row(1.0, 0.035), row(1.0, -0.035), row(2.0, 0.035), row(2.0, -0.035)]
    whole = gallery(rows)
    anew = measure_gaps(whole, [reference()])
    for first in (1, 3, 5):
        (before,) = measure_gaps(gallery(rows[:first]), [reference()])
        known = all_of(whole.snapshot, {f"{number:016x}": before.take(np.array([number])) for number in range(first)})
        (after,) = measure_gaps(whole, [reference()], [known])
        assert all((getattr(after, name) == getattr(anew[0], name)).all() for name in Gaps.__slots__)
