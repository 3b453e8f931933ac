"""Training images: one store whatever they come in, decoded once, made again when a source changes."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from drawn import Quiet, draw
from PIL import Image

from retr.core.errors import IntegrityError, UsageError
from retr.images.decode import load
from retr.images.policy import DecodePolicy
from retr.training.data import ImageStore, open_store

SIDE = 16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(9):
        draw(tmp_path / "images" / f"{seed:03d}.png", seed)
    return tmp_path / "images"


def shard(path: Path, folder: Path, names: slice = slice(None)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for file in sorted(folder.iterdir())[names]:
            archive.add(file, file.name)
    return path


def opened(*sources: Path, cache: Path, workers: int = 2, side: int = SIDE) -> ImageStore:
    return open_store(list(sources), side=side, cache=cache, workers=workers, progress=Quiet())


def same(a: ImageStore, b: ImageStore) -> bool:
    arrays = np.array_equal(a.pixels, b.pixels) and np.array_equal(a.aspect, b.aspect)
    return arrays and (a.names, a.digest, a.rejected) == (b.names, b.digest, b.rejected)


class TestSources:
    def test_a_folder_a_shard_and_a_folder_of_shards_give_the_same_store(self, folder: Path, tmp_path: Path) -> None:
        whole = shard(tmp_path / "whole.tar", folder)
        for number, part in enumerate((slice(0, 4), slice(4, None))):
            shard(tmp_path / "shards" / f"{number}.tar", folder, part)
        (tmp_path / "shards" / "manifest.csv").write_text("key\n")
        stores = [opened(source, cache=tmp_path / f"c{i}") for i, source in enumerate((folder, whole, whole.parent))]
        assert same(stores[0], stores[1])
        shards = opened(tmp_path / "shards", cache=tmp_path / "c")
        assert same(stores[0], shards)

    def test_rows_do_not_depend_on_the_number_of_threads(self, folder: Path, tmp_path: Path) -> None:
        assert same(opened(folder, cache=tmp_path / "a", workers=1), opened(folder, cache=tmp_path / "b", workers=5))

    def test_sources_follow_one_another(self, folder: Path, tmp_path: Path) -> None:
        twice = opened(folder, folder / "003.png", cache=tmp_path / "c")
        assert twice.names[-2:] == ("008.png", "003.png")
        assert np.array_equal(twice.pixels[-1], twice.pixels[3])

    def test_pixels_are_the_squashed_image(self, folder: Path, tmp_path: Path) -> None:
        store, image = opened(folder, cache=tmp_path / "c"), load(folder / "004.png", policy=DecodePolicy())
        squashed = Image.fromarray(image.pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        assert np.array_equal(store.pixels[4], np.asarray(squashed))
        assert store.aspect[4] == np.float32(image.width / image.height)
        assert store.pixels.shape == (9, SIDE, SIDE, 3)

    def test_bad_files_are_counted_and_left_out(self, folder: Path, tmp_path: Path) -> None:
        (folder / "004a.jpg").write_bytes(b"")
        (folder / "005a.jpg").write_bytes((folder / "005.png").read_bytes()[:-200])
        watcher = Quiet()
        store = open_store([folder], side=SIDE, cache=tmp_path / "c", workers=2, progress=watcher)
        assert (len(store), watcher.done, watcher.total) == (9, 11, 11)
        assert [name for name, _ in store.rejected] == ["004a.jpg", "005a.jpg"]
        assert store.describe()["rejected"] == {"truncated": 1, "zero-byte": 1}

    @pytest.mark.parametrize("source", ["nowhere", "empty"])
    def test_a_source_without_images_is_refused(self, source: str, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(UsageError, match=source):
            opened(tmp_path / source, cache=tmp_path / "c")

    def test_only_bad_files_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "bad.png").write_bytes(b"")
        with pytest.raises(UsageError, match="none of 1 files"):
            opened(tmp_path / "bad.png", cache=tmp_path / "c")
        assert list((tmp_path / "c").iterdir()) == []

    def test_a_damaged_shard_is_an_error(self, folder: Path, tmp_path: Path) -> None:
        file = shard(tmp_path / "cut.tar", folder)
        file.write_bytes(file.read_bytes()[:1300])
        with pytest.raises(IntegrityError, match=r"cut\.tar"):
            opened(file, cache=tmp_path / "c")


class TestCache:
    def test_the_second_time_nothing_is_decoded(self, folder: Path, tmp_path: Path) -> None:
        first = opened(folder, cache=tmp_path / "c")
        watcher = Quiet()
        second = open_store([folder], side=SIDE, cache=tmp_path / "c", workers=1, progress=watcher)
        assert same(first, second)
        assert not hasattr(watcher, "total")

    def test_a_changed_file_makes_it_again(self, folder: Path, tmp_path: Path) -> None:
        before = opened(folder, cache=tmp_path / "c").digest
        draw(folder / "002.png", 100)
        after = opened(folder, cache=tmp_path / "c")
        assert after.digest != before
        assert np.array_equal(after.pixels, opened(folder, cache=tmp_path / "fresh").pixels)

    def test_a_new_time_of_change_is_enough(self, folder: Path, tmp_path: Path) -> None:
        opened(folder, cache=tmp_path / "c")
        os.utime(folder / "002.png", ns=(1, 1))
        watcher = Quiet()
        open_store([folder], side=SIDE, cache=tmp_path / "c", workers=1, progress=watcher)
        assert watcher.total == 9

    @pytest.mark.parametrize("damage", ["cut pixels", "no pixels", "cut facts"])
    def test_a_damaged_cache_is_made_again(self, folder: Path, tmp_path: Path, damage: str) -> None:
        first = opened(folder, cache=tmp_path / "c")
        pixels, digest = np.array(first.pixels), first.digest
        file = tmp_path / "c" / f"images-{SIDE}.{'json' if 'facts' in damage else 'npy'}"
        data = file.read_bytes()
        file.unlink()
        if "no" not in damage.split():
            file.write_bytes(data[:-100])
        again = opened(folder, cache=tmp_path / "c")
        assert np.array_equal(again.pixels, pixels)
        assert again.digest == digest

    def test_sides_live_beside_one_another(self, folder: Path, tmp_path: Path) -> None:
        assert opened(folder, cache=tmp_path / "c", side=8).side == 8
        assert opened(folder, cache=tmp_path / "c").side == SIDE
        assert len(list((tmp_path / "c").glob("*.npy"))) == 2

    def test_the_facts_are_plain_json(self, folder: Path, tmp_path: Path) -> None:
        opened(folder, cache=tmp_path / "c")
        facts = json.loads((tmp_path / "c" / f"images-{SIDE}.json").read_text())
        assert facts["names"][0] == "000.png"


class TestSplit:
    def test_it_is_a_partition_that_the_seed_decides(self, folder: Path, tmp_path: Path) -> None:
        store = opened(folder, cache=tmp_path / "c")
        train, held = store.split(1, 3)
        assert sorted([*train, *held]) == list(range(9))
        assert len(held) == 3
        assert [list(x) for x in store.split(1, 3)] == [list(train), list(held)]
        assert any(list(store.split(seed, 3)[1]) != list(held) for seed in range(2, 6))

    @pytest.mark.parametrize("holdout", [-1, 9])
    def test_something_must_remain(self, folder: Path, tmp_path: Path, holdout: int) -> None:
        with pytest.raises(UsageError, match="hold-out"):
            opened(folder, cache=tmp_path / "c").split(0, holdout)
