"""The tables of the audit's page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from ..evaluation.robustness.summary_lines import AttackLine, BudgetLine, EditLine, Norms, Rates, Summary
from ..evaluation.shared.columns import Columns
from ..evaluation.shared.intervals import Quantiles, Share
from .audit_words import PROMISES, attack_name, bounds, broken, level, percent, source_name
from .html_tables import count, grid, group, heading, row
from .html_tags import Content, Html, join, tag
from .svg_charts import share_bar

_MOST_ALARMS = 50
_QUANTILES = ("5 %", "25 %", "median", "75 %", "95 %", "largest")


def shared(share: Share | None) -> Content:
    """A share with its interval."""
    return "–" if share is None else join(percent(share.value), tag("small", bounds(share)))


def heat(share: float) -> Html:
    """A share on a ground that is the darker the larger it is."""
    return tag("td", percent(share), class_="heat", style=f"--share: {share:.3f}")


def alarm_count(number: int) -> Html:
    """A number of alarms, loud unless it is 0."""
    return tag("td", count(number), class_="alarm" if number else None)


def alarm_table(records: pa.Table) -> Html:
    """The alarms one by one: what was promised, and what broke it."""
    alarms = records.filter(records["alarm"])
    shown = alarms.slice(0, _MOST_ALARMS).to_pylist()
    more = f"The first {_MOST_ALARMS} of {count(alarms.num_rows)}." if alarms.num_rows > _MOST_ALARMS else ""
    heads = (
        "system",
        "query",
        "attack",
        "broken",
        "ℓ2 of the change",
        "certified ℓ2",
        heading("saved image", words=True),
    )
    return grid(heads, (_alarm(one) for one in shown), caption=more, words=4)


def _alarm(one: dict[str, Any]) -> Html:
    edit = "" if one["edit"] == "identity" else f" ({one['edit']})"
    query = tag("td", one["query"] + edit, class_="words wrap")
    attack = f"{one['attack']}{source_name(one['source'])}, {one['goal']}, {one['medium']}"
    image = tag("td", one["image"] or "not kept", class_="words wrap")
    change = f"{one['l2']:.6g}"
    return row(one["system"], query, attack, broken(one["alarm_kind"]), change, _promised(one), image, words=4)


def _promised(one: dict[str, Any]) -> str:
    """The radii that the change lay inside; for a broken bound, how far it let the embedding move."""
    kinds = str(one["alarm_kind"]).split("+")
    if "lipschitz" in kinds:
        return "moved {embedding_shift:.6g}, allowed {embedding_limit:.6g}".format(**one)
    radii = [one.get(f"radius_{kind}") for kind in kinds]
    return ", ".join(f"{radius:.6g}" for radius in radii if radius is not None) or "–"


def budget_table(summary: Summary) -> Html:
    """Every budget of every system: recall and verdict, clean, attacked, certified."""
    questions = max(([name for name, _ in _questions(line)] for line in summary.budgets), key=len)
    heads = ("budget", *("clean", "attacked", "certified") * len(questions), "certificates attacked", "alarms")
    over = [("", 1), *((name, 3) for name in questions), ("", 2)]
    rows: list[Html] = []
    for system in summary.systems:
        if len(summary.systems) > 1:
            rows.append(group(f"{system.name} ({system.kind}, {system.model})", len(heads)))
        rows += [_budget_row(line, len(questions)) for line in summary.budgets if line.system == system.name]
    return grid(heads, rows, over=over)


def _budget_row(line: BudgetLine, questions: int) -> Html:
    found = [shares for _, shares in _questions(line)]
    absent: list[list[Share | None]] = [[None] * 3] * (questions - len(found))
    cells = [shared(share) for shares in [*found, *absent] for share in shares]
    return row(level(line.budget, line.unit), *cells, count(line.certificates), alarm_count(line.alarms))


def _questions(line: BudgetLine) -> Iterator[tuple[str, list[Share | None]]]:
    """What a system can be right in, clean, attacked and certified; the verdict last, for not all give one."""
    rates: tuple[Rates | None, ...] = (line.clean, line.attacked, line.certified)
    yield "recall@1", [one and one.first for one in rates]
    yield "recall@10", [one and one.top10 for one in rates]
    if line.clean.verdict is not None:
        yield "verdict right", [one and one.verdict for one in rates]


def multiple_table(summary: Summary) -> Html:
    """At multiples of each query's own radius."""
    heads = ("system", "× radius", "queries", "success, float", "success, PNG", "certificates attacked", "alarms")
    return grid(
        heads,
        (
            row(line.system, f"{line.multiple:g}", count(line.queries), heat(line.success_float),
                heat(line.success_png), count(line.certificates), alarm_count(line.alarms))
            for line in summary.multiples
        ),
    )  # fmt: skip


