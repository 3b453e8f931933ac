"""The figures of the audit's page: accuracy against the size of the change, radii, tightness, shifts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.rounded import radius_text
from ..core.statistics import Quantiles, Share
from ..evaluation.robustness.columns import Columns, Floats, ball_order
from ..evaluation.robustness.curves import Axis, Curve
from ..evaluation.robustness.shifts import ShiftLine
from ..evaluation.robustness.summary_lines import BudgetLine, Rates, Summary
from ..evaluation.robustness.tightness import Promise, broken_promises
from .audit_names import PROMISES, largest_shifts, level, moved, part_of_bound, ratio
from .kinds import ends, percent
from .pages import Figure
from .svg_charts import Mark, Point, accuracy_chart, histogram_chart
from .words import words

_AXES = words("audit")["axes"]
_QUESTIONS: dict[Promise, str] = {"top1": "recall@1", "verdict": "accuracy of the verdict"}
_BEYOND = 1.15
"""How far a chart goes on after the largest budget."""


def end_of_axis(summary: Summary, curves: Sequence[Curve], axis: Axis) -> float:
    """A little beyond the largest budget; without budgets, where most radii and most broken answers lie."""
    if summary.budgets:
        return _BEYOND * max(_on_axis(line, axis) for line in summary.budgets)
    ends = [
        float(np.quantile(found, 0.95))
        for c in curves
        for found in (c.radii, c.broken)
        if found is not None and len(found)
    ]
    return _BEYOND * max([*ends, 1e-9])


def _on_axis(line: BudgetLine, axis: Axis) -> float:
    """Where a budget lies: RMSE and dB do not depend on the image's size, ℓ2 is its own axis."""
    return ball_order(line.budget, line.unit) * (1.0 if axis == "l2" else 255.0)


def accuracy_figure(summary: Summary, curve: Curve, *, axis: Axis, x_max: float) -> Figure:
    """One system, one question."""
    lines = [line for line in summary.budgets if line.system == curve.system]
    shares = [(line, _share(line.attacked, curve.promise)) for line in lines]
    points = [
        Point(_on_axis(line, axis), share.value, share.low, share.high,
              f"{level(line.budget, line.unit)}: {percent(share.value)} left, 95 % interval "
              f"{ends(share)}")
        for line, share in shares if share is not None
    ]  # fmt: skip
    clean = curve.right / curve.queries
    label = f"{curve.system}: {_QUESTIONS[curve.promise]} against the size of the change; clean {percent(clean)}"
    chart = accuracy_chart(
        clean=clean,
        attacked=curve.attacked,
        certified=curve.certified if curve.radii is not None else None,
        points=points,
        reach=curve.reach,
        x_max=x_max,
        axis=_AXES[axis],
        label=label,
    )
    return Figure(curve.system, chart, _at_largest(lines, curve))


def _at_largest(lines: Sequence[BudgetLine], curve: Curve) -> str:
    """The figures at the largest budget in words."""
    if not lines:
        return f"Clean {percent(curve.right / curve.queries)} of {curve.queries} queries."
    line = lines[-1]
    words = [f"clean {percent(curve.right / curve.queries)}"]
    attacked, certified = _share(line.attacked, curve.promise), line.certified and _share(line.certified, curve.promise)
    if attacked is not None:
        words.append(f"attacked {percent(attacked.value)}")
    words.append("nothing certified" if certified is None else f"certified {percent(certified.value)}")
    return f"At {level(line.budget, line.unit)}: {', '.join(words)}."


def _share(rates: Rates, promise: Promise) -> Share | None:
    return rates.first if promise == "top1" else rates.verdict


