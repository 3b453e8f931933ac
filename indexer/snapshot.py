"""Snapshots: the one JSON file that says what an index is, and the commit that replaces it in one step."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.errors import IndexStateError, IntegrityError, UsageError
from ..core.files import canonical_json, digest_json, sync_directory, write_atomically
from ..core.typed import check_types
from ..core.types import Score
from ..images.view_pairs import PairRule, check_looks, check_rules
from .lock import writing_now
from .row_codes import ROW_CODES

SCHEMA = "retr.index/1"
"""Every channel's rows are float32."""
SCHEMA_CODED = "retr.index/2"
"""As 1, and a channel may say how its ``rows`` are stored. Written only where one does: others keep their ids."""
SCHEMA_LOCAL = "retr.index/3"
"""As 2, and a threshold may be local. Written only where one is."""
SCHEMA_TOLD = "retr.index/4"
"""As 3, and the user may have told something of the items: labels, and which are one. Written only where so."""
SCHEMA_BLANK = "retr.index/5"
"""As 4, and some items have no direction: ``blank``. Written only where there are such."""
SCHEMA_SHARE = "retr.index/6"
"""As 5, and a threshold may be a share of each row's gap, by a reference set. Written only where one is."""
SCHEMA_RULES = "retr.index/7"
"""As 6, and there may be rules for some of the items. Written only where there are."""
SCHEMA_PAIRS = "retr.index/8"
"""As 7, and views of a query may be compared with stored views: ``pairs``. Written only where they are."""
SCHEMA_COMPANION = "retr.index/9"
"""As 8, and the last channel may be a companion: ``role``. Written only where one is: who does not know roles would
take its word for that of a certified channel."""
SCHEMA_LOOKS = "retr.index/10"
"""As 9, and the companion may look at views of a query of its own: ``looks``. Written only where it does."""
_SCHEMAS = (
    *(SCHEMA, SCHEMA_CODED, SCHEMA_LOCAL, SCHEMA_TOLD, SCHEMA_BLANK, SCHEMA_SHARE),
    *(SCHEMA_RULES, SCHEMA_PAIRS, SCHEMA_COMPANION, SCHEMA_LOOKS),
)
ANSWERS, COMPANION = "answers", "companion"
"""Roles of a channel: it answers by itself, or it may find copies beside channels that prove theirs (THEORY T11)."""
MOST_REACH = 2.0
"""A rule may let rows accept so many times as far as they would, and no farther."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A verdict threshold and where it comes from.

    Attributes:
        value: least cosine, or largest Euclidean distance, that counts as a copy. Of a local threshold, that of an
            ordinary row: it only compares channels.
        source: ``reference`` (the reference set alone), ``calibrated`` (on negatives too), ``leave-one-out`` (of an
            index that an older version made, from the gallery's own neighbours) or ``given``.
        fpr: the false-match rate per query that was aimed at, of all channels together; None where nobody measured
            the model.
        samples: how many images it was set on, or measured on.
        upper95: 95 % Clopper-Pearson upper limit on the false-match rate of all channels together; None if unknown.
        stale: calibrated before the gallery last changed: the value still serves, its bound speaks of another gallery.
        offset: makes the threshold local: a row accepts up to this angle in radians, or distance, beyond half of its
            gap (``indexer.gaps``). None: no such limit.
        gaps: SHA-256 of the file of gaps; None where no row has a threshold of its own.
        share: makes the threshold local: a row accepts within this part of its gap. None: no such limit.
        reference: SHA-256 of the reference set that the gaps were measured with; None without a share.
        neighbours: SHA-256 of the file that says what each gap was measured by; None without a share.
    """

    value: float
    source: str
    fpr: float | None
    samples: int
    upper95: float | None = None
    stale: bool = False
    offset: float | None = None
    gaps: str | None = None
    share: float | None = None
    reference: str | None = None
    neighbours: str | None = None

    @property
    def local(self) -> bool:
        """Whether every row has a threshold of its own."""
        return self.gaps is not None


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One embedder of an index, how its rows are compared (THEORY T9) and stored (``row_codes.ROW_CODES``).

    Its ``role`` is :data:`ANSWERS` or :data:`COMPANION`.
    """

    name: str
    spec: str
    pretrained: bool
    model_digest: str
    model_file: str | None
    certified: bool
    lipschitz: float | None
    score: Score
    dim: int
    threshold: Threshold | None = None
    rows: str = "float32"
    role: str = ANSWERS

    @property
    def is_companion(self) -> bool:
        """Whether it only finds what it cannot prove, beside channels that can."""
        return self.role == COMPANION

    @property
    def row_bytes(self) -> int:
        """Bytes that one stored row takes."""
        return self.dim * ROW_CODES[self.rows].width


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """An immutable group of rows and the SHA-256 of each of its files."""

    id: str
    rows: int
    items: int
    rejects: int
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is different for the items that fulfil a condition, by their labels and paths as the snapshot has them.

    Attributes:
        where: the condition, as for ``indexer.where.parse_condition``.
        reach: their rows accept so many times as far as they would; None for a negative bank: a match there silences
            all others, and its items are no matches themselves.
    """

    where: str
    reach: float | None = None

    @property
    def negative(self) -> bool:
        """Whether this makes a negative bank."""
        return self.reach is None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state of an index at one commit.

    Attributes:
        tombstones: segment id → ids of items in it whose rows are no part of the gallery that is searched.
        blank: those of them that are still items of the index: images without a direction, found by their pixels alone.
        labels: SHA-256 of the table of labels (``indexer.labels``); None where nothing is labelled.
        declared: SHA-256 of the table of pictures that were declared to be one item (``indexer.declared``); None where
            only equal pixels are.
        rules: for some of the items, each with another condition.
        pairs: which stored views each view of a query is compared with, and how strictly (THEORY T10); empty where a
            query is compared with every row, as it is.
        looks: what the companion compares, each rule with its one part; it stands in place of ``pairs`` for it. Empty
            where the companion is compared as ``pairs`` say.
    """

    policy: Mapping[str, Any]
    policy_digest: str
    views: str
    channels: tuple[ChannelSpec, ...]
    segments: tuple[SegmentInfo, ...] = ()
    tombstones: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parent: str | None = None
    created: str = ""
    labels: str | None = None
    declared: str | None = None
    blank: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    pairs: tuple[PairRule, ...] = ()
    looks: tuple[PairRule, ...] = ()

    @property
    def has_banks(self) -> bool:
        """Whether some rule makes a negative bank."""
        return any(rule.negative for rule in self.rules)

    @property
    def answering(self) -> int:
        """How many channels answer by themselves: the first ones. What comes after them are companions."""
        return sum(not channel.is_companion for channel in self.channels)

    def removed(self, segment: str) -> frozenset[str]:
        """Ids of a segment's items that were taken out of the index."""
        return frozenset(self.tombstones.get(segment, ())).difference(self.blank.get(segment, ()))

    @property
    def id(self) -> str:
        """16 hex digits of the digest of everything but the time of creation."""
        content = self.as_json()
        del content["id"], content["created"]
        return digest_json(content)[:16]

    @property
    def rows(self) -> int:
        """Stored rows, tombstoned ones included."""
        return sum(segment.rows for segment in self.segments)

    def as_json(self) -> dict[str, Any]:
        """The snapshot file's content."""
        body = {**_plain(self), "schema": _schema(self)}
        bare = {key: value for key, value in body.items() if key != "created"}
        return {"id": digest_json(bare)[:16], **body}


