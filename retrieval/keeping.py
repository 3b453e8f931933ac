"""What becomes of the files of a group: which one stays, and what is done with the others. Nothing is ever deleted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, count
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.files import canonical_json, sha256_file
from ..core.progress import Progress
from ..indexer.addresses import absolute_text, is_url, path_to_text, split_address, text_to_path
from ..indexer.declared import declared_of, joined
from ..indexer.dismissed import dismiss
from ..indexer.held import read_held
from ..indexer.snapshot import require_current
from ..indexer.writer import Writer
from .duplicates import Group, Member
from .grouping import pair_of

LOSSLESS = frozenset({"PNG", "BMP", "TIFF"})
MANIFEST = "moved.jsonl"
RULES: dict[str, Any] = {
    "best": lambda m: (-m.width * m.height, m.format not in LOSSLESS, -m.bytes, m.mtime_ns),
    "oldest": lambda m: (m.mtime_ns,),
    "largest": lambda m: (-m.bytes,),
    "shortest-path": lambda m: (len(m.path),),
}
"""What ``--keep`` names: the file with the least of these stays; of equals the one whose path comes first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user wants.

    Attributes:
        keep: a key of :data:`RULES`; None where nothing is to be done.
        move: folder that the others go to.
        hardlink: make those with the same bytes links to the one that stays.
        rehearse: say what would be done, and change nothing.
    """

    keep: str | None = None
    move: Path | None = None
    hardlink: bool = False
    rehearse: bool = False

    @property
    def acts(self) -> bool:
        """Whether files are to be touched."""
        return self.move is not None or self.hardlink


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a file, in words; failed where it was left although it was to go."""

    words: str
    failed: bool = False


def check_plan(plan: Plan) -> Plan:
    """The plan as it is.

    Raises:
        UsageError: it contradicts itself.
    """
    if plan.keep is not None and plan.keep not in RULES:
        raise UsageError(f"a file is kept by {', '.join(RULES)}, not by {plan.keep!r}")
    if plan.acts and plan.keep is None:
        raise UsageError("say which file of a group stays: --keep " + ", ".join(RULES))
    if plan.move is not None and plan.hardlink:
        raise UsageError("the others are moved or linked, not both: --move, --hardlink")
    return plan


def carry_out(groups: Sequence[Group], plan: Plan) -> dict[str, Fate]:
    """Do it, file by file; what cannot be done is said and the rest goes on.

    A reference stays always. A file whose bytes are no longer those that were indexed is left alone.

    Returns:
        Path → fate, of all members; empty where no rule was given.
    """
    fates: dict[str, Fate] = {}
    for group in groups if plan.keep is not None else ():
        kept = kept_of(group, str(plan.keep))
        for member in group.members:
            if member is kept or member.role == "reference":
                fates[member.path] = Fate("stays")
            else:
                fates[member.path] = _done(member, kept, plan)
    return fates


def kept_of(group: Group, rule: str) -> Member:
    """The file that stays: by the rule, among the references where there are any."""
    references = [one for one in group.members if one.role == "reference"]
    return min(references or group.members, key=lambda one: (*RULES[rule](one), one.path))


def _done(member: Member, kept: Member, plan: Plan) -> Fate:
    if plan.hardlink:
        if member.bytes_sha256 != kept.bytes_sha256:
            return Fate("left: its bytes are others than those of the file that stays")
        words, act = f"a link to {kept.path}", _link
    elif plan.move is not None:
        words, act = f"moved to {plan.move}", _move
    else:
        return Fate(f"a copy of {kept.path}")
    if plan.rehearse:
        return Fate(f"would be {words}")
    try:
        for one in (member, kept):
            _check(one)
        return Fate(act(member, kept, plan))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return Fate(f"left: {why}", failed=True)


