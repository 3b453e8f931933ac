"""How the tables and the page of an audit put its numbers into words."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.rounded import budget_text, lower_text, nearest_text, psnr_text, radius_text, upper_text
from ..core.statistics import Quantiles
from ..evaluation.robustness.columns import ball_order
from ..evaluation.robustness.shifts import ShiftLine
from ..evaluation.robustness.summary_lines import AttackLine, EditLine, RadiusLine, Summary
from ..evaluation.robustness.tightness import TightnessLine

PROMISES = {"top1": "first place", "topk": "first ten", "verdict": "verdict", "lipschitz": "Lipschitz bound"}
"""What certificates and their alarms are called."""


def amount(budget: float, unit: str) -> str:
    """A budget with its unit."""
    return f"{budget_text(budget)} × radius" if unit == "radius" else f"{budget_text(budget)} {unit}"


def level(budget: float, unit: str) -> str:
    """A budget as the page names it; its words stay on one line."""
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


def radii(summary: Summary) -> Iterator[str]:
    """The median certified radius of each system that has one."""
    for system in summary.systems:
        of = f"{system.name}: " if len(summary.systems) > 1 else ""
        if system.radius is not None or len(summary.systems) == 1:
            yield of + _radius(system.radius)


def _radius(radius: RadiusLine | None) -> str:
    if radius is None:
        return "median certified radius: none (no certificate was given, or no true item is first)"
    psnr = "no PSNR floor" if radius.psnr is None else f"PSNR ≥ {psnr_text(radius.psnr)} dB"
    rmse, l2 = radius_text(radius.rmse, decimals=2), radius_text(radius.l2, decimals=2)
    return (
        f"median certified radius over {radius.queries} queries whose true item is first: "
        f"RMSE {rmse}/255, ℓ2 {l2}, {psnr}; half of them RMSE {middle_half(radius.spread, 2)}"
    )


def middle_half(spread: Quantiles, decimals: int) -> str:
    """From the first quartile to the third, rounded down."""
    return f"{lower_text(spread.p25, decimals=decimals)}–{lower_text(spread.p75, decimals=decimals)}"


def tightness(summary: Summary) -> Iterator[str]:
    """How tight certificates are, where some answer was broken."""
    for line in summary.tightness:
        if line.ratios is not None:
            of = f"{line.system}, " if len(summary.systems) > 1 else ""
            yield _tight(of, line)


def _tight(of: str, line: TightnessLine) -> str:
    ratios = line.ratios
    assert ratios is not None, "only lines with ratios are printed"
    free = "" if line.free is None else f"; {ratio(line.free.p50)} in the {line.free.count} away from the pixel box"
    return (
        f"tightness, {of}{PROMISES[line.promise]}: certified radius ÷ smallest successful attack: median "
        f"{ratio(ratios.p50)}, half of them {middle_half(ratios, 3)}, largest {ratio(ratios.most)} "
        f"({ratios.count} of {line.queries} queries fell{free})"
    )


def ratio(number: float) -> str:
    """A certified radius as a share of the smallest attack, rounded down: 1 is not read before it is reached."""
    return lower_text(number, decimals=3)


def part_of_bound(used: Quantiles) -> str:
    """How much of a proved bound attacks used, rounded up: so that no room is read where there is none."""
    return f"median {upper_text(used.p50, decimals=3)}, largest {upper_text(used.most, decimals=3)}"


def moved(shift: Quantiles) -> str:
    """How far the embedding was moved."""
    return f"{nearest_text(shift.p50, digits=3)}, largest {nearest_text(shift.most, digits=3)}"


def shifts(summary: Summary) -> Iterator[str]:
    """How far attacks on the embedding moved it."""
    for line in largest_shifts(summary):
        of = f"{line.system}, " if len(summary.systems) > 1 else ""
        used = "" if line.used is None else f"; of the bound L·‖δ‖: {part_of_bound(line.used)}"
        how = f"median {moved(line.shift)}{used}"
        yield f"embedding moved, {of}{amount(line.budget, line.unit)}: {how} ({line.shift.count} images)"


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
