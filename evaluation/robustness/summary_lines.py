"""What an audit says: the lines of its summary, plain numbers throughout."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...core.statistics import Quantiles, Share
from .shifts import ShiftLine
from .tightness import TightnessLine
from .weak_attacks import WeakAttack


@dataclass(frozen=True)
class Rates:
    """How often the answer is right.

    Attributes:
        first: recall@1, over queries that are copies of something.
        top10: recall@10, likewise.
        verdict: accuracy of the verdict, over all queries; None where the system gives none.
    """

    first: Share
    top10: Share
    verdict: Share | None


@dataclass(frozen=True)
class RadiusLine:
    """Certified radii over the queries that are answered right (0 for those without a certificate).

    Attributes:
        queries: how many those are.
        l2, rmse, psnr: the median radius, RMSE in 8-bit levels; psnr is None where that is 0.
        spread: quantiles of the radius as RMSE.
    """

    queries: int
    l2: float
    rmse: float
    psnr: float | None
    spread: Quantiles


@dataclass(frozen=True)
class SystemLine:
    """One system before and after all attacks.

    Attributes:
        name: as in ``--systems``; kind: index, embedder or hash.
        certified: whether it gave any certificate.
        queries: query images, edits counted apart; strangers: those of them that are copies of nothing.
        files: distinct query files.
        radius: of the first place, over queries whose true item is first; None without certificates.
        verdict_radius: of the verdict, over queries whose verdict is right.
        images: adversarial images judged; certificates: those inside a certified radius; alarms: those that broke it.
        forwards, gradients, seconds: what the attacks on it took, all in all.
    """

    name: str
    kind: str
    model: str
    model_digest: str
    snapshot: str
    certified: bool
    queries: int
    strangers: int
    files: int
    clean: Rates
    radius: RadiusLine | None
    verdict_radius: RadiusLine | None
    images: int
    certificates: int
    alarms: int
    forwards: int
    gradients: int
    seconds: float


@dataclass(frozen=True)
class BudgetLine:
    """All attacks together at one budget, on one system.

    Attributes:
        edit: the edit of these queries; None for all together.
        clean: before any attack.
        attacked: what is left in the pointwise worst case: every image counts whose attack was given no more than this
            budget, or whose realised change is within it.
        certified: right, and proved to stay so for every change within the budget; None without certificates. For the
            first ten it is a floor: what the certificate of the first place implies.
        certificates: attacked certificates: saved images of attacks at this budget inside a certified radius.
        alarms: those that broke it.
        success: share of attacks at this budget whose goal was reached, by the float image.
    """

    system: str
    edit: str | None
    budget: float
    unit: str
    queries: int
    clean: Rates
    attacked: Rates
    certified: Rates | None
    certificates: int
    alarms: int
    success: float


@dataclass(frozen=True)
class Norms:
    """Medians of the realised change over adversarial images that reached their goal.

    Attributes:
        images: how many.
        l2, linf: pixels in [0, 1]; rmse in 8-bit levels; psnr in dB, None where most images are unchanged.
        changed_001, changed_01, changed_03: share of pixels changed by more than that on the scale from −1 to 1.
    """

    images: int
    l2: float
    linf: float
    rmse: float
    psnr: float | None
    changed_001: float
    changed_01: float
    changed_03: float


@dataclass(frozen=True)
class AttackLine:
    """One attack with one goal at one budget (or multiple of the certified radius) on one system.

    An attack that is run once, for it looks for the smallest change or has no ball, counts at a budget with the images
    whose realised change is within it.

    Attributes:
        edit: the edit of these queries; None for all together.
        source: the system that the images were made on, if it is another one.
        minimal: it looks for the smallest change.
        attempts: attacked queries.
        success_float, success_png: share of them where the goal was reached, by medium.
        attacked: what is left of the right answers under this attack alone.
        norms: of the float images that reached the goal; None if none did.
        forwards, gradients, seconds: means over attempts.
    """

    system: str
    edit: str | None
    attack: str
    source: str | None
    goal: str
    sees: str
    norm: str
    minimal: bool
    budget: float
    unit: str
    attempts: int
    success_float: float
    success_png: float
    attacked: Rates
    norms: Norms | None
    certificates: int
    alarms: int
    forwards: float
    gradients: float
    seconds: float


@dataclass(frozen=True)
class MultipleLine:
    """All attacks together at one multiple of each query's own certified radius.

    Attributes:
        multiple: below 1, a success would be an alarm; above 1, successes say how tight the radius is.
        queries: queries attacked.
        success_float, success_png: share of them where some attack reached its goal, by medium.
        certificates: attacked certificates; alarms: those that broke.
    """

    system: str
    multiple: float
    queries: int
    success_float: float
    success_png: float
    certificates: int
    alarms: int


@dataclass(frozen=True)
class EditLine:
    """One edit: how well it is found, and how far that is certified.

    Attributes:
        geometric: whether it moves things.
        certified: queries with a certificate above 0.
        median_rmse: median radius over queries whose true item is first; None without certificates.
    """

    system: str
    edit: str
    geometric: bool
    queries: int
    clean: Rates
    certified: int
    median_rmse: float | None

    @property
    def clean1(self) -> float:
        """Recall@1 before any attack."""
        return self.clean.first.value


@dataclass(frozen=True)
class Summary:
    """An audit in numbers.

    Attributes:
        run: what was run; queries, files: of the first system.
        systems: in the order of the audit; the first is the index that was asked for.
        budgets: per system and budget; empty for an audit at multiples of the radius. edit_budgets: by edit as well.
        multiples: per system and multiple of the radius, for such an audit.
        attacks: per system, attack, goal and budget. edit_attacks: by edit as well.
        edits: per system and edit.
        certificates: attacked certificates, all in all.
        alarms: saved images that broke a certificate.
    """

    run: str
    queries: int
    files: int
    systems: tuple[SystemLine, ...]
    budgets: tuple[BudgetLine, ...]
    edit_budgets: tuple[BudgetLine, ...]
    multiples: tuple[MultipleLine, ...]
    attacks: tuple[AttackLine, ...]
    edit_attacks: tuple[AttackLine, ...]
    edits: tuple[EditLine, ...]
    tightness: tuple[TightnessLine, ...]
    shifts: tuple[ShiftLine, ...]
    warnings: tuple[WeakAttack, ...]
    certificates: int
    alarms: int

    @property
    def clean1(self) -> float:
        """Recall@1 of the first system before any attack."""
        return self.systems[0].clean.first.value

    @property
    def radius(self) -> RadiusLine | None:
        """Certified radii of the first system."""
        return self.systems[0].radius

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
