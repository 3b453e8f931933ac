"""The tables of docs/benchmarks/verdicts.md on false matches and on kinds, from the shipped reference sets.

    python docs/benchmarks/kinds/measure_rates.py PHOTOGRAPHS KINDS

PHOTOGRAPHS is what ``embed_photographs.py`` wrote, KINDS what ``embed_measuring.py`` wrote. No calibration anywhere:
gaps from the reference set and the gallery, shares from the reference set, in float32 (``rule.py``).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from choose_shares import kinds_of
from rule import Gallery, accepted, read, references, rows_of
from write_reference import SHEET_ANGLE

from retr.core.statistics import wilson

SIZES = (10, 50, 300, 1941, 10_000)
DRAWS = {10: 100, 50: 40, 300: 10}
"""Galleries of a size that are drawn from dev; most of the largest are photographs that the network was trained on."""


def percent(hits: int, count: int, digits: int = 2) -> str:
    """A rate with its 95 % Wilson interval, in percent."""
    low, high = wilson(hits / count, count)
    return f"{100 * hits / count:.{digits}f} ({100 * low:.{digits}f}–{100 * high:.{digits}f})"


def sizes(photographs: Path, sets: Mapping, limits: Mapping[str, float]) -> None:
    """False matches of absent photographs by the size of the gallery."""
    absent = rows_of(read(photographs, "absent-*.npz"))
    dev, train = rows_of(read(photographs, "dev-*.npz")), rows_of(read(photographs, "train-*.npz"))
    count = len(absent["retr_s"])
    print("\n| items | galleries | absent photographs | false matches, % (95 %) | most in one |\n|---|---|---|---|---|")
    for size in SIZES:
        source = dev if size <= len(dev["retr_s"]) else {name: np.concatenate([dev[name], train[name]]) for name in dev}
        rng, found = np.random.default_rng(size), []
        for _ in range(DRAWS.get(size, 1)):
            places = rng.choice(len(source["retr_s"]), size, replace=False)
            gallery = Gallery.of({name: part[places] for name, part in source.items()}, sets)
            found.append(int(accepted(gallery.shares_of(absent, SHEET_ANGLE), limits).sum()))
        print(f"| {size:,} | {len(found)} | {count:,} | {percent(sum(found), count * len(found), 3)} | {max(found)} |")


def kinds(photographs: Path, made: Path, sets: Mapping, limits: Mapping[str, float]) -> None:
    """Other contents of the same layout taken for copies, and rescans found, kind by kind."""
    dev = rows_of(read(photographs, "dev-*.npz"))
    gallery = Gallery.of({name: part[::5] for name, part in dev.items()}, sets)
    print(
        "\n| kind | other contents | copies, % (95 %) | rescans | found, % (95 %) | by either channel alone | sheet |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, (own, others, again) in kinds_of(made, "report", gallery, sets).items():
        shares = own.shares_of(others, SHEET_ANGLE)
        wrong, right = accepted(shares, limits), accepted(own.shares_of(again, SHEET_ANGLE), limits)
        alone = ", ".join(f"{100 * (shares[name] < limits[name]).mean():.0f}" for name in limits)
        print(
            f"| {kind} | {len(wrong)} | {percent(int(wrong.sum()), len(wrong), 1)} | {len(right)} "
            f"| {percent(int(right.sum()), len(right), 0)} | {alone} | {'yes' if own.sheets[0] else 'no'} |"
        )


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("kinds", type=Path)
    args = parser.parse_args()
    sets = references()
    limits = {name: one.share for name, (one, _) in sets.items()}
    print(f"shares {limits}")
    kinds(args.photographs, args.kinds, sets, limits)
    sizes(args.photographs, sets, limits)


if __name__ == "__main__":
    main()
