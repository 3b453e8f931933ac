"""Charts of the reference set, by matplotlib in its own styles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from words import words

STYLES = ("default", "classic", "ggplot", "dark_background", "bmh", "fivethirtyeight", "grayscale", "seaborn-v0_8")
Rng = np.random.Generator


def _lines(axes: Axes, rng: Rng) -> None:
    for _ in range(rng.integers(1, 6)):
        axes.plot(np.cumsum(rng.normal(size=rng.integers(10, 200))), marker=rng.choice(["", "o", "."]))


def _bars(axes: Axes, rng: Rng) -> None:
    count, groups = int(rng.integers(3, 20)), int(rng.integers(1, 4))
    for group in range(groups):
        axes.bar(np.arange(count) + group / (groups + 1), rng.uniform(0, 1, count), width=0.9 / groups)


def _lying(axes: Axes, rng: Rng) -> None:
    count = int(rng.integers(3, 20))
    axes.barh([words(rng, "latin", 1) for _ in range(count)], rng.exponential(1, count))


def _dots(axes: Axes, rng: Rng) -> None:
    for _ in range(rng.integers(1, 4)):
        spots = rng.normal(rng.normal(size=2), rng.uniform(0.2, 2), (rng.integers(20, 300), 2))
        axes.scatter(*spots.T, s=rng.uniform(4, 60), alpha=0.7)


def _pie(axes: Axes, rng: Rng) -> None:
    count = int(rng.integers(2, 9))
    axes.pie(rng.dirichlet(np.ones(count)), labels=[words(rng, "latin", 1) for _ in range(count)])


def _histogram(axes: Axes, rng: Rng) -> None:
    axes.hist(rng.gamma(rng.uniform(1, 9), 1, 600), bins=int(rng.integers(8, 60)))


def _heat(axes: Axes, rng: Rng) -> None:
    shape = rng.integers(4, 30, 2)
    axes.imshow(
        rng.normal(size=shape).cumsum(int(rng.integers(0, 2))),
        cmap=rng.choice(["viridis", "magma", "coolwarm", "Blues"]),
        aspect="auto",
    )


def _stack(axes: Axes, rng: Rng) -> None:
    axes.stackplot(np.arange(40), np.abs(rng.normal(1, 0.3, (rng.integers(2, 7), 40)).cumsum(1)))


def _boxes(axes: Axes, rng: Rng) -> None:
    values = rng.normal(size=(60, rng.integers(3, 12))) + rng.normal(size=1)
    axes.boxplot(values * rng.uniform(0.5, 2, values.shape[1]), patch_artist=bool(rng.random() < 0.5))


def _contours(axes: Axes, rng: Rng) -> None:
    y, x = np.mgrid[-2:2:40j, -2:2:40j]
    field = sum(rng.normal() * np.exp(-((x - a) ** 2) - (y - b) ** 2) for a, b in rng.uniform(-2, 2, (6, 2)))
    (axes.contourf if rng.random() < 0.5 else axes.contour)(x, y, field, levels=int(rng.integers(5, 15)))


_DRAWS = (_lines, _bars, _lying, _dots, _pie, _histogram, _heat, _stack, _boxes, _contours)


def chart(number: int) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8: one to four charts in one style."""
    rng = np.random.default_rng([0xC4A27, number])
    with style.context(str(rng.choice(STYLES))):
        figure = Figure(figsize=(float(rng.uniform(4, 8)), float(rng.uniform(3, 6))), dpi=50)
        rows, columns = (1, 1) if rng.random() < 0.7 else tuple(rng.integers(1, 3, 2).tolist())
        for place in range(rows * columns):
            axes = figure.add_subplot(rows, columns, place + 1)
            _DRAWS[rng.integers(len(_DRAWS))](axes, rng)
            if rng.random() < 0.6:
                axes.set_title(words(rng, "latin", int(rng.integers(1, 5))))
            if rng.random() < 0.3:
                axes.grid(visible=True)
        if rng.random() < 0.5:
            figure.tight_layout()
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
