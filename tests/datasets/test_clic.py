"""CLIC 2021's perceptual validation, written small: a table without a header, images anywhere below."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import draw

from retr.core.errors import UsageError
from retr.datasets.clic import TABLES, load_clic
from retr.datasets.layouts import identify, load_triplets

GOOD = "0a/o.png,1b/a.png,2c/b.png,0"


def clic(folder: Path, rows: list[str], *, table: str = "validation.csv") -> Path:
    for seed, name in enumerate(("0a/o.png", "1b/a.png", "2c/b.png", "3d/c.png")):
        draw(folder / name, seed)
    (folder / table).write_text("\n".join(rows) + "\n")
    return folder


class TestLayout:
    @pytest.mark.parametrize("table", TABLES)
    def test_a_row_becomes_a_triplet_and_zero_means_a(self, tmp_path: Path, table: str) -> None:
        data = load_clic(clic(tmp_path, [GOOD, "0a/o.png, 3d/c.png, 1b/a.png, 1"], table=table))
        assert [t.preference for t in data.triplets] == [0.0, 1.0]
        assert [t.name for t in data.triplets] == ["line 1", "line 2"]
        root = tmp_path.resolve()
        assert data.triplets[0].files == (root / "0a/o.png", root / "1b/a.png", root / "2c/b.png")
        assert data.triplets[0].votes is None

    def test_the_first_row_is_no_header(self, tmp_path: Path) -> None:
        assert len(load_clic(clic(tmp_path, [GOOD])).triplets) == 1

    def test_a_name_that_leads_nowhere_is_found_by_its_last_part(self, tmp_path: Path) -> None:
        data = load_clic(clic(tmp_path, ["o.png,elsewhere/a.png,b.png,1"]))
        assert [p.parent.name for p in data.triplets[0].files] == ["0a", "1b", "2c"]

    def test_the_exact_path_wins_over_the_name(self, tmp_path: Path) -> None:
        clic(tmp_path, [GOOD])
        draw(tmp_path / "copy/a.png", 9)
        assert load_clic(tmp_path).triplets[0].left.parent.name == "1b"

    def test_rows_that_tested_the_people_are_skipped(self, tmp_path: Path) -> None:
        rows = [GOOD, "0a/o.png,0a/o.png,2c/b.png,0", "0a/o.png,1b/a.png,0a/o.png,1", "0a/o.png,1b/a.png,1b/a.png,1"]
        data = load_clic(clic(tmp_path, rows))
        assert (len(data.triplets), dict(data.skipped)) == (1, {"holds-reference": 2, "same-candidates": 1})

    def test_a_triplet_asked_twice_is_two_rows(self, tmp_path: Path) -> None:
        data = load_clic(clic(tmp_path, [GOOD, "", GOOD.replace(",0", ",1")]))
        assert [(t.name, t.preference) for t in data.triplets] == [("line 1", 0.0), ("line 3", 1.0)]

    def test_it_is_recognised(self, tmp_path: Path) -> None:
        assert identify(clic(tmp_path, [GOOD])) == "clic2021"
        assert load_triplets(tmp_path).split == "val"


class TestMalformed:
    @pytest.mark.parametrize(
        ("row", "reason", "file"),
        [
            ("0a/o.png,1b/a.png,2c/b.png", "bad-row", "validation.csv"),
            ("0a/o.png,1b/a.png,2c/b.png,0,0", "bad-row", "validation.csv"),
            ("0a/o.png 1b/a.png 2c/b.png 0", "bad-row", "validation.csv"),
            ("0a/o.png,1b/a.png,2c/b.png,2", "bad-answer", "validation.csv"),
            ("0a/o.png,1b/a.png,2c/b.png,", "bad-answer", "validation.csv"),
            ("0a/o.png,1b/a.png,2c/b.png,A", "bad-answer", "validation.csv"),
            ("0a/o.png,1b/a.png,2c/b.png,0.5", "bad-answer", "validation.csv"),
            ("O,A,B,T", "bad-answer", "validation.csv"),
            (",1b/a.png,2c/b.png,0", "bad-path", "validation.csv"),
            ("../o.png,1b/a.png,2c/b.png,0", "bad-path", "validation.csv"),
            ("0a/o.png,/etc/hosts,2c/b.png,0", "bad-path", "validation.csv"),
            ("0a/o.png,gone.png,2c/b.png,0", "missing-file", "gone.png"),
            ("0a/o.png,1b/a.png,twin.png,0", "ambiguous", "twin.png"),
            ("0a/o.png,1b/a.png,empty.png,0", "zero-byte", "empty.png"),
            (f"0a/o.png,{'x' * 300}.png,2c/b.png,0", "missing-file", "xxx"),
        ],
    )
    def test_a_bad_row_is_rejected_by_file_and_reason(self, tmp_path: Path, row: str, reason: str, file: str) -> None:
        clic(tmp_path, [GOOD, row, GOOD])
        for place in ("4e", "5f"):
            draw(tmp_path / place / "twin.png", 3)
        (tmp_path / "empty.png").touch()
        data = load_clic(tmp_path)
        assert len(data.triplets) == 2
        (reject,) = data.rejects
        assert (reject.name, reject.reason) == ("line 2", reason)
        assert reject.file.startswith(file)
        assert str(reject).startswith(f"{reject.file}, line 2: {reason}: ")

    def test_another_folder_or_split_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no validation\.csv or clic2021"):
            load_clic(tmp_path)
        with pytest.raises(UsageError, match="no split 'test'"):
            load_clic(clic(tmp_path, [GOOD]), split="test")

    def test_two_tables_are_refused(self, tmp_path: Path) -> None:
        clic(clic(tmp_path, [GOOD]), [GOOD], table=TABLES[1])
        with pytest.raises(UsageError, match=r"both validation\.csv and clic2021"):
            load_clic(tmp_path)
        with pytest.raises(UsageError, match="no 2AFC data set"):
            identify(tmp_path)
