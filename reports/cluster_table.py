"""Terminal table of the shards that a cluster holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console

from .kinds import COUNT, DIGEST, WRAPPED
from .table import Column, Table
from .terminal import show


def print_shards(states: Iterable[Mapping[str, Any]]) -> None:
    """Where each shard is, and whether it answers."""
    columns = (
        Column("snapshot", DIGEST, lambda one: one["snapshot"]),
        Column("shard", COUNT, lambda one: one["shard"]),
        Column("rows", COUNT, lambda one: one.get("rows", 0)),
        Column("where", WRAPPED, _where),
    )
    show(Console(), Table.of(columns, list(states)))


def _where(state: Mapping[str, Any]) -> str:
    return f"silent: {state['error']}" if state["error"] else f"{state['host']}, process {state['pid']}"