def edit_table(summary: Summary) -> Html:
    """Every edit of every system, at the largest budget."""
    worst = {(line.system, line.edit): line for line in summary.edit_budgets}  # the last one is the largest ball
    heads = ("edit", "queries", "", "clean recall@1", "attacked", "certified", "median radius (RMSE)")
    rows: list[Html] = []
    for system in summary.systems:
        if len(summary.systems) > 1:
            rows.append(group(system.name, len(heads)))
        rows += [
            _edit_row(line, worst.get((line.system, line.edit))) for line in summary.edits if line.system == system.name
        ]
    return grid(heads, rows)


def _edit_row(line: EditLine, worst: BudgetLine | None) -> Html:
    name = f"{line.edit} (geometric)" if line.geometric else line.edit
    attacked = None if worst is None else worst.attacked.first
    certified = None if worst is None or worst.certified is None else worst.certified.first
    bar: Content = ""
    if attacked is not None:
        shares = {"clean": line.clean.first.value, "attacked": attacked.value}
        proved = None if certified is None else certified.value
        words = f"{name}: " + ", ".join(f"{key} {percent(value)}" for key, value in shares.items())
        bar = share_bar(**shares, certified=proved, label=words)
    radius = "–" if line.median_rmse is None else f"{line.median_rmse:.2f}"
    return row(name, count(line.queries), bar, shared(line.clean.first), shared(attacked), shared(certified), radius)


def attack_table(lines: Sequence[AttackLine], systems: Sequence[str]) -> Html:
    """Attacks of one goal: how often it was reached at each budget."""
    levels = list(dict.fromkeys((line.budget, line.unit) for line in lines))
    heads = ("attack", "sees", "queries", *(level(*one) for one in levels), "as PNG", "alarms")

    def cells(name: str, own: Sequence[AttackLine]) -> Html:
        at, last = {(line.budget, line.unit): line for line in own}, own[-1]
        shares = [heat(at[one].success_float) if one in at else "" for one in levels]
        alarms = alarm_count(sum(line.alarms for line in own))
        return row(name, last.sees, count(last.attempts), *shares, percent(last.success_png), alarms, words=2)

    return grid(heads, _by_attack(lines, systems, len(heads), cells), words=2)


def effort_table(lines: Sequence[AttackLine], systems: Sequence[str]) -> Html:
    """Attacks of one goal: how large the changes are that reached it, and what each took."""
    changed = ("> 0.001", "> 0.01", "> 0.03")
    heads = ("attack", "images", "RMSE", "ℓ2", "ℓ∞ × 255", "PSNR", *changed, "gradients", "forwards", "seconds")
    over = (("", 1), ("changes that reached the goal, median", 5), ("pixels changed by", 3), ("effort, mean", 3))

    def cells(name: str, own: Sequence[AttackLine]) -> Html:
        last = own[-1]
        effort = (f"{last.gradients:.0f}", f"{last.forwards:.0f}", f"{last.seconds:.2f}")
        return row(name, *_norms(last.norms), *effort)

    return grid(heads, _by_attack(lines, systems, len(heads), cells), over=over)


