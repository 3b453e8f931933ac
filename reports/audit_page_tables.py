"""The tables of the audit's page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from operator import attrgetter, methodcaller
from typing import Any

import pyarrow as pa

from ..core.rounded import lower_text, upper_text
from ..core.statistics import Quantiles
from ..evaluation.robustness.attack_lines import AttackLine, Norms
from ..evaluation.robustness.columns import Columns
from ..evaluation.robustness.summary_lines import BudgetLine, EditLine, Summary
from ..evaluation.robustness.tightness import TightnessLine
from .attack_table import Runs, questions, runs_of
from .audit_words import PROMISES, broken, edit_name, level, source_name
from .html_tags import Html
from .kinds import (
    ALARMS,
    COUNT,
    DIGEST,
    GIVEN,
    HEAT,
    MARKUP,
    NAME,
    PSNR_FLOOR,
    RADIUS,
    RATE,
    SECONDS,
    SHARE,
    WORD,
    WRAPPED,
    count,
    lower,
    measured,
    percent,
)
from .svg_charts import share_bar
from .table import Column, Kind, Table

_MOST_ALARMS = 50
_QUANTILES = {"5 %": "p05", "25 %": "p25", "median": "p50", "75 %": "p75", "95 %": "p95", "largest": "most"}
_STAGES = ("clean", "attacked", "certified")
_ALARMS = Column("alarms", ALARMS, attrgetter("alarms"))
_CERTIFICATES = Column("certificates attacked", COUNT, attrgetter("certificates"))


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
    return Table.of(columns, alarms.slice(0, _MOST_ALARMS).to_pylist(), title=first_alarms(alarms.num_rows))


def first_alarms(alarms: int) -> str:
    """What is left out, where that is anything."""
    return f"The first {_MOST_ALARMS} of {count(alarms)}." if alarms > _MOST_ALARMS else ""


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


def budget_table(summary: Summary) -> Table:
    """Every budget of every system: recall and verdict, clean, attacked, certified."""
    names = max(([name for name, _ in questions(line)] for line in summary.budgets), key=len)
    columns = [Column("budget", NAME, lambda line: level(line.budget, line.unit))]
    for name in names:
        over = f"{name} right" if name == "verdict" else name
        columns += [Column(stage, RATE, _stage(name, place), over) for place, stage in enumerate(_STAGES)]
    columns += [_CERTIFICATES, _ALARMS]
    systems = {system.name: f"{system.name} ({system.kind}, {system.model})" for system in summary.systems}
    lines = [line for name in systems for line in summary.budgets if line.system == name]
    return Table.of(columns, lines, group=(lambda line: systems[line.system]) if len(systems) > 1 else None)


def _stage(question: str, place: int) -> Any:
    return lambda line: dict(questions(line)).get(question, [None] * len(_STAGES))[place]


def multiple_table(summary: Summary) -> Table:
    """At multiples of each query's own radius."""
    columns = (
        Column("system", NAME, attrgetter("system")),
        Column("× radius", GIVEN, attrgetter("multiple")),
        Column("queries", COUNT, attrgetter("queries")),
        Column("success, float", HEAT, attrgetter("success_float")),
        Column("success, PNG", HEAT, attrgetter("success_png")),
        _CERTIFICATES,
        _ALARMS,
    )
    return Table.of(columns, summary.multiples)


def edit_table(summary: Summary) -> Table:
    """Every edit of every system, at the largest budget."""
    worst = {(line.system, line.edit): line for line in summary.edit_budgets}  # the last one is the largest ball

    def at(line: EditLine) -> BudgetLine | None:
        return worst.get((line.system, line.edit))

    columns = (
        Column("edit", NAME, edit_name),
        Column("queries", COUNT, attrgetter("queries")),
        Column("", MARKUP, lambda line: _bar(line, at(line))),
        Column("clean recall@1", RATE, attrgetter("clean.first")),
        Column("attacked", RATE, lambda line: _first(at(line), "attacked")),
        Column("certified", RATE, lambda line: _first(at(line), "certified")),
        Column("median radius (RMSE)", RADIUS, attrgetter("median_rmse")),
    )
    names = [system.name for system in summary.systems]
    lines = [line for name in names for line in summary.edits if line.system == name]
    return Table.of(columns, lines, group=attrgetter("system") if len(names) > 1 else None)


def _first(line: BudgetLine | None, stage: str) -> Any:
    rates = line and getattr(line, stage)
    return rates and rates.first


def _bar(line: EditLine, worst: BudgetLine | None) -> Html | str:
    if worst is None:
        return ""
    certified = None if worst.certified is None else worst.certified.first.value
    shares = {"clean": line.clean.first.value, "attacked": worst.attacked.first.value}
    words = ", ".join(f"{name} {percent(value)}" for name, value in shares.items())
    return share_bar(**shares, certified=certified, label=f"{edit_name(line)}: {words}")


