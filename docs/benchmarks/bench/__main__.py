"""Measures retr beside others, in one run, and writes a JSON file and a page of tables.

    python docs/benchmarks/bench WORK [--size quick|full] [--data FOLDER] [--out FOLDER] [--part NAME]… [--anew]

WORK is scratch space: each part is measured in a process of its own, and kept there, so that a run that was stopped
goes on. FOLDER holds photographs (``train/*.tar``, ``distractors/*.tar``, ``dev/``); without it pictures are drawn, and
figures are those of drawn pictures. Ratios are taken round by round and stand on a busy machine; times do not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

import indexing
import pages
import querying
import searching
from measuring import SIZES, Setting, machine

PARTS: dict[str, Callable[[Setting], dict[str, object]]] = {
    "stages": indexing.stages,
    "index": indexing.whole,
    "query": querying.queries,
    "cold": querying.cold,
    "search": searching.rows,
}
"""In this order: queries ask the index that the part before them makes."""


def main() -> None:
    """Measure what is not measured yet, then write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--anew", action="store_true", help="measure again what is measured")
    parser.add_argument("--only", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.data is not None and not list(options.data.glob("train/*.tar")):
        parser.error(f"{options.data} holds no train/*.tar; leave --data out, and pictures are drawn")
    if options.only:
        _measure(options)
        return
    for name in options.part or PARTS:
        _in_its_own_process(name, options)
    found = {name: json.loads(path.read_text()) for name in PARTS if (path := _file(name, options)).exists()}
    pages.write(found, options.out, size=options.size, drawn=options.data is None)


def _in_its_own_process(name: str, options: argparse.Namespace) -> None:
    if _file(name, options).exists() and not options.anew:
        print(f"{name}: measured before", file=sys.stderr)
        return
    if options.anew:
        for file in options.work.glob(_setting(options).kept(f"{name}-*").name):  # what a part kept on its way
            file.unlink()
    print(f"{name}: …", file=sys.stderr, flush=True)
    began = time.perf_counter()
    words = [sys.executable, str(Path(__file__).parent), str(options.work), "--only", name, "--size", options.size]
    words += ["--workers", str(options.workers)] + (["--data", str(options.data)] if options.data else [])
    subprocess.run(words, check=True)  # noqa: S603 - this file itself
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def _measure(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    before = os.getloadavg()[0]
    found = PARTS[options.only](_setting(options))
    file = _file(options.only, options)
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"machine": machine(), "load before": before, **found}, indent=1))
    part.replace(file)


def _file(name: str, options: argparse.Namespace) -> Path:
    return _setting(options).kept(name)


def _setting(options: argparse.Namespace) -> Setting:
    return Setting(options.size, options.data, options.work.resolve(), options.workers)


if __name__ == "__main__":
    main()
