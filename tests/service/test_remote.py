"""``retr query --server`` prints what ``retr query`` prints."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Running, run

from retr.cli import main
from retr.service.settings import Settings

TOKEN = "a-secret-of-some-length"


@pytest.fixture(scope="module")
def service(drawn: Path) -> Iterator[Running]:
    found = run(Settings({"my-index": drawn / "my-index"}, token=TOKEN, serve_images=True, decoders=1))
    yield found
    found.stop()


Retr = Callable[..., tuple[int, str, str]]


@pytest.fixture
def retr(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Retr:
    monkeypatch.chdir(drawn)
    (tmp_path / "token").write_text(TOKEN)

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["retr", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return command


def test_the_table_is_the_same_but_for_paths(retr: Retr, service: Running, tmp_path: Path) -> None:
    words = ["query", "img.png", "--certify", "-k", "2"]
    here = retr(*words, "-i", "my-index")
    there = retr(*words, "--server", service.url, "--token-file", tmp_path / "token")
    assert here[0] == there[0] == 0
    assert there[1].split() == here[1].replace("corpus/", "").split()


def test_the_record_is_the_same_and_bad_files_keep_their_place(retr: Retr, service: Running, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no image")
    words = ["query", "img.png", tmp_path / "bad.png", tmp_path / "gone.png", "img.png", "--format", "json"]
    code, out, err = retr(*words, "--server", service.url, "--token-file", tmp_path / "token")
    records = json.loads(out)
    assert (code, [record["error"] for record in records]) == (3, [None, "not-an-image", "not-found", None])
    assert [record["query"] for record in records] == [str(word) for word in words[1:5]]
    assert "2 of 4 inputs have no answer" in err
    _, out, _ = retr("query", "img.png", "-i", "my-index", "--format", "json")
    assert json.loads(out)[0]["matches"][0]["score"] == records[0]["matches"][0]["score"]


def test_the_page_shows_no_file_that_only_has_the_name_of_a_stored_one(
    retr: Retr, service: Running, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("img.png", "007.png"):
        (tmp_path / name).write_bytes((drawn / "img.png").read_bytes())
    (tmp_path / "bad.png").write_text("no image")
    words = ["query", "img.png", "bad.png", "--certify", "-k", "1", "--format", "jsonl", "--html", "page.html"]
    code, _, err = retr(*words, "--server", service.url, "--token-file", tmp_path / "token")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (code, page.count("data:image/")) == (3, 1)
    assert "copy of 007.png, proved for every change up to RMSE" in page
    assert "no answer" in page
    assert "page: page.html" in err


@pytest.mark.parametrize("alone", [[], ["--certified-only", "--explain"]])
def test_tiers_are_told_as_at_home(retr: Retr, with_companion: Path, flipped: Path, alone: list[str]) -> None:
    words = ["query", flipped, "--certify", "-k", "2", *alone]
    found = run(Settings({with_companion.name: with_companion}, serve_images=True, decoders=1))
    try:
        there = retr(*words, "--server", found.url)
    finally:
        found.stop()
    here = retr(*words, "-i", with_companion)
    assert here[0] == there[0] == 0
    assert there[1].split() == re.sub(r"\S*corpus/", "", here[1]).split()
    assert ("not proved" in there[1]) is not bool(alone)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--server", "nonsense"], 2, "http://127.0.0.1:8000"),
        (["--server", "http://127.0.0.1:1"], 1, "does not answer"),
        (["--server", "URL"], 2, "asks for a token"),
        (["--server", "URL", "-i", "x"], 2, "goes without -i"),
        (["--server", "URL", "--against", "jpeg:90..95"], 2, "--format json"),
        (["--server", "URL", "--against", "jpeg:90..95", "--format", "json", "--html", "x.html"], 2, "without --html"),
        (["--token-file", "x"], 2, "only --server and --cluster take"),
        (["--server", "URL", "--token-file", "TOKEN", "--where", "nothing"], 2, "a condition is"),
    ],
)
def test_what_cannot_be(retr: Retr, service: Running, tmp_path: Path, words: list[str], code: int, said: str) -> None:
    named = {"URL": service.url, "TOKEN": str(tmp_path / "token")}
    done = retr("query", "img.png", *(named.get(word, word) for word in words))
    assert (done[0], done[1]) == (code, "")
    assert said in done[2]
    assert len(done[2].splitlines()) == 1
