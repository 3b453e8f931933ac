"""How a row is stored: as float32, or as a smaller code of a unit row.

The gallery is *defined* by the decoded rows (THEORY §0). A row of codes c decodes to the float32 numbers nearest to
c_k / √(Σ c²), computed in float64: a unit row up to the rounding that float32 rows have too. Squares and sums of codes
are exact in float64 for every code of a unit row (integers below 2¹⁴; binary16 numbers are multiples of 2⁻²⁴), so each
machine decodes the same bits in any order of summation. The scale of an int8 row falls out of the normalisation and is
not stored; where lengths matter (Euclidean rows), only float32 serves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.errors import IntegrityError, UsageError
from ..core.types import Score

Float32 = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
_PEAK = 127
_CHUNK = 4096
_OFF_UNIT = 2.0**-6
"""Binary16 keeps 11 bits: a rounded unit row is far closer to unit length than this."""


@dataclass(frozen=True, slots=True)
class RowCode:
    """One way to store rows.

    Attributes:
        name: what ``--rows`` calls it.
        suffix: of its files.
        dtype: little-endian type of one number.
        encode: (n, dim) float32 → (n, dim) dtype.
    """

    name: str
    suffix: str
    dtype: str
    encode: Callable[[Float32], npt.NDArray[np.generic]]

    @property
    def width(self) -> int:
        """Bytes per number."""
        return np.dtype(self.dtype).itemsize

    def file(self, channel: int) -> str:
        """Name of the file that holds a channel's rows."""
        return f"rows-{channel}.{self.suffix}"


def _as_float32(rows: Float32) -> npt.NDArray[np.generic]:
    return rows.astype("<f4", copy=False)


def _as_float16(rows: Float32) -> npt.NDArray[np.generic]:
    return rows.astype("<f2")


def _as_int8(rows: Float32) -> npt.NDArray[np.generic]:
    """The largest number of each row becomes ±127, the others keep their proportion, rounded to even."""
    exact = rows.astype(np.float64)
    return np.rint(exact * (_PEAK / np.abs(exact).max(axis=1, keepdims=True, initial=0.0))).astype(np.int8)


ROW_CODES: dict[str, RowCode] = {
    code.name: code
    for code in (
        RowCode("float32", "f32", "<f4", _as_float32),
        RowCode("float16", "f16", "<f2", _as_float16),
        RowCode("int8", "i8", "|i1", _as_int8),
    )
}
"""What ``--rows`` names."""


def find_code(name: str, score: Score = "cosine") -> RowCode:
    """Look a row code up.

    Args:
        name: a key of :data:`ROW_CODES`.
        score: how the rows are compared.

    Raises:
        UsageError: no such code, or one that forgets the lengths that a Euclidean channel compares.
    """
    if name not in ROW_CODES:
        raise UsageError(f"unknown row type {name!r}; choose {', '.join(ROW_CODES)}")
    if score != "cosine" and name != "float32":
        raise UsageError(
            f"rows {name} (--rows {name}) keep directions only, and a Euclidean channel compares lengths too: float32"
        )
    return ROW_CODES[name]


def decode(codes: npt.NDArray[np.generic], name: str, *, where: str) -> Float32:
    """Decode stored codes to the rows they define.

    Args:
        codes: (rows, dim) of the code's dtype.
        name: ``float16`` or ``int8``.
        where: names the file, for errors.

    Returns:
        (rows, dim) float32 unit rows.

    Raises:
        IntegrityError: codes that no unit row has.
    """
    rows = np.empty(codes.shape, dtype=np.float32)
    for first in range(0, len(codes), _CHUNK):
        piece = codes[first : first + _CHUNK].astype(np.float64)
        lengths = np.sqrt(np.einsum("ij,ij->i", piece, piece))
        wrong = _impossible(piece, lengths, name)
        if wrong.any():
            raise IntegrityError(
                f"row {first + int(wrong.argmax())} of {where} is no {name} row of retr: the file is damaged; "
                "check the index with: retr info --verify"
            )
        rows[first : first + _CHUNK] = piece / lengths[:, None]
    return rows


def _impossible(piece: npt.NDArray[np.float64], lengths: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.bool_]:
    if name == "int8":
        return np.abs(piece).max(axis=1) != _PEAK
    return ~(np.abs(lengths - 1.0) <= _OFF_UNIT)


@dataclass(frozen=True, slots=True)
class CodedRows:
    """Rows that are decoded when they are looked at; they stand for a (rows, dim) float32 array.

    Attributes:
        stored: (rows, dim) codes.
        code: ``float16`` or ``int8``.
        where: names the file, for errors.
    """

    stored: npt.NDArray[np.generic]
    code: str
    where: str

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, dim)."""
        return len(self.stored), self.stored.shape[1]

    def __getitem__(self, kept: Ids | slice) -> Float32:
        """Some of them, decoded."""
        return decode(self.stored[kept], self.code, where=self.where)

    def only(self, kept: Ids | slice) -> CodedRows:
        """Some of them, as stored."""
        return CodedRows(self.stored[kept], self.code, self.where)
