"""The index of a copy benchmark: a gallery that is queried and distractors beside it; kept for the next run."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from ...core.errors import IntegrityError
from ...core.files import canonical_json, digest_json, write_atomically
from ...core.progress import Progress, begin
from ...images.policy import DecodePolicy
from ...images.views import VIEW_SETS
from ...indexer.build import IndexOptions, build_index
from ...indexer.devices import open_teams, spare_team
from ...indexer.entries import Entry
from ...indexer.flow import Flow
from ...indexer.gallery import open_gallery
from ...indexer.models import describe_channel, told_apart
from ...indexer.options import choose_devices, describe_companion, looks_of, pairs_of, partly_seeing
from ...indexer.prepare import Recipe, prepare_entry
from ...indexer.snapshot import ChannelSpec, require_current
from ...indexer.writer import SEGMENT_ROWS, Writer
from ..shared.images import listing_digest
from .plan import CopyPlan

MARK = "benchmark.json"
"""Written last: an index without it is unfinished and made anew."""


@dataclass(frozen=True, slots=True)
class BenchIndex:
    """An index that is ready.

    Attributes:
        path: its folder.
        snapshot: what was built; thresholds are committed on top of it.
        gallery_rows: its first rows are the gallery's; the rest are distractors.
        rejected: files of either that are no images, or flat to a model.
        reused: whether an earlier run made it.
    """

    path: Path
    snapshot: str
    gallery_rows: int
    rejected: int
    reused: bool


def open_index(
    plan: CopyPlan,
    models: tuple[str, ...],
    gallery: Sequence[Entry],
    distractors: Sequence[Entry],
    progress: Progress,
    companion: str | None = None,
) -> BenchIndex:
    """The index of a plan with these models: an earlier one where everything agrees, else a new one.

    Args:
        plan: the benchmark.
        models: embedder specs, one channel each.
        gallery: what ``plan.gallery`` lists.
        distractors: what is stored beside it.
        progress: told how far it is.
        companion: spec of its companion; None for none.
    """
    channels = _channels(plan, models, companion)
    path = plan.out / f"index-{_key(plan, channels, gallery, distractors)[:16]}"
    if (path / MARK).exists():
        return replace(_read_mark(path), reused=True)
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return _build(path, plan, models, companion, distractors, progress)


def digests_of(plan: CopyPlan) -> list[str]:
    """Of the models that a plan names, as they are now."""
    return [channel.model_digest for channel in _channels(plan, plan.models, plan.companion)]


def _channels(plan: CopyPlan, models: Sequence[str], companion: str | None) -> list[ChannelSpec]:
    found = [describe_channel(spec, pretrained=True, rows=plan.stored_rows) for spec in models]
    if companion is not None:
        found.append(describe_companion(companion, pretrained=True, rows=plan.stored_rows))
    return list(told_apart(found))


def _key(
    plan: CopyPlan, channels: Sequence[ChannelSpec], gallery: Sequence[Entry], distractors: Sequence[Entry]
) -> str:
    pairs, looks = pairs_of(plan.views, channels), looks_of(plan.views, channels)
    return digest_json(
        {
            "version": 1,
            "gallery": listing_digest(gallery),
            "distractors": listing_digest(distractors),
            "models": [[channel.name, channel.model_digest] for channel in channels],
            "views": [[v.name for v in VIEW_SETS[name]] for name in (plan.views, plan.stored_distractor_views)],
            "rows": plan.stored_rows,
            "policy": DecodePolicy().digest,
        }
        | ({"pairs": [asdict(rule) for rule in pairs]} if pairs else {})
        | ({"looks": [asdict(rule) for rule in looks]} if looks else {})
    )


def _build(
    path: Path,
    plan: CopyPlan,
    models: tuple[str, ...],
    companion: str | None,
    distractors: Sequence[Entry],
    progress: Progress,
) -> BenchIndex:
    options = IndexOptions(
        models=models,
        companion=companion,
        views=plan.views,
        rows=plan.stored_rows,
        workers=plan.workers,
        batch_size=plan.batch_size,
        device=plan.device,
        segment_rows=SEGMENT_ROWS,
    )
    report = build_index(plan.gallery, path, options, progress)
    rejected = report.rejected
    if distractors:
        begin(progress, "indexing distractors", len(distractors))
        rejected += append_entries(path, distractors, plan, progress)
    body = {"snapshot": require_current(path).id, "gallery_rows": report.rows, "rejected": rejected}
    write_atomically(path / MARK, canonical_json({"schema": "retr.copy-index/1", **body}))
    return BenchIndex(path, **body, reused=False)


def _read_mark(path: Path) -> BenchIndex:
    try:
        body = json.loads((path / MARK).read_bytes())
        return BenchIndex(path, str(body["snapshot"]), int(body["gallery_rows"]), int(body["rejected"]), reused=False)
    except (OSError, ValueError, KeyError) as error:
        raise IntegrityError(f"{path / MARK} cannot be read ({error}); remove {path}, it is made anew") from error


def append_entries(index: Path, entries: Sequence[Entry], plan: CopyPlan, progress: Progress) -> int:
    """Store more images as one segment, with the plan's distractor views; returns how many were refused.

    What the index holds already stays as it is.
    """
    refused = 0
    with Writer(index, segment_rows=sys.maxsize, progress=progress) as writer:
        snapshot, new = writer.snapshot, {entry.name: entry for entry in entries}
        places = writer.held.find(list(new))
        devices = choose_devices(IndexOptions(device=plan.device))
        teams = open_teams(index, snapshot.channels, devices, progress)
        policy = DecodePolicy.from_json(dict(snapshot.policy))
        views, inputs = VIEW_SETS[plan.stored_distractor_views], [embedder.input_size for embedder in teams[0]]
        recipe = Recipe.of(policy, views, inputs, partly=partly_seeing(snapshot))
        absent = [entry for entry, place in zip(new.values(), places, strict=True) if place < 0]
        progress.advance(len(entries) - len(absent))
        prepare = partial(prepare_entry, recipe=recipe)
        flow = Flow(prepare, recipe, teams, plan.workers, plan.batch_size, spare_team(teams[0], progress))
        with closing(flow.batches(absent)) as batches:
            for batch in batches:
                refused += len(writer.append(batch.embedded, batch.refused).rejects)
                progress.advance(batch.images)
        writer.commit()
    return refused


def index_facts(bench: BenchIndex) -> dict[str, object]:
    """For the records: what the index holds, and what a gallery item costs."""
    snapshot = require_current(bench.path)
    gallery = open_gallery(bench.path, snapshot)
    own = gallery.groups[: bench.gallery_rows]
    items = len(set(own[own >= 0].tolist()))
    row_bytes = sum(channel.row_bytes for channel in snapshot.channels)
    return {
        "items": items,
        "rows": snapshot.rows,
        "gallery_rows": bench.gallery_rows,
        "bytes_per_item": bench.gallery_rows * row_bytes / max(1, items),
        "rejected": bench.rejected,
        "thresholds": [
            {"channel": c.name, **(asdict(c.threshold) if c.threshold else {"value": None})} for c in snapshot.channels
        ],
    }
