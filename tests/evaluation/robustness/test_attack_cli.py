"""``retr attack-eval`` as typed."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from retr.certificates.verify_proof import verify
from retr.cli import app, main
from retr.core.units import Radius
from retr.evaluation.robustness.records import FORMAT
from retr.retrieval.engine import Engine

QUICK = ["--sample", "2", "--edits", "resize", "--attacks", "pgd-l2", "--budgets", "2", "--steps", "1"]


@pytest.fixture(scope="module")
def index(make_index) -> Path:
    return make_index(12)[0].path


def run(*words: object):
    return CliRunner().invoke(app, ["attack-eval", *map(str, words)])


def test_records_a_page_and_a_table(index, tmp_path):
    outcome = run("-i", index, *QUICK, "--out", tmp_path / "a", "--proofs", 1)
    assert outcome.exit_code == 0, outcome.output
    assert "soundness alarms: 0" in outcome.stdout
    proofs = sorted((tmp_path / "a" / "proofs").iterdir())
    assert proofs
    assert {verify(proof, index).verdict for proof in proofs} == {"confirmed"}
    page = (tmp_path / "a" / "audit.html").read_text()
    assert "<html" in page
    assert f"page: {tmp_path / 'a' / 'audit.html'}" in outcome.stdout
    records = FORMAT.read(tmp_path / "a" / "records.parquet").table.to_pylist()
    shown = [r["image"] for r in records if r["image"]]
    assert shown, "the gallery shows the attack that came nearest"
    assert all((tmp_path / "a" / name).is_file() for name in shown)


def test_json_keeps_standard_output_to_itself(index, tmp_path):
    words = ["-i", index, *QUICK, "--out", tmp_path / "a", "--format", "json", "--page", tmp_path / "p.html"]
    outcome = run(*words, "--keep", "none")
    assert outcome.exit_code == 0
    assert json.loads(outcome.stdout)["records"] == str(tmp_path / "a" / "records.parquet")
    assert (tmp_path / "p.html").is_file()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["records.parquet", "run.json"]


def test_edits_with_proof_stand_beside_the_attacks(index, tmp_path):
    words = ["-i", index, *QUICK, "--out", tmp_path / "a", "--against", "jpeg:90..95", "--on-top", 0.5]
    outcome = run(*words)
    assert outcome.exit_code == 0, outcome.output
    assert "Edits with proof, any change up to RMSE 0.5 on top" in outcome.stdout
    again = run(*words, "--resume", "--format", "json")
    [line] = json.loads(again.stdout)["edits_with_proof"]
    assert (line["family"], line["queries"], line["alarms"]) == ("jpeg:90..95", 2, 0)
    refused = run(*words[:-3], "jpeg:9..1000")
    assert refused.exit_code != 0


def test_systems_side_by_side_and_a_transfer(index, tmp_path):
    words = ["--systems", f"{index},dhash", "--transfer-from", "block-means:4", "--out", tmp_path / "a"]
    outcome = run(*words, *QUICK)
    assert outcome.exit_code == 0, outcome.output
    records = FORMAT.read(tmp_path / "a" / "records.parquet").table.to_pylist()
    attacked = {(r["system"], r["source"]) for r in records if r["attack"] != "clean"}
    assert attacked == {(name, source) for name in ("index", "dhash") for source in (None, "block-means:4")}
    again = run(*words, *QUICK, "--resume")
    assert again.exit_code == 0
    assert "records:" in again.stdout


class Boastful(Engine):
    """Certified first places hold four times as far, it says."""

    def answer_many(self, images, **options):
        answers = super().answer_many(images, **options)
        return [replace(a, matches=tuple(self._boast(m) for m in a.matches)) for a in answers]

    @staticmethod
    def _boast(match):
        return replace(match, top1=match.top1 and Radius(4 * match.top1.l2, match.top1.values))


def test_an_alarm_is_exit_code_one(index, tmp_path, monkeypatch):
    honest = Engine.open(index, device="cpu")
    lying = Boastful(honest.path, honest.gallery, honest.channels, honest.policy)
    monkeypatch.setattr(Engine, "open", staticmethod(lambda *_, **__: lying))
    words = ["--sample", "2", "--edits", "identity", "--at-radius", "0.9", "--out", tmp_path / "a"]
    outcome = run("-i", index, *words)
    assert outcome.exit_code == 1
    assert "soundness alarms" in outcome.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quick", "--full"], "exclude each other"),
        (["--goals", "nope"], "evasion"),
        (["queries", "--self-edits"], "leave QUERIES out"),
        (["--systems", "no-such-thing"], "unknown model"),
        (["--transfer-from", "INDEX"], "judged by other systems"),
        (["--budgets", "many"], "--budgets takes numbers"),
    ],
)
def test_words_that_make_no_sense(index, tmp_path, monkeypatch, capsys, words, message):
    named = [str(index) if word == "INDEX" else word for word in words]
    monkeypatch.setattr("sys.argv", ["retr", "attack-eval", "-i", str(index), "--out", str(tmp_path / "a"), *named])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_a_negative_that_is_held_is_told(index, tmp_path):
    corpus = index.parent / "corpus"
    (tmp_path / "list").write_text(f"{corpus / '003.png'}\n")
    outcome = run("-i", index, *QUICK, "--negatives", tmp_path / "list", "--out", tmp_path / "a")
    assert outcome.exit_code == 3
    assert "a negative that the index holds" in outcome.stdout


def test_csv_is_the_lines_of_the_tables(index, tmp_path):
    outcome = run("-i", index, *QUICK, "--out", tmp_path / "a", "--format", "csv")
    assert outcome.exit_code == 0, outcome.output
    rows = list(csv.DictReader(io.StringIO(outcome.stdout)))
    assert {row["part"] for row in rows} >= {"budgets", "attacks", "systems"}
    [line] = [row for row in rows if row["part"] == "budgets"]
    assert (line["budget"], line["unit"], line["queries"]) == ("2.0", "rmse", "2")
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("{", "[")]
