"""``retr train``: settings reach plan and recipe, the answer goes to stdout, exit codes are those of the manners."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_recipe import TinyRecipe
from typer.testing import CliRunner

from retr.cli import app
from retr.core.errors import UsageError
from retr.training import recipes
from retr.training.context import RunContext
from retr.training.recipes import RecipeEntry


@dataclass(frozen=True)
class Options:
    size: int = 16
    rejected: int = 0
    signal_at: int = -1


class Described(TinyRecipe):
    """A recipe that describes its data, and may send itself a signal."""

    def __init__(self, options: Options, context: RunContext) -> None:
        super().__init__(seed=context.plan.seed, size=options.size)
        self.options, self.context = options, context

    def batch(self, step: int) -> dict[str, torch.Tensor]:
        asked = self.context.sources[0] / "asked"
        if step == self.options.signal_at and not asked.exists():
            asked.touch()
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(step)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "data": {"rejected": {"truncated": self.options.rejected}}}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    entry = RecipeEntry(lambda: Options, Described, {"steps": 30, "batch": 16, "lr": 1e-2, "warmup": 5})
    monkeypatch.setitem(recipes.RECIPES, "copies", entry)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(tmp_path: Path, *words: str) -> Any:
    command = ["train", "copies", str(tmp_path), "-o", str(tmp_path / "run"), "--device", "cpu", *words]
    return CliRunner().invoke(app, command)


def test_a_run_answers_on_stdout(tmp_path: Path) -> None:
    outcome = train(tmp_path, "--format", "json", "--steps", "12", "--set", "size=8", "--set", "log-every=4")
    assert outcome.exit_code == 0, outcome.output
    report = json.loads(outcome.stdout)
    assert (report["schema"], report["steps"], report["views"]) == ("retr.training-run/1", 12, 12 * 16)
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert (record["options"]["size"], record["plan"]["log_every"], record["plan"]["lr"]) == (8, 4, 1e-2)


def test_the_table_names_the_model_files(tmp_path: Path) -> None:
    outcome = train(tmp_path)
    assert outcome.exit_code == 0, outcome.output
    assert "30 of 30  (finished)" in outcome.stdout
    assert "best.safetensors" in outcome.stdout


def test_rejected_files_end_with_3(tmp_path: Path) -> None:
    outcome = train(tmp_path, "--set", "rejected=2")
    assert outcome.exit_code == 3
    assert "2 files" in outcome.stderr


def test_a_signal_ends_with_130_and_the_run_goes_on(tmp_path: Path) -> None:
    outcome = train(tmp_path, "--set", "signal_at=20")
    assert outcome.exit_code == 130
    assert "--resume" in outcome.stderr
    again = train(tmp_path, "--set", "signal_at=20", "--resume", "--format", "json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["steps"] == 30


@pytest.mark.parametrize("words", [("--set", "epsilon=1"), ("--steps", "0"), ("--precision", "8"), ("--format", "xml")])
def test_what_cannot_be_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    outcome = train(tmp_path, *words)
    assert isinstance(outcome.exception, UsageError)
    assert not (tmp_path / "run").exists()
