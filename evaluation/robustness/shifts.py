"""How far attacks on the embedding itself moved it, against what its Lipschitz bound allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...core.statistics import Quantiles
from ..shared.embedding_shift import shift_quantiles, used_quantiles
from ..shared.lines import Line, col, word
from .columns import Columns


@dataclass(frozen=True)
class ShiftLine(Line):
    """Attacks on the embedding of one system at one budget, by the float images; of these."""

    system: str = word("system", "its name")
    budget: float = col(lambda rows: float(rows.first("budget")), "as asked for, in unit")
    unit: str = word("unit", "rmse, l2, psnr or radius")
    shift: Quantiles = col(lambda rows: shift_quantiles(rows["embedding_shift"]), "quantiles of ‖f(x+δ) − f(x)‖")
    used: Quantiles | None = col(
        lambda rows: used_quantiles(rows["embedding_shift"], rows["embedding_limit"]),
        "quantiles of the share of L·‖δ‖ that this is; None without a proved L. Above 1 it would be an alarm",
        "ratio",
        "up",
    )


def shift_lines(table: Columns) -> Iterator[ShiftLine]:
    """One line per system and budget at which an embedding was attacked."""
    moved = table.where((table["goal"] == "embedding") & (table["medium"] == "float"))
    for group in moved.where(~np.isnan(moved["embedding_shift"])).groups("system", "budget"):
        yield ShiftLine.of(group)
