"""What a 2AFC benchmark says: its tables, declared column by column, plain numbers throughout."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...core.statistics import Quantiles, Share, share_of, wilson
from ..shared.embedding_shift import shift_quantiles, used_quantiles
from ..shared.lines import Line, col, mean, word
from .scores import Form, Proved, Spread, Worst, score_left, score_of, spread
from .summary_rows import Rows

CHANGED = ("changed_001", "changed_01", "changed_03")


def _won(own: Rows) -> Rows:
    return own.where(own["flipped"])


def _changed(own: Rows) -> tuple[float, ...] | None:
    won = _won(own)
    return tuple(float(won[name].mean()) for name in CHANGED) if len(won) else None


@dataclass(frozen=True)
class Flips(Line):
    """How many samples an attack turned, and how far the images are that did it; of its rows."""

    samples: int = col(len, "attacked ones")
    flipped: Share = col(lambda own: share_of(own["flipped"]), "those whose order the saved image changed", "share")
    smallest_eps: Spread | None = col(
        lambda own: spread(_won(own)["smallest_eps"]),
        "over the flipped ones, of attacks that look for it; pixels run from 0 to 1",
    )
    rmse: Spread | None = col(lambda own: spread(_won(own)["rmse"]), "over the flipped ones, 8-bit levels", "rmse")
    psnr: Spread | None = col(lambda own: spread(_won(own)["psnr"]), "over the flipped ones", "dB")
    changed: tuple[float, float, float] | None = col(
        _changed,
        "over the flipped ones: mean share of pixels changed by more than 0.001, 0.01, 0.03 on the scale from −1 to 1",
        "share",
    )


def _accuracy(clean: Rows) -> Share:
    return share_of(clean["agrees"][clean.decided])


@dataclass(frozen=True)
class GroupLine(Line):
    """One part of a data set (a kind of distortion), before any attack; of its rows. See :class:`MetricLine`."""

    group: str = word("group", "its name")
    triplets: int = col(len, "all")
    score: float = col(score_of, "2AFC score", "share")
    accuracy: Share = col(_accuracy, "agreement with most people", "share")


@dataclass(frozen=True)
class OfMetric(Line):
    """What every table of a benchmark begins with: one metric on one data set; of rows of it."""

    data: str = word("data", "the data set")
    metric: str = word("system", "spec of the metric")
    title: str = word("title", "its name in tables")


def _side(part: Rows) -> int:
    sides = part.clean["side"].astype(int).tolist()
    return Counter(sides).most_common(1)[0][0] if sides else 0


def _groups(part: Rows) -> tuple[GroupLine, ...]:
    parts = list(part.clean.groups("group"))
    return tuple(GroupLine.of(own) for own in parts) if len(parts) > 1 else ()


def _interval(part: Rows) -> tuple[float, float]:
    return wilson(score_of(part.clean), len(part.clean))


def _made(part: Rows) -> Rows:
    """Images made on the metric itself: what they cost counts here."""
    trials = part.attacked
    return trials.where(trials["source"] == None)  # noqa: E711 - an array is compared


def _draws(part: Rows) -> int:
    return int((part.clean["clean_left"] == part.clean["clean_right"]).sum())


@dataclass(frozen=True)
class MetricLine(OfMetric):
    """One metric on one data set, before any attack, and what all attacks on it took; of its rows."""

    certified: bool = col(lambda part: bool(part["certified"].any()), "whether its judgements can have radii")
    side: int = col(_side, "shorter side of the images in pixels, the commonest")
    triplets: int = col(lambda part: len(part.clean), "all")
    undecided: int = col(lambda part: int((~part.clean.decided).sum()), "those on which people were split evenly")
    draws: int = col(_draws, "those that the metric finds equal")
    score: float = col(
        lambda part: score_of(part.clean),
        "2AFC score, the mean share of people who agree with the metric; half for a draw",
        "share",
    )
    score_low: float = col(
        lambda part: _interval(part)[0], "its 95 % interval, triplets as independent", "share", "down"
    )
    score_high: float = col(lambda part: _interval(part)[1], "its upper end", "share", "up")
    accuracy: Share = col(
        lambda part: _accuracy(part.clean),
        "agreement with most people, over triplets that are not undecided; a draw is no agreement",
        "share",
    )
    agree: int = col(lambda part: int(part.clean["agrees"].sum()), "triplets on which it agrees with most people")
    disagree: int = col(lambda part: int(part.clean.disagrees.sum()), "and not; neither holds draws and undecided ones")
    groups: tuple[GroupLine, ...] = col(_groups, "the same by part, where there are several")
    images: int = col(lambda part: len(part.attacked), "adversarial images judged")
    certificates: int = col(lambda part: int(part.attacked.within.sum()), "those inside a certified radius")
    alarms: int = col(lambda part: int(part.attacked.alarms.sum()), "those that broke it")
    gradients: int = col(lambda part: int(_made(part)["gradients"].sum()), "evaluations by the attacks on it")
    forwards: int = col(lambda part: int(_made(part)["forwards"].sum()), "evaluations of their losses")
    seconds: float = col(lambda part: float(_made(part)["seconds"].sum()), "what they took, all in all", "s")


def _eps(own: Rows) -> float | None:
    eps = float(own.first("eps"))
    return None if np.isnan(eps) else eps


@dataclass(frozen=True)
class AttackLine(OfMetric):
    """One setting of an attack on one metric, of its rows; the columns of the papers' tables."""

    attack: str = word("attack", "its name")
    setting: str = word("setting", "in a few words")
    goal: str = word("goal", "flip, reverse or embedding")
    moves: str = word("moves", "reference, preferred, other, all")
    source: str | None = word("source", "the metric that it was made on, if another (a transfer)")
    norm: str = word("norm", "what bounds it")
    eps: float | None = col(_eps, "pixels run from 0 to 1; None where nothing bounds it")
    steps: int = col(lambda own: int(own.first("steps")), "of the attack")
    agree: Flips = col(lambda own: Flips.of(own.where(own["agrees"])), "samples where metric and people agreed before")
    disagree: Flips = col(lambda own: Flips.of(own.where(own.disagrees)), "samples where they did not")
    score: float = col(
        lambda own: score_left(own.agreement, own["agrees"] & own["flipped"]),
        "2AFC score that is left; samples that did not agree are left as they were, as AutoAttack leaves wrong answers",
        "share",
    )
    flipped_png: Share = col(
        lambda own: share_of(own["flipped_png"][own["agrees"] | own.disagrees]),
        "turned by the image rounded to 8 bits, of all decided ones",
        "share",
    )
    weak: float = col(
        lambda own: float(np.mean([word is not None for word in own["weak"]])),
        "samples on which the attack showed signs of weakness",
        "share",
    )
    alarms: int = col(lambda own: int(own.alarms.sum()), "certificates broken")
    gradients: float = mean("gradients", "evaluations per sample")
    forwards: float = mean("forwards", "evaluations of the loss per sample")
    seconds: float = mean("seconds", "per sample", "s")


