"""The queries of a copy benchmark: items drawn by seed, edited by family, and negatives as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np

from ...attacks.media import Bytes
from ...core.errors import ImageRejected
from ...core.files import digest_json
from ...core.parallel import in_order
from ...images.copy_edits import FAMILIES, MORE, edited
from ...images.policy import DecodePolicy
from ...indexer.entries import Entry
from ..shared.images import halves
from .plan import CopyPlan
from .records import NEGATIVE


@dataclass(frozen=True, slots=True)
class Item:
    """One gallery item that may be queried: its file and the SHA-256 of its pixels."""

    entry: Entry
    pixels_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One image to look up.

    Attributes:
        entry: the file it was made from.
        item: SHA-256 of the pixels of that file: what should be found, or of the negative itself.
        place: number of the query among all that were to be made.
        family: of the edit; ``none`` for a negative.
        parameters: what was drawn for it.
        pixels: what is looked up.
    """

    entry: Entry
    place: int
    item: str
    family: str
    parameters: dict[str, Any]
    pixels: Bytes

    @property
    def negative(self) -> bool:
        """Whether nothing should be found."""
        return self.family == NEGATIVE


SEARCH_BATCH = 512
"""Queries per float32 search. FAISS 1.15 multiplies matrices only where queries × dimension reach 128,000; below that
it goes row by row: 11 ms instead of 0.7 ms a query over 46,500 rows of 768 numbers (one thread)."""

SEARCH_PIXELS = 64_000_000
"""Pixels of a batch that are held, 3 bytes each."""


@dataclass(frozen=True)
class Negatives:
    """Images known to be absent, by what they are for, and what was left out.

    Attributes:
        setting: set the thresholds; measuring: measure the false-match rate and the certified rejections.
        present: left out because the gallery or the distractors hold the same pixels, or, of those that measure apart,
            because they set thresholds; refused: no images.
    """

    setting: list[Item] = field(default_factory=list)
    measuring: list[Item] = field(default_factory=list)
    present: int = 0
    refused: int = 0


def choose_items(items: Sequence[Item], count: int | None, *, family: str, seed: int) -> list[Item]:
    """Draw items for one family: from every folder in proportion to its size, in the order of ``items``.

    Args:
        items: all of them.
        count: how many to draw; None or more than there are for all.
        family: each draws its own.
        seed: of the run.
    """
    if count is None or count >= len(items):
        return list(items)
    rng = np.random.default_rng(int(digest_json(["copy-sample", seed, family])[:15], 16))
    strata: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        strata.setdefault(str(PurePath(item.entry.name).parent), []).append(place)
    shares = _shares([len(stratum) for stratum in strata.values()], count, rng)
    pairs = zip(strata.values(), shares, strict=True)
    chosen = np.concatenate([rng.choice(stratum, share, replace=False) for stratum, share in pairs])
    return [items[int(place)] for place in np.sort(chosen)]


def _shares(sizes: Sequence[int], count: int, rng: np.random.Generator) -> list[int]:
    """Whole numbers that add up to ``count``, in proportion to sizes; what is left over goes by largest remainder."""
    exact = np.asarray(sizes) * count / sum(sizes)
    whole = np.floor(exact).astype(np.int64)
    order = np.lexsort((rng.random(len(sizes)), -(exact - whole)))  # equal remainders in drawn order
    whole[order[: count - int(whole.sum())]] += 1
    return whole.tolist()


@dataclass(frozen=True, slots=True)
class Asked:
    """One query that is to be made: an item under a family of edits, or a negative as it is."""

    place: int
    item: Item
    family: str


def all_asked(items: Sequence[Item], negatives: Negatives, plan: CopyPlan) -> list[Asked]:
    """Every query of a run: family after family, then the negatives that measure; the same for the same seed.

    Args:
        items: the gallery's.
        negatives: of the run.
        plan: families, how many, seed.
    """
    pairs = [
        (item, family)
        for family in plan.families
        for item in choose_items(items, plan.queries, family=family, seed=plan.seed)
    ]
    pairs += [(item, NEGATIVE) for item in negatives.measuring]
    return [Asked(place, item, family) for place, (item, family) in enumerate(pairs)]


