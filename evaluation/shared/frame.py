"""Records as arrays, filtered and grouped: what every number of an audit is counted from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .records import CLEAN

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Frame:
    """Some rows of a table of records.

    A column of words is an array of str or None, a number column float64 with NaN for null, a flag column bool; one
    with nulls float64 like numbers. Columns are cut to the rows that are meant only when asked for.
    """

    def __init__(self, data: Mapping[str, np.ndarray], codes: Mapping[str, Ints], places: Ints) -> None:
        self._data, self._codes, self._places = data, codes, places

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """All rows of a table."""
        pairs = {name: _array(table[name]) for name in table.column_names}
        data = {name: values for name, (values, _) in pairs.items()}
        codes = {name: own for name, (_, own) in pairs.items() if own is not None}
        return cls(data, codes, np.arange(table.num_rows))

    def __getitem__(self, name: str) -> np.ndarray:
        return self._data[name][self._places]

    def __len__(self) -> int:
        return len(self._places)

    def where(self, mask: npt.NDArray[Any]) -> Self:
        """The rows of a mask, or those at an array of places."""
        return type(self)(self._data, self._codes, self._places[mask])

    def groups(self, *names: str) -> Iterator[Self]:
        """The rows that agree in these columns, one frame for each combination, in order of first appearance.

        Nulls agree with one another.
        """
        if not len(self):
            return
        label = self.numbered(*names)
        order = np.argsort(label, kind="stable")
        starts = np.flatnonzero(np.diff(label[order], prepend=-1))
        for places in sorted(np.split(order, starts[1:]), key=lambda rows: int(rows[0])):
            yield self.where(places)

    def numbered(self, *names: str) -> Ints:
        """One number for each combination of values in these columns."""
        label = np.zeros(len(self), dtype=np.int64)
        for name in names:
            code = self._codes[name][self._places] if name in self._codes else _numbers_of(self[name])
            label = _numbers_of(label * (int(code.max(initial=0)) + 1) + code)
        return label

    def first(self, name: str) -> Any:
        """The value in the first row."""
        return self._data[name][self._places[0]]

    @property
    def attacked(self) -> Self:
        """The rows of adversarial images."""
        return self.where(self["attack"] != CLEAN)

    @property
    def clean(self) -> Self:
        """The rows of queries before any attack."""
        return self.where(self["attack"] == CLEAN)

    def radius(self, name: str) -> Floats:
        """Certified l2 radii, 0 where there is none."""
        return np.nan_to_num(self[name])


def _array(column: pa.ChunkedArray) -> tuple[np.ndarray, Ints | None]:
    if pa.types.is_string(column.type):
        found = column.combine_chunks().dictionary_encode()
        if isinstance(found, pa.ChunkedArray):
            found = found.chunk(0)
        codes = found.indices.fill_null(len(found.dictionary)).to_numpy().astype(np.int64)
        return np.asarray([*found.dictionary.to_pylist(), None], dtype=object)[codes], codes
    if pa.types.is_boolean(column.type) and not column.null_count:
        return column.to_numpy().astype(np.bool_), None
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.to_numpy().astype(np.float64), None


def _numbers_of(values: np.ndarray) -> Ints:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
