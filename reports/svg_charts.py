"""The charts of the audit's page, each a pure function of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.rounded import nearest_text
from .html_tags import Html, tag
from .svg import Frame, area, bar, chart, dot, line, steps, ticks, upright, whisker, x_axis, y_axis

_BINS = 24


@dataclass(frozen=True)
class Point:
    """A share that was counted at one budget, with its interval.

    Attributes:
        at: on the x axis.
        label: shown on pointing at it.
    """

    at: float
    value: float
    low: float
    high: float
    label: str


def accuracy_chart(
    *,
    clean: float,
    certified: Callable[[float], float] | None,
    x_max: float,
    axis: str,
    label: str,
    attacked: Callable[[float], float] = lambda _: 0.0,
    points: Sequence[Point] = (),
    reach: float = 0.0,
) -> Html:
    """Accuracy against the size of the change: what is proved, what attacks left, and what there was before.

    Args:
        clean: before any attack.
        certified: share proved within a distance; None without certificates.
        x_max: end of the x axis.
        axis: name of the x axis.
        label: the chart in words.
        attacked: share left within a distance; drawn as far as ``reach``.
        points: what was counted at the budgets.
        reach: the largest change that was tried; 0 where nothing was.
    """
    frame = Frame(x_max)
    top = [(frame.x(0.0), frame.y(clean)), (frame.x(x_max), frame.y(clean))]
    floor = [(frame.x(0.0), frame.floor), (frame.x(x_max), frame.floor)]
    left = steps(frame, attacked, min(reach, x_max)) if reach > 0 else []
    proved = steps(frame, certified, x_max) if certified else []
    return chart(
        frame,
        label,
        y_axis(frame, lambda v: f"{100 * v:g} %", (0.0, 0.25, 0.5, 0.75, 1.0)),
        area(left, [top[0], (left[-1][0], top[0][1])], "broken") if left else "",
        area(proved, floor, "proved") if proved else "",
        line(top, "clean"),
        line(proved, "proved") if proved else "",
        line(left, "attacked") if left else "",
        [whisker(frame, p.at, p.low, p.high, "attacked") for p in points],
        [dot(frame, p.at, p.value, "attacked", p.label) for p in points],
        x_axis(frame, axis),
    )


@dataclass(frozen=True)
class Mark:
    """A place on the x axis worth naming."""

    at: float
    name: str
    kind: str = ""


def histogram_chart(
    sample: npt.NDArray[np.float64],
    *,
    x_max: float,
    axis: str,
    label: str,
    kind: str = "proved",
    marks: Sequence[Mark] = (),
    limit: float | None = None,
    write: Callable[[float], str] = nearest_text,
) -> Html:
    """How a sample is spread over [0, x_max]; what lies beyond counts in the last bar.

    Args:
        sample: numbers ≥ 0, at least one.
        x_max: end of the x axis.
        axis: name of the x axis.
        label: the chart in words.
        kind: class of the bars.
        marks: places to name.
        limit: bars from here on are drawn as alarms.
        write: the ends of a bar in words; of radii, rounded down.
    """
    counts, edges = np.histogram(np.minimum(sample, x_max), bins=_BINS, range=(0.0, x_max))
    frame = Frame(x_max, y_max=float(counts.max()) * 1.12)
    bars = [
        bar(frame, start, end, number, "alarm" if limit is not None and start >= limit else kind,
            f"{number} from {write(start)} to {write(end)}")
        for start, end, number in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
        if number
    ]  # fmt: skip
    whole = [tick for tick in ticks(float(counts.max()), about=4) if tick == int(tick)]
    return chart(
        frame,
        label,
        y_axis(frame, lambda v: f"{v:g}", whole),
        bars,
        [upright(frame, mark.at, mark.kind, mark.name) for mark in marks],
        x_axis(frame, axis),
    )


def share_bar(*, clean: float, attacked: float, certified: float | None, label: str) -> Html:
    """A small lying bar: proved, held by what was tried, lost; the stroke is where it was before."""
    width, height = 120.0, 12.0
    parts = [("track", 0.0, 1.0), ("broken", attacked, clean), ("held", certified or 0.0, attacked)]
    if certified:
        parts.append(("proved", 0.0, certified))
    return tag(
        "svg",
        [
            tag(
                "rect",
                x=width * start,
                y=2.0,
                width=width * max(end - start, 0.0),
                height=height - 4,
                class_=f"part {kind}",
            )
            for kind, start, end in parts
        ],
        tag("rect", x=min(width * clean, width - 1.5), y=0.0, width=1.5, height=height, class_="part clean"),
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        class_="sharebar",
    )
