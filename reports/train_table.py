"""A training run on the terminal: its bar while it goes, its figures when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.table import Table

from .progress import ProgressBar


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
            self._steps.bar.print(f"step {step}: {_figures(metrics)}")

    def note(self, text: str) -> None:
        """A remark, above the bar."""
        self._console.print(f"retr: {text}") if not self._console.is_terminal else self._steps.bar.print(text)


def print_training(report: Mapping[str, Any]) -> None:
    """How a run ended."""
    table = Table(title=report["folder"], show_header=False, title_justify="left")
    table.add_row("steps", f"{report['steps']} of {report['total']}  ({report['stopped']})")
    table.add_row("images seen", f"{report['views']}, {report['images_per_second']:.0f} images/s")
    table.add_row("time", f"{report['seconds']:.0f} s")
    if report["skipped"]:
        table.add_row("skipped", f"{report['skipped']} steps without a finite loss or gradient")
    if report["rejected"]:
        table.add_row("rejected", f"{report['rejected']} files that are no acceptable image")
    if report["metrics"]:
        table.add_row("last evaluation", _figures(report["metrics"]))
        table.add_row("best score", f"{report['best']:.6g}")
    if report["models"]:
        table.add_row("model files", ", ".join(report["models"]))
    Console().print(table)


def _figures(metrics: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {'–' if value is None else f'{value:.6g}'}" for name, value in metrics.items())
