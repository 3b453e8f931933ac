"""An audit that was killed goes on where it was, and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from drawn import Killed, Watcher

from retr.core.errors import IntegrityError, UsageError
from retr.evaluation.robustness import audit_run
from retr.evaluation.robustness.attack_eval import OUT_OF_TIME, run_attack_eval
from retr.evaluation.robustness.audit_run import HOME, open_folder
from retr.evaluation.robustness.plan import AuditPlan
from retr.evaluation.robustness.records import FORMAT

HERE = Path(__file__).resolve().parent
PLAN = AuditPlan(sample=4, edits=("resize",), attacks=("pgd-l2",), budgets=(2.0,), steps=1)


@pytest.fixture(scope="module")
def index(make_index):
    return make_index(12)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(audit_run, "_CASES_PER_CHUNK", 1)


def rows(result):
    kept = FORMAT.read(result.records).table.to_pylist()
    return [{name: value for name, value in row.items() if name not in ("run", "seconds")} for row in kept]


def test_killed_at_any_moment_it_ends_as_in_peace(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent / "support"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "audit_under_fire.py"), str(tmp_path), "4"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["killed"] == 4
    assert result["different"] == []
    assert result["gallery"] > 1, "the images kept must have been compared too"


def test_a_run_stopped_in_the_middle_repeats_nothing(index, tmp_path):
    engine, _ = index
    plan = replace(PLAN, out=tmp_path / "a", command="as typed")
    with pytest.raises(Killed):
        run_attack_eval(engine, plan, progress=Watcher(3, of="pgd"))
    with pytest.raises(UsageError, match="resume it"):
        run_attack_eval(engine, plan)
    seen = Watcher()
    again = replace(plan, resume=True, command="as typed, with --resume")
    resumed = run_attack_eval(engine, again, progress=seen)
    assert seen.before == 2
    assert seen.done == seen.total == 4
    assert rows(resumed) == rows(run_attack_eval(engine, replace(plan, out=tmp_path / "b")))


def test_a_finished_run_is_told_again(index, tmp_path):
    engine, _ = index
    plan = replace(PLAN, sample=2, out=tmp_path / "a", resume=True)
    first = run_attack_eval(engine, plan)
    again = run_attack_eval(engine, plan, progress=Watcher(1, of="pgd"))
    assert (again.run, again.summary, again.seconds) == (first.run, first.summary, first.seconds)
    assert (first.stored, again.stored) == (False, True)


def test_another_plan_or_another_index_is_refused(make_index, index, tmp_path):
    engine, _ = index
    plan = replace(PLAN, out=tmp_path / "a", resume=True)
    with pytest.raises(Killed):
        run_attack_eval(engine, plan, progress=Watcher(1, of="pgd"))
    with pytest.raises(UsageError, match=r"steps was 1 and is 2"):
        run_attack_eval(engine, replace(plan, steps=2))
    with pytest.raises(UsageError, match="queries and systems changed"):
        run_attack_eval(make_index(12)[0], plan)
    (tmp_path / "a" / "run.json").write_text("{}")
    with pytest.raises(IntegrityError, match="cannot be read"):
        run_attack_eval(engine, plan)


def test_without_a_folder_the_newest_unfinished_one_is_taken_up(index, tmp_path, monkeypatch):
    engine, _ = index
    monkeypatch.chdir(tmp_path)
    finished = run_attack_eval(engine, PLAN)
    with pytest.raises(Killed):
        run_attack_eval(engine, PLAN, progress=Watcher(2, of="pgd"))
    (folder,) = (path for path in HOME.iterdir() if path.name != finished.run)
    assert run_attack_eval(engine, replace(PLAN, resume=True)).folder == folder
    again = run_attack_eval(engine, replace(PLAN, resume=True))
    assert again.stored
    assert again.folder in (folder, finished.folder)
    assert open_folder(replace(PLAN, steps=2, resume=True)).folder not in (folder, finished.folder)


def test_time_spent_before_counts_towards_the_limit(index, tmp_path):
    engine, _ = index
    plan = replace(PLAN, out=tmp_path / "a", resume=True)
    with pytest.raises(Killed):
        run_attack_eval(engine, plan, progress=Watcher(2, of="pgd"))
    rest = run_attack_eval(engine, replace(plan, seconds=1e-9))
    assert rest.summary.files == 1
    assert rest.skipped == {OUT_OF_TIME: 3}


def test_nothing_is_left_where_nothing_could_be_audited(index, tmp_path):
    engine, _ = index
    with pytest.raises(UsageError, match=OUT_OF_TIME):
        run_attack_eval(engine, replace(PLAN, seconds=1e-9, out=tmp_path / "a"))
    assert not (tmp_path / "a").exists()


def test_files_that_are_not_the_audits_are_not_touched(index, tmp_path):
    engine, _ = index
    (tmp_path / "a" / "images").mkdir(parents=True)
    (tmp_path / "a" / "images" / "holiday.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match="choose another folder"):
        run_attack_eval(engine, replace(PLAN, out=tmp_path / "a"))
    assert (tmp_path / "a" / "images" / "holiday.png").exists()
