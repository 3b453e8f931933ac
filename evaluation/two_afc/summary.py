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

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np
import numpy.typing as npt

from ...core.statistics import quantiles_of, share_of, wilson
from ..shared.frame import Bools, Floats
from ..shared.records import Records
from .summary_lines import (
    AttackLine,
    CertifiedLine,
    EqualEps,
    Flips,
    Form,
    GroupLine,
    MetricLine,
    ShiftLine,
    Spread,
    TripletSummary,
    WorstLine,
)
from .summary_rows import Rows

EPSILONS = (36 / 255, 72 / 255, 108 / 255)
"""ℓ2 radii at which LipSim certifies."""
FORMS: tuple[Form, ...] = get_args(Form)
CHANGED = ("changed_001", "changed_01", "changed_03")
_SETTING = ("attack", "setting", "goal", "moves", "source", "norm", "eps", "steps")


def summarise_triplets(records: Records, *, epsilons: Sequence[float] = ()) -> TripletSummary:
    """Compute every number of a benchmark.

    Args:
        records: of one run.
        epsilons: where certified and worst scores are given: ℓ2 in pixels, where values run from 0 to 1; those that
            the run was asked for where empty.
    """
    epsilons = epsilons or records.facts.get("plan", {}).get("certified") or EPSILONS
    parts = list(Rows.of(records.table).groups("data", "system"))
    return TripletSummary(
        run=str(records.facts.get("run", "")),
        epsilons=tuple(epsilons),
        metrics=tuple(_metric_line(part) for part in parts),
        attacks=tuple(_attack_line(own) for part in parts for own in part.attacked.groups(*_SETTING)),
        certified=tuple(line for part in parts for line in _certified_lines(part.clean, epsilons)),
        worst=tuple(line for part in parts for line in _worst_lines(part, epsilons)),
        equal_eps=tuple(line for part in parts for line in _equal_eps(part.attacked)),
        shifts=tuple(line for part in parts for line in _shift_lines(part.attacked)),
    )


def _metric_line(part: Rows) -> MetricLine:
    clean, trials = part.clean, part.attacked
    score = _score(clean)
    low, high = wilson(score, len(clean))
    own = trials.where(trials["source"] == None)  # noqa: E711 - an array is compared
    return MetricLine(
        **_names(part),
        certified=bool(part["certified"].any()),
        side=Counter(clean["side"].astype(int).tolist()).most_common(1)[0][0] if len(clean) else 0,
        triplets=len(clean),
        undecided=int((~clean.decided).sum()),
        draws=int((clean["clean_left"] == clean["clean_right"]).sum()),
        score=score,
        score_low=low,
        score_high=high,
        accuracy=share_of(clean["agrees"][clean.decided]),
        agree=int(clean["agrees"].sum()),
        disagree=int(clean.disagrees.sum()),
        groups=_groups(clean),
        images=len(trials),
        certificates=int(trials.within.sum()),
        alarms=int(trials.alarms.sum()),
        gradients=int(own["gradients"].sum()),
        forwards=int(own["forwards"].sum()),
        seconds=float(own["seconds"].sum()),
    )


def _names(part: Rows) -> dict[str, str]:
    return {"data": str(part.first("data")), "metric": str(part.first("system")), "title": str(part.first("title"))}


def _score(rows: Rows) -> float:
    return float(rows.agreement.mean()) if len(rows) else 0.0


def _groups(clean: Rows) -> tuple[GroupLine, ...]:
    parts = list(clean.groups("group"))
    if len(parts) < 2:
        return ()
    return tuple(
        GroupLine(str(own.first("group")), len(own), _score(own), share_of(own["agrees"][own.decided])) for own in parts
    )


def _attack_line(own: Rows) -> AttackLine:
    eps = float(own.first("eps"))
    return AttackLine(
        **_names(own),
        attack=str(own.first("attack")),
        setting=str(own.first("setting")),
        goal=str(own.first("goal")),
        moves=str(own.first("moves")),
        source=own.first("source"),
        norm=str(own.first("norm")),
        eps=None if np.isnan(eps) else eps,
        steps=int(own.first("steps")),
        agree=_flips(own.where(own["agrees"])),
        disagree=_flips(own.where(own.disagrees)),
        score=_score_left(own.agreement, own["agrees"] & own["flipped"]),
        flipped_png=share_of(own["flipped_png"][own["agrees"] | own.disagrees]),
        weak=float(np.mean([word is not None for word in own["weak"]])),
        alarms=int(own.alarms.sum()),
        gradients=float(own["gradients"].mean()),
        forwards=float(own["forwards"].mean()),
        seconds=float(own["seconds"].mean()),
    )


