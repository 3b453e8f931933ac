"""Images whose folder is their label: read with accounts, parted into gallery and queries by seed and name."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import draw

from retr.core.errors import UsageError
from retr.datasets.labelled import LabelledSet, load_labelled, same_labels, split_labelled


def folders(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        draw(root / name, seed)
    return root


SIX = ("cat/1.png", "cat/2.jpg", "cat/deep/3.png", "dog/1.png", "dog/2.png", "dog/sub/4.png")


def test_the_label_is_the_name_of_the_folder(tmp_path: Path) -> None:
    data = load_labelled(folders(tmp_path, *SIX))
    assert [(i.name, i.label) for i in data.rows] == [(name, name.split("/")[0]) for name in SIX]
    assert data.labels() == {"cat": 3, "dog": 3}
    assert all(i.file.is_file() for i in data.rows)
    assert data.only(["dog"]).labels() == {"dog": 3}
    assert data.only(["dog"]).seen == 6


def test_a_label_may_be_several_folders_deep(tmp_path: Path) -> None:
    data = load_labelled(folders(tmp_path, *SIX), level=2)
    assert data.labels() == {"cat/deep": 1, "dog/sub": 1}
    assert data.reject_counts() == {"no-label": 4}


def test_odd_files_are_named_or_counted(tmp_path: Path) -> None:
    folders(tmp_path, *SIX, "stray.png")
    (tmp_path / "dog/readme.txt").write_text("x")
    (tmp_path / "dog/.hidden.png").write_text("x")
    (tmp_path / "cat/empty.png").touch()
    (tmp_path / "cow").mkdir()
    (tmp_path / "hen").symlink_to(tmp_path / "cat", target_is_directory=True)
    data = load_labelled(tmp_path)
    assert {(r.file, r.reason) for r in data.rejects} == {
        ("stray.png", "no-label"),
        ("cat/empty.png", "zero-byte"),
        ("cow", "empty-label"),
        ("hen", "linked-label"),
    }
    assert dict(data.skipped) == {"not-an-image": 1}
    assert len(data.rows) == 6


def test_gallery_and_queries_share_labels_and_no_image(tmp_path: Path) -> None:
    data = load_labelled(folders(tmp_path, *SIX))
    gallery, queries = split_labelled(data, queries=1, seed=0)
    assert gallery.labels() == {"cat": 2, "dog": 2}
    assert queries.labels() == {"cat": 1, "dog": 1}
    assert {i.name for i in gallery.rows} | {i.name for i in queries.rows} == set(SIX)
    assert gallery.digest() != queries.digest()
    assert (gallery.split, queries.split) == ("gallery", "queries")
    same_labels(gallery, queries)

    def asked(seed: int) -> tuple[str, ...]:
        return tuple(i.name for i in split_labelled(data, queries=1, seed=seed)[1].rows)

    assert asked(0) == tuple(i.name for i in queries.rows)
    assert len({asked(seed) for seed in range(20)}) > 3


def test_labels_that_cannot_be_parted_are_named(tmp_path: Path) -> None:
    data = load_labelled(folders(tmp_path, *SIX, "ant/1.png"))
    with pytest.raises(UsageError, match="no more than 1 images: ant; ask fewer"):
        split_labelled(data, queries=1, seed=0)
    assert isinstance(split_labelled(data.only(["cat", "dog"]), queries=2, seed=0)[0], LabelledSet)
    with pytest.raises(UsageError, match="at least one query"):
        split_labelled(data, queries=0, seed=0)


def test_queries_of_an_unknown_label_are_refused(tmp_path: Path) -> None:
    gallery = load_labelled(folders(tmp_path / "train", "cat/1.png"))
    queries = load_labelled(folders(tmp_path / "val", "cat/1.png", "elk/1.png"))
    with pytest.raises(UsageError, match="no image of elk"):
        same_labels(gallery, queries)


def test_folders_without_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no image in a folder 1 deep"):
        load_labelled(folders(tmp_path, "a.png"))
    with pytest.raises(UsageError, match="at least one folder"):
        load_labelled(tmp_path, level=0)
    with pytest.raises(UsageError, match="not a folder"):
        load_labelled(tmp_path / "gone")
