"""The index of a copy benchmark: a gallery that is queried and distractors beside it; kept for the next run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from ...core.errors import ImageRejected, IntegrityError
from ...core.files import canonical_json, digest_json, write_atomically
from ...embedding.contract import Embedder
from ...images.policy import DecodePolicy
from ...images.views import VIEW_SETS
from ...indexer import staging as stage
from ...indexer.build import IndexOptions, build_index
from ...indexer.catalog import CatalogRow, RejectRow, as_dict, item_id, mark_duplicates
from ...indexer.embed import embed_batch
from ...indexer.gallery import open_gallery
from ...indexer.lock import writer_lock
from ...indexer.models import describe_channel, open_model
from ...indexer.options import choose_device
from ...indexer.prepare import Prepared, Recipe, Refused, resize_views
from ...indexer.snapshot import ChannelSpec, Snapshot, commit, require_current
from ...indexer.thresholds import leave_one_out
from ..shared.images import Entry, in_order, listing_digest
from .plan import CopyPlan

MARK = "benchmark.json"
"""Written last: an index without it is unfinished and made anew."""
COMMIT_ROWS = 65_536


class Phases(Protocol):
    """What a benchmark tells about how far it is."""

    def phase(self, title: str, total: int) -> None:
        """A new stretch of work begins."""

    def advance(self, count: int = 1) -> None:
        """So many more are finished."""


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
    plan: CopyPlan, models: tuple[str, ...], gallery: Sequence[Entry], distractors: Sequence[Entry], progress: Phases
) -> BenchIndex:
    """The index of a plan with these models: an earlier one where everything agrees, else a new one.

    Args:
        plan: the benchmark.
        models: embedder specs, one channel each.
        gallery: what ``plan.gallery`` lists.
        distractors: what is stored beside it.
        progress: told how far it is.
    """
    channels = tuple(describe_channel(spec, pretrained=True, rows=plan.stored_rows) for spec in models)
    path = plan.out / f"index-{_key(plan, channels, gallery, distractors)[:16]}"
    if (path / MARK).exists():
        return replace(_read_mark(path), reused=True)
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return _build(path, plan, models, gallery, distractors, progress)


def _key(
    plan: CopyPlan, channels: Sequence[ChannelSpec], gallery: Sequence[Entry], distractors: Sequence[Entry]
) -> str:
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
    )


def _build(
    path: Path,
    plan: CopyPlan,
    models: tuple[str, ...],
    gallery: Sequence[Entry],
    distractors: Sequence[Entry],
    progress: Phases,
) -> BenchIndex:
    options = IndexOptions(
        models=models,
        views=plan.views,
        rows=plan.stored_rows,
        workers=plan.workers,
        batch_size=plan.batch_size,
        device=plan.device,
        segment_rows=COMMIT_ROWS,
    )
    progress.phase("indexing the gallery", len(gallery))
    report = build_index(plan.gallery, path, options, _Indexing(progress))
    rejected = report.rejected
    if distractors:
        progress.phase("indexing distractors", len(distractors))
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


class _Indexing:
    """What ``build_index`` tells, passed on."""

    def __init__(self, progress: Phases) -> None:
        self.progress = progress

    def start(self, total: int, done: int) -> None:
        """The phase has begun already."""

    def advance(self, count: int) -> None:
        """So many more files are finished."""
        self.progress.advance(count)


def append_entries(index: Path, entries: Sequence[Entry], plan: CopyPlan, progress: Phases) -> int:
    """Store more images as one segment, with the plan's distractor views; returns how many were refused."""
    with writer_lock(index):
        snapshot = require_current(index)
        device = choose_device(IndexOptions(device=plan.device))
        embedders = tuple(open_model(index, channel, device=device) for channel in snapshot.channels)
        policy = DecodePolicy.from_json(dict(snapshot.policy))
        recipe = Recipe(policy, VIEW_SETS[plan.stored_distractor_views], tuple({e.input_size for e in embedders}))
        dims, rows = [c.dim for c in snapshot.channels], [c.rows for c in snapshot.channels]
        staging = stage.begin(index / "staging", {"parent": snapshot.id}, dims, rows)
        prepared = in_order(lambda entry: _prepare(entry, recipe), entries, workers=plan.workers)
        for batch in _batches(prepared, plan.batch_size):
            _store(staging, batch, embedders, recipe)
            progress.advance(len(batch))
        refused = len(staging.rejects)
        _commit(index, snapshot, staging)
    return refused


def _batches(prepared: Iterator[Prepared | Refused], size: int) -> Iterator[list[Prepared | Refused]]:
    batch: list[Prepared | Refused] = []
    for one in prepared:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _prepare(entry: Entry, recipe: Recipe) -> Prepared | Refused:
    image = entry.attempt(recipe.policy)
    if isinstance(image, ImageRejected):
        return Refused(entry.name, image)
    return Prepared(
        path=entry.name,
        bytes_sha256=image.bytes_sha256,
        pixels_sha256=image.pixels_sha256,
        byte_count=image.byte_count,
        mtime_ns=entry.mtime_ns,
        width=image.width,
        height=image.height,
        format=image.format,
        inputs=resize_views(image, recipe),
        decode_s=0.0,
        resize_s=0.0,
    )


def _store(
    staging: stage.Staging, batch: Sequence[Prepared | Refused], embedders: Sequence[Embedder], recipe: Recipe
) -> None:
    embedded = embed_batch([one for one in batch if isinstance(one, Prepared)], embedders, recipe)
    refused = [*(one for one in batch if isinstance(one, Refused)), *embedded.refused]
    rows = [as_dict(_row(file, view)) for file, view in embedded.kept]
    staging.append(rows, embedded.vectors, [as_dict(_reject(one)) for one in refused])


def _row(file: Prepared, view: str) -> CatalogRow:
    return CatalogRow(
        id=item_id(file.path, file.bytes_sha256),
        path=file.path,
        bytes_sha256=file.bytes_sha256,
        pixels_sha256=file.pixels_sha256,
        bytes=file.byte_count,
        mtime_ns=file.mtime_ns,
        width=file.width,
        height=file.height,
        format=file.format,
        view=view,
    )


def _reject(one: Refused) -> RejectRow:
    return RejectRow(one.path, one.why.stage, one.why.reason, one.why.detail, one.why.byte_count)


def _commit(index: Path, snapshot: Snapshot, staging: stage.Staging) -> None:
    catalog = open_gallery(index, snapshot).catalog
    known: dict[str, str] = {}
    for digest, name in zip(catalog["pixels_sha256"].to_pylist(), catalog["id"].to_pylist(), strict=True):
        known.setdefault(digest, name)
    segment = stage.seal(staging, index, mark_duplicates(staging.rows, known), place=len(snapshot.segments))
    grown = replace(snapshot, segments=(*snapshot.segments, segment), parent=snapshot.id, created="")
    commit(index, replace(grown, channels=_provisional(index, grown)))
    stage.discard(index / "staging")


def _provisional(index: Path, snapshot: Snapshot) -> tuple[ChannelSpec, ...]:
    """Thresholds from the gallery itself, for benchmarks without negatives."""
    gallery = open_gallery(index, snapshot)
    originals = gallery.originals()
    pairs = zip(snapshot.channels, gallery.stores, strict=True)
    return tuple(replace(c, threshold=leave_one_out(store, gallery.groups, originals)) for c, store in pairs)


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
