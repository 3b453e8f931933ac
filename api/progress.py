"""The one way in which long work says how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Who is told how far long work is. Pass an object of yours, or ``True`` for a bar on standard error."""

    def start(self, total: int, done: int = 0) -> None:
        """``total`` units are there; ``done`` of them need no work."""
        ...

    def advance(self, count: int = 1) -> None:
        """So many more are finished."""
        ...


class Silent:
    """Nobody is told."""

    def start(self, total: int, done: int = 0) -> None:
        """Nothing."""

    def advance(self, count: int = 1) -> None:
        """Nothing."""


@contextmanager
def watched(progress: Progress | bool, title: str, unit: str) -> Iterator[Progress]:
    """The progress that was asked for: a bar for True, nobody for False."""
    if progress is True:
        from ..reports.progress import ProgressBar

        with ProgressBar(title, unit) as bar:
            yield bar
    else:
        yield progress or Silent()


class Steps:
    """The observer of a training run that passes its steps on."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._step = progress, 0

    def start(self, total: int, done: int) -> None:
        """The run has so many steps, of which some were done before."""
        self._step = done
        self._progress.start(total, done)

    def stepped(self, step: int, loss: float, images_per_second: float) -> None:  # noqa: ARG002
        """So many steps are done in all."""
        self._progress.advance(step - self._step)
        self._step = step

    def evaluated(self, step: int, metrics: Mapping[str, float | None]) -> None:
        """Nothing: the report has the figures."""

    def note(self, text: str) -> None:
        """Nothing: nobody reads along."""


class States:
    """From the states that an audit calls with, (done, total), to the protocol."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done = progress, -1

    def __call__(self, state: _State) -> None:
        """How far the audit is now."""
        if self._done < 0:
            self._progress.start(state.total, state.done)
        else:
            self._progress.advance(state.done - self._done)
        self._done = state.done


class _State(Protocol):
    @property
    def done(self) -> int: ...

    @property
    def total(self) -> int: ...
