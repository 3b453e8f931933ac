"""The numbers of a 2AFC benchmark, computed from its records alone.

A judgement is certified in one of three forms, each a radius in ℓ2 pixels of the triplet's images:

| form | what it says |
|---|---|
| sound | no change of the reference shorter than the radius turns the judgement (T1 with two rows, query not normalised) |
| published | LipSim's radius for a normalised query; holds only where the embedding is no shorter than 1 on the whole ball |
| all | reference and both candidates may each change by less than the radius |

| number | what it is |
|---|---|
| 2AFC score | mean share of people who agree with the metric, half for a draw |
| accuracy | share of triplets on which the metric prefers what most people prefer; those split evenly are left out |
| flipped | the order of the two distances is the opposite, judged again on the saved image |
| certified score | 2AFC score in which judgements count only if their radius is larger than ε |
| attacked score | 2AFC score after the flips of samples that agreed |
"""  # noqa: E501 - one row per number

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np

from ...core.statistics import share_of
from ..shared.frame import Bools
from ..shared.records import Records
from .scores import Form, Proved, Worst
from .summary_lines import (
    AttackLine,
    CertifiedLine,
    EqualEps,
    MetricLine,
    ShiftLine,
    TripletSummary,
    WorstLine,
)
from .summary_rows import Rows

EPSILONS = (36 / 255, 72 / 255, 108 / 255)
"""ℓ2 radii at which LipSim certifies."""
FORMS: tuple[Form, ...] = get_args(Form)
_SETTING = ("attack", "setting", "goal", "moves", "source", "norm", "eps", "steps")


def summarise_triplets(records: Records, *, epsilons: Sequence[float] = ()) -> TripletSummary:
    """Compute every number of a benchmark.

    Args:
        records: of one run.
        epsilons: where certified and worst scores are given: ℓ2 in pixels, where values run from 0 to 1; those that
            the run was asked for where empty.
    """
    stated = tuple(epsilons or records.facts.get("plan", {}).get("certified") or EPSILONS)
    parts = list(Rows.of(records.table).groups("data", "system"))
    proved = [Proved(part.clean, form, stated) for part in parts for form in FORMS]
    worst = [Worst(part.clean, images, stated) for part in parts for images in part.attacked.groups("moves")]
    return TripletSummary(
        run=str(records.facts.get("run", "")),
        epsilons=stated,
        metrics=tuple(MetricLine.of(part) for part in parts),
        attacks=tuple(AttackLine.of(own) for part in parts for own in part.attacked.groups(*_SETTING)),
        certified=tuple(CertifiedLine.of(one) for one in proved if not one.withheld.all()),
        worst=tuple(WorstLine.of(one) for one in worst),
        equal_eps=tuple(line for part in parts for line in _equal_eps(part.attacked)),
        shifts=tuple(ShiftLine.of(own) for part in parts for own in _moved(part.attacked)),
    )


def _moved(trials: Rows) -> Iterator[Rows]:
    """Attacks on the embedding, by setting."""
    moved = trials.where((trials["goal"] == "embedding") & np.isfinite(trials["shift"]))
    return moved.groups("setting", "eps")


def _equal_eps(trials: Rows) -> Iterator[EqualEps]:
    """PGD at each of its ε beside the FGSM search up to the same ε."""
    own = trials.where((trials["source"] == None) & (trials["goal"] == "flip") & trials["agrees"])  # noqa: E711
    steps = own.where(own["attack"] == "fgsm")
    for pgd in own.where(own["attack"] == "pgd-linf").groups("moves", "setting", "eps"):
        eps = float(pgd.first("eps"))
        reach = (steps["moves"] == pgd.first("moves")) & (steps["eps"] >= eps * (1 - 1e-9))
        fgsm = steps.where(reach)
        one = _any_flip(fgsm, np.nan_to_num(fgsm["smallest_eps"], nan=np.inf) <= eps * (1 + 1e-9))
        many = _any_flip(pgd, np.ones(len(pgd), dtype=np.bool_))
        both = [name for name in one if name in many]
        if both:
            shares = [share_of(found[name] for name in both) for found in (one, many)]
            words = {name: str(pgd.first(name)) for name in ("data", "title", "moves", "setting")}
            yield EqualEps(**words, metric=str(pgd.first("system")), eps=eps, fgsm=shares[0], pgd=shares[1])


def _any_flip(rows: Rows, counts: Bools) -> dict[str, bool]:
    """By triplet: whether one of its rows flipped and counts."""
    found: dict[str, bool] = {}
    for name, flipped in zip(rows["query"].tolist(), (rows["flipped"] & counts).tolist(), strict=True):
        found[name] = found.get(name, False) or flipped
    return found
