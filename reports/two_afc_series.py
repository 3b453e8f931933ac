"""Which attacks of a 2AFC benchmark one table shows together, and how their cells are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..core.rounded import budget_text, nearest_text, percent_text
from ..evaluation.two_afc.summary_lines import AttackLine, Flips, Spread, TripletSummary
from .kinds import told
from .paper_figures import pgd_steps, transfer_name
from .words import words

FORM_NAMES = words("two_afc")["forms"]
MOVE_NAMES = words("two_afc")["moves"]
ON_PAPERS_SCALE = 2.0
"""Pixels run from −1 to 1 in Ghildyal and Liu's tables, from 0 to 1 in records."""


@dataclass(frozen=True)
class Series:
    """Attacks that one table shows: one setting, or one attack at several ε.

    Attributes:
        title: of the table.
        settings: from the smallest ε to the largest.
        lines: of all metrics.
    """

    data: str
    title: str
    goal: str
    moves: str
    settings: tuple[str, ...]
    lines: tuple[AttackLine, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Specs, in order of first appearance."""
        return tuple(dict.fromkeys(line.metric for line in self.lines))

    def at(self, setting: str) -> list[AttackLine]:
        """The lines of one setting."""
        return [line for line in self.lines if line.setting == setting]

    @property
    def by_metric(self) -> list[OfMetric]:
        """What each metric has of it."""
        return [OfMetric({one.setting: one for one in self.lines if one.metric == name}) for name in self.metrics]


@dataclass(frozen=True)
class OfMetric:
    """A series' lines of one metric, by setting."""

    lines: Mapping[str, AttackLine]

    @property
    def first(self) -> AttackLine:
        """Any of them: for what they have in common."""
        return next(iter(self.lines.values()))

    @property
    def title(self) -> str:
        """The metric's."""
        return self.first.title

    def score(self, setting: str) -> float | None:
        """The 2AFC score left; None where the metric was not attacked so."""
        return self.lines[setting].score if setting in self.lines else None

    def flipped(self, setting: str) -> float | None:
        """The share flipped of the samples where metric and people agreed."""
        return flipped(self.lines[setting].agree) if setting in self.lines else None


def white_box(summary: TripletSummary, data: str, *goals: str) -> list[Series]:
    """Attacks on the metric itself: of each attack at several ε one series, of every other setting one."""
    chosen = [line for line in summary.attacks if line.data == data and line.source is None and line.goal in goals]
    sizes: dict[tuple[str, ...], set[float | None]] = {}
    for line in chosen:
        sizes.setdefault((line.attack, line.goal, line.moves), set()).add(line.eps)
    by: dict[tuple[str, ...], list[AttackLine]] = {}
    for line in chosen:
        key = (line.attack, line.goal, line.moves)
        by.setdefault(key if len(sizes[key]) > 1 else (*key, line.setting), []).append(line)
    return [_series(lines) for lines in by.values()]


def _series(lines: Sequence[AttackLine]) -> Series:
    ordered = sorted(lines, key=lambda line: line.eps or 0.0)
    settings = tuple(dict.fromkeys(line.setting for line in ordered))
    first = lines[0]
    name = first.setting if len(settings) == 1 else f"{first.attack} at {len(settings)} sizes"
    title = f"{name}; {MOVE_NAMES.get(first.moves, first.moves)}"
    return Series(first.data, title, first.goal, first.moves, settings, tuple(lines))


def setting_heads(series: Series) -> list[str]:
    """What the columns of a series at several sizes are called: the sizes, if these tell the settings apart."""
    first = [series.at(setting)[0] for setting in series.settings]
    names = [f"ε {size(line.eps)}" if line.eps else line.setting for line in first]
    return names if len(set(names)) == len(names) else list(series.settings)


def transfers(summary: TripletSummary, data: str) -> list[Series]:
    """Attacks made on one metric and judged by others: a series for each source and choice of who moves."""
    by: dict[tuple[str, str], list[AttackLine]] = {}
    for line in summary.attacks:
        if line.data == data and line.source is not None:
            by.setdefault((line.source, line.moves), []).append(line)
    order = ("pgd-linf", "stadv", "stadv-pgd")
    found = []
    for (source, moves), lines in by.items():
        key = {
            line.setting: (order.index(line.attack) if line.attack in order else 9, pgd_steps(line)) for line in lines
        }
        settings = tuple(sorted(key, key=lambda name: key[name]))
        title = f"Made on {source}; {MOVE_NAMES.get(moves, moves)}"
        found.append(Series(data, title, lines[0].goal, moves, settings, tuple(lines)))
    return found


def transfer_heads(series: Series) -> list[str]:
    """What the columns of a transfer table are called."""
    return [transfer_name(series.at(setting)[0]) for setting in series.settings]


def pgd(summary: TripletSummary, data: str) -> list[AttackLine]:
    """The lines of the PGD setting that most metrics were given."""
    series = [one for one in white_box(summary, data, "flip") if one.lines[0].attack == "pgd-linf"]
    chosen = max(series, key=lambda one: len(one.metrics), default=None)
    return chosen.at(chosen.settings[-1]) if chosen else []


def plus_minus(spread: Spread | None, decimals: int = 2) -> str:
    """Mean ± standard deviation."""
    if spread is None:
        return "–"
    mean = nearest_text(spread.mean, decimals=decimals)
    return mean if spread.sd is None else f"{mean} ± {nearest_text(spread.sd, decimals=decimals)}"


def paper_eps(flips: Flips) -> float | None:
    """Mean smallest ε on the paper's scale from −1 to 1."""
    found = flips.smallest_eps
    return None if found is None else ON_PAPERS_SCALE * found.mean


PAPER_EPS = told(Flips, "smallest_eps", decimals=4)
"""How it is written."""


def changed_pixels(flips: Flips) -> str:
    """Mean shares of pixels changed by more than 0.001, 0.01 and 0.03, to two digits."""
    if flips.changed is None:
        return "–"
    shares = (
        percent_text(one, decimals=0) if one >= 0.0995 else nearest_text(100 * one, digits=2) for one in flips.changed
    )
    return "/".join(shares) + " %"


def flipped(flips: Flips) -> float | None:
    """The share flipped; None where nothing was attacked."""
    return flips.flipped.value if flips.samples else None


def looks_for_eps(lines: Iterable[AttackLine]) -> bool:
    """Whether an attack looks for the smallest ε, measured per value: the mean of it is a column of the paper's."""
    return any(line.norm == "linf" and line.agree.smallest_eps is not None for line in lines)


def size(eps: float) -> str:
    """An ℓ2 size as it was given: as LipSim writes it where it is so many levels of 255."""
    levels = round(255 * eps)
    return f"{levels}/255" if eps == levels / 255 and levels % 255 else budget_text(eps)
