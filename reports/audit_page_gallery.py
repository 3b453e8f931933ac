"""The gallery of the audit's page: query, adversarial image, what changed, and what was returned before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from .audit_page_images import difference, picture, read_picture, thumbnail_picture
from .audit_words import broken, level, source_name
from .html_tags import Content, Html, join, tag

Record = Mapping[str, Any]
Thumbnail = Callable[[str, str], bytes | None]

_MOST_CARDS = 12
_GOALS = {
    "evasion": "lose the first place",
    "rank10": "leave the first ten",
    "verdict": "turn the verdict",
    "collision": "bring a chosen item first",
    "embedding": "move the embedding",
}


def gallery(records: pa.Table, *, root: Path, thumbnail: Thumbnail) -> Html | None:
    """Cards of the most telling saved images; None where none was kept.

    Args:
        records: of the run.
        root: what image paths in them are relative to.
        thumbnail: picture of an item, by system and id.
    """
    chosen = _chosen(records)
    return tag("div", [_card(one, root, thumbnail) for one in chosen], class_="gallery") if chosen else None


def _chosen(records: pa.Table) -> list[Record]:
    """Alarms first, then from every system in turn its smallest winning changes, then what held."""
    kept = records.filter(records["image"].is_valid()).to_pylist()
    kept.sort(key=lambda one: (not one["alarm"], not _fell(one), one["rmse"]))
    seen: set[tuple[Any, ...]] = set()
    turns: dict[tuple[bool, str], int] = {}
    ranked = []
    for one in kept:
        # The two media of one attack look alike: the smaller of them is enough.
        key = (one["system"], one["source"], one["query"], one["edit"], one["goal"])
        if key in seen:
            continue
        seen.add(key)
        lot = (bool(one["alarm"]), str(one["system"]))
        turns[lot] = turns.get(lot, 0) + 1
        ranked.append((not one["alarm"], turns[lot], len(ranked), one))
    return [one for *_, one in sorted(ranked, key=lambda entry: entry[:3])][:_MOST_CARDS]


def _fell(record: Record) -> bool:
    return bool(record["success"])


def _card(record: Record, root: Path, thumbnail: Thumbnail) -> Html:
    return tag(
        "article",
        tag("header", tag("b", _title(record)), _badge(record)),
        tag("div", _shots(record, root), class_="shots"),
        tag("div", _returned(record, thumbnail), class_="returned"),
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in _facts(record)]),
        class_="card alarmed" if record["alarm"] else "card",
    )


def _title(record: Record) -> str:
    edit = "" if record["edit"] == "identity" else f", {record['edit']}"
    return f"{PurePosixPath(record['query']).name}{edit}"


def _badge(record: Record) -> Html:
    if record["alarm"]:
        return tag("span", f"alarm: {broken(record['alarm_kind'])}", class_="badge alarm")
    return tag("span", "broken" if _fell(record) else "held", class_="badge fell" if _fell(record) else "badge held")


def _shots(record: Record, root: Path) -> Iterator[Html]:
    clean = _read(root, record["clean_image"])
    made = _read(root, record["image"])
    changed = None if clean is None or made is None else difference(clean, made)
    form = "PNG" if record["medium"] == "png" else "float"
    yield _figure(None if clean is None else picture(clean), "the query", "query")
    yield _figure(None if made is None else picture(made), "the adversarial image", f"adversarial image ({form})")
    yield _figure(changed, "ten times the difference around grey", "difference × 10")


def _read(root: Path, name: str | None) -> Any:
    """A picture inside the audit's folder, and never one outside it."""
    if name is None:
        return None
    path = (root / name).resolve()
    return read_picture(path) if path.is_relative_to(root.resolve()) else None


def _figure(address: str | None, alternative: str, *caption: Content) -> Html:
    shown = tag("div", "not kept", class_="missing") if address is None else tag("img", src=address, alt=alternative)
    return tag("figure", shown, tag("figcaption", *caption))


def _returned(record: Record, thumbnail: Thumbnail) -> Iterator[Html]:
    yield _item(record, "clean", "before", thumbnail)
    yield tag("span", "→", class_="arrow", aria_hidden="true")
    yield _item(record, "attacked", "after", thumbnail)


def _item(record: Record, when: str, words: str, thumbnail: Thumbnail) -> Html:
    """What came first, whether it is right, and the verdict."""
    item = record[f"{when}_item"]
    address = None if item is None else thumbnail_picture(thumbnail(record["system"], item))
    right = "a true item" if record[f"{when}_first"] else ("nothing" if item is None else "another item")
    verdict = record[f"{when}_verdict"]
    lines: list[Content] = [f"{words}: {right}"]
    if verdict is not None:
        lines += [tag("br"), verdict.replace("-", " ")]
    if item is not None:
        lines += [tag("br"), tag("span", item[:16], class_="mono")]
    return _figure(address, f"first match {words}", *lines) if address else tag("figure", tag("figcaption", *lines))


def _facts(record: Record) -> Iterator[tuple[str, Content]]:
    yield "attack", f"{record['attack']}{source_name(record['source'])} to {_GOALS.get(record['goal'], record['goal'])}"
    yield "system", record["system"]
    yield "given", level(record["budget"], record["unit"])
    yield "RMSE", f"{record['rmse']:.2f}"
    yield "ℓ2", f"{record['l2']:.3g}"
    yield "ℓ∞", f"{255 * record['linf']:.1f}/255"
    if record["psnr"] is not None:
        yield "PSNR", f"{record['psnr']:.1f} dB"
    radius = record["radius_verdict" if record["goal"] == "verdict" else "radius_top1"]
    yield "certified ℓ2 radius", "none" if radius is None else join(f"{radius:.3g}")
