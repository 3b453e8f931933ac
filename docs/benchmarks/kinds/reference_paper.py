"""HTML of the reference set's papers: text in many scripts and layouts, letters, forms, tables, receipts, slides."""

from __future__ import annotations

import numpy as np
from html_bits import Look, colour, heading, lines, look, picture, some
from words import SCRIPTS, paragraph, pick, price, word, words

FONTS = ["DejaVu Sans", "DejaVu Serif", "Noto Sans", "Noto Serif", "Noto Sans Display", "DejaVu Sans Mono"]
FALLBACK = "Noto Sans Arabic,Noto Sans Devanagari,Noto Sans Thai,Noto Sans Hebrew,Noto Sans Bengali,WenQuanYi Micro Hei"
Rng = np.random.Generator


def paper_look(rng: Rng, dark: float = 0.02, sizes: tuple[int, int] = (8, 20)) -> Look:
    """Half of them in Latin letters."""
    scripts = ["latin"] if rng.random() < 0.4 else list(SCRIPTS)
    return look(rng, [f"{font},{FALLBACK}" for font in FONTS], scripts, dark=dark, sizes=sizes)


def text_page(rng: Rng) -> str:
    """One to four columns, with or without heads, pictures, page numbers."""
    style = paper_look(rng)
    columns, margin = some(rng, 1, 3 if style.size > 12 else 4), some(rng, 10, 70)
    head = heading(rng, style, rng.uniform(1.2, 3), some(rng, 2, 7)) if rng.random() < 0.6 else ""
    body = lines(rng, style, some(rng, 80, 700) if rng.random() < 0.85 else some(rng, 5, 60))
    if rng.random() < 0.35:
        tall, float_ = some(rng, 60, 200), pick(rng, ["float:left;width:45%", "float:right;width:40%", "width:100%"])
        body = picture(rng, f"height:{tall}px;margin:8px;{float_}") + body
    align = pick(rng, ["justify", "start", "start", "center"])
    rule = "column-rule:1px solid;" if rng.random() < 0.3 else ""
    inner = f"<div style='columns:{columns};column-gap:18px;{rule}text-align:{align};line-height:{rng.uniform(1.1, 2):.2f}'>{body}</div>"
    return style.wrap(head + inner, f"padding:{margin}px {some(rng, 10, 70)}px")


def letter(rng: Rng) -> str:
    """Sender, address, date, text, signature."""
    style = paper_look(rng, sizes=(9, 14))
    block = "<br>".join(words(rng, style.script, some(rng, 2, 4)) for _ in range(some(rng, 2, 5)))
    side = pick(rng, ["start", "end", "center"])
    logo = picture(rng, f"width:{some(rng, 30, 120)}px;height:{some(rng, 20, 60)}px;display:inline-block")
    head = f"<div style='text-align:{side}'>{logo if rng.random() < 0.5 else ''}<br>{block}</div>"
    foot = f"<p style='margin-top:2em'>{words(rng, style.script, 2)}</p>"
    gap = some(rng, 10, 60)
    return style.wrap(
        f"{head}<div style='height:{gap}px'></div>{lines(rng, style, some(rng, 40, 250))}{foot}",
        f"padding:{some(rng, 20, 60)}px",
    )


def newspaper(rng: Rng) -> str:
    """A masthead, stories in columns, pictures."""
    style = paper_look(rng, sizes=(7, 11))
    mast = (
        f"<div style='text-align:center;border-bottom:3px double'>{heading(rng, style, rng.uniform(2.5, 5), 2)}</div>"
    )
    stories = "".join(
        heading(rng, style, rng.uniform(1.3, 2.4), some(rng, 3, 8))
        + (picture(rng, f"height:{some(rng, 40, 130)}px;margin:4px 0") if rng.random() < 0.4 else "")
        + lines(rng, style, some(rng, 30, 160))
        for _ in range(some(rng, 3, 7))
    )
    return style.wrap(mast + f"<div style='columns:{some(rng, 3, 5)};column-gap:10px'>{stories}</div>", "padding:14px")


def form(rng: Rng) -> str:
    """Fields of several styles in a grid."""
    style = paper_look(rng, sizes=(8, 13))
    columns, border = some(rng, 1, 4), pick(rng, ["1px solid", "1px dotted", "2px solid", "0"])
    fields = ""
    for _ in range(some(rng, 12, 60)):
        label, answer = (
            words(rng, style.script, some(rng, 1, 3)),
            word(rng, style.script) if rng.random() < 0.5 else "&nbsp;",
        )
        kind, span = some(rng, 0, 3), some(rng, 1, columns)
        inner = f"<small>{label}</small><br><span style='color:#114'>{answer}</span>"
        if kind == 1:
            inner = f"{label}: <span style='border-bottom:1px solid;display:inline-block;width:60%'>{answer}</span>"
        elif kind == 2:
            inner = "".join(f"{pick(rng, ['☐', '☒', '☐'])} {word(rng, style.script)} " for _ in range(some(rng, 2, 5)))
        shade = f"background:{style.card};" if rng.random() < 0.15 else ""
        fields += f"<div style='grid-column:span {span};border:{border};padding:3px;{shade}'>{inner}</div>"
    head = f"<div style='background:{style.accent if rng.random() < 0.4 else style.paper};padding:6px'>{heading(rng, style, 1.6, 4)}</div>"
    gap = some(rng, 0, 8)
    return style.wrap(
        head + f"<div style='display:grid;gap:{gap}px;grid-template-columns:repeat({columns},1fr)'>{fields}</div>",
        f"padding:{some(rng, 8, 40)}px",
    )


