"""Logs of a run: one CSV for the steps, one for the evaluations, and TensorBoard where it is installed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.files import write_atomically

METRICS = "metrics.csv"
EVALUATIONS = "evaluations.csv"
TENSORBOARD = "tensorboard"


class CsvLog:
    """A table that grows by rows, one a step, and by columns when a row has a new one.

    Args:
        path: the file; rows of steps after ``done`` are dropped, because the resumed run will write them again.
        done: steps that count.
    """

    def __init__(self, path: Path, done: int) -> None:
        self.path = path
        kept = [row for row in _read(path) if row.get("step", "").isdigit() and int(row["step"]) <= done]
        self.columns = list(dict.fromkeys(name for row in kept for name in row))
        self._rewrite(kept) if kept else path.unlink(missing_ok=True)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; it is on disk when the call returns, as far as the process is concerned."""
        new = [name for name in row if name not in self.columns]
        if new:
            rows = _read(self.path)
            self.columns += new
            self._rewrite(rows)
        with self.path.open("a", newline="") as handle:
            csv.DictWriter(handle, self.columns, restval="").writerow({k: _text(v) for k, v in row.items()})

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self.path, text.getvalue().encode())


class Logs:
    """Where a run writes its figures.

    Args:
        folder: of the run.
        done: steps that an earlier process has finished and logged.

    Attributes:
        tensorboard: whether TensorBoard files are written too.
    """

    def __init__(self, folder: Path, done: int) -> None:
        self._metrics = CsvLog(folder / METRICS, done)
        self._evaluations = CsvLog(folder / EVALUATIONS, done)
        self._writer = _summary_writer(folder / TENSORBOARD, done)

    @property
    def tensorboard(self) -> bool:
        """Whether TensorBoard files are written too."""
        return self._writer is not None

    def step(self, step: int, values: Mapping[str, float | None]) -> None:
        """Figures of training, at so many steps done."""
        self._metrics.add({"step": step, **values})
        self._summarise("train", step, values)

    def evaluation(self, step: int, values: Mapping[str, float | None]) -> None:
        """Figures of the averaged network on images held out."""
        self._evaluations.add({"step": step, **values})
        self._summarise("evaluation", step, values)

    def close(self) -> None:
        """Flush everything."""
        if self._writer is not None:
            self._writer.close()

    def _summarise(self, room: str, step: int, values: Mapping[str, float | None]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                if value is not None:
                    self._writer.add_scalar(f"{room}/{name}", value, step)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as handle:
        # A kill can cut the last line short; such a row has no value in some column and is dropped.
        return [row for row in csv.DictReader(handle) if None not in row.values() and None not in row]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.8g}"
    return "" if value is None else str(value)


def _summary_writer(folder: Path, done: int) -> Any:
    """TensorBoard's writer, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=done + 1 if done else None)
