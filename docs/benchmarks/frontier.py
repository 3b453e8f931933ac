"""What certified recall costs in bytes: every system of several copy benchmarks in one table, by bytes an item.

    python docs/benchmarks/frontier.py RESULT.json...

RESULT.json is what ``retr bench-copies --format json`` prints. All must have the same queries of the same gallery among
the same distractors. A rate in bold is on its frontier: no system of as many bytes or fewer has more.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retr.core.errors import RetrError, UsageError

BUDGETS = (1.0, 3.0, 5.0)
SAME = ("gallery", "distractors", "distractor_views", "families", "queries", "seed")
"""Parts of a plan that decide which queries are asked, and among what."""


@dataclass(frozen=True)
class Point:
    """One system.

    Attributes:
        name: its channels; views and rows: how each image is stored; size: bytes an item.
        rates: recall, then certified recall at BUDGETS, in [0, 1].
    """

    name: str
    views: str
    rows: str
    size: float
    rates: tuple[float, ...]


def main() -> None:
    """Read the results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    try:
        results = [json.loads(path.read_text(encoding="utf-8")) for path in parser.parse_args().results]
        print(table(points(results)))
    except (RetrError, OSError, json.JSONDecodeError) as error:
        parser.error(str(error))


def points(results: list[dict[str, Any]]) -> list[Point]:
    """The certified systems, smallest first; each once.

    Raises:
        UsageError: where the results do not answer the same queries, or lack a budget of the table.
    """
    first = results[0]["plan"]
    for result in results:
        for key in SAME:
            if result["plan"][key] != first[key]:
                raise UsageError(f"the results differ in {key}: {first[key]} and {result['plan'][key]}")
        missing = [f"{budget:g}" for budget in BUDGETS if budget not in result["epsilons"]]
        if missing:
            raise UsageError(f"a result says nothing of RMSE {', '.join(missing)}; use --epsilons")
    found = [_point(result, system) for result in results for system in result["systems"] if system["certified"]]
    return sorted(dict.fromkeys(found), key=lambda p: (p.size, p.name))


def _point(result: dict[str, Any], system: dict[str, Any]) -> Point:
    mean, epsilons = system["mean"], result["epsilons"]
    certified = [mean["certified"][epsilons.index(budget)] for budget in BUDGETS]
    plan, size = result["plan"], system["stored"]["bytes_per_item"]
    return Point(system["system"], plan["views"], plan["rows"], size, (mean["recall"], *certified))


def table(found: list[Point]) -> str:
    """In Markdown, rates in %."""
    lines = ["| bytes an item | channels | views | rows | recall@1 | certified at RMSE 1 | 3 | 5 |"]
    lines.append("|" + "---|" * 8)
    for point in found:
        cells = [f"{point.size:,.0f}", f"`{point.name}`", point.views, point.rows]
        for k, rate in enumerate(point.rates):
            rivals = [other.rates[k] for other in found if other.size <= point.size and other != point]
            text = f"{100 * rate:.1f}"
            cells.append(f"**{text}**" if all(rate > other for other in rivals) else text)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
