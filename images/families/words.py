"""Ranges in words: ``30..95``, ``0.6..1.6``, ``95``."""

from __future__ import annotations

import math

from ...core.errors import UsageError


def read_range(name: str, text: str, *, least: float, most: float) -> tuple[float, float]:
    """Two ends with two dots between them.

    Args:
        name: of the family, for messages.
        text: as given.
        least: what no end may be below.
        most: what no end may be above.

    Raises:
        UsageError: for what is no range, or one that goes too far.
    """
    try:
        low, high = (float(end) for end in text.split(".."))
    except ValueError:
        raise UsageError(f"{name} takes a range like {name}:{_plain(least)}..{_plain(most)}, got {text!r}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise UsageError(f"{name}: a range goes from its lower to its upper end, got {text}")
    if low < least or high > most:
        raise UsageError(f"{name}: a range lies within {_plain(least)}..{_plain(most)}, got {text}")
    return low, high


def read_whole_range(name: str, text: str, *, least: int, most: int) -> tuple[int, int]:
    """As :func:`read_range`, of whole numbers."""
    low, high = read_range(name, text, least=least, most=most)
    if not (low.is_integer() and high.is_integer()):
        raise UsageError(f"{name} takes whole numbers, got {text}")
    return int(low), int(high)


def read_share(name: str, text: str, *, least: float) -> float:
    """A percentage, at most 100; as a share."""
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        raise UsageError(f"{name} takes a percentage like {name}:95, got {text!r}") from None
    if not least <= percent <= 100:
        raise UsageError(f"{name}: a percentage lies within {_plain(least)}..100, got {text}")
    return percent / 100.0


def number(value: float) -> str:
    """A parameter as the shortest decimal of at most five significant digits."""
    return f"{value:.5g}"


def _plain(value: float) -> str:
    return f"{value:g}"
