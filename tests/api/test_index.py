"""The index as an object: images of every kind, lists, errors in words of parameters, and what people see."""

from __future__ import annotations

import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import retr
from retr.api.images import read_image
from retr.core.errors import ClusterError, ImageRejected, IntegrityError, UsageError
from retr.core.units import Radius
from retr.images.decode import load
from retr.images.policy import DecodePolicy


@pytest.fixture
def index(home: Path) -> retr.Index:
    return retr.open("my-index")


def same(one: retr.Answer, other: retr.Answer) -> bool:
    return replace(one, query="") == replace(other, query="")


def test_every_kind_of_image_gives_the_same_answer(index: retr.Index) -> None:
    pixels = np.asarray(Image.open("img.png"))
    kinds = ["img.png", Path("img.png"), Path("img.png").read_bytes(), Image.open("img.png"), pixels, pixels / 255.0]
    answers = index.query(kinds, k=3, certify=True, eps=2)
    assert all(same(answers[0], answer) for answer in answers)
    assert same(answers[0], index.query("img.png", k=3, certify=True, eps=2))
    assert answers[0].verdict == "copy"
    assert answers[0].copy is not None
    assert answers[0].copy.rmse > 2
    assert answers[0].eps is not None
    assert answers[0].eps.rmse == 2.0


