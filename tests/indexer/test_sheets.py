"""Sheets: which rows are one, and that their gaps, and no others, are cut in every channel that says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retr.core.progress import Silent
from retr.indexer.gap_blocks import Side
from retr.indexer.gap_scan import against_references
from retr.indexer.gaps import Gaps
from retr.indexer.neighbours import measure_near
from retr.indexer.reference import Reference, encode, read_reference, write_reference
from retr.indexer.sheets import sheets
from retr.indexer.vectors import RowStore

KINDS = ("photograph", "page", "sky")
AXES = np.eye(6, dtype=np.float32)


def reference(**given) -> Reference:
    """Three vectors, one of each kind, along the first three axes."""
    codes = encode(AXES[:3], "cosine")
    near = measure_near(AXES[:3], "cosine")
    bare = Reference("m", "d" * 64, "cosine", codes, np.arange(3, dtype=np.uint8), near, KINDS)
    return replace(bare, **({"farthest": 1.5, "sheet": 0.2, "open": ("photograph", "sky")} | given))


def near_to(*axes: int) -> RowStore:
    """A row some way off each of these vectors."""
    rows = 0.8 * AXES[list(axes)] + 0.6 * AXES[3]
    return RowStore((rows.astype(np.float32),), (0, len(axes)), 6, "cosine")


def measured(references: list[Reference], stores: list[RowStore]) -> list[Gaps]:
    sides = [Side(store, one, Gaps.unknown(store.rows)) for store, one in zip(stores, references, strict=True)]
    keys = np.array([f"{n:064x}" for n in range(stores[0].rows)], dtype="S64")
    against_references(sides, np.arange(stores[0].rows), keys, Silent())
    return [side.known for side in sides]


PHOTO, PAGE, SKY = range(3)
OWN = pytest.approx(np.arccos(0.8), abs=1e-6)
CUT = pytest.approx(0.2, abs=1e-7)


def test_one_channel_cuts_what_is_like_a_page() -> None:
    (known,) = measured([reference()], [near_to(PHOTO, PAGE, SKY)])
    assert known.reference.tolist() == [OWN, CUT, OWN]
    assert np.array_equal(known.gap, known.reference)
    assert known.limit.tolist() == [b"kind:photograph", b"kind:page", b"kind:sky"]


def test_one_channel_is_enough_and_all_are_cut() -> None:
    stores = [near_to(PAGE, PAGE, SKY, SKY, PHOTO), near_to(PAGE, PHOTO, PAGE, SKY, SKY)]
    for known in measured([reference(), reference()], stores):
        assert known.reference.tolist() == [CUT, CUT, CUT, OWN, OWN]


def test_a_channel_that_discerns_nothing_cannot_make_a_sheet_but_is_cut() -> None:
    stores = [near_to(PAGE, SKY), near_to(SKY, PAGE)]
    blind, telling = measured([reference(discerns=False, sheet=0.1), reference()], stores)
    assert telling.reference.tolist() == [OWN, CUT]
    assert blind.reference.tolist() == [OWN, pytest.approx(0.1, abs=1e-7)]


def test_alone_it_speaks_for_itself() -> None:
    (known,) = measured([reference(discerns=False)], [near_to(PAGE, SKY)])
    assert known.reference.tolist() == [CUT, OWN]


def test_a_set_that_says_nothing_of_sheets_takes_no_part() -> None:
    silent, telling = measured([reference(sheet=None), reference()], [near_to(PHOTO), near_to(PAGE)])
    assert telling.reference.tolist() == [CUT]
    assert silent.reference.tolist() == [OWN]


def test_a_smaller_gap_stays() -> None:
    close = RowStore(
        (np.array([[0.1, 1, 0, 0, 0, 0]], dtype=np.float32) / np.float32(np.sqrt(1.01)),), (0, 1), 6, "cosine"
    )
    (known,) = measured([reference(certain=1e-3)], [close])
    assert known.reference.tolist() == [pytest.approx(np.arctan(0.1), abs=1e-6)]


def test_nothing_near_is_no_sheet() -> None:
    assert sheets([reference()], [np.zeros(2, dtype="S64")]).tolist() == [False, False]


def test_a_file_keeps_it(tmp_path: Path) -> None:
    write_reference(tmp_path / "m.safetensors", reference(discerns=False))
    found = read_reference(tmp_path / "m.safetensors")
    assert (found.sheet, found.open, found.discerns) == (0.2, ("photograph", "sky"), False)
    with pytest.raises(ValueError, match="sheet"):
        reference(sheet=0.0)
