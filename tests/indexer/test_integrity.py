"""Every planted change of a stored byte is noticed when the index is opened, and what was not read is said."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn import Quiet

from retr.core.cache import user_cache
from retr.core.errors import IntegrityError
from retr.indexer import filter_file, integrity
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.catalog import ROW_SCHEMA
from retr.indexer.gallery import open_gallery
from retr.indexer.info import describe_index
from retr.indexer.integrity import ContentCheck, check_content
from retr.indexer.snapshot import Snapshot, Threshold, commit, require_current
from retr.retrieval.engine import Engine


@pytest.fixture(params=["float32", "int8"])
def index(corpus: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (corpus / "bad.jpg").write_bytes(b"no image")
    options = IndexOptions(models=("block-means:4",), rows=request.param)
    build_index(str(corpus), tmp_path / "index", options, Quiet())
    without_gaps(tmp_path / "index")
    return tmp_path / "index"


def without_gaps(index: Path) -> None:
    """One threshold for all rows: files of gaps have tests of their own."""
    snapshot, plain = require_current(index), Threshold(0.9, "leave-one-out", 0.01, 22)
    commit(index, replace(snapshot, channels=(replace(snapshot.channels[0], threshold=plain),)))


def only_segment(index: Path) -> Path:
    [segment] = require_current(index).segments
    return index / "segments" / segment.id


def rows_of(index: Path) -> tuple[Path, np.ndarray]:
    [file] = only_segment(index).glob("rows-0.*")
    return file, np.fromfile(file, dtype="<f4" if file.suffix == ".f32" else "<i1").reshape(22, 48)


def negate_a_row(index: Path) -> None:
    file, rows = rows_of(index)
    rows[4] *= -1
    file.write_bytes(rows.tobytes())


def swap_two_rows(index: Path) -> None:
    file, rows = rows_of(index)
    rows[[3, 9]] = rows[[9, 3]]
    file.write_bytes(rows.tobytes())


def flip_one_bit(index: Path) -> None:
    file, rows = rows_of(index)
    data = bytearray(rows.tobytes())
    data[-7] ^= 1  # never the sign, nor the ±127 of a row of codes
    file.write_bytes(data)


def swap_two_paths(index: Path) -> None:
    file = only_segment(index) / "catalog.parquet"
    rows = pq.read_table(file).to_pylist()
    rows[0]["path"], rows[1]["path"] = rows[1]["path"], rows[0]["path"]
    pq.write_table(pa.Table.from_pylist(rows, schema=ROW_SCHEMA), file, compression="zstd")


def forget_a_reject(index: Path) -> None:
    file = only_segment(index) / "rejects.parquet"
    pq.write_table(pq.read_table(file).slice(0, 0), file)


def edit_the_threshold(index: Path) -> None:
    file = index / "snapshots" / f"{require_current(index).id}.json"
    data = json.loads(file.read_bytes())
    data["channels"][0]["threshold"]["value"] = 0.25
    file.write_text(json.dumps(data))


FAULTS = (negate_a_row, swap_two_rows, flip_one_bit, swap_two_paths, forget_a_reject, edit_the_threshold)


@pytest.mark.parametrize("plant", FAULTS)
def test_a_planted_change_is_noticed_at_opening(index: Path, plant: Callable[[Path], None]) -> None:
    times = {path: path.stat() for path in index.rglob("*") if path.is_file()}
    plant(index)
    for path, stamp in times.items():  # as somebody would who wants it to look untouched
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    for look in (Engine.open, describe_index):
        with pytest.raises(IntegrityError, match=r"does not match its SHA-256|was altered"):
            look(index)


def put(index: Path, content: bytes) -> None:
    """This content in place of the snapshot."""
    (index / "snapshots" / f"{require_current(index).id}.json").write_bytes(content)


def say(index: Path, number: str) -> None:
    """A threshold that JSON cannot say, and Python's reader accepts."""
    file = index / "snapshots" / f"{require_current(index).id}.json"
    data = json.loads(file.read_bytes())
    data["channels"][0]["threshold"]["value"] = float(number)
    file.write_text(json.dumps(data))