def _by_attack(
    lines: Sequence[AttackLine],
    systems: Sequence[str],
    columns: int,
    cells: Callable[[str, Sequence[AttackLine]], Html],
) -> Iterator[Html]:
    """A row for each attack on each system, from its lines by growing budget."""
    for system in systems:
        own = [line for line in lines if line.system == system]
        if own and len(systems) > 1:
            yield group(system, columns)
        for name in dict.fromkeys(attack_name(line) for line in own):
            same = [line for line in own if attack_name(line) == name]
            yield cells(f"{name} (smallest change)" if same[-1].minimal else name, same)


def _norms(norms: Norms | None) -> tuple[str, ...]:
    if norms is None:
        return ("0", *("–",) * 7)
    psnr = "–" if norms.psnr is None else f"{norms.psnr:.1f}"
    changed = (percent(norms.changed_001), percent(norms.changed_01), percent(norms.changed_03))
    return (count(norms.images), f"{norms.rmse:.2f}", f"{norms.l2:.3g}", f"{255 * norms.linf:.1f}", psnr, *changed)


def tightness_table(summary: Summary) -> Html:
    """Certified radius ÷ smallest successful attack, in quantiles."""
    heads = ("system, certificate", "attacked", "fell", *_QUANTILES, heading("found by", words=True))
    return grid(
        heads,
        (
            row(
                f"{line.system}, {PROMISES[line.promise]}",
                count(line.queries),
                count(line.ratios.count if line.ratios else 0),
                *_spread(line.ratios, ".3f"),
                tag("td", _finders(line.finders), class_="words wrap"),
            )
            for line in summary.tightness
        ),
    )


def radius_table(summary: Summary) -> Html:
    """Certified radii in quantiles."""
    heads = ("system, certificate", "queries", *_QUANTILES, "median ℓ2", "PSNR floor")
    rows: list[Html] = []
    for system in summary.systems:
        for promise, line in (("top1", system.radius), ("verdict", system.verdict_radius)):
            if line is not None:
                psnr = "–" if line.psnr is None else f"{line.psnr:.1f} dB"
                spread = _spread(line.spread, ".2f")
                rows.append(
                    row(f"{system.name}, {PROMISES[promise]}", count(line.queries), *spread, f"{line.l2:.2f}", psnr)
                )
    return grid(heads, rows)


def _spread(q: Quantiles | None, form: str) -> list[str]:
    if q is None:
        return ["–"] * 6
    return [format(value, form) for value in (q.p05, q.p25, q.p50, q.p75, q.p95, q.most)]


def _finders(finders: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in finders.items()) or "–"


def system_table(summary: Summary, table: Columns) -> Html:
    """What each system is, to the digest."""
    policies = {part.first("system"): part.first("policy_digest") for part in table.groups("system")}
    heads = ("system", "kind", "model", "digest", "snapshot", "decode policy")
    rows = []
    for system in summary.systems:
        words = (system.model_digest, system.snapshot, policies[system.name])
        digests = [tag("td", word, class_="words mono wrap") for word in words]
        rows.append(row(system.name, system.kind, system.model, *digests, words=6))
    return grid(heads, rows, words=6)


def cost_table(summary: Summary) -> Html:
    """What the attacks on each system took, all in all."""
    heads = ("system", "images judged", "gradients", "forwards", "seconds of attack")
    rows = (
        row(line.name, count(line.images), count(line.gradients), count(line.forwards), count(round(line.seconds)))
        for line in summary.systems
    )
    return grid(heads, rows)


def run_facts(table: Columns) -> Html:
    """Seeds, effort and versions."""
    facts: list[tuple[str, str]] = [("run", table.first("run")), ("seed", f"{table.first('seed'):.0f}")]
    for name in ("steps", "restarts"):
        found = sorted(set(table.attacked[name].tolist()))
        facts.append((name, ", ".join(f"{number:.0f}" for number in found) or "–"))
    facts += sorted(_versions(table.first("versions")).items())
    pairs = [tag("div", tag("dt", name), tag("dd", value, class_="mono")) for name, value in facts]
    return tag("dl", pairs, class_="facts")


def _versions(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"versions": text}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {"versions": text}
