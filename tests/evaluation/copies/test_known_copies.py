"""Negatives that are copies after all: which names match, and which files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from retr.core.errors import UsageError
from retr.evaluation.copies.known_copies import KnownCopies, read_known_copies
from retr.indexer.entries import Entry


def entries(*names: str) -> list[Entry]:
    return [Entry(name, 1, 1) for name in names]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    return path


NEGATIVES = entries("/data/far/000.tar/1.jpg", "/data/far/000.tar::2.jpg", "/data/far/001.tar/1.jpg")
STORED = entries("/data/near/5.jpg", "/data/train/000.tar/1.jpg")


class TestWithout:
    def test_either_side_may_be_the_negative(self) -> None:
        for pair in (("far/000.tar/1.jpg", "near/5.jpg"), ("near/5.jpg", "far/000.tar/1.jpg")):
            kept, left_out = KnownCopies(Path("x"), (pair,)).without(NEGATIVES, STORED)
            assert ([entry.name for entry in kept], left_out) == ([e.name for e in NEGATIVES[1:]], 1)

    def test_a_copy_that_is_not_stored_does_no_harm(self) -> None:
        pairs = (("far/000.tar/1.jpg", "far/000.tar/2.jpg"), ("far/000.tar/2.jpg", "near/6.jpg"))
        assert KnownCopies(Path("x"), pairs).without(NEGATIVES, STORED) == (tuple(NEGATIVES), 0)

    def test_names_are_whole_parts_of_a_path(self) -> None:
        pairs = (("ar/000.tar/1.jpg", "near/5.jpg"), ("000.tar/1.jpg", "5.jpg"))
        kept, left_out = KnownCopies(Path("x"), pairs).without(NEGATIVES, STORED)
        assert (kept[0].name, left_out) == ("/data/far/000.tar::2.jpg", 1)

    def test_a_list_of_other_images_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"names none of the images here, the first is a/1\.jpg"):
            KnownCopies(Path("x"), (("a/1.jpg", "b/2.jpg"),)).without(NEGATIVES, STORED)

    def test_an_empty_list_changes_nothing(self) -> None:
        assert KnownCopies(Path("x"), ()).without(NEGATIVES, STORED) == (tuple(NEGATIVES), 0)


class TestRead:
    def test_by_header_whatever_the_order(self, tmp_path: Path) -> None:
        read = read_known_copies(written(tmp_path, "relation,copy_of,image\nflipped,/b/2.jpg, a/1.jpg\n"))
        assert read.pairs == (("a/1.jpg", "b/2.jpg"),)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "needs a header.*image is missing"),
            ("image,other\na,b\n", "copy_of is missing"),
            ("image,copy_of\na,b\na,\n", "line 3: two different names are needed, got 'a' and ''"),
            ("image,copy_of\na\n", "line 2: two different names"),
            ("image,copy_of\na,a\n", "line 2: two different names"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            read_known_copies(written(tmp_path, text))

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "pairs.csv"
        path.write_bytes(b"image,copy_of\n\xff\xfe,b\n")
        with pytest.raises(UsageError, match="cannot be read as a CSV file"):
            read_known_copies(path)
