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
from retr.indexer.neighbours import Others, measure_near
from retr.indexer.reference import Reference, encode, read_reference, write_reference
from retr.indexer.sheets import Taken, _exactly, outvoted, sheets
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
    nothing = Taken(np.zeros(2, dtype="S64"), np.zeros(2, dtype=np.bool_))
    assert sheets([reference()], [nothing]).layouts.tolist() == [b"", b""]


def voting(*cosines: tuple[int, float], rows: int = 1, votes: float | None = 30.0) -> tuple[Reference, RowStore]:
    """A set of one vector for each kind and cosine with the rows, which are all the same."""
    kinds, parts = np.array([kind for kind, _ in cosines], dtype=np.uint8), np.array([part for _, part in cosines])
    vectors = np.zeros((len(parts), 1 + len(parts)), dtype=np.float32)
    vectors[:, 0], vectors[np.arange(len(parts)), 1 + np.arange(len(parts))] = parts, np.sqrt(1.0 - parts**2)
    own = np.zeros((rows, 1 + len(parts)), dtype=np.float32)
    own[:, 0] = 1.0
    codes = encode(vectors, "cosine")
    bare = Reference("m", "d" * 64, "cosine", codes, kinds, np.full(len(parts), 0.5, "f4"), KINDS, certain=1e-6)
    store = RowStore((own,), (0, rows), 1 + len(parts), "cosine")
    return replace(bare, farthest=1.5, sheet=0.2, open=("photograph", "sky"), votes=votes), store


def test_the_nearest_vector_is_one_voice_of_many() -> None:
    crowd = (PAGE, 0.80), (PAGE, 0.1), (PHOTO, 0.79), (SKY, 0.79)
    own = pytest.approx(np.arccos(0.80), abs=0.02)
    for votes, gap in ((None, CUT), (30.0, own)):
        one, store = voting(*crowd, votes=votes)
        assert measured([one], [store])[0].reference.tolist() == [gap]
    pages = (PAGE, 0.79), (PAGE, 0.79), (PHOTO, 0.80), (SKY, 0.1)
    for votes, gap, limit in ((None, own, b"kind:photograph"), (30.0, CUT, b"kind:page")):
        one, store = voting(*pages, votes=votes)
        (known,) = measured([one], [store])
        assert (known.reference.tolist(), known.limit.tolist()) == ([gap], [limit])


def test_far_vectors_say_next_to_nothing() -> None:
    many = [(PAGE, 0.9), *[(PAGE, 0.4)] * 3, *[(PHOTO, 0.6)] * 40]
    one, store = voting(*many)
    assert measured([one], [store])[0].reference.tolist() == [CUT]
    one, store = voting(*many, votes=1.0)  # nearly every vector the same weight: the mean of the photographs is higher
    assert measured([one], [store])[0].reference.tolist() != [CUT]


def test_a_close_vote_is_the_same_in_any_company() -> None:
    """Mean weights that float32 cannot tell apart are summed exactly, row by row."""
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(600, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kinds = (np.arange(600) % 2).astype(np.uint8)
    bare = Reference("m", "d" * 64, "cosine", encode(vectors, "cosine"), kinds, np.full(600, 0.5, "f4"), KINDS)
    one = replace(bare, certain=1e-6, farthest=1.5, sheet=0.01, open=("photograph",), votes=1e-3)  # all are close
    rows = rng.normal(size=(60, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    together = measured([one], [RowStore((rows,), (0, 60), 32, "cosine")])[0].reference
    assert 5 < (together == np.float32(0.01)).sum() < 55
    alone = [measured([one], [RowStore((row[None],), (0, 1), 32, "cosine")])[0].reference for row in rows]
    assert np.array_equal(together, np.concatenate(alone))
    exact = one.rows().astype(np.float64)
    weights = np.exp(1e-3 * (rows.astype(np.float64) @ exact.T - 1.0))
    assert np.array_equal(together == np.float32(0.01), weights[:, kinds == 1].mean(1) > weights[:, kinds == 0].mean(1))


def test_a_tie_is_no_sheet_and_nobody_left_is_none() -> None:
    one, store = voting((PAGE, 0.7), (PHOTO, 0.7))
    assert measured([one], [store])[0].reference.tolist() != [CUT]
    alone, store = voting((PAGE, 1.0))
    (known,) = measured([replace(alone, certain=0.4)], [store])  # the row is the very picture: the vector is set aside
    assert (known.reference.tolist(), known.limit.tolist()) == ([1.5], [b""])


def test_a_file_keeps_it(tmp_path: Path) -> None:
    write_reference(tmp_path / "m.safetensors", reference(discerns=False, votes=30.0))
    found = read_reference(tmp_path / "m.safetensors")
    assert (found.sheet, found.open, found.discerns, found.votes) == (0.2, ("photograph", "sky"), False, 30.0)
    with pytest.raises(ValueError, match="sheet"):
        reference(sheet=0.0)
    for wrong in (0.0, -1.0, 40.5, float("nan")):
        with pytest.raises(ValueError, match="votes"):
            reference(votes=wrong)


@pytest.mark.parametrize("votes", [1e-3, 0.1, 30.0])
def test_a_vote_in_float64_is_that_which_is_summed_exactly(votes: float) -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(400, 6))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    kind = (np.arange(400) % 3).astype(np.uint8)
    bare = reference(codes=encode(rows, "cosine"), kind=kind, near=np.ones(400, "f4"), votes=votes)
    others, own = Others.of(bare.rows(), "cosine"), rows[:90]
    near = others.nearness(own)
    exact = [_exactly(bare, others, one[None], np.isfinite(near[0])) for one in own]
    assert outvoted(bare, others, own, near).tolist() == exact
    assert 0 < sum(exact) < 90
