"""How near images known to be absent come to a channel's rows: what thresholds are set by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .channel import Float64
from .decide import decide
from .evidence import Evidence
from .probe import Probe
from .settle import SHORTLIST, propose, until_settled
from .source import Ask, Source


def best_scores(source: Source, probes: Sequence[Probe]) -> Float64:
    """(b,) the score of the nearest row: a cosine, or a distance. −1 or inf for a probe that nothing is near to.

    Exact, as the verdict is: a float32 shortlist alone could miss the nearest row.

    Args:
        source: holds the rows of the probes' channel.
        probes: refused ones are near to nothing.
    """
    nowhere = np.array([-1.0 if probe.score == "cosine" else math.inf for probe in probes])
    return _settled(source, probes, _decide_best, nowhere)


@dataclass(frozen=True, slots=True)
class _Found:
    """A number by the evidence so far; see ``ranking.Decision``."""

    value: float
    needs: tuple[Ask, ...] = ()
    wishes: tuple[Ask, ...] = ()


def _settled(source: Source, probes: Sequence[Probe], decision: Callable[..., _Found], nowhere: Float64) -> Float64:
    usable = [place for place, probe in enumerate(probes) if probe.refused is None]
    first = propose([source], [probes[place] for place in usable], SHORTLIST)
    found = nowhere.copy()
    found[usable] = [until_settled([source], [one], decision).value for one in first]
    return found


def _decide_best(evidence: Sequence[Evidence], *, growth: float) -> _Found:
    (seen,) = evidence
    found = decide([seen], 1, certify=False, growth=growth)
    if found.needs:
        return _Found(math.nan, found.needs)
    place = np.flatnonzero(seen.listed.ids == found.ranking.items[0].row)
    return _Found(float(seen.listed.met.verdict_values()[place][0]))
