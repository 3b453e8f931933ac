"""What a decision says: the first items with their radii, the verdict, and what must be asked before it stands."""

from __future__ import annotations

from dataclasses import dataclass

from .source import Ask

VIEWS_TRIED = 4
"""How many of an item's best rows are tried against rivals (T3, T9); each gives a sound radius, the largest is kept."""


CERTIFIED, COMPANION, REST = "certified", "companion", "rest"
"""Tiers of an answer that a companion has a say in (THEORY T11)."""


@dataclass(frozen=True, slots=True)
class RankedItem:
    """An item, its best row, and its radii (ℓ2 in pixels; None where not certified).

    Attributes:
        key: name of the item: the SHA-256 of its pixels.
        row: global number of the row that decides for it; probe: place of the probe that row is compared with.
        score, distance: see ``answer.Match``.
        raw_top1: the top-1 radius before slack, for the record.
        carriers: (place of the probe, row) of those of its rows that T1 gives ``top1`` by; carriers_k: ``topk``.
        limited_by: a row of the rival item that limits top1, the first that is known; None where none does.
        accepted: whether the query, as it is, is a copy of this item; None without a threshold.
        tier: one of the three; None where no companion is asked.
    """

    key: bytes
    row: int
    score: float
    distance: float
    probe: int = 0
    top1: float | None = None
    topk: float | None = None
    copy: float | None = None
    raw_top1: float | None = None
    carriers: tuple[tuple[int, int], ...] = ()
    carriers_k: tuple[tuple[int, int], ...] = ()
    limited_by: int | None = None
    accepted: bool | None = None
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The first k items, exactly, and the verdict over the whole gallery (None without a threshold).

    Attributes:
        certified: whether the radii were asked for and are proved.
        copy, nothing: radii of the verdict, in pixels.
        listed_nothing: what ``nothing`` would be if nothing were hidden; 0 where the verdict is another.
        scanned, total: live rows that the ranking stands on, and that there are.
        missing: names of the parts that were not scanned, where they have names.
    """

    items: tuple[RankedItem, ...]
    point_verdict: str | None = None
    certified: bool = False
    copy: float | None = None
    nothing: float | None = None
    listed_nothing: float = 0.0
    scanned: int = 0
    total: int = 0
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """A ranking by the evidence so far.

    Attributes:
        ranking: exact once nothing is needed.
        needs: what must be asked before it stands.
        wishes: what might enlarge its radius of "not a copy", which is sound without.
    """

    ranking: Ranking
    needs: tuple[Ask, ...] = ()
    wishes: tuple[Ask, ...] = ()
