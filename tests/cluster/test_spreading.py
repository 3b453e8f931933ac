"""``retr.open(…, cluster=…)``: the object that people know, answered by shards, and what becomes of it."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from drawn_corpus import draw_corpus

import retr
from retr.cluster.crew import hired
from retr.cluster.manifest import Manifest
from retr.core.errors import ClusterError, UsageError

pytest.importorskip("ray", reason="needs the extra cluster")
pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """``my-index``, and images to ask about."""
    folder = draw_corpus(tmp_path_factory.mktemp("opened"), absent=1)
    retr.build(folder / "corpus", folder / "my-index", models=["block-means"], workers=1)
    return folder


@pytest.fixture
def asked(folder) -> list[Path]:
    return [folder / "img.png", *sorted((folder / "absent").iterdir()), *sorted((folder / "corpus").iterdir())[:3]]


def holders() -> int:
    """Processes that hold rows, those of other clusters on this machine too."""
    return sum(b"ray::Holder" in _words(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _words(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def await_holders(count: int) -> None:
    """A process takes a moment to end."""
    until = time.monotonic() + 30.0
    while holders() != count:
        assert time.monotonic() < until, (holders(), count)
        time.sleep(0.05)


def test_the_same_answers_until_it_is_closed(nodes, folder, asked):
    mine, part = retr.open(folder / "my-index"), "path~*00*"
    with retr.open(folder / "my-index", cluster=nodes.address, shards=2) as theirs:
        assert theirs.query(asked, certify=True, eps=1) == mine.query(asked, certify=True, eps=1)
        some = theirs.only(part)
        assert some.query(asked, k=2, certify=True) == mine.only(part).query(asked, k=2, certify=True)
        answer = theirs.query(asked[0], k=2, certify=True)
        assert theirs.prove(answer, asked[0]) == mine.prove(answer, asked[0])
        assert retr.check(answer, theirs, asked[0]).confirmed
        assert theirs.latest() is theirs
    theirs.close()
    for one in (theirs, some):
        with pytest.raises(UsageError, match="the index was closed, and with it the cluster"):
            one.query(asked[0])
    assert len(theirs) == len(mine)


def test_what_is_added_is_seen_at_once_and_holders_end_when_nobody_asks_them(nodes, folder, asked, tmp_path):
    shutil.copytree(folder / "my-index", tmp_path / "index")
    await_holders(0)
    index = retr.open(tmp_path / "index", cluster=nodes.address, shards=1)
    other = retr.open(tmp_path / "index", cluster="auto", shards=1)
    before = other.query(asked[1])
    index.add([asked[1]])
    assert index.query(asked, certify=True) == retr.open(tmp_path / "index").query(asked, certify=True)
    assert index.query(asked[1]).matches[0].path == str(asked[1])
    assert other.query(asked[1]) == before  # it answers from the snapshot it has opened
    gc.collect()
    await_holders(2)  # of the new snapshot, and of the old one for the other index
    other.close()
    assert index.query(asked[0]).verdict == "copy"  # the connection is not ended for who still needs it
    del index
    gc.collect()
    await_holders(0)


def test_who_holds_it_already_is_asked(nodes, folder, asked):
    index = retr.open(folder / "my-index")
    address = nodes.address.replace("127.0.0.1", "localhost")
    with hired(folder / "my-index", Manifest.even(index.snapshot, len(index), 1), named=True) as crew:
        crew.hold(index.engine)
        with retr.open(folder / "my-index", cluster=address) as theirs:
            assert theirs.query(asked, certify=True) == index.query(asked, certify=True)
            await_holders(1)
        with pytest.raises(UsageError, match="holds this index in 1 shards, and not 3"):
            retr.open(folder / "my-index", cluster=address, shards=3)


def test_a_process_is_connected_to_one_cluster(nodes, folder):
    with pytest.raises(ClusterError, match=f"connected to the cluster at {nodes.address}, and Ray allows one"):
        retr.open(folder / "my-index", cluster="127.0.0.1:1")


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ({"shards": 2}, "only cluster takes shards"),
        ({"allow_partial": True}, "only cluster takes allow_partial=True"),
        ({"token_file": "x"}, "only cluster takes token_file, got x"),
        ({"cluster": "local", "deadline": 0.0}, "deadline is a number of seconds above 0, got 0"),
        ({"cluster": "local", "shards": 0}, "shards must be at least 1, got 0"),
        ({"cluster": "local", "shards": 1.5}, "shards must be a whole number, got 1.5"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(folder, ways, said):
    with pytest.raises(UsageError, match=said):
        retr.open(folder / "my-index", **ways)


OWN = """
import os, sys, tempfile, retr
def said(index):
    return index.query("img.png", certify=True)
mine = said(retr.open("my-index"))
with retr.open("my-index", cluster="local", shards=1) as index:
    assert said(index) == mine
forgotten = retr.open("my-index", cluster="local", shards=1)
assert said(forgotten) == mine
print("same")  # and the second cluster ends with the process
"""


def test_clusters_of_its_own_come_and_go_and_leave_nothing(folder):
    def left() -> set[str]:
        return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith(("retr-", "ray"))}

    before = left()
    words = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", OWN], cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=words
    )
    assert (done.returncode, done.stdout) == (0, "same\n"), done.stderr
    assert left() <= before


LASTING = """
import threading, time, retr
opened = []
first = threading.Thread(target=lambda: opened.append(retr.open("my-index", cluster="local", shards=1)))
first.start()
first.join()
time.sleep(0.5)
with opened[0] as index:
    assert index.query("img.png", certify=True) == retr.open("my-index").query("img.png", certify=True)
print("same")
"""


def test_a_cluster_lasts_longer_than_the_thread_that_began_it(folder):
    """Ray has Linux kill a node's processes with the thread that began them."""
    done = subprocess.run(
        [sys.executable, "-c", LASTING], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.returncode) == ("same\n", 0), done.stderr
