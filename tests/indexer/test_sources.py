"""Listing a corpus: folders, list files, standard input, and names that are not UTF-8."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from retr.core.errors import IntegrityError, UsageError
from retr.images.policy import DecodePolicy
from retr.indexer.addresses import path_to_text, text_to_path
from retr.indexer.sources import list_entries, read_corpora, read_corpus, shard_entries
from retr.training.sources import list_containers, read_images

NOWHERE = Path("/nowhere")


def names(corpus) -> list[str]:
    return [Path(path).name for path in corpus.paths]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.png", "deep/er/c.gif", ".hidden.jpg", ".git/x.jpg", "readme.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_a_folder_is_walked_in_order_without_hidden_names(tree):
    corpus = read_corpus(str(tree), exclude=NOWHERE)
    assert names(corpus) == ["a.png", "b.jpg", "c.gif", "readme.txt"]
    assert all(os.path.isabs(path) for path in corpus.paths)


def test_links_to_folders_are_not_followed_and_loops_do_not_hang(tree):
    (tree / "loop").symlink_to(tree)
    (tree / "gone.jpg").symlink_to(tree / "nothing")
    assert names(read_corpus(str(tree), exclude=NOWHERE)) == ["a.png", "b.jpg", "c.gif", "gone.jpg", "readme.txt"]


def test_the_excluded_folder_is_left_out(tree):
    assert names(read_corpus(str(tree), exclude=tree / "deep")) == ["a.png", "b.jpg", "readme.txt"]


def test_a_list_file_is_relative_to_its_folder_and_keeps_its_order(tree):
    (tree / "list.txt").write_text("b.jpg\na.png\r\n\nb.jpg\n/abs/olute.jpg\n")
    corpus = read_corpus(str(tree / "list.txt"), exclude=NOWHERE)
    assert corpus.paths == (str(tree / "b.jpg"), str(tree / "a.png"), "/abs/olute.jpg")
    assert corpus.repeated == 1
    assert corpus.root is None


def test_standard_input_may_be_separated_by_nul(tree, monkeypatch):
    monkeypatch.chdir(tree)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a.png\0new\nline.jpg\0")))
    assert read_corpus("-", exclude=NOWHERE).paths == (str(tree / "a.png"), str(tree / "new\nline.jpg"))


def test_an_image_is_a_corpus_of_one_and_no_list(tree):
    (tree / "one.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    assert read_corpus(str(tree / "one.jpg"), exclude=NOWHERE).paths == (str(tree / "one.jpg"),)


def test_a_list_may_begin_as_a_bitmap_does(tree):
    (tree / "list").write_text("BMW/one.jpg\n")
    assert read_corpus(str(tree / "list"), exclude=NOWHERE).paths == (str(tree / "BMW/one.jpg"),)


def test_several_corpora_are_one(tree):
    (tree / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = read_corpora([str(tree / "deep"), str(tree / "a.png"), str(tree)], exclude=NOWHERE)
    assert names(found) == ["c.gif", "a.png", "b.jpg", "readme.txt"]
    assert (found.root, found.repeated, found.seen) == (None, 2, 6)
    with pytest.raises(UsageError, match="named twice"):
        read_corpora(["-", "-"], exclude=NOWHERE)


def test_names_that_are_not_utf8_survive_as_uris(tree):
    odd = os.fsdecode(b"caf\xe9.jpg")
    (tree / odd).write_bytes(b"x")
    [text] = [path for path in read_corpus(str(tree), exclude=NOWHERE).paths if path.startswith("file:")]
    text.encode()
    assert text_to_path(text) == tree / odd
    assert text_to_path(path_to_text("/plain/name.jpg")) == Path("/plain/name.jpg")


def test_no_name_is_not_this_folder():
    with pytest.raises(UsageError, match="the corpus has no name"):
        read_corpus("", exclude=NOWHERE)


def test_a_corpus_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="nothing-here"):
        read_corpus("nothing-here", exclude=NOWHERE)


def test_a_relative_name_that_is_not_utf8_becomes_an_absolute_uri(tree, monkeypatch):
    monkeypatch.chdir(tree)
    odd = os.fsdecode(b"caf\xe9.jpg")
    assert text_to_path(path_to_text(odd)) == tree / odd
    assert path_to_text("plain.jpg") == "plain.jpg"


def test_names_are_the_same_text_in_every_locale(tmp_path):
    """Else an index that was made in one locale would see every file with an accent as gone in another."""
    (tmp_path / "caf\u00e9.jpg").write_bytes(b"x")
    code = (
        "import sys; from retr.indexer.sources import read_corpus, text_to_path; from pathlib import Path\n"
        "[text] = read_corpus(sys.argv[1], exclude=Path('/nowhere')).paths\n"
        "print(ascii(text), text_to_path(text).exists())"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, env=environment, check=True)
    assert done.stdout.decode().split("/")[-1].strip() == r"caf\xe9.jpg' True"


def test_one_path_that_no_file_can_have_rejects_itself_only(tree):
    (tree / "list.txt").write_bytes(b"b.jpg\n" + b"x/" * 3000 + b"y.jpg\n" + b"z" * 300 + b".tar\na.png\n")
    corpus = read_corpus(str(tree / "list.txt"), exclude=NOWHERE)
    assert [corpus.paths[0], corpus.paths[3]] == [str(tree / "b.jpg"), str(tree / "a.png")]
    entries = list_entries(tree / "list.txt", exclude=NOWHERE)
    assert [entry.size for entry in entries] == [1, 0, 0, 1]
    for entry in entries[1:3]:
        assert "unreadable: File name too long" in str(entry.attempt(DecodePolicy()))


def test_a_blob_is_no_list(tree):
    (tree / "blob").write_bytes(b"A" * 5000)
    with pytest.raises(UsageError, match="not a list"):
        read_corpus(str(tree / "blob"), exclude=NOWHERE)


def shard_of(path: Path, names: Sequence[str]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"img"))
    return path


def test_every_command_sees_the_same_members_of_a_shard(tree):
    """One list of endings: .jfif was an image to training and none to the copy benchmark, a ._ file the other way."""
    names = ("b.JFIF", "a.heic", "._a.jpg", "deep/.b.png", "a.json", "c.jpeg")
    shard = shard_of(tree / "000.TAR", names)
    seen = [entry.name.removeprefix(f"{shard}::") for entry in shard_entries(shard)]
    assert seen == ["b.JFIF", "a.heic", "c.jpeg"]
    assert [entry.name for entry in list_entries(shard, exclude=NOWHERE)] == [
        f"{shard}::{name}" for name in ("a.heic", "b.JFIF", "c.jpeg")
    ]
    assert [name for name, _ in read_images(list_containers([shard]), policy=DecodePolicy())] == seen
    assert all(entry.read(DecodePolicy()) == b"img" for entry in shard_entries(shard))


def test_a_file_that_is_no_tar_and_a_damaged_one_are_told_apart(tree):
    (tree / "no.tar").write_bytes(b"no tar at all")
    with pytest.raises(UsageError, match="cannot be read as an uncompressed tar"):
        list(shard_entries(tree / "no.tar"))
    shard = shard_of(tree / "cut.tar", ("a.jpg", "b.jpg"))
    shard.write_bytes(shard.read_bytes()[:600])
    with pytest.raises(IntegrityError, match="damaged archive"):
        list(shard_entries(shard))
