"""What a run of the indexer is asked to do, and what it reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from ..core.errors import UsageError
from ..images.looks import MEASURED_FOR, looks_for, seen_by
from ..images.policy import DecodePolicy
from ..images.view_pairs import VIEW_CLASSES, PairRule, rules_for, with_companion
from ..images.views import STORED_NAMES, VIEW_ROWS, VIEW_SETS, view_set
from .labels import check_name
from .models import describe_channel, told_apart
from .row_codes import find_code
from .snapshot import COMPANION, ChannelSpec, Snapshot, check_roles
from .writer import SEGMENT_ROWS

DEFAULT_MODELS = ("block-means", "retr_s")
"""Two channels: each finds copies that the other misses (THEORY T9)."""


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """What the user asked for; None means what the index already has, else the default.

    Attributes:
        models: embedder specs, one per channel.
        companion: spec of an uncertified embedder that finds copies beside them, and proves nothing (THEORY T11).
        looks: whether it looks at parts and turns of a query, too (``images.looks``); None: if it is the one that they
            were measured for.
        views: a name of ``images.views.VIEW_SETS``.
        rows: how rows are stored: a key of ``row_codes.ROW_CODES``; the default is that of the view set.
        policy: how images are decoded.
        pretrained: whether foreign backbones fetch their published weights.
        workers: threads that decode, resize and embed.
        batch_size: files stored at once, and embedded at once on a GPU.
        segment_rows: rows after which a segment is sealed and a new one begun.
        prune: forget items whose file is no longer in the (folder) corpus; refused where they are more than half of
            what the index holds of that folder.
        prune_all: forget them however many they are, also where the corpus lists nothing.
        resume: go on with an unfinished run.
        restart: drop an unfinished run.
        device: where bulk embedding runs: ``auto``, ``cpu`` or ``cuda`` (every one that there is).
        labels: (key, value) that every file of the corpus gets, those that are unchanged too.
        label_file: a CSV file of labels, see ``labels.read_label_file``.
        id_from: what becomes the user's id of a file: a key of ``labels.NAMES``; None for none.
        isolate: decode in processes that can be killed (``images.isolated``), for files from strangers.
    """

    models: tuple[str, ...] | None = None
    companion: str | None = None
    looks: bool | None = None
    views: str | None = None
    rows: str | None = None
    policy: DecodePolicy | None = None
    pretrained: bool = True
    workers: int = 2
    batch_size: int = 64
    segment_rows: int = SEGMENT_ROWS
    prune: bool = False
    prune_all: bool = False
    resume: bool = False
    restart: bool = False
    device: str = "auto"
    labels: tuple[tuple[str, str], ...] = ()
    label_file: Path | None = None
    id_from: str | None = None
    isolate: bool = False


@dataclass
class IndexReport:
    """What one run did. ``seen = indexed + skipped + rejected`` always holds.

    Attributes:
        indexed: files whose rows this run stored (``recovered`` of them before an interruption).
        skipped: files already stored and unchanged, or listed twice.
        rejected: files refused; the reasons are in the catalog's rejects.
        replaced: files whose older content was replaced.
        pruned: items forgotten because their file is gone.
        dropped: items forgotten because their file holds no acceptable image any more; it is among the rejected.
        presumed: items that seem to be copies of others (``indexer.gaps``), in ``presumed_groups`` groups; ``retr info
            --presumed`` lists them.
        crowded: items that accept only very near queries, because another item is near and is no presumed copy
            (``indexer.presumed``); ``retr info --crowded`` lists them.
        labelled: files that the index holds and that this run told something of.
        strangers: files that the file of labels names, and the index does not hold.
        notes: (path, what is wrong with it) of files that are indexed all the same; see ``images.decode.NOTES``.
        seconds: share of work by stage; decode, resize and embed are summed over workers.
    """

    index: str
    snapshot: str = ""
    seen: int = 0
    indexed: int = 0
    recovered: int = 0
    skipped: int = 0
    rejected: int = 0
    replaced: int = 0
    pruned: int = 0
    dropped: int = 0
    labelled: int = 0
    strangers: int = 0
    rows: int = 0
    items: int = 0
    presumed: int = 0
    presumed_groups: int = 0
    crowded: int = 0
    wall_s: float = 0.0
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("decode", "resize", "embed", "write"), 0.0)
    )
    reasons: dict[str, int] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)


def check_options(options: IndexOptions) -> None:
    """Refuse options that contradict each other or are out of range.

    Raises:
        UsageError: naming the option and its value.
    """
    if options.resume and options.restart:
        raise UsageError("resume and restart exclude each other (--resume, --restart)")
    for name in ("workers", "batch_size", "segment_rows"):
        if getattr(options, name) < 1:
            raise UsageError(f"{name} must be at least 1, got {getattr(options, name)}")
    if options.views is not None and options.views not in VIEW_SETS:
        raise UsageError(f"unknown view set {options.views!r}; choose {', '.join(VIEW_SETS)}")
    if options.rows is not None:
        find_code(options.rows)
    if options.id_from is not None:
        check_name(options.id_from)


def choose_devices(options: IndexOptions) -> tuple[str, ...]:
    """Resolve ``auto``, ``cpu`` or ``cuda`` for bulk embedding: every CUDA device that torch sees, or the processor.

    Raises:
        UsageError: another word, or cuda where torch sees no device.
    """
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda: torch sees no CUDA device")
    if options.device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {options.device!r}; choose auto, cpu or cuda")
    if options.device == "cpu" or not torch.cuda.is_available():
        return ("cpu",)
    return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))


def template(current: Snapshot | None, options: IndexOptions) -> Snapshot:
    """The snapshot whose channels, views and policy a run works with: the current one, or a new empty one.

    Raises:
        UsageError: the options ask for something else than the index holds.
    """
    if current is None:
        views = options.views or "none"
        rows, specs = options.rows or VIEW_ROWS[views], options.models or DEFAULT_MODELS
        channels = [describe_channel(spec, options.pretrained, rows=rows) for spec in specs]
        if options.companion is not None:
            channels.append(describe_companion(options.companion, options.pretrained, rows=rows))
        channels = told_apart(channels)
        _check_channels(channels)
        policy = options.policy or DecodePolicy()
        stored, pairs = STORED_NAMES.get(views, views), pairs_of(views, channels)
        looks = looks_of(views, channels, options.looks)
        return Snapshot(policy.as_json(), policy.digest, stored, channels, pairs=pairs, looks=looks)
    asked = None if options.views is None else STORED_NAMES.get(options.views, options.views)
    if asked not in (None, current.views):
        raise UsageError(f"this index stores views {current.views!r}, not {asked!r}; use another index")
    held = {channel.rows for channel in current.channels}
    if options.rows is not None and held != {options.rows}:
        raise UsageError(f"this index stores {', '.join(sorted(held))} rows, not {options.rows}; use another index")
    if options.policy is not None:
        _check_policy(current, options.policy)
    if options.models is not None:
        models = tuple(describe_channel(spec, options.pretrained) for spec in options.models)
        answering = current.channels[: current.answering]
        if [c.model_digest for c in models] != [c.model_digest for c in answering]:
            names = ", ".join(c.name for c in answering)
            raise UsageError(f"this index holds {names}, not {', '.join(options.models)}; use another index")
    if options.companion is not None:
        _check_companion(current, options.companion, options)
    if options.looks not in (None, bool(current.looks)):
        held = "looks at parts and turns of a query" if current.looks else "compares the query as it is"
        raise UsageError(f"the companion of this index {held}; use another index")
    return current


def describe_companion(spec: str, pretrained: bool, *, rows: str) -> ChannelSpec:
    """The channel of a companion, as ``models.describe_channel`` makes others.

    Raises:
        UsageError: it is certified, and would be asked without what it can prove.
    """
    channel = describe_channel(spec, pretrained, rows=rows)
    if channel.certified:
        raise UsageError(f"{channel.name} is certified: give it as a model, and what it finds is proved")
    return replace(channel, role=COMPANION)


def _check_companion(current: Snapshot, spec: str, options: IndexOptions) -> None:
    held = [channel for channel in current.channels if channel.is_companion]
    if not held:
        raise UsageError(f"this index has no companion, and its images were not seen by {spec}; make another index")
    if describe_companion(spec, options.pretrained, rows="float32").model_digest != held[0].model_digest:
        raise UsageError(f"the companion of this index is {held[0].name}, not {spec}; use another index")


def pairs_of(views: str, channels: Sequence[ChannelSpec]) -> tuple[PairRule, ...]:
    """What the set's views are compared with. Views of a query are ranked by margins, which need a proved constant.

    A companion goes by its own looks (:func:`looks_of`); where it has none, it compares the query with items as they
    are.
    """
    answering = [channel for channel in channels if not channel.is_companion]
    if not all(channel.certified for channel in answering):
        return ()
    rules = rules_for(VIEW_CLASSES.get(views, ()), [channel.spec for channel in answering])
    for _ in range(len(channels) - len(answering)):
        rules = tuple(with_companion(rule) for rule in rules)
    return rules


def looks_of(views: str, channels: Sequence[ChannelSpec], asked: bool | None = None) -> tuple[PairRule, ...]:
    """What a companion looks at beside the query itself; nothing where there is none, or it was not asked for.

    Raises:
        UsageError: asked for without a companion, or beside stored views that nobody chose them for.
    """
    held = [channel for channel in channels if channel.is_companion]
    looks = looks_for(views, [view.name for view in VIEW_SETS[views]])
    if asked and not held:
        raise UsageError("looks are a companion's: name a companion too")
    if asked and not looks:
        raise UsageError(f"no looks are known beside the views {views!r}: a companion compares the query as it is")
    wanted = any(channel.spec == MEASURED_FOR for channel in held) if asked is None else asked
    return looks if wanted else ()


def partly_seeing(snapshot: Snapshot) -> dict[int, int]:
    """By the number of a companion how many views it sees, from the first: with the others no query is compared."""
    if not snapshot.pairs and not snapshot.looks:
        return {}
    stored = [view.name for view in view_set(snapshot.views)]
    seen = seen_by(snapshot.looks, stored)
    return {number: seen for number, channel in enumerate(snapshot.channels) if channel.is_companion}


def _check_policy(current: Snapshot, asked: DecodePolicy) -> None:
    """An index keeps the rules that it was made by; the limits asked for must be its own."""
    same = asked.under_rules(int(current.policy.get("version", 0)) or asked.version)
    if current.policy_digest != same.digest:
        held = f"{current.policy_digest[:16]} (max_pixels {current.policy.get('max_pixels')})"
        raise UsageError(
            f"this index was built with the decode policy {held}, not {same.digest[:16]} "
            f"(max_pixels {same.max_pixels}); use another index"
        )


def _check_channels(channels: Sequence[ChannelSpec]) -> None:
    """Several channels are ranked by their margins in pixels, which only a proved constant can give (THEORY T9)."""
    digests = [channel.model_digest for channel in channels]
    answering = [channel for channel in channels if not channel.is_companion]
    uncertified = [channel.name for channel in answering if not channel.certified]
    check_roles(channels)
    if len(answering) > 1 and uncertified:
        raise UsageError(
            f"{uncertified[0]} is uncertified: it can be the one channel of an index, or a companion of certified ones"
        )
    if len(set(digests)) < len(digests):
        raise UsageError(f"the same model is named twice: {', '.join(channel.name for channel in channels)}")
