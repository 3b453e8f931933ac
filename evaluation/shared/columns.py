"""Records as arrays, filtered and grouped together: what every number of an audit is counted from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...core.units import to_l2

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CLEAN = "clean"
"""Goal and attack of the record that every query has, before any attack."""
RADIUS = "radius"
"""Unit of budgets that are multiples of each query's own certified radius."""
_CASE = "case"


class Columns:
    """Columns of a table of records (``records.SCHEMA``), all of one length.

    A column of words is an array of str or None, a number column float64 with NaN for null, a flag column bool. The
    column ``case`` numbers the pairs of query and edit.
    """

    def __init__(self, data: Mapping[str, np.ndarray], codes: Mapping[str, Ints]) -> None:
        self._data, self._codes = data, codes

    @classmethod
    def of(cls, records: pa.Table) -> Self:
        """All columns of a table."""
        data: dict[str, np.ndarray] = {}
        codes: dict[str, Ints] = {}
        for name in records.column_names:
            kind = records.schema.field(name).type
            if pa.types.is_string(kind):
                data[name], codes[name] = _words(records[name])
            elif pa.types.is_boolean(kind):
                data[name] = records[name].to_numpy().astype(np.bool_)
            else:
                data[name] = records[name].to_numpy().astype(np.float64)
        data[_CASE] = _joined([codes["query"], codes["edit"]])
        return cls(data, codes)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._data[name]

    def __len__(self) -> int:
        return len(self._data[_CASE])

    def where(self, mask: npt.NDArray[Any]) -> Columns:
        """The rows of a mask, or those at an array of places."""
        data = {name: values[mask] for name, values in self._data.items()}
        return Columns(data, {name: values[mask] for name, values in self._codes.items()})

    def groups(self, *names: str) -> Iterator[Columns]:
        """The rows that agree in these columns, one table for each combination, in order of first appearance."""
        if not len(self):
            return
        label = _joined([self._codes[name] if name in self._codes else _numbered(self[name]) for name in names])
        order = np.argsort(label, kind="stable")
        starts = np.flatnonzero(np.diff(label[order], prepend=-1))
        for places in sorted(np.split(order, starts[1:]), key=lambda rows: int(rows[0])):
            yield self.where(places)

    def first(self, name: str) -> Any:
        """The value in the first row."""
        return self._data[name][0]

    @property
    def values(self) -> Floats:
        """Number of values 3·H·W per row."""
        return 3.0 * self["width"] * self["height"]

    @property
    def attacked(self) -> Columns:
        """The rows of adversarial images."""
        return self.where(self["attack"] != CLEAN)

    @property
    def clean(self) -> Columns:
        """The rows of queries before any attack."""
        return self.where(self["attack"] == CLEAN)

    def radius(self, name: str) -> Floats:
        """Certified l2 radii, 0 where there is none."""
        return np.nan_to_num(self[name])


def size_in_l2(columns: Columns, budget: float, unit: str, *, inside: bool = False) -> Floats:
    """A budget as the l2 norm it allows in each row; NaN where it is a multiple of a radius that is not there.

    Rounded up, as what is proved must cover it, or down, as what an attack did must be ``inside`` it.
    """
    if unit == RADIUS:
        own = np.where(columns["goal"] == "verdict", columns["radius_verdict"], columns["radius_top1"])
        own = np.where(columns["goal"] == "rank10", columns["radius_top10"], own)
        return budget * own
    sizes, place = np.unique(columns.values, return_inverse=True)
    return np.asarray([to_l2(budget, unit, int(n), inside=inside) for n in sizes])[place]  # type: ignore[arg-type]


def ball_order(budget: float, unit: str) -> float:
    """Orders budgets of one unit from the smallest ball to the largest; in dB the larger number is the smaller ball."""
    return budget if unit == RADIUS else to_l2(budget, unit, 1)  # type: ignore[arg-type]


def within(columns: Columns, budget: float, unit: str) -> Bools:
    """Which images count at a budget: those given no more, and those whose realised change is within it.

    The first part leaves out attacks that are run once, at the largest budget or without a ball.
    """
    budgets, place = np.unique(columns["budget"], return_inverse=True)
    smaller = np.asarray([ball_order(b, unit) <= ball_order(budget, unit) for b in budgets], dtype=np.bool_)
    return (smaller[place] & ~run_once(columns)) | (columns["l2"] <= size_in_l2(columns, budget, unit, inside=True))


def run_once(columns: Columns) -> Bools:
    """Images of attacks whose budget says nothing of how far they went: minimal ones, and those without an lp ball."""
    return columns["minimal"] | ((columns["norm"] != "l2") & (columns["norm"] != "linf"))


def in_rmse(l2: npt.NDArray[np.float64], values: Floats) -> Floats:
    """Norms as root mean square changes in 8-bit levels, to nearest."""
    return 255.0 * l2 / np.sqrt(values)


def radii_in_rmse(l2: npt.NDArray[np.float64], values: Floats) -> Floats:
    """Certified radii as root mean square changes in 8-bit levels, rounded down."""
    found = in_rmse(l2, values)
    for _ in range(3):  # the square root, the product and the quotient err by at most half a unit each
        found = np.nextafter(found, -np.inf)
    return np.maximum(found, 0.0)


def _words(column: pa.ChunkedArray) -> tuple[np.ndarray, Ints]:
    found = column.combine_chunks().dictionary_encode()
    if isinstance(found, pa.ChunkedArray):
        found = found.chunk(0)
    codes = found.indices.fill_null(len(found.dictionary)).to_numpy().astype(np.int64)
    return np.asarray([*found.dictionary.to_pylist(), None], dtype=object)[codes], codes


def _numbered(column: np.ndarray) -> Ints:
    return np.unique(column, return_inverse=True)[1].astype(np.int64)


def _joined(codes: list[Ints]) -> Ints:
    """One number for each combination of codes."""
    label = codes[0]
    for code in codes[1:]:
        label = _numbered(label * (int(code.max(initial=0)) + 1) + code)
    return label
