"""Progress on standard error, with rate and time left; silent where standard error is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..core.names import shown


class _Rate(ProgressColumn):
    """Finished per second, over the whole run."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f} {self.unit}/s" if speed and speed >= 10 else f"{speed or 0:.1f} {self.unit}/s")


class ProgressBar:
    """A bar that any long job may advance; use as a context manager."""

    def __init__(self, title: str, unit: str) -> None:
        self.title = title
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(unit),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        self.bar.start()
        self.task = self.bar.add_task(escape(shown(self.title)), total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def start(self, total: int, done: int = 0) -> None:
        """``total`` units are there; ``done`` of them need no work."""
        self.bar.update(self.task, total=total, completed=done)

    def advance(self, count: int = 1) -> None:
        """So many more are finished."""
        self.bar.advance(self.task, count)


class AuditProgress(ProgressBar):
    """The bar of an audit: called with how far it is, and what it is doing."""

    def __call__(self, state: AuditState) -> None:
        """Show a new state."""
        alarms = f", [red]{state.alarms} alarms[/red]" if state.alarms else ""
        doing = f"{escape(shown(state.doing))}{alarms}"
        self.bar.update(self.task, total=state.total, completed=state.done, description=doing)


class AuditState(Protocol):
    """What an audit tells of itself."""

    @property
    def done(self) -> int:
        """Attacks finished."""
        ...

    @property
    def total(self) -> int:
        """All of them."""
        ...

    @property
    def doing(self) -> str:
        """What runs now."""
        ...

    @property
    def alarms(self) -> int:
        """Soundness alarms so far."""
        ...


def audit_progress() -> AuditProgress:
    """A bar that counts attacks on single images."""
    return AuditProgress("attacking", "attacks")
