"""Negatives as they come: copies among them, a review of them, and what is kept for the next time."""

from __future__ import annotations

import csv
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import pytest
from drawn import Quiet, draw
from PIL import Image

from retr.core.errors import UsageError
from retr.images.kinds import made_kinds
from retr.indexer.build import IndexOptions, build_index
from retr.reports.index_table import print_calibration
from retr.reports.review_page import write_review
from retr.retrieval import negatives as kept
from retr.retrieval.calibrate import calibrate
from retr.retrieval.engine import Engine
from retr.retrieval.known_pairs import KnownPairs, read_known_pairs
from retr.retrieval.query import query_files


@pytest.fixture
def index(tmp_path) -> Path:
    for number in range(12):
        draw(tmp_path / "corpus" / f"{number}.png", number)
    build_index(str(tmp_path / "corpus"), tmp_path / "index", IndexOptions(models=("block-means:4",)), Quiet())
    return tmp_path / "index"


@pytest.fixture
def absent(tmp_path) -> list[str]:
    return [str(draw(tmp_path / "absent" / f"{number}.png", 1000 + number)) for number in range(19)]


@pytest.fixture
def copies(tmp_path) -> list[str]:
    """Stored pictures in other files."""
    paths = []
    for number in (3, 7):
        paths.append(str(tmp_path / f"copy-{number}.jpg"))
        Image.open(tmp_path / "corpus" / f"{number}.png").convert("RGB").save(paths[-1], quality=90)
    return paths


def said(index: Path, paths: list[str]) -> list[str | None]:
    return [one.answer.point_verdict for one in query_files(Engine.open(index), paths) if one.answer is not None]


def test_copies_among_the_negatives_are_left_out_and_named(index, absent, copies):
    found = calibrate(index, [*absent, *copies], fpr=0.1)
    assert found.negatives == 19
    presumed = {(pair.negative, Path(pair.stored).name) for pair in found.pairs if pair.relation == "presumed"}
    assert presumed == {(copies[0], "3.png"), (copies[1], "7.png")}
    assert [pair.nearness for pair in found.pairs] == sorted(pair.nearness for pair in found.pairs)
    assert said(index, copies) == ["copy", "copy"]


def test_a_review_is_written_and_read_back(index, absent, copies, tmp_path, capsys):
    found = calibrate(index, [*absent, *copies], fpr=0.1)
    listed = write_review(tmp_path / "review", found)
    page = (tmp_path / "review" / "index.html").read_text()
    assert page.count("<img") == 2 * len(found.pairs)
    assert "copy-3.jpg" in page
    rows = list(csv.DictReader(listed.read_text().splitlines()))
    assert [row["relation"] for row in rows].count("presumed") == 2
    again = calibrate(index, [*absent, *copies], fpr=0.1, known=read_known_pairs(listed))
    assert again.known == tuple(copies)
    assert again.negatives == 19
    assert [t for _, t in again.thresholds] == [t for _, t in found.thresholds]
    listed.write_text(listed.read_text().replace("presumed", "different"))
    with_them = calibrate(index, [*absent, *copies], fpr=0.1, known=read_known_pairs(listed))
    assert with_them.negatives == 21
    assert {pair.relation for pair in with_them.pairs} == {"counted"}
    assert said(index, copies).count("copy") <= 1  # two of 22 are cut, and edges are excluded
    print_calibration(
        {**asdict(with_them), "thresholds": [{"channel": n, **asdict(t)} for n, t in with_them.thresholds]}
    )
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "2 negatives near a stored image, counted; they make the thresholds tighter" in words


def test_the_page_says_what_cannot_be_shown(index, absent, copies, tmp_path):
    found = calibrate(index, [*absent, *copies], fpr=0.1)
    (tmp_path / "corpus" / "3.png").unlink()
    write_review(tmp_path / "review", found)
    assert (tmp_path / "review" / "index.html").read_text().count("the stored image cannot be read any more") == 1


def test_known_copies_are_pairs_of_ends_of_paths(tmp_path):
    said = KnownPairs(frozenset({("a/1.jpg", "c/9.png")}), frozenset({("2.jpg", "c/8.png")}))
    assert said.copies_of(["/x/a/1.jpg", "/x/b/1.jpg"], ["/y/c/9.png"]) == [0]
    assert said.copies_of(["/x/a/1.jpg"], ["/y/c/8.png"]) == []
    assert said.says_different("/z/2.jpg", "/y/c/8.png")
    assert not said.says_different("/z/2.jpg", "/y/c/9.png")
    for text in ("image,relation\na,b\n", "image,copy_of\na,a\n", "image,copy_of\na,\n"):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(UsageError, match=r"copy_of|two different names"):
            read_known_pairs(tmp_path / "bad.csv")
    with pytest.raises(UsageError, match="cannot be read"):
        read_known_pairs(tmp_path / "nowhere.csv")


