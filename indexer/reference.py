"""Reference sets: vectors of pictures that are nobody's, which say how near unrelated pictures of each kind come.

One safetensors file for each model: ``vectors`` (n, dim), ``kind`` (n,) uint8 and ``near`` (n,) float32, how far each
vector is from the next. Vectors are int8 codes of unit rows for a cosine (``row_codes``), float32 for Euclidean
distances. The metadata key ``retr`` is a JSON object: ``schema``, ``model``, ``model_digest``, ``score``, ``kinds``
(their names by number), ``content_sha256`` (of the bytes of ``vectors``, ``kind`` and ``near``), the constants of
:class:`Reference`, and whatever else its maker notes.

The sets of packaged models come inside the package, beside the weights. For any other model the drawn kinds are
embedded when an index is made (``indexer.drawn``), and kept in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from ..core.errors import IntegrityError
from ..core.files import canonical_json, sha256_bytes, write_atomically
from ..core.types import Score
from ..embedding.places import weights_folder
from .row_codes import ROW_CODES, decode
from .vectors import Float32

SCHEMA = "retr.reference/1"
SUFFIX = ".reference.safetensors"
_KEY = "retr"

OPEN = frozenset({"photograph", "sky", "night", "gradient", "product", "pattern", "blots"})
"""Kinds whose pictures share no layout, where a set does not say: what is nearest to one of them is no sheet."""
MOST_VOTES = 40.0
"""Steeper, and float32 could not hold the least weight, exp(−2 · votes)."""
SHARE, CERTAIN = 0.5, 0.4
"""Where nothing was measured for a model: a row accepts nearer than half way to its nearest unrelated neighbour."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Measured false matches of a packaged model by the shares alone, all channels of a default index together.

    Attributes:
        fpr: the rate per absent query that the shares were chosen for.
        samples: how many absent pictures it was measured on.
        upper95: 95 % Clopper-Pearson upper limit.
    """

    fpr: float
    samples: int
    upper95: float


@dataclass(frozen=True)
class Reference:
    """A reference set. Angles are radians; for a Euclidean model all of them are distances.

    Attributes:
        model: name of the embedder; model_digest: its digest.
        score: how vectors are compared.
        codes: (n, dim) int8 codes of unit rows (cosine), or float32 rows (Euclidean).
        kind: (n,) uint8, number of each vector's kind.
        near: (n,) float32, distance of each vector to the nearest other (``neighbours.measure_near``), or less: for a
            kind that comes in layouts, how near two contents of one layout come.
        kinds: their names.
        share: part of its gap within which a row accepts.
        certain: part of the smaller gap within which two pictures are presumed to be copies.
        typical: the gap of an ordinary picture; channels are compared by it.
        farthest: no row's gap counts as larger.
        sheet: no reference gap of a *sheet* counts as larger (``indexer.sheets``); None where nothing is known of
            sheets, and ``near`` stands for it.
        open: kinds whose pictures share no layout.
        discerns: whether kinds are told apart by this model well enough to say what is a sheet.
        votes: how steeply a vector's say in what is a sheet rises with its cosine (``indexer.sheets``); None: the
            nearest vector says it alone.
        rate: what is known of false matches; None where nothing was measured.
        notes: the rest of the header.
        digest: SHA-256 of the file; empty for one that was not written yet.
    """

    model: str
    model_digest: str
    score: Score
    codes: npt.NDArray[np.int8] | Float32
    kind: npt.NDArray[np.uint8]
    near: Float32
    kinds: tuple[str, ...]
    share: float = SHARE
    certain: float = CERTAIN
    typical: float = 1.0
    farthest: float = math.pi / 2
    sheet: float | None = None
    open: tuple[str, ...] = tuple(sorted(OPEN))
    discerns: bool = True
    votes: float | None = None
    rate: Rate | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no reference set.

        Raises:
            ValueError: naming the fault.
        """
        if self.codes.ndim != 2 or not self.kind.shape == self.near.shape == self.codes.shape[:1]:
            raise ValueError(f"{self.codes.shape} vectors, {self.kind.shape} kinds and {self.near.shape} distances")
        if self.near.dtype != np.float32 or not (self.near >= 0.0).all():
            raise ValueError("distances to the next vector are float32 and ≥ 0")
        if self.codes.dtype != (np.int8 if self.score == "cosine" else np.float32) or self.kind.dtype != np.uint8:
            raise ValueError(f"vectors of type {self.codes.dtype}, kinds of type {self.kind.dtype}")
        if len(self.kind) and int(self.kind.max()) >= len(self.kinds):
            raise ValueError(f"kind {int(self.kind.max())} of {len(self.kinds)}")
        if not (0.0 < self.share < 1.0 and 0.0 < self.certain <= self.share):
            raise ValueError(f"0 < certain ≤ share < 1, got {self.certain} and {self.share}")
        if not (0.0 < self.typical <= self.farthest < math.inf):
            raise ValueError(f"0 < typical ≤ farthest, got {self.typical} and {self.farthest}")
        if self.sheet is not None and not 0.0 < self.sheet <= self.farthest:
            raise ValueError(f"0 < sheet ≤ farthest, got {self.sheet} and {self.farthest}")
        if self.votes is not None and not (self.score == "cosine" and 0.0 < self.votes <= MOST_VOTES):
            raise ValueError(f"0 < votes ≤ {MOST_VOTES:g} between vectors compared by cosine, got {self.votes}")

    @property
    def opened(self) -> npt.NDArray[np.bool_]:
        """(n,) which vectors are of kinds whose pictures share no layout."""
        return np.array([name in self.open for name in self.kinds], dtype=np.bool_)[self.kind]

    @property
    def caps(self) -> npt.NDArray[np.float64]:
        """(n,) how near unrelated pictures come of which the nearest vector is this one; inf for open kinds.

        Inf for all where ``sheet`` says more.
        """
        if self.sheet is not None:
            return np.full(len(self.kind), np.inf)
        return np.where(self.opened, np.inf, self.near.astype(np.float64))

    def rows(self, where: str = "a reference set") -> Float32:
        """(n, dim) float32: the vectors as exact numbers; unit rows for cosine.

        Raises:
            IntegrityError: codes that no row has.
        """
        if self.score != "cosine":
            return self.codes.astype(np.float32, copy=False)
        return decode(self.codes, "int8", where=where)


