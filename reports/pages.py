"""Pages by Jinja2: whole files that need no network and run no script. What is not markup is escaped, names and all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.files import write_atomically
from ..core.names import shown
from ..core.rounded import budget_text
from .html_tags import Html
from .kinds import bounds, count, percent
from .table import Table, Text
from .words import TEMPLATES

if TYPE_CHECKING:
    from jinja2 import Environment

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a page may load: nothing."""
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A chart with its title and what to see in it."""

    title: str
    chart: Html
    note: str


@dataclass(frozen=True)
class Key:
    """One of the main figures of a page.

    Attributes:
        number: the figure.
        words: what it is; each text on a line of its own.
        kind: proved, broken, or neither.
    """

    number: str
    words: tuple[str, ...]
    kind: str = ""


def page(template: str, **content: Any) -> str:
    """A page as text.

    Args:
        template: its file in ``templates``.
        content: what the template speaks of.
    """
    return _environment().get_template(template).render(**content)


def write(path: Path, text: str) -> None:
    """Put a page in its place, in one step."""
    write_atomically(path, text.encode())


def when(run: str) -> str:
    """A run's id tells when it began; any other id is shown as it is."""
    found = re.fullmatch(r"(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})\d{2}-[0-9a-f]+", run)
    if found is None or not 1 <= int(found[2]) <= len(_MONTHS):
        return run
    return f"{int(found[3])} {_MONTHS[int(found[2]) - 1]} {found[1]}, {found[4]}:{found[5]} UTC"


def plan_facts(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a run was asked to do, by name; what was not asked for is not said."""
    return [(name.replace("_", " "), _asked(value)) for name, value in plan.items() if value not in (None, (), [], "")]


def _asked(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_asked, value))
    return budget_text(value) if isinstance(value, float) else str(value)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_in_sight,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Html((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    found.globals |= {"style": style, "policy": Html(POLICY), "cells": cells, "percent": percent, "bounds": bounds}
    found.filters["count"] = count
    return found


def _in_sight(value: Any) -> Any:
    """Every word on a page shows all of its characters; markup is left alone."""
    return shown(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


@dataclass(frozen=True)
class Cell:
    """A cell of a page.

    Attributes:
        look: its classes; style: its ground.
        text: what it says.
    """

    look: str
    style: str
    text: Text


def cells(table: Table, row: Sequence[Any]) -> list[Cell]:
    """A row for a page."""
    found = []
    for column, value, text in zip(table.columns, row, table.texts(row), strict=True):
        look = ["words"] if column.kind.words else []
        heated = column.kind.look == "heat" and isinstance(value, float)
        if column.kind.look == "alarm":
            look += ["alarm"] if value else []
        elif column.kind.look != "heat" or heated:
            look.append(column.kind.look)
        found.append(Cell(" ".join(filter(None, look)), f"--share: {value:.3f}" if heated else "", text))
    return found
