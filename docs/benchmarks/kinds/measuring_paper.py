"""HTML of the measuring kinds on paper and screens: one layout by one chance, its contents by another.

Nothing here is used by the reference set: other templates, other fonts (Liberation, GNU FreeFont, Noto CJK).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from html_bits import colour, picture, some
from words import paragraph, pick, price, word, words

Rng = np.random.Generator
Drawer = Callable[[Rng, Rng], str]
"""From the chance of the layout and the chance of the content to HTML."""


def _sheet(inner: str, style: str) -> str:
    return f"<div style='width:100%;height:100%;overflow:hidden;{style}'>{inner}</div>"


def _shade(layout: Rng, low: int, high: int) -> str:
    return colour(layout, low, high)


def letter(layout: Rng, content: Rng) -> str:
    """A company's letter: its head stays, all words are others."""
    margin, size, mark = some(layout, 35, 60), some(layout, 11, 14), picture(layout, "width:70px;height:40px")
    side = pick(layout, ["flex-start", "flex-end"])
    address = "<br>".join(words(content, "latin", 3) for _ in range(4))
    text = "".join(f"<p>{paragraph(content, 'latin', some(content, 25, 70))}</p>" for _ in range(4))
    head = f"<div style='display:flex;justify-content:{side};height:60px'>{mark}</div>"
    return _sheet(
        f"{head}{address}<h3>{words(content, 'latin', 4)}</h3>{text}",
        f"padding:{margin}px;font:{size}px/1.35 Liberation Serif;background:#fff",
    )


def book_page(layout: Rng, content: Rng) -> str:
    """A page of a novel in Cyrillic letters."""
    margin, size, leading = some(layout, 40, 75), some(layout, 13, 17), layout.uniform(1.25, 1.6)
    text = "".join(
        f"<p style='margin:0;text-indent:2em'>{paragraph(content, 'cyrillic', some(content, 20, 90))}</p>"
        for _ in range(9)
    )
    look = f"font:{size}px/{leading:.2f} FreeSerif;text-align:justify;background:{_shade(layout, 235, 255)}"
    return _sheet(
        f"<div style='height:{640 - 2 * margin}px;overflow:hidden'>{text}</div>", f"padding:{margin}px;{look}"
    )


def chinese_page(layout: Rng, content: Rng) -> str:
    """A magazine's page in Chinese: a head, two columns, a picture at one place."""
    size, tall = some(layout, 12, 16), some(layout, 90, 170)
    head = f"<div style='font-size:2em'>{words(content, 'chinese', 1)[:10]}</div>"
    shown = picture(content, f"height:{tall}px;margin:6px 0")
    text = "".join(f"<p>{paragraph(content, 'chinese', some(content, 3, 9))}</p>" for _ in range(14))
    columns = (
        f"<div style='columns:2;column-gap:16px;height:{some(layout, 480, 530)}px;overflow:hidden'>{shown}{text}</div>"
    )
    return _sheet(
        head + columns, f"padding:{some(layout, 24, 40)}px;font:{size}px/1.5 Noto Serif CJK SC;background:#fff"
    )


def form(layout: Rng, content: Rng) -> str:
    """An official form: its boxes stay, labels and answers are others."""
    rows = ""
    for _ in range(13):
        widths = layout.dirichlet(np.full(some(layout, 1, 3), 6.0)) * 100
        rows += "<div style='display:flex'>" + "".join(_box(content, wide) for wide in widths.tolist()) + "</div>"
    return _sheet(
        f"<h2 style='margin:4px'>{words(content, 'accents', 4)}</h2>{rows}",
        f"padding:{some(layout, 20, 36)}px;font:10px/1.2 FreeSans;background:{_shade(layout, 240, 255)}",
    )


def _box(content: Rng, wide: float) -> str:
    answer = f"<div style='font:14px FreeMono;color:#136'>{words(content, 'accents', some(content, 1, 2))}</div>"
    label = words(content, "accents", some(content, 1, 3))
    return f"<div style='width:{wide:.1f}%;height:38px;border:1px solid #333;padding:2px'>{label}{answer}</div>"


def answered_form(layout: Rng, content: Rng) -> str:
    """The same form with the same labels: nothing but the answers is another."""
    rows = ""
    for _ in range(13):
        widths = layout.dirichlet(np.full(some(layout, 1, 3), 6.0)) * 100
        cells = "".join(
            f"<div style='width:{wide:.1f}%;height:38px;border:1px solid #333;padding:2px'>{words(layout, 'accents', 2)}"
            f"<div style='font:14px FreeMono;color:#136'>{words(content, 'accents', some(content, 1, 2))}</div></div>"
            for wide in widths.tolist()
        )
        rows += f"<div style='display:flex'>{cells}</div>"
    return _sheet(
        f"<h2>{words(layout, 'accents', 4)}</h2>{rows}", "padding:28px;font:10px/1.2 FreeSans;background:#fff"
    )


