"""The rule of a verdict without calibration, on float32 rows: what ``choose_shares.py`` tries many shares with.

A row accepts within a share of its gap, the angle to the nearest row of another item or to the nearest reference
vector; pairs that are nearer than ``certain`` of the smaller of both gaps to the reference are presumed to be copies,
and set aside. A row is a *sheet* where the vectors of a discerning channel's set vote it one that comes in layouts:
its gaps count as no larger than ``sheet``. The engine's rule is the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from embed_rows import MODELS, unit
from write_reference import DISCERNING, OPEN_KINDS

from retr.embedding.places import weights_folder
from retr.indexer.reference import SUFFIX, Reference, read_reference

Float32 = npt.NDArray[np.float32]
Rows = Mapping[str, Float32]
"""Per model (n, dim)."""
BLOCK = 2048
OPEN = frozenset(OPEN_KINDS)


def angles(left: Float32, right: Float32) -> Float32:
    """(m, n) angles of unit rows; those of a flat picture are π."""
    products = np.clip(np.nan_to_num(left, nan=0.0) @ right.T, -1.0, 1.0)
    found = np.arccos(products)
    found[np.isnan(left[:, 0])] = np.pi
    return found


def blocks(rows: Float32) -> Iterator[Float32]:
    """Some at a time."""
    return (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))


def references() -> dict[str, tuple[Reference, Float32]]:
    """The sets that the package brings, and their rows."""
    sets = {name: read_reference(weights_folder() / f"{name}{SUFFIX}") for name in MODELS}
    return {name: (one, one.rows()) for name, one in sets.items()}


@dataclass(frozen=True)
class Gallery:
    """Stored rows with their gaps.

    Attributes:
        rows: per model (n, dim) unit rows.
        gaps: per model (n,) radians.
        sheets: (n,) whether a row is a sheet.
    """

    rows: Rows
    gaps: Rows
    sheets: npt.NDArray[np.bool_]

    @staticmethod
    def of(rows: Rows, sets: Mapping[str, tuple[Reference, Float32]]) -> Gallery:
        """With the gaps that an index would give them but for the cut of sheets, which ``shares_of`` makes."""
        to_sets = {name: _to_set(rows[name], *sets[name]) for name in rows}
        apart = {name: angles(part, part) for name, part in rows.items()}
        aside = np.eye(len(next(iter(rows.values()))), dtype=np.bool_)
        for name, between in apart.items():
            least = np.minimum(to_sets[name][:, None], to_sets[name])
            aside |= between < sets[name][0].certain * least
        gaps = {name: np.minimum(to_sets[name], np.where(aside, np.pi, apart[name]).min(axis=1)) for name in rows}
        sheets = np.any([are_sheets(rows[name], *sets[name], sets[name][0].votes) for name in DISCERNING], axis=0)
        return Gallery(rows, {name: part.astype(np.float32) for name, part in gaps.items()}, sheets)

    def take(self, places: npt.NDArray[np.int64]) -> Gallery:
        """Some rows, with the gaps they have."""
        rows, gaps = ({name: part[places] for name, part in parts.items()} for parts in (self.rows, self.gaps))
        return Gallery(rows, gaps, self.sheets[places])

    def shares_of(self, queries: Rows, within: Mapping[str, float]) -> Rows:
        """Per model (m,): the least share of its gap at which some row accepts each query.

        Args:
            queries: per model (m, dim).
            within: per model, radians; no sheet accepts beyond: its gap is cut to this over the share.
        """
        return {name: self._shares(name, queries[name], within[name]) for name in self.rows}

    def _shares(self, name: str, queries: Float32, within: float) -> Float32:
        least = []
        for part in blocks(queries):
            far = angles(part, self.rows[name])
            least.append(np.where(self.sheets & (far >= within), np.inf, far / self.gaps[name]).min(axis=1))
        return np.concatenate(least)


def _to_set(rows: Float32, reference: Reference, others: Float32) -> Float32:
    """(n,) gaps to the set."""
    far = [np.minimum(angles(part, others).min(axis=1), reference.farthest) for part in blocks(rows)]
    return np.concatenate(far).astype(np.float32)


def are_sheets(rows: Float32, reference: Reference, others: Float32, votes: float | None) -> npt.NDArray[np.bool_]:
    """(n,) which rows a set takes for kinds that come in layouts; by its nearest vector where nobody votes."""
    in_layouts, found = ~np.isin(np.array(reference.kinds)[reference.kind], sorted(OPEN)), []
    for part in blocks(rows):
        cosines = np.nan_to_num(part, nan=0.0) @ others.T
        if votes is None:
            found.append(in_layouts[cosines.argmax(axis=1)])
        else:
            weights = np.exp(np.float32(votes) * (cosines - 1.0))
            found.append(weights[:, in_layouts].mean(axis=1) > weights[:, ~in_layouts].mean(axis=1))
    return np.concatenate(found)


def accepted(shares: Rows, limits: Mapping[str, float]) -> npt.NDArray[np.bool_]:
    """(m,) whether any channel accepts."""
    return np.any([shares[name] < limits[name] for name in shares], axis=0)


def read(folder: Path, pattern: str) -> dict[str, npt.NDArray[np.generic]]:
    """All pieces of a part, put together; rows of length 1 besides those as they are (``MODEL raw``)."""
    pieces = [np.load(path) for path in sorted(folder.glob(pattern))]
    if not pieces:
        raise SystemExit(f"{folder} holds no {pattern}: make them first")
    found = {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0].files}
    return found | {name: unit(found[name]) for name in MODELS} | {f"{name} raw": found[name] for name in MODELS}


def rows_of(part: Mapping[str, npt.NDArray[np.generic]], more: str = "") -> dict[str, Float32]:
    """Only its rows."""
    return {name: np.asarray(part[name + more], dtype=np.float32) for name in MODELS}


def joined(parts: Sequence[Rows]) -> dict[str, Float32]:
    """Rows of several parts."""
    return {name: np.concatenate([part[name] for part in parts]) for name in MODELS}
