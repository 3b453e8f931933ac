"""docs/benchmarks/frontier.py: systems by bytes, and which of them no smaller one beats."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import retr
from retr.core.errors import UsageError

SCRIPTS = Path(retr.__file__).parent / "docs" / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("frontier")


def result(*systems: tuple[str, float, list[float]], views: str = "none", **plan: Any) -> dict[str, Any]:
    """A summary with what the script reads: per system a name, bytes, and [recall, certified at 0.5, 1, 3, 5]."""
    fixed = {"gallery": "g", "distractors": ["d"], "distractor_views": "none", "families": ["jpeg"], "queries": 9}
    return {
        "plan": {**fixed, "seed": 0, "rows": "int8", "views": views, **plan},
        "epsilons": [0.5, 1.0, 3.0, 5.0],
        "systems": [
            {
                "system": name,
                "certified": True,
                "mean": {"recall": rates[0], "certified": rates[1:]},
                "stored": {"bytes_per_item": size},
            }
            for name, size, rates in systems
        ],
    }


def test_smallest_first_and_the_best_for_their_bytes_in_bold(script: ModuleType) -> None:
    small = ("small", 256.0, [0.9, 0.8, 0.7, 0.6, 0.1])
    large = ("large", 1024.0, [0.95, 0.8, 0.6, 0.6, 0.2])
    first = result(large, small)
    first["systems"].append({"system": "pdq", "certified": False})
    lines = script.table(script.points([first, result(small, views="light")])).splitlines()
    assert lines[2:] == [
        "| 256 | `small` | none | int8 | 90.0 | 70.0 | 60.0 | 10.0 |",
        "| 256 | `small` | light | int8 | 90.0 | 70.0 | 60.0 | 10.0 |",
        "| 1,024 | `large` | none | int8 | **95.0** | 60.0 | 60.0 | **20.0** |",
    ]
    alone = script.table(script.points([first, first])).splitlines()
    assert alone[2:] == [
        "| 256 | `small` | none | int8 | **90.0** | **70.0** | **60.0** | **10.0** |",
        "| 1,024 | `large` | none | int8 | **95.0** | 60.0 | 60.0 | **20.0** |",
    ]


def test_other_queries_and_missing_budgets_are_refused(script: ModuleType) -> None:
    one = result(("a", 1.0, [1.0, 1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(UsageError, match="differ in queries: 9 and 8"):
        script.points([one, result(queries=8)])
    with pytest.raises(UsageError, match="RMSE 3, 5"):
        script.points([{**one, "epsilons": [0.5, 1.0]}])
