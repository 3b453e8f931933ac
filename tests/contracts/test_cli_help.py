"""Every command explains itself, with an example, and is in the user guide."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import retr
from retr.cli import app

GUIDE = (Path(retr.__file__).parent / "docs" / "guide.md").read_text()


def leaves(command: object, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Names of all commands that do something, as typed after ``retr``."""
    below = getattr(command, "commands", None)
    if not below:
        yield name
        return
    for word, child in below.items():
        yield from leaves(child, (*name, word))


COMMANDS = sorted(leaves(typer.main.get_command(app)))


def help_of(command: tuple[str, ...]) -> str:
    outcome = CliRunner().invoke(app, [*command, "--help"])
    assert outcome.exit_code == 0
    return " ".join(outcome.stdout.split())


def test_the_commands_are_those_of_the_plan() -> None:
    plan = {"index", "info", "query", "calibrate", "attack-eval", "models list", "models show", "models convert"}
    assert plan <= {" ".join(command) for command in COMMANDS}


def test_the_plan_of_the_house_leaves_only_the_putting_together_to_cli() -> None:
    assert len((Path(retr.__file__).parent / "cli.py").read_text().splitlines()) <= 150


def test_the_guide_says_how_words_are_completed() -> None:
    options = {name for p in typer.main.get_command(app).params for name in p.opts}
    assert {"--install-completion", "--show-completion"} <= options
    assert "retr --install-completion" in GUIDE
    assert "retr --show-completion" in GUIDE


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("retr mod", "models"), ("retr models sh", "show"), ("retr query --certifie", "--certified-only")],
)
def test_words_are_completed(typed: str, offered: str) -> None:
    asked = {"_RETR_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "retr"], env={**os.environ, **asked}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == [offered]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(command: tuple[str, ...]) -> None:
    assert f"Example: retr {' '.join(command)} " in help_of(command) + " "


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_explains_every_option(command: tuple[str, ...]) -> None:
    node = typer.main.get_command(app)
    for word in command:
        node = node.commands[word]  # type: ignore[attr-defined]
    assert [p.name for p in node.params if not getattr(p, "help", None)] == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_guide_shows_it(command: tuple[str, ...]) -> None:
    assert f"retr {' '.join(command)}" in GUIDE


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_guide_names_every_option(command: tuple[str, ...]) -> None:
    node = typer.main.get_command(app)
    for word in command:
        node = node.commands[word]  # type: ignore[attr-defined]
    names = [name for p in node.params if p.param_type_name == "option" for name in p.opts[-1:]]
    assert [name for name in names if name not in GUIDE and name != "--help"] == []
