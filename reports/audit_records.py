"""The tables of an audit's page about its records: alarms one by one, systems to the digest, what the run took."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Any

import pyarrow as pa

from ..core.rounded import lower_text, upper_text
from ..evaluation.robustness.columns import Columns
from ..evaluation.robustness.summary_lines import Summary
from .audit_names import broken, source_name
from .kinds import COUNT, DIGEST, NAME, WORD, WRAPPED, count
from .table import Column, Table

MOST_ALARMS = 50


def alarm_table(records: pa.Table) -> Table:
    """The alarms one by one: what was promised, and what broke it."""
    alarms = records.filter(records["alarm"])
    columns = (
        Column("system", NAME, lambda one: one["system"]),
        Column("query", WRAPPED, lambda one: one["query"] + ("" if one["edit"] == "identity" else f" ({one['edit']})")),
        Column("attack", NAME, _attack),
        Column("broken", NAME, lambda one: broken(one["alarm_kind"])),
        Column("ℓ2 of the change", WORD, lambda one: upper_text(one["l2"], digits=6)),
        Column("certified ℓ2", WORD, _promised),
        Column("saved image", WRAPPED, lambda one: one["image"] or "not kept"),
    )
    return Table.of(columns, alarms.slice(0, MOST_ALARMS).to_pylist(), title=first_alarms(alarms.num_rows))


def first_alarms(alarms: int) -> str:
    """What is left out, where that is anything."""
    return f"The first {MOST_ALARMS} of {count(alarms)}." if alarms > MOST_ALARMS else ""


def _attack(one: dict[str, Any]) -> str:
    return f"{one['attack']}{source_name(one['source'])}, {one['goal']}, {one['medium']}"


def _promised(one: dict[str, Any]) -> str:
    """The radii that the change lay inside; for a broken bound, how far it let the embedding move."""
    kinds = str(one["alarm_kind"]).split("+")
    if "lipschitz" in kinds:
        return moved_too_far(one["embedding_shift"], one["embedding_limit"])
    radii = [one.get(f"radius_{kind}") for kind in kinds]
    return ", ".join(lower_text(radius, digits=6) for radius in radii if radius is not None) or "–"


def moved_too_far(moved: float, limit: float) -> str:
    """How far an embedding was moved, and how far its bound lets it."""
    return f"moved {lower_text(moved, digits=6)}, allowed {upper_text(limit, digits=6)}"


def effort_columns(rest: str = "seconds") -> list[Column]:
    """What attacks took, all in all."""
    return [
        Column("images judged", COUNT, attrgetter("images")),
        Column("gradients", COUNT, attrgetter("gradients")),
        Column("forwards", COUNT, attrgetter("forwards")),
        Column(rest, COUNT, lambda line: round(line.seconds)),
    ]


def system_table(summary: Summary, table: Columns) -> Table:
    """What each system is, to the digest, and what the attacks on it took."""
    policies = {part.first("system"): part.first("policy_digest") for part in table.groups("system")}
    columns = (
        Column("system", NAME, attrgetter("name")),
        Column("kind", NAME, attrgetter("kind")),
        Column("model", NAME, attrgetter("model")),
        Column("digest", DIGEST, attrgetter("model_digest")),
        Column("snapshot", DIGEST, attrgetter("snapshot")),
        Column("decode policy", DIGEST, lambda system: policies[system.name]),
    )
    return Table.of(columns, summary.systems)


def cost_table(summary: Summary) -> Table:
    """What the attacks on each system took, all in all."""
    columns = (Column("system", NAME, attrgetter("name")), *effort_columns("seconds of attack"))
    return Table.of(columns, summary.systems)


def run_facts(table: Columns) -> list[tuple[str, str]]:
    """Seeds, effort and versions."""
    facts: list[tuple[str, str]] = [("run", table.first("run")), ("seed", f"{table.first('seed'):.0f}")]
    for name in ("steps", "restarts"):
        found = sorted(set(table.attacked[name].tolist()))
        facts.append((name, ", ".join(f"{number:.0f}" for number in found) or "–"))
    return facts + versions(table.first("versions"))


def versions(text: str) -> list[tuple[str, str]]:
    """Names and versions from the JSON of a record; the text itself where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return [("versions", text)]
    return sorted((str(key), str(value)) for key, value in found.items())