def invoice(layout: Rng, content: Rng) -> str:
    """A firm's invoice: lines of goods, a sum."""
    accent, size, count = _shade(layout, 20, 160), some(layout, 11, 14), some(content, 5, 14)
    lines = "".join(
        f"<tr><td>{n + 1}<td>{words(content, 'latin', some(content, 1, 4))}<td>{some(content, 1, 90)}<td>{price(content)}<td>{price(content)}"
        for n in range(count)
    )
    head = (
        f"<div style='background:{accent};color:#fff;padding:14px;font-size:2em'>{word(layout, 'latin').upper()}</div>"
    )
    address = "<br>".join(words(content, "latin", 2) for _ in range(3))
    total = f"<div style='text-align:right;font-size:1.5em;color:{accent}'>{price(content)}</div>"
    table = f"<table style='width:100%;margin-top:20px;border-collapse:collapse' border=1>{lines}</table>"
    return _sheet(
        f"{head}<p>{address}</p>{table}{total}",
        f"padding:{some(layout, 16, 40)}px;font:{size}px/1.5 Liberation Sans;background:#fff",
    )


def receipt(layout: Rng, content: Rng) -> str:
    """A shop's receipts: the head is the shop's, goods and prices are others."""
    size, head = some(layout, 13, 16), "<br>".join(words(layout, "latin", 2).upper() for _ in range(3))
    goods = "".join(
        f"<tr><td>{words(content, 'latin', some(content, 1, 2)).upper()}<td align=right>{price(content)}"
        for _ in range(some(content, 8, 18))
    )
    slip = f"<center>{head}</center><hr><table width=100%>{goods}</table><hr><h2 align=right>{price(content)}</h2>"
    return _sheet(
        slip,
        f"padding:{some(layout, 20, 60)}px;font:{size}px/1.25 Liberation Mono;background:{_shade(layout, 235, 255)}",
    )


def deck(layout: Rng, content: Rng) -> str:
    """Slides of one template: a title, points or a figure at the right."""
    accent, paper = _shade(layout, 10, 150), _shade(layout, 235, 255)
    points = "".join(f"<li>{words(content, 'latin', some(content, 2, 6))}" for _ in range(some(content, 3, 6)))
    shown = picture(content, "width:220px;height:200px") if content.random() < 0.5 else ""
    bar = f"<div style='background:{accent};color:#fff;padding:16px 30px;font-size:30px'>{words(content, 'latin', some(content, 2, 4))}</div>"
    body = f"<div style='display:flex;padding:24px;gap:16px'><ul style='flex:1;margin:0'>{points}</ul>{shown}</div>"
    foot = f"<div style='position:absolute;bottom:0;width:100%;height:26px;background:{accent}'></div>"
    return _sheet(bar + body + foot, f"position:relative;font:22px/1.5 Liberation Sans Narrow;background:{paper}")


def spreadsheet(layout: Rng, content: Rng) -> str:
    """A grid of numbers with a tool bar above."""
    widths = " ".join(f"{wide}px" for wide in layout.integers(40, 130, 12).tolist())
    cells = "".join(
        f"<div style='border:1px solid #ccc;height:19px;overflow:hidden'>{price(content) if content.random() < 0.7 else word(content, 'latin') if content.random() < 0.5 else ''}</div>"
        for _ in range(12 * 20)
    )
    bar = f"<div style='background:{_shade(layout, 20, 220)};height:{some(layout, 30, 60)}px'></div>"
    return _sheet(
        bar + f"<div style='display:grid;grid-template-columns:{widths}'>{cells}</div>",
        "font:12px Liberation Sans;background:#fff",
    )


def news_site(layout: Rng, content: Rng) -> str:
    """A site's stories: its bar stays, picture and words are others."""
    accent, wide, tall = _shade(layout, 10, 200), some(layout, 55, 70), some(layout, 130, 200)
    links = " &nbsp; ".join(words(layout, "latin", 1) for _ in range(6))
    bar = f"<div style='background:{accent};color:#fff;padding:10px'>{links}</div>"
    story = f"<h1 style='margin:6px 0;font-size:26px'>{words(content, 'latin', some(content, 4, 8))}</h1>"
    story += picture(content, f"height:{tall}px") + f"<p>{paragraph(content, 'latin', 90)}</p>"
    side = "".join(
        f"<div style='display:flex;gap:6px;margin:6px 0'>{picture(content, 'width:60px;height:44px;flex:none')}{words(content, 'latin', 4)}</div>"
        for _ in range(6)
    )
    return _sheet(
        f"{bar}<div style='display:flex;gap:16px;padding:10px'><div style='width:{wide}%'>{story}</div><div style='flex:1'>{side}</div></div>",
        "font:14px/1.4 FreeSans;background:#fff",
    )


