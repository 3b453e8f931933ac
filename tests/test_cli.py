"""The command line end to end: what it prints where, and how it exits (see docs/guide.md)."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from drawn import Quiet, draw
from PIL import Image

from retr.cli import main
from retr.indexer.build import IndexOptions, build_index

QUERY = {
    *("schema", "query", "width", "height", "model", "snapshot", "verdict", "matches", "certificate", "withheld"),
}


@dataclass(frozen=True)
class Outcome:
    """How one command ended."""

    code: int
    out: bytes
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()


@pytest.fixture
def retr(monkeypatch, capsysbinary):
    """Run a command in this process, as ``retr ARGUMENTS``."""

    def run(*arguments: object, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "argv", ["retr", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsysbinary.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        caught = capsysbinary.readouterr()
        code = stop.value.code
        return Outcome(0 if code is None else int(code), caught.out, caught.err.decode(errors="surrogateescape"))

    return run


def one_line(outcome: Outcome, code: int) -> str:
    """The error of a failed command: nothing on standard output, one sentence on standard error."""
    assert (outcome.code, outcome.out) == (code, b"")
    assert outcome.err.startswith("retr: ")
    assert len(outcome.err.splitlines()) == 1
    assert "Traceback" not in outcome.err
    return outcome.err


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("cli") / "corpus"
    for number in range(12):
        draw(root / f"{number:02}.png", number)
    return root


@pytest.fixture(scope="module")
def index(corpus) -> Path:
    folder = corpus.parent / "index"
    build_index(str(corpus), folder, IndexOptions(models=("block-means:4",)), Quiet())
    return folder


@pytest.fixture(scope="module")
def uncertified(corpus) -> Path:
    """An index of a foreign program."""
    script = corpus.parent / "tiny.pt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..* is deprecated")
        module = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
        torch.jit.save(torch.jit.trace(module, torch.rand(1, 3, 16, 16)), str(script))
    folder = corpus.parent / "uncertified"
    build_index(str(corpus), folder, IndexOptions(models=(f"torchscript:{script}@16x16",)), Quiet())
    return folder


# -- the owner's three commands, with no option -----------------------------------------------------------------------


def test_index_then_query_as_written(retr, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RETR_INDEX", raising=False)
    done = retr("index", corpus)
    assert done.code == 0
    assert (tmp_path / "retr-index" / "CURRENT").exists()
    answered = retr("query", corpus / "03.png", "--certify")
    assert answered.code == 0
    text = answered.out.decode()
    assert "03.png" in text
    assert "RMSE" in text
    assert "copy" in text
    shown = retr("info")
    assert shown.code == 0
    assert "12" in shown.out.decode()


def test_the_index_may_be_named_by_the_environment(retr, corpus, index, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETR_INDEX", str(index))
    assert retr("query", corpus / "03.png", "--format", "json").json["matches"][0]["path"] == str(corpus / "03.png")
    assert retr("info", "--format", "json").json["index"] == str(index)
    monkeypatch.setenv("RETR_INDEX", str(tmp_path / "made"))
    assert retr("index", corpus, "--model", "block-means:4").code == 0
    assert (tmp_path / "made" / "CURRENT").exists()
    assert "no index" in one_line(retr("query", corpus / "03.png", "-i", tmp_path / "other"), 1)


def test_as_a_module_and_in_another_process(corpus, index):
    command = [sys.executable, "-m", "retr", "query", str(corpus / "05.png"), "-i", str(index), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["matches"][0]["path"] == str(corpus / "05.png")


# -- index and info ---------------------------------------------------------------------------------------------------


def test_index_reports_counts_that_add_up_and_bad_files_exit_with_3(retr, corpus, tmp_path):
    mixed = tmp_path / "mixed"
    for number in range(4):
        draw(mixed / f"{number}.png", number)
    (mixed / "empty.jpg").write_bytes(b"")
    (mixed / "text.png").write_text("no image")
    done = retr("index", mixed, "-o", tmp_path / "index", "--format", "json")
    assert done.code == 3
    report = done.json
    assert report["schema"] == "retr.index-run/1"
    assert (report["seen"], report["indexed"], report["skipped"], report["rejected"]) == (6, 4, 0, 2)
    assert "retr info" in done.err
    rejects = retr("info", tmp_path / "index", "--rejects", "--format", "json").json
    assert {Path(row["path"]).name: row["error"] for row in rejects} == {
        "empty.jpg": "zero-byte",
        "text.png": "not-an-image",
    }
    again = retr("index", mixed, "-o", tmp_path / "index", "--format", "json")
    assert (again.code, again.json["skipped"], again.json["snapshot"]) == (3, 4, report["snapshot"])


def test_a_list_of_paths_on_standard_input(retr, corpus, tmp_path):
    names = b"".join(os.fsencode(corpus / f"{number:02}.png") + b"\n" for number in (1, 2, 3))
    done = retr("index", "-", "-o", tmp_path / "index", "--format", "json", stdin=names)
    assert (done.code, done.json["indexed"]) == (0, 3)


def test_info_verifies(retr, corpus, tmp_path):
    assert retr("index", corpus, "-o", tmp_path / "index", "--model", "block-means:4").code == 0
    facts = retr("info", tmp_path / "index", "--verify", "--format", "json")
    assert facts.code == 0
    assert (facts.json["schema"], facts.json["items"], facts.json["rows"]) == ("retr.info/1", 12, 12)
    assert "match their SHA-256" in facts.json["verified"]
    [rows] = (tmp_path / "index" / "segments").glob("*/rows-0.f32")
    data = bytearray(rows.read_bytes())
    data[40] ^= 1
    rows.write_bytes(data)
    assert "does not match its SHA-256" in one_line(retr("info", tmp_path / "index", "--verify"), 5)


# -- query ------------------------------------------------------------------------------------------------------------


def test_one_query_as_json(retr, corpus, index):
    done = retr("query", corpus / "03.png", "-i", index, "--certify", "-k", 4, "--format", "json")
    assert (done.code, done.err) == (0, "")
    body = done.json
    assert set(body) >= QUERY
    assert (body["schema"], body["query"], body["verdict"]) == ("retr.query/1", str(corpus / "03.png"), "copy")
    assert len(body["matches"]) == 4
    assert body["matches"][0]["top1"]["rmse"] > 0
    assert body["certificate"]["exact"] is True
    assert body["eps"]["rmse"] == pytest.approx(1.0)


def test_several_queries_in_every_format(retr, corpus, index):
    paths = [str(corpus / name) for name in ("03.png", "04.png", "05.png")]
    listed = retr("query", *paths, "-i", index, "--format", "json").json
    assert [body["query"] for body in listed] == paths
    lines = retr("query", *paths, "-i", index, "--format", "jsonl").lines
    assert [json.loads(line)["query"] for line in lines] == paths
    rows = list(csv.DictReader(io.StringIO(retr("query", *paths, "-i", index, "--format", "csv").out.decode())))
    assert [row["query"] for row in rows] == paths
    assert json.loads(rows[0]["matches"])[0]["path"] == paths[0]
    table = pq.read_table(io.BytesIO(retr("query", *paths, "-i", index, "--format", "parquet").out))
    assert table["query"].to_pylist() == paths
    assert table["verdict"].to_pylist() == [row["verdict"] for row in rows] == [body["verdict"] for body in listed]
    text = retr("query", *paths, "-i", index).out.decode()
    assert all(Path(path).name in text for path in paths)


def test_queries_from_standard_input(retr, corpus, index):
    names = f"{corpus / '03.png'}\r\n\n{corpus / '04.png'}\n".encode()
    done = retr("query", "-", corpus / "05.png", "-i", index, "--format", "jsonl", stdin=names)
    assert [Path(json.loads(line)["query"]).name for line in done.lines] == ["03.png", "04.png", "05.png"]
    assert retr("query", "-", "-i", index, "--format", "json").json == []


def test_names_that_are_not_text(retr, corpus, index, tmp_path):
    odd = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    Path(os.fsdecode(odd)).write_bytes((corpus / "03.png").read_bytes())
    for form in ("json", "jsonl", "csv", "table"):
        done = retr("query", os.fsdecode(odd), "-", "-i", index, "--format", form, stdin=odd + b"\n")
        assert (done.code, done.err) == (0, "")
        assert b"%FF%FE.png" in done.out


def test_bad_queries_are_named_and_the_rest_is_answered(retr, corpus, index, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    paths = [tmp_path / "bad.png", corpus / "03.png", tmp_path / "nowhere.png"]
    done = retr("query", *paths, "-i", index, "--format", "json")
    assert done.code == 3
    assert [body["query"] for body in done.json] == [str(corpus / "03.png")]
    errors = done.err.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith(f"retr: {paths[0]}: ")
    assert errors[1].startswith(f"retr: {paths[2]}: ")
    assert "nowhere.png" in one_line(retr("query", paths[2], "-i", index, "--format", "json"), 3)


def test_the_budget_decides_the_verdict(retr, corpus, index):
    arguments = ("query", corpus / "03.png", "-i", index, "--format", "json")
    assert retr(*arguments, "--eps", 0.5).json["verdict"] == "copy"
    assert retr(*arguments, "--eps", 0.5).json["certificate"] is not None
    far = retr(*arguments, "--eps", 250).json
    assert (far["verdict"], far["point_verdict"]) == ("undecided", "copy")
    assert retr(*arguments, "--eps", 60, "--unit", "psnr").json["eps"]["psnr"] == pytest.approx(60)
    assert retr(*arguments, "--eps", 0.25, "--unit", "l2").json["eps"]["l2"] == 0.25
    [threshold] = retr(*arguments, "--threshold", 0.5).json["thresholds"]
    assert (threshold["value"], threshold["source"], threshold["fpr"]) == (0.5, "given", None)


def test_every_answer_says_what_its_threshold_is(retr, corpus, index):
    [threshold] = retr("query", corpus / "03.png", "-i", index, "--format", "json").json["thresholds"]
    assert (threshold["source"], threshold["provisional"]) == ("leave-one-out", True)


def test_an_uncertified_model_answers_and_a_required_certificate_exits_with_4(retr, corpus, uncertified):
    arguments = ("query", corpus / "03.png", "-i", uncertified, "--format", "json")
    done = retr(*arguments, "--certify")
    assert done.code == 0
    assert (done.json["verdict"], done.json["certificate"], done.json["eps"]) == ("uncertified", None, None)
    assert "foreign program" in done.json["withheld"]
    required = retr(*arguments, "--require-certificate")
    assert required.code == 4
    assert required.json["withheld"] == done.json["withheld"]
    assert len(required.err.splitlines()) == 1
    assert "certificate withheld" in required.err


def test_a_flat_query_has_no_certificate(retr, index, tmp_path):
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "flat.png")
    done = retr("query", tmp_path / "flat.png", "-i", index, "--require-certificate", "--format", "json")
    assert done.code == 4
    assert "zero embedding" in done.json["withheld"]


def test_a_required_certificate_that_is_given(retr, corpus, index):
    done = retr("query", corpus / "03.png", "-i", index, "--require-certificate", "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert done.json["certificate"] is not None


# -- calibrate --------------------------------------------------------------------------------------------------------


def test_calibrate_then_query(retr, corpus, tmp_path):
    folder = tmp_path / "index"
    assert retr("index", corpus, "-o", folder, "--model", "block-means:4").code == 0
    for number in range(19):
        draw(tmp_path / "absent" / f"{number}.png", 500 + number)
    done = retr("calibrate", folder, tmp_path / "absent", "--fpr", 0.1, "--format", "json")
    assert done.code == 0
    assert (done.json["schema"], done.json["negatives"], done.json["refused"]) == ("retr.calibration/1", 19, 0)
    [threshold] = done.json["thresholds"]
    assert (threshold["channel"], threshold["source"], threshold["fpr"]) == ("block-means:4", "calibrated", 0.1)
    used = retr("query", corpus / "03.png", "-i", folder, "--format", "json").json
    assert used["snapshot"] == done.json["snapshot"]
    assert used["thresholds"][0]["value"] == threshold["value"]
    assert used["thresholds"][0]["provisional"] is False
    assert "calibrated" in retr("info", folder).out.decode()
    (tmp_path / "absent" / "bad.png").write_bytes(b"")
    assert retr("calibrate", folder, tmp_path / "absent", "--fpr", 0.1).code == 3
    assert "at least 999 are needed" in one_line(retr("calibrate", folder, tmp_path / "absent"), 2)


# -- how commands fail ------------------------------------------------------------------------------------------------


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
        (["query", "IMAGE", "--eps", "-1"], "budget"),
        (["query", "IMAGE", "--eps", "nan"], "budget"),
        (["query", "IMAGE", "--threshold", "1.5"], "threshold"),
        (["query", "IMAGE", "--device", "tpu"], "choose auto, cpu or cuda"),
        (["index", "CORPUS", "--model", "no-such-model"], "no-such-model"),
        (["index", "CORPUS", "--views", "mirror"], "choose none, flip, light, standard"),
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
    assert "bytes" in one_line(retr("query", corpus / "03.png", "-i", folder), 5)
    rows.write_bytes(bytes(4 * 48) + whole[4 * 48 :])
    assert "row 0" in one_line(retr("query", corpus / "03.png", "-i", folder), 5)
    rows.write_bytes(whole)
    (folder / "CURRENT").write_text("0123456789abcdef\n")
    assert "0123456789abcdef" in one_line(retr("query", corpus / "03.png", "-i", folder), 5)


def test_version_and_models(retr):
    assert re.fullmatch(r"retr \d+\.\d+\.\d+\n", retr("--version").out.decode())
    listed = retr("models", "list", "--format", "json").json
    assert any(row["name"].startswith("block-means") and row["certified"] for row in listed)
    assert "block-means" in retr("models", "show", "block-means").out.decode()


def test_the_reader_of_the_output_may_leave(corpus, index):
    command = f"'{sys.executable}' -m retr query {corpus}/*.png -i {index} --format jsonl | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("{", "")


# -- interruption -----------------------------------------------------------------------------------------------------


def test_an_interrupted_run_exits_with_130_and_is_resumed(retr, tmp_path):
    corpus, folder = tmp_path / "many", tmp_path / "index"
    first = draw(corpus / "0000.png", 1)
    for number in range(1, 4000):
        os.link(first, corpus / f"{number:04}.png")
    command = [sys.executable, "-m", "retr", "index", str(corpus), "-o", str(folder), "--batch-size", "8"]
    # A shell starts background jobs with SIGINT ignored, and children inherit that.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    journal = folder / "staging" / "journal.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert not (folder / "CURRENT").exists()
    assert "--resume" in one_line(retr("query", first, "-i", folder), 1)
    assert "--resume" in one_line(retr("index", corpus, "-o", folder), 1)
    done = retr("index", corpus, "-o", folder, "--resume", "--format", "json")
    assert done.code == 0
    assert (done.json["seen"], done.json["indexed"], done.json["rows"]) == (4000, 4000, 4000)
    assert done.json["recovered"] > 0


def test_data_sets_and_metrics_are_listed(retr):
    assert {row["name"] for row in retr("data", "list", "--format", "json").json} >= {"bapps", "nights", "synthetic"}
    assert retr("data", "info", "nights", "--format", "json").json["name"] == "nights"
    assert any("bapps" in line for line in retr("data", "info", "bapps").lines)
    listed = {row["name"]: row for row in retr("metrics", "list", "--format", "json").json}
    assert listed["l2"]["runs"] is True
    assert any("ms-ssim" in line for line in retr("metrics", "list").lines)


def test_an_unknown_data_set_is_refused_by_name(retr):
    refused = retr("data", "info", "imagenet")
    assert refused.code == 2
    assert "imagenet" in refused.err
    assert "nights" in refused.err