def folder_for_file(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGE = {
    "pointer-bytes": lambda index: (index / "CURRENT").write_bytes(b"\xff\xfe\n"),
    "pointer-empty": lambda index: (index / "CURRENT").write_bytes(b""),
    "pointer-long": lambda index: (index / "CURRENT").write_bytes(b"a" * 5000),
    "pointer-elsewhere": lambda index: (index / "CURRENT").write_bytes(b"../CURRENT"),
    "pointer-folder": lambda index: folder_for_file(index / "CURRENT"),
    "list": lambda index: put(index, b"[1]"),
    "null": lambda index: put(index, b"null"),
    "deep": lambda index: put(index, b"[" * 100_000),
    "nan": lambda index: say(index, "nan"),
    "infinity": lambda index: say(index, "inf"),
    "folder": lambda index: folder_for_file(index / "snapshots" / f"{require_current(index).id}.json"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_pointer_or_snapshot_is_named_whatever_it_holds(index: Path, damage: str) -> None:
    DAMAGE[damage](index)
    for look in (Engine.open, describe_index):
        with pytest.raises(IntegrityError):
            look(index)


# -- files that are too large to be read every time -------------------------------------------------------------------


@pytest.fixture
def large(index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The same index where every file counts as large, changed long ago by the clock of the check."""
    monkeypatch.setattr(integrity, "SMALL", 0)
    monkeypatch.setattr(integrity, "_SETTLED_NS", -(10**15))
    monkeypatch.setenv("RETR_CACHE", str(tmp_path / "cache"))
    return index


def check(index: Path, **options: object) -> ContentCheck:
    return check_content(index, require_current(index), **options)  # type: ignore[arg-type]


def counts(found: ContentCheck) -> tuple[int, int, int]:
    return found.read, found.remembered, len(found.unread)


def test_they_are_read_once_and_again_when_they_look_changed(large: Path) -> None:
    first = check(large)
    assert (first.files, counts(first), first.complete) == (5, (5, 0, 0), True)
    assert first.bytes_read == sum(path.stat().st_size for path in only_segment(large).iterdir())
    second = check(large)
    assert (counts(second), second.bytes_read) == ((0, 5, 0), 0)
    assert second.since == time.strftime("%Y-%m-%d", time.gmtime())
    assert "5 did on" in str(second)
    file, _ = rows_of(large)
    os.utime(file)
    assert counts(check(large)) == (1, 4, 0)
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    os.utime(copy, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    copy.replace(file)  # another inode with the same size and time
    assert counts(check(large)) == (1, 4, 0)
    assert counts(check(large, everything=True)) == (5, 0, 0)


@pytest.mark.parametrize("plant", FAULTS)
def test_a_planted_change_is_noticed_although_they_were_read_before(large: Path, plant: Callable[[Path], None]) -> None:
    check(large)
    times = {path: path.stat() for path in large.rglob("*") if path.is_file()}
    plant(large)
    for path, stamp in times.items():  # the time of change can be set back; that of the status cannot
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(IntegrityError, match=r"does not match its SHA-256|was altered"):
        Engine.open(large)


def test_an_opening_reads_so_much_and_the_next_reads_on(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = sorted(path.stat().st_size for path in only_segment(large).iterdir())
    monkeypatch.setattr(integrity, "READ_AT_ONCE", sizes[-1])
    first = check(large)
    assert (first.remembered, first.complete) == (0, False)
    assert 0 < first.bytes_read <= sizes[-1]
    assert first.bytes_read + first.bytes_unread == sum(sizes)
    assert f"{len(first.unread)} were never read" in str(first)
    assert "retr info --verify" in str(first)
    for _ in range(2):
        assert check(large).read > 0 or check(large).complete
    assert counts(check(large)) == (0, 5, 0)


def test_what_no_opening_may_read_is_said_every_time(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "READ_AT_ONCE", 0)
    for _ in range(2):
        assert counts(check(large)) == (0, 0, 5)
    assert open_gallery(large, require_current(large)).content.unread
    assert "5 files match" in describe_index(large, verify=True)["verified"]
    assert counts(check(large)) == (0, 5, 0)  # verified is remembered


def test_rows_that_nobody_read_are_searched_without_a_filter(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter is kept by the digest that the snapshot names; of a file that is another one it would hide the rows."""
    monkeypatch.setattr(filter_file, "LEAST", 1)
    check_all = open_gallery(large, require_current(large))
    copy = shutil.copytree(large, large.parent / "copy")
    monkeypatch.setattr(integrity, "READ_AT_ONCE", 0)
    unread = open_gallery(copy, require_current(copy))
    assert all(part is not None for store in check_all.stores for part in store.filtered)
    assert all(part is None for store in unread.stores for part in store.filtered)
    assert unread.content.unread


def test_an_index_of_many_small_files_has_a_bound_too(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = sorted(path.stat().st_size for path in only_segment(index).iterdir())
    monkeypatch.setattr(integrity, "SMALL_ALL", sum(sizes[:2]))
    monkeypatch.setattr(integrity, "READ_AT_ONCE", 0)
    assert counts(check(index)) == (2, 0, 3)


def test_a_file_changed_a_moment_ago_is_not_remembered(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "_SETTLED_NS", 10**13)
    for _ in range(2):
        assert counts(check(large)) == (5, 0, 0)


@pytest.mark.parametrize("line", ["7", "[]", "null", '["x",1,2,3,4,5,"x"]', "{}"])
def test_a_damaged_line_of_the_memory_is_none(large: Path, line: str) -> None:
    check(large)
    cache = user_cache()
    assert cache is not None
    [memory] = (cache / "content").iterdir()
    known = json.loads(memory.read_bytes())
    for name, right in known["files"].items():
        known["files"][name] = json.loads(line) if line != '["x",1,2,3,4,5,"x"]' else [*right[:-1], "x"]
    memory.write_bytes(json.dumps(known).encode())
    assert counts(check(large)) == (5, 0, 0)
    assert counts(check(large)) == (0, 5, 0)


@pytest.mark.parametrize("when", [10**30, -1])
def test_a_memory_of_no_time_is_none(large: Path, when: int) -> None:
    check(large)
    cache = user_cache()
    assert cache is not None
    [memory] = (cache / "content").iterdir()
    known = json.loads(memory.read_bytes())
    known["files"] = {name: [*line[:-1], when] for name, line in known["files"].items()}
    memory.write_bytes(json.dumps(known).encode())
    assert counts(check(large)) == (5, 0, 0)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"schema":"retr.content/1","files":7}', b'{"schema":"other"}'])
def test_a_damaged_memory_is_none(large: Path, content: bytes) -> None:
    check(large)
    cache = user_cache()
    assert cache is not None
    [memory] = (cache / "content").iterdir()
    memory.write_bytes(content)
    assert counts(check(large)) == (5, 0, 0)
    assert counts(check(large)) == (0, 5, 0)


def test_a_memory_that_cannot_be_written_is_done_without(large: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for _ in range(2):
        assert counts(check(large, cache=tmp_path / "file")) == (5, 0, 0)


def test_nothing_is_written_into_the_index(large: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in large.rglob("*")}
    Engine.open(large)
    assert {path: path.stat().st_mtime_ns for path in large.rglob("*")} == before


def test_what_was_read_for_one_snapshot_serves_the_next(large: Path, corpus: Path) -> None:
    check(large)
    (corpus / "new.png").write_bytes((corpus / "a" / "03.png").read_bytes())
    build_index(str(corpus), large, IndexOptions(), Quiet())
    without_gaps(large)
    snapshot: Snapshot = require_current(large)
    assert len(snapshot.segments) == 2
    # The run has looked at what it wrote, after the new rows had lost their second name, in ``staging/``.
    assert counts(check(large)) == (0, 10, 0)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_memory_that_others_can_write_is_none(large: Path) -> None:
    check(large)
    cache = user_cache()
    assert cache is not None
    [memory] = (cache / "content").iterdir()
    memory.chmod(0o666)
    assert counts(check(large)) == (5, 0, 0)
    assert counts(check(large)) == (0, 5, 0)
