"""An index made by a cluster is the one that one process makes, whatever becomes of workers, nodes and the command."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawn import Quiet, draw
from PIL import Image

from retr.cluster import indexing
from retr.cluster.indexing import rows_by_tasks
from retr.core.errors import ClusterError, IndexStateError
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.options import IndexReport
from retr.indexer.snapshot import read_current

pytest.importorskip("ray", reason="needs the extra cluster")
pytestmark = pytest.mark.alone
WAYS: dict[str, Any] = {"models": ("block-means:4",), "views": "flip", "batch_size": 4, "segment_rows": 40}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Sixty pictures, some of them bad, some the same."""
    root = tmp_path_factory.mktemp("corpus")
    for number in range(60):
        draw(root / f"{number:02}.png", number % 53)
        if number % 12 == 0:
            (root / f"{number:02}-bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    return root


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory) -> Path:
    """The index that this process makes."""
    home = tmp_path_factory.mktemp("alone") / "index"
    build_index(str(corpus), home, IndexOptions(**WAYS), Quiet())
    return home


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "BATCHES", 1)


class After(Quiet):
    """Does things while an index is made, each when so many images are stored."""

    def __init__(self, *deeds: tuple[int, Callable[[], None]]) -> None:
        self.left, self.stored = list(deeds), 0

    def advance(self, count: int = 1) -> None:
        self.stored += count
        while self.left and self.stored >= self.left[0][0]:
            self.left.pop(0)[1]()


def made(corpus: Path, home: Path, *deeds: tuple[int, Callable[[], None]], **more: Any) -> IndexReport:
    told = After(*deeds)
    report = build_index(str(corpus), home, IndexOptions(**WAYS, **more), told, sent=rows_by_tasks)
    assert not told.left
    assert report.seen == report.indexed + report.skipped + report.rejected
    return report


def assert_same(home: Path, alone: Path) -> None:
    """The digests of all files of rows are part of a snapshot's id."""
    mine, theirs = read_current(home), read_current(alone)
    assert mine is not None
    assert theirs is not None
    assert mine.id == theirs.id
    assert mine.segments == theirs.segments


def test_the_index_is_that_of_one_process(nodes, corpus, alone, tmp_path):
    report = made(corpus, tmp_path / "index")
    assert (report.seen, report.indexed, report.rejected) == (65, 60, 5)
    assert_same(tmp_path / "index", alone)


def test_what_is_stored_is_not_made_again(nodes, corpus, tmp_path):
    """What was touched is read and left as it is; what was changed is replaced."""
    few = tmp_path / "corpus"
    few.mkdir()
    for number in range(9):
        shutil.copy(corpus / f"{number:02}.png", few)
    made(few, tmp_path / "index")
    os.utime(few / "03.png", ns=(1, 1))
    Image.new("RGB", (40, 30), (200, 30, 90)).save(few / "05.png")
    again = made(few, tmp_path / "index")
    assert (again.indexed, again.skipped, again.replaced) == (1, 8, 1)


def _busy(nodes: Any) -> list[int]:
    """Processes of the cluster that have a part of the work."""
    raylets = {node.all_processes["raylet"][0].process.pid for node in (nodes.head_node, *nodes.worker_nodes)}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent in raylets and words.startswith(b"ray::_rows"):
                found.append(int(entry.name))
    return found


def test_workers_are_killed_and_nothing_is_lost_or_twice_there(nodes, corpus, alone, tmp_path):
    killed = []

    def kill() -> None:
        began = time.monotonic()
        while not (busy := _busy(nodes)) and time.monotonic() < began + 20:
            time.sleep(0.01)
        for process in busy[:1]:
            os.kill(process, signal.SIGKILL)
            killed.append(process)

    made(corpus, tmp_path / "index", (4, kill), (12, kill))
    assert killed
    assert_same(tmp_path / "index", alone)


def test_a_node_comes_and_goes(nodes, corpus, alone, tmp_path):
    added = []

    def add() -> None:
        added.append(nodes.add_node(num_cpus=2, object_store_memory=80_000_000))

    made(corpus, tmp_path / "index", (4, add), (20, lambda: nodes.remove_node(added[0], allow_graceful=False)))
    assert_same(tmp_path / "index", alone)


DOOMED = """
import os, signal, sys
from pathlib import Path
from retr.cluster import indexing
from retr.cluster.session import connected
from retr.indexer.build import IndexOptions, build_index
indexing.BATCHES = 1
class Told:
    stored = 0
    def start(self, total, done=0): pass
    def advance(self, count=1):
        self.stored += count
        if self.stored >= 24:
            os.kill(os.getpid(), signal.SIGKILL)
corpus, home, address, ways = sys.argv[1:]
with connected(address):
    options = IndexOptions(**eval(ways))
    build_index(corpus, Path(home), options, Told(), sent=indexing.rows_by_tasks)
"""


def test_the_command_is_killed_and_taken_up_again(nodes, corpus, alone, tmp_path):
    home = tmp_path / "index"
    words = [sys.executable, "-c", DOOMED, str(corpus), str(home), nodes.address, repr(WAYS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(IndexStateError, match="unfinished run"):
        made(corpus, home)
    report = made(corpus, home, resume=True)
    assert (report.seen, report.indexed, report.rejected) == (65, 60, 5)
    assert 0 < report.recovered < 60
    assert_same(home, alone)


def test_what_ends_a_worker_each_time_ends_the_run_and_is_named(nodes, corpus, tmp_path, monkeypatch):
    def end(errand, part) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(indexing, "_rows", end)
    monkeypatch.setattr(indexing, "RETRIES", 0)
    with pytest.raises(ClusterError, match=r"the images from .*00-bad\.jpg to .*: the process was lost 1 times"):
        made(corpus, tmp_path / "index")


def test_images_may_lie_behind_urls(nodes, corpus, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(f"local://{corpus / name}" for name in ("01.png", "02.png", "00-bad.jpg")))
    report = build_index(str(listed), tmp_path / "index", IndexOptions(**WAYS), Quiet(), sent=rows_by_tasks)
    assert (report.seen, report.indexed, report.rejected) == (3, 2, 1)
