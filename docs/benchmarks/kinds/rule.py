"""The rule of a verdict without calibration, on float32 rows: what ``choose_shares.py`` tries many shares with.

A row accepts within a share of its gap, the angle to the nearest row of another item or to the nearest reference
vector. A row is a *sheet* where the vectors of a discerning channel's set vote it one that comes in layouts: its gaps
count as no larger than ``sheet``. Presumed copies are set aside, by the rule of ``retr.indexer.gaps``. The engine's
rule is the same but for rounding.
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
from retr.indexer.sheets import BOTH_CUT, FAINT, ONE_CUT

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
    def of(rows: Rows, sets: Mapping[str, tuple[Reference, Float32]], *, doubt: bool = True) -> Gallery:
        """With the gaps that an index would give them but for the cut of sheets, which ``shares_of`` makes.

        Args:
            rows: of the gallery.
            sets: of ``references``.
            doubt: whether copies of doubtful kind are presumed copies.
        """
        to_sets = {name: _to_set(rows[name], *sets[name]) for name in rows}
        apart = {name: angles(part, part) for name, part in rows.items()}
        lead = np.max([leads(rows[name], *sets[name], sets[name][0].votes) for name in DISCERNING], axis=0)
        aside = _aside(to_sets, apart, lead, sets, doubt=doubt)
        gaps = {name: np.minimum(to_sets[name], np.where(aside, np.pi, apart[name]).min(axis=1)) for name in rows}
        return Gallery(rows, {name: part.astype(np.float32) for name, part in gaps.items()}, lead > 0.0)

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


def _aside(
    to_sets: Rows,
    apart: Rows,
    lead: npt.NDArray[np.float64],
    sets: Mapping[str, tuple[Reference, Float32]],
    *,
    doubt: bool,
) -> npt.NDArray[np.bool_]:
    """(n, n) which pairs are one row or presumed copies."""
    found, doubtful = np.eye(len(lead), dtype=np.bool_), np.full((len(lead), len(lead)), doubt)
    for name, between in apart.items():
        reference = sets[name][0]
        cut = np.where(lead > 0.0, np.minimum(to_sets[name], np.float32(reference.sheet)), to_sets[name])
        uncut = np.where(lead > FAINT, cut, to_sets[name])
        found |= between <= reference.certain * np.minimum(cut[:, None], cut)
        is_cut = cut < uncut
        parts = (ONE_CUT, BOTH_CUT) if reference.votes is not None else (reference.certain, reference.certain)
        part = np.array([reference.certain, *parts])[is_cut[:, None].astype(int) + is_cut]
        doubtful &= between <= part * np.minimum(uncut[:, None], uncut)
    return found | doubtful


def _to_set(rows: Float32, reference: Reference, others: Float32) -> Float32:
    """(n,) gaps to the set."""
    far = [np.minimum(angles(part, others).min(axis=1), reference.farthest) for part in blocks(rows)]
    return np.concatenate(far).astype(np.float32)


def are_sheets(rows: Float32, reference: Reference, others: Float32, votes: float | None) -> npt.NDArray[np.bool_]:
    """(n,) which rows a set takes for kinds that come in layouts."""
    return leads(rows, reference, others, votes) > 0.0


def leads(rows: Float32, reference: Reference, others: Float32, votes: float | None) -> npt.NDArray[np.float64]:
    """(n,) how far ahead the vote is for a kind that comes in layouts, in logarithms; ±inf where nobody votes."""
    in_layouts, found = ~np.isin(np.array(reference.kinds)[reference.kind], sorted(OPEN)), []
    for part in blocks(rows):
        cosines = np.nan_to_num(part, nan=0.0) @ others.T
        if votes is None:
            found.append(np.where(in_layouts[cosines.argmax(axis=1)], np.inf, -np.inf))
        else:
            weights = np.exp(np.float32(votes) * (cosines - 1.0))
            sides = (weights[:, which].mean(axis=1, dtype=np.float64) for which in (in_layouts, ~in_layouts))
            found.append(np.subtract(*map(np.log, sides)))
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
