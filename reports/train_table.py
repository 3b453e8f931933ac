"""A training run on the terminal: its bar while it goes, its figures when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console

from ..core.rounded import nearest_text
from .progress import ProgressBar
from .terminal import facts, say


class TrainProgress:
    """Bars for decoding and for steps, and what evaluations give; silent where standard error is no terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self.decoding = ProgressBar("decoding", "images")
        self._steps = ProgressBar("training", "steps")

    def __enter__(self) -> Self:
        self._steps.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._steps.__exit__(kind, error, trace)

    def start(self, total: int, done: int) -> None:
        """So many steps, of which some were done before."""
        self._steps.start(total, done)

    def stepped(self, step: int, loss: float, images_per_second: float) -> None:
        """Show how far, the loss, and the rate."""
        text = f"training  loss {loss:.4f}  {images_per_second:.0f} images/s"
        self._steps.bar.update(self._steps.task, completed=step, description=text)

    def evaluated(self, step: int, metrics: Mapping[str, float | None]) -> None:
        """One line above the bar."""
        if self._console.is_terminal:
            say(self._steps.bar.console, f"step {step}: {_figures(metrics)}")

    def note(self, text: str) -> None:
        """A remark, above the bar."""
        say(self._steps.bar.console, text if self._console.is_terminal else f"retr: {text}", on_one_line=True)


def print_training(report: Mapping[str, Any]) -> None:
    """How a run ended."""
    Console().print(facts(report["folder"], _facts(report)))


def _facts(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "steps", f"{report['steps']} of {report['total']}  ({report['stopped']})"
    yield "images seen", f"{report['views']}, {report['images_per_second']:.0f} images/s"
    yield "time", f"{report['seconds']:.0f} s"
    if report["skipped"]:
        yield "skipped", f"{report['skipped']} steps without a finite loss or gradient"
    if report["rejected"]:
        yield "rejected", f"{report['rejected']} files that are no acceptable image"
    if report["metrics"]:
        yield "last evaluation", _figures(report["metrics"])
        yield "best score", nearest_text(report["best"], digits=6)
    if report["models"]:
        yield "model files", ", ".join(report["models"])


def _figures(metrics: Mapping[str, float | None]) -> str:
    shown = {name: "–" if value is None else nearest_text(value, digits=6) for name, value in metrics.items()}
    return ", ".join(f"{name} {text}" for name, text in shown.items())
