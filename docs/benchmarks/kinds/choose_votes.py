"""A table to choose how the vectors of a reference set vote on what is a sheet, from pictures that report nothing.

    python docs/benchmarks/kinds/choose_votes.py PHOTOGRAPHS KINDS

PHOTOGRAPHS is what ``embed_photographs.py`` wrote, KINDS what ``embed_measuring.py`` wrote. By the steepness of a
vector's say: how many of the spare photographs are taken for sheets, and of which kinds (layouts of the half
``choose``) fewer than 95 % of the contents are. The first line is that of the nearest vector alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from embed_measuring import target
from measuring import KINDS
from rule import are_sheets, read, references, rows_of

MODEL = "retr_s"
STEEP = (None, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("kinds", type=Path)
    args = parser.parse_args()
    one, vectors = references()[MODEL]
    spare = rows_of(read(args.photographs, "spare-*.npz"))[MODEL]
    made = {kind: np.load(target(args.kinds, "choose", kind))[MODEL] for kind in KINDS}
    print("| votes | photographs taken for sheets, % | kinds of which fewer than 95 % are |\n|---|---|---|")
    for votes in STEEP:
        taken = 100 * are_sheets(spare, one, vectors, votes).mean()
        rates = {kind: 100 * are_sheets(rows, one, vectors, votes).mean() for kind, rows in made.items()}
        missed = ", ".join(f"{kind} {rate:.0f}" for kind, rate in rates.items() if rate < 95)
        print(f"| {'nearest' if votes is None else f'{votes:g}'} | {taken:.1f} | {missed} |")


if __name__ == "__main__":
    main()
