"""PieAPP's test part, written small in its exact layout: header with spaces, the reference among the distorted."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import draw

from retr.core.errors import UsageError
from retr.datasets.layouts import identify, load_triplets
from retr.datasets.pieapp import load_pieapp

HEADER = "ref. image, distorted image A, distorted image B, preference for A"
A, B, C = (f"distort_7_{kind}_inter_{number}.png" for kind, number in (("blur", 1), ("noise", 4), ("jpeg", 2)))
TABLE = "labels/test/ref_7_pairwise_labels.csv"


def pieapp(folder: Path, rows: list[str], *, number: int = 7, header: str = HEADER) -> Path:
    draw(folder / f"reference_images/test/ref_{number}.png", number)
    for seed, name in enumerate((A, B, C)):
        draw(folder / f"distorted_images/test/ref_{number}" / name.replace("_7_", f"_{number}_"), seed)
    table = folder / f"labels/test/ref_{number}_pairwise_labels.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("\n".join([header, *rows]) + "\n")
    scores = folder / f"labels/test/ref_{number}_per_image_score.csv"
    scores.write_text("ref. image, distorted image, score for dist. image\n")
    return folder


def good(first: str = A, second: str = B, share: object = 0.9) -> str:
    return f"ref_7.png,{first},{second},{share}"


class TestLayout:
    def test_a_row_becomes_a_triplet_and_a_is_left(self, tmp_path: Path) -> None:
        data = load_pieapp(pieapp(tmp_path, [good(share=0.9), good(B, C, 0.05)]))
        root = tmp_path.resolve()
        assert [t.preference for t in data.triplets] == [pytest.approx(0.1), pytest.approx(0.95)]
        assert data.triplets[0].files == (
            root / "reference_images/test/ref_7.png",
            root / "distorted_images/test/ref_7" / A,
            root / "distorted_images/test/ref_7" / B,
        )
        assert (data.triplets[0].name, data.triplets[0].votes) == ("ref_7:2", 40)
        assert data.rejects == ()

    def test_columns_are_found_by_name_with_or_without_spaces(self, tmp_path: Path) -> None:
        shuffled = "preference for A ,  distorted image B,extra,ref. image,\tdistorted image A"
        data = load_pieapp(pieapp(tmp_path, [f" 0.9 ,{B},x, ref_7.png ,{A}"], header="﻿" + shuffled))
        assert [p.name for p in data.triplets[0].files] == ["ref_7.png", A, B]
        assert data.triplets[0].preference == pytest.approx(0.1)

    def test_pairs_that_hold_the_reference_are_skipped(self, tmp_path: Path) -> None:
        rows = [good("ref_7.png", A), good(A, "ref_7.png", 0.02), good()]
        data = load_pieapp(pieapp(tmp_path, rows))
        assert (len(data.triplets), dict(data.skipped), data.seen) == (1, {"holds-reference": 2}, 3)

    def test_only_clear_preferences_are_kept_and_the_bound_itself_is_not_clear(self, tmp_path: Path) -> None:
        shares = [0.85, 0.86, 0.15, 0.14, 0.5, 1, 0]
        folder = pieapp(tmp_path, [good(share=share) for share in shares])
        data = load_pieapp(folder)
        assert [round(1 - t.preference, 2) for t in data.triplets] == [0.86, 0.14, 1, 0]
        assert dict(data.skipped) == {"no-clear-preference": 3}
        assert len(load_pieapp(folder, clear=0.5).triplets) == 6
        assert len(load_triplets(folder, unanimous=True).triplets) == 2

    def test_tables_are_read_in_the_order_of_their_numbers(self, tmp_path: Path) -> None:
        rows = ["ref_{0}.png,distort_{0}_blur_inter_1.png,distort_{0}_noise_inter_4.png,1"]
        for number in (10, 9, 100):
            pieapp(tmp_path, [row.format(number) for row in rows], number=number)
        assert [t.name for t in load_pieapp(tmp_path).triplets] == ["ref_9:2", "ref_10:2", "ref_100:2"]

    def test_it_is_recognised(self, tmp_path: Path) -> None:
        assert identify(pieapp(tmp_path, [good()])) == "pieapp"
        data = load_triplets(tmp_path)
        assert (data.layout, data.split) == ("pieapp", "test")


class TestMalformed:
    @pytest.mark.parametrize(
        ("row", "reason", "file"),
        [
            (good(share=1.2), "bad-preference", TABLE),
            (good(share=-0.1), "bad-preference", TABLE),
            (good(share="nan"), "bad-preference", TABLE),
            (good(share="inf"), "bad-preference", TABLE),
            (good(share=""), "bad-preference", TABLE),
            (good(share="often"), "bad-preference", TABLE),
            (f"ref_8.png,{A},{B},0.9", "other-reference", TABLE),
            (f",{A},{B},0.9", "bad-path", TABLE),
            (f"ref_7.png,,{B},0.9", "bad-path", TABLE),
            (f"ref_7.png,{A},../ref_8/{B},0.9", "bad-path", TABLE),
            (f"ref_7.png,/etc/hosts,{B},0.9", "bad-path", TABLE),
            (f"ref_7.png,{A},{A},0.9", "same-candidates", TABLE),
            (f"ref_7.png,{A}", "short-row", TABLE),
            (good(second="distort_7_gone_inter_1.png"), "missing-file", "distorted_images/test/ref_7/distort_7_gone"),
        ],
    )
    def test_a_bad_row_is_rejected_by_file_and_reason(self, tmp_path: Path, row: str, reason: str, file: str) -> None:
        data = load_pieapp(pieapp(tmp_path, [good(), row, good(B, C)]))
        assert [t.name for t in data.triplets] == ["ref_7:2", "ref_7:4"]
        (reject,) = data.rejects
        assert (reject.name, reject.reason) == ("line 3", reason)
        assert reject.file.startswith(file)
        assert reject.file in str(reject)
        assert reason in str(reject)

    @pytest.mark.parametrize(
        ("broken", "reason"),
        [("reference_images/test/ref_7.png", "zero-byte"), (f"distorted_images/test/ref_7/{B}", "zero-byte")],
    )
    def test_an_empty_image_is_named(self, tmp_path: Path, broken: str, reason: str) -> None:
        pieapp(tmp_path, [good()])
        (tmp_path / broken).write_bytes(b"")
        assert [(r.file, r.reason) for r in load_pieapp(tmp_path).rejects] == [(broken, reason)]

    def test_a_folder_in_place_of_an_image_is_named(self, tmp_path: Path) -> None:
        file = pieapp(tmp_path, [good()]) / f"distorted_images/test/ref_7/{B}"
        file.unlink()
        file.mkdir()
        assert load_pieapp(tmp_path).reject_counts() == {"not-a-file": 1}

    @pytest.mark.parametrize(
        "header",
        [
            "ref. image, distorted image A, distorted image B, processed preference for A",
            "ref. image, distorted image A, preference for A",
            "ref. image, distorted image A, distorted image B, preference for A, preference for A",
            "ref. image; distorted image A; distorted image B; preference for A",
        ],
    )
    def test_a_table_with_another_header_is_rejected_and_the_other_tables_stay(
        self, tmp_path: Path, header: str
    ) -> None:
        rows = ["ref_8.png,distort_8_blur_inter_1.png,distort_8_noise_inter_4.png,1"]
        pieapp(pieapp(tmp_path, [good()]), rows, number=8, header=header)
        data = load_pieapp(tmp_path)
        assert [t.name for t in data.triplets] == ["ref_7:2"]
        (reject,) = data.rejects
        assert (reject.file, reject.reason) == ("labels/test/ref_8_pairwise_labels.csv", "bad-table")
        assert "preference for A" in str(reject) or "distorted image B" in str(reject)

    def test_an_odd_table_and_a_reference_without_one_are_named(self, tmp_path: Path) -> None:
        pieapp(tmp_path, [good()])
        draw(tmp_path / "reference_images/test/ref_9.png", 9)
        (tmp_path / "labels/test/ref_9_pairwise_labels (1).csv").write_text(HEADER)
        assert {(r.file, r.reason) for r in load_pieapp(tmp_path).rejects} == {
            ("labels/test/ref_9_pairwise_labels (1).csv", "odd-table"),
            ("reference_images/test/ref_9.png", "missing-table"),
        }

    def test_a_table_that_is_no_csv_is_refused(self, tmp_path: Path) -> None:
        pieapp(tmp_path, [good(), '"' + "x" * 200_000])
        with pytest.raises(UsageError, match=r"ref_7_pairwise_labels\.csv is no CSV table.*field"):
            load_pieapp(tmp_path)

    def test_another_folder_or_split_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no labels/test/ref_N_pairwise"):
            load_pieapp(tmp_path)
        with pytest.raises(UsageError, match="no split 'train'"):
            load_pieapp(pieapp(tmp_path, [good()]), split="train")
        with pytest.raises(UsageError, match=r"at least 0\.5"):
            load_pieapp(tmp_path, clear=0.2)
