"""``--html``: pages of answers and of calibrations, in one file that needs nothing else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest


def check(page: Path) -> str:
    """The page loads nothing, runs nothing, and shows no character that acts."""
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "<script" not in text
    assert "\u202e" not in text
    return text


def test_a_page_of_answers(retr, index, corpus, tmp_path: Path) -> None:
    odd = tmp_path / "odd\u202e<b>.png"
    shutil.copy(corpus / "03.png", odd)
    (tmp_path / "bad.png").write_text("no image")
    words = [corpus / "05.png", odd, tmp_path / "bad.png", "-i", index]
    done = retr("query", *words, "--certify", "--html", tmp_path / "q.html", "--format", "jsonl")
    assert (done.code, len(done.lines)) == (3, 3)
    text = check(tmp_path / "q.html")
    assert text.count("<article") == 3
    assert text.count("data:image/webp") == 2 * 6  # each image, and its five first matches
    assert "copy of" in text
    assert "no answer: not-an-image" in text
    assert "&lt;b&gt;" in text
    assert text.count("<svg") == 2


def test_a_page_with_edits(retr, index, corpus, tmp_path: Path) -> None:
    words = [corpus / "05.png", "-i", index, "--against", "brightness:0.99..1.01"]
    assert retr("query", *words, "--html", tmp_path / "q.html").code == 0
    assert "Edits with proof" in check(tmp_path / "q.html")


def test_a_page_without_certificates_has_no_bars(retr, uncertified, corpus, tmp_path: Path) -> None:
    assert retr("query", corpus / "05.png", "-i", uncertified, "--certify", "--html", tmp_path / "q.html").code == 0
    text = check(tmp_path / "q.html")
    assert "certificate withheld" in text
    assert "<svg" not in text


def test_a_page_of_a_calibration(retr, index, corpus, tmp_path: Path) -> None:
    shutil.copytree(index, tmp_path / "own")
    absent = tmp_path / "absent"
    absent.mkdir()
    for path in sorted(corpus.iterdir())[:4]:
        shutil.copy(path, absent / f"copy-{path.name}")
    from drawn import draw

    for number in range(40, 70):
        draw(absent / f"{number}.png", number)
    words = ["calibrate", tmp_path / "own", absent, "--fpr", "0.2", "--html", tmp_path / "c.html"]
    assert retr(*words).code == 0
    text = check(tmp_path / "c.html")
    assert "block-means" in text
    assert "false matches at most" in text


@pytest.mark.parametrize("command", ["dupes", "attack-eval", "bench-copies", "bench-2afc", "bench-knn"])
def test_all_others_have_it_too(retr, command: str) -> None:
    assert b"--html" in retr(command, "--help").out


def test_a_page_that_cannot_be_written(retr, index, corpus, tmp_path: Path) -> None:
    done = retr("query", corpus / "05.png", "-i", index, "--format", "json", "--html", tmp_path / "no" / "q.html")
    assert done.code == 1
    assert f"{tmp_path / 'no'}: there is no such folder" in done.err
    done = retr("query", "x", "--server", "http://127.0.0.1:1", "--html", tmp_path / "no" / "q.html")
    assert done.code == 1
    assert "Traceback" not in done.err


def test_a_page_named_as_a_folder(retr, index, tmp_path: Path) -> None:
    for command in (("dupes", index, "--html", tmp_path), ("export", index, tmp_path / "no" / "rows.csv")):
        done = retr(*command)
        assert done.code == 1
        assert ("is a folder" in done.err) or ("no such folder" in done.err)
        assert ".tmp" not in done.err
        assert "Errno" not in done.err
