"""How tight certificates are: certified radius ÷ smallest change by which FMN wins the first place, query by query.

Usage: python docs/benchmarks/tightness.py INDEX --out DIR [--sample 30] [--edit identity] [--steps 200] [--reach 4]

Runs ``retr attack-eval`` with fmn-l2 on items of an index, within ``reach`` times each query's own radius, and prints
one JSON object: the quantiles of the ratios of all queries that were broken; of those whose smallest breaking image has
at most 1 % of its values at 0 or 1 (``free``: only the map can have held the attack back); and of the others
(``boxed``). What FMN did not break is in ``queries`` and in no ratio. Its changes are upper bounds of the smallest
ones, so the true ratios are at least these.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from retr.evaluation.robustness.records import FORMAT
from retr.evaluation.robustness.summary import summarise


def main() -> None:
    """One audit, one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the audit")
    parser.add_argument("--sample", type=int, default=30)
    parser.add_argument("--edit", default="identity")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--reach", type=float, default=4.0)
    chosen = parser.parse_args()
    records = chosen.out / "records.parquet"
    if not records.exists():
        words = ["--sample", str(chosen.sample), "--edits", chosen.edit, "--steps", str(chosen.steps)]
        words += ["--attacks", "fmn-l2", "--at-radius", str(chosen.reach), "--seconds", "0", "--resume"]
        command = [sys.executable, "-m", "retr", "attack-eval", "-i", str(chosen.index), *words]
        done = subprocess.run([*command, "--out", str(chosen.out)], check=False, stdout=subprocess.DEVNULL)  # noqa: S603
        if done.returncode not in (0, 1, 3):
            raise SystemExit(done.returncode)
    summary = summarise(FORMAT.read(records).table)
    for line in summary.tightness:
        if line.promise == "top1":
            print(json.dumps({"index": str(chosen.index), **asdict(line), "alarms": summary.alarms}))


if __name__ == "__main__":
    main()
