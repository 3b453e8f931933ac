"""Listing a corpus: folders, list files, standard input, and names that are not UTF-8."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from retr.core.errors import UsageError
from retr.indexer.sources import path_to_text, read_corpus, text_to_path

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


def test_an_image_is_no_list(tree):
    (tree / "one.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    with pytest.raises(UsageError, match="not a list"):
        read_corpus(str(tree / "one.jpg"), exclude=NOWHERE)


def test_names_that_are_not_utf8_survive_as_uris(tree):
    odd = os.fsdecode(b"caf\xe9.jpg")
    (tree / odd).write_bytes(b"x")
    [text] = [path for path in read_corpus(str(tree), exclude=NOWHERE).paths if path.startswith("file:")]
    text.encode()
    assert text_to_path(text) == tree / odd
    assert text_to_path(path_to_text("/plain/name.jpg")) == Path("/plain/name.jpg")


def test_a_corpus_that_is_not_there_is_named():
    with pytest.raises(UsageError, match="nothing-here"):
        read_corpus("nothing-here", exclude=NOWHERE)