def _score_left(agreement: Floats, lost: Bools) -> float:
    return float(np.where(lost, 1.0 - agreement, agreement).mean())


def _flips(own: Rows) -> Flips:
    won = own.where(own["flipped"])
    changed = tuple(float(won[name].mean()) for name in CHANGED) if len(won) else None
    return Flips(
        samples=len(own),
        flipped=share_of(own["flipped"]),
        smallest_eps=spread(won["smallest_eps"]),
        rmse=spread(won["rmse"]),
        psnr=spread(won["psnr"]),
        changed=changed,  # type: ignore[arg-type] - three names, three numbers
    )


def spread(sample: npt.NDArray[np.float64]) -> Spread | None:
    """Mean and sample standard deviation of the numbers that are there; None if none is."""
    found = sample[np.isfinite(sample)]
    if not found.size:
        return None
    return Spread(found.size, float(found.mean()), float(found.std(ddof=1)) if found.size > 1 else None)


def _certified_lines(clean: Rows, epsilons: Sequence[float]) -> Iterator[CertifiedLine]:
    for form in FORMS:
        withheld = np.isnan(clean[f"radius_{form}"])
        if withheld.all():
            continue
        radii, agreement = clean.radius(form), clean.agreement
        holds = clean["published_holds"][radii > 0] if form == "published" else np.empty(0)
        right = radii[clean["agrees"]]
        yield CertifiedLine(
            **_names(clean),
            form=form,
            scores=tuple(float(np.where(radii > eps, agreement, 0.0).mean()) for eps in epsilons),
            withheld=int(withheld.sum()),
            median=float(np.median(right)) if right.size else None,
            proved=float((holds == 1).mean()) if holds.size else None,
        )


def _worst_lines(part: Rows, epsilons: Sequence[float]) -> Iterator[WorstLine]:
    clean = part.clean
    for own in part.attacked.groups("moves"):
        attacked = own.where(own["agrees"])
        scores = [_worst(clean, attacked.where(attacked["l2"] <= eps)) for eps in epsilons]
        whole = _worst(clean, attacked)
        moves = str(own.first("moves"))
        yield WorstLine(
            **_names(part), moves=moves, scores=tuple(scores), unbounded=_score(clean) if whole is None else whole
        )


def _worst(clean: Rows, images: Rows) -> float | None:
    """The score after every flip among these images; None where there is no image at all."""
    if not len(images):
        return None
    lost = set(images["query"][images["flipped"]].tolist())
    return _score_left(clean.agreement, np.asarray([name in lost for name in clean["query"].tolist()], dtype=np.bool_))


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
            words = {name: str(pgd.first(name)) for name in ("moves", "setting")}
            yield EqualEps(**_names(pgd), **words, eps=eps, fgsm=shares[0], pgd=shares[1])


def _any_flip(rows: Rows, counts: Bools) -> dict[str, bool]:
    """By triplet: whether one of its rows flipped and counts."""
    found: dict[str, bool] = {}
    for name, flipped in zip(rows["query"].tolist(), (rows["flipped"] & counts).tolist(), strict=True):
        found[name] = found.get(name, False) or flipped
    return found


def _shift_lines(trials: Rows) -> Iterator[ShiftLine]:
    moved = trials.where((trials["goal"] == "embedding") & np.isfinite(trials["shift"]))
    for own in moved.groups("setting", "eps"):
        shift, limit = own["shift"], own["shift_limit"]
        bounded = np.isfinite(limit) & (limit > 0)
        quantiles = quantiles_of(shift)
        assert quantiles is not None, "a group has rows"
        eps = float(own.first("eps"))
        yield ShiftLine(
            **_names(own),
            setting=str(own.first("setting")),
            eps=None if np.isnan(eps) else eps,
            shift=quantiles,
            used=quantiles_of(shift[bounded] / limit[bounded]),
            broken=int((shift > np.where(np.isnan(limit), np.inf, limit)).sum()),
        )
