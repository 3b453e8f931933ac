"""What a run tells while it goes, and when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Stop = Literal["finished", "minutes", "interrupted"]


class Observer(Protocol):
    """Who is told how a run goes; the command line draws it."""

    def start(self, total: int, done: int) -> None:
        """The run has so many steps, of which some were done before."""
        ...

    def stepped(self, step: int, loss: float, images_per_second: float) -> None:
        """Steps done, mean loss and rate since the last time told."""
        ...

    def evaluated(self, step: int, metrics: Mapping[str, float | None]) -> None:
        """What an evaluation gave."""
        ...

    def note(self, text: str) -> None:
        """Something that a person should know."""
        ...


class Unwatched:
    """An observer that shows nothing: all processes but the first have it."""

    def start(self, total: int, done: int) -> None:
        """Nothing."""

    def stepped(self, step: int, loss: float, images_per_second: float) -> None:
        """Nothing."""

    def evaluated(self, step: int, metrics: Mapping[str, float | None]) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class TrainReport:
    """How a run ended.

    Attributes:
        stopped: finished; out of minutes; or interrupted by a signal (then nothing was evaluated or exported).
        steps: steps done, of ``total``.
        total: steps of the plan.
        views: images that went through the network.
        seconds: time spent, resumed runs included.
        images_per_second: of this process.
        skipped: steps left out because a number was not finite.
        rejected: files of the data that are no acceptable image.
        models: names of the model files in the folder.
        best: highest score, None without an evaluation.
        metrics: of the last evaluation.
        folder: of the run: checkpoint, logs, ``best.safetensors``, ``last.safetensors``.
        process: index of this process; 0 writes the files, and is the only one where one device is used.
    """

    stopped: Stop
    steps: int
    total: int
    views: int
    seconds: float
    images_per_second: float
    skipped: int
    rejected: int
    models: tuple[str, ...]
    best: float | None
    metrics: Mapping[str, float | None]
    folder: Path
    process: int
