"""What the tables and the page of an audit call its parts."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.rounded import budget_text
from ..core.statistics import Quantiles
from ..evaluation.robustness.columns import ball_order
from ..evaluation.robustness.rates import RadiusLine
from ..evaluation.robustness.shifts import ShiftLine
from ..evaluation.robustness.summary_lines import AttackLine, EditLine, Summary
from ..evaluation.robustness.tightness import TightnessLine
from .kinds import said
from .words import words

PROMISES = words("audit")["promises"]


def level(budget: float, unit: str) -> str:
    """A budget with its unit; its words stay on one line."""
    forms = {"radius": "{}\u00a0×\u00a0radius", "rmse": "RMSE\u00a0{}", "l2": "ℓ2\u00a0{}", "psnr": "{}\u00a0dB"}
    return forms[unit].format(budget_text(budget))


def broken(kinds: str | None) -> str:
    """What an alarm broke, from its record."""
    return ", ".join(PROMISES.get(kind, kind) for kind in (kinds or "").split("+"))


def attack_name(line: AttackLine) -> str:
    """An attack as rows call it; a transfer says on what it was made."""
    return f"{line.attack}{source_name(line.source)}"


def edit_name(line: EditLine) -> str:
    """An edit; one that moves content says so."""
    return f"{line.edit} (geometric)" if line.geometric else line.edit


def source_name(source: str | None) -> str:
    """Where a transfer was made; nothing for an attack on the system itself."""
    return f" made on {source}" if source else ""


def middle_half(spread: Quantiles) -> str:
    """Of certified radii, from the first quartile to the third."""
    return "–".join(said(RadiusLine, "spread", end) for end in (spread.p25, spread.p75))


def ratio(number: float) -> str:
    """A certified radius as a share of the smallest attack, rounded down: 1 is not read before it is reached."""
    return said(TightnessLine, "ratios", number)


def part_of_bound(used: Quantiles) -> str:
    """How much of a proved bound attacks used, rounded up: so that no room is read where there is none."""
    return f"median {said(ShiftLine, 'used', used.p50)}, largest {said(ShiftLine, 'used', used.most)}"


def moved(shift: Quantiles) -> str:
    """How far the embedding was moved."""
    middle, most = (said(ShiftLine, "shift", one, digits=3) for one in (shift.p50, shift.most))
    return f"{middle}, largest {most}"


def largest_shifts(summary: Summary) -> list[ShiftLine]:
    """Of each system's shifts those at the largest budget; the others are much like them, only smaller."""
    largest: dict[str, ShiftLine] = {}
    for line in summary.shifts:
        held = largest.get(line.system)
        if held is None or ball_order(line.budget, line.unit) > ball_order(held.budget, held.unit):
            largest[line.system] = line
    return list(largest.values())


def goals(summary: Summary) -> dict[str, list[AttackLine]]:
    """The attacks by goal; those on the embedding alone have no success to count, and their shifts instead."""
    found: dict[str, list[AttackLine]] = {}
    for line in summary.attacks:
        if line.goal != "embedding":
            found.setdefault(line.goal, []).append(line)
    return found


def warnings(summary: Summary) -> Iterator[str]:
    """Signs that an attack was weak."""
    for one in summary.warnings:
        of = f"{one.system}: " if len(summary.systems) > 1 else ""
        yield f"{of}{one.attack}{source_name(one.source)}, {one.goal}: {one.text}"
