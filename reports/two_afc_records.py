"""The tables of a 2AFC page about its records: alarms one by one, metrics and what attacks on them took."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import numpy as np

from ..core.rounded import lower_text, upper_text
from ..evaluation.two_afc.summary_lines import MetricLine, TripletSummary
from ..evaluation.two_afc.summary_rows import Rows
from .audit_records import MOST_ALARMS, effort_columns, first_alarms, moved_too_far, versions
from .kinds import ALARMS, COUNT, NAME, NAMED, WORD, WRAPPED
from .table import Column, Table
from .two_afc_tables import METRIC


def alarm_table(rows: Rows) -> Table:
    """The alarms one by one."""
    found = rows.where(rows.alarms)
    shown = [found.where(np.array([place])) for place in range(min(len(found), MOST_ALARMS))]
    heads = {"data": "data", "triplet": "query", "attack": "setting"}  # heading → column of the records
    columns = (
        Column("metric", NAMED, lambda one: one.first("title")),
        *(Column(head, WRAPPED, lambda one, name=name: one.first(name)) for head, name in heads.items()),
        Column("moves", NAME, lambda one: one.first("moves")),
        Column("ℓ2 of the change", WORD, lambda one: upper_text(one.first("l2"), digits=6)),
        Column("certified ℓ2", WORD, _promised),
        Column("saved image", WRAPPED, lambda one: one.first("image") or "not kept"),
    )
    return Table.of(columns, shown, title=first_alarms(len(found)))


def _promised(one: Rows) -> str:
    known = {name: one.radius(name)[0] for name in ("sound", "all")}
    radii = [f"{name} {lower_text(radius, digits=6)}" for name, radius in known.items() if radius]
    if one.first("goal") == "embedding":
        radii.append(moved_too_far(one.first("shift"), one.first("shift_limit")))
    return "; ".join(radii)


def cost_table(summary: TripletSummary, facts: Mapping[str, Any]) -> Table:
    """What each metric is, and what the attacks on it took."""
    digests = {str(one.get("spec")): one for one in facts.get("metrics", ()) if isinstance(one, Mapping)}

    def why(line: MetricLine) -> str:
        reason = digests.get(line.metric, {}).get("uncertified_because")
        return "" if line.certified else str(reason or "no proof")

    columns = (
        METRIC,
        Column("spec", WRAPPED, attrgetter("metric")),
        Column("why without radii", WRAPPED, why),
        Column("certificates attacked", COUNT, attrgetter("certificates")),
        Column("alarms", ALARMS, attrgetter("alarms")),
        *effort_columns(),
    )
    return Table.of(columns, summary.metrics)


def run_facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Seed, versions and data."""
    found = [("run", str(facts.get("run", ""))), ("seed", str(facts.get("seed", "")))]
    found += versions(str(facts.get("versions", "")))
    for one in facts.get("data", ()):
        source = one.get("source", {}).items()
        told = ", ".join(f"{key} {value}" for key, value in source if not isinstance(value, Mapping | list))
        found.append((one["name"], told))
    return found
