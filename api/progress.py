"""The one way in which long work says how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..core.progress import Progress, Silent

__all__ = ["Progress", "Steps", "watched"]


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
