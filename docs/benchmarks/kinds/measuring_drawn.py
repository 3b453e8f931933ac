"""SVG of the measuring kinds that are drawn: charts, icons, comics, maps, codes, notes, crosswords, plans."""

from __future__ import annotations

import numpy as np
import segno
from html_bits import colour, some
from measuring_paper import Drawer, Rng
from words import pick, word, words


def _svg(inner: str, width: int, height: int, paper: str = "#fff") -> str:
    return f"<svg width=100% height=100% viewBox='0 0 {width} {height}' preserveAspectRatio=none style='background:{paper}'>{inner}</svg>"


def _text(x: float, y: float, size: float, text: str, more: str = "") -> str:
    return f"<text x={x:.0f} y={y:.0f} font-size={size:.0f} font-family='Liberation Sans' {more}>{text}</text>"


def _rect(x: float, y: float, w: float, h: float, more: str) -> str:
    return f"<rect x={x:.1f} y={y:.1f} width={w:.1f} height={h:.1f} {more} />"


def _path(points: np.ndarray, more: str) -> str:
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points.tolist())
    return f"<polyline points='{steps}' {more} />"


def share_chart(layout: Rng, content: Rng) -> str:
    """A paper's charts of prices: one frame, other curves."""
    inks, left, top = [colour(layout, 0, 200) for _ in range(2)], some(layout, 50, 80), some(layout, 50, 80)
    grid = "".join(
        _rect(left, top + 60 * row, 540, 1, "fill='#ccc'") + _text(10, top + 60 * row, 16, f"{some(content, 1, 99)}")
        for row in range(6)
    )
    curves = ""
    for ink in inks:
        walk = np.cumsum(content.normal(size=90))
        heights = top + 300 * (1 - (walk - walk.min()) / np.ptp(walk))
        curves += _path(
            np.stack([np.linspace(left, left + 540, 90), heights], axis=1), f"fill=none stroke='{ink}' stroke-width=4"
        )
    return _svg(_text(left, 36, 26, words(content, "latin", 4)) + grid + curves, 640, 440)


def icon(layout: Rng, content: Rng) -> str:
    """One set of icons: tile and ink stay, the sign is another."""
    tile, ink, radius = colour(layout, 20, 220), pick(layout, ["#fff", "#111"]), some(layout, 10, 150)
    signs = ""
    for _ in range(some(content, 2, 4)):
        x, y, size = content.uniform(110, 290), content.uniform(110, 290), content.uniform(30, 100)
        kind = some(content, 0, 3)
        corners = np.arange(some(content, 3, 7)) / 1.0
        corners = np.stack(
            [x + size * np.cos(6.28 * corners / len(corners)), y + size * np.sin(6.28 * corners / len(corners))], axis=1
        )
        signs += (
            f"<circle cx={x:.0f} cy={y:.0f} r={size:.0f} fill='{ink}' />",
            f"<circle cx={x:.0f} cy={y:.0f} r={size:.0f} fill=none stroke='{ink}' stroke-width=18 />",
            _rect(x - size, y - size / 2, 2 * size, size, f"fill='{ink}'"),
            f"<polygon points='{' '.join(f'{u:.0f},{v:.0f}' for u, v in corners.tolist())}' fill='{ink}' />",
        )[kind]
    return _svg(_rect(20, 20, 360, 360, f"rx={radius} fill='{tile}'") + signs, 400, 400)


def comic_strip(layout: Rng, content: Rng) -> str:
    """A strip's frames stay, figures, words and colours are others."""
    cuts = np.r_[0, np.cumsum(layout.dirichlet(np.full(3, 9.0)))] * 620 + 10
    parts = ""
    for row in range(2):
        for left, right in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
            y, wide = 10 + 215 * row, right - left - 8
            parts += _rect(left, y, wide, 205, f"fill='{colour(content, 120, 255)}' stroke='#000' stroke-width=3")
            for _ in range(some(content, 1, 3)):
                x, head = left + content.uniform(0.2, 0.8) * wide, y + content.uniform(90, 130)
                parts += _rect(x - 18, head, 36, y + 203 - head, f"fill='{colour(content)}' stroke='#000'")
                parts += f"<circle cx={x:.0f} cy={head:.0f} r=24 fill='{colour(content, 150, 250)}' stroke='#000' stroke-width=2 />"
            parts += f"<ellipse cx={left + content.uniform(0.35, 0.65) * wide:.0f} cy={y + 35} rx={0.3 * wide:.0f} ry=26 fill='#fff' stroke='#000' />"
    return _svg(parts, 640, 440)


