"""HTML of the reference set's screens: web pages on wide screens, apps and chats on tall ones, code."""

from __future__ import annotations

import numpy as np
from html_bits import Look, colour, heading, lines, look, picture, some
from reference_paper import FALLBACK, FONTS
from words import SCRIPTS, paragraph, pick, price, word, words

Rng = np.random.Generator


def screen_look(rng: Rng, sizes: tuple[int, int] = (9, 16)) -> Look:
    """Half of them in Latin letters, a third dark."""
    scripts = ["latin"] if rng.random() < 0.5 else list(SCRIPTS)
    return look(rng, [f"{font},{FALLBACK}" for font in FONTS[:4]], scripts, dark=0.33, sizes=sizes)


def _head(rng: Rng, style: Look) -> str:
    if rng.random() < 0.15:
        return ""
    links = " &nbsp; ".join(words(rng, style.script, 1) for _ in range(some(rng, 2, 7)))
    back, side = pick(rng, [style.accent, style.card, style.paper]), pick(rng, ["start", "end", "center"])
    search = (
        "<span style='border:1px solid #999;border-radius:9px;padding:1px 80px'></span>" if rng.random() < 0.4 else ""
    )
    return f"<div style='background:{back};padding:{some(rng, 4, 18)}px;text-align:{side}'>{links} {search}</div>"


def shop(rng: Rng) -> str:
    """Things in a grid, with prices."""
    style, columns = screen_look(rng), some(rng, 2, 6)
    tall, gap, radius = some(rng, 50, 170), some(rng, 4, 20), some(rng, 0, 14)
    cards = "".join(
        f"<div style='background:{style.card};border-radius:{radius}px;overflow:hidden'>{picture(rng, f'height:{tall}px')}"
        f"<div style='padding:4px'>{words(rng, style.script, some(rng, 1, 4))}<br><b style='color:{style.accent}'>{price(rng)}</b></div></div>"
        for _ in range(columns * some(rng, 1, 5))
    )
    return style.wrap(
        _head(rng, style)
        + f"<div style='display:grid;gap:{gap}px;padding:{gap}px;grid-template-columns:repeat({columns},1fr)'>{cards}</div>"
    )


def article(rng: Rng) -> str:
    """A story, perhaps with a picture and a side bar."""
    style = screen_look(rng)
    hero = picture(rng, f"height:{some(rng, 60, 220)}px;margin:6px 0") if rng.random() < 0.6 else ""
    story = heading(rng, style, rng.uniform(1.4, 3), some(rng, 3, 8)) + hero + lines(rng, style, some(rng, 60, 300))
    side = (
        f"<div style='width:{some(rng, 90, 200)}px;background:{style.card};padding:8px'>{lines(rng, style, 60)}</div>"
    )
    order = [f"<div style='flex:1;padding:0 {some(rng, 5, 90)}px'>{story}</div>", side][: some(rng, 1, 2)]
    if rng.random() < 0.4:
        order.reverse()
    return style.wrap(_head(rng, style) + f"<div style='display:flex;gap:10px'>{''.join(order)}</div>")


def dashboard(rng: Rng) -> str:
    """Numbers and small charts in cards."""
    style, columns = screen_look(rng), some(rng, 2, 5)
    cards = ""
    for _ in range(columns * some(rng, 2, 4)):
        bars = "".join(
            f"<i style='flex:1;background:{style.accent};height:{some(rng, 5, 100)}%'></i>"
            for _ in range(some(rng, 4, 14))
        )
        chart = f"<div style='display:flex;align-items:flex-end;gap:2px;height:{some(rng, 30, 90)}px'>{bars}</div>"
        number = f"<div style='font-size:2.2em'>{price(rng)}</div>"
        inner = pick(rng, [chart, number, number + chart])
        cards += f"<div style='background:{style.card};padding:8px;grid-column:span {some(rng, 1, 2)}'>{words(rng, style.script, 2)}{inner}</div>"
    side = (
        f"<div style='width:{some(rng, 50, 140)}px;background:{style.accent}'>{lines(rng, style, 20)}</div>"
        if rng.random() < 0.5
        else ""
    )
    return style.wrap(
        _head(rng, style)
        + f"<div style='display:flex;height:100%'>{side}<div style='flex:1;display:grid;gap:8px;padding:8px;align-content:start;grid-template-columns:repeat({columns},1fr)'>{cards}</div></div>"
    )


