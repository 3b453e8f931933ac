"""The figures of a 2AFC page: agreement against flips, scores against the size of a change, moved embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.statistics import wilson
from ..evaluation.two_afc.summary_curves import ScoreCurve
from ..evaluation.two_afc.summary_lines import ShiftLine, TripletSummary
from ..evaluation.two_afc.summary_rows import Rows
from .audit_page_figures import shift_figure
from .html_tags import Html, tag
from .kinds import percent
from .pages import Figure
from .svg import Frame, chart, x_axis, y_axis
from .svg_charts import Point, accuracy_chart
from .two_afc_series import FORM_NAMES, MOVE_NAMES, size
from .words import words

_CHARTS = words("two_afc")["charts"]
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_RADIUS = 7.0
_LEAST = 1.25
"""How far a chart goes beyond the largest ε, at least."""


@dataclass(frozen=True)
class Spot:
    """One metric in the plane of agreement and flips.

    Attributes:
        kind: hand, learned or proved.
    """

    title: str
    kind: str
    agrees: float
    flipped: float


def spots_chart(spots: Sequence[Spot], *, label: str) -> Html:
    """Agreement with people along, share flipped upwards; a number in each dot says which metric it is."""
    frame = Frame(1.0, width=400.0, height=260.0, right=22.0)
    grid = [
        tag("path", d=f"M{frame.x(v):.1f} {frame.floor:.1f}V{frame.top:.1f}", class_="grid") for v in _TICKS if v > 0
    ]
    return chart(
        frame,
        label,
        grid,
        y_axis(frame, lambda v: f"{100 * v:g} %", _TICKS),
        [_disc(frame, number, spot) for number, spot in enumerate(spots, 1)],
        x_axis(frame, _CHARTS["spots_axis"], at=()),
        [
            tag("text", f"{100 * v:g} %", x=frame.x(v), y=frame.floor + 14, class_="tick", text_anchor="middle")
            for v in _TICKS
        ],
    )


def _disc(frame: Frame, number: int, spot: Spot) -> Html:
    x, y = frame.x(spot.agrees), frame.y(spot.flipped)
    said = f"{number}: {spot.title}, agrees {percent(spot.agrees)}, flipped {percent(spot.flipped)}"
    circle = tag("circle", tag("title", said), cx=x, cy=y, r=_RADIUS, class_=f"disc {spot.kind}")
    return tag("g", circle, tag("text", str(number), x=x, y=y + 3.2, class_="inside", text_anchor="middle"))


def spots_kinds(kinds: Iterable[str]) -> list[tuple[str, str]]:
    """What the colours of the dots mean: classes and words."""
    found = {"dotproved" if kind == "proved" else kind for kind in kinds}
    return [(kind, _CHARTS[kind]) for kind in ("hand", "learned", "dotproved") if kind in found]


def score_figure(summary: TripletSummary, curve: ScoreCurve) -> Figure:
    """Score before any attack, proved, and left by attacks, against the size of the change."""
    count = len(curve.weights)
    worst = next(
        (line for line in summary.worst
         if (line.data, line.metric, line.moves) == (curve.data, curve.metric, curve.moves)), None)  # fmt: skip
    points = [
        Point(eps, left, *wilson(left, count), f"ℓ2 {size(eps)}: {percent(left)} left by the worst of all attacks")
        for eps, left in zip(summary.epsilons, worst.scores if worst else (), strict=False)
        if left is not None
    ]
    drawn = accuracy_chart(
        clean=curve.score,
        attacked=curve.attacked,
        certified=None if curve.radii is None else curve.certified,
        points=points,
        reach=curve.reach,
        x_max=_end(summary, curve),
        axis=_CHARTS["axis"],
        label=f"{curve.title}, {MOVE_NAMES[curve.moves]}: 2AFC score against the size of the change",
    )
    return Figure(f"{curve.title}, {MOVE_NAMES[curve.moves]}", drawn, _caption(summary, curve))


def _end(summary: TripletSummary, curve: ScoreCurve) -> float:
    """Far enough for the sizes asked for, most radii and most flips."""
    ends = [_LEAST * max(summary.epsilons)]
    ends += [
        float(np.quantile(found, 0.9)) for found in (curve.radii, curve.lost_at) if found is not None and len(found)
    ]
    return 1.05 * max(ends)


def _caption(summary: TripletSummary, curve: ScoreCurve) -> str:
    eps = summary.epsilons[-1]
    proved = f"certified ({FORM_NAMES[curve.form]}) {percent(curve.certified(eps))}"
    left = "" if curve.reach == 0 else f", left by attacks {percent(curve.attacked(eps))}"
    whole = "" if curve.reach == 0 else f"; by changes of any size {percent(curve.attacked(np.inf))}"
    return f"Natural {percent(curve.score)}. At {size(eps)}: {proved}{left}{whole}."


def moved_figure(line: ShiftLine, rows: Rows) -> Figure:
    """How far one attack moved the embedding of one metric."""
    here = rows.where(_places(rows, line))
    title = f"{line.title}{'' if line.eps is None else f', ε {size(line.eps)}'}"
    return shift_figure(title, line.shift, line.used, here["shift"], here["shift_limit"])


def _places(rows: Rows, line: ShiftLine) -> np.ndarray:
    same = (rows["data"] == line.data) & (rows["system"] == line.metric) & (rows["setting"] == line.setting)
    return same & (rows["goal"] == "embedding") & np.isfinite(rows["shift"])
