"""How near images known to be absent come to a channel's rows: what thresholds are set by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..certificates.decision import verdict_values
from ..indexer.vectors import Float32
from .channel import Float64
from .decide import decide
from .distances import beyond
from .evidence import Evidence
from .probe import Probe
from .settle import SHORTLIST, propose, until_settled
from .source import Ask, Source

_LEAST_STEP = 1e-3


def best_scores(source: Source, probes: Sequence[Probe]) -> Float64:
    """(b,) the score of the nearest row: a cosine, or a distance. −1 or inf for a probe that nothing is near to.

    Exact, as the verdict is: a float32 shortlist alone could miss the nearest row.

    Args:
        source: holds the rows of the probes' channel.
        probes: refused ones are near to nothing.
    """
    nowhere = np.array([-1.0 if probe.score == "cosine" else math.inf for probe in probes])
    return _settled(source, probes, _decide_best, nowhere)


def best_levels(source: Source, gaps: Float32, probes: Sequence[Probe]) -> Float64:
    """(b,) the least offset of a local threshold that would accept, over all rows: nearness less half of the gap.

    Angles in radians (cosine) or distances. −inf for a stored row itself, which every offset accepts; inf for a probe
    that nothing is near to. Exact but for rounding.

    Args:
        source: holds the rows of the probes' channel, numbered from 0.
        gaps: (rows,) of ``indexer.gaps``.
        probes: refused ones are near to nothing.
    """
    return _settled(source, probes, partial(_decide_level, gaps), np.full(len(probes), math.inf))


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
    return _Found(float(verdict_values(seen.probe.z, seen.listed.numbers[place], seen.probe.score)[0]))


def _decide_level(gaps: Float32, evidence: Sequence[Evidence], *, growth: float) -> _Found:
    """No row that is not listed has a lower level if all are farther than this level and half of the largest gap."""
    (seen,) = evidence
    level = _level(seen, gaps)
    need = _reaching(seen.probe, level + 0.5 * float(gaps.max(initial=0.0)))
    if need > seen.unseen:
        return _Found(level, (Ask(seen.probe, within=(max(need, growth * seen.unseen, _LEAST_STEP),)),))
    return _Found(level)


def _level(seen: Evidence, gaps: Float32) -> float:
    values = verdict_values(seen.probe.z, seen.listed.numbers, seen.probe.score)
    cosine = seen.probe.score == "cosine"
    far = np.arccos(np.clip(values, -1.0, 1.0)) if cosine else values
    level = np.where(far > 0.0, far - 0.5 * gaps[seen.listed.ids].astype(np.float64), -np.inf)
    return float(level.min(initial=math.inf))


def _reaching(probe: Probe, far: float) -> float:
    """How near an unseen row must not be, for none to be nearer than this angle or distance."""
    if probe.score == "euclidean":
        return beyond(max(0.0, far), probe.score)
    return beyond(2.0 * math.sin(0.5 * min(max(0.0, far), math.pi)), probe.score)
