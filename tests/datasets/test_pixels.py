"""Triplets with pixels: decoded on demand, at one size, with accounts; broken images are named and the rest goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retr.core.errors import UsageError
from retr.datasets.bapps import load_bapps
from retr.datasets.pixels import open_images
from retr.datasets.rows import RejectedRow
from retr.datasets.triplets import Triplet

SHARES = {"cnn/000000": 0.0, "cnn/000001": 0.4, "color/000000": 1.0, "color/000001": 1.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, (name, share) in enumerate(SHARES.items()):
        kind, stem = name.split("/")
        base = tmp_path / "2afc/val" / kind
        for place, part in enumerate(("ref", "p0", "p1")):
            (base / part).mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng([seed, place]).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(base / part / f"{stem}.png")
        (base / "judge").mkdir(exist_ok=True)
        np.save(base / "judge" / f"{stem}.npy", np.array([share], dtype=np.float32))
    return tmp_path


def test_pixels_are_those_of_the_files(folder: Path) -> None:
    data = load_bapps(folder, split="val")
    triplets = open_images(data, side=64)
    assert len(triplets) == 4
    triplet = triplets[1]
    assert (triplet.name, triplet.group, triplet.preference) == ("cnn/000001", "cnn", pytest.approx(0.4))
    for image, file in zip(triplet.images, data.triplets[1].files, strict=True):
        assert np.array_equal(image, np.asarray(Image.open(file)))
    assert [t.name for t in triplets] == list(SHARES)
    assert triplets[-1].name == "color/000001"
    with pytest.raises(IndexError):
        triplets[4]


def test_a_side_resizes_as_pillow_does(folder: Path) -> None:
    data = load_bapps(folder, split="val")
    image = open_images(data, side=24)[0].reference
    whole = Image.open(data.triplets[0].reference)
    assert np.array_equal(image, np.asarray(whole.resize((24, 24), Image.Resampling.BILINEAR)))
    assert open_images(data, side=None)[0].reference.shape == (64, 64, 3)
    for side in (0, 4097):
        with pytest.raises(UsageError, match="a side is 1 to 4096"):
            open_images(data, side=side)


def test_nothing_is_opened_before_it_is_asked_for(folder: Path) -> None:
    triplets = open_images(load_bapps(folder, split="val"), side=64)
    (folder / "2afc/val/cnn/p1/000000.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert triplets[1:3][0].name == "cnn/000001"
    with pytest.raises(UsageError, match=r"2afc/val/cnn/p1/000000\.png, cnn/000000: \w+: decode"):
        triplets[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"<html>404</html>", "not-an-image"),
        (None, "not-found"),
        ("half", "truncated"),
        ("small", "other-size"),
    ],
)
def test_a_broken_image_is_one_reject_by_file_and_reason(
    folder: Path, content: bytes | str | None, reason: str
) -> None:
    triplets = open_images(load_bapps(folder, split="val"), side=None)
    file = folder / "2afc/val/color/p0/000000.png"
    if content is None:
        file.unlink()
    elif content == "half":
        file.write_bytes(file.read_bytes()[:5000])
    elif content == "small":
        Image.new("RGB", (32, 64)).save(file)
    else:
        assert isinstance(content, bytes)
        file.write_bytes(content)
    outcomes = list(triplets.outcomes())
    assert [type(o) for o in outcomes] == [Triplet, Triplet, RejectedRow, Triplet]
    reject = outcomes[2]
    assert isinstance(reject, RejectedRow)
    assert (reject.name, reject.reason, reject.file) == ("color/000000", reason, "2afc/val/color/p0/000000.png")


def test_a_selection_is_lazy_and_has_its_own_digest(folder: Path) -> None:
    triplets = open_images(load_bapps(folder, split="val"), side=64)
    assert [t.name for t in triplets.select([3, 0])] == ["color/000001", "cnn/000000"]
    assert [t.name for t in triplets[::-2][:1]] == ["color/000001"]
    digests = {
        triplets.digest,
        triplets[:2].digest,
        triplets[2:].digest,
        open_images(load_bapps(folder, split="val"), side=32).digest,
    }
    assert len(digests) == 4
    assert triplets[:2].digest == triplets.select([0, 1]).digest
    assert triplets.groups() == {"cnn": 2, "color": 2}


def test_a_sample_depends_on_names_not_on_positions(folder: Path) -> None:
    triplets = open_images(load_bapps(folder, split="val"), side=64)
    names = [[p.name for p in triplets.sample(2, seed=seed).places] for seed in range(20)]
    assert names == [[p.name for p in triplets.sample(2, seed=seed).places] for seed in range(20)]
    assert names == [
        sorted(p.name for p in triplets.select([3, 2, 1, 0]).sample(2, seed=seed).places) for seed in range(20)
    ]
    assert len({tuple(each) for each in names}) > 2
    assert len(triplets.sample(9, seed=0)) == 4
    with pytest.raises(UsageError, match="at least one triplet"):
        triplets.sample(0, seed=0)


def test_records_say_what_was_seen(folder: Path) -> None:
    (folder / "2afc/val/cnn/judge/000001.npy").unlink()
    facts = open_images(load_bapps(folder, split="val"), side=64)[:2].describe()
    assert (facts["triplets"], facts["side"]) == (2, 64)
    assert facts["source"]["rejected"] == {"missing-file": 1}
    assert (facts["source"]["seen"], facts["source"]["kept"]) == (4, 3)


def test_a_split_without_a_triplet_says_why(folder: Path) -> None:
    for file in (folder / "2afc/val").glob("*/p0/*"):
        file.unlink()
    with pytest.raises(UsageError, match=r"no usable triplet in val: 4 × missing-file; the first: 2afc/val/cnn/p0/0"):
        open_images(load_bapps(folder, split="val"), side=64)
