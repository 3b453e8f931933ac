"""Which view of a query meets which view of an item, and how strictly: *pair classes* (THEORY T10).

Every pair that is allowed is one more test that an unrelated picture can pass by chance. So which pairs are allowed
matters more than how many: all with all raises the threshold and loses more than it finds. A class allows those that
fit in geometry, for one reason, and its rows accept within a *part* of their reach: the budget of false matches that
the class gets of the whole (docs/benchmarks/views.md has what was measured).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..core.errors import UsageError
from .found_views import parse_look
from .light_views import LIGHT as LIGHT_VIEWS
from .query_views import ORIGINAL, QueryView, parse_query_view


@dataclass(frozen=True, slots=True)
class PairRule:
    """One view of a query and the stored views that it is compared with; a constant of the snapshot.

    Attributes:
        kind: name of the class.
        query: name of the query's view.
        gallery: names of the stored views.
        parts: per channel, what part of its reach a row accepts within; 0 where the channel has no such test.
        least: per channel, the gap that an item's unedited row must exceed, or its rows have no such test: what lies
            closer to unrelated pictures is a sheet or the like, and shares its parts with them.
    """

    kind: str
    query: str
    gallery: tuple[str, ...]
    parts: tuple[float, ...]
    least: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PairClass:
    """Pairs that are allowed for one reason.

    Attributes:
        name: of the class.
        pairs: view of the query → stored views.
        parts: family of models (``block-means``, ``other``) → what part of its reach a row accepts within.
        reason: why these fit.
        least: family of models → gap that the item's unedited row must exceed.
    """

    name: str
    pairs: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, float]
    reason: str
    least: Mapping[str, float] = field(default_factory=lambda: {"other": 0.0})

    def part(self, model: str) -> float:
        """What part a channel's rows accept within, by the model's spec."""
        return _of(self.parts, model)


def _of(by_family: Mapping[str, float], model: str) -> float:
    return by_family.get(model.partition(":")[0], by_family["other"])


def rules_for(classes: Sequence[PairClass], models: Sequence[str]) -> tuple[PairRule, ...]:
    """The rules of classes for an index with these models (specs, one for each channel)."""
    return tuple(
        PairRule(
            *(one.name, query, gallery),
            parts=tuple(one.part(model) for model in models),
            least=tuple(_of(one.least, model) for model in models),
        )
        for one in classes
        for query, gallery in one.pairs.items()
    )


def with_companion(rule: PairRule) -> PairRule:
    """The rule with one channel more, which compares the query itself with the unedited row and nothing else."""
    itself = rule.query == ORIGINAL.name and rule.gallery == (ORIGINAL.name,)
    return replace(rule, parts=(*rule.parts, 1.0 if itself else 0.0), least=(*rule.least, 0.0))


def query_views(
    rules: Sequence[PairRule], parse: Callable[[str], QueryView] = parse_query_view
) -> tuple[QueryView, ...]:
    """The views of a query that rules name, each once; the query itself alone where there are none."""
    names = dict.fromkeys(rule.query for rule in rules)
    return tuple(parse(name) for name in names) or (ORIGINAL,)


def check_rules(rules: Sequence[PairRule], channels: int) -> None:
    """Refuse rules that no test can be made of, or that give one pair twice.

    Raises:
        UsageError: naming the rule.
    """
    _check_each(rules, channels, parse_query_view)
    for number in range(channels if rules else 0):
        _check_parts(rules, number)
        if not any(rule.query == "original" and rule.parts[number] > 0.0 for rule in rules):
            raise UsageError(f"channel {number} never compares the query itself")


def check_looks(rules: Sequence[PairRule]) -> None:
    """Refuse rules of a companion that say nothing; no theorem asks that its parts are equal.

    Raises:
        UsageError: naming the rule.
    """
    _check_each(rules, 1, parse_look)


def _check_each(rules: Sequence[PairRule], channels: int, parse: Callable[[str], QueryView]) -> None:
    seen: set[tuple[str, str]] = set()
    for rule in rules:
        parse(rule.query)
        if len(rule.parts) != channels or not all(math.isfinite(p) and 0.0 <= p <= 1.0 for p in rule.parts):
            raise UsageError(f"pairs {rule.kind!r} need {channels} parts in [0, 1], got {rule.parts}")
        if len(rule.least) != channels or not all(math.isfinite(gap) and gap >= 0.0 for gap in rule.least):
            raise UsageError(f"pairs {rule.kind!r} need {channels} least gaps, got {rule.least}")
        for pair in _pairs(rule):
            if pair in seen:
                raise UsageError(f"{pair[0]} of the query meets {pair[1]} twice")
            seen.add(pair)


def _check_parts(rules: Sequence[PairRule], number: int) -> None:
    """T1 within one view of a query needs one threshold for the rows that meet it: one part, or none."""
    parts: dict[str, float] = {}
    for rule in rules:
        part = rule.parts[number]
        if part > 0.0 and parts.setdefault(rule.query, part) != part:
            both = f"{parts[rule.query]} and {part}"
            raise UsageError(f"rows that meet {rule.query} of the query have unequal parts in channel {number}: {both}")


def _pairs(rule: PairRule) -> Iterator[tuple[str, str]]:
    return ((rule.query, view) for view in rule.gallery)


_HALVES = ("crop-50x100-at-0x50", "crop-50x100-at-100x50", "crop-100x50-at-50x0", "crop-100x50-at-50x100")
_CENTRES = ("crop-90x90-at-50x50", "crop-80x80-at-50x50", "crop-70x70-at-50x50")
_BANDS = ("crop-88x100-at-100x50", "crop-80x92-at-55x50", "crop-70x100-at-50x50", "crop-100x70-at-50x50")
_QUARTERS = ("upside", "quarter-left", "quarter-right", "half-turn")
_ITSELF = ("original",)
_ALL = {"other": 1.0}


def _stored(beginning: str) -> tuple[str, ...]:
    """Names of the views of ``light`` that begin so, without the halves."""
    return tuple(name for name in LIGHT_VIEWS.split() if name.startswith(beginning) and name not in _HALVES)


LIGHT = (
    PairClass("whole", {"original": _ITSELF}, _ALL, "an edit that leaves the frame: both as they are"),
    PairClass("crops", {"original": _stored("crop")}, _ALL, "the query is a window of the item: cropped"),
    PairClass("turned", {"original": _stored("turn")}, _ALL, "the query is the item, turned by some degrees"),
    PairClass("mirror", {"flip": _ITSELF}, _ALL, "the query is the item's mirror image"),
    PairClass("quarters", dict.fromkeys(_QUARTERS, _ITSELF), _ALL, "the query stands on its side or on its head"),
    PairClass(
        "inside",
        {name: _ITSELF for centre in _CENTRES for name in (centre, f"flip+{centre}")},
        {"block-means": 0.6, "other": 0.9},
        "the item lies in the middle of the query: a frame all around",
    ),
    PairClass("bands", dict.fromkeys(_BANDS, _ITSELF), _ALL, "the item lies in the query: a title bar, a letterbox"),
    PairClass(
        "halves",
        {half: (half,) for half in _HALVES},
        {"block-means": 0.8, "other": 0.6},
        "one half is untouched: a bar, a text or a logo covers the other",
        {"block-means": 0.11, "other": 0.14},
    ),
)
"""31 pairs of 20 views of a query and 16 of an item."""

VIEW_CLASSES: dict[str, tuple[PairClass, ...]] = {"light": LIGHT}
"""What sets of ``images.views.VIEW_SETS`` compare; those that are missing compare a query as it is with every row."""
