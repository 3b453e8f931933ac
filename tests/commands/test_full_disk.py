"""Disks that are full or read-only, and folders that may not be written: a sentence, and the index as it was."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import one_line
from drawn import Quiet, draw

from retr.core import files
from retr.indexer import staging
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.history import compact_index
from retr.indexer.remove import remove_items
from retr.indexer.snapshot import require_current
from retr.indexer.verify import clear_index, verify_index
from retr.retrieval.engine import Engine

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these are things of POSIX file systems")
LABELS = (("bank", "x"),)


def run(source: Path, index: Path, **options: object) -> None:
    chosen = IndexOptions(
        models=("block-means:4",), workers=1, batch_size=4, segment_rows=4, labels=LABELS, **options  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    build_index(str(source), index, chosen, Quiet())


def corpus(folder: Path, count: int, first: int = 0) -> Path:
    for number in range(first, first + count):
        draw(folder / f"{number}.png", number)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("full")
    run(corpus(root / "first", 6), root / "index")
    corpus(root / "more", 8, 20)
    return root


def sound(index: Path, before: str) -> None:
    """The index is at the snapshot where it was, whole, and answers."""
    assert require_current(index).id == before
    assert verify_index(index).problems == ()
    assert Engine.open(index, device="cpu", threshold=0.9).gallery.items == 6


class Full:
    """From the n-th write on, no write succeeds: of bytes, of tables, of directories, of links and of new names."""

    def __init__(self, after: int) -> None:
        self.left = after

    def count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def guarded(self, real: Callable) -> Callable:
        def act(*arguments, **options):
            self.count()
            return real(*arguments, **options)

        return act


@contextmanager
def full_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> Iterator[Full]:
    disk = Full(steps)
    with monkeypatch.context() as patch:
        for owner, name in (
            (files, "write_atomically"),
            (os, "fsync"),
            (os, "mkdir"),
            (os, "link"),
            (pq, "write_table"),
            (Path, "write_bytes"),
            (staging, "_flush"),
        ):
            patch.setattr(owner, name, disk.guarded(getattr(owner, name)))
        yield disk


COMMANDS: dict[str, Callable[[Path, bool], object]] = {
    "add": lambda home, again: run(home / "more", home / "index", resume=again),
    "rm": lambda home, _: remove_items(home / "index", [str(home / "first" / "3.png")]),
    "compact": lambda home, _: compact_index(home / "index", forget=True),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_disk_fills_up_at_some_write(base, tmp_path, monkeypatch, command):
    """A clear error, the index at its last commit, and the command run again ends as if nothing had been."""
    act, step = COMMANDS[command], 0
    while _fails(base, tmp_path / str(step), monkeypatch, act, step):
        step = 2 * step + 1
    assert step > 3


def _fails(base: Path, home: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[..., object], step: int) -> bool:
    shutil.copytree(base, home)
    _moved(home, base)
    before = require_current(home / "index").id
    failed = None
    with full_after(monkeypatch, step):
        try:
            act(home, False)
        except OSError as error:
            failed = error.errno
    assert failed in (None, errno.ENOSPC)
    assert verify_index(home / "index").problems == ()
    current = require_current(home / "index")
    assert before in (current.id, current.parent) or failed is None
    if failed and current.id == before:
        act(home, True)
        clear_index(home / "index")
        assert verify_index(home / "index").problems == ()
    return failed is not None


def _moved(home: Path, base: Path) -> None:
    """An index names its files by absolute paths: made anew where the copy stands."""
    shutil.rmtree(home / "index")
    run(home / "first", home / "index")
    assert base != home


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may mount nothing")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full(base, small_disk, tmp_path):
    index = small_disk / "index"
    run(base / "first", index)
    before = require_current(index).id
    with pytest.raises(OSError, match="No space left on device"):
        (small_disk / "filler").write_bytes(bytes(1_000_000))
    with pytest.raises(OSError, match="No space left on device"):
        run(base / "more", index)
    sound(index, before)
    (small_disk / "filler").unlink()
    run(base / "more", index, resume=True)
    assert verify_index(index).problems == ()
    assert Engine.open(index, device="cpu", threshold=0.9).gallery.items == 14


def test_full_and_read_only_disks_are_sentences(retr, base, small_disk):
    index = small_disk / "index"
    run(base / "first", index)
    before = require_current(index).id
    with pytest.raises(OSError, match="No space left on device"):
        (small_disk / "filler").write_bytes(bytes(1_000_000))
    assert "No space left on device" in one_line(retr("add", index, base / "more"), 1)
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for arguments in (
        ["rm", index, base / "first" / "3.png"],
        ["compact", index],
        ["rules", index, "--negative", "a=b"],
    ):
        assert "Read-only file system" in one_line(retr(*arguments), 1)
    sound(index, before)


def test_a_folder_that_may_not_be_written(base, tmp_path, monkeypatch):
    """A user who may write anything sees it as others do."""
    home = tmp_path / "home"
    shutil.copytree(base, home)
    _moved(home, base)
    before = require_current(home / "index").id

    def refused(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(staging, "write_atomically", refused)
        with pytest.raises(PermissionError):
            run(home / "more", home / "index")
    sound(home / "index", before)
    run(home / "more", home / "index", restart=True)
    assert verify_index(home / "index").problems == ()