def _check(member: Member) -> None:
    """Whether the file is the one that was indexed: another might be no copy of anything."""
    if is_url(member.path) or split_address(member.path) is not None:
        raise ValueError(f"{member.path} is no file of its own, and stays where it is")
    path = text_to_path(member.path)
    if not path.is_file():
        raise ValueError(f"{member.path} is no file of its own any more")
    if sha256_file(path) != member.bytes_sha256:
        raise ValueError(f"{member.path} has changed since it was indexed")


def _move(member: Member, kept: Member, plan: Plan) -> str:
    assert plan.move is not None
    source = text_to_path(member.path)
    plan.move.mkdir(parents=True, exist_ok=True)
    target = _free(plan.move / source.name)
    line = {"from": member.path, "to": path_to_text(os.path.abspath(target)), "copy_of": kept.path}
    with (plan.move / MANIFEST).open("ab") as manifest:
        manifest.write(canonical_json(line | {"at": datetime.now(UTC).isoformat(timespec="seconds")}) + b"\n")
        manifest.flush()
        os.fsync(manifest.fileno())
    shutil.move(source, target)
    return f"moved to {path_to_text(target)}"


def _free(target: Path) -> Path:
    """A name in that folder that no file has; only the last part of a catalog's path is ever used."""
    if not os.path.lexists(target):
        return target
    names = (target.with_name(f"{target.stem}-{number}{target.suffix}") for number in count(2))
    return next(name for name in names if not os.path.lexists(name))


def _link(member: Member, kept: Member, plan: Plan) -> str:  # noqa: ARG001 - as _move
    target, source = text_to_path(member.path), text_to_path(kept.path)
    if target.is_symlink():
        raise ValueError(f"{member.path} is a symbolic link")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.link")
    try:
        os.link(source, temporary, follow_symlinks=True)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return f"a link to {kept.path}"


def dismiss_files(index: Path, names: Sequence[str]) -> int:
    """Remember that some files are no duplicates of each other; returns how many pairs are new.

    Raises:
        UsageError: fewer than two pictures, one that the index does not hold, or two that were declared one item.
    """
    snapshot = require_current(index)
    held, one_item = read_held(index, snapshot), declared_of(index, snapshot)
    digests = list(dict.fromkeys(_pixels(held.table, name, index) for name in names))
    if len(digests) < 2:
        raise UsageError("name two files at least that show different pixels: --dismiss A --dismiss B")
    if len({one_item.get(digest, digest) for digest in digests}) < len(digests):
        raise UsageError(
            "some of these were declared one item; first take back what was declared: retr dupes --withdraw"
        )
    pairs = [pair_of(one.encode(), other.encode()) for one, other in combinations(digests, 2)]
    return dismiss(index, pairs)


def declare_files(index: Path, names: Sequence[str], progress: Progress | None = None) -> None:
    """Make some files one item, beside what was declared before.

    Args:
        index: the index folder.
        names: paths, two at least.
        progress: told while gaps are measured.

    Raises:
        UsageError: fewer than two pictures, or one that the index does not hold.
    """
    with Writer(index, progress=progress) as writer:
        digests = dict.fromkeys(_pixels(writer.held.table, name, index) for name in names)
        if len(digests) < 2:
            raise UsageError("name two files at least that show different pixels: --same A --same B")
        writer.declare(joined(declared_of(index, writer.snapshot), [list(digests)]))


def _pixels(table: Any, name: str, index: Path) -> str:
    """Of the file of that path, else of the item of that id."""
    wanted, columns = {name, absolute_text(name)}, table.select(["path", "id", "pixels_sha256"]).to_pydict()
    for places in ("path", "id"):
        for place, pixels in zip(columns[places], columns["pixels_sha256"], strict=True):
            if place in wanted:
                return pixels
    raise UsageError(f"{index} holds no item of the path or id {name!r}")


def read_manifest(folder: Path) -> list[Mapping[str, Any]]:
    """What was moved to a folder, in order."""
    return [json.loads(line) for line in (folder / MANIFEST).read_bytes().splitlines()]