def bank_app(layout: Rng, content: Rng) -> str:
    """A bank's app: a balance and what was paid."""
    accent, radius = _shade(layout, 20, 170), some(layout, 6, 24)
    card = f"<div style='background:{accent};color:#fff;border-radius:{radius}px;padding:16px;margin:14px'>{words(layout, 'latin', 1)}<div style='font-size:30px'>{price(content)}</div></div>"
    rows = "".join(
        f"<div style='display:flex;align-items:center;gap:10px;padding:9px 14px'><div style='width:34px;height:34px;border-radius:50%;background:{colour(content)}'></div><div style='flex:1'>{words(content, 'latin', some(content, 1, 2))}<br><small>{words(content, 'latin', 1)}</small></div>{price(content)}</div>"
        for _ in range(7)
    )
    foot = f"<div style='position:absolute;bottom:0;width:100%;height:48px;background:#fff;border-top:2px solid {accent}'></div>"
    return _sheet(
        card + rows + foot, f"position:relative;font:14px/1.3 Liberation Sans;background:{_shade(layout, 235, 255)}"
    )


def messenger(layout: Rng, content: Rng) -> str:
    """One messenger's chats."""
    mine, theirs, paper = _shade(layout, 150, 240), "#fff", _shade(layout, 190, 240)
    rows = "".join(
        f"<div style='margin:6px 10px;display:flex;justify-content:{pick(content, ['flex-start', 'flex-end'])}'><div style='max-width:75%;padding:7px 11px;border-radius:{some(layout, 12, 12)}px;background:{pick(content, [mine, theirs])}'>{paragraph(content, 'latin', some(content, 1, 22))}</div></div>"
        for _ in range(13)
    )
    bar = f"<div style='background:{_shade(layout, 20, 140)};height:52px'></div>"
    return _sheet(bar + rows, f"font:14px/1.3 FreeSans;background:{paper}")


def editor(layout: Rng, content: Rng) -> str:
    """An editor of one theme with other files."""
    colours = [_shade(layout, 110, 240) for _ in range(5)]
    paper, side, depth, rows = _shade(layout, 15, 45), _shade(layout, 45, 70), 0, ""
    for number in range(30):
        depth = max(0, min(7, depth + some(content, -1, 1)))
        parts = " ".join(
            f"<span style='color:{pick(content, colours)}'>{word(content, 'latin')}</span>"
            for _ in range(some(content, 0, 8))
        )
        rows += (
            f"<div style='white-space:pre'><span style='color:#777'>{number:3}</span>  {'    ' * depth}{parts}</div>"
        )
    files = "<br>".join(word(content, "latin") for _ in range(24))
    return _sheet(
        f"<div style='display:flex;height:100%'><div style='width:{some(layout, 90, 140)}px;background:{side};color:#bbb;padding:8px'>{files}</div><div>{rows}</div></div>",
        f"font:13px/1.15 Liberation Mono;background:{paper}",
    )


def boarding_pass(layout: Rng, content: Rng) -> str:
    """An airline's boarding passes."""
    accent = _shade(layout, 20, 190)
    bars = "".join(
        f"<i style='display:inline-block;height:80px;background:#000;width:{some(content, 1, 5)}px;margin-right:{some(content, 1, 5)}px'></i>"
        for _ in range(60)
    )
    fields = "".join(
        f"<div><small>{word(layout, 'latin')}</small><br><b style='font-size:22px'>{words(content, 'latin', 1).upper()[:9]}</b></div>"
        for _ in range(9)
    )
    return _sheet(
        f"<div style='background:{accent};color:#fff;padding:14px;font-size:26px'>{word(layout, 'latin').upper()}</div><div style='display:grid;grid-template-columns:repeat(3,1fr);gap:16px;padding:20px'>{fields}</div><div style='padding:10px 20px'>{bars}</div>",
        "font:13px Liberation Sans;background:#fff",
    )


UPRIGHT: dict[str, Drawer] = {
    "letter": letter,
    "book page, Cyrillic": book_page,
    "magazine, Chinese": chinese_page,
    "form": form,
    "invoice": invoice,
    "receipt": receipt,
    "form, only the answers": answered_form,
}
WIDE: dict[str, Drawer] = {
    "slides": deck,
    "spreadsheet": spreadsheet,
    "news site": news_site,
    "code editor": editor,
    "boarding pass": boarding_pass,
}
TALL: dict[str, Drawer] = {"bank app": bank_app, "messenger": messenger}
