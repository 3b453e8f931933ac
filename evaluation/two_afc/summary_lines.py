"""What a 2AFC benchmark says: the lines of its summary, plain numbers throughout."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...core.statistics import Quantiles, Share

Form = Literal["sound", "published", "all"]


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of some numbers; the latter is None for a single one."""

    count: int
    mean: float
    sd: float | None


@dataclass(frozen=True)
class Flips:
    """How many samples an attack turned, and how far the images are that did it.

    Attributes:
        samples: attacked ones; flipped: those whose order the saved image changed.
        smallest_eps: over the flipped ones, of attacks that look for it; pixels run from 0 to 1.
        rmse, psnr: over the flipped ones: 8-bit levels; dB.
        changed: over the flipped ones: mean share of pixels changed by more than 0.001, 0.01, 0.03 on the scale from
            −1 to 1; None where nothing flipped.
    """

    samples: int
    flipped: Share
    smallest_eps: Spread | None
    rmse: Spread | None
    psnr: Spread | None
    changed: tuple[float, float, float] | None


@dataclass(frozen=True)
class GroupLine:
    """One part of a data set (a kind of distortion): see :class:`MetricLine`."""

    group: str
    triplets: int
    score: float
    accuracy: Share


@dataclass(frozen=True)
class MetricLine:
    """One metric on one data set, before any attack, and what all attacks on it took.

    Attributes:
        certified: whether its judgements can have radii.
        side: shorter side of the images in pixels, the commonest.
        triplets: all; undecided: those on which people were split evenly; draws: those that the metric finds equal.
        score: 2AFC score, the mean share of people who agree with the metric; half for a draw.
        score_low, score_high: its 95 % interval, triplets taken as independent.
        accuracy: agreement with most people, over triplets that are not undecided; a draw is no agreement.
        agree, disagree: how many triplets those are; neither holds draws and undecided ones.
        groups: the same by part, where there are several.
        images: adversarial images judged; certificates: those inside a certified radius; alarms: those that broke it.
        gradients, forwards, seconds: what the attacks on it took, all in all.
    """

    data: str
    metric: str
    title: str
    certified: bool
    side: int
    triplets: int
    undecided: int
    draws: int
    score: float
    score_low: float
    score_high: float
    accuracy: Share
    agree: int
    disagree: int
    groups: tuple[GroupLine, ...]
    images: int
    certificates: int
    alarms: int
    gradients: int
    forwards: int
    seconds: float


@dataclass(frozen=True)
class AttackLine:
    """One setting of an attack on one metric; the columns of the papers' tables.

    Attributes:
        goal: flip, reverse or embedding; moves: reference, preferred, other, all.
        source: the metric that it was made on, if another (a transfer).
        eps: pixels run from 0 to 1; None where nothing bounds it.
        agree, disagree: the samples where metric and people agree before the attack, and where not.
        score: 2AFC score that is left: samples that agreed and were flipped count with the share of people who now
            agree; samples that did not agree are left as they were, as AutoAttack leaves wrong answers.
        flipped_png: samples turned by the image rounded to 8 bits, of all decided ones.
        weak: share of samples on which the attack showed signs of weakness.
        alarms: certificates broken.
        gradients, forwards, seconds: means per sample.
    """

    data: str
    metric: str
    title: str
    attack: str
    setting: str
    goal: str
    moves: str
    source: str | None
    norm: str
    eps: float | None
    steps: int
    agree: Flips
    disagree: Flips
    score: float
    flipped_png: Share
    weak: float
    alarms: int
    gradients: float
    forwards: float
    seconds: float


@dataclass(frozen=True)
class CertifiedLine:
    """Certified 2AFC score of one metric in one form; see ``two_afc_summary`` for the forms.

    Attributes:
        scores: at each ε, the score of judgements whose radius is larger; the others count 0.
        withheld: triplets without a radius of this form.
        median: median radius, over the triplets where metric and people agree (0 for those without).
        proved: published form only: share of its positive radii that are proved all the same; None for other forms.
    """

    data: str
    metric: str
    title: str
    form: Form
    scores: tuple[float, ...]
    withheld: int
    median: float | None
    proved: float | None


@dataclass(frozen=True)
class WorstLine:
    """2AFC score that is left by the worst of all attacks, whatever made the image, by how far it really is.

    Attributes:
        moves: reference, preferred, other or all.
        scores: at each ε: counted are flips by images with realised ℓ2 ≤ ε; None where no image is so near.
        unbounded: the same for images at any distance.
    """

    data: str
    metric: str
    title: str
    moves: str
    scores: tuple[float | None, ...]
    unbounded: float


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
class ShiftLine:
    """How far attacks on the embedding moved it.

    Attributes:
        shift: in the embedding's units.
        used: share of L·‖δ‖ used; None without a proved L.
        broken: images that moved it farther than L·‖δ‖, each an alarm.
    """

    data: str
    metric: str
    title: str
    setting: str
    eps: float | None
    shift: Quantiles
    used: Quantiles | None
    broken: int


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