def encode(rows: Float32, score: Score) -> npt.NDArray[Any]:
    """The vectors of a file for (n, dim) rows: unit rows for cosine."""
    return ROW_CODES["int8" if score == "cosine" else "float32"].encode(rows)


def write_reference(path: Path, reference: Reference) -> str:
    """Write a reference set, in one step; the same set gives the same bytes.

    Returns:
        SHA-256 of the file.
    """
    parts = {"vectors": reference.codes, "kind": reference.kind, "near": reference.near}
    tensors = {name: np.ascontiguousarray(part) for name, part in parts.items()}
    header = {
        **reference.notes,
        "schema": SCHEMA,
        **{name: getattr(reference, name) for name in _CONSTANTS},
        "kinds": list(reference.kinds),
        **{name: getattr(reference, name) for name in _OPTIONAL},
        "rate": None if reference.rate is None else {n: getattr(reference.rate, n) for n in Rate.__slots__},
        "content_sha256": _content(tensors),
    }
    data = safetensors.numpy.save(tensors, metadata={_KEY: canonical_json(header).decode()})
    write_atomically(path, data)
    return sha256_bytes(data)


_OPTIONAL = ("sheet", "open", "discerns", "votes")
"""Absent in earlier sets."""
_CONSTANTS = ("model", "model_digest", "score", "share", "certain", "typical", "farthest")


def _content(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    return sha256_bytes(b"".join(tensors[name].tobytes() for name in ("vectors", "kind", "near")))


def read_reference(path: Path) -> Reference:
    """Read a reference set and check its bytes against the digest in its header.

    Raises:
        IntegrityError: it is missing, damaged or something else.
    """
    try:
        data = path.read_bytes()
        tensors = safetensors.numpy.load(data)
        header = _header(data)
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{path} is no reference set that can be read: {error}") from error
    try:
        if header["content_sha256"] != _content(tensors):
            raise IntegrityError(f"{path} does not hold the vectors that its header was written for: it was changed")
        return _build(header, tensors, sha256_bytes(data))
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{path} is no reference set: {type(error).__name__}: {error}") from error


def _header(data: bytes) -> dict[str, Any]:
    """The JSON object in a safetensors file: 8 bytes of length, then its header, whose metadata are strings."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise ValueError(f"it is not of schema {SCHEMA}")
    return header


def _build(header: dict[str, Any], tensors: Mapping[str, npt.NDArray[Any]], digest: str) -> Reference:
    rate = header.get("rate")
    given = {name: header[name] for name in _OPTIONAL if name in header}
    if "open" in given:
        given["open"] = tuple(given["open"])
    known = {*_CONSTANTS, *_OPTIONAL, "schema", "kinds", "rate", "content_sha256"}
    return Reference(
        codes=tensors["vectors"],
        kind=tensors["kind"],
        near=tensors["near"],
        kinds=tuple(header["kinds"]),
        rate=None if rate is None else Rate(**{name: rate[name] for name in Rate.__slots__}),
        notes={key: value for key, value in header.items() if key not in known},
        digest=digest,
        **given,
        **{name: header[name] for name in _CONSTANTS},
    )


def shipped_reference(model_digest: str) -> Reference | None:
    """The set that the package brings for a model; None where it brings none for exactly this one.

    Raises:
        IntegrityError: it is damaged.
    """
    return next((one for one in map(_shipped, _files()) if one.model_digest == model_digest), None)


def _files() -> list[Path]:
    return sorted(weights_folder().glob(f"*{SUFFIX}"))


@lru_cache(maxsize=8)
def _shipped(path: Path) -> Reference:
    """Files of the package do not change while it runs."""
    return read_reference(path)
