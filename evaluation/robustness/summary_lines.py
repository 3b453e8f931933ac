"""What an audit says: its tables, declared column by column, plain numbers throughout."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...core.statistics import share_of
from ..shared.lines import Line, col, word
from .attack_lines import AttackLine, at_level
from .columns import Columns, size_in_l2, within
from .rates import RadiusLine, Rates, certificates, certified, clean_rates, proved_rates, radius_line, rates_left
from .shifts import ShiftLine
from .tightness import TightnessLine
from .weak_attacks import WeakAttack


def _own_runs(system: Columns) -> Columns:
    """One run of an attack is judged in both media, and on other systems again: its cost counts once."""
    trials = system.attacked
    return trials.where((trials["medium"] == "float") & (trials["source"] == None))  # noqa: E711 - an array is compared


@dataclass(frozen=True)
class SystemLine(Line):
    """One system before and after all attacks; of its rows."""

    name: str = word("system", "as in ``--systems``")
    kind: str = word("system_kind", "index, embedder or hash")
    model: str = word("model", "names of its models")
    model_digest: str = word("model_digest", "their digests")
    snapshot: str = word("snapshot", "of its index")
    certified: bool = col(lambda system: certified(system.clean), "whether it gave any certificate")
    queries: int = col(lambda system: len(system.clean), "query images, edits counted apart")
    strangers: int = col(lambda system: int(system.clean["stranger"].sum()), "those that are copies of nothing")
    files: int = col(lambda system: len(set(system.clean["query"])), "distinct query files")
    clean: Rates = col(lambda system: clean_rates(system.clean), "before any attack", "share")
    radius: RadiusLine | None = col(
        lambda system: radius_line(system.clean, "radius_top1"),
        "of the first place, over queries whose true item is first; None without certificates",
        "l2",
        "down",
    )
    verdict_radius: RadiusLine | None = col(
        lambda system: radius_line(system.clean, "radius_verdict"),
        "of the verdict, over queries whose verdict is right",
        "l2",
        "down",
    )
    images: int = col(lambda system: len(system.attacked), "adversarial images judged")
    certificates: int = col(lambda system: certificates(system.attacked), "those inside a certified radius")
    alarms: int = col(lambda system: int(system.attacked["alarm"].sum()), "those that broke it")
    forwards: int = col(lambda system: int(_own_runs(system)["forwards"].sum()), "evaluations of losses by attacks")
    gradients: int = col(lambda system: int(_own_runs(system)["gradients"].sum()), "evaluations of their gradients")
    seconds: float = col(lambda system: float(_own_runs(system)["seconds"].sum()), "what attacks on it took", "s")


@dataclass(frozen=True)
class AtBudget:
    """The rows of one system, or of one edit of it, at one budget.

    Attributes:
        edit: None for all edits together.
    """

    part: Columns
    budget: float
    unit: str
    edit: str | None = None

    @cached_property
    def clean(self) -> Columns:
        """Before any attack."""
        return self.part.clean

    @cached_property
    def counted(self) -> Columns:
        """Images of any attack that was given no more, or that lie within the budget."""
        trials = self.part.attacked
        return trials.where(within(trials, self.budget, self.unit))

    @cached_property
    def here(self) -> Columns:
        """Images of attacks at this very budget."""
        trials = self.part.attacked
        return trials.where(trials["budget"] == self.budget)

    def won(self, medium: str) -> float:
        """Share of the queries attacked here on which some attack reached its goal at this level."""
        trials = self.part.attacked
        wins = trials.where(trials["success"] & at_level(trials, self.budget, self.unit) & (trials["medium"] == medium))
        return len(np.unique(wins["case"])) / len(np.unique(self.here["case"]))


def _certified_rates(at: AtBudget) -> Rates | None:
    return proved_rates(at.clean, size_in_l2(at.clean, at.budget, at.unit)) if certified(at.clean) else None


def _success(at: AtBudget) -> float:
    return share_of(at.here["success"][at.here["medium"] == "float"]).value


@dataclass(frozen=True)
class BudgetLine(Line):
    """All attacks together at one budget, on one system; of :class:`AtBudget`.

    ``attacked`` is what is left in the pointwise worst case: every image counts whose attack was given no more than
    this budget, or whose realised change is within it. For the first ten, ``certified`` is a floor: what the
    certificate of the first place implies.
    """

    system: str = col(lambda at: at.part.first("system"), "its name")
    edit: str | None = col(lambda at: at.edit, "of these queries; None for all together")
    budget: float = col(lambda at: at.budget, "as asked for, in unit")
    unit: str = col(lambda at: at.unit, "rmse, l2 or psnr")
    queries: int = col(lambda at: len(at.clean), "query images")
    clean: Rates = col(lambda at: clean_rates(at.clean), "before any attack", "share")
    attacked: Rates = col(lambda at: rates_left(at.clean, at.counted), "left by the worst of all attacks", "share")
    certified: Rates | None = col(_certified_rates, "proved to stay right; None without certificates", "share")
    certificates: int = col(lambda at: certificates(at.here), "images of attacks here inside a certified radius")
    alarms: int = col(lambda at: int(at.here["alarm"].sum()), "those that broke it")
    success: float = col(_success, "of attacks here whose goal was reached, by the float image", "share")


@dataclass(frozen=True)
class MultipleLine(Line):
    """All attacks together at one multiple of each query's own certified radius; of :class:`AtBudget`.

    Below 1, a success would be an alarm; above 1, successes say how tight the radius is. A run-once attack was given
    the largest multiple, and counts where it really went.
    """

    system: str = col(lambda at: at.part.first("system"), "its name")
    multiple: float = col(lambda at: at.budget, "of the radius")
    queries: int = col(lambda at: len(np.unique(at.here["case"])), "queries attacked")
    success_float: float = col(lambda at: at.won("float"), "where some attack reached its goal", "share")
    success_png: float = col(lambda at: at.won("png"), "the same by the 8-bit image", "share")
    certificates: int = col(lambda at: certificates(at.here), "attacked certificates")
    alarms: int = col(lambda at: int(at.here["alarm"].sum()), "those that broke")


def _median_rmse(part: Columns) -> float | None:
    radius = radius_line(part.clean, "radius_top1")
    return None if radius is None else radius.spread.p50


@dataclass(frozen=True)
class EditLine(Line):
    """One edit: how well it is found, and how far that is certified; of its rows on one system."""

    system: str = word("system", "its name")
    edit: str = word("edit", "its name")
    geometric: bool = col(lambda part: bool(part.first("geometric")), "whether it moves things")
    queries: int = col(lambda part: len(part.clean), "query images")
    clean: Rates = col(lambda part: clean_rates(part.clean), "before any attack", "share")
    certified: int = col(
        lambda part: int((part.clean.radius("radius_top1") > 0).sum()), "queries with a certificate above 0"
    )
    median_rmse: float | None = col(
        _median_rmse, "median radius over queries whose true item is first; None without certificates", "rmse", "down"
    )

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