def test_a_mistyped_word_and_a_list_of_other_images_take_no_negative_away(index, absent, tmp_path):
    listed = tmp_path / "pairs.csv"
    listed.write_text("image,copy_of,relation\na.png,b.png,Same\nc.png,d.png,diferent\n")
    with pytest.raises(UsageError, match=r"pairs.csv, line 3: the relation is same or different, not 'diferent'"):
        read_known_pairs(listed)
    listed.write_text("image,copy_of,relation\na.png,b.png,same\nc.png,d.png, DIFFERENT\n")
    with pytest.raises(UsageError, match=r"pairs.csv names none of the images here, its first is 'a.png'"):
        calibrate(index, absent, fpr=0.1, known=read_known_pairs(listed))


def test_the_project_s_own_list_can_be_read():
    file = Path(__file__).parents[2] / "docs" / "benchmarks" / "known_copies.csv"
    found = read_known_pairs(file)
    assert (len(found.copies) > 100, len(found.different)) == (True, 0)


def test_what_was_embedded_is_kept(index, absent, monkeypatch):
    first = calibrate(index, absent, fpr=0.1)

    def embedded(*given):
        raise AssertionError("embedded again")

    with monkeypatch.context() as patch:
        patch.setattr(kept, "embed_negative", embedded)
        assert calibrate(index, absent, fpr=0.1).thresholds == first.thresholds
        draw(Path(absent[4]), 2000)
        with pytest.raises(AssertionError, match="embedded again"):
            calibrate(index, absent, fpr=0.1)
    (file,) = (index / "negatives").iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    assert calibrate(index, absent, fpr=0.1).negatives == 19


def test_too_few_are_refused_before_any_is_embedded(index, absent, monkeypatch):
    monkeypatch.setattr(kept, "embed_negative", None)
    with pytest.raises(UsageError, match=r"19 negatives cannot support .* at least 99 are needed"):
        calibrate(index, absent, fpr=0.01)


def test_pictures_of_the_reference_set_are_no_negatives(index, absent, tmp_path):
    drawn = []
    for number, (_, pixels) in enumerate(islice(made_kinds(264), 6)):
        drawn.append(str(tmp_path / f"drawn-{number}.png"))
        Image.fromarray(pixels).save(drawn[-1])
    found = calibrate(index, [*absent, *drawn], fpr=0.1)
    assert set(found.in_reference) == set(drawn)
    assert found.negatives == 19
    with pytest.raises(UsageError, match=r"left out: 6 are pictures of the reference set"):
        calibrate(index, [*absent[:4], *drawn], fpr=0.1)


def test_gaps_of_an_index_that_grew_and_shrank_are_those_of_a_new_one(index, tmp_path):
    """Items come in two runs, one is replaced, one goes; the other index sees only what is left."""
    corpus = tmp_path / "corpus"
    for number in range(12, 16):
        draw(corpus / f"{number}.png", number)
    Image.open(corpus / "5.png").convert("RGB").save(corpus / "5-again.jpg", quality=90)
    build_index(str(corpus), index, IndexOptions(), Quiet())
    (corpus / "2.png").unlink()
    draw(corpus / "4.png", 400)
    build_index(str(corpus), index, IndexOptions(prune=True), Quiet())
    build_index(str(corpus), tmp_path / "anew", IndexOptions(models=("block-means:4",), batch_size=3), Quiet())
    assert _by_path(index) == _by_path(tmp_path / "anew")


def _by_path(index: Path) -> dict[str, tuple]:
    engine = Engine.open(index)
    gaps, rows = engine.channels[0].gaps, engine.gallery.catalog.to_pylist()
    live = [row for row in range(len(rows)) if engine.gallery.live[row]]
    known = engine.explainer._known[0]
    assert gaps is not None
    assert known is not None
    return {rows[r]["path"]: (float(gaps[r]), bytes(known.limit[r]), bytes(known.presumed[r])) for r in live}


@pytest.mark.parametrize("local", [True, False])
def test_a_negative_that_is_there_twice_counts_twice_and_is_named(index, absent, tmp_path, capsys, local):
    again = []
    for number in range(5):
        again.append(str(tmp_path / f"again-{number}.{'jpg' if local else 'png'}"))
        Image.open(absent[number]).convert("RGB").save(again[-1], quality=90)
    found = calibrate(index, [*absent, *again], fpr=0.1, local=local)
    assert (found.negatives, found.repeated) == (len(absent) + 5, tuple(again))
    assert calibrate(index, absent, fpr=0.1, local=local).repeated == ()
    print_calibration(asdict(found) | {"thresholds": []})
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "5 negatives seem to be copies of others; all count" in words


def test_many_that_are_left_out_are_said_in_few_lines(index, absent, capsys):
    found = asdict(calibrate(index, absent, fpr=0.1))
    found |= {"thresholds": [], "in_reference": tuple(f"r{n}.png" for n in range(78)), "known": ("k.png",)}
    print_calibration(found)
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert words.count("a picture of the reference set") == 3
    assert "and 75 more like these; --format json names all" in words
    assert "k.png: listed as a copy" in words
