"""How the tables and the page of an audit put its numbers into words."""

from __future__ import annotations

from collections.abc import Iterator

from ..evaluation.robustness.shifts import ShiftLine
from ..evaluation.robustness.summary_lines import AttackLine, RadiusLine, Summary
from ..evaluation.robustness.tightness import TightnessLine
from ..evaluation.shared.columns import ball_order
from ..evaluation.shared.intervals import Share

PROMISES = {"top1": "first place", "topk": "first ten", "verdict": "verdict", "lipschitz": "Lipschitz bound"}
"""What certificates and their alarms are called."""


def amount(budget: float, unit: str) -> str:
    """A budget with its unit."""
    return f"{budget:g} × radius" if unit == "radius" else f"{budget:g} {unit}"


def level(budget: float, unit: str) -> str:
    """A budget as the page names it; its words stay on one line."""
    forms = {"radius": "{}\u00a0×\u00a0radius", "rmse": "RMSE\u00a0{}", "l2": "ℓ2\u00a0{}", "psnr": "{}\u00a0dB"}
    return forms[unit].format(f"{budget:g}")


def broken(kinds: str | None) -> str:
    """What an alarm broke, from its record."""
    return ", ".join(PROMISES.get(kind, kind) for kind in (kinds or "").split("+"))


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{100 * share:.1f} %"


def bounds(share: Share) -> str:
    """The ends of a share's interval."""
    return f"{100 * share.low:.0f}–{100 * share.high:.0f}"


def interval(share: Share | None) -> str:
    """A share as a percentage, with its interval."""
    return "–" if share is None else f"{percent(share.value)} ({bounds(share)})"


def attack_name(line: AttackLine) -> str:
    """An attack as rows call it; a transfer says on what it was made."""
    return f"{line.attack}{source_name(line.source)}"


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
    psnr = "no PSNR floor" if radius.psnr is None else f"PSNR ≥ {radius.psnr:.1f} dB"
    return (
        f"median certified radius over {radius.queries} queries whose true item is first: "
        f"RMSE {radius.rmse:.2f}/255, ℓ2 {radius.l2:.2f}, {psnr}; "
        f"half of them RMSE {radius.spread.p25:.2f}–{radius.spread.p75:.2f}"
    )


def tightness(summary: Summary) -> Iterator[str]:
    """How tight certificates are, where some answer was broken."""
    for line in summary.tightness:
        if line.ratios is not None:
            of = f"{line.system}, " if len(summary.systems) > 1 else ""
            yield _tight(of, line)


def _tight(of: str, line: TightnessLine) -> str:
    ratios = line.ratios
    assert ratios is not None, "only lines with ratios are printed"
    free = "" if line.free is None else f"; {line.free.p50:.3f} in the {line.free.count} away from the pixel box"
    return (
        f"tightness, {of}{PROMISES[line.promise]}: certified radius ÷ smallest successful attack: median "
        f"{ratios.p50:.3f}, half of them {ratios.p25:.3f}–{ratios.p75:.3f}, largest {ratios.most:.3f} "
        f"({ratios.count} of {line.queries} queries fell{free})"
    )


def shifts(summary: Summary) -> Iterator[str]:
    """How far attacks on the embedding moved it."""
    for line in largest_shifts(summary):
        of = f"{line.system}, " if len(summary.systems) > 1 else ""
        used = (
            ""
            if line.used is None
            else f"; of the bound L·‖δ‖: median {line.used.p50:.3f}, largest {line.used.most:.3f}"
        )
        moved = f"median {line.shift.p50:.3g}, largest {line.shift.most:.3g}{used}"
        yield f"embedding moved, {of}{amount(line.budget, line.unit)}: {moved} ({line.shift.count} images)"


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
