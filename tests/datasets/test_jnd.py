"""BAPPS' JND part, written small: pairs met by stem, ``same`` files with one share each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn import draw

from retr.core.errors import UsageError
from retr.datasets.jnd import JndPair, load_jnd

ROOT = "jnd/val/cnn"


def jnd(folder: Path, shares: dict[str, float]) -> Path:
    for seed, (name, share) in enumerate(shares.items()):
        kind, stem = name.split("/")
        base = folder / "jnd/val" / kind
        for part in ("p0", "p1"):
            draw(base / part / f"{stem}.png", seed)
        (base / "same").mkdir(exist_ok=True)
        np.save(base / "same" / f"{stem}.npy", np.array([share]))
    return folder


def test_files_meet_by_stem(tmp_path: Path) -> None:
    data = load_jnd(jnd(tmp_path, {"traditional/000002": 1.0, "cnn/000001": 0.25, "cnn/000000": 0.0}))
    assert [(p.name, p.group, p.same) for p in data.rows] == [
        ("cnn/000000", "cnn", 0.0),
        ("cnn/000001", "cnn", 0.25),
        ("traditional/000002", "traditional", 1.0),
    ]
    assert [p.parent.name for p in (data.rows[0].first, data.rows[0].second)] == ["p0", "p1"]
    assert (data.seen, data.rejects) == (3, ())


def test_the_root_may_be_jnd_itself_and_kinds_may_be_named(tmp_path: Path) -> None:
    jnd(tmp_path, {"cnn/000000": 0.5, "traditional/000000": 0.5})
    data = load_jnd(tmp_path / "jnd", kinds=("cnn",))
    assert (len(data.rows), dict(data.skipped)) == (1, {"other-kind": 1})
    with pytest.raises(UsageError, match="no kind mix; there are: cnn, traditional"):
        load_jnd(tmp_path, kinds=("mix",))


def test_junk_beside_the_files_is_no_row(tmp_path: Path) -> None:
    jnd(tmp_path, {"cnn/000000": 0.5})
    for name in ("p0/._000000.png", "p1/Thumbs.db", "same/._000000.npy"):
        (tmp_path / ROOT / name).write_bytes(b"junk")
    data = load_jnd(tmp_path)
    assert (data.seen, len(data.rows)) == (1, 1)


@pytest.mark.parametrize(
    ("share", "reason"),
    [
        (np.array([1.5]), "bad-judgement"),
        (np.array([np.nan]), "bad-judgement"),
        (np.array([0.2, 0.8]), "bad-judgement"),
        (np.array(["same"]), "bad-judgement"),
        (np.zeros(0), "bad-judgement"),
        (np.array([True]), "bad-judgement"),
        (np.array([0.5j]), "bad-judgement"),
        (b"", "bad-judgement"),
        (b"0.5", "bad-judgement"),
        (b"PK\x03\x04", "bad-judgement"),
    ],
)
def test_a_share_that_is_none_is_rejected_by_file(tmp_path: Path, share: np.ndarray | bytes, reason: str) -> None:
    file = jnd(tmp_path, {"cnn/000000": 0.5, "cnn/000001": 0.5}) / ROOT / "same/000001.npy"
    file.write_bytes(share) if isinstance(share, bytes) else np.save(file, share)
    data = load_jnd(tmp_path)
    assert [p.name for p in data.rows] == ["cnn/000000"]
    (reject,) = data.rejects
    assert (reject.name, reject.reason, reject.file) == ("cnn/000001", reason, f"{ROOT}/same/000001.npy")


@pytest.mark.parametrize("part", ["p0", "p1", "same"])
def test_a_pair_without_one_of_its_files_is_rejected_by_file(tmp_path: Path, part: str) -> None:
    jnd(tmp_path, {"cnn/000000": 0.5, "cnn/000001": 0.5})
    (gone,) = (tmp_path / ROOT / part).glob("000001.*")
    gone.unlink()
    (reject,) = load_jnd(tmp_path).rejects
    assert (reject.reason, reject.file) == ("missing-file", f"{ROOT}/{part}/{gone.name}")


def test_an_empty_and_a_double_image_are_named(tmp_path: Path) -> None:
    jnd(tmp_path, {"cnn/000000": 0.5, "cnn/000001": 0.5})
    (tmp_path / ROOT / "p0/000000.png").write_bytes(b"")
    draw(tmp_path / ROOT / "p1/000001.jpg", 4)
    assert [(r.reason, r.file) for r in load_jnd(tmp_path).rejects] == [
        ("zero-byte", f"{ROOT}/p0/000000.png"),
        ("ambiguous", f"{ROOT}/p1/000001.png"),
    ]


def test_another_folder_or_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no jnd/val/<kind>"):
        load_jnd(tmp_path)
    with pytest.raises(UsageError, match="no split 'train'"):
        load_jnd(jnd(tmp_path, {"cnn/000000": 0.5}), split="train")


def test_a_pair_checks_itself() -> None:
    with pytest.raises(ValueError, match="share between 0 and 1"):
        JndPair("x", Path("a"), Path("b"), 1.1)
