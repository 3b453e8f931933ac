"""Galleries of several contents of one layout: how many others in it are taken for copies, by the rule in float32.

    python docs/benchmarks/kinds/measure_siblings.py KINDS [--half choose] [--stored 20] [--draws 20]

KINDS is what ``embed_measuring.py`` wrote. Of each kind some contents are stored, drawn several times, and the others
are looked up. Beside it: the same without presumed copies of doubtful kind.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from embed_measuring import target
from measuring import KINDS
from rule import MODELS, Gallery, accepted, references


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", type=Path)
    parser.add_argument("--half", choices=("choose", "report"), default="choose")
    parser.add_argument("--stored", type=int, default=20)
    parser.add_argument("--draws", type=int, default=20)
    args = parser.parse_args()
    sets, rng = references(), np.random.default_rng(18)
    limits = {name: one.share for name, (one, _) in sets.items()}
    within = {name: one.share * one.sheet for name, (one, _) in sets.items() if one.sheet is not None}
    print("| kind | taken for copies, % | without doubtful kinds, % |\n|---|---|---|")
    for kind in KINDS:
        piece = np.load(target(args.kinds, args.half, kind))
        rows, taken = {name: piece[name] for name in MODELS}, {True: [], False: []}
        for _ in range(args.draws):
            order = rng.permutation(len(rows[MODELS[0]]))
            stored, others = ({name: rows[name][part] for name in MODELS} for part in np.split(order, [args.stored]))
            for doubt, found in taken.items():
                gallery = Gallery.of(stored, sets, doubt=doubt)
                found.append(accepted(gallery.shares_of(others, within), limits).mean())
        print(f"| {kind} | {100 * np.mean(taken[True]):.1f} | {100 * np.mean(taken[False]):.1f} |", flush=True)


if __name__ == "__main__":
    main()
