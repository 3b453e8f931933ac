"""Which adversarial images are kept: those asked for, and a few of the most telling for the report's gallery."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

from PIL import Image

from ...core.rounded import budget_text
from ..shared.attacking import is_kept, keep
from ..shared.plans import Keep
from .cases import Case

IMAGES = "images"
"""Folder of what ``--keep`` asks for."""
GALLERY = "gallery"
"""Folder of the most telling images."""
WORK = "work"
"""Folder of images that are being judged."""

Record = dict[str, Any]
Slot = tuple[str, ...]


@dataclass(frozen=True)
class Shot:
    """A record, and the saved image that it speaks of.

    Attributes:
        case: what was attacked.
        attacked: name of the system that it was made on.
        file: where it lies until the attack's folder is deleted.
    """

    record: Record
    case: Case
    attacked: str
    file: Path


def keep_shots(shots: Sequence[Shot], folder: Path, work: Path, *, kept: Keep, gallery: bool) -> None:
    """Save what a batch's records shall keep, and say so in them.

    Args:
        shots: of one batch; those of one attack on one case stand together.
        folder: the audit's.
        work: a folder of this thread's that is deleted afterwards.
        kept: which to keep in ``images``.
        gallery: whether to keep the most telling of the others in ``gallery``.
    """
    left: list[Shot] = []
    for _, group in groupby(shots, key=_attack_of):
        same = list(group)
        if is_kept(kept, alarm=any(shot.record["alarm"] for shot in same)):
            for shot in same:
                _save(shot, folder, IMAGES, work)
        else:
            left += same
    if gallery:
        best = best_of([shot.record for shot in left])
        for shot in left:
            if any(shot.record is record for record in best):
                _save(shot, folder, GALLERY, work)


def _attack_of(shot: Shot) -> tuple[object, ...]:
    """What the images of one attack on one case have in common, within a batch of one attack's runs."""
    return shot.case.stem, shot.attacked, shot.record["goal"], shot.record["budget"]


def _save(shot: Shot, folder: Path, place: str, work: Path) -> None:
    """Copy an image and its query into a folder of the audit's, under names that say what they are."""
    record, stem = shot.record, shot.case.stem
    (folder / place).mkdir(exist_ok=True)
    made_on = [word(shot.attacked)] if record["source"] is None else [word(shot.attacked), "on", word(record["system"])]
    words = [stem, *made_on, record["goal"], record["attack"], budget_text(record["budget"]), record["unit"]]
    keep(shot.file, folder / place / f"{'-'.join(words)}{shot.file.suffix}", work)
    record["image"] = f"{place}/{'-'.join(words)}{shot.file.suffix}"
    query = folder / place / f"{stem}-clean.png"
    if not query.exists():
        made = work / query.name
        Image.fromarray(shot.case.pixels, mode="RGB").save(made, format="PNG", compress_level=1)
        keep(made, query, work)
    record["clean_image"] = f"{place}/{query.name}"


def word(name: str) -> str:
    """A system's name as part of a file name."""
    return re.sub(r"[^A-Za-z0-9._]+", "_", name)


def slot_of(record: Mapping[str, Any]) -> Slot | None:
    """Where an image competes: system, source, goal and attack for a success; the system alone for a failure.

    None for what shows nothing: no PNG, no change, an item lost that was not found before, an attack that sees no loss
    to tell how near it came.
    """
    if record["medium"] != "png" or record["l2"] == 0.0 or record["goal"] in ("clean", "embedding"):
        return None
    if record["goal"] in ("evasion", "rank10") and not record["clean_first"]:
        return None
    if record["success"]:
        return record["system"], record["source"] or "", record["goal"], record["attack"]
    told = record["best_loss"] is not None and record["sees"] != "decision" and record["source"] is None
    return (record["system"],) if told else None


def telling(record: Mapping[str, Any]) -> float:
    """How telling an image is within its slot: a smaller winning change, or a failure that came nearer."""
    return -record["rmse"] if record["success"] else record["best_loss"]


class Showcase:
    """The best image of every slot so far; the others' files are deleted.

    Args of the constructor:
        folder: the audit's; images are in its folder ``gallery``.
        most: how many are shown in the end.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._best: dict[Slot, Record] = {}

    def offer(self, records: Iterable[Record]) -> None:
        """Take images in, in the order of the records; those that lose their place lose ``image`` too."""
        for record in records:
            slot = slot_of(record) if in_gallery(record) else None
            if slot is None:
                continue
            held = self._best.get(slot)
            if held is not None and telling(held) >= telling(record):
                self._drop(record)
                continue
            self._best[slot] = record
            if held is not None:
                self._drop(held)

    def chosen(self) -> list[Record]:
        """Those to show: from every system in turn its smallest winning changes, or the failure that came nearest."""
        systems: dict[str, list[Record]] = {}
        for record in sorted(self._best.values(), key=lambda one: (not one["success"], -telling(one))):
            row = systems.setdefault(record["system"], [])
            if record["success"] or not row:
                row.append(record)
        turns = zip_longest(*(systems[name] for name in sorted(systems)))
        return [record for turn in turns for record in turn if record is not None][: self._most]

    def close(self) -> set[str]:
        """Delete what is not shown, and the queries it came from; the files that are left."""
        shown = {record[name] for record in self.chosen() for name in ("image", "clean_image")}
        keep_only(self._folder, GALLERY, shown)
        return shown

    def _drop(self, record: Record) -> None:
        (self._folder / record["image"]).unlink(missing_ok=True)
        record["image"] = record["clean_image"] = None


def in_gallery(record: Mapping[str, Any]) -> bool:
    """Whether the record's image was kept for the gallery."""
    return record["image"] is not None and record["image"].startswith(f"{GALLERY}/")


def best_of(records: Sequence[Record]) -> list[Record]:
    """Of one batch the most telling record of every slot; no image of the others need be kept."""
    best: dict[Slot, Record] = {}
    for record in records:
        slot = slot_of(record)
        if slot is not None and (slot not in best or telling(record) > telling(best[slot])):
            best[slot] = record
    return list(best.values())


def keep_only(folder: Path, name: str, wanted: set[str]) -> None:
    """Delete the files of a folder inside the audit's that no record names, and the folder if that leaves it empty."""
    place = folder / name
    if not place.is_dir():
        return
    for file in place.iterdir():
        if f"{name}/{file.name}" not in wanted:
            file.unlink()
    if not any(place.iterdir()):
        place.rmdir()
