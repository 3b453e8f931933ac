"""Runs audits in forked children and kills them; a program of its own, so that nothing forks after a thread began.

Usage: audit_under_fire.py WORK KILLS
Audits once in peace, counting the calls that make something durable; then KILLS times, killed just before or just after
one of these calls and resumed. Prints one JSON line: calls, children killed, and what differed from the audit in peace.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from children import child, killed
from drawn import Quiet, draw

from retr.evaluation.robustness import audit_run
from retr.evaluation.robustness.attack_eval import run_attack_eval
from retr.evaluation.robustness.plan import AuditPlan
from retr.evaluation.robustness.records import FORMAT
from retr.evaluation.shared import attacking
from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.engine import Engine

CALLS = ("fsync", "replace", "unlink")
PLAN = AuditPlan(
    sample=4,
    edits=("resize",),
    attacks=("pgd-l2",),
    goals=("evasion", "verdict"),
    budgets=(60.0,),
    steps=2,
    gallery=3,
)


def in_child(work: Callable[[], None]) -> bool:
    """Run something in a child; whether it was killed."""
    return killed(child(work))


def count_calls(limit: int, note: Path) -> None:
    """Write the number of durable calls into ``note``, and kill the process at the one numbered ``limit``."""
    count = 0

    def counted(function):
        def wrapper(*arguments, **options):
            nonlocal count
            count += 1
            if count == limit and limit % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments, **options)
            if count == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            note.write_text(str(count))
            return result

        return wrapper

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def build(folder: Path) -> None:
    for seed in range(12):
        draw(folder / "corpus" / f"{seed:02}.png", seed)
    build_index(str(folder / "corpus"), folder / "index", IndexOptions(models=("block-means",), workers=1), Quiet())


def audit(folder: Path, out: Path, *, resume: bool = False, limit: int = 0) -> None:
    audit_run._CASES_PER_CHUNK = 2  # several parts
    if not resume:
        attacking._MOST_WORKERS = 1  # two threads may save the same query once or twice, and calls are counted
    engine = Engine.open(folder / "index", device="cpu")
    count_calls(limit, folder / "calls")
    fields = {name: getattr(PLAN, name) for name in PLAN.__dataclass_fields__}
    run_attack_eval(engine, AuditPlan(**{**fields, "out": out, "resume": resume}))


def state(out: Path) -> tuple[list[dict], dict[str, bytes]]:
    """The records, but for what must differ, and every other file that is left."""
    rows = FORMAT.read(out / "records.parquet").table.to_pylist()
    kept = [{name: value for name, value in row.items() if name not in ("run", "seconds")} for row in rows]
    own = ("run.json", "records.parquet")
    files = {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    return kept, {name: data for name, data in files.items() if name not in own}


def main(work: str, kills: str) -> None:
    folder, dead, different = Path(work), 0, []
    in_child(lambda: build(folder))
    in_child(lambda: audit(folder, folder / "peace"))
    calls = int((folder / "calls").read_text())
    expected = state(folder / "peace")
    for number in range(int(kills)):
        limit, out = 1 + round(number * (calls - 1) / max(1, int(kills) - 1)), folder / f"trial-{number}"
        dead += in_child(lambda limit=limit, out=out: audit(folder, out, limit=limit))
        in_child(lambda out=out: audit(folder, out, resume=True))
        found = state(out)
        if found != expected:
            odd = sorted(set(found[1]) ^ set(expected[1]))
            different.append(f"call {limit}: records {found[0] == expected[0]}, files {odd}")
    print(json.dumps({"calls": calls, "killed": dead, "different": different, "gallery": len(expected[1])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
