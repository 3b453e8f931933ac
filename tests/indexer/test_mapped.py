"""Memory that mapped files take is given back."""

from __future__ import annotations

import ctypes
import os
import re
import sys
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


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this allocator is another one"
)
def test_what_is_free_in_the_middle_of_the_heap_is_given_back() -> None:
    """The last block is kept, so the heap cannot shrink by itself."""
    blocks = [bytes([number % 256]) * 60_000 for number in range(2000)]
    held = resident()
    last = blocks.pop()
    blocks.clear()
    before = resident()
    give_back()
    assert before > held - 20_000, "the allocator gave it back by itself: nothing is shown"
    assert resident() < held - 80_000
    assert len(last) == 60_000


def resident() -> int:
    """KiB of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
