"""Conditions on items: ``--where bank=hashes-2024``. What they leave is a gallery of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import UsageError
from .held import among
from .labels import Labels

Mask = npt.NDArray[np.bool_]
SIGNS = ("!=", "=", "~")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        key: a label's, or ``path``; ``id`` is the item's own or the user's.
        sign: ``=``, ``!=`` (also what has no such label), or ``~`` (a pattern with ``*``, ``?`` and ``[…]``).
        value: to compare with; commas part several, one of which shall hold (of a path there is one, commas and all).
    """

    key: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}{self.sign}{self.value}"

    @property
    def values(self) -> tuple[str, ...]:
        """What is compared with."""
        return (self.value,) if self.key == "path" else tuple(self.value.split(","))

    def holds(self, paths: pa.ChunkedArray, ids: pa.ChunkedArray, labels: Labels) -> Mask:
        """(n,) whether it holds for each of some items or rows."""
        if self.key == "path":
            found = self._matches(paths)
        else:
            mine = among(labels.table["key"], [self.key])
            rows = labels.table.filter(pa.array(mine))
            chosen = rows["path"].filter(pa.array(self._matches(rows["value"])))
            found = among(paths, chosen.to_pylist())
            if self.key == "id":
                found |= self._matches(ids)
        return ~found if self.sign == "!=" else found

    def _matches(self, column: pa.ChunkedArray) -> Mask:
        if self.sign != "~":
            return among(column, self.values)
        found = np.zeros(len(column), dtype=np.bool_)
        for value in self.values:
            pattern = pc.MatchSubstringOptions(f"^(?:{_re2(value)})$")
            found |= np.asarray(pc.call_function("match_substring_regex", [column], pattern), dtype=np.bool_)
        return found


def _re2(pattern: str) -> str:
    """A shell pattern for Arrow's regular expressions, which know no atomic groups and another end of the text."""
    python = translate(pattern)
    body = python.removeprefix("(?s:").removesuffix(")\\Z").removesuffix(")\\z")
    return "(?s)" + body.replace("(?>", "(?:")


def parse_condition(text: str) -> Condition:
    """``KEY=VALUE``, ``KEY!=VALUE`` or ``KEY~PATTERN``.

    Raises:
        UsageError: it is none of these.
    """
    places = {sign: text.find(sign) for sign in SIGNS}
    found = [(place, SIGNS.index(sign), sign) for sign, place in places.items() if place > 0]
    if not found:
        raise UsageError(f"a condition is KEY=VALUE, KEY!=VALUE or KEY~PATTERN, got {text!r}")
    place, _, sign = min(found)
    return Condition(text[:place], sign, text[place + len(sign) :])


def rows_where(catalog: pa.Table, labels: Labels, conditions: Sequence[Condition]) -> Mask:
    """(rows,) for which rows of a catalog all conditions hold."""
    chosen = np.ones(catalog.num_rows, dtype=np.bool_)
    for condition in conditions:
        chosen &= condition.holds(catalog["path"], catalog["id"], labels)
    return chosen
