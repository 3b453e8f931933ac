"""What ``--help`` says of a default is the default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from retr.cli import app
from retr.commands import options
from retr.evaluation.presets import PLAIN, plan_of
from retr.indexer.options import DEFAULT_MODELS


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


def test_a_default_is_said_once() -> None:
    """An option with a value says it by itself; words in brackets are for those whose default is None or empty."""
    twice = [
        (name, parameter.name)
        for name, parameter in PARAMETERS
        if "[default:" in (parameter.help or "") and parameter.default not in (None, "", (), [])
    ]
    assert twice == []
