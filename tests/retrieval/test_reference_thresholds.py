"""An index as it comes: what a duplicate, a burst, a page and a handful of pictures do to its verdicts."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from drawn import Quiet
from PIL import Image, ImageDraw, ImageFilter

from retr.indexer.build import IndexOptions, build_index
from retr.indexer.info import describe_index
from retr.retrieval.engine import Engine
from retr.retrieval.query import query_files


def blob(seed: int) -> Image.Image:
    """A smooth picture like no other."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype="uint8")
    return Image.fromarray(small).resize((240, 180), Image.Resampling.BICUBIC)


def text_page(seed: int) -> Image.Image:
    """A page of words in one layout, the words being bars."""
    rng, page = random.Random(seed), Image.new("L", (850, 1100), 255)
    draw = ImageDraw.Draw(page)
    for y in range(80, 1010, 24):
        x = 80
        while x < 760:
            width = rng.randint(8, 90)
            draw.rectangle((x, y, min(x + width, 770), y + 11), fill=0)
            x += width + 8
    return page


def save(folder: Path, **pictures: Image.Image) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, picture in pictures.items():
        kind = name.rpartition("_")[2]
        paths.append(str(folder / f"{name}.{kind if kind == 'jpg' else 'png'}"))
        picture.save(paths[-1], quality=85)
    return paths


def index_of(home: Path, **pictures: Image.Image) -> Path:
    save(home / "corpus", **pictures)
    build_index(str(home / "corpus"), home / "index", IndexOptions(workers=1), Quiet())
    return home / "index"


def verdicts(index: Path, paths: list[str], **options) -> list[str | None]:
    found = query_files(Engine.open(index, device="cpu"), paths, k=1, **options)
    return [outcome.answer.point_verdict for outcome in found if outcome.answer is not None]


@pytest.fixture(scope="module")
def twelve() -> dict[str, Image.Image]:
    return {f"p{seed:02d}": blob(seed) for seed in range(12)}


@pytest.fixture(scope="module")
def edited(tmp_path_factory, twelve) -> list[str]:
    picture = twelve["p03"]
    crop, half = picture.crop((12, 9, 228, 171)), picture.resize((120, 90))
    return save(tmp_path_factory.mktemp("edited"), crop_jpg=crop, half_jpg=half)


def test_a_duplicate_and_a_burst_do_not_switch_detection_off(tmp_path, twelve, edited):
    burst = {f"burst{n}": twelve["p05"].rotate(0.4 * n).filter(ImageFilter.GaussianBlur(0.3 * n)) for n in (1, 2)}
    index = index_of(tmp_path, **twelve, again_jpg=twelve["p07"], **burst)
    assert verdicts(index, edited) == ["copy", "copy"]
    assert describe_index(index)["presumed_copies"] == 5
    bare = index_of(tmp_path / "bare", **twelve)
    assert verdicts(bare, edited) == ["copy", "copy"]
    assert describe_index(bare)["presumed_copies"] == 0


def test_ten_pictures_take_no_unrelated_one_for_a_copy(tmp_path, twelve):
    index = index_of(tmp_path, **{name: twelve[name] for name in sorted(twelve)[:10]})
    absent = save(tmp_path / "absent", **{f"q{seed}": blob(1000 + seed) for seed in range(40)})
    assert verdicts(index, absent).count("copy") == 0


def test_other_pages_are_no_copies_of_one_page_among_pictures(tmp_path, twelve):
    index = index_of(tmp_path, **twelve, page=text_page(0))
    others = save(tmp_path / "others", **{f"page{seed}": text_page(seed) for seed in range(1, 9)})
    rescan = text_page(0).rotate(1, fillcolor=255).resize((425, 550))
    rescan.save(tmp_path / "rescan.jpg", quality=50)
    assert verdicts(index, others) == ["not-a-copy"] * 8
    assert verdicts(index, [str(tmp_path / "rescan.jpg"), str(tmp_path / "corpus" / "page.png")]) == ["copy"] * 2
