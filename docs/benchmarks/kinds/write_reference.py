"""Thin what was embedded and write the reference sets that come with the package.

    python docs/benchmarks/kinds/write_reference.py

gives the sets that are there the constants below, and leaves their vectors: whoever only chose other constants does
not draw again.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from embed_rows import MODELS, embedders

from retr.embedding.contract import Embedder
from retr.embedding.places import weights_folder
from retr.indexer.neighbours import measure_near
from retr.indexer.reference import SUFFIX, Rate, Reference, encode, read_reference, write_reference
from retr.indexer.row_codes import decode

Float32 = npt.NDArray[np.float32]
BUDGET = {"retr_s": (2500, 10_500), "block-means": (1500, 4400)}
"""Vectors of photographs, and of made kinds: what 8 MB hold. Photographs lie so far apart that more of them change
little: with 500, 1,000, 2,000 and 4,000 of them the median gap of another is 0.62, 0.60, 0.58, 0.57 (retr_s) and 1.01,
0.98, 0.96, 0.93 (block-means)."""
SAME = 0.02
"""Radians within which two vectors are one picture."""
SHARE = {"retr_s": 0.75, "block-means": 0.75}
"""Chosen by ``measure.py choose``; see docs/benchmarks/verdicts.md."""
SHEET_ANGLE = {"retr_s": 0.1, "block-means": 0.08}
"""Radians within which a sheet accepts: two contents of one layout come nearly so near, whether the set holds the
layout or not. Chosen by ``choose_shares.py`` too."""
SHEET = {name: angle / SHARE[name] for name, angle in SHEET_ANGLE.items()}
"""No gap of a sheet counts as larger."""
OPEN_KINDS = (
    *("photograph", "sky", "night", "gradient", "product", "line art", "map", "icon", "comic"),
    *("desktop", "poster", "app tiles", "blots", "pattern"),
)
"""Kinds of which two pictures do not share a layout, and what is like them is no sheet."""
DISCERNING = ("retr_s",)
"""Models by which kinds are told apart: to block means a third of all photographs is nearest to a blank sheet."""
VOTES = {"retr_s": 30.0}
"""How steeply a vector's say in what is a sheet rises with its cosine. Chosen by ``choose_votes.py``."""
CERTAIN = 0.4
LIKE = 0.99
MADE_BY = "docs/benchmarks/kinds/make_reference.py"
RATE = Rate(1e-3, 4474, 0.00265)
"""Of 4,474 absent photographs six were accepted by 10,000 stored ones (``measure_rates.py``), by both channels."""


def write_all(out: Path) -> None:
    """Both sets, from all pieces in a folder."""
    kinds, rows = read(out)
    for model in embedders():
        _write(thinned(model, kinds, rows[model.name]))


def renew_constants() -> None:
    """Both sets, from what they hold."""
    for name in MODELS:
        _write(with_constants(read_reference(_path(name))))


def _path(model: str) -> Path:
    return weights_folder() / f"{model}{SUFFIX}"


def _write(reference: Reference) -> None:
    path = _path(reference.model)
    digest = write_reference(path, reference)
    print(f"{path.name}: {len(reference.kind)} vectors, {path.stat().st_size / 2**20:.1f} MiB, SHA-256 {digest}")


def with_constants(reference: Reference) -> Reference:
    """The same vectors with the constants that were chosen for the model."""
    name = reference.model
    return replace(
        reference,
        share=SHARE[name],
        certain=CERTAIN,
        sheet=math.ceil(1e4 * SHEET[name]) / 1e4,
        open=OPEN_KINDS,
        discerns=name in DISCERNING,
        votes=VOTES.get(name),
        rate=RATE,
    )


def read(out: Path) -> tuple[npt.NDArray[np.str_], dict[str, Float32]]:
    """Kinds, and rows per model, of all pictures that no model finds flat."""
    pieces = [np.load(path) for path in sorted(out.glob("*.npz"))]
    kinds = np.concatenate([piece["kind"] for piece in pieces])
    rows = {name: np.concatenate([piece[name] for piece in pieces]) for name in MODELS}
    good = np.all([np.isfinite(part).all(axis=1) for part in rows.values()], axis=0)
    return kinds[good], {name: part[good] for name, part in rows.items()}


def thinned(model: Embedder, kinds: npt.NDArray[np.str_], rows: Float32) -> Reference:
    """As many as the budget allows: photographs, and each made kind alike."""
    photographs, made = BUDGET[model.name]
    chosen = _apart(rows, np.concatenate([_first(kinds == "photograph", photographs), _in_turn(kinds, made)]))
    names = ["photograph", *sorted(set(kinds[chosen].tolist()) - {"photograph"})]
    codes = encode(rows[chosen], "cosine")
    near = measure_near(decode(codes, "int8", where=model.name), "cosine")
    gaps = near[kinds[chosen] == "photograph"]
    counts = {name: int((kinds[chosen] == name).sum()) for name in names}
    bare = Reference(
        model=model.name,
        model_digest=model.digest,
        score="cosine",
        codes=codes,
        kind=np.array([names.index(kind) for kind in kinds[chosen].tolist()], dtype=np.uint8),
        near=near,
        kinds=tuple(names),
        typical=_rounded(np.median(gaps)),
        farthest=_rounded(np.quantile(gaps, LIKE)),
        notes={
            "counts": counts,
            "made_by": "docs/benchmarks/kinds/make_reference.py",
            "card": "docs/models/reference.md",
        },
    )
    return with_constants(bare)


def _rounded(value: np.floating) -> float:
    return math.floor(1e4 * float(value)) / 1e4


def _first(of_kind: npt.NDArray[np.bool_], most: int) -> npt.NDArray[np.int64]:
    return np.flatnonzero(of_kind)[:most]


def _in_turn(kinds: npt.NDArray[np.str_], most: int) -> npt.NDArray[np.int64]:
    """One of each made kind after the other, until there are enough."""
    order = np.zeros(len(kinds), dtype=np.int64)
    for kind in sorted(set(kinds.tolist())):
        places = np.flatnonzero(kinds == kind)
        order[places] = np.arange(len(places))
    made = np.flatnonzero(kinds != "photograph")
    return made[np.argsort(order[made], kind="stable")][:most]


def _apart(rows: Float32, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Without those that show the same as one before."""
    kept = np.ones(len(chosen), dtype=np.bool_)
    own = rows[chosen]
    for start in range(0, len(chosen), 1024):
        near = own[start : start + 1024] @ own.T > math.cos(SAME)
        for place in range(len(near)):
            kept[start + place] = not (near[place, : start + place] & kept[: start + place]).any()
    return chosen[kept]


if __name__ == "__main__":
    renew_constants()
