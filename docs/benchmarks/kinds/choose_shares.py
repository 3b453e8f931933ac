"""Tables to choose the shares with, from pictures that play no part in what is reported.

    python docs/benchmarks/kinds/choose_shares.py PHOTOGRAPHS KINDS

PHOTOGRAPHS is what ``embed_photographs.py`` wrote, KINDS what ``embed_measuring.py`` wrote. For a grid of shares: false
matches among the spare photographs, the worst kinds' other contents taken for copies and rescans not found (layouts of
the half ``choose``), and verdicts on edited copies of dev's items, clean and certified at RMSE 1 and 5.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from embed_measuring import target
from measuring import KINDS
from rule import Gallery, Rows, accepted, joined, read, references, rows_of
from scanning import RESCANS

from embedding import MODELS

GRID = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)
NEAR = {"retr_s": (0.08, 0.09, 0.1, 0.11, 0.12), "block-means": (0.08, 0.09, 0.1, 0.12, 0.15)}
"""Angles within which a sheet may accept."""
LEVELS = (0.0, 1.0, 5.0)


def verdicts(gallery: Gallery, edits: Mapping[str, npt.NDArray], limits: Mapping[str, float]) -> list[float]:
    """Per level: share of edited copies that their own item's row accepts, certified so far; in percent."""
    radii = []
    for name in MODELS:
        items, raw = edits["item"], edits[f"{name} raw"]
        lengths = np.linalg.norm(raw, axis=1)
        cosines = np.einsum("ij,ij->i", edits[name], gallery.rows[name][items])
        inside = limits[name] * gallery.gaps[name][items] - np.arccos(np.clip(cosines, -1, 1))
        radii.append(np.where(inside < np.pi / 2, np.sin(inside), 1.0) * lengths * edits["scale"])
    best = np.nanmax(radii, axis=0)
    families = edits["family"]
    return [
        100 * float(np.mean([(best[families == f] > level).mean() for f in np.unique(families)])) for level in LEVELS
    ]


def kinds_of(kinds: Path, half: str, photographs: Gallery, sets: Mapping) -> dict[str, tuple[Gallery, Rows, Rows]]:
    """Per kind the stored picture among photographs, the other contents, and rescans of the stored one."""
    found = {}
    for kind in KINDS:
        path = target(kinds, half, kind)
        if path.exists():
            piece = np.load(path)
            stored, others = ({name: piece[name][part] for name in MODELS} for part in (slice(0, 1), slice(1, None)))
            again = {name: piece[f"{name} again"][: len(RESCANS)] for name in MODELS}
            gallery = Gallery.of(joined([photographs.rows, stored]), sets)
            found[kind] = (gallery.take(np.array([len(gallery.sheets) - 1])), others, again)
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("kinds", type=Path)
    args = parser.parse_args()
    sets = references()
    dev, spare, edits = (read(args.photographs, f"{name}-*.npz") for name in ("dev", "spare", "edits"))
    gallery = Gallery.of(rows_of(dev), sets)
    print(f"{len(spare['item'])} absent photographs, {len(dev['item'])} stored, {len(edits['item'])} copies")
    for name in MODELS:
        print(f"{name}: median gap of dev {np.median(gallery.gaps[name]):.3f}")
    print(f"sheets among dev: {100 * gallery.sheets.mean():.1f} %")
    _photographs(gallery, rows_of(spare), edits)
    _kinds(kinds_of(args.kinds, "choose", gallery.take(np.arange(0, len(dev["item"]), 5)), sets))


def _photographs(gallery: Gallery, spare: Rows, edits: Mapping[str, npt.NDArray]) -> None:
    print("\n| retr_s | block-means | false matches % | verdict, at 1, at 5 % |\n|---|---|---|---|")
    for pair in product(GRID, GRID):
        limits = dict(zip(MODELS, pair, strict=True))
        cut = gallery.cut({name: SHEET_ANGLE[name] / limits[name] for name in MODELS})
        rates = " / ".join(f"{rate:.1f}" for rate in verdicts(cut, edits, limits))
        print(f"| {pair[0]} | {pair[1]} | {100 * accepted(cut.shares_of(spare), limits).mean():.2f} | {rates} |")


SHEET_ANGLE = {"retr_s": 0.107, "block-means": 0.095}


def _kinds(made: Mapping[str, tuple[Gallery, Rows, Rows]]) -> None:
    """By the angles within which sheets accept; rows that are none accept within 0.65 and 0.7 of their gaps."""
    limits = {"retr_s": 0.65, "block-means": 0.7}
    print("\n| retr_s | block-means | kinds over 1 % | kinds found under 95 % | found, mean % |\n|---|---|---|---|---|")
    for pair in product(*NEAR.values()):
        most = {name: angle / limits[name] for name, angle in zip(MODELS, pair, strict=True)}
        cut = {kind: (own.cut(most), others, again) for kind, (own, others, again) in made.items()}
        wrong = {kind: 100 * accepted(own.shares_of(others), limits).mean() for kind, (own, others, _) in cut.items()}
        right = {kind: 100 * accepted(own.shares_of(again), limits).mean() for kind, (own, _, again) in cut.items()}
        over = ", ".join(f"{kind} {rate:.0f}" for kind, rate in wrong.items() if rate > 1)
        under = ", ".join(f"{kind} {rate:.0f}" for kind, rate in right.items() if rate < 95)
        print(f"| {pair[0]} | {pair[1]} | {over} | {under} | {np.mean(list(right.values())):.1f} |")


if __name__ == "__main__":
    main()
