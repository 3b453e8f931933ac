"""Attacks on proved ranges of edits: members, the worst that evolution finds among them, PGD on top of each.

    python docs/benchmarks/attack_ranges.py INDEX FOLDER OUT.jsonl --count 20 [--strangers] [--against all]

Photographs are taken evenly from the sorted files of the folder; with ``--strangers`` they are in no index, and what
is attacked is *not a copy*. One line for each photograph is appended to OUT.jsonl; a run that was stopped goes on where
it was. Each change is judged by the engine at 0.9, 0.99 and 0.999 of the budget. Counts over all lines are printed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from retr.evaluation.edits.attacking import RangeAttack
from retr.images.decode import load
from retr.images.families.asked import read_families
from retr.retrieval.engine import Engine
from retr.retrieval.ranges.prove import prove_ranges


def attack(engine: Engine, path: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One photograph."""
    began, pixels = time.process_time(), load(path, policy=engine.policy).pixels
    families = read_families(args.against)
    answer = engine.answer(pixels / 255.0, k=10, certify=True)
    proof = prove_ranges(engine, pixels, answer, families, eps=args.eps, unit="rmse")
    on = RangeAttack(engine, pixels, proof, args.eps, "rmse", members=args.members, steps=args.steps, seed=args.seed)
    found = {asked.text: on.on(asked, family) for asked, family in zip(families, proof.families, strict=True)}
    return {
        "path": path.name,
        "claim": proof.claim.verdict,
        "pairs": {text: one.pairs for text, one in found.items()},
        "alarms": [alarm for one in found.values() for alarm in one.alarms],
        "cpu": time.process_time() - began,
    }


def main() -> None:
    """Attack what is missing, then print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--against", action="append", default=None)
    parser.add_argument("--eps", type=float, default=1.0)
    parser.add_argument("--members", type=int, default=24)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    args = parser.parse_args()
    args.against = args.against or ["all"]
    torch.set_num_threads(1)
    began, engine = time.monotonic(), Engine.open(args.index, device="cpu")
    every = sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    lines = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
    done = {line["path"] for line in lines}
    for path in every[:: max(1, len(every) // args.count)][: args.count]:
        if path.name in done or time.monotonic() - began > args.seconds:
            continue
        done.add(path.name)
        lines.append(attack(engine, path, args))
        with args.out.open("a") as file:
            file.write(json.dumps(lines[-1]) + "\n")
    claims, pairs = Counter(line["claim"] for line in lines), Counter()
    for line in lines:
        pairs.update(line["pairs"])
    alarms = [alarm for line in lines for alarm in line["alarms"]]
    print(f"{len(lines)} photographs ({dict(claims)}), {sum(pairs.values())} pairs, {len(alarms)} alarms")
    print("\n".join(f"  {text}: {count}" for text, count in pairs.items()))
    print("\n".join(alarms))


if __name__ == "__main__":
    main()
