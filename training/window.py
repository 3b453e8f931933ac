"""Means and rates between two rows of the log, and the time a run has taken."""

from __future__ import annotations

import time

import torch

from .checkpoint import Progress
from .record import plain
from .step import StepResult


class Window:
    """The steps since the last row.

    Args:
        progress: as it stands when this process begins.
    """

    def __init__(self, progress: Progress) -> None:
        self._began = self._opened = time.monotonic()
        self._before, self._first_views, self._opened_views = progress.seconds, progress.views, progress.views
        self._results: list[StepResult] = []

    @property
    def elapsed(self) -> float:
        """Seconds of this process."""
        return time.monotonic() - self._began

    def add(self, result: StepResult) -> None:
        """One more step."""
        self._results.append(result)

    def tick(self, progress: Progress) -> None:
        """Write the time taken into the progress."""
        progress.seconds = self._before + self.elapsed

    def rate(self, progress: Progress) -> float:
        """Images per second of this process, everything included."""
        return (progress.views - self._first_views) / max(self.elapsed, 1e-9)

    def close(self, progress: Progress) -> dict[str, float | None]:
        """The row of the steps since the last one: means over those with finite numbers."""
        self.tick(progress)
        now = time.monotonic()
        finite = [result for result in self._results if result.finite] or self._results
        row = {
            "lr": finite[-1].rate,
            "images_per_second": (progress.views - self._opened_views) / max(now - self._opened, 1e-9),
            "seconds": progress.seconds,
            "views": float(progress.views),
            "skipped": float(progress.skipped),
            "gradient_norm": _mean([result.norm for result in finite]),
        }
        names = dict.fromkeys(name for result in finite for name in result.losses)
        means = {name: _mean([r.losses[name] for r in finite if name in r.losses]) for name in names}
        self._results, self._opened, self._opened_views = [], now, progress.views
        return plain({**means, **row})


def _mean(values: list[torch.Tensor]) -> float:
    return float(torch.stack([value.float() for value in values]).mean())
