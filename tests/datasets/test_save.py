"""Triplets written in the layout of BAPPS come back as they were; nothing is overwritten, nothing is left half done."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retr.core.errors import UsageError
from retr.datasets import save
from retr.datasets.layouts import load_triplets
from retr.datasets.pixels import LazyTriplets, open_images
from retr.datasets.save import write_as_bapps
from retr.datasets.synthetic import synthetic


@pytest.fixture
def triplets(tmp_path: Path) -> LazyTriplets:
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{seed}.png")
    Image.new("RGB", (40, 40)).save(photos / "flat.png")
    return synthetic(photos, side=32, count=8, kinds=("blur", "jpeg"))


def test_what_is_written_comes_back(triplets: LazyTriplets, tmp_path: Path) -> None:
    told: list[int] = []
    written = write_as_bapps(triplets, tmp_path / "out", wrote=told.append)
    assert written.count == 6
    assert told == [1, 2, 3, 4, 5, 6]
    assert {(r.file, r.reason) for r in written.rejects} == {("flat.png", "no-effect")}
    back = open_images(load_triplets(tmp_path / "out"), side=32)
    names = json.loads(written.facts.read_text())["names"]
    before = {t.name: t for t in triplets.select([i for i, p in enumerate(triplets.places) if "flat" not in p.name])}
    assert [p.name for p in back.places] == sorted(names)
    for triplet in back:
        original = before[names[triplet.name]]
        assert triplet.preference == original.preference
        assert triplet.group == original.group
        assert all(np.array_equal(a, b) for a, b in zip(triplet.images, original.images, strict=True))


def test_the_facts_say_where_it_is_from(triplets: LazyTriplets, tmp_path: Path) -> None:
    facts = json.loads(write_as_bapps(triplets, tmp_path / "out", split="train").facts.read_text())
    assert (facts["format"], facts["split"]) == ("retr.triplets/1", "train")
    assert facts["triplets"]["sha256"] == triplets.digest
    assert facts["triplets"]["source"]["seed"] == 0


def test_a_split_that_is_there_is_not_touched(triplets: LazyTriplets, tmp_path: Path) -> None:
    write_as_bapps(triplets, tmp_path / "out")
    before = sorted(p for p in (tmp_path / "out").rglob("*"))
    with pytest.raises(UsageError, match="is there already"):
        write_as_bapps(triplets, tmp_path / "out")
    assert sorted(p for p in (tmp_path / "out").rglob("*")) == before
    write_as_bapps(triplets, tmp_path / "out", split="train")
    with pytest.raises(UsageError, match="no split 'test'"):
        write_as_bapps(triplets, tmp_path / "out", split="test")


def test_an_interruption_leaves_nothing_that_could_be_read(
    triplets: LazyTriplets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_one, calls = save._write_one, iter(range(9))

    def interrupted(*args: object) -> None:
        if next(calls) == 3:
            raise KeyboardInterrupt
        write_one(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(save, "_write_one", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_as_bapps(triplets, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_set_of_which_nothing_can_be_made_is_refused(triplets: LazyTriplets, tmp_path: Path) -> None:
    flat = triplets.select([i for i, p in enumerate(triplets.places) if "flat" in p.name])
    with pytest.raises(UsageError, match=r"not one of 2 triplets.*flat\.png"):
        write_as_bapps(flat, tmp_path / "out")
    assert not (tmp_path / "out/2afc").exists()
