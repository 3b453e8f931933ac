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
from embed_rows import MODELS
from measuring import KINDS
from rule import Gallery, Rows, accepted, joined, read, references, rows_of
from scanning import RESCANS
from write_reference import SHARE, SHEET_ANGLE

GRID = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
NEAR = {"retr_s": (0.08, 0.09, 0.1), "block-means": (0.07, 0.085, 0.1)}
"""Angles within which a sheet may accept."""
LEVELS = (0.0, 1.0, 5.0)


def verdicts(gallery: Gallery, edits: Mapping[str, npt.NDArray], limits: Mapping[str, float]) -> list[float]:
    """Per level: share of edited copies that their own item's row accepts, certified so far; in percent."""
    reaches = {name: limits[name] * gallery.gaps[name] for name in MODELS}
    cut = {n: np.where(gallery.sheets, np.minimum(reach, SHEET_ANGLE[n]), reach) for n, reach in reaches.items()}
    return verdicts_within(gallery, edits, cut)


def verdicts_within(
    gallery: Gallery, edits: Mapping[str, npt.NDArray], reaches: Mapping[str, npt.NDArray]
) -> list[float]:
    """As :func:`verdicts`, where each row accepts within an angle of its own: (n,) per model."""
    radii = []
    for name in MODELS:
        items, raw = edits["item"], edits[f"{name} raw"]
        cosines = np.einsum("ij,ij->i", edits[name], gallery.rows[name][items])
        inside = reaches[name][items] - np.arccos(np.clip(cosines, -1, 1))
        signed = np.where(inside < np.pi / 2, np.sin(inside), 1.0)
        radii.append(signed * np.linalg.norm(raw, axis=1) * edits["scale"])
    best = np.nanmax(radii, axis=0)
    each = [best[edits["family"] == family] for family in np.unique(edits["family"])]
    return [100 * float(np.mean([(one > level).mean() for one in each])) for level in LEVELS]


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
    shares = gallery.shares_of(spare, SHEET_ANGLE)
    for pair in product(GRID, GRID):
        limits = dict(zip(MODELS, pair, strict=True))
        rates = " / ".join(f"{rate:.1f}" for rate in verdicts(gallery, edits, limits))
        print(f"| {pair[0]} | {pair[1]} | {100 * accepted(shares, limits).mean():.2f} | {rates} |")


def _kinds(made: Mapping[str, tuple[Gallery, Rows, Rows]]) -> None:
    """By the angles within which sheets accept; rows that are none accept within the shares of the reference set."""
    print("\n| retr_s | block-means | kinds over 1 % | kinds found under 95 % | found, mean % |\n|---|---|---|---|---|")
    for pair in product(*NEAR.values()):
        most = dict(zip(MODELS, pair, strict=True))
        wrong = {kind: _percent(own, others, most) for kind, (own, others, _) in made.items()}
        right = {kind: _percent(own, again, most) for kind, (own, _, again) in made.items()}
        over = ", ".join(f"{kind} {rate:.0f}" for kind, rate in wrong.items() if rate > 1)
        under = ", ".join(f"{kind} {rate:.0f}" for kind, rate in right.items() if rate < 95)
        print(f"| {pair[0]} | {pair[1]} | {over} | {under} | {np.mean(list(right.values())):.1f} |")


def _percent(own: Gallery, queries: Rows, within: Mapping[str, float]) -> float:
    return 100 * float(accepted(own.shares_of(queries, within), SHARE).mean())


if __name__ == "__main__":
    main()
