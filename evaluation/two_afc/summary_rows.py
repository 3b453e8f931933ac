"""Records of a 2AFC benchmark as arrays: what every number of its summary is counted from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .records import CLEAN

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Columns of one length: words as objects (None for null), flags as bool, numbers as float64 (NaN for null).

    Attributes:
        data: whole columns.
        places: the rows of them that are meant; columns are cut to these only when asked for.
    """

    data: Mapping[str, np.ndarray]
    places: npt.NDArray[np.int64]

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """All columns of a table of records."""
        return cls({name: _array(table[name]) for name in table.column_names}, np.arange(table.num_rows))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.data[name][self.places]

    def __len__(self) -> int:
        return len(self.places)

    def where(self, mask: npt.NDArray[Any]) -> Rows:
        """The rows of a mask, or those at an array of places."""
        return Rows(self.data, self.places[mask])

    def groups(self, *names: str) -> Iterator[Rows]:
        """The rows that agree in these columns, one table for each combination, in order of first appearance."""
        places: dict[tuple[Any, ...], list[int]] = {}
        keys = zip(*([_key(value) for value in self[name].tolist()] for name in names), strict=True)
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        for found in places.values():
            yield self.where(np.asarray(found, dtype=np.int64))

    def first(self, name: str) -> Any:
        """The value in the first row."""
        return self.data[name][self.places[0]]

    @property
    def clean(self) -> Rows:
        """The rows before any attack."""
        return self.where(self["attack"] == CLEAN)

    @property
    def attacked(self) -> Rows:
        """The rows of adversarial images."""
        return self.where(self["attack"] != CLEAN)

    @property
    def agreement(self) -> Floats:
        """Share of people who agree with the metric's judgement before the attack; half for a draw."""
        lead = self["clean_left"] - self["clean_right"]
        chosen = np.where(lead > 0, self["preference"], 1.0 - self["preference"])
        return np.where(lead == 0, 0.5, chosen)

    @property
    def decided(self) -> Bools:
        """Where people were not of two minds."""
        return self["preference"] != 0.5

    @property
    def disagrees(self) -> Bools:
        """Where metric and most people prefer opposite candidates before the attack."""
        return self.decided & (self["clean_left"] != self["clean_right"]) & ~self["agrees"]

    def radius(self, form: str) -> Floats:
        """Radii of one form, 0 where withheld."""
        return np.nan_to_num(self[f"radius_{form}"])

    @property
    def within(self) -> Bools:
        """Images inside a certified radius of the form that covers what moved.

        The radius by which all three images may move also covers fewer of them.
        """
        alone = np.where(self["moves"] == "reference", self.radius("sound"), 0.0)
        return self["l2"] < np.maximum(alone, self.radius("all"))

    @property
    def alarms(self) -> Bools:
        """Certificates that were broken: as recorded, or by the recorded numbers themselves."""
        moved = np.nan_to_num(self["shift"]) > np.where(np.isnan(self["shift_limit"]), np.inf, self["shift_limit"])
        return self["alarm"] | (self["flipped"] & self.within) | moved


def _array(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_string(column.type):
        return np.asarray([*column.to_pylist(), None], dtype=object)[:-1]
    if pa.types.is_boolean(column.type) and column.null_count == 0:
        return column.to_numpy().astype(np.bool_)
    if pa.types.is_boolean(column.type):
        return np.asarray([np.nan if value is None else float(value) for value in column.to_pylist()])
    return column.to_numpy().astype(np.float64)


def _key(value: Any) -> Any:
    """NaN is one value here, so that nulls stay together."""
    return None if value != value else value
