"""Images without a direction: stored, found by their pixels alone, and never in the way of what is proved."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn import Quiet, draw
from PIL import Image

from retr.indexer.build import IndexOptions, build_index
from retr.indexer.held import read_held
from retr.indexer.info import describe_index, list_rejects
from retr.indexer.options import IndexReport
from retr.indexer.snapshot import SCHEMA_BLANK, SCHEMA_SHARE, require_current
from retr.indexer.writer import Writer
from retr.retrieval.engine import Engine

FLAT = {"white.png": (255, 255, 255), "blue.png": (3, 40, 220)}


def run(root: Path, **options: object) -> IndexReport:
    models = ("block-means:4",)
    return build_index(str(root / "corpus"), root / "index", IndexOptions(models=models, **options), Quiet())  # pyright: ignore[reportArgumentType]


def one_level(side: int = 64) -> Image.Image:
    """All but flat: one value in one channel differs by one level."""
    pixels = np.full((side, side, 3), 200, dtype=np.uint8)
    pixels[3, 4, 1] = 201
    return Image.fromarray(pixels)


def make(root: Path) -> Path:
    for number in range(6):
        draw(root / "corpus" / f"{number}.png", number)
    for name, colour in FLAT.items():
        Image.new("RGB", (60, 40), colour).save(root / "corpus" / name)
    one_level().save(root / "corpus" / "one-level.png")
    report = run(root)
    assert (report.indexed, report.rejected) == (9, 0)
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("blank"))


@pytest.fixture(scope="module")
def engine(made) -> Engine:
    return Engine.open(made / "index", threshold=0.9)


@pytest.fixture
def root(tmp_path) -> Path:
    return make(tmp_path)


def levels(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((40, 60, 3), colour, dtype=np.uint8)


@pytest.mark.parametrize("name", FLAT)
@pytest.mark.parametrize("as_floats", [False, True])
def test_equal_pixels_match_whatever_the_network_sees(engine, name, as_floats):
    pixels = levels(FLAT[name])
    found = engine.answer(pixels / 255.0 if as_floats else pixels, k=3, certify=True, eps_l2=1.0)
    assert (found.verdict, found.point_verdict, found.verdict_because) == ("copy", "copy", None)
    [match] = found.matches
    assert (Path(match.path).name, match.channel, match.accepted) == (name, "pixels", True)
    assert found.certificate is None
    assert "is flat to block-means" in found.withheld
    assert "nothing is proved" in found.withheld
    assert (match.copy, match.top1, match.topk, found.copy, found.eps) == (None,) * 5


@pytest.mark.parametrize(("row", "column", "part", "level"), [(0, 0, 0, 4), (39, 59, 2, 219)])
def test_one_value_more_or_less_is_no_match(engine, row, column, part, level):
    pixels = levels(FLAT["blue.png"])
    pixels[row, column, part] = level
    found = engine.answer(pixels, k=30)
    assert len(found.matches) == 7
    assert all(Path(match.path).name not in FLAT for match in found.matches)


def test_another_size_or_colour_is_no_match(engine):
    for pixels in (np.full((41, 60, 3), 255, dtype=np.uint8), levels((255, 255, 254)), levels((0, 0, 0)) + 0.5):
        found = engine.answer(pixels / 255.0 if pixels.dtype == np.uint8 else pixels / 256.0, k=3)
        assert (found.verdict, found.matches) == ("undecided", ())


def test_they_are_no_part_of_what_is_searched(engine):
    photo = engine.answer(np.random.default_rng(1).random((40, 50, 3)), k=30, certify=True)
    assert len(photo.matches) == engine.gallery.items == 7
    assert photo.certificate is not None
    assert photo.certificate.rows_total == 7
    assert len(engine.gallery.blank) == 2


def test_an_image_that_is_all_but_flat_gets_a_direction_from_float64(engine):
    found = engine.answer(np.asarray(one_level()), k=2, certify=True)
    assert Path(found.matches[0].path).name == "one-level.png"
    assert found.matches[0].score == pytest.approx(1.0, abs=1e-6)
    assert found.verdict == "copy"


def test_the_index_holds_them_as_items(made):
    snapshot = require_current(made / "index")
    info = describe_index(made / "index")
    assert (info["items"], info["files"], info["tombstones"], info["rejects"]) == (9, 9, 0, 0)
    assert snapshot.as_json()["schema"] in (SCHEMA_BLANK, SCHEMA_SHARE)
    assert sum(map(len, snapshot.blank.values())) == 2


def test_a_second_run_has_nothing_to_do_with_them(root):
    report = run(root)
    assert (report.indexed, report.skipped, report.rejected) == (0, 9, 0)


def test_they_can_be_removed_and_come_back(root):
    held = read_held(root / "index", require_current(root / "index"))
    [white] = [path for path in held.table["path"].to_pylist() if path.endswith("white.png")]
    with Writer(root / "index") as writer:
        assert writer.remove(paths=[white]) == 1
        writer.commit()
    engine = Engine.open(root / "index", threshold=0.9)
    assert engine.answer(levels(FLAT["white.png"])).matches == ()
    assert len(engine.answer(levels(FLAT["blue.png"])).matches) == 1
    assert run(root).indexed == 1
    assert len(Engine.open(root / "index", threshold=0.9).answer(levels(FLAT["white.png"])).matches) == 1


def test_a_picture_takes_the_place_of_a_flat_one_and_the_reverse(root):
    draw(root / "corpus" / "white.png", 77)
    draw(root / "corpus" / "blue.png", 78)
    assert run(root).replaced == 2
    snapshot = require_current(root / "index")
    assert not any(snapshot.blank.values())
    assert snapshot.as_json()["schema"] != SCHEMA_BLANK
    Image.new("RGB", (60, 40), FLAT["blue.png"]).save(root / "corpus" / "0.png")
    assert run(root).replaced == 1
    found = Engine.open(root / "index", threshold=0.9).answer(levels(FLAT["blue.png"]))
    assert [Path(match.path).name for match in found.matches] == ["0.png"]


def test_two_files_of_one_colour_are_one_match(root):
    shutil.copy(root / "corpus" / "white.png", root / "corpus" / "also-white.png")
    run(root)
    found = Engine.open(root / "index", threshold=0.9).answer(levels(FLAT["white.png"]))
    [match] = found.matches
    assert sorted(Path(path).name for path in (match.path, *match.duplicates)) == ["also-white.png", "white.png"]


def test_an_index_of_flat_images_alone(tmp_path):
    (tmp_path / "corpus").mkdir()
    Image.new("L", (9, 9), 7).save(tmp_path / "corpus" / "grey.png")
    assert run(tmp_path).indexed == 1
    engine = Engine.open(tmp_path / "index")
    assert engine.answer(np.full((9, 9, 3), 7, dtype=np.uint8)).verdict == "copy"
    assert engine.answer(np.full((9, 9, 3), 8, dtype=np.uint8)).verdict == "undecided"


@pytest.mark.parametrize("rows", ["float16", "int8"])
def test_other_row_codes(tmp_path, rows):
    for number in range(3):
        draw(tmp_path / "corpus" / f"{number}.png", number)
    Image.new("RGB", (60, 40), FLAT["white.png"]).save(tmp_path / "corpus" / "white.png")
    run(tmp_path, rows=rows, views="flip")
    engine = Engine.open(tmp_path / "index", threshold=0.9)
    assert engine.answer(levels(FLAT["white.png"])).verdict == "copy"
    assert engine.gallery.items == 3


def test_no_reject_is_left_of_them(made):
    assert list_rejects(made / "index") == []