def records(rng: Rng) -> str:
    """Mail, results, files, comments: one line or block after the other."""
    style = screen_look(rng)
    tall, round_, ruled = some(rng, 0, 14), rng.random() < 0.5, rng.random() < 0.6
    side = (
        f"<div style='width:{some(rng, 80, 180)}px;background:{style.card};padding:8px;line-height:2'>{'<br>'.join(words(rng, style.script, 1) for _ in range(12))}</div>"
        if rng.random() < 0.5
        else ""
    )
    size, more, pictured = some(rng, 18, 60), some(rng, 0, 30), rng.random() < 0.5
    rows = ""
    for _ in range(some(rng, 5, 30)):
        face = (
            picture(rng, f"width:{size}px;height:{size}px;flex:none;border-radius:{'50%' if round_ else '2px'}")
            if pictured
            else ""
        )
        text = f"<div style='flex:1'><b>{words(rng, style.script, some(rng, 1, 5))}</b><br><span style='opacity:.7'>{paragraph(rng, style.script, more) if more else ''}</span></div>"
        rows += f"<div style='display:flex;gap:8px;padding:{tall}px 8px;{'border-bottom:1px solid ' + style.card if ruled else ''}'>{face}{text}<span>{price(rng)}</span></div>"
    return style.wrap(_head(rng, style) + f"<div style='display:flex'>{side}<div style='flex:1'>{rows}</div></div>")