def attack_table(lines: Sequence[AttackLine], *, several: bool) -> Table:
    """Attacks of one goal: how often it was reached at each budget."""
    columns = [
        Column("attack", NAME, _name),
        Column("sees", NAME, attrgetter("last.sees")),
        Column("queries", COUNT, attrgetter("last.attempts")),
        *(
            Column(level(*one), HEAT, methodcaller("reached", one))
            for one in dict.fromkeys((line.budget, line.unit) for line in lines)
        ),
        Column("as PNG", SHARE, attrgetter("last.success_png")),
        _ALARMS,
    ]
    return _by_attack(columns, lines, several=several)


def effort_table(lines: Sequence[AttackLine], *, several: bool) -> Table:
    """Attacks of one goal: how large the changes are that reached it, and what each took."""
    sizes, pixels, effort = "changes that reached the goal, median", "pixels changed by", "effort, mean"
    columns = [
        Column("attack", NAME, _name),
        Column("images", COUNT, lambda runs: 0 if runs.last.norms is None else runs.last.norms.images, sizes),
        Column("RMSE", measured(decimals=2), _norm("rmse"), sizes),
        Column("ℓ2", measured(digits=3), _norm("l2"), sizes),
        Column("ℓ∞ × 255", measured(decimals=1), lambda runs: _times_255(runs.last.norms), sizes),
        Column("PSNR", measured(decimals=1), _norm("psnr"), sizes),
        *(
            Column(f"> {share}", SHARE, _norm(f"changed_{digits}"), pixels)
            for share, digits in ((0.001, "001"), (0.01, "01"), (0.03, "03"))
        ),
        Column("gradients", measured(decimals=0), attrgetter("last.gradients"), effort),
        Column("forwards", measured(decimals=0), attrgetter("last.forwards"), effort),
        Column("seconds", SECONDS, attrgetter("last.seconds"), effort),
    ]
    return _by_attack(columns, lines, several=several)


def _norm(name: str) -> Any:
    return lambda runs: runs.last.norms and getattr(runs.last.norms, name)


def _times_255(norms: Norms | None) -> float | None:
    return None if norms is None else 255.0 * norms.linf


def _by_attack(columns: Sequence[Column], lines: Sequence[AttackLine], *, several: bool) -> Table:
    return Table.of(columns, runs_of(lines), group=attrgetter("system") if several else None)


def _name(runs: Runs) -> str:
    return f"{runs.name} (smallest change)" if runs.last.minimal else runs.name


def tightness_table(summary: Summary) -> Table:
    """Certified radius ÷ smallest successful attack, in quantiles."""
    columns = (
        Column("system, certificate", NAME, lambda line: f"{line.system}, {PROMISES[line.promise]}"),
        Column("attacked", COUNT, attrgetter("queries")),
        Column("fell", COUNT, lambda line: line.ratios.count if line.ratios else 0),
        *_spread(lower(decimals=3), attrgetter("ratios")),
        Column("found by", WRAPPED, _finders),
    )
    return Table.of(columns, summary.tightness)


def radius_table(summary: Summary) -> Table:
    """Certified radii in quantiles."""
    found = [
        (f"{system.name}, {PROMISES[promise]}", line)
        for system in summary.systems
        for promise, line in (("top1", system.radius), ("verdict", system.verdict_radius))
        if line is not None
    ]
    columns = (
        Column("system, certificate", NAME, lambda one: one[0]),
        Column("queries", COUNT, lambda one: one[1].queries),
        *_spread(RADIUS, lambda one: one[1].spread),
        Column("median ℓ2", RADIUS, lambda one: one[1].l2),
        Column("PSNR floor", PSNR_FLOOR, lambda one: one[1].psnr),
    )
    return Table.of(columns, found)


def _spread(kind: Kind, of: Any) -> Iterator[Column]:
    def quantile(line: Any, name: str) -> float | None:
        found: Quantiles | None = of(line)
        return None if found is None else getattr(found, name)

    return (Column(head, kind, lambda line, name=name: quantile(line, name)) for head, name in _QUANTILES.items())


def _finders(line: TightnessLine) -> str:
    return ", ".join(f"{name} {number}" for name, number in line.finders.items()) or "–"


def system_table(summary: Summary, table: Columns) -> Table:
    """What each system is, to the digest."""
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
    columns = (
        Column("system", NAME, attrgetter("name")),
        Column("images judged", COUNT, attrgetter("images")),
        Column("gradients", COUNT, attrgetter("gradients")),
        Column("forwards", COUNT, attrgetter("forwards")),
        Column("seconds of attack", COUNT, lambda system: round(system.seconds)),
    )
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
