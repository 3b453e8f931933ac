import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_records import LOST, MADE, PER_RMSE, audit, clean, table, trial
from rich.console import Console

from retr.evaluation.robustness.attack_eval import AuditResult
from retr.evaluation.robustness.summary import summarise
from retr.evaluation.robustness.summary_lines import Summary
from retr.reports.attack_table import audit_json, print_audit

RADIUS = {"radius_top1": 2.5 * PER_RMSE, "radius_verdict": 2.5 * PER_RMSE}
QUERIES = [
    {"query": f"{n}.jpg", "edit": edit, "geometric": edit == "crop"} for n in range(4) for edit in ("crop", "jpeg")
]
ONE = summarise(
    table(
        *(clean(**query, **RADIUS, clean_first=i > 0) for i, query in enumerate(QUERIES)),
        *(
            trial(2.0, **query, **RADIUS, **(LOST if i == 1 else {}), clean_first=i > 0, within_top1=True)
            for i, query in enumerate(QUERIES)
        ),
    )
)
THREE = summarise(table(*audit(files=4)))


def audited(summary: Summary = ONE) -> AuditResult:
    """An audit in which one file had vanished."""
    folder = Path("retr-audit/r1")
    lost = (("/c/a.png", "vanished"),)
    return AuditResult("r1", folder, folder / "records.parquet", summary, {"vanished": 1}, lost, 61.4)


def printed(result, width=120):
    text = io.StringIO()
    print_audit(result, Console(file=text, width=width))
    return text.getvalue()


def cells(text, start, nth=0):
    line = [one for one in text.splitlines() if one[0] == "│" and one.lstrip("│ ").startswith(start)][nth]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_the_table_shows_recall_with_intervals_certificates_radius_and_alarms():
    text = printed(audited())
    assert cells(text, "RMSE 2") == [
        "RMSE 2", "recall@1", "87.5 % (52–98)", "75.0 % (40–93)", "87.5 % (52–98)", "8", "0",
    ]  # fmt: skip
    radii = ["index, first place", "7", *["2.49"] * 6, "0.53", "40.2"]
    assert cells(text, "index, first place") == radii
    assert "soundness alarms: 0 in 8 attacked certificates" in text
    assert "left out: 1 × vanished" in text
    crop = ["4", "75.0 % (30–96)", "75.0 % (30–96)", "75.0 % (30–96)", "2.49"]
    assert cells(text, "crop (geometric)")[1:] == crop
    assert "retr-audit/r1/records.parquet  (61 s)" in text
    assert "Tightness: certified radius ÷ smallest successful attack" in text


def test_several_systems_stand_side_by_side_with_their_attacks():
    text = printed(audited(THREE))
    assert "3 systems" in text
    for system in MADE:
        assert f"{system.name}: {system.kind}, model {system.model}" in text
        assert f"│ {system.name} " in text
    share = next(line for line in THREE.budgets if line.system == "pdq" and line.budget == 3.0).attacked.first.value
    rows = [line for line in text.splitlines() if line.startswith("│ pdq ") and "attacked" in line]
    assert f"{100 * share:.1f} %" in rows[0]
    assert "Side by side: recall@1" in text
    assert "Side by side: accuracy of the verdict" in text


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("summary", [ONE, THREE], ids=["one", "three"])
def test_no_line_is_wider_than_the_terminal_and_no_heading_is_cut(width, summary):
    text = printed(audited(summary), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for word in ("clean", "attacked", "certified", "seconds", "alarms", "radius"):
        assert word in text


def test_many_budgets_are_thinned_out_and_the_last_one_stays():
    rows = [clean(), *(trial(float(b)) for b in range(1, 15))]
    text = printed(audited(summarise(table(*rows, clean(system="pdq"), trial(1.0, system="pdq")))), 80)
    [head, *_] = [line for line in text.splitlines() if line.startswith("┃ system ")]
    sizes = [cell.strip().removeprefix("RMSE ") for cell in head.split("┃")[4:-1]]
    assert (sizes[0], sizes[-1]) == ("1", "14")
    assert len(sizes) < 14
    assert max(len(line) for line in text.splitlines()) <= 80


def test_alarms_multiples_and_weak_attacks():
    own = {**RADIUS, "unit": "radius", "within_top1": True}
    made = summarise(
        table(
            clean(**RADIUS),
            trial(2.49, **own | LOST | {"budget": 0.999}, alarm=True, alarm_kind="top1"),
            trial(5.0, **own | {"budget": 2.0, "within_top1": False}, weak="flat-loss"),
        )
    )
    text = printed(audited(made))
    assert "soundness alarms: 1 in 1 attacked certificates – a certificate was broken" in text
    assert cells(text, "0.999 ") == ["0.999", "1", "100.0 %", "0.0 %", "1", "1"]
    assert "weak attack? apgd-l2, evasion: won at a smaller and failed at a larger budget on 1 of 1 queries" in text
    assert "the loss never rose" in text
    assert "no certified radius: no certificate was given" in printed(
        audited(replace(made, systems=(replace(made.systems[0], radius=None),)))
    )


def test_attacks_on_the_embedding_tell_shifts_instead_of_success():
    moved = {"goal": "embedding", "embedding_shift": 0.5, "embedding_limit": 2.0}
    text = printed(audited(summarise(table(clean(), trial(1.0, **moved), trial(0.5, **moved), trial(1.0)))))
    moved = text.split("Embedding moved")[1]
    assert cells(moved, "index")[1:] == ["RMSE 1", "1", "0.5", "0.5", "0.250", "0.250"]
    assert "RMSE 0.5" not in moved
    assert "Goal evasion" in text
    assert "Goal embedding" not in text


def test_names_are_no_markup():
    made = summarise(table(clean(system="[red]x[/red]"), trial(1.0, system="[red]x[/red]"), clean(), trial(1.0)))
    assert cells(printed(audited(made)), "[red]x[/red]")[0] == "[red]x[/red]"


def test_json_is_plain_and_complete():
    made = json.loads(json.dumps(audit_json(audited()), allow_nan=False))
    assert made["schema"] == "retr.audit/2"
    assert made["budgets"][0]["certified"]["first"] == {
        "value": 0.875,
        "low": pytest.approx(0.529, abs=1e-3),
        "high": pytest.approx(0.978, abs=1e-3),
        "count": 7,
        "of": 8,
    }
    assert made["systems"][0]["model"] == "block-means"
    assert made["alarms"] == 0
    assert made["skipped_paths"] == [{"path": "/c/a.png", "reason": "vanished"}]
