"""The gallery of the audit's page: query, adversarial image, what changed, and what was returned before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from ..core.rounded import nearest_text, radius_text
from .audit_names import broken, level, source_name
from .audit_page_images import difference, picture, read_picture, thumbnail_picture
from .words import words

Record = Mapping[str, Any]
Thumbnail = Callable[[str, str], bytes | None]

_MOST_CARDS = 12
_GOALS = words("audit")["goals"]


@dataclass(frozen=True)
class Shot:
    """A picture with what is said under it.

    Attributes:
        address: of the picture, within the page; None where there is none.
        words: the picture in words.
        lines: under it; item: the id that stands last.
        must: a missing picture leaves a gap.
    """

    address: str | None
    words: str
    lines: tuple[str, ...]
    item: str = ""
    must: bool = False


@dataclass(frozen=True)
class Card:
    """One saved image: what was changed, and what was returned before and after.

    Attributes:
        badge: how it ended; kind: fell, held or alarm.
        facts: name and value.
    """

    title: str
    alarm: bool
    badge: str
    kind: str
    shots: tuple[Shot, ...]
    before: Shot
    after: Shot
    facts: tuple[tuple[str, str], ...]


def gallery(records: pa.Table, *, root: Path, thumbnail: Thumbnail) -> list[Card]:
    """Cards of the most telling saved images; none where none was kept.

    Args:
        records: of the run.
        root: what image paths in them are relative to.
        thumbnail: picture of an item, by system and id.
    """
    return [_card(one, root, thumbnail) for one in _chosen(records)]


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


def _card(record: Record, root: Path, thumbnail: Thumbnail) -> Card:
    badge, kind = ("broken", "fell") if _fell(record) else ("held", "held")
    if record["alarm"]:
        badge, kind = f"alarm: {broken(record['alarm_kind'])}", "alarm"
    return Card(
        title=_title(record),
        alarm=bool(record["alarm"]),
        badge=badge,
        kind=kind,
        shots=tuple(_shots(record, root)),
        before=_item(record, "clean", "before", thumbnail),
        after=_item(record, "attacked", "after", thumbnail),
        facts=tuple(_facts(record)),
    )


def _title(record: Record) -> str:
    edit = "" if record["edit"] == "identity" else f", {record['edit']}"
    return f"{PurePosixPath(record['query']).name}{edit}"


def _shots(record: Record, root: Path) -> Iterator[Shot]:
    clean = _read(root, record["clean_image"])
    made = _read(root, record["image"])
    changed = None if clean is None or made is None else difference(clean, made)
    form = "PNG" if record["medium"] == "png" else "float"
    yield Shot(None if clean is None else picture(clean), "the query", ("query",), must=True)
    caption = f"adversarial image ({form})"
    yield Shot(None if made is None else picture(made), "the adversarial image", (caption,), must=True)
    yield Shot(changed, "ten times the difference around grey", ("difference × 10",), must=True)


def _read(root: Path, name: str | None) -> Any:
    """A picture inside the audit's folder, and never one outside it."""
    if name is None:
        return None
    path = (root / name).resolve()
    return read_picture(path) if path.is_relative_to(root.resolve()) else None


def _item(record: Record, when: str, words: str, thumbnail: Thumbnail) -> Shot:
    """What came first, whether it is right, and the verdict."""
    item = record[f"{when}_item"]
    address = None if item is None else thumbnail_picture(thumbnail(record["system"], item))
    right = "a true item" if record[f"{when}_first"] else ("nothing" if item is None else "another item")
    verdict = record[f"{when}_verdict"]
    lines = (f"{words}: {right}", *([] if verdict is None else [verdict.replace("-", " ")]))
    return Shot(address, f"first match {words}", lines, item="" if item is None else item[:16])


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    yield "attack", f"{record['attack']}{source_name(record['source'])} to {_GOALS.get(record['goal'], record['goal'])}"
    yield "system", record["system"]
    yield "given", level(record["budget"], record["unit"])
    yield "RMSE", nearest_text(record["rmse"], decimals=2)
    yield "ℓ2", nearest_text(record["l2"], digits=3)
    yield "ℓ∞", f"{nearest_text(255 * record['linf'], decimals=1)}/255"
    if record["psnr"] is not None:
        yield "PSNR", f"{nearest_text(record['psnr'], decimals=1)} dB"
    radius = record["radius_verdict" if record["goal"] == "verdict" else "radius_top1"]
    yield "certified ℓ2 radius", "none" if radius is None else radius_text(radius, digits=3)
