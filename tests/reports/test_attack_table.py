import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from retr.evaluation.summary import AttackLine, BudgetLine, EditLine, MultipleLine, RadiusLine, Summary
from retr.reports.attack_table import audit_json, print_audit

SUMMARY = Summary(
    run="r1",
    model="block-means",
    snapshot="s1",
    queries=8,
    files=4,
    clean1=0.875,
    clean10=1.0,
    radius=RadiusLine(7, 30.5, 14.25, 25.05),
    budgets=(BudgetLine(2.0, "rmse", 8, 0.875, 1.0, 0.75, 1.0, 0.625, 32, 0, 0.125),),
    multiples=(),
    attacks=(AttackLine("apgd-l2", "evasion", 2.0, "rmse", 8, 0.125, 0.0, 16, 0, 20.0, 0.1),),
    edits=(EditLine("crop", True, 8, 0.875, 8, 14.25), EditLine("jpeg", False, 8, 1.0, 0, None)),
    certificates=32,
    alarms=0,
)


@dataclass
class Result:
    summary: Summary = SUMMARY
    run: str = "r1"
    records: Path = Path("retr-audit/r1/records.parquet")
    skipped_paths: tuple[tuple[str, str], ...] = (("/c/a.png", "vanished"),)
    seconds: float = 61.4

    @property
    def skipped(self) -> dict[str, int]:
        return {"vanished": 1}


def printed(result):
    text = io.StringIO()
    print_audit(result, Console(file=text, width=120))
    return text.getvalue()


def test_the_table_shows_recall_certificates_radius_and_alarms():
    text = printed(Result())
    (line,) = [one for one in text.splitlines() if one.startswith("│ 2 rmse")]
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "2 rmse", "87.5 %", "100.0 %", "75.0 %", "62.5 %", "32", "0",
    ]  # fmt: skip
    assert "RMSE 14.25/255, ℓ2 30.50, PSNR ≥ 25.1 dB" in text or "RMSE 14.25/255, ℓ2 30.50, PSNR ≥ 25.0 dB" in text
    assert "soundness alarms: 0 in 32 attacked certificates" in text
    assert "left out: 1 × vanished" in text
    assert "crop (geometric)" in text
    assert "retr-audit/r1/records.parquet  (61 s)" in text


def test_alarms_and_multiples():
    line = MultipleLine(0.999, 8, 0.25, 0.125, 16, 3)
    text = printed(Result(replace(SUMMARY, budgets=(), multiples=(line,), alarms=3, radius=None)))
    assert "soundness alarms: 3 in 32 attacked certificates – a certificate was broken" in text
    assert "median certified radius: none" in text
    (row,) = [one for one in text.splitlines() if one.startswith("│ 0.999")]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["0.999", "8", "25.0 %", "12.5 %", "16", "3"]


def test_json_is_plain_and_complete():
    made = json.loads(json.dumps(audit_json(Result()), allow_nan=False))
    assert made["schema"] == "retr.audit/1"
    assert made["budgets"][0]["certified1"] == 0.625
    assert made["alarms"] == 0
    assert made["skipped_paths"] == [{"path": "/c/a.png", "reason": "vanished"}]
