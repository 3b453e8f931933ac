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


def print_proof(facts: Mapping[str, Any]) -> None:
    """A model file proved anew: every layer's constant, its slack over 1 and its method, the total, the rounding."""
    methods = list(dict.fromkeys(layer["method"] for layer in facts["layers"]))
    table = Table("layer", "kind", "bound", "slack", "method", title=f"{facts['name']}  {facts['digest'][:16]}")
    table.title_justify = "left"
    for column in table.columns:
        column.overflow = "fold"
    for layer in facts["layers"]:
        table.add_row(layer["name"], layer["kind"], *_bound(layer), f"({methods.index(layer['method']) + 1})")
    table.add_section()
    table.add_row("total", "product", *_bound(facts["lipschitz"]), "")
    console = Console()
    console.print(table)
    for number, method in enumerate(methods, 1):
        console.print(f"({number}) {method}", highlight=False, markup=False)
    for name, bound in facts["rounding"].items():
        stated = "not bounded" if bound is None else f"≤ {bound:.3g}"
        console.print(f"rounding of an embedding in {name}: {stated}", highlight=False)


def _bound(fact: Mapping[str, Any]) -> tuple[str, str]:
    return f"{fact['value']:.9g}", "0" if fact["slack"] == 0 else f"{fact['slack']:+.1e}"


def _proof(facts: Mapping[str, Any]) -> str:
    if facts["lipschitz"] is None:
        return f"no: {facts['uncertified_because']}"
    return f"yes, L ≤ {facts['lipschitz']['value']:.9g} ({facts['lipschitz']['method']})"
