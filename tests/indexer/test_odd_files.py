"""Files that no corpus should hold and some do: each is indexed or listed as a reject, and the index stays whole."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from bad_files import encoded
from drawn import Quiet, draw

from retr.core.errors import ImageRejected
from retr.images import decode as decode_module
from retr.images.decode import load
from retr.images.policy import DecodePolicy
from retr.indexer.addresses import text_to_path
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.held import read_held
from retr.indexer.info import describe_index, list_rejects
from retr.indexer.options import IndexReport
from retr.indexer.snapshot import require_current
from retr.retrieval.engine import Engine
from retr.retrieval.query import query_files

pytestmark = pytest.mark.skipif(os.name == "nt", reason="these are things of POSIX file systems")
NAMES = {
    "newline": b"two\nlines.png",
    "tab": b"a\ttab.png",
    "escape": b"\x1b[31mred\x1b[0m.png",
    "not-utf8": b"J\xe4rvi.png",
    "emoji": "\U0001f469\u200d\U0001f52c.png".encode(),
    "right-to-left": "\u202egnp.exe.png".encode(),
    "decomposed": "cafe\u0301.png".encode(),
    "quotes": b'it\'s "$(rm -rf x)" `y`.png',
    "dash": b"--help.png",
    "percent": b"100%41.png",
    "uri": b"file:x.png",
    "space": b" .png ",
    "255": b"n" * 251 + b".png",
}


def run(source: str | Path, index: Path, **options: object) -> IndexReport:
    chosen = IndexOptions(models=("block-means:4",), workers=1, **options)  # pyright: ignore[reportArgumentType]
    report = build_index(str(source), index, chosen, Quiet())
    assert report.seen == report.indexed + report.skipped + report.rejected
    return report


def whole(index: Path, items: int) -> None:
    """The index opens, every byte is what it was, and so many items answer."""
    assert describe_index(index, verify=True)["items"] == items
    assert Engine.open(index, threshold=0.9).gallery.items == items


@pytest.fixture
def corpus(tmp_path) -> Path:
    for number in range(3):
        draw(tmp_path / "corpus" / f"{number}.png", number)
    return tmp_path / "corpus"


def test_names(corpus, tmp_path):
    for number, name in enumerate(NAMES.values()):
        draw(tmp_path / "drawn.png", 10 + number)
        os.rename(tmp_path / "drawn.png", os.fsencode(corpus) + b"/" + name)
    assert run(corpus, tmp_path / "index").indexed == 3 + len(NAMES)
    whole(tmp_path / "index", 3 + len(NAMES))
    assert run(corpus, tmp_path / "index").skipped == 3 + len(NAMES)
    held = read_held(tmp_path / "index", require_current(tmp_path / "index"))
    stored = {os.path.basename(os.fsencode(text_to_path(path))) for path in held.table["path"].to_pylist()}
    assert stored >= set(NAMES.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_asked_about(corpus, tmp_path, name):
    path = os.fsencode(corpus) + b"/" + NAMES[name]
    os.rename(corpus / "1.png", path)
    run(corpus, tmp_path / "index")
    [found] = query_files(Engine.open(tmp_path / "index", threshold=0.9), [os.fsdecode(path)], k=1)
    assert found.answer is not None
    assert os.fsencode(text_to_path(found.answer.matches[0].path)) == path


def test_paths_beyond_4096_bytes(corpus, tmp_path):
    here, folder = os.getcwd(), corpus
    depth, name = 0, "d" * 200
    try:
        os.chdir(corpus)
        while len(os.fsencode(folder)) < 4500:
            os.mkdir(name)
            os.chdir(name)
            folder, depth = folder / name, depth + 1
        Path("deep.png").write_bytes(encoded("PNG"))
    finally:
        os.chdir(here)
    report = run(corpus, tmp_path / "index")
    assert (report.indexed, report.rejected) == (3, 1)
    [reject] = list_rejects(tmp_path / "index")
    assert (reject["stage"], reject["error"]) == ("read", "unreadable")
    assert "File name too long" in reject["detail"]
    whole(tmp_path / "index", 3)
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"corpus/1.png\n" + os.fsencode(folder / "deep.png") + b"\n")
    assert run(listed, tmp_path / "other").rejected == 1


def test_loops_pipes_sockets_devices_and_dead_links(corpus, tmp_path):
    (corpus / "loop.png").symlink_to(corpus / "loop.png")
    (corpus / "ring").symlink_to(corpus)
    (corpus / "dead.png").symlink_to(corpus / "nowhere.png")
    (corpus / "zero.png").symlink_to("/dev/zero")
    (corpus / "null.png").symlink_to("/dev/null")
    os.mkfifo(corpus / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(corpus / "socket.png"))
        report = run(corpus, tmp_path / "index")
    found = {Path(row["path"]).name: row["error"] for row in list_rejects(tmp_path / "index")}
    assert found == {
        "loop.png": "unreadable",
        "dead.png": "not-found",
        "zero.png": "not-a-regular-file",
        "null.png": "not-a-regular-file",
        "pipe.png": "not-a-regular-file",
        "socket.png": "not-a-regular-file",
    }
    assert report.indexed == 3
    whole(tmp_path / "index", 3)


def test_an_image_that_becomes_a_pipe_answers_no_more(corpus, tmp_path):
    run(corpus, tmp_path / "index")
    (corpus / "1.png").unlink()
    os.mkfifo(corpus / "1.png")
    report = run(corpus, tmp_path / "index")
    assert (report.rejected, report.dropped) == (1, 1)
    whole(tmp_path / "index", 2)


@pytest.mark.parametrize("content", [b"", b"no image at all"])
def test_an_image_that_becomes_something_else_answers_no_more(corpus, tmp_path, content):
    pixels = load(corpus / "1.png", policy=DecodePolicy()).pixels
    run(corpus, tmp_path / "index")
    (corpus / "1.png").write_bytes(content)
    report = run(corpus, tmp_path / "index", prune=True)
    assert (report.rejected, report.dropped) == (1, 1)
    assert len(list_rejects(tmp_path / "index")) == 1
    matches = Engine.open(tmp_path / "index", threshold=0.9).answer(pixels, k=9).matches
    assert "1.png" not in {Path(match.path).name for match in matches}
    whole(tmp_path / "index", 2)


def unreadable(monkeypatch, name: str, code: int) -> None:
    """Opening a file of this name fails; a user who may read anything sees it as others do."""
    real = os.open

    def opened(path, *arguments):
        if os.path.basename(os.fspath(path)) == name:
            raise OSError(code, os.strerror(code), path)
        return real(path, *arguments)

    monkeypatch.setattr(decode_module.os, "open", opened)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_a_file_that_cannot_be_read_stays_until_prune(corpus, tmp_path, monkeypatch, code):
    run(corpus, tmp_path / "index")
    draw(corpus / "1.png", 50)
    unreadable(monkeypatch, "1.png", code)
    report = run(corpus, tmp_path / "index")
    assert (report.rejected, report.dropped) == (1, 0)
    whole(tmp_path / "index", 3)
    report = run(corpus, tmp_path / "index", prune=True)
    assert (report.rejected, report.dropped) == (1, 1)
    whole(tmp_path / "index", 2)
    assert [row["error"] for row in list_rejects(tmp_path / "index")] == ["unreadable"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read anything")
def test_permission_denied(corpus, tmp_path):
    (corpus / "1.png").chmod(0)
    (corpus / "sub").mkdir(mode=0)
    report = run(corpus, tmp_path / "index")
    (corpus / "sub").chmod(0o700)
    assert (report.indexed, report.rejected) == (2, 2)


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "growing.png"
    data = encoded("PNG")
    path.write_bytes(data)
    real = os.fstat

    def meanwhile(change):
        seen = []

        def fstat(descriptor):
            found = real(descriptor)
            if not seen:
                seen.append(change())
            return found

        return fstat

    def shorten() -> None:
        path.write_bytes(data[:-30])

    def grow() -> None:
        path.write_bytes(data + b"more")

    def rewrite() -> None:
        path.write_bytes(np.random.default_rng(0).bytes(len(data)))
        os.utime(path, ns=(1, 1))

    for change in (shorten, grow, rewrite):
        path.write_bytes(data)
        with monkeypatch.context() as patch:
            patch.setattr(decode_module.os, "fstat", meanwhile(change))
            with pytest.raises(ImageRejected) as caught:
                load(path, policy=DecodePolicy())
        assert (caught.value.stage, caught.value.reason) == ("read", "unreadable")
        assert "while it was read" in caught.value.detail


def test_a_file_that_vanishes_while_the_index_is_built(corpus, tmp_path, monkeypatch):
    run(corpus, tmp_path / "index")
    draw(corpus / "1.png", 60)
    real = decode_module.os.stat

    def stat(path, **options):
        found = real(path, **options)
        if os.path.basename(os.fspath(path)) == "1.png" and sys._getframe(1).f_code.co_name == "read_image_file":
            os.unlink(path)
        return found

    monkeypatch.setattr(decode_module.os, "stat", stat)
    report = run(corpus, tmp_path / "index")
    assert (report.rejected, report.reasons) == (1, {"vanished": 1})
    monkeypatch.undo()
    whole(tmp_path / "index", 3)
    assert run(corpus, tmp_path / "index", prune=True).pruned == 1
    whole(tmp_path / "index", 2)


def test_the_index_inside_its_corpus_is_no_part_of_it(corpus):
    assert run(corpus, corpus / "index").indexed == 3
    assert run(corpus, corpus / "index").skipped == 3
