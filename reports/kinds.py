"""The kinds of cells: what each number is, and with it the direction in which it is rounded (core.rounded)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from ..core.names import shown
from ..core.rounded import budget_text, lower_text, nearest_text, percent_text, radius_text, upper_text
from ..core.statistics import Share
from ..evaluation.shared.lines import Line, Rounded
from .table import THIN, Kind


def percent(share: float | None, decimals: int = 1) -> str:
    """A share of counts as a percentage; a dash for none."""
    return "–" if share is None else f"{percent_text(share, decimals=decimals)} %"


def bounds(share: Share) -> str:
    """The ends of a share's interval in whole per cents, rounded outwards."""
    low, high = 100 * Fraction(share.low), 100 * Fraction(share.high)
    return f"{math.floor(low)}–{math.ceil(high)}"


def ends(share: Share, decimals: int = 1) -> str:
    """The same in words, with decimals."""
    low, high = (100.0 * end for end in (share.low, share.high))
    return f"{lower_text(low, decimals=decimals)} % to {upper_text(high, decimals=decimals)} %"


def rate(share: Share | None) -> str:
    """A share with its interval, within a sentence."""
    return "–" if share is None else f"{percent(share.value)} ({bounds(share)})"


def count(number: int) -> str:
    """A count, with a thin space between thousands."""
    return f"{number:,}".replace(",", THIN)


def counted(number: int, one: str, many: str | None = None) -> str:
    """So many of a thing; ``many`` is its name where there is not one of it (by default with an s)."""
    return f"{count(number)} {one if number == 1 else many or f'{one}s'}"


def lines(texts: Any) -> str:
    """Several words one below the other; each may hold a name."""
    return "\n".join(map(shown, texts))


_DIRECTIONS: Mapping[Rounded, Callable[..., str]] = {"down": lower_text, "up": upper_text, "nearest": nearest_text}
_PLACES: Mapping[str, dict[str, int]] = {
    "ratio": {"decimals": 3},
    "rmse": {"decimals": 2},
    "l2": {"digits": 3},
    "dB": {"decimals": 1},
    "s": {"decimals": 2},
}
"""How exactly a number of a unit is written, where nothing else is asked for."""


def told(line: type[Line], name: str, **places: int) -> Kind:
    """A number that an audit declares, rounded in the direction that it declares.

    Args:
        line: the table.
        name: its column.
        places: ``decimals`` or ``digits``, where the unit's own do not serve.
    """
    declared = line.declared()[name]
    write, chosen = _DIRECTIONS[declared.rounded], places or _PLACES.get(declared.unit, {})
    return Kind(lambda x: write(x, **chosen))


def said(line: type[Line], name: str, value: float, **places: int) -> str:
    """The same within a sentence."""
    return told(line, name, **places).write(value)


def radius(*, decimals: int) -> Kind:
    """A certified radius that no table of an audit declares, rounded down."""
    return Kind(lambda x: radius_text(x, decimals=decimals))


def measured(*, decimals: int | None = None, digits: int = 4) -> Kind:
    """A plain measurement, rounded to nearest."""
    return Kind(lambda x: nearest_text(x, decimals=decimals, digits=digits))


def heat(kind: Kind) -> Kind:
    """The same on a ground that is the darker the larger the share."""
    return Kind(kind.write, small=kind.small, look="heat")


NAME = Kind(lambda text: shown(str(text)), words=True)
"""Words, among which may be what somebody else called something."""
NAMED = Kind(NAME.write, words=True, look="named")
"""A name that may be long, of a metric."""
WRAPPED = Kind(NAME.write, words=True, look="wrap")
"""A name that may be long, of a file."""
DIGEST = Kind(NAME.write, words=True, look="mono wrap")
LINES = Kind(lines, words=True, look="wrap")
"""Words one below the other, which may be long."""
MARKUP = Kind(lambda markup: markup, words=True)
"""A small drawing, on pages alone."""

WORD = Kind(NAME.write)
"""A word among numbers: several of them in one cell, a size by its name."""
COUNT = Kind(count)
ALARMS = Kind(count, look="alarm")
GIVEN = Kind(budget_text)
"""A number that somebody gave."""

SHARE = Kind(percent)
HEAT = heat(SHARE)
WHOLE = Kind(lambda share: percent(share, 0))
"""In whole per cents."""
PERCENT = Kind(percent_text)
"""A share without the sign, for tables whose title says per cent."""
RATE = Kind(lambda share: percent(share.value), small=bounds)
BOUNDS = Kind(bounds)
"""The interval of a share alone."""

SECONDS = measured(decimals=2)
