"""The cases of an audit: query images with their edits, true items, and clean answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...attacks.media import Bytes
from ...core.errors import ImageRejected, UsageError
from ...images.decode import DecodedImage
from ...images.edits import EDITS
from ...indexer.addresses import asked_text
from ...indexer.entries import load_named
from ...retrieval.engine import Engine
from ..shared.attacking import seed_of
from ..shared.truth import Groups, truth_from_csv, truth_from_stems
from .plan import AuditPlan


@dataclass(frozen=True)
class Source:
    """One query file, or one item of the index to make queries from.

    Attributes:
        path: the file.
        truth: the true items; none for a stranger.
        pixels_sha256: what the index holds; None for a query file.
        stranger: known to be a copy of nothing in the index.
    """

    path: str
    truth: Groups
    pixels_sha256: str | None = None
    stranger: bool = False


@dataclass(frozen=True)
class Case:
    """One image to attack.

    Attributes:
        query: path of the file it was made from.
        edit: name of the edit.
        geometric: whether that edit moves things.
        pixels: (H, W, 3) uint8.
        truth: the true items, as the index numbers them that the queries belong to.
        stranger: known to be a copy of nothing.
        seed: for random starts; depends on the run's seed, the path and the edit alone.
    """

    query: str
    edit: str
    geometric: bool
    pixels: Bytes
    truth: Groups
    stranger: bool
    seed: int

    @property
    def stem(self) -> str:
        """Name of its files."""
        return f"{self.seed:015x}-{self.edit}"


@dataclass
class Skipped:
    """Inputs left out, counted by reason, with the paths."""

    reasons: Counter[str] = field(default_factory=Counter)
    paths: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: str, reason: str) -> None:
        """Leave one input out."""
        self.reasons[reason] += 1
        self.paths.append((path, reason))


def find_sources(engine: Engine, plan: AuditPlan, skipped: Skipped) -> list[Source]:
    """The plan's queries, or its sample of the index's items, with their true items; then its negatives.

    Raises:
        UsageError: nothing is left to audit.
    """
    sources = _sample_items(engine, plan) if plan.self_edits else _given_queries(engine, plan, skipped)
    sources += [Source(path, frozenset(), stranger=True) for path in dict.fromkeys(plan.negatives)]
    if not sources:
        raise UsageError(f"no query to audit: {dict(skipped.reasons) or 'the index is empty'}")
    return sources


def iter_cases(engine: Engine, plan: AuditPlan, source: Source, skipped: Skipped) -> Iterator[Case]:
    """The cases of one source; none, with a reason, if its file is gone, changed or not an image."""
    image = _load(engine, source, skipped)
    if image is None:
        return
    for name in plan.chosen_edits:
        edit, seed = EDITS[name], case_seed(plan.seed, source.path, name)
        pixels = np.ascontiguousarray(edit.apply(image.pixels, np.random.default_rng(seed)))
        yield Case(source.path, name, edit.geometric, pixels, source.truth, source.stranger, seed)


def case_seed(seed: int, path: str, edit: str) -> int:
    """A seed per case, the same whatever else is audited."""
    return seed_of(seed, path, edit)


def _given_queries(engine: Engine, plan: AuditPlan, skipped: Skipped) -> list[Source]:
    queries = list(dict.fromkeys(plan.queries))
    table, gallery = plan.truth, engine.gallery
    truth = truth_from_stems(gallery, queries) if table is None else truth_from_csv(gallery, queries, table)
    for query, reason in truth.skipped.items():
        skipped.add(query, reason)
    return [Source(query, truth.items[query]) for query in queries if query in truth.items]


def _sample_items(engine: Engine, plan: AuditPlan) -> list[Source]:
    rows = _first_rows(engine)
    if plan.sample is not None and plan.sample < len(rows):
        chosen = np.random.default_rng(plan.seed).choice(len(rows), plan.sample, replace=False)
        rows = rows[chosen]  # in drawn order: a time limit must not favour the first folders
    return [_item(engine.gallery.describe(int(row)), int(engine.gallery.groups[row])) for row in rows]


def _first_rows(engine: Engine) -> np.ndarray:
    """One unedited row per item, in row order."""
    originals = engine.gallery.originals()
    _, first = np.unique(engine.gallery.groups[originals], return_index=True)
    return originals[np.sort(first)]


def _item(row: Mapping[str, object], group: int) -> Source:
    return Source(str(row["path"]), frozenset([group]), str(row["pixels_sha256"]))


def _load(engine: Engine, source: Source, skipped: Skipped) -> DecodedImage | None:
    stored = source.pixels_sha256
    try:
        image = load_named(asked_text(source.path) if stored is None else source.path, engine.policy)
    except ImageRejected as why:
        skipped.add(source.path, why.reason)
        return None
    if stored is not None and image.pixels_sha256 != stored:
        skipped.add(source.path, "changed since it was indexed")
        return None
    if source.stranger and engine.gallery.table.holds(image.pixels_sha256):
        skipped.add(source.path, "a negative that the index holds")
        return None
    return image
