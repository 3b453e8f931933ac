"""Tables to choose the shares with, from pictures that play no part in what is reported.

    python docs/benchmarks/kinds/choose_shares.py PHOTOGRAPHS KINDS

PHOTOGRAPHS is what ``embed_photographs.py`` wrote, KINDS what ``embed_measuring.py`` wrote. For a grid of shares: false
matches among the spare photographs, the worst kinds' other contents taken for copies and rescans not found (layouts of
the half ``choose``), and verdicts on edited copies of dev's items, clean and certified at RMSE 1 and 5.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from embed_measuring import target
from measuring import KINDS
from rule import Gallery, accepted, joined, read, references, rows_of
from scanning import RESCANS

from embedding import MODELS

GRID = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)
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


def kinds_of(kinds: Path, half: str, photographs: Gallery, sets: Mapping) -> dict[str, tuple[dict, dict]]:
    """Per kind the least shares of other contents, and of rescans by the picture that they are of."""
    found = {}
    for kind in KINDS:
        path = target(kinds, half, kind)
        if not path.exists():
            continue
        piece = np.load(path)
        contents = {name: piece[name] for name in MODELS}
        stored = {name: part[:1] for name, part in contents.items()}
        gallery = Gallery.of(joined([rows_of(photographs.rows), stored]), sets)
        own = gallery.take(np.array([len(gallery.gaps["retr_s"]) - 1]))
        others = own.shares_of({name: part[1:] for name, part in contents.items()})
        again = own.shares_of({name: piece[f"{name} again"][: len(RESCANS)] for name in MODELS})
        found[kind] = (others, again)
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("kinds", type=Path)
    parser.add_argument("--half", default="choose", choices=["choose", "report"])
    args = parser.parse_args()
    sets = references()
    dev, spare, edits = (read(args.photographs, f"{name}-*.npz") for name in ("dev", "spare", "edits"))
    gallery = Gallery.of(rows_of(dev), sets)
    absent = gallery.shares_of(rows_of(spare))
    made = kinds_of(args.kinds, args.half, gallery.take(np.arange(0, len(dev["retr_s"]), 5)), sets)
    print(
        f"{len(spare['retr_s'])} absent photographs, {len(gallery.gaps['retr_s'])} stored, {len(edits['item'])} copies"
    )
    for name in MODELS:
        print(f"{name}: median gap of dev {np.median(gallery.gaps[name]):.3f}")
    for kind, (others, again) in made.items():
        low = {name: np.quantile(part, [0.01, 0.5]).round(2).tolist() for name, part in others.items()}
        high = {name: np.quantile(part, [0.5, 0.95, 1.0]).round(2).tolist() for name, part in again.items()}
        print(f"{kind:24} other contents 1 %, median {low}; rescans median, 95 %, most {high}")
    print("| retr_s | block-means | false matches % | kinds over 1 % | rescans % (worst) | verdict, at 1, at 5 |")
    for first in GRID:
        for second in GRID:
            limits = dict(zip(MODELS, (first, second), strict=True))
            wrong = {kind: 100 * accepted(others, limits).mean() for kind, (others, _) in made.items()}
            right = {kind: 100 * accepted(again, limits).mean() for kind, (_, again) in made.items()}
            over = ", ".join(f"{kind} {rate:.0f}" for kind, rate in wrong.items() if rate > 1)
            rates = " / ".join(f"{rate:.1f}" for rate in verdicts(gallery, edits, limits))
            false = 100 * accepted(absent, limits).mean()
            found = f"{np.mean(list(right.values())):.0f} ({min(right.values()):.0f})"
            print(f"| {first} | {second} | {false:.2f} | {over} | {found} | {rates} |")


if __name__ == "__main__":
    main()
