"""How far attacks on the embedding itself moved it, against what its Lipschitz bound allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...core.statistics import Quantiles, quantiles_of
from .columns import Columns


@dataclass(frozen=True)
class ShiftLine:
    """Attacks on the embedding of one system at one budget, by the float images.

    Attributes:
        shift: quantiles of ‖f(x+δ) − f(x)‖.
        used: quantiles of the share of L·‖δ‖ that this is; None without a proved L. Above 1 it would be an alarm.
    """

    system: str
    budget: float
    unit: str
    shift: Quantiles
    used: Quantiles | None


def shift_lines(table: Columns) -> Iterator[ShiftLine]:
    """One line per system and budget at which an embedding was attacked."""
    moved = table.where((table["goal"] == "embedding") & (table["medium"] == "float"))
    for group in moved.where(~np.isnan(moved["embedding_shift"])).groups("system", "budget"):
        shift = quantiles_of(group["embedding_shift"])
        assert shift is not None, "groups are not empty"
        limited = group.where(group["embedding_limit"] > 0)
        used = quantiles_of(limited["embedding_shift"] / limited["embedding_limit"])
        yield ShiftLine(str(group.first("system")), float(group.first("budget")), group.first("unit"), shift, used)
