"""Attacks certificates by the hundred thousand, over several models, and counts those that broke.

Usage: python docs/benchmarks/audit_100k.py CORPUS --out DIR --model block-means=60000 --model lipsim:random=2000

For every ``--model SPEC=COUNT`` (``default=COUNT`` for the channels of a plain index) it indexes the corpus, once,
then runs ``retr attack-eval`` in rounds until that many certificates were attacked: saved images inside a certified
radius, as float and as PNG. Each round draws other items and other random starts, and takes the next set of
attacks. Budgets are multiples of each query's own radius, up to just below 1, where a wrong certificate breaks
first. It may be killed at any time and started again with the same words: finished rounds are read, an unfinished
one goes on. The last line is JSON: certificates, alarms and seconds, by model.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from retr.evaluation.robustness.records import FORMAT

ATTACKS = (
    ("apgd-l2", "apgd-linf"),
    ("pgd-l2", "mi-fgsm-l2"),
    ("fmn-l2", "square-l2"),
)
"""One set a round, in turn; the last one takes several times as long as the others."""
GOALS = ("evasion", "verdict", "rank10", "embedding")
USUAL = "default"
"""Stands for the channels of a plain ``retr index``."""
MULTIPLES = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class Quota:
    """So many certificates of one model are to be attacked."""

    spec: str
    certificates: int

    @property
    def word(self) -> str:
        """The model's name as part of a file name."""
        return "".join(letter if letter.isalnum() else "-" for letter in Path(self.spec).name)


@dataclass(frozen=True)
class Tally:
    """What one round found."""

    certificates: int = 0
    images: int = 0
    alarms: int = 0
    seconds: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))


def retr(*words: str) -> None:
    """Run a command; an alarm (exit code 1 with records) is counted, not raised."""
    done = subprocess.run([sys.executable, "-m", "retr", *words], check=False, stdout=subprocess.DEVNULL)  # noqa: S603
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"retr {' '.join(words)} ended with {done.returncode}")


def rounds(quota: Quota, options: argparse.Namespace) -> Iterator[Tally]:
    """Index, then audit round by round, until the quota is full."""
    index, found = options.out / f"index-{quota.word}", 0
    if not (index / "CURRENT").exists():
        model = [] if quota.spec == USUAL else ["--model", quota.spec]
        retr("index", options.corpus, "-o", str(index), *model, "--resume")
    for number in range(10_000):
        if found >= quota.certificates:
            return
        tally = one_round(quota, index, number, options)
        found += tally.certificates
        print(f"{quota.spec}: round {number}, {found} of {quota.certificates}, {tally.alarms} alarms", file=sys.stderr)
        if tally.certificates == 0:
            raise SystemExit(f"{quota.spec}: a round attacked no certificate")
        yield tally


def one_round(quota: Quota, index: Path, number: int, options: argparse.Namespace) -> Tally:
    """One audit, taken up again or read where it is finished."""
    folder, attacks = options.out / f"{quota.word}-{number:04d}", ATTACKS[number % options.sets]
    each = 2 * len(options.edits.split(",")) * len(GOALS) * len(attacks) * len(MULTIPLES)
    # Some certificates do not exist, and some attacks run once: a round may give less, and another follows.
    sample = max(1, min(options.sample, math.ceil(quota.certificates / each)))
    if not (folder / "records.parquet").exists():
        words = [
            "--sample",
            str(sample),
            "--edits",
            options.edits,
            "--seed",
            str(number),
            "--steps",
            str(options.steps),
        ]
        words += ["--attacks", ",".join(attacks), "--goals", ",".join(GOALS)]
        words += ["--at-radius", ",".join(map(str, MULTIPLES)), "--out", str(folder), "--resume"]
        retr("attack-eval", "-i", str(index), *words)
    return tally_of(folder)


def tally_of(folder: Path) -> Tally:
    """The records of a round in numbers."""
    columns = ["attack", "within_top1", "within_top10", "within_verdict", "alarm", "medium", "seconds"]
    table = FORMAT.read(folder / "records.parquet").table.select(columns)
    values = {name: table[name].to_numpy() for name in columns}
    attacked = values["attack"] != "clean"
    within = attacked & (values["within_top1"] | values["within_top10"] | values["within_verdict"])
    runs = attacked & (values["medium"] == "float")  # both images of a run tell its seconds
    seconds = float(values["seconds"][runs].sum())
    return Tally(int(within.sum()), int(attacked.sum()), int(values["alarm"].sum()), seconds)


def main(arguments: Sequence[str]) -> None:
    """Fill every quota, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="folder of images, or a list file")
    parser.add_argument("--out", type=Path, required=True, help="folder of indexes and rounds")
    parser.add_argument("--model", action="append", required=True, metavar="SPEC=COUNT", help="repeat for several")
    parser.add_argument("--sample", type=int, default=50, help="items a round draws")
    parser.add_argument("--edits", default="resize,jpeg", help="resize makes small queries, which are quick to attack")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--sets", type=int, default=len(ATTACKS), choices=range(1, len(ATTACKS) + 1), help=f"{ATTACKS}")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    models = {}
    for text in options.model:
        spec, _, count = text.rpartition("=")
        quota = Quota(spec, int(count))
        models[spec] = sum(rounds(quota, options), Tally())
    every = sum(models.values(), Tally())
    print(json.dumps({**asdict(every), "models": {spec: asdict(tally) for spec, tally in models.items()}}))
    raise SystemExit(1 if every.alarms else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
