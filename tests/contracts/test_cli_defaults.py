"""What ``--help`` says of a default is the default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from retr.cli import app
from retr.commands import options
from retr.datasets.synthetic import LAYOUT
from retr.evaluation.robustness.plan import AuditPlan
from retr.evaluation.robustness.presets import plan_of
from retr.evaluation.two_afc.data import _DEFAULT_SIDE
from retr.evaluation.two_afc.plan import CERTIFIED_LEVELS
from retr.indexer.options import DEFAULT_MODELS
from retr.training.plan import TrainPlan
from retr.training.recipes import RunContext
from retr.training.two_afc import JUDGED


def parameters(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for word, child in getattr(command, "commands", {}).items():
        yield from parameters(child, f"{name} {word}".strip())
    if not getattr(command, "commands", {}):
        yield from ((name, parameter) for parameter in command.params)


PARAMETERS = list(parameters(typer.main.get_command(app)))


def said(command: str, option: str) -> str:
    """The default in an option's help."""
    [found] = [p for name, p in PARAMETERS if name == command and option in p.opts]
    stated = re.search(r"\[default: (.*?)\]", found.help)
    assert stated, found.help
    return stated[1]


def test_the_models_of_an_index() -> None:
    assert " and ".join(DEFAULT_MODELS) == options.DEFAULT_MODELS
    for command in ("index", "bench-copies"):
        assert said(command, "--model") == options.DEFAULT_MODELS


@pytest.mark.parametrize("option", ["sample", "attacks", "goals", "budgets", "steps", "restarts", "loss-queries"])
def test_the_plan_of_an_audit(option: str) -> None:
    value = getattr(AuditPlan(), option.replace("-", "_"))
    values = value if isinstance(value, tuple) else (value,)
    words = ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in values)
    assert said("attack-eval", f"--{option}") == words


def test_the_time_limit_of_a_plain_audit() -> None:
    assert said("attack-eval", "--seconds") == f"{plan_of('usual', {}, items=100).seconds:g} for a plain attack-eval"


def test_the_benchmark_of_triplets() -> None:
    assert said("bench-2afc", "--eps") == ",".join(f"{255 * level:g}" for level in CERTIFIED_LEVELS) + "/255"
    assert said("bench-2afc", "--side") == f"as they lie; {LAYOUT}: {_DEFAULT_SIDE}"


def test_a_training_run() -> None:
    plan = TrainPlan(steps=1, batch=1)
    assert said("train copies", "--precision") == plan.precision
    context = RunContext(sources=(), cache=Path(), workers=1, plan=plan)
    assert [context.holdout_of(images) for images in (50, 20_000)] == [5, 1000]
    assert said("train copies", "--holdout") == said("train distill", "--holdout") == "a tenth, at most 1000"
    assert said("train 2afc", "--holdout") == f"{JUDGED}"


def test_a_default_is_said_once() -> None:
    """An option with a value says it by itself; words in brackets are for those whose default is None or empty."""
    twice = [
        (name, parameter.name)
        for name, parameter in PARAMETERS
        if "[default:" in (parameter.help or "") and parameter.default not in (None, "", (), [])
    ]
    assert twice == []