def _plain(snapshot: Snapshot) -> dict[str, Any]:
    told: dict[str, Any] = {name: digest for name in TOLD if (digest := getattr(snapshot, name)) is not None}
    blank = _plain_ids(snapshot.blank)
    return (
        told
        | ({"blank": blank} if blank else {})
        | ({"rules": [asdict(rule) for rule in snapshot.rules]} if snapshot.rules else {})
        | ({"pairs": [asdict(rule) for rule in snapshot.pairs]} if snapshot.pairs else {})
        | ({"looks": [asdict(rule) for rule in snapshot.looks]} if snapshot.looks else {})
        | {
            "policy": dict(snapshot.policy),
            "policy_digest": snapshot.policy_digest,
            "views": snapshot.views,
            "channels": [_plain_channel(channel) for channel in snapshot.channels],
            "segments": [{**asdict(s), "files": dict(s.files)} for s in snapshot.segments],
            "tombstones": _plain_ids(snapshot.tombstones),
            "parent": snapshot.parent,
            "created": snapshot.created,
        }
    )


def _plain_ids(by_segment: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {key: sorted(ids) for key, ids in sorted(by_segment.items()) if ids}


TOLD = ("labels", "declared")
"""What users tell of items: names of a snapshot's attributes, and of the folders that hold the tables."""


def _schema(snapshot: Snapshot) -> str:
    """The oldest that can say all of it: what an older version wrote keeps its id."""
    channels = snapshot.channels
    if snapshot.looks:
        return SCHEMA_LOOKS
    if snapshot.answering < len(channels):
        return SCHEMA_COMPANION
    if snapshot.pairs:
        return SCHEMA_PAIRS
    if snapshot.rules:
        return SCHEMA_RULES
    thresholds = [channel.threshold for channel in channels if channel.threshold is not None]
    if any(threshold.share is not None for threshold in thresholds):
        return SCHEMA_SHARE
    if any(snapshot.blank.values()):
        return SCHEMA_BLANK
    if any(getattr(snapshot, name) is not None for name in TOLD):
        return SCHEMA_TOLD
    if any(threshold.local for threshold in thresholds):
        return SCHEMA_LOCAL
    return SCHEMA_CODED if any(channel.rows != "float32" for channel in channels) else SCHEMA


def _plain_channel(channel: ChannelSpec) -> dict[str, Any]:
    body = asdict(channel)
    if channel.threshold is not None and channel.threshold.share is None:
        del body["threshold"]["share"], body["threshold"]["reference"], body["threshold"]["neighbours"]
        if not channel.threshold.local:
            del body["threshold"]["offset"], body["threshold"]["gaps"]
    usual = {"rows": "float32", "role": ANSWERS}
    return {key: value for key, value in body.items() if key not in usual or value != usual[key]}


def parse_snapshot(data: Mapping[str, Any]) -> Snapshot:
    """Inverse of ``Snapshot.as_json``.

    Raises:
        IntegrityError: unknown schema, a missing field, or an id that does not match the content.
    """
    if not isinstance(data, Mapping):
        raise IntegrityError(f"the snapshot file is damaged: it holds {type(data).__name__}, no object")
    if data.get("schema") not in _SCHEMAS:
        known = f"{', '.join(map(repr, _SCHEMAS[:-1]))} and {_SCHEMAS[-1]!r}"
        raise IntegrityError(f"this index has schema {data.get('schema')!r}; this version of retr reads {known}")
    try:
        snapshot = _build(data)
        found = snapshot.id  # not to be had of what JSON cannot say, such as NaN
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(f"the snapshot file is damaged: {type(error).__name__}: {error}") from error
    if found != data.get("id"):
        raise IntegrityError(f"the snapshot file was altered: its content is {found}, it says {data.get('id')!r}")
    return snapshot


def _build(data: Mapping[str, Any]) -> Snapshot:
    """What the JSON says, with every type checked, and every name that becomes part of a path."""
    snapshot = Snapshot(
        policy=data["policy"],
        policy_digest=data["policy_digest"],
        views=data["views"],
        channels=tuple(map(_build_channel, data["channels"])),
        segments=tuple(map(_build_segment, data["segments"])),
        tombstones={key: tuple(ids) for key, ids in data["tombstones"].items()},
        parent=data["parent"],
        created=data["created"],
        labels=data.get("labels"),
        declared=data.get("declared"),
        blank={key: tuple(ids) for key, ids in data.get("blank", {}).items()},
        rules=tuple(Rule(**rule) for rule in data.get("rules", ())),
        pairs=tuple(map(_build_rule, data.get("pairs", ()))),
        looks=tuple(map(_build_rule, data.get("looks", ()))),
    )
    check_types(snapshot)
    check_roles(snapshot.channels)
    check_rules(snapshot.pairs, len(snapshot.channels))
    check_looks(snapshot.looks)
    _must(not snapshot.looks or snapshot.answering < len(snapshot.channels), "looks of no companion", snapshot.looks)
    _must(snapshot.parent is None or _ID.fullmatch(snapshot.parent), "parent", snapshot.parent)
    if snapshot.created:  # no part of the id: this much is known of it
        datetime.fromisoformat(snapshot.created)
    for key, ids in snapshot.blank.items():
        _must(set(ids) <= set(snapshot.tombstones.get(key, ())), "blank items that are searched in", key)
    for rule in snapshot.rules:
        check_types(rule)
        _must(rule.reach is None or 0.0 < rule.reach <= MOST_REACH, "a rule with reach", rule.reach)
    _must(len({rule.where for rule in snapshot.rules}) == len(snapshot.rules), "rules of one condition", snapshot.rules)
    for name in TOLD:
        digest = getattr(snapshot, name)
        _must(digest is None or _DIGEST.fullmatch(digest), name, digest)
    return snapshot


def check_roles(channels: Sequence[ChannelSpec]) -> None:
    """Refuse companions that no tier can be made of (THEORY T11).

    Raises:
        UsageError: more than one, one that is not the last channel, or one beside a channel that proves nothing.
    """
    companions = [channel.name for channel in channels if channel.is_companion]
    if not companions:
        return
    answering = channels[: -len(companions)]
    if len(companions) > 1:
        raise UsageError(f"an index has one companion at most, got {' and '.join(companions)}")
    if any(channel.is_companion for channel in answering):
        raise UsageError(f"the companion {companions[0]} must be the last channel")
    unproved = [channel.name for channel in answering if not channel.certified]
    if unproved or not answering:
        beside = f"beside {unproved[0]}, which is uncertified" if unproved else "alone"
        raise UsageError(f"the companion {companions[0]} cannot stand {beside}: it is asked after channels that prove")


def _floats(numbers: Sequence[float]) -> tuple[float, ...]:
    return tuple(map(float, numbers))


def _build_rule(data: Mapping[str, Any]) -> PairRule:
    rule = PairRule(
        **{**data, "gallery": tuple(data["gallery"]), "parts": _floats(data["parts"]), "least": _floats(data["least"])}
    )
    check_types(rule)
    return rule


def _build_channel(data: Mapping[str, Any]) -> ChannelSpec:
    threshold = data.get("threshold")
    channel = ChannelSpec(**{**data, "threshold": None if threshold is None else Threshold(**threshold)})
    check_types(channel)
    _must(channel.rows in ROW_CODES, "rows of type", channel.rows)
    _must(channel.dim > 0, "rows of length", channel.dim)
    _must(channel.role in (ANSWERS, COMPANION), "a channel of role", channel.role)
    _must(channel.model_file is None or _MODEL.fullmatch(channel.model_file), "model_file", channel.model_file)
    local = channel.threshold
    if local is not None:
        check_types(local)
        limited = local.offset is not None or local.share is not None
        _must(limited == local.local, "a part of the gaps without gaps, or gaps without", local.gaps)
        for name in ("reference", "neighbours"):
            _must((local.share is None) == (getattr(local, name) is None), "a share of the gaps with", name)
        _must(local.share is None or 0.0 < local.share < 1.0, "a share of", local.share)
        for name in ("gaps", "reference", "neighbours"):
            digest = getattr(local, name)
            _must(digest is None or _DIGEST.fullmatch(digest), name, digest)
    return channel


def _build_segment(data: Mapping[str, Any]) -> SegmentInfo:
    segment = SegmentInfo(**data)
    check_types(segment)
    _must(_ID.fullmatch(segment.id), "segment", segment.id)
    for name in ("rows", "items", "rejects"):
        _must(getattr(segment, name) >= 0, name, getattr(segment, name))
    for name, digest in segment.files.items():
        _must(_NAME.fullmatch(name) and _DIGEST.fullmatch(digest), "file", name)
    return segment


_ID = re.compile("[0-9a-f]{16}")
_DIGEST = re.compile("[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MODEL = re.compile(r"models/[0-9a-f]{16}(\.[^/\\]*)?")


def _must(good: object, what: str, value: object) -> None:
    if not good:
        raise ValueError(f"{what} {value!r}")


def current_id(index: Path) -> str | None:
    """Id of the committed snapshot of an index folder, or None where nothing was ever committed; reads one line.

    Raises:
        IntegrityError: CURRENT is damaged.
    """
    pointer = index / "CURRENT"
    try:
        name = pointer.read_text("ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{pointer} cannot be read: {error}") from error
    if not _ID.fullmatch(name):
        raise IntegrityError(f"{pointer} is damaged: {name[:32]!r} is no id of a snapshot")
    return name


def read_current(index: Path) -> Snapshot | None:
    """The committed snapshot of an index folder, or None where nothing was ever committed.

    Raises:
        IntegrityError: CURRENT is damaged, or names a snapshot that is missing or damaged.
    """
    name = current_id(index)
    return None if name is None else read_snapshot(index, name)


def read_snapshot(index: Path, name: str) -> Snapshot:
    """One snapshot by its id.

    Raises:
        IntegrityError: it is missing or damaged.
    """
    file = index / "snapshots" / f"{name}.json"
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise IntegrityError(f"snapshot {name!r} is named, and {file} does not exist") from error
    except OSError as error:
        raise IntegrityError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{file} is not JSON: {error}") from error
    snapshot = parse_snapshot(data)
    if snapshot.id != name:
        raise IntegrityError(f"{file} holds snapshot {snapshot.id}: another file was put in its place")
    return snapshot


def require_current(index: Path) -> Snapshot:
    """As :func:`read_current`, but an index must be there.

    Raises:
        IndexStateError: there is none, or only an unfinished first run.
    """
    snapshot = read_current(index)
    if snapshot is not None:
        return snapshot
    writer = writing_now(index)
    if writer is not None:
        raise IndexStateError(f"{index} is being written for the first time by {writer}: nothing is committed yet")
    if (index / "staging").exists():
        raise IndexStateError(f"{index} holds an unfinished first run; finish it: retr index CORPUS --resume")
    raise IndexStateError(f"no index at {index}; make one with: retr index CORPUS -o {index}, or name it with -i")


def find_snapshot(index: Path, name: str | None) -> Snapshot:
    """The snapshot of an id, or of the digits that it alone begins with; the current one for None.

    Raises:
        IndexStateError: there is no index.
        UsageError: no such snapshot, or several.
        IntegrityError: it is damaged.
    """
    if name is None:
        return require_current(index)
    require_current(index)
    found = [one for one in snapshot_ids(index) if one.startswith(name)] if name else []
    if len(found) != 1:
        held = "no snapshot" if not found else f"{len(found)} snapshots"
        raise UsageError(f"{index} holds {held} of id {name!r}; list them with: retr snapshots")
    return read_snapshot(index, found[0])


def snapshot_ids(index: Path) -> list[str]:
    """Ids of all snapshots that are there, in no order that means anything."""
    return sorted(file.stem for file in (index / "snapshots").glob("*.json") if _ID.fullmatch(file.stem))


def commit(index: Path, snapshot: Snapshot) -> Snapshot:
    """Make a snapshot the current one: write and sync it, then swap CURRENT. A kill leaves the old one or the new."""
    dated = _dated(snapshot)
    folder = index / "snapshots"
    folder.mkdir(exist_ok=True)
    file = folder / f"{dated.id}.json"
    if not file.exists():
        write_atomically(file, canonical_json(dated.as_json()) + b"\n")
    write_atomically(index / "CURRENT", dated.id.encode() + b"\n")
    sync_directory(index)
    return dated


def _dated(snapshot: Snapshot) -> Snapshot:
    return snapshot if snapshot.created else replace(snapshot, created=datetime.now(UTC).isoformat(timespec="seconds"))


def stored_files(index: Path, snapshot: Snapshot) -> Iterator[tuple[Path, str]]:
    """Every file that a snapshot names by its SHA-256, with that: those of its segments, and gaps of its thresholds.

    Models have digests of another kind, which are looked at whenever they are loaded.
    """
    for segment in snapshot.segments:
        for name, digest in segment.files.items():
            yield index / "segments" / segment.id / name, digest
    for place in (gaps_file, neighbours_file):
        kind = place.__name__.removesuffix("_file")
        named = {getattr(channel.threshold, kind) for channel in snapshot.channels if channel.threshold is not None}
        for digest in sorted(named - {None}, key=str):
            yield place(index, str(digest)), str(digest)
    for name in TOLD:
        digest = getattr(snapshot, name)
        if digest is not None:
            yield told_file(index, name, digest), digest


def gaps_file(index: Path, digest: str) -> Path:
    """Where a file of gaps is; those of 0.1.0 are Parquet."""
    plain, old = (index / "gaps" / f"{digest}{suffix}" for suffix in (".bin", ".parquet"))
    return old if old.exists() and not plain.exists() else plain


def told_file(index: Path, kind: str, digest: str) -> Path:
    """Where a table of ``TOLD`` is: plain JSON, and once Parquet."""
    plain, table = (index / kind / f"{digest}{suffix}" for suffix in (".json", ".parquet"))
    return table if table.exists() else plain


def neighbours_file(index: Path, digest: str) -> Path:
    """Where the file is that says what gaps were measured by."""
    return index / "gaps" / f"{digest}.neighbours.parquet"