def test_a_pil_image_is_what_its_file_is(tmp_path: Path, encoded) -> None:
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 50, 4), dtype=np.uint8), "RGBA")
    exif = Image.Exif()
    exif[0x0112] = 6
    files: tuple[tuple[str, Image.Image, dict[str, Any]], ...] = (
        ("a.png", upright, {}),
        ("b.jpg", upright.convert("RGB"), {"exif": exif}),
        ("c.jpg", upright.convert("L"), {}),
        ("d.gif", upright.convert("P"), {}),
    )
    for name, image, options in files:
        image.save(tmp_path / name, **options)
        expected = load(tmp_path / name, policy=DecodePolicy()).pixels / 255.0
        with Image.open(tmp_path / name) as opened:
            assert np.array_equal(read_image(opened).pixels, expected), name


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4)), "H, W, 3"),
        (np.zeros((2, 4, 4, 3)), "go into a list"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.full((4, 4, 3), 255.0), "divide levels by 255"),
        (np.full((4, 4, 3), -1.0), "-1 to -1"),
        (np.full((4, 4, 3), np.nan), "got nan to nan"),
        (7, "got int"),
    ],
)
def test_what_is_no_image_is_refused(image: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_image(image)  # type: ignore[arg-type]


def test_a_rejected_image_of_a_list_is_named_or_kept(index: retr.Index) -> None:
    with pytest.raises(ImageRejected) as caught:
        index.query(["img.png", b"nothing"])
    assert "image 1 of the list" in "".join(caught.value.__notes__)
    kept = index.query([b"nothing", "img.png", "absent.png"], k=1, rejected="keep")
    assert [type(one).__name__ for one in kept] == ["ImageRejected", "Answer", "ImageRejected"]
    assert index.query([]) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"k": 1.5}, "k is a whole number, got 1.5"),
        ({"k": "3"}, "k is a whole number, got '3'"),
        ({"eps": "1"}, "a budget is a number, got '1' rmse"),
        ({"eps": -1}, "got -1 rmse"),
        ({"eps": 1, "unit": "px"}, "unknown unit 'px'"),
        ({"rejected": "drop"}, "rejected is raise or keep"),
    ],
)
def test_bad_parameters_are_refused(index: retr.Index, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        index.query(["img.png"], **options)
    assert "--" not in str(caught.value)


def test_errors_of_the_indexer_speak_of_parameters(home: Path) -> None:
    refused: tuple[dict[str, Any], ...] = (
        {"resume": True, "restart": True},
        {"batch_size": 0},
        {"views": "all"},
        {"models": ["block-means"]},
    )
    for options in refused:
        with pytest.raises(UsageError) as caught:
            retr.build("corpus", "my-index", **options)
        assert "--" not in str(caught.value)
        assert " -o" not in str(caught.value)


def test_files_are_added_and_removed(index: retr.Index) -> None:
    before = len(index)
    report = index.add(["queries/edited-3.jpg", "pairs.csv"])
    assert (report.seen, report.indexed, report.rejected) == (2, 1, 1)
    assert len(index) == before + 1
    assert index.query("queries/edited-3.jpg", k=1).matches[0].path.endswith("edited-3.jpg")
    assert [row["path"].rpartition("/")[2] for row in index.rejects()] == ["pairs.csv"]
    assert index.remove(index.query("queries/edited-3.jpg", k=1).matches[0]) == 1
    with pytest.raises(UsageError, match="not in the index"):
        index.remove(["corpus/none.png"])
    assert len(index) == before == len(retr.open("my-index"))


def test_equal_pixels_are_duplicates(index: retr.Index) -> None:
    shutil.copy("queries/edited-3.jpg", "again.jpg")
    index.add(["queries/edited-3.jpg", "again.jpg"])
    (group,) = index.duplicates()
    assert sorted(Path(path).name for path in group) == ["again.jpg", "edited-3.jpg"]


def test_damage_is_found_by_verify(index: retr.Index, home: Path) -> None:
    assert index.verify().problems == ()
    vectors = next((home / "my-index" / "segments").glob("*/*0.f32"))
    data = bytearray(vectors.read_bytes())
    data[100] ^= 1
    vectors.write_bytes(bytes(data))
    [problem] = index.verify().problems
    assert problem.file.endswith("0.f32")
    with pytest.raises(IntegrityError):
        retr.open("my-index")


def test_calibration_counts_at_once(index: retr.Index) -> None:
    found = index.calibrate("absent", fpr=0.1, thresholds="global")
    assert found.negatives == 20
    thresholds = index.query("img.png", k=1).thresholds
    assert [one["source"] for one in thresholds] == ["calibrated"] * 2


def test_what_people_see(index: retr.Index) -> None:
    assert repr(index).startswith("Index('my-index': 12 images, block-means+retr_s, snapshot ")
    answer = index.query("img.png", certify=True)
    assert "a copy, for every change within RMSE" in repr(answer)
    evil = replace(answer, query="<script>", matches=(replace(answer.matches[0], path="a<b>&\x1b[31m.png"),))
    page = evil._repr_html_()
    assert "<script>" not in page
    assert "a&lt;b&gt;&amp;\\x1b[31m.png" in page
    assert "\x1b" not in page + repr(evil)
    assert answer.as_json()["query"] == "img.png"


def test_a_shown_radius_is_never_above_the_proved_one(index: retr.Index) -> None:
    answer = index.query("img.png", certify=True, k=1)
    radius = Radius(0.0352 - 1e-12, 300)
    shown = replace(answer, copy=radius)
    assert f"ℓ2 {0.0351}" in repr(shown)
    assert f"ℓ2 {0.0351}" in shown._repr_html_()


def test_bytes_of_a_stream_are_read(index: retr.Index) -> None:
    buffer = io.BytesIO()
    Image.open("img.png").save(buffer, "PNG")
    assert index.query(buffer.getvalue(), k=1).verdict == "copy"


def test_why_a_verdict_does_not_hold_says_the_budget_as_it_was_given(index: retr.Index) -> None:
    small: Any = np.float32(0.5)  # as numpy gives it
    for eps, unit, words in ((200, "rmse", "RMSE 200"), (small, "psnr", "PSNR 0.5 dB"), (90, "l2", "ℓ2 90")):
        why = index.query("img.png", eps=eps, unit=unit).verdict_because
        assert why is not None
        assert why.endswith(f"{words} was asked for")


def test_strangers_files_are_decoded_elsewhere(home: Path) -> None:
    index = retr.open("my-index")
    [usual, elsewhere] = [index.query(["img.png"], k=2, isolate=isolate) for isolate in (False, True)]
    assert same(usual[0], elsewhere[0])
    assert same(usual[0], index.query(Path("img.png").read_bytes(), k=2, isolate=True))
    with pytest.raises(ImageRejected, match="not-an-image"):
        index.query(b"no image", isolate=True)
    Path("more").mkdir()
    shutil.copy("img.png", "more/1.png")
    Path("more/bad.png").write_bytes(b"no image")
    report = index.add("more", isolate=True)
    assert (report.indexed, report.reasons) == (1, {"not-an-image": 1})
    assert index.sync("more", isolate=True).skipped == 1


def test_lists_may_name_members_of_archives(home: Path) -> None:
    with zipfile.ZipFile("some.zip", "w") as archive:
        archive.write("img.png", "deep/img.png")
    index = retr.open("my-index")
    assert index.add(["some.zip::deep/img.png", "img.png"]).indexed == 2
    assert index.add("some.zip").skipped == 1
    assert index.query("some.zip::deep/img.png").matches[0].duplicates
    assert index.remove("some.zip::deep/img.png") == 1


def test_what_changes_an_index_opens_it_anew_as_it_was_opened(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room, ways = retr.api.index.Engine, []
    own = room.open

    def opened(path: Path, **how: Any) -> Any:
        ways.append(how)
        return own(path, **how)

    index = retr.open("my-index", where="path~*0*", unsilenced=True, certified_only=True)
    monkeypatch.setattr(room, "open", opened)
    index.set_rules()
    assert [(way["where"], way["unsilenced"], way["certified_only"]) for way in ways] == [(("path~*0*",), True, True)]


class Shards:
    """What stands for a cluster: it may fail, and it ends."""

    def __init__(self) -> None:
        self.fails = self.closed = False

    def spread(self, engine: Any) -> Any:
        if self.fails:
            raise ClusterError("a shard is silent")
        return engine

    def check_open(self) -> None:
        if self.closed:
            raise UsageError("the index was closed")

    def close(self) -> None:
        self.closed = True


def test_a_view_is_opened_anew_with_the_threshold_of_its_index(home: Path) -> None:
    retr.build("corpus", "one-channel", models=["block-means:4"], workers=1)
    index = retr.open("one-channel", threshold=-1.0)
    view, some = index.only("path~*0*"), index.query("img.png").matches[-1]
    retr.open("one-channel").remove(some.path)
    assert view.latest().snapshot != view.snapshot
    assert view.latest().query("img.png").verdict == view.query("img.png").verdict == "copy"
    assert {one["value"] for one in view.latest().query("img.png").thresholds} == {-1.0}


def test_a_cluster_that_fails_after_a_change_leaves_the_index_as_it_was(home: Path) -> None:
    index, shards = retr.open("my-index"), Shards()
    [some, *_] = index.query("img.png").matches
    index._spreading = shards  # type: ignore[assignment]
    before, shards.fails = index.snapshot, True
    with pytest.raises(ClusterError, match="silent"):
        index.remove(some.path)
    assert index.snapshot == before
    shards.fails = False
    assert index.latest().snapshot != before


def test_a_view_that_is_closed_leaves_its_index_open_and_a_closed_index_can_be_written(home: Path) -> None:
    index, shards = retr.open("my-index"), Shards()
    [some, *_] = index.query("img.png").matches
    index._spreading = shards  # type: ignore[assignment]
    with index.only("path~*0*") as view:
        view.query("img.png")
    assert index.query("img.png").verdict == "copy"
    index.close()
    assert shards.closed
    with pytest.raises(UsageError, match="closed"):
        index.query("img.png")
    assert index.remove(some.path) == 1
