"""The loop on a tiny certified network: it learns, logs, exports, stops when told, and goes on bit for bit."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_recipe import TinyRecipe, Watcher

from retr.core.errors import IntegrityError, ModelError, UsageError
from retr.embedding.model_file import load_model, read_header
from retr.training.loop import TrainReport, run_training
from retr.training.plan import TrainPlan

SCRIPT = Path(__file__).with_name("run_under_fire.py")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def plan(**changes: Any) -> TrainPlan:
    usual = {"steps": 60, "batch": 16, "lr": 1e-2, "warmup": 5, "log_every": 5, "accelerator": "cpu"}
    return TrainPlan(**{**usual, "evaluate_every": 20, "checkpoint_every": 10, "ema": 0.9, **changes})


def trained(
    folder: Path, recipe: TinyRecipe | None = None, *, resume: bool = False, watcher: Watcher | None = None, **kw: Any
) -> TrainReport:
    watching = watcher or Watcher()
    return run_training(recipe or TinyRecipe(), plan(**kw), folder=folder, resume=resume, observer=watching)


def numbers(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as handle:
        return list(csv.DictReader(handle))


class Killed(Exception):  # noqa: N818 - what happened, no error
    """Stands for a kill: the loop gets no chance to save anything."""


class Mortal(TinyRecipe):
    """Dies in the losses of a step."""

    def __init__(self, dies_at: int) -> None:
        super().__init__()
        self.dies_at, self.calls = dies_at, 0

    def losses(self, network: Any, batch: Any) -> Any:
        self.calls += 1
        if self.calls > self.dies_at:
            raise Killed
        return super().losses(network, batch)


class TestRun:
    @pytest.mark.parametrize("precision", ["32", "bf16", "tf32"])
    def test_the_loss_falls(self, tmp_path: Path, precision: str) -> None:
        watcher = Watcher()
        report = trained(tmp_path, watcher=watcher, precision=precision)
        assert watcher.losses[-1] < 0.6 * watcher.losses[0]
        scores = [float(row["score"]) for row in rows(tmp_path / "evaluations.csv")]
        assert scores[-1] > scores[0]
        assert report.best == pytest.approx(max(scores), rel=1e-6)
        assert (report.stopped, report.steps, report.views, report.skipped) == ("finished", 60, 60 * 32, 0)
        assert torch.get_float32_matmul_precision() == "highest"

    def test_logs(self, tmp_path: Path) -> None:
        watcher = Watcher()
        trained(tmp_path, watcher=watcher)
        table = rows(tmp_path / "metrics.csv")
        figures = ["lr", "images_per_second", "seconds", "views", "skipped", "gradient_norm"]
        assert list(table[0]) == ["step", "loss", "right", *figures]
        assert [int(row["step"]) for row in table] == watcher.steps == list(range(5, 61, 5))
        assert float(table[0]["lr"]) == 1e-2
        assert [int(row["step"]) for row in rows(tmp_path / "evaluations.csv")] == watcher.evaluations == [20, 40, 60]
        assert list((tmp_path / "tensorboard").iterdir())
        assert watcher.started == [(60, 0)]

    def test_model_files_are_certified_and_say_how_they_were_made(self, tmp_path: Path) -> None:
        report = trained(tmp_path)
        assert report.models == ("best.safetensors", "last.safetensors")
        for name in report.models:
            model = load_model(tmp_path / name)
            assert model.lipschitz is not None
            assert model.lipschitz.value <= 1 + 1e-9
            record = read_header(tmp_path / name)["training"]
            assert (record["recipe"], record["options"]["items"]) == ("tiny", 24)
            assert record["plan"]["steps"] == 60
            assert {"views", "seconds", "hardware", "torch", "metrics", "digest"} <= set(record)
        assert read_header(tmp_path / "last.safetensors")["training"]["steps_done"] == 60
        assert json.loads((tmp_path / "training.json").read_text())["steps_done"] == 60

    def test_the_model_file_holds_the_average(self, tmp_path: Path) -> None:
        recipe = TinyRecipe()
        trained(tmp_path, recipe)
        saved, ema = load_model(tmp_path / "last.safetensors"), TinyRecipe().network
        ema.load_state_dict({k[4:]: v for k, v in numbers(tmp_path).items() if k.startswith("ema/")})
        with torch.no_grad():
            assert torch.allclose(saved.forward(recipe.pictures), ema(recipe.pictures), atol=1e-5)
            assert not torch.allclose(saved.forward(recipe.pictures), recipe.network(recipe.pictures), atol=1e-5)

    def test_two_runs_are_equal(self, tmp_path: Path) -> None:
        trained(tmp_path / "a")
        trained(tmp_path / "b", prefetch=3)
        assert same(numbers(tmp_path / "a"), numbers(tmp_path / "b"))

    def test_a_step_that_is_not_finite_is_left_out(self, tmp_path: Path) -> None:
        watcher = Watcher()
        report = trained(tmp_path, TinyRecipe(bad_steps=range(10, 13)), watcher=watcher)
        assert report.skipped == 3
        assert watcher.losses[-1] < 0.6 * watcher.losses[0]
        assert all(value.isfinite().all() for value in numbers(tmp_path).values())

    def test_twenty_of_them_in_a_row_end_the_run(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="20 steps in a row, up to step 32"):
            trained(tmp_path, TinyRecipe(bad_steps=range(12, 60)))

    def test_devices_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="torchrun --nproc-per-node 2"):
            trained(tmp_path, devices=2)


class TestStopping:
    def test_minutes(self, tmp_path: Path) -> None:
        report = trained(tmp_path, minutes=0.0)
        assert (report.stopped, report.steps) == ("minutes", 1)
        assert (tmp_path / "last.safetensors").exists()
        assert trained(tmp_path, resume=True).steps == 60

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_leaves_a_checkpoint(self, tmp_path: Path, number: signal.Signals) -> None:
        class Sender(Watcher):
            def stepped(self, step: int, loss: float, images_per_second: float) -> None:
                super().stepped(step, loss, images_per_second)
                if step == 25:
                    os.kill(os.getpid(), number)

        before = signal.getsignal(number)
        report = trained(tmp_path / "a", watcher=Sender())
        assert (report.stopped, report.steps) == ("interrupted", 25)
        assert signal.getsignal(number) is before
        assert trained(tmp_path / "a", resume=True).stopped == "finished"
        trained(tmp_path / "b")
        assert same(numbers(tmp_path / "a"), numbers(tmp_path / "b"))


class TestResume:
    def test_killed_at_random_steps_it_ends_with_the_same_bits(self, tmp_path: Path) -> None:
        trained(tmp_path / "whole")
        draw = random.Random(5)
        for trial in range(4):
            folder, lives = tmp_path / f"killed{trial}", 0
            while True:
                try:
                    trained(folder, Mortal(draw.randint(3, 35)), resume=True, checkpoint_every=7)
                    break
                except Killed:
                    lives += 1
            assert lives > 0
            assert same(numbers(folder), numbers(tmp_path / "whole"))
            assert (
                load_file(folder / "last.safetensors").keys() == load_file(tmp_path / "whole/last.safetensors").keys()
            )
            kept = [[row[c] for c in ("step", "lr", "views")] for row in rows(folder / "metrics.csv")]
            assert kept == [[row[c] for c in ("step", "lr", "views")] for row in rows(tmp_path / "whole/metrics.csv")]

    def test_a_process_killed_at_a_random_moment(self, tmp_path: Path) -> None:
        trained(tmp_path / "whole", steps=200)
        command = [sys.executable, str(SCRIPT), str(tmp_path / "killed")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
        time.sleep(random.Random(5).uniform(0.1, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        report = trained(tmp_path / "killed", resume=True, steps=200)
        assert report.steps == 200
        assert same(numbers(tmp_path / "killed"), numbers(tmp_path / "whole"))

    def test_a_run_is_not_overwritten(self, tmp_path: Path) -> None:
        trained(tmp_path)
        with pytest.raises(UsageError, match="resume it"):
            trained(tmp_path)

    def test_a_finished_run_stays_as_it_is(self, tmp_path: Path) -> None:
        trained(tmp_path)
        before = numbers(tmp_path)
        assert trained(tmp_path, resume=True).stopped == "finished"
        assert same(before, numbers(tmp_path))

    def test_another_plan_or_recipe_is_refused(self, tmp_path: Path) -> None:
        trained(tmp_path)
        with pytest.raises(UsageError, match="steps 60 → 61"):
            trained(tmp_path, resume=True, steps=61)
        with pytest.raises(UsageError, match="options"):
            trained(tmp_path, TinyRecipe(size=8), resume=True)

    def test_a_corrupt_checkpoint_says_so(self, tmp_path: Path) -> None:
        trained(tmp_path)
        file = tmp_path / "checkpoint.safetensors"
        data = bytearray(file.read_bytes())
        data[-3] ^= 1
        for damaged in (bytes(data), bytes(data[:-50]), b"", b"not a checkpoint"):
            file.write_bytes(damaged)
            with pytest.raises(IntegrityError, match=r"checkpoint\.safetensors"):
                trained(tmp_path, resume=True)
        save_file({"network/x": torch.zeros(1)}, file)
        with pytest.raises(IntegrityError, match=r"checkpoint\.safetensors"):
            trained(tmp_path, resume=True)
