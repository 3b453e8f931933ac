"""How commands fail: one sentence, an exit code, no traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command_line import one_line


def test_no_index(retr, corpus, tmp_path):
    nowhere = tmp_path / "nowhere"
    for command in (("query", corpus / "03.png", "-i", nowhere), ("info", nowhere), ("calibrate", nowhere, corpus)):
        assert f"no index at {nowhere}" in one_line(retr(*command), 1)
    assert not nowhere.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["query", "IMAGE", "--format", "xml"], "choose table, json, jsonl, csv, parquet"),
        (["query", "IMAGE", "--unit", "percent"], "choose rmse"),
        (["query", "IMAGE", "--certify", "--unit", "l2"], "needs --eps"),
        (["query", "IMAGE", "--unit", "l2"], "needs --eps"),
        (["query", "IMAGE", "--eps", "-1"], "budget"),
        (["query", "IMAGE", "--eps", "nan"], "budget"),
        (["query", "IMAGE", "--threshold", "1.5"], "threshold"),
        (["query", "IMAGE", "--device", "tpu"], "choose auto, cpu or cuda"),
        (["index", "CORPUS", "--model", "no-such-model"], "no-such-model"),
        (["index", "CORPUS", "--views", "mirror"], "choose none, flip, light, light/1, standard"),
        (["index", "CORPUS", "--workers", "0"], "at least 1"),
        (["index", "CORPUS", "--resume", "--restart"], "exclude each other"),
        (["index", "/no/such/corpus"], "no such corpus"),
        (["calibrate", "INDEX", "CORPUS", "--fpr", "2"], "between 0 and 1"),
        (["models", "show", "no-such-model"], "no-such-model"),
    ],
)
def test_bad_words_exit_with_2_and_say_what_to_choose(retr, corpus, index, tmp_path, monkeypatch, arguments, says):
    named = {"IMAGE": str(corpus / "03.png"), "CORPUS": str(corpus), "INDEX": str(index)}
    monkeypatch.setenv("RETR_INDEX", str(index if arguments[0] != "index" else tmp_path / "new"))
    assert says in one_line(retr(*(named.get(word, word) for word in arguments)), 2)


@pytest.mark.parametrize(
    "arguments", [["query"], ["query", "a.png", "-k", "0"], ["query", "a.png", "-k", "x"], ["quary"]]
)
def test_what_the_parser_refuses_exits_with_2_without_a_traceback(retr, arguments):
    done = retr(*arguments)
    assert (done.code, done.out) == (2, b"")
    assert "Error" in done.err
    assert "Traceback" not in done.err


def test_a_damaged_index_exits_with_5(retr, corpus, tmp_path):
    folder = tmp_path / "index"
    assert retr("index", corpus, "-o", folder, "--model", "block-means:4").code == 0
    [rows] = (folder / "segments").glob("*/rows-0.f32")
    whole = rows.read_bytes()
    rows.write_bytes(whole[:-4])
    assert "does not match its SHA-256" in one_line(retr("query", corpus / "03.png", "-i", folder), 5)
    rows.write_bytes(bytes(4 * 48) + whole[4 * 48 :])
    assert "does not match its SHA-256" in one_line(retr("query", corpus / "03.png", "-i", folder), 5)
    rows.write_bytes(whole)
    (folder / "CURRENT").write_text("0123456789abcdef\n")
    assert "0123456789abcdef" in one_line(retr("query", corpus / "03.png", "-i", folder), 5)


def test_the_reader_of_the_output_may_leave(corpus, index):
    command = f"'{sys.executable}' -m retr query {corpus}/*.png -i {index} --format jsonl | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("{", "")


def test_an_interrupted_system_call_and_lack_of_memory_are_sentences(retr, index, monkeypatch):
    for error, says in ((OSError(28, "No space left on device"), "No space left"), (MemoryError(), "out of memory")):

        def fails(*_, why=error, **__):
            raise why

        monkeypatch.setattr("retr.indexer.info.describe_index", fails)
        assert says in one_line(retr("info", index), 1)


def test_text_that_is_none_in_a_forged_catalog_is_a_sentence(retr, index, monkeypatch):
    def fails(*_, **__):
        b"\xb2".decode()

    monkeypatch.setattr("retr.indexer.info.describe_index", fails)
    assert "no UTF-8 where text belongs" in one_line(retr("info", index), 5)


@pytest.mark.parametrize(("option", "given", "needed"), [("--eps", "abc", "a number"), ("-k", "1.5", "a whole number")])
def test_what_is_no_number_is_quoted(retr, option, given, needed):
    done = retr("query", "x.png", option, given)
    assert done.code == 2
    assert f"Invalid value for '{option}': {needed} is needed, got '{given}'" in done.err


@pytest.mark.parametrize(
    ("command", "what"), [("rm", "what to take out"), ("sync", "the corpus to follow"), ("export", "the file to write")]
)
def test_an_index_alone_is_not_taken_for_what_is_to_follow_it(retr, index, command, what):
    assert f"{index} is an index; after it name {what}" in one_line(retr(command, index), 2)


def test_conditions_that_nothing_fits_are_said(retr, index, tmp_path):
    listed, written = retr("list", index, "--where", "path=none"), tmp_path / "rows.csv"
    exported = retr("export", index, written, "--where", "path=none")
    for done in (listed, exported):
        assert done.code == 0
        assert "no item fits all of these conditions" in done.err
    assert "conditions" not in retr("list", index).err
    assert len(written.read_text().splitlines()) == 1
