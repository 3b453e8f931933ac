"""Terminal tables about models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def print_models(rows: Sequence[Mapping[str, Any]]) -> None:
    """The kinds of embedder that ``--model`` takes."""
    table = Table("--model", "certified", "needs", "input", "dim", "score")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        size = "×".join(map(str, row["input_size"])) if row["input_size"] else "its own"
        table.add_row(
            row["name"],
            "yes" if row["certified"] else "no",
            row["needs"],
            size,
            str(row["dim"] or "its own"),
            row["score"] or "its own",
        )
    Console().print(table)


def print_model(facts: Mapping[str, Any]) -> None:
    """One model: what it is, what is proved of it, and its card."""
    table = Table(title=str(facts["name"]), show_header=False, title_justify="left")
    for key in ("spec", "input_size", "dim", "score", "digest"):
        table.add_row(key.replace("_", " "), str(facts[key]))
    table.add_row("certified", _proof(facts))
    for layer in facts.get("layers", ()):
        table.add_row(f"  {layer['name']}", f"{layer['kind']}: {layer['value']:.9g} ({layer['method']})")
    for name, bound in (facts.get("rounding") or {}).items():
        table.add_row(f"forward error, {name}", "not bounded" if bound is None else f"≤ {bound:.3g}")
    for key, value in (facts.get("card") or {}).items():
        table.add_row(f"card: {key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    Console().print(table)


def _proof(facts: Mapping[str, Any]) -> str:
    if facts["lipschitz"] is None:
        return f"no: {facts['uncertified_because']}"
    return f"yes, L ≤ {facts['lipschitz']['value']:.9g} ({facts['lipschitz']['method']})"
