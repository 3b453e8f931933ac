"""How tight a certificate is: its radius against the smallest change that broke the answer, query by query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ...core.statistics import Quantiles, quantiles_of
from .columns import Bools, Columns, Floats

Promise = Literal["top1", "verdict"]
"""What a certificate is about: the first place, or the verdict."""
PROMISES: tuple[Promise, ...] = get_args(Promise)
BOXED = 0.01
"""Share of an image's values at 0 or 1 above which its change counts as held back by the pixel box."""


@dataclass(frozen=True)
class TightnessLine:
    """Certified radius ÷ smallest change that broke the answer, query by query. From 1 on it would be an alarm.

    Attributes:
        promise: which certificate.
        queries: queries with a radius above 0 that were attacked.
        ratios: over those of them where some attack broke the answer; None if none did. For the others the ratio is
            not known, only that this audit found nothing.
        free: the ratios of queries whose smallest breaking image has at most ``BOXED`` of its values at 0 or 1: only
            the map from pixels to embeddings can hold the attack back.
        boxed: those of the others: the attack wanted to leave [0, 1] there, perhaps, and had to go farther elsewhere.
        finders: attack → on how many queries its image was the smallest, most often first.
    """

    system: str
    promise: Promise
    queries: int
    ratios: Quantiles | None
    free: Quantiles | None
    boxed: Quantiles | None
    finders: dict[str, int]


@dataclass(frozen=True)
class Broken:
    """Queries with a certificate that were attacked, and the smallest change found that breaks the answer of each.

    Attributes:
        radius: (n,) certified l2 radius, > 0.
        smallest: (n,) l2 norm of that change; inf where none was found.
        finder: (n,) the attack that found it; None where none was found.
        at_edge: (n,) share of its values that are 0 or 1; 0 where none was found.
    """

    radius: Floats
    smallest: Floats
    finder: np.ndarray
    at_edge: Floats

    @property
    def ratios(self) -> Floats:
        """Radius ÷ smallest change, where one was found."""
        found = np.isfinite(self.smallest)
        return self.radius[found] / self.smallest[found]

    @property
    def boxed(self) -> Bools:
        """Of the same queries, whether the pixel box may have held the attack back."""
        return self.at_edge[np.isfinite(self.smallest)] > BOXED


def tightness_lines(table: Columns) -> Iterator[TightnessLine]:
    """One line per system and certificate that was attacked."""
    for system in table.groups("system"):
        for promise in PROMISES:
            broken = broken_promises(system, promise)
            if len(broken.radius):
                finders = Counter(str(name) for name in broken.finder if name is not None)
                ratios, boxed = broken.ratios, broken.boxed
                yield TightnessLine(
                    system=str(system.first("system")),
                    promise=promise,
                    queries=len(broken.radius),
                    ratios=quantiles_of(ratios),
                    free=quantiles_of(ratios[~boxed]),
                    boxed=quantiles_of(ratios[boxed]),
                    finders=dict(finders.most_common()),
                )


def broken_promises(system: Columns, promise: Promise) -> Broken:
    """The certificates of one system against all images that attacks made, of whatever goal and medium."""
    clean, trials = system.clean, system.attacked
    radius = clean.radius(f"radius_{promise}")
    clean = clean.where((radius > 0) & np.isin(clean["case"], trials["case"]))
    wins = trials.where(_breaks(trials, promise))
    # The first of equal norms counts: a stable order makes the finder a matter of the records alone.
    wins = wins.where(np.argsort(wins["l2"], kind="stable"))
    cases, first = np.unique(wins["case"], return_index=True)
    smallest, finder = np.full(len(clean), np.inf), np.full(len(clean), None, dtype=object)
    at_edge = np.zeros(len(clean))
    hit = np.isin(clean["case"], cases)
    place = first[np.searchsorted(cases, clean["case"][hit])]
    smallest[hit], finder[hit] = wins["l2"][place], wins["attack"][place]
    at_edge[hit] = wins["at_edge"][place]
    return Broken(clean.radius(f"radius_{promise}"), smallest, finder, at_edge)


def _breaks(trials: Columns, promise: Promise) -> Bools:
    """Whether an image changes what the certificate promises."""
    if promise == "verdict":
        return trials["attacked_verdict"] != trials["clean_verdict"]
    # An evasion succeeds when another item than before comes first, true or not: the promise to the letter.
    lost = trials["clean_first"] & ~trials["attacked_first"]
    return lost | ((trials["goal"] == "evasion") & trials["success"])
