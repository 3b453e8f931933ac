"""``minutes``: a run is over when they are, its evaluation and its files included. The clock is ours, and exact."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_recipe import TinyRecipe, Watcher
from torch import Tensor, nn

from retr.embedding.model_file import read_header
from retr.training import limit, loop
from retr.training.plan import TrainPlan
from retr.training.report import TrainReport


class Clock:
    """Stands still but for what is added to it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Timed(TinyRecipe):
    """Takes a second for a step, some for each of the four calls of an evaluation, and some for a model file."""

    def __init__(self, clock: Clock, *, call: float, file: float) -> None:
        super().__init__()
        self.clock, self.call, self.file = clock, call, file
        self.evaluations = 0

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.clock.now += 1.0
        return super().losses(network, batch)

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        self.evaluations += 1
        for _ in range(4):
            network(self.pictures)
            self.clock.now += self.call
        return super().evaluate(network)

    def export(self, network: nn.Module, path: Path, training_record: Any) -> None:
        self.clock.now += self.file
        super().export(network, path, training_record)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    ours = Clock()
    monkeypatch.setattr(limit, "time", SimpleNamespace(monotonic=ours.monotonic))
    return ours


def run(
    recipe: Timed, folder: Path, watcher: Watcher | None = None, *, began: float = 0.0, **changes: Any
) -> TrainReport:
    usual = {
        "steps": 500,
        "batch": 16,
        "log_every": 1,
        "evaluate_every": 0,
        "checkpoint_every": 0,
        "accelerator": "cpu",
    }
    plan = TrainPlan(**{**usual, "minutes": 1.0, **changes})
    return loop.run_training(recipe, plan, folder=folder, resume=False, observer=watcher or Watcher(), began=began)


def test_the_last_evaluation_and_the_files_are_part_of_the_time(clock: Clock, tmp_path: Path) -> None:
    recipe, watcher = Timed(clock, call=2.0, file=3.0), Watcher()
    report = run(recipe, tmp_path, watcher)
    assert report.stopped == "minutes"
    assert 56.0 <= clock.now <= 60.0 + 1.0  # a step is not cut short
    # A rehearsal after a quarter, of 8 seconds and two files of 3; then steps, until all that just fits.
    assert watcher.evaluations == [15, report.steps]
    assert report.models == ("best.safetensors", "last.safetensors")
    assert watcher.notes == []


def test_opening_the_data_is_part_of_the_time(clock: Clock, tmp_path: Path) -> None:
    clock.now = 40.0
    run(Timed(clock, call=1.0, file=1.0), tmp_path, began=0.0)
    assert clock.now <= 61.0


def test_an_evaluation_that_does_not_fit_is_cut_off(clock: Clock, tmp_path: Path) -> None:
    recipe, watcher = Timed(clock, call=20.0, file=3.0), Watcher()
    report = run(recipe, tmp_path, watcher)
    assert clock.now == 15.0 + 3.0 + 3 * 20.0  # the file, and the calls that were begun
    assert (report.steps, report.metrics, report.best) == (15, {}, None)
    assert report.models == ("last.safetensors",)
    assert "no time was left" in watcher.notes[-1]


def test_evaluations_in_turn_are_trial_enough(clock: Clock, tmp_path: Path) -> None:
    watcher = Watcher()
    report = run(Timed(clock, call=1.0, file=0.0), tmp_path, watcher, evaluate_every=10)
    assert (watcher.evaluations, report.steps) == ([10, 20, 30, 40], 40)
    assert clock.now <= 61.0


def test_without_a_limit_nothing_is_tried_out_of_turn(clock: Clock, tmp_path: Path) -> None:
    watcher = Watcher()
    report = run(Timed(clock, call=20.0, file=3.0), tmp_path, watcher, minutes=None, steps=100)
    assert (report.stopped, watcher.evaluations) == ("finished", [100])


def test_the_last_file_is_of_the_last_weights_and_figures(clock: Clock, tmp_path: Path) -> None:
    report = run(Timed(clock, call=2.0, file=3.0), tmp_path)
    record = read_header(tmp_path / "last.safetensors")["training"]
    assert (record["steps_done"], record["evaluated_at_step"]) == (report.steps, report.steps)
    assert record["metrics"] == report.metrics


def test_no_time_at_all_is_one_step(clock: Clock, tmp_path: Path) -> None:
    recipe = Timed(clock, call=20.0, file=3.0)
    report = run(recipe, tmp_path, minutes=0.0)
    assert (report.stopped, report.steps, recipe.evaluations) == ("minutes", 1, 0)
    assert (tmp_path / "checkpoint.safetensors").exists()