def table(rng: Rng) -> str:
    """A page that is mostly a table."""
    style = paper_look(rng, dark=0.1, sizes=(8, 15))
    columns, rows = some(rng, 2, 9), some(rng, 6, 50)
    border, striped = pick(rng, ["1px solid #999", "0", "1px solid #000"]), rng.random() < 0.4
    numbers = rng.random(columns) < 0.6
    body = ""
    for row in range(rows):
        shade = style.accent if row == 0 else style.card if striped and row % 2 else "transparent"
        cells = [price(rng) if number and row else words(rng, style.script, some(rng, 1, 3)) for number in numbers]
        inner = "".join(
            f"<td style='border:{border};padding:{2 + style.size // 6}px 5px'>{cell}</td>" for cell in cells
        )
        body += f"<tr style='background:{shade}'>{inner}</tr>"
    wide = some(rng, 70, 100)
    head = heading(rng, style, 1.5, 4) + lines(rng, style, some(rng, 0, 60)) if rng.random() < 0.5 else ""
    return style.wrap(
        f"{head}<table style='border-collapse:collapse;width:{wide}%'>{body}</table>", f"padding:{some(rng, 0, 40)}px"
    )


def receipt(rng: Rng) -> str:
    """A slip of goods and prices, flat or on a table top."""
    style = paper_look(rng, sizes=(9, 14))
    goods = "".join(
        f"<div style='display:flex;justify-content:space-between'><span>{words(rng, style.script, some(rng, 1, 3))}</span><span>{price(rng)}</span></div>"
        for _ in range(some(rng, 4, 28))
    )
    head = "<br>".join(words(rng, style.script, some(rng, 1, 4)) for _ in range(some(rng, 2, 6)))
    rule = pick(rng, ["1px dashed", "1px solid", "2px solid", "0"])
    total = f"<div style='display:flex;justify-content:space-between;font-size:1.5em'><b>{word(rng, style.script)}</b><b>{price(rng)}</b></div>"
    slip = f"<div style='text-align:center'>{head}</div><div style='border-top:{rule};border-bottom:{rule};margin:8px 0'>{goods}</div>{total}"
    if rng.random() < 0.5:
        return style.wrap(slip, f"padding:{some(rng, 10, 90)}px;font-family:DejaVu Sans Mono,{FALLBACK}")
    turn, wide = rng.uniform(-6, 6), some(rng, 45, 85)
    inner = f"<div style='width:{wide}%;margin:{some(rng, 0, 60)}px auto;background:#fdfdfa;color:#222;padding:16px;transform:rotate({turn:.1f}deg)'>{slip}</div>"
    return style.wrap(
        inner, f"background:linear-gradient({some(rng, 0, 359)}deg,{colour(rng, 20, 180)},{colour(rng, 20, 180)})"
    )


def slide(rng: Rng) -> str:
    """A title and points, a figure, a quotation or two columns."""
    style = paper_look(rng, dark=0.35, sizes=(18, 32))
    band = pick(
        rng,
        [
            f"border-top:{some(rng, 8, 60)}px solid {style.accent}",
            f"border-left:{some(rng, 8, 80)}px solid {style.accent}",
            "",
        ],
    )
    title = heading(rng, style, rng.uniform(1.2, 2.4), some(rng, 2, 6))
    kind = some(rng, 0, 4)
    points = "".join(f"<li>{words(rng, style.script, some(rng, 2, 9))}</li>" for _ in range(some(rng, 2, 7)))
    body = f"<{pick(rng, ['ul', 'ol'])}>{points}"
    if kind == 1:
        body = f"<div style='display:flex;gap:20px'><ul style='flex:1'>{points}</ul>{picture(rng, f'flex:1;height:{some(rng, 120, 260)}px')}</div>"
    elif kind == 2:
        body = picture(rng, f"height:{some(rng, 150, 300)}px;width:{some(rng, 50, 100)}%;margin:auto")
    elif kind == 3:
        body = f"<div style='text-align:center;margin-top:{some(rng, 10, 100)}px;font-size:1.3em'>{paragraph(rng, style.script, some(rng, 3, 14))}</div>"
    elif kind == 4:
        boxes = "".join(
            f"<div style='background:{style.card};flex:1;padding:8px;font-size:.7em'>{lines(rng, style, 14)}</div>"
            for _ in range(some(rng, 2, 4))
        )
        body = f"<div style='display:flex;gap:12px'>{boxes}</div>"
    return style.wrap(title + body, f"padding:{some(rng, 15, 60)}px;{band}")


def poster(rng: Rng) -> str:
    """Large words over colour or a picture: covers, posters, certificates, cards."""
    style = paper_look(rng, dark=0.4, sizes=(14, 28))
    back = picture(rng, "position:absolute;inset:0;z-index:-1") if rng.random() < 0.5 else ""
    frame = (
        f"border:{some(rng, 1, 14)}px {pick(rng, ['solid', 'double'])} {style.accent};" if rng.random() < 0.4 else ""
    )
    inner = "".join(heading(rng, style, rng.uniform(0.7, 4), some(rng, 1, 5)) for _ in range(some(rng, 1, 5)))
    if rng.random() < 0.5:
        inner += picture(rng, f"width:{some(rng, 30, 90)}%;height:{some(rng, 60, 240)}px;margin:12px auto")
    return style.wrap(
        back + inner,
        f"text-align:{pick(rng, ['center', 'start'])};padding:{some(rng, 10, 70)}px;{frame}position:relative;z-index:0",
    )


UPRIGHT = {
    "page": text_page,
    "letter": letter,
    "newspaper": newspaper,
    "form": form,
    "table": table,
    "receipt": receipt,
    "poster": poster,
}
WIDE = {"slide": slide, "table": table, "form": form, "page": text_page}
