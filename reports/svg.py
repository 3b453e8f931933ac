"""The parts of a chart as inline SVG: a frame with axes, lines that go in steps, bars, whiskers.

Colours, fonts and line widths are the page's: elements carry classes, and one style sheet serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .html_tags import Content, Html, join, short, tag

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Frame:
    """The plane of a chart, in units of its view box: x from ``left`` to ``right`` end, y upwards.

    Attributes:
        x_max, y_max: the largest values, at the right and at the top; both axes begin at 0.
        width, height: of the view box.
        left, right, top, bottom: margins.
    """

    x_max: float
    y_max: float = 1.0
    width: float = 360.0
    height: float = 232.0
    left: float = 46.0
    right: float = 14.0
    top: float = 12.0
    bottom: float = 40.0

    def x(self, value: float) -> float:
        """Where a value lies; values beyond the end lie at the end."""
        return self.left + (self.width - self.left - self.right) * min(value / self.x_max, 1.0)

    def y(self, value: float) -> float:
        """Where a value lies."""
        return self.height - self.bottom - (self.height - self.top - self.bottom) * min(value / self.y_max, 1.0)

    @property
    def floor(self) -> float:
        """The height of the x axis."""
        return self.y(0.0)


def chart(frame: Frame, label: str, *content: Content) -> Html:
    """A whole chart; ``label`` says in words what can be seen."""
    return tag(
        "svg",
        *content,
        viewBox=f"0 0 {short(frame.width)} {short(frame.height)}",
        role="img",
        aria_label=label,
        class_="chart",
    )


def ticks(most: float, *, about: int = 5) -> list[float]:
    """Round numbers from 0 to ``most``."""
    size = 10.0 ** math.floor(math.log10(most / about))
    step = next(step * size for step in _STEPS if most / (step * size) <= about)
    return [i * step for i in range(math.floor(most / step * (1 + 1e-9)) + 1)]


def x_axis(frame: Frame, title: str, *, at: Sequence[float] | None = None) -> Html:
    """Ticks with numbers below the plane, and what they measure."""
    marks = [
        tag("text", f"{value:g}", x=frame.x(value), y=frame.floor + 14, class_="tick", text_anchor="middle")
        for value in (ticks(frame.x_max) if at is None else at)
    ]
    base = tag("path", d=f"M{short(frame.left)} {short(frame.floor)}H{short(frame.width - frame.right)}", class_="axis")
    middle = (frame.left + frame.width - frame.right) / 2
    return join(base, marks, tag("text", title, x=middle, y=frame.height - 6, class_="name", text_anchor="middle"))


def y_axis(frame: Frame, form: Callable[[float], str], at: Sequence[float]) -> Html:
    """Lines across the plane with their numbers at the left."""
    return join(
        [tag("path", d=f"M{short(frame.left)} {short(frame.y(v))}H{short(frame.width - frame.right)}", class_="grid")
         for v in at if v > 0],
        [tag("text", form(v), x=frame.left - 6, y=frame.y(v) + 3.5, class_="tick", text_anchor="end") for v in at],
    )  # fmt: skip


def steps(frame: Frame, height: Callable[[float], float], end: float) -> list[tuple[float, float]]:
    """A falling function as corners (x, y) in the view box, from 0 to ``end``, to half a unit of it."""
    samples = max(2, 2 * math.ceil(frame.x(end) - frame.left))
    corners = [(frame.x(0.0), frame.y(height(0.0)))]
    for i in range(1, samples + 1):
        value = end * i / samples
        x, y = frame.x(value), frame.y(height(value))
        if y != corners[-1][1] or i == samples:
            corners += [(x, corners[-1][1]), (x, y)]
    return corners


def line(corners: Sequence[tuple[float, float]], kind: str) -> Html:
    """A line through corners."""
    return tag("path", d=_path(corners), class_=f"line {kind}")


def area(corners: Sequence[tuple[float, float]], base: Sequence[tuple[float, float]], kind: str) -> Html:
    """What lies between a line and another one."""
    return tag("path", d=_path([*corners, *reversed(base)]) + "Z", class_=f"area {kind}")


def bar(frame: Frame, start: float, end: float, height: float, kind: str, label: str) -> Html:
    """An upright bar over [start, end], with a hairline between neighbours; ``label`` is shown on pointing at it."""
    left, right, top = frame.x(start), frame.x(end), frame.y(height)
    size = {"x": left + 0.75, "y": top, "width": max(right - left - 1.5, 0.5), "height": frame.floor - top}
    return tag("rect", tag("title", label), class_=f"bar {kind}", **size)


def whisker(frame: Frame, at: float, low: float, high: float, kind: str) -> Html:
    """An upright stroke with short ends."""
    x, top, bottom = frame.x(at), frame.y(high), frame.y(low)
    stroke = f"M{short(x)} {short(top)}V{short(bottom)}"
    ends = "".join(f"M{short(x - 3)} {short(y)}h6" for y in (top, bottom))
    return tag("path", d=stroke + ends, class_=f"whisker {kind}")


def dot(frame: Frame, at: float, height: float, kind: str, label: str) -> Html:
    """A round mark; ``label`` is shown on pointing at it."""
    return tag("circle", tag("title", label), cx=frame.x(at), cy=frame.y(height), r=3.25, class_=f"dot {kind}")


def upright(frame: Frame, at: float, kind: str, label: str) -> Html:
    """A line from the floor to the top, with its name there."""
    x, top = frame.x(at), frame.top
    mark = tag("path", d=f"M{short(x)} {short(frame.floor)}V{short(top)}", class_=f"mark {kind}")
    left = x < frame.width - 70
    words = tag(
        "text", label, x=x + (4 if left else -4), y=top + 8, class_="tick", text_anchor="start" if left else "end"
    )
    return join(mark, words)


def _path(corners: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{short(x)} {short(y)}" for x, y in corners)
