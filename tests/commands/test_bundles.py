"""Options that several commands share: the same for each of them, and given to it as one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from retr.cli import app as retr
from retr.commands.bundles import bundled


@dataclass(frozen=True)
class Shared:
    """Two options."""

    size: Annotated[int, typer.Option("--size", help="How large.")] = 3
    label: Annotated[list[str] | None, typer.Option("--label")] = None


def test_a_command_gets_its_bundle_as_one_object() -> None:
    app, seen = typer.Typer(), []

    @app.command()
    @bundled
    def work(name: str, shared: Shared, loud: bool = False) -> None:
        """Works."""
        seen.append((name, shared, loud))

    run = CliRunner().invoke
    assert run(app, ["a"]).exit_code == 0
    assert run(app, ["b", "--size", "5", "--label", "x", "--label", "y", "--loud"]).exit_code == 0
    assert run(app, ["c", "--size", "large"]).exit_code == 2
    assert seen == [("a", Shared(), False), ("b", Shared(5, ["x", "y"]), True)]
    shown = run(app, ["--help"]).output
    assert "Works." in shown
    assert "How large." in shown


@pytest.mark.parametrize(
    ("commands", "options"),
    [
        (("train copies", "train distill", "train 2afc"), {"steps", "lr", "seed", "resume", "cache", "settings"}),
        (("index", "add", "sync"), {"label", "labels", "id_from", "workers", "resume", "restart", "isolate"}),
    ],
)
def test_commands_of_one_bundle_are_asked_alike(commands: tuple[str, ...], options: set[str]) -> None:
    told = []
    for words in commands:
        command = get_command(retr)
        for word in words.split():
            command = command.commands[word]  # type: ignore[attr-defined]
        own = {one.name: one for one in command.params}
        told.append([(name, own[name].opts, own[name].help, own[name].default) for name in sorted(options)])  # type: ignore[attr-defined]
    assert all(one == told[0] for one in told)
