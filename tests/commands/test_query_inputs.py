"""``retr query``: what may be asked about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Outcome


def asked(outcome: Outcome) -> list[str]:
    return [body["query"] for body in outcome.json]


def test_queries_from_standard_input(retr, corpus, index):
    names = f"{corpus / '03.png'}\r\n\n{corpus / '04.png'}\n".encode()
    done = retr("query", "-", corpus / "05.png", "-i", index, "--format", "jsonl", stdin=names)
    assert [Path(json.loads(line)["query"]).name for line in done.lines] == ["03.png", "04.png", "05.png"]
    assert retr("query", "-", "-i", index, "--format", "json").json == []


def test_names_separated_by_nul(retr, corpus, index, tmp_path):
    odd = tmp_path / "two\nlines.png"
    odd.write_bytes((corpus / "03.png").read_bytes())
    names = os.fsencode(odd) + b"\0" + os.fsencode(corpus / "04.png") + b"\0"
    done = retr("query", "-", "-i", index, "--format", "json", stdin=names)
    assert (done.code, asked(done)) == (0, [str(odd), str(corpus / "04.png")])


def test_a_folder_is_asked_about_file_by_file(retr, corpus, index, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("q/b.png", "q/deep/a.png", "q/.hidden.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes((corpus / "03.png").read_bytes())
    Path("q/notes.txt").write_text("no list")
    done = retr("query", "q", corpus / "04.png", "-i", index, "--format", "json")
    assert asked(done) == ["q/b.png", "q/deep/a.png", "q/notes.txt", str(corpus / "04.png")]
    assert (done.code, done.json[2]["error"]) == (3, "not-an-image")
    assert asked(retr("query", ".", "-i", index, "--format", "json"))[:2] == ["q/b.png", "q/deep/a.png"]


def test_an_empty_folder_is_an_input_without_an_answer(retr, index, tmp_path):
    done = retr("query", tmp_path, "-i", index, "--format", "json")
    assert (done.code, done.only["query"], done.only["error"]) == (3, str(tmp_path), "empty-folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_folder_that_cannot_be_listed_is_named(retr, corpus, index, tmp_path):
    (tmp_path / "shut").mkdir(mode=0)
    done = retr("query", tmp_path, corpus / "03.png", "-i", index, "--format", "json")
    assert [body["error"] for body in done.json] == ["unreadable", None]


def test_a_list_file_names_images_beside_itself(retr, corpus, index, tmp_path):
    for name in ("b.png", "a.png"):
        (tmp_path / name).write_bytes((corpus / "03.png").read_bytes())
    listed = tmp_path / "list.png"  # the name says nothing
    listed.write_text(f"b.png\na.png\nb.png\ngone.png\n{corpus / '04.png'}\n")
    done = retr("query", listed, "-i", index, "--format", "json")
    here = [str(tmp_path / name) for name in ("b.png", "a.png", "b.png", "gone.png")]
    assert (done.code, asked(done)) == (3, [*here, str(corpus / "04.png")])
    assert [body["error"] for body in done.json] == [None, None, None, "not-found", None]


@pytest.mark.parametrize("content", [b"", b"just words\n", b"\xff\xd8\xff\xe0 03.png\n03.png\n", b"P6 \n03.png\n"])
def test_what_lists_no_file_or_begins_an_image_is_no_list(retr, corpus, index, tmp_path, content):
    (tmp_path / "03.png").write_bytes((corpus / "03.png").read_bytes())
    (tmp_path / "x").write_bytes(content)
    done = retr("query", tmp_path / "x", "-i", index, "--format", "json")
    assert (done.code, asked(done)) == (3, [str(tmp_path / "x")])


def test_a_pipe_is_not_opened(retr, index, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = retr("query", tmp_path / "pipe", "-i", index, "--format", "json")
    assert done.only["error"] == "not-a-regular-file"


def test_names_that_are_not_text(retr, corpus, index, tmp_path):
    odd = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    Path(os.fsdecode(odd)).write_bytes((corpus / "03.png").read_bytes())
    for form in ("json", "jsonl", "csv", "table"):
        done = retr("query", os.fsdecode(odd), "-", "-i", index, "--format", form, stdin=odd + b"\n")
        assert (done.code, done.err) == (0, "")
        assert (rb"\xff\xfe.png" if form == "table" else b"%FF%FE.png") in done.out


def test_a_relative_name_that_is_not_text(retr, corpus, index, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = os.fsdecode(b"J\xe4rvi.png")
    Path(odd).write_bytes((corpus / "03.png").read_bytes())
    done = retr("query", odd, corpus / "04.png", "-i", index, "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert asked(done) == [f"file://{tmp_path}/J%E4rvi.png", str(corpus / "04.png")]


IN_TURN = """
import sys
from retr.cli import main
words = sys.argv[1:]
while words:
    end = words.index(";")
    sys.argv, words = ["retr", *words[:end]], words[end + 1:]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, stop.code
    print("\\n;", flush=True)
"""


def test_names_in_a_locale_that_has_no_letters(corpus, tmp_path):
    (tmp_path / "Järvi.png").write_bytes((corpus / "03.png").read_bytes())
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    query = ["query", "Järvi.png", "-i", "index"]
    words = [["index", ".", "-o", "index", "--model", "block-means:4"], [*query, "--format", "json"], query]
    # One interpreter for all of them: it starts in that locale, and to start it takes longer than what it does.
    command = [sys.executable, "-c", IN_TURN, *(word for one in words for word in (*one, ";"))]
    done = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    _, told, table = done.stdout.split(b"\n;\n")[:3]
    [body] = json.loads(told)
    assert (body["query"], body["matches"][0]["path"]) == ("Järvi.png", str(tmp_path / "Järvi.png"))
    assert rb"J\xc3\xa4rvi.png" in table


def test_control_characters_of_a_name_never_reach_the_terminal(retr, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")  # names in full
    red = "c/e\x1b[31mred\x9b.png"
    Path("c").mkdir()
    Path(red).write_bytes((corpus / "03.png").read_bytes())
    Path("c/bad\x1b]0;title\x07.png").write_bytes(b"")
    outcomes = [retr("index", "c", "-o", "i", "--model", "block-means:4"), retr("info", "i", "--rejects")]
    forms = ("table", "json", "jsonl")
    outcomes += [retr("query", "c", "no\x1b.png", "-i", "i", "--certify", "--format", form) for form in forms]
    outcomes += [retr("query", red, "-i", "x\x1b"), retr("index", "y\x1b", "-o", "i")]
    for done in outcomes:
        raw = done.out.decode() + done.err
        assert not [char for char in raw if (char < " " and char != "\n") or "\x7f" <= char < "\xa0"]
    assert r"bad\x1b]0;title\x07.png" in outcomes[1].out.decode()
    assert r"e\x1b[31mred\x9b.png" in outcomes[2].out.decode()
    assert asked(outcomes[3])[1] == red
