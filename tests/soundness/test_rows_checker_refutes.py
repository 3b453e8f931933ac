"""Faults of what is looked at, planted in the engine: rows that a filter passes over, shards that are believed.

The checker reads every row of the index by itself, and refutes what such an engine claims of its answers.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import draw_pictures, save_pictures, small_index
from proved import found_in, proofs_from

from retr.certificates.verify_proof import Finding
from retr.indexer import filter_make
from retr.indexer.filter_make import make_filter
from retr.indexer.filtered import FilteredRows
from retr.retrieval import rejecting, rivals, settle
from retr.retrieval.engine import Engine

PICTURES = 30
MANY = 60
"""Of which a filter passes enough over for radii to be wrong."""


def file_of_faults(name: str) -> Any:
    """A file beside this one, as a module: tests are no package."""
    spec = importlib.util.spec_from_file_location(f"rows_{name}", Path(__file__).with_name(f"test_{name}_faults.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FILTERS, SHARDS = map(file_of_faults, ("filter", "shard"))
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return small_index(tmp_path_factory.mktemp("rows"), draw_pictures(PICTURES))


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return small_index(tmp_path_factory.mktemp("many"), draw_pictures(MANY))


@pytest.fixture(autouse=True)
def short(monkeypatch: Patch) -> None:
    """Few rows are looked at first, so that what is asked for afterwards counts."""
    monkeypatch.setattr(settle, "SHORTLIST", 4)
    monkeypatch.setattr(filter_make, "WIDTHS", (64,))


def findings(engine: Engine, folder: Path) -> list[Finding]:
    """Of mixtures of two pictures each."""
    pictures = [one.astype(np.float64) for one in draw_pictures(PICTURES)]
    pairs = [(n, (n + far) % PICTURES) for far in (3, 13) for n in range(7, 15)]
    return checked(engine, folder, [0.55 * pictures[a] + 0.45 * pictures[b] for a, b in pairs])


def of_many(engine: Engine, folder: Path) -> list[Finding]:
    """Of mixtures of eight pictures each, more than are listed at first: the last of them may limit a radius."""
    pictures = np.array(draw_pictures(MANY), dtype=np.float64)
    weights = np.array([0.2, 0.13, 0.12, 0.12, 0.11, 0.11, 0.11, 0.1])
    starts = [(n, step) for n in range(20) for step in (1, 7)]
    mixed = [np.tensordot(weights, pictures[np.arange(n, n + 8 * step, step) % MANY], 1) for n, step in starts]
    return checked(engine, folder, mixed, k=1)


def checked(engine: Engine, folder: Path, queries: Sequence[np.ndarray], *, k: int = 2) -> list[Finding]:
    """What the checker says of the proofs of answers."""
    save_pictures(folder / "queries", [one.astype(np.uint8) for one in queries])
    return [found_in(one.statement, folder, engine.path) for one in proofs_from(engine, folder / "queries", k=k)]


def filtered(engine: Engine, change: Callable[[Any, np.ndarray], Any]) -> Engine:
    """With a filter of its rows."""
    (channel,) = engine.channels
    (rows,) = channel.store.parts
    made = change(make_filter(rows), rows)
    return replace(
        engine, channels=(replace(channel, store=replace(channel.store, filtered=(FilteredRows(rows, made),))),)
    )


def as_it_is(engine: Engine, patch: Patch) -> Engine:
    return filtered(engine, lambda made, rows: made)


def codes_of_other_rows(engine: Engine, patch: Patch) -> Engine:
    return filtered(engine, lambda made, rows: make_filter(np.ascontiguousarray(rows[::-1])))


def rows_that_cannot_be_first(engine: Engine, patch: Patch) -> Engine:
    for asked in (rejecting, rivals):
        patch.setattr(asked, "search_bound", FILTERS.first_alone)
    return as_it_is(engine, patch)


# Whatever the fault of a filter (what 8 bits lose, the rest of a row, a mean), a row that matters is passed over.
@pytest.mark.parametrize("plant", [codes_of_other_rows, rows_that_cannot_be_first])
def test_a_planted_fault_of_a_filter_is_refuted(
    plant: Callable[[Engine, Patch], Engine], larger: Engine, tmp_path: Path, monkeypatch: Patch
) -> None:
    found = of_many(plant(larger, monkeypatch), tmp_path)
    assert "refuted" in {one.verdict for one in found}
    assert {one.verdict for one in found} <= {"confirmed", "refuted"}, found


def test_a_filter_without_a_fault_is_confirmed(larger: Engine, tmp_path: Path, monkeypatch: Patch) -> None:
    assert {one.verdict for one in of_many(as_it_is(larger, monkeypatch), tmp_path)} == {"confirmed"}


@pytest.mark.parametrize("name", [fault.__name__ for fault in SHARDS.FAULTS])
def test_a_planted_fault_of_a_shard_is_refuted(name: str, engine: Engine, tmp_path: Path) -> None:
    """Where its reply is believed; one that says itself that rows are missing has no certificate."""
    fault = getattr(SHARDS, name)
    try:
        found = findings(SHARDS._crew(engine, fault, believed=True, reasons=set()), tmp_path)
    except ValueError:  # evidence that contradicts itself does not even merge: there is no answer
        return
    assert ("refuted" in {one.verdict for one in found}) == (fault is not SHARDS.scanned_in_part), found


def test_the_shard_of_another_snapshot_is_refuted(engine: Engine, tmp_path: Path) -> None:
    pictures = draw_pictures(PICTURES + 1)
    other = small_index(tmp_path / "other", [*pictures[:14], pictures[PICTURES], *pictures[15:PICTURES]])
    crew = SHARDS._crew(engine, SHARDS.of_another_snapshot(other), believed=True, reasons=set())
    assert "refuted" in {one.verdict for one in findings(crew, tmp_path)}


def test_shards_without_a_fault_are_confirmed(engine: Engine, tmp_path: Path) -> None:
    crew = SHARDS._crew(engine, None, believed=True, reasons=set())
    assert {one.verdict for one in findings(crew, tmp_path)} == {"confirmed"}
