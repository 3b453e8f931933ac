"""How tight a certificate is: its radius against the smallest change that broke the answer, query by query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ...core.statistics import Quantiles, quantiles_of
from ..shared.lines import Line, col
from .columns import Bools, Columns, Floats

Promise = Literal["top1", "verdict"]
"""What a certificate is about: the first place, or the verdict."""
PROMISES: tuple[Promise, ...] = get_args(Promise)
BOXED = 0.01
"""Share of an image's values at 0 or 1 above which its change counts as held back by the pixel box."""


@dataclass(frozen=True)
class Broken:
    """Queries with a certificate that were attacked, and the smallest change found that breaks the answer of each.

    Attributes:
        system: its name.
        promise: which certificate.
        radius: (n,) certified l2 radius, > 0.
        smallest: (n,) l2 norm of that change; inf where none was found.
        finder: (n,) the attack that found it; None where none was found.
        at_edge: (n,) share of its values that are 0 or 1; 0 where none was found.
    """

    system: str
    promise: Promise
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


def _finders(broken: Broken) -> dict[str, int]:
    return dict(Counter(str(name) for name in broken.finder if name is not None).most_common())


@dataclass(frozen=True)
class TightnessLine(Line):
    """Certified radius ÷ smallest change that broke the answer, query by query; of :class:`Broken`.

    From 1 on it would be an alarm. For queries where no attack broke the answer the ratio is not known, only that this
    audit found nothing. At the pixel box the attack wanted to leave [0, 1], perhaps, and had to go farther elsewhere;
    away from it only the map from pixels to embeddings can hold the attack back.
    """

    system: str = col(lambda broken: broken.system, "its name")
    promise: Promise = col(lambda broken: broken.promise, "which certificate")
    queries: int = col(lambda broken: len(broken.radius), "those with a radius above 0 that were attacked")
    ratios: Quantiles | None = col(
        lambda broken: quantiles_of(broken.ratios), "where some attack broke the answer", "ratio", "down"
    )
    free: Quantiles | None = col(
        lambda broken: quantiles_of(broken.ratios[~broken.boxed]),
        "those whose smallest breaking image has at most ``BOXED`` of its values at 0 or 1",
        "ratio",
        "down",
    )
    boxed: Quantiles | None = col(
        lambda broken: quantiles_of(broken.ratios[broken.boxed]), "the others", "ratio", "down"
    )
    finders: dict[str, int] = col(_finders, "attack → on how many its image was the smallest, most often first")


def tightness_lines(table: Columns) -> Iterator[TightnessLine]:
    """One line per system and certificate that was attacked."""
    found = (broken_promises(system, promise) for system in table.groups("system") for promise in PROMISES)
    return (TightnessLine.of(broken) for broken in found if len(broken.radius))


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
    name = str(system.first("system"))
    return Broken(name, promise, clean.radius(f"radius_{promise}"), smallest, finder, at_edge)


def _breaks(trials: Columns, promise: Promise) -> Bools:
    """Whether an image changes what the certificate promises."""
    if promise == "verdict":
        return trials["attacked_verdict"] != trials["clean_verdict"]
    # An evasion succeeds when another item than before comes first, true or not: the promise to the letter.
    lost = trials["clean_first"] & ~trials["attacked_first"]
    return lost | ((trials["goal"] == "evasion") & trials["success"])
