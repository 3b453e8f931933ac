"""Memory that mapped files take is given back."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from retr.core.memory import give_back
from retr.indexer import filter_file
from retr.indexer.mapped import let_go_of

SMAPS = Path("/proc/self/smaps")
pytestmark = pytest.mark.skipif(not SMAPS.exists(), reason="only Linux tells what a mapped file takes")


def kilobytes(file: Path) -> int:
    """How much of this process's memory are pages of a file."""
    parts = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", SMAPS.read_text(), flags=re.MULTILINE)
    return sum(int(re.findall(r"^Rss:\s+(\d+)", one, re.MULTILINE)[0]) for one in parts if str(file) in one)


@pytest.fixture
def rows(tmp_path: Path) -> tuple[Path, np.ndarray]:
    found = np.random.default_rng(0).standard_normal((2048, 64))
    found = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype("f4")
    found.tofile(tmp_path / "rows.f32")
    return tmp_path / "rows.f32", found


def test_what_was_looked_at_is_let_go_and_read_again(rows) -> None:
    file, expected = rows
    mapped = np.memmap(file, dtype="f4", mode="r", shape=expected.shape)
    assert np.array_equal(mapped, expected)
    assert kilobytes(file) > 0
    let_go_of(mapped)
    assert kilobytes(file) == 0
    assert np.array_equal(mapped, expected)


def test_what_was_written_in_a_private_map_stays(rows) -> None:
    file, expected = rows
    mapped = np.memmap(file, dtype="f4", mode="c", shape=expected.shape)
    mapped[:] = 7.0
    let_go_of(mapped)
    let_go_of(expected)
    assert (mapped == 7.0).all()


def test_a_filter_is_made_without_keeping_the_rows_in_memory(rows, tmp_path, monkeypatch) -> None:
    file, expected = rows
    monkeypatch.setattr(filter_file, "LEAST", 16)
    mapped = np.memmap(file, dtype="f4", mode="r", shape=expected.shape)
    digest = filter_file.sha256_bytes(file.read_bytes())
    assert filter_file.find_filter(mapped, mapped, digest, tmp_path / "cache", str(file)) is not None
    assert kilobytes(file) == 0


def test_giving_back_what_is_free_changes_nothing(rows) -> None:
    _, expected = rows
    before = expected.copy()
    give_back()
    assert np.array_equal(expected, before)