@dataclass(frozen=True)
class CertifiedLine(OfMetric):
    """Certified 2AFC score of one metric in one form, of :class:`Proved`; see ``two_afc.summary`` for the forms."""

    form: Form = col(lambda one: one.form, "sound, published or all")
    scores: tuple[float, ...] = col(Proved.scores, "at each ε", "share")
    withheld: int = col(lambda one: int(one.withheld.sum()), "triplets without a radius of this form")
    median: float | None = col(Proved.median, "median radius where metric and people agree (0 for none)", "l2", "down")
    proved: float | None = col(
        Proved.holding, "published form only: its positive radii that are proved all the same", "share"
    )


@dataclass(frozen=True)
class WorstLine(OfMetric):
    """2AFC score that is left by the worst of all attacks, whatever made the image; of :class:`Worst`."""

    moves: str = word("moves", "reference, preferred, other or all")
    scores: tuple[float | None, ...] = col(Worst.scores, "at each ε, by how far the image really is", "share")
    unbounded: float = col(Worst.unbounded, "by images at any distance", "share")


@dataclass(frozen=True)
class EqualEps:
    """FGSM beside PGD at one ε on the same samples, those where metric and people agree.

    Attributes:
        setting: of PGD; eps: pixels run from 0 to 1.
        fgsm: flipped by one step of a size up to ε; pgd: flipped within ε.
    """

    data: str
    metric: str
    title: str
    moves: str
    setting: str
    eps: float
    fgsm: Share
    pgd: Share


@dataclass(frozen=True)
class ShiftLine(OfMetric):
    """How far attacks on the embedding moved it; of their rows."""

    setting: str = word("setting", "of the attack")
    eps: float | None = col(_eps, "pixels run from 0 to 1")
    shift: Quantiles = col(lambda own: shift_quantiles(own["shift"]), "in the embedding's units")
    used: Quantiles | None = col(
        lambda own: used_quantiles(own["shift"], own["shift_limit"]), "of L·‖δ‖; None without a proved L", "share"
    )
    broken: int = col(
        lambda own: int((own["shift"] > np.where(np.isnan(own["shift_limit"]), np.inf, own["shift_limit"])).sum()),
        "images that moved it farther than L·‖δ‖, each an alarm",
    )


@dataclass(frozen=True)
class TripletSummary:
    """A 2AFC benchmark in numbers.

    Attributes:
        epsilons: ℓ2 in pixels of the triplet's images, for certified and worst.
    """

    run: str
    epsilons: tuple[float, ...]
    metrics: tuple[MetricLine, ...]
    attacks: tuple[AttackLine, ...]
    certified: tuple[CertifiedLine, ...]
    worst: tuple[WorstLine, ...]
    equal_eps: tuple[EqualEps, ...]
    shifts: tuple[ShiftLine, ...]

    @property
    def data(self) -> tuple[str, ...]:
        """The data sets, in order of first appearance."""
        return tuple(dict.fromkeys(line.data for line in self.metrics))

    @property
    def alarms(self) -> int:
        """Certificates broken; there must be none."""
        return sum(line.alarms for line in self.metrics)

    @property
    def certificates(self) -> int:
        """Adversarial images inside a certified radius."""
        return sum(line.certificates for line in self.metrics)

    def as_json(self) -> dict[str, Any]:
        """The summary as plain JSON values."""
        return {**asdict(self), "alarms": self.alarms, "certificates": self.certificates}