def radius_figures(summary: Summary, curves: Sequence[Curve], *, axis: Axis) -> list[Figure]:
    """How certified radii are spread, with the largest budget as a mark."""
    certified = [curve for curve in curves if curve.radii is not None and len(curve.radii)]
    ends = [float(np.quantile(curve.radii, 0.98)) for curve in certified if curve.radii is not None]
    x_max = max([*ends, 1e-9]) * 1.05
    budgets = [(line, _on_axis(line, axis)) for line in summary.budgets]
    marks = [Mark(at, level(line.budget, line.unit)) for line, at in budgets[-1:] if at < x_max]
    figures = []
    for curve in certified:
        assert curve.radii is not None, "only certified curves are drawn"
        title = f"{curve.system}, {PROMISES[curve.promise]}"
        name = "certified radius, ℓ2" if axis == "l2" else "certified radius, RMSE in levels of 255"
        chart = histogram_chart(
            curve.radii, x_max=x_max, axis=name, label=f"{title}: certified radii", marks=marks, write=radius_text
        )
        middle = radius_text(float(np.median(curve.radii)), decimals=2)
        beyond = int((curve.radii > x_max).sum())
        more = f"; the last bar holds {beyond} beyond the axis" if beyond else ""
        figures.append(Figure(title, chart, f"Median {middle} over {len(curve.radii)} queries answered right{more}."))
    return figures


def tightness_figures(summary: Summary, table: Columns) -> list[Figure]:
    """How close the smallest successful attacks come to the certified radii."""
    parts = {part.first("system"): part for part in table.groups("system")}
    figures = []
    for line in summary.tightness:
        if line.ratios is None:
            continue
        ratios = broken_promises(parts[line.system], line.promise).ratios
        title = f"{line.system}, {PROMISES[line.promise]}"
        chart = histogram_chart(
            ratios,
            x_max=1.2,
            axis="certified radius ÷ smallest successful attack",
            label=f"{title}: tightness",
            marks=[Mark(1.0, "")],
            limit=1.0,
        )
        found = f"An attack got through on {line.ratios.count} of {line.queries} certified queries"
        figures.append(
            Figure(title, chart, f"Median {ratio(line.ratios.p50)}, largest {ratio(line.ratios.most)}. {found}.")
        )
    return figures


def shift_figures(summary: Summary, table: Columns) -> list[Figure]:
    """How far attacks on the embedding moved it at the largest budget: as a share of its bound where there is one."""
    here = table.where((table["goal"] == "embedding") & (table["medium"] == "float"))
    return [
        _shift_figure(line, here.where((here["system"] == line.system) & (here["budget"] == line.budget)))
        for line in largest_shifts(summary)
    ]


def _shift_figure(line: ShiftLine, here: Columns) -> Figure:
    title = f"{line.system}, {level(line.budget, line.unit)}"
    return shift_figure(title, line.shift, line.used, here["embedding_shift"], here["embedding_limit"])


def shift_figure(title: str, shift: Quantiles, used: Quantiles | None, moved_by: Floats, limits: Floats) -> Figure:
    """How far one attack moved embeddings: as a share of its bound where there is one (LipSim's histogram).

    Args:
        title: above the chart.
        shift: quantiles of what is drawn.
        used: quantiles of the share of the bound; None without one.
        moved_by: (n,) distances; not a number where there is none.
        limits: (n,) what the bound allows.
    """
    how = f"Median shift {moved(shift)}, over {shift.count} images."
    if used is None:
        label, far = f"{title}: shift of the embedding", moved_by[np.isfinite(moved_by)]
        end = max(1.05 * shift.most, 1e-9)
        chart = histogram_chart(far, x_max=end, axis="‖f(x+δ) − f(x)‖", label=label, kind="attacked")
        return Figure(title, chart, how)
    bounded = np.isfinite(moved_by) & np.isfinite(limits) & (limits > 0)
    chart = histogram_chart(
        moved_by[bounded] / limits[bounded],
        x_max=1.2,
        axis="share of L·‖δ‖ used",
        label=f"{title}: share of its bound by which the embedding was moved",
        kind="attacked",
        marks=[Mark(1.0, "bound")],
        limit=1.0,
    )
    return Figure(title, chart, f"Of the bound: {part_of_bound(used)}. {how}")
