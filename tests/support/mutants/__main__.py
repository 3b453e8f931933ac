"""Draw small faults, run the tests against each, and say which went unnoticed.

Usage: PYTHONPATH=tests/support python -m mutants [--count 60] [--seed 0] [--json mutants.json]
       [--files 'certificates/*.py' …] [--tests tests/certificates …] [--processes 1]
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from . import isolation, named
from .imports import distances, libraries
from .isolation import Copy, Outcome
from .sites import Change, changes

ROOT = Path(__file__).resolve().parents[3]
FILES = (
    "core/numerics.py",
    "core/rounded.py",
    "core/types.py",
    "core/units.py",
    "certificates/*.py",
    "images/resize.py",
    "embedding/bounds.py",
    "embedding/spectral.py",
    "retrieval/*.py",
)
TESTS = {
    "core": ("tests/core", "tests/certificates"),
    "certificates": ("tests/certificates",),
    "images": ("tests/images/test_resize*.py",),
    "embedding": ("tests/embedding/test_bounds*.py", "tests/embedding/test_spectral*.py"),
    "retrieval": ("tests/retrieval",),
}
"""Of each room, the tests that should notice; those of them that never import the file are left out."""
GOAL = 0.95


def main() -> int:
    """Run; 1 if fewer than GOAL of the faults are noticed."""
    options = _options()
    root = options.root
    sources = {file: (root / file).read_bytes() for file in _matching(options.files, root)}
    found = [change for file, source in sources.items() for change in changes(file, source)]
    counted, equivalent, stale = named.split(found, [name for name in named.read() if name.file in sources])
    if stale:
        sys.exit("equivalent.toml names what is not there:\n" + "\n".join(map(str, stale)))
    drawn = draw(counted, options.count, options.seed)
    print(f"{len(found)} changes, {len(equivalent)} named as equivalent, {len(drawn)} drawn", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that children are ended too
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        outcomes = _run_all(drawn, sources, Path(folder), options)
    return _report(drawn, outcomes, time.monotonic() - start, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=60, help="faults to draw; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where to write every outcome")
    parser.add_argument("--files", nargs="+", default=FILES, metavar="GLOB", help="what to change")
    parser.add_argument("--tests", nargs="+", metavar="GLOB", help="what should notice (the room's own tests)")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return parser.parse_args()


def _matching(patterns: Sequence[str], root: Path) -> list[str]:
    """Files from the root, of globs and folders."""
    found = [path for pattern in patterns for path in root.glob(pattern)]
    files = [file for path in found for file in (path.glob("test_*.py") if path.is_dir() else [path])]
    return sorted({str(file.relative_to(root)) for file in files})


def draw(found: list[Change], count: int, seed: int) -> list[Change]:
    """Some places by chance, then one change at each; all changes for a count of 0."""
    if count == 0:
        return found
    places: dict[tuple[str, int], list[Change]] = {}
    for change in found:
        places.setdefault((change.file, change.start), []).append(change)
    chance = random.Random(seed)
    chosen = chance.sample(sorted(places), min(count, len(places)))
    return sorted((chance.choice(places[place]) for place in chosen), key=lambda change: (change.file, change.start))


def _run_all(
    drawn: list[Change], sources: Mapping[str, bytes], folder: Path, options: argparse.Namespace
) -> list[Outcome]:
    """The outcomes in the order of the changes."""
    tests = {file: _matching(options.tests or TESTS[file.split("/")[0]], options.root) for file in sources}
    steps = {file: distances(file, tests[file], options.root) for file in {change.file for change in drawn}}
    needed = sorted({test for reached in steps.values() for test in reached})
    isolation.prepare(libraries(needed, options.root))
    copies = [Copy(options.root, folder / str(number)) for number in range(max(1, options.processes))]
    clean = _clean(copies[0], needed)
    outcomes: dict[int, Outcome] = {}
    idle, waiting, busy = list(copies), list(enumerate(drawn)), dict[int, Copy]()
    try:
        while waiting or busy:
            while waiting and idle:
                number, change = waiting.pop(0)
                busy[number] = idle.pop()
                order = _cheapest_first(steps[change.file], clean)
                limit = 20 + 5 * sum(clean[test] for test in order)
                source = change.applied(sources[change.file])
                busy[number].start(order, limit=limit, file=change.file, source=source)
            for number, copy in list(busy.items()):
                if (outcome := copy.finished()) is not None:
                    outcomes[number] = outcome
                    idle.append(busy.pop(number))
                    print(_line(drawn[number], outcome), flush=True)
            time.sleep(0.02)
    finally:
        for copy in copies:
            copy.stop()
    return [outcomes[number] for number in range(len(drawn))]


def _cheapest_first(steps: Mapping[str, int], seconds: Mapping[str, float]) -> list[str]:
    """Test files by their time, the near ones before the far ones: most faults are noticed at once."""
    return sorted(steps, key=lambda test: steps[test] * (0.1 + seconds[test]))


def _clean(copy: Copy, tests: list[str]) -> dict[str, float]:
    """Processor time per test file of the unchanged project, where all must pass."""
    copy.start(tests, limit=3600.0)
    try:
        while (outcome := copy.finished()) is None:
            time.sleep(0.02)
    finally:
        copy.stop()
    if outcome.word != "passed":
        sys.exit(f"the unchanged project fails: {outcome.test}\n{(copy.folder / 'log.txt').read_text()[-3000:]}")
    print(f"{len(tests)} test files pass in {outcome.seconds:.0f} s", flush=True)
    return {test: outcome.files.get(test, 0.0) for test in tests}


def _line(change: Change, outcome: Outcome) -> str:
    by = {"passed": "SURVIVED", "timeout": "killed: too slow"}.get(outcome.word, f"killed by {outcome.test}")
    return f"{change.file}:{change.line}  {change.old} → {change.new or 'nothing'}  {by}  [{change.text}]"


def _report(drawn: list[Change], outcomes: list[Outcome], seconds: float, options: argparse.Namespace) -> int:
    both = list(zip(drawn, outcomes, strict=True))
    survived = [change for change, outcome in both if outcome.word == "passed"]
    total, lost = Counter(change.file for change in drawn), Counter(change.file for change in survived)
    print(f"\n{'file':40} drawn  killed  survived")
    for file in sorted(total):
        print(f"{file:40} {total[file]:5}  {total[file] - lost[file]:6}  {lost[file]:8}")
    share = 1.0 - len(survived) / max(1, len(drawn))
    print(
        f"\nseed {options.seed}: {len(drawn) - len(survived)} of {len(drawn)} killed ({share:.1%}) in {seconds:.0f} s"
    )
    for change in survived:
        print(f"survived: {change.file}:{change.line}  {change.old} → {change.new or 'nothing'}  [{change.text}]")
    if options.json:
        rows = [asdict(change) | {"outcome": asdict(outcome)} for change, outcome in both]
        options.json.write_text(json.dumps({"seed": options.seed, "seconds": seconds, "mutants": rows}, indent=1))
    return int(share < GOAL)


if __name__ == "__main__":
    sys.exit(main())