def calendar(rng: Rng) -> str:
    """Boxes in a grid with entries: calendars, boards, spreadsheets."""
    style = screen_look(rng, sizes=(8, 13))
    columns, rows, border = some(rng, 3, 12), some(rng, 3, 20), pick(rng, [style.card, "#888"])
    tall, share = max(18, 420 // rows), rng.uniform(0.1, 0.9)
    cells = "".join(
        f"<div style='border:1px solid {border};height:{tall}px;overflow:hidden;background:{style.accent if rng.random() < 0.08 else 'transparent'}'>{words(rng, style.script, some(rng, 1, 3)) if rng.random() < share else ''}</div>"
        for _ in range(columns * rows)
    )
    return style.wrap(
        _head(rng, style) + f"<div style='display:grid;grid-template-columns:repeat({columns},1fr)'>{cells}</div>"
    )


def code(rng: Rng) -> str:
    """A program in an editor or a console."""
    style = screen_look(rng, sizes=(9, 16))
    colours, depth, rows = [colour(rng, 60, 220) for _ in range(5)], 0, ""
    for number in range(some(rng, 12, 60)):
        depth = max(0, min(8, depth + some(rng, -1, 1)))
        parts = " ".join(
            f"<span style='color:{pick(rng, colours)}'>{word(rng, 'latin')}{pick(rng, ['', '()', ' =', ';', ':'])}</span>"
            for _ in range(some(rng, 0, 9))
        )
        rows += f"<div style='white-space:pre'><span style='opacity:.5'>{number:3}</span> {'&nbsp;' * (4 * depth)}{parts}</div>"
    side = (
        f"<div style='width:{some(rng, 60, 180)}px;background:{style.card};padding:6px'>{'<br>'.join(word(rng, 'latin') for _ in range(20))}</div>"
        if rng.random() < 0.4
        else ""
    )
    return style.wrap(
        f"<div style='display:flex;height:100%'>{side}<div style='flex:1;font-family:DejaVu Sans Mono'>{rows}</div></div>"
    )


def chat(rng: Rng) -> str:
    """Balloons from two sides."""
    style, radius = screen_look(rng, sizes=(11, 17)), some(rng, 2, 20)
    mine, theirs = style.accent, style.card
    rows = ""
    for _ in range(some(rng, 3, 18)):
        own = rng.random() < 0.5
        inner = (
            picture(rng, f"width:{some(rng, 80, 180)}px;height:{some(rng, 60, 160)}px")
            if rng.random() < 0.1
            else paragraph(rng, style.script, some(rng, 1, 25))
        )
        rows += f"<div style='display:flex;justify-content:flex-{'end' if own else 'start'};margin:{some(rng, 2, 9)}px'><div style='max-width:{some(rng, 50, 85)}%;background:{mine if own else theirs};border-radius:{radius}px;padding:6px 10px'>{inner}</div></div>"
    back = picture(rng, "position:absolute;inset:0;z-index:-1;opacity:.4") if rng.random() < 0.25 else ""
    bar = f"<div style='background:{pick(rng, [style.accent, style.card])};padding:{some(rng, 6, 20)}px'>{words(rng, style.script, 2)}</div>"
    return style.wrap(back + bar + rows, "position:relative;z-index:0")


def tiles(rng: Rng) -> str:
    """A telephone's start screen, a gallery, a keypad."""
    style, columns = screen_look(rng), some(rng, 2, 5)
    gap, radius, named = some(rng, 0, 24), some(rng, 0, 50), rng.random() < 0.6
    plain = rng.random() < 0.5
    cells = "".join(
        "<div>"
        + (
            f"<div style='aspect-ratio:1;background:{colour(rng)};border-radius:{radius}%'></div>"
            if plain
            else picture(rng, f"aspect-ratio:1;border-radius:{radius}%")
        )
        + (f"<center>{word(rng, style.script)}</center>" if named else "")
        + "</div>"
        for _ in range(columns * some(rng, 3, 7))
    )
    back = picture(rng, "position:absolute;inset:0;z-index:-1") if rng.random() < 0.3 else ""
    return style.wrap(
        back
        + f"<div style='display:grid;gap:{gap}px;padding:{some(rng, 4, 60)}px {gap}px;grid-template-columns:repeat({columns},1fr)'>{cells}</div>",
        "position:relative;z-index:0",
    )


def panel(rng: Rng) -> str:
    """Settings, log-ins, players, balances: a few large things below one another."""
    style = screen_look(rng, sizes=(12, 20))
    parts = ""
    for _ in range(some(rng, 3, 10)):
        kind = some(rng, 0, 6)
        parts += (
            heading(rng, style, rng.uniform(1, 3), some(rng, 1, 4)),
            picture(
                rng,
                f"height:{some(rng, 60, 260)}px;width:{some(rng, 40, 100)}%;margin:8px auto;border-radius:{some(rng, 0, 20)}px",
            ),
            f"<div style='border:1px solid #999;border-radius:6px;padding:9px;margin:8px 0;opacity:.7'>{words(rng, style.script, 2)}</div>",
            f"<div style='background:{style.accent};border-radius:{some(rng, 0, 24)}px;padding:12px;margin:8px 0;text-align:center'>{words(rng, style.script, 2)}</div>",
            f"<div style='background:{style.card};padding:10px;border-radius:8px;margin:6px 0'>{lines(rng, style, some(rng, 3, 25))}</div>",
            f"<div style='display:flex;justify-content:space-between;padding:8px 0;border-bottom:1px solid {style.card}'><span>{words(rng, style.script, 2)}</span><span style='background:{style.accent};width:40px;height:20px;border-radius:10px'></span></div>",
            f"<center style='font-size:3em'>{price(rng)}</center>",
        )[kind]
    return style.wrap(parts, f"padding:{some(rng, 8, 60)}px {some(rng, 8, 36)}px")


WIDE = {
    "shop": shop,
    "article": article,
    "dashboard": dashboard,
    "list": records,
    "calendar": calendar,
    "code": code,
    "web panel": panel,
}
TALL = {
    "app screen": panel,
    "app list": records,
    "chat": chat,
    "app tiles": tiles,
    "app shop": shop,
    "app article": article,
}