def town_map(layout: Rng, content: Rng) -> str:
    """One style of map, other towns."""
    land, road, water = colour(layout, 215, 245), pick(layout, ["#fff", "#fda", "#888"]), colour(layout, 140, 220)
    parts = ""
    for _ in range(some(content, 1, 4)):
        parts += f"<ellipse cx={content.uniform(0, 640):.0f} cy={content.uniform(0, 440):.0f} rx={content.uniform(30, 180):.0f} ry={content.uniform(20, 120):.0f} fill='{water}' />"
    for _ in range(some(content, 30, 60)):
        start, turn = content.uniform((0, 0), (640, 440)), content.uniform(0, 6.3)
        reach = content.uniform(60, 500)
        bend = start + reach / 2 * np.array([np.cos(turn), np.sin(turn)])
        end = bend + reach / 2 * np.array([np.cos(turn + 0.4), np.sin(turn + 0.4)])
        parts += _path(
            np.stack([start, bend, end]), f"fill=none stroke='{road}' stroke-width={pick(content, [3, 3, 5, 10])}"
        )
    return _svg(parts, 640, 440, land)


def parcel_label(layout: Rng, content: Rng) -> str:
    """A carrier's labels: a square code and an address at their places."""
    side, top = some(layout, 170, 230), some(layout, 60, 100)
    code = segno.make(word(content, "latin") * 3 + str(some(content, 0, 10**9)), error="m", micro=False)
    cells = np.array([list(row) for row in code.matrix])
    step = side / len(cells)
    dots = "".join(
        _rect(30 + step * x, top + step * y, step + 0.3, step + 0.3, "fill='#000'")
        for y, x in np.argwhere(cells).tolist()
    )
    lines = "".join(_text(side + 60, top + 30 + 40 * line, 24, words(content, "latin", 2)) for line in range(5))
    return _svg(
        _rect(8, 8, 624, 424, "fill=none stroke='#000' stroke-width=5")
        + _text(30, 45, 30, word(layout, "latin").upper())
        + dots
        + lines,
        640,
        440,
    )


def sheet_music(layout: Rng, content: Rng) -> str:
    """Staves with notes (a kind that the reference set lacks)."""
    count, gap, parts = some(layout, 5, 7), some(layout, 7, 9), ""
    for staff in range(count):
        y = 70 + staff * (560 / count)
        parts += "".join(_rect(30, y + gap * line, 420, 1.2, "fill='#000'") for line in range(5))
        for x in np.sort(content.uniform(60, 440, some(content, 10, 26))).tolist():
            at = y + gap * content.integers(-2, 10) / 2
            parts += f"<ellipse cx={x:.0f} cy={at:.0f} rx=5 ry=4 /><rect x={x + 4:.0f} y={at - 26:.0f} width=1.5 height=26 />"
    return _svg(_text(180, 40, 22, words(content, "latin", 2)) + parts, 480, 640)


def crossword(layout: Rng, content: Rng) -> str:
    """A square grid with dark cells (a kind that the reference set lacks)."""
    count = some(layout, 11, 15)
    step = 440 / count
    parts = "".join(
        _rect(
            20 + step * x,
            20 + step * y,
            step,
            step,
            f"stroke='#000' fill='{'#000' if content.random() < 0.22 else '#fff'}'",
        )
        for x in range(count)
        for y in range(count)
    )
    return _svg(parts, 480, 480)


def floor_plan(layout: Rng, content: Rng) -> str:
    """Walls, doors and furniture inside one outline (a kind that the reference set lacks)."""
    wall = some(layout, 6, 10)
    parts = _rect(30, 30, 580, 380, f"fill=none stroke='#222' stroke-width={wall}")
    for _ in range(some(content, 4, 8)):
        x, y, reach = content.uniform(60, 580), content.uniform(60, 380), content.uniform(80, 300)
        lying = content.random() < 0.5
        parts += _rect(x, y, reach if lying else wall, wall if lying else reach, "fill='#222'")
    for _ in range(some(content, 8, 20)):
        parts += _rect(
            content.uniform(40, 560),
            content.uniform(40, 370),
            content.uniform(15, 60),
            content.uniform(15, 50),
            "fill=none stroke='#777' stroke-width=2",
        )
    return _svg(parts, 640, 440)


def chess(layout: Rng, content: Rng) -> str:
    """Diagrams of positions (a kind that the reference set lacks)."""
    dark, light, parts = colour(layout, 90, 170), colour(layout, 210, 250), ""
    for cell in range(64):
        x, y = 20 + 55 * (cell % 8), 20 + 55 * (cell // 8)
        parts += _rect(x, y, 55, 55, f"fill='{dark if (cell + cell // 8) % 2 else light}'")
        if content.random() < 0.3:
            parts += _text(x + 4, y + 46, 48, pick(content, list("♚♛♜♝♞♟♔♕♖♗♘♙")), "style='font-family:FreeSerif'")
    return _svg(parts, 480, 480)


UPRIGHT: dict[str, Drawer] = {"sheet music (unseen)": sheet_music}
WIDE: dict[str, Drawer] = {
    "chart of prices": share_chart,
    "comic strip": comic_strip,
    "town map": town_map,
    "parcel label": parcel_label,
    "floor plan (unseen)": floor_plan,
}
SQUARE: dict[str, Drawer] = {"icons": icon, "crossword (unseen)": crossword, "chess diagram (unseen)": chess}
