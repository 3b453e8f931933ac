"""What the plans of all audits have in common: presets, checks, and their plain values for the records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

from ...core.errors import UsageError
from ...core.rounded import budget_text

Keep = Literal["none", "alarms", "all"]
"""Which saved images to keep."""


def said(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was really given: None, or no words, stand for what was not."""
    return {name: value for name, value in given.items() if value not in (None, ())}


def with_preset(presets: Mapping[Any, Mapping[str, Any]], preset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a plan: what the preset says, and over it what was given.

    Raises:
        UsageError: for an unknown preset.
    """
    if preset not in presets:
        raise UsageError(f"unknown preset {preset!r}; choose {', '.join(presets)}")
    return {**presets[preset], **said(given)}


def plain(plan: Any, *left_out: str) -> dict[str, Any]:
    """The fields of a plan in plain values: all that records depend on, what a resumed run must agree in.

    Args:
        plan: a dataclass.
        left_out: fields that they do not depend on.
    """
    return {name: _plain(value) for name, value in asdict(plan).items() if name not in left_out}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def check_counts(least: int = 1, **counts: int | None) -> None:
    """Refuse counts that are too small; None is no count.

    Raises:
        UsageError: naming one and its value.
    """
    for name, value in counts.items():
        if value is not None and value < least:
            raise UsageError(f"{name} must be at least {least}, got {value}")


def check_sizes(name: str, sizes: Sequence[float], *, some: bool = True) -> None:
    """Refuse sizes that are no finite numbers above 0, or stand twice.

    Raises:
        UsageError: naming them.
    """
    good = all(math.isfinite(size) and size > 0 for size in sizes) and len(set(sizes)) == len(sizes)
    if not good or (some and not sizes):
        raise UsageError(f"{name} takes different numbers above 0, got {', '.join(map(budget_text, sizes)) or 'none'}")


def check_words(name: str, words: Sequence[str], known: Sequence[str] = (), *, some: bool = False) -> None:
    """Refuse words that stand twice, or that nobody knows.

    Raises:
        UsageError: naming them.
    """
    for word in words:
        if known and word not in known:
            raise UsageError(f"{name} takes {', '.join(known)}, got {word!r}")
        if words.count(word) > 1:
            raise UsageError(f"{name} name {word} twice")
    if some and not words:
        raise UsageError(f"{name} needs one name or more, got none")


def check_keep(keep: str) -> None:
    """Refuse what is none of :data:`Keep`.

    Raises:
        UsageError: naming it.
    """
    check_words("keep", (keep,), get_args(Keep))
