"""Progress on standard error: a bar with rate and time left on a terminal, elsewhere a line a minute."""

from __future__ import annotations

import sys
from threading import Event, Thread
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..core.names import shown

EVERY = 60.0
"""Seconds between lines where there is no terminal; what ends sooner says nothing."""


class _Rate(ProgressColumn):
    """Finished per second, over the whole run."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(_rate(task, self.unit))


class ProgressBar:
    """Progress of any long job, see ``core.progress.Progress``; use as a context manager.

    Args:
        title: what is done.
        unit: what is counted.
        every: seconds between lines where standard error is no terminal.
    """

    def __init__(self, title: str, unit: str, *, every: float = EVERY) -> None:
        self.title, self.unit, self.every = title, unit, every
        self.lines = not sys.stderr.isatty()
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(unit),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=self.lines,
        )
        self._over = Event()

    def __enter__(self) -> Self:
        self.bar.start()
        self.task = self.bar.add_task(shown(self.title), total=None, before=0)
        self._over.clear()
        if self.lines:
            self._teller = Thread(target=self._tell, name="progress", daemon=True)
            self._teller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self.lines:
            self._teller.join()
        self.bar.stop()

    def start(self, total: int, done: int = 0) -> None:
        """``total`` units are there, 0 where nobody knows; ``done`` of them need no work."""
        last, words = self.task, shown(self.title)
        self.task = self.bar.add_task(words, total=total or None, completed=done, before=done)
        self.bar.remove_task(last)  # and not set anew: a total cannot be unset

    def advance(self, count: int = 1) -> None:
        """So many more are finished."""
        self.bar.advance(self.task, count)

    def doing(self, text: str) -> None:
        """What runs now."""
        self.title = text
        self.bar.update(self.task, description=shown(text))

    def note(self, text: str) -> None:
        """One line that stays, above the bar."""
        self.bar.console.print(f"retr: {shown(text)}", markup=False, highlight=False, soft_wrap=True)

    def _tell(self) -> None:
        while not self._over.wait(self.every):
            for task in self.bar.tasks[-1:]:
                print(f"retr: {shown(self._line(task))}", file=sys.stderr, flush=True)

    def _line(self, task: Task) -> str:
        done = f"{task.completed:.0f}" if task.total is None else f"{task.completed:.0f} of {task.total:.0f}"
        speed = _speed(task)
        left = 0.0 if task.remaining is None or not speed else task.remaining / speed
        end = f", about {max(1, round(left / 60))} min left" if left else ""
        return f"{self.title}: {done} {self.unit}, {_rate(task, self.unit)}{end}"


def _speed(task: Task) -> float:
    """Finished per second since the stretch began: work that ends batch by batch may say nothing for a minute."""
    seconds = task.finished_time or task.elapsed
    return (task.completed - task.fields["before"]) / seconds if seconds else 0.0


def _rate(task: Task, unit: str) -> str:
    speed = _speed(task)
    return f"{speed:.0f} {unit}/s" if speed >= 10 else f"{speed:.1f} {unit}/s"
