"""Progress shows names that it did not choose."""

import io
from dataclasses import dataclass

from rich.console import Console

from retr.reports.progress import AuditProgress


@dataclass(frozen=True)
class State:
    done: int
    total: int
    doing: str
    alarms: int


def test_a_name_is_neither_markup_nor_obeyed():
    bar = AuditProgress("[b]\x1b", "attacks")
    bar.bar.live.console, bar.bar.disable = Console(file=io.StringIO(), width=120), True
    with bar:
        assert bar.bar.tasks[0].description == r"\[b]\x1b"
        bar(State(1, 2, "pgd on [/red]a\x1b[31m.png", 3))
        assert bar.bar.tasks[0].description == r"pgd on \[/red]a\x1b[31m.png, [red]3 alarms[/red]"
        bar.bar.get_renderable()