def iter_queries(asked: Sequence[Asked], plan: CopyPlan, skipped: dict[int, str]) -> Iterator[Query]:
    """Queries, decoded and edited in threads, in order.

    Args:
        asked: those to make.
        plan: seed, workers.
        skipped: takes the reason of each that cannot be made, by its place.
    """
    policy = DecodePolicy()
    made = in_order(lambda one: (one, _query(one, plan.seed, policy)), asked, workers=plan.workers)
    for one, query in made:
        if isinstance(query, Query):
            yield query
        else:
            skipped[one.place] = query


def _query(asked: Asked, seed: int, policy: DecodePolicy) -> Query | str:
    item = asked.item
    image = item.entry.attempt(policy)
    if isinstance(image, ImageRejected):
        return image.reason
    if image.pixels_sha256 != item.pixels_sha256:
        return "changed since it was indexed"
    if asked.family == NEGATIVE:
        return Query(item.entry, asked.place, item.pixels_sha256, NEGATIVE, {}, image.pixels)
    result = edited(image.pixels, asked.family, seed=seed, image=item.pixels_sha256)
    return Query(item.entry, asked.place, item.pixels_sha256, asked.family, result.parameters, result.pixels)


def iter_negatives(items: Sequence[Item], plan: CopyPlan) -> Iterator[Query]:
    """Negatives as they are; those that cannot be read any more are left out."""
    return iter_queries([Asked(place, item, NEGATIVE) for place, item in enumerate(items)], plan, {})


def find_negatives(entries: Sequence[Entry], apart: Sequence[Entry], stored: set[str], plan: CopyPlan) -> Negatives:
    """Which negatives can serve, halved by seed where they set thresholds and measure too.

    Args:
        entries: what the negatives' source lists.
        apart: what the source lists that only measures, where the plan names one. Of these a picture that sets
            thresholds is left out.
        stored: SHA-256 of the pixels of everything in the index.
        plan: seed and workers.
    """
    counts: Counter[str] = Counter()
    usable = list(_usable(entries, stored, counts, plan.workers))
    if plan.measuring is not None:
        known = stored | {item.pixels_sha256 for item in usable}
        setting, measuring = usable, list(_usable(apart, known, counts, plan.workers))
    elif plan.calibrates:
        setting, measuring = halves(usable, seed=plan.seed, purpose="copy-calibration")
    else:
        setting, measuring = [], usable
    return Negatives(setting, measuring, counts["present"], counts["refused"])


def _usable(entries: Sequence[Entry], known: set[str], counts: Counter[str], workers: int) -> Iterator[Item]:
    """Those that hold an image whose pixels are not known; counts the others."""
    policy = DecodePolicy()
    for entry, image in in_order(lambda e: (e, e.attempt(policy)), entries, workers=workers):
        if isinstance(image, ImageRejected):
            counts["refused"] += 1
        elif image.pixels_sha256 in known:
            counts["present"] += 1
        else:
            yield Item(entry, image.pixels_sha256)


def batches(queries: Iterator[Query]) -> Iterator[list[Query]]:
    """Consecutive queries, cut after ``SEARCH_BATCH`` or ``SEARCH_PIXELS``."""
    batch: list[Query] = []
    pixels = 0
    for query in queries:
        batch.append(query)
        pixels += query.pixels.shape[0] * query.pixels.shape[1]
        if len(batch) == SEARCH_BATCH or pixels >= SEARCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def is_geometric(family: str) -> bool:
    """Whether a query's edit moves content; False for a negative."""
    known = FAMILIES.get(family) or MORE.get(family)
    return known is not None and known.geometric
