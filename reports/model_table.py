"""Terminal tables about models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from rich.console import Console

from ..core.rounded import upper_text
from .kinds import NAME
from .table import Column, Row, Rule, Table
from .terminal import facts, say, show


def print_models(rows: Sequence[Mapping[str, Any]]) -> None:
    """The kinds of embedder that ``--model`` takes."""
    columns = (
        Column("--model", NAME, itemgetter("name")),
        Column("certified", NAME, lambda row: "yes" if row["certified"] else "no"),
        Column("needs", NAME, itemgetter("needs")),
        Column("input", NAME, lambda row: "×".join(map(str, row["input_size"] or ())) or "its own"),
        Column("dim", NAME, lambda row: row["dim"] or "its own"),
        Column("score", NAME, lambda row: row["score"] or "its own"),
    )
    show(Console(), Table.of(columns, rows), whole=False)


def print_model(model: Mapping[str, Any]) -> None:
    """One model: what it is, what is proved of it, and its card."""
    Console().print(facts(str(model["name"]), _facts(model)))


def _facts(model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("spec", "input_size", "dim", "score", "digest"):
        yield key.replace("_", " "), "×".join(map(str, model[key])) if key == "input_size" else str(model[key])
    yield "certified", _proof(model)
    for layer in model.get("layers", ()):
        yield f"  {layer['name']}", f"{layer['kind']}: {_value(layer)} ({layer['method']})"
    for name, bound in (model.get("rounding") or {}).items():
        yield f"forward error, {name}", _error(bound)
    for key, value in (model.get("card") or {}).items():
        yield f"card: {key}", "\n".join(_told(value))


def _told(value: Any, indent: str = "") -> Iterator[str]:
    """A value of a card as a person would write it: a line for each fact, a list by dashes."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            flat = not isinstance(inner, Mapping | list)
            yield f"{indent}{name}: {inner}" if flat else f"{indent}{name}:"
            yield from () if flat else _told(inner, f"{indent}  ")
    elif isinstance(value, list):
        for inner in value:
            first, *more = _told(inner)
            yield from (f"{indent}- {first}", *(f"{indent}  {line}" for line in more))
    else:
        yield f"{indent}{value}"


def print_proof(model: Mapping[str, Any]) -> None:
    """A model file proved anew: every layer's constant, its slack over 1 and its method, the total, the rounding."""
    methods = list(dict.fromkeys(layer["method"] for layer in model["layers"]))
    rows: list[Row] = [
        (layer["name"], layer["kind"], _value(layer), _slack(layer), f"({methods.index(layer['method']) + 1})")
        for layer in model["layers"]
    ]
    total = model["lipschitz"]
    rows += [Rule(), ("total", "product", _value(total), _slack(total), "")]
    columns = tuple(Column(head, NAME) for head in ("layer", "kind", "bound", "slack", "method"))
    console = Console()
    show(console, Table(columns, tuple(rows), f"{model['name']}  {model['digest'][:16]}"), whole=False)
    for number, method in enumerate(methods, 1):
        say(console, f"({number}) {method}")
    for name, bound in model["rounding"].items():
        say(console, f"rounding of an embedding in {name}: {_error(bound)}")


def _value(bound: Mapping[str, Any]) -> str:
    return upper_text(bound["value"], digits=9)


def _slack(bound: Mapping[str, Any]) -> str:
    return "0" if bound["slack"] == 0 else f"{'+' * (bound['slack'] > 0)}{upper_text(bound['slack'], digits=2)}"


def _error(bound: float | None) -> str:
    return "not bounded" if bound is None else f"≤ {upper_text(bound, digits=3)}"


def _proof(model: Mapping[str, Any]) -> str:
    bound = model["lipschitz"]
    return f"no: {model['uncertified_because']}" if bound is None else f"yes, L ≤ {_value(bound)} ({bound['method']})"
