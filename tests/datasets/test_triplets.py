"""Loaders of 2AFC data sets: written small, whole and broken. Every row is kept, skipped or rejected by name."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
from drawn import draw

from retr.core.errors import UsageError
from retr.datasets.bapps import load_bapps
from retr.datasets.layouts import identify, load_triplets
from retr.datasets.nights import COLUMNS, load_nights
from retr.datasets.triplets import Triplet

HEADER = ["id", "left_vote", "right_vote", "votes", "split", "prompt", "is_imagenet", "ref_path", "left_path"]
HEADER += ["right_path"]


def row(number: int, **changes: object) -> dict[str, object]:
    name = f"{number:03d}.png"
    usual = {"id": number, "left_vote": 0, "right_vote": 1, "votes": 6, "split": "train", "prompt": "a, b"}
    usual |= {"is_imagenet": True, "ref_path": f"ref/{name}", "left_path": f"distort/{name}"}
    return usual | {"right_path": f"distort/r{name}"} | changes


def nights(folder: Path, rows: list[dict[str, object]], header: list[str] | None = None) -> Path:
    names = {Path(str(r[key])) for r in rows for key in ("ref_path", "left_path", "right_path")}
    for seed, name in enumerate(sorted(names)):
        if "absent" not in str(name) and name.parts and name.parts[0] in ("ref", "distort"):
            draw(folder / name, seed)
    folder.mkdir(exist_ok=True)
    with (folder / "data.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, header or HEADER, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def bapps(folder: Path, judgements: dict[str, float], split: str = "train") -> Path:
    for seed, (name, judgement) in enumerate(judgements.items()):
        kind, stem = name.split("/")
        base = folder / "2afc" / split / kind
        for part in ("ref", "p0", "p1"):
            draw(base / part / f"{stem}.png", seed)
        (base / "judge").mkdir(exist_ok=True)
        np.save(base / "judge" / f"{stem}.npy", np.array([judgement], dtype=np.float32))
    return folder


class TestNights:
    def test_a_row_becomes_a_triplet(self, tmp_path: Path) -> None:
        rows = [row(1), row(2, left_vote=1, right_vote=0), row(3, left_vote=2, right_vote=6, votes=8)]
        data = load_nights(nights(tmp_path, rows), split="train")
        assert [t.preference for t in data.triplets] == [1.0, 0.0, 0.75]
        assert [t.votes for t in data.triplets] == [6, 6, 8]
        assert data.triplets[0].files == tuple(
            tmp_path.resolve() / p for p in ("ref/001.png", "distort/001.png", "distort/r001.png")
        )

    def test_columns_are_found_by_name(self, tmp_path: Path) -> None:
        shuffled = sorted(HEADER, reverse=True)
        data = load_nights(nights(tmp_path, [row(4)], shuffled), split="train")
        assert data.triplets[0].name == "4"
        assert data.triplets[0].preference == 1.0

    def test_splits_and_votes_are_skipped_and_counted(self, tmp_path: Path) -> None:
        rows = [row(1), row(2, split="val"), row(3, split="test"), row(4, split="test", is_imagenet=False)]
        folder = nights(tmp_path, [*rows, row(5, votes=3)])
        data = load_nights(folder, split="train")
        assert dict(data.skipped) == {"few-votes": 1, "other-split": 3}
        assert data.seen == 5
        assert len(load_nights(folder, split="train", min_votes=1).triplets) == 2
        for split, names in {"test": ["3", "4"], "test_imagenet": ["3"], "test_no_imagenet": ["4"]}.items():
            assert [t.name for t in load_nights(folder, split=split).triplets] == names

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"left_vote": 0, "right_vote": 0}, "bad-votes"),
            ({"right_vote": "many"}, "bad-votes"),
            ({"right_vote": -1}, "bad-votes"),
            ({"right_vote": "nan"}, "bad-votes"),
            ({"votes": 6.5}, "bad-votes"),
            ({"votes": 0}, "bad-votes"),
            ({"left_path": "distort/absent.png"}, "missing-file"),
            ({"ref_path": ""}, "bad-path"),
            ({"ref_path": "../secret.png"}, "bad-path"),
            ({"ref_path": "/etc/hosts"}, "bad-path"),
            ({"split": "trian"}, "unknown-split"),
            ({"id": ""}, "no-id"),
            ({"id": 1}, "duplicate-id"),
        ],
    )
    def test_a_bad_row_is_rejected_by_reason_and_the_others_stay(
        self, tmp_path: Path, changes: dict[str, object], reason: str
    ) -> None:
        data = load_nights(nights(tmp_path, [row(1), row(2, **changes), row(3)]), split="train", min_votes=0)
        assert [t.name for t in data.triplets] == ["1", "3"]
        assert data.reject_counts() == {reason: 1}
        assert data.rejects[0].name == "line 3"
        assert data.seen == 3

    def test_a_flag_that_is_none_matters_only_where_it_decides(self, tmp_path: Path) -> None:
        folder = nights(tmp_path, [row(1, split="test", is_imagenet="?")])
        assert len(load_nights(folder, split="test").triplets) == 1
        assert load_nights(folder, split="test_imagenet").reject_counts() == {"bad-flag": 1}

    def test_a_cut_off_row_is_rejected(self, tmp_path: Path) -> None:
        folder = nights(tmp_path, [row(1)])
        with (folder / "data.csv").open("a") as handle:
            handle.write("2,0,1\n")
        assert load_nights(folder, split="train").reject_counts() == {"short-row": 1}

    def test_a_table_without_a_column_is_refused(self, tmp_path: Path) -> None:
        folder = nights(tmp_path, [row(1)], [name for name in HEADER if name != "votes"])
        with pytest.raises(UsageError, match="lacks votes"):
            load_nights(folder, split="train")
        with pytest.raises(UsageError, match="no split 'all'"):
            load_nights(folder, split="all")

    def test_the_published_layout_is_read(self, tmp_path: Path) -> None:
        table = (
            "id,left_vote,right_vote,votes,ref_path,left_path,right_path,split,is_imagenet,prompt\n"
            '4,0,1,7,ref/000/004.png,distort/000/004_0.png,distort/000/004_1.png,test,False,"a cat, asleep"\n'
            "8,1,0,5,ref/000/008.png,distort/000/008_0.png,distort/000/008_1.png,test,True,a dog\n"
        )
        for seed, name in enumerate(("ref/000/004", "distort/000/004_0", "distort/000/004_1")):
            draw(tmp_path / f"{name}.png", seed)
        (tmp_path / "data.csv").write_text(table)
        data = load_nights(tmp_path, split="test")
        (triplet,) = data.triplets
        assert (triplet.name, triplet.preference, triplet.votes) == ("4", 1.0, 7)
        assert [p.name for p in triplet.files] == ["004.png", "004_0.png", "004_1.png"]
        assert dict(data.skipped) == {"few-votes": 1}

    def test_spaces_and_a_byte_order_mark_do_no_harm(self, tmp_path: Path) -> None:
        folder = nights(tmp_path, [row(1, prompt="a")])
        text = (folder / "data.csv").read_text()
        (folder / "data.csv").write_text("\ufeff" + text.replace(",", " , "))
        assert len(load_nights(folder, split="train").triplets) == 1

    @pytest.mark.parametrize(
        ("changes", "file"),
        [({"right_vote": "many"}, "data.csv"), ({"left_path": "distort/absent.png"}, "distort/absent.png")],
    )
    def test_a_reject_names_the_file_at_fault(self, tmp_path: Path, changes: dict[str, object], file: str) -> None:
        (reject,) = load_nights(nights(tmp_path, [row(1, **changes)]), split="train").rejects
        assert reject.file == file
        assert str(reject).startswith(f"{file}, line 2: {reject.reason}: ")

    def test_a_table_that_names_a_column_twice_or_cannot_be_read_is_refused(self, tmp_path: Path) -> None:
        folder = nights(tmp_path / "a", [row(1)], [*HEADER, "votes"])
        with pytest.raises(UsageError, match=r"data\.csv: the header names votes more than once"):
            load_nights(folder, split="train")
        (tmp_path / "b/data.csv").mkdir(parents=True)
        with pytest.raises(UsageError, match=r"data\.csv cannot be read"):
            load_nights(tmp_path / "b", split="train")
        with pytest.raises(UsageError, match=r"data\.csv cannot be read"):
            load_nights(tmp_path / "c", split="train")


class TestBapps:
    def test_files_meet_by_stem(self, tmp_path: Path) -> None:
        data = load_bapps(bapps(tmp_path, {"cnn/000001": 0.0, "cnn/000000": 0.8, "mix/000000": 1.0}), split="train")
        assert [(t.name, t.group) for t in data.triplets] == [
            ("cnn/000000", "cnn"),
            ("cnn/000001", "cnn"),
            ("mix/000000", "mix"),
        ]
        assert data.triplets[0].preference == pytest.approx(0.8)
        assert [p.parent.name for p in data.triplets[0].files] == ["ref", "p0", "p1"]
        assert data.triplets[0].votes is None

    def test_the_root_may_be_2afc_itself(self, tmp_path: Path) -> None:
        bapps(tmp_path, {"cnn/000000": 0.5})
        assert len(load_bapps(tmp_path / "2afc", split="train").triplets) == 1

    def test_other_kinds_are_skipped(self, tmp_path: Path) -> None:
        folder = bapps(tmp_path, {"cnn/000000": 0.5, "mix/000000": 0.5, "mix/000001": 0.5})
        data = load_bapps(folder, split="train", kinds=("cnn",))
        assert (len(data.triplets), dict(data.skipped), data.seen) == (1, {"other-kind": 2}, 3)
        with pytest.raises(UsageError, match=r"no kind color; there are: cnn, mix"):
            load_bapps(folder, split="train", kinds=("color",))

    @pytest.mark.parametrize(
        "judgement",
        [
            *(1.5, -0.1, float("nan"), [0.5, 0.5], [], [True], 0.5j, "half", {"a": 1}),
            *(b"\x93NUMPY", b"", b"0.5", b"PK\x03\x04", b"x" * 5000),
        ],
    )
    def test_a_judgement_that_is_no_share_is_rejected(self, tmp_path: Path, judgement: object) -> None:
        folder = bapps(tmp_path, {"cnn/000000": 0.5, "cnn/000001": 0.5})
        file = folder / "2afc/train/cnn/judge/000001.npy"
        if isinstance(judgement, bytes):
            file.write_bytes(judgement)
        else:
            np.save(file, np.array(judgement, dtype=object if isinstance(judgement, dict) else None))
        data = load_bapps(folder, split="train")
        assert [t.name for t in data.triplets] == ["cnn/000000"]
        assert data.reject_counts() == {"bad-judgement": 1}
        assert data.rejects[0].file == "2afc/train/cnn/judge/000001.npy"

    def test_a_pickle_is_never_run(self, tmp_path: Path) -> None:
        ran = tmp_path / "ran"

        class Trap:
            def __reduce__(self) -> tuple[object, ...]:
                return Path.touch, (ran,)

        folder = bapps(tmp_path, {"cnn/000000": 0.5})
        judge = folder / "2afc/train/cnn/judge/000000.npy"
        np.save(judge, np.array(Trap(), dtype=object), allow_pickle=True)
        assert load_bapps(folder, split="train").reject_counts() == {"bad-judgement": 1}
        judge.write_bytes(pickle.dumps(Trap()))
        assert load_bapps(folder, split="train").reject_counts() == {"bad-judgement": 1}
        assert not ran.exists()

    @pytest.mark.parametrize("part", ["ref", "p0", "p1", "judge"])
    def test_a_triplet_without_one_of_its_files_is_rejected(self, tmp_path: Path, part: str) -> None:
        folder = bapps(tmp_path, {"cnn/000000": 0.5, "cnn/000001": 0.5})
        next((folder / "2afc/train/cnn" / part).glob("000001.*")).unlink()
        data = load_bapps(folder, split="train")
        assert data.reject_counts() == {"missing-file": 1}
        assert part in data.rejects[0].detail
        assert data.rejects[0].file.startswith(f"2afc/train/cnn/{part}/000001.")

    def test_junk_beside_the_files_is_no_row(self, tmp_path: Path) -> None:
        folder = bapps(tmp_path, {"cnn/000000": 0.5})
        for name in ("p0/._000000.png", "p1/Thumbs.db", "judge/._000000.npy"):
            (folder / "2afc/train/cnn" / name).write_bytes(b"junk")
        data = load_bapps(folder, split="train")
        assert (data.seen, len(data.triplets)) == (1, 1)

    def test_an_empty_image_is_named(self, tmp_path: Path) -> None:
        folder = bapps(tmp_path, {"cnn/000000": 0.5})
        (folder / "2afc/train/cnn/p0/000000.png").write_bytes(b"")
        (reject,) = load_bapps(folder, split="train").rejects
        assert (reject.reason, reject.file) == ("zero-byte", "2afc/train/cnn/p0/000000.png")

    def test_two_files_of_one_stem_are_ambiguous(self, tmp_path: Path) -> None:
        folder = bapps(tmp_path, {"cnn/000000": 0.5})
        draw(folder / "2afc/train/cnn/ref/000000.jpg", 9)
        assert load_bapps(folder, split="train").reject_counts() == {"ambiguous": 1}

    def test_a_kind_without_one_of_its_folders_is_named(self, tmp_path: Path) -> None:
        folder = bapps(tmp_path, {"cnn/000000": 0.5, "mix/000000": 0.5})
        (folder / "2afc/train/mix/judge").rename(folder / "2afc/train/mix/judgements")
        (folder / "2afc/train/notes").mkdir()
        data = load_bapps(folder, split="train")
        assert [t.name for t in data.triplets] == ["cnn/000000"]
        assert [(r.file, r.reason) for r in data.rejects] == [("2afc/train/mix/judge", "missing-folder")]

    def test_the_papers_subset_is_what_all_judged_alike(self, tmp_path: Path) -> None:
        folder = bapps(tmp_path, {"cnn/000000": 0.0, "cnn/000001": 0.2, "cnn/000002": 1.0, "mix/000000": 0.5})
        data = load_triplets(folder, split="train", unanimous=True)
        assert [t.name for t in data.triplets] == ["cnn/000000", "cnn/000002"]
        assert dict(data.skipped) == {"not-unanimous": 2}
        assert data.seen == 4
        assert data.describe()["kept"] == 2


class TestLayouts:
    def test_the_layout_is_told_by_content(self, tmp_path: Path) -> None:
        assert identify(nights(tmp_path / "a", [row(1)])) == "nights"
        assert identify(bapps(tmp_path / "b", {"cnn/000000": 0.5})) == "bapps"
        assert load_triplets(tmp_path / "a", split="train").layout == "nights"
        assert load_triplets(tmp_path / "a").split == "test"
        assert load_triplets(tmp_path / "b", split="train").layout == "bapps"

    def test_what_is_neither_or_both_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no 2AFC data set.*left_vote"):
            identify(tmp_path)
        with pytest.raises(UsageError, match="not a folder"):
            identify(tmp_path / "absent")
        bapps(nights(tmp_path, [row(1)]), {"cnn/000000": 0.5})
        with pytest.raises(UsageError, match="nights and bapps"):
            identify(tmp_path)
        assert load_triplets(tmp_path, split="train", layout="bapps").layout == "bapps"
        with pytest.raises(UsageError, match="unknown layout 'tid'"):
            load_triplets(tmp_path, split="train", layout="tid")

    def test_the_digest_follows_rows_and_judgements(self, tmp_path: Path) -> None:
        digests = [
            load_nights(nights(tmp_path / name, rows), split="train").digest()
            for name, rows in {"a": [row(1)], "b": [row(1)], "c": [row(1, left_vote=1)], "d": [row(1), row(2)]}.items()
        ]
        assert digests[0] == digests[1]
        assert len(set(digests)) == 3


def test_a_triplet_checks_itself() -> None:
    paths = Path("r"), Path("a"), Path("b")
    with pytest.raises(ValueError, match="share between 0 and 1"):
        Triplet("x", *paths, preference=1.2)
    with pytest.raises(ValueError, match="at least one vote"):
        Triplet("x", *paths, preference=0.5, votes=0)


def test_the_documented_columns_are_those_that_are_read() -> None:
    assert set(COLUMNS) == set(HEADER) - {"prompt"}
