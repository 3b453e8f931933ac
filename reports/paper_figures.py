"""Figures that the papers' authors published, to stand beside ours where the data is theirs.

Only figures that could be read in the authors' own words are here, each with the place it was read in; none is from
memory, and none was measured by retr. A figure that is missing is missing, not 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..core.rounded import nearest_text
from ..evaluation.two_afc.summary_lines import AttackLine, CertifiedLine, TripletSummary

LIPSIM = "retr:lipsim"
Quantity = Literal["score", "score-attacked", "certified", "transfer"]

_BENCHMARK = (
    "arXiv 2305.08840, benchmark of Table 5, as printed by the authors' study_results_transferableAdv_attack.ipynb"
)
_REPLY = "arXiv 2310.18274, the authors' reply to reviewers (rebuttal.md of their repository)"


@dataclass(frozen=True)
class PaperFigure:
    """One published number.

    Attributes:
        source: paper, table, and where it was read.
        layout: of the data set; metric: its spec here; ``LIPSIM`` for any trained LipSim network.
        quantity: score (2AFC), score-attacked, certified (2AFC score at an ℓ2 radius) or transfer (share flipped of the
            samples where metric and people agreed).
        attack: name here, for attacks.
        at: ε for pixels from 0 to 1 (score-attacked, certified), or steps of PGD (transfer; 0 for stAdv).
        value: a share.
        model: which model of the paper's it is of, where it had several.
    """

    source: str
    layout: str
    metric: str
    quantity: Quantity
    attack: str
    at: float
    value: float
    model: str = ""


def _transfers(metric: str, samples: int, flipped: tuple[int, int, int, int, int]) -> Iterator[PaperFigure]:
    kinds = (("pgd-linf", 10), ("pgd-linf", 20), ("stadv", 0), ("stadv-pgd", 10), ("stadv-pgd", 20))
    for (attack, steps), count in zip(kinds, flipped, strict=True):
        yield PaperFigure(_BENCHMARK, "bapps", metric, "transfer", attack, steps, count / samples)


def _momentum(metric: str, clean: float, l2: tuple[float, ...], linf: tuple[float, ...]) -> Iterator[PaperFigure]:
    yield PaperFigure(_REPLY, "nights", metric, "score", "", 0.0, clean / 100)
    for attack, radii, scores in (("mi-fgsm-l2", (0.5, 1.0, 2.0), l2), ("mi-fgsm-linf", (0.01, 0.02, 0.03), linf)):
        for eps, score in zip(radii, scores, strict=True):
            yield PaperFigure(_REPLY, "nights", metric, "score-attacked", attack, eps, score / 100)


def _certified(model: str, clean: float, certified: tuple[float, ...]) -> Iterator[PaperFigure]:
    yield PaperFigure(_REPLY, "bapps", LIPSIM, "score", "", 0.0, clean / 100, model)
    for eps, score in zip((36 / 255, 72 / 255, 108 / 255), certified, strict=True):
        yield PaperFigure(_REPLY, "bapps", LIPSIM, "certified", "", eps, score / 100, model)


FIGURES: tuple[PaperFigure, ...] = (
    *_transfers("l2", 2099, (101, 174, 77, 189, 257)),
    *_transfers("ssim", 2093, (237, 442, 78, 339, 540)),
    *_transfers("st-lpips-alex", 2470, (104, 198, 96, 205, 310)),
    *_momentum("dreamsim", 96.16, (61.79, 52.85, 52.69), (2.08, 0.05, 0.0)),
    *_momentum(LIPSIM, 86.55, (82.79, 79.99, 80.10), (62.45, 34.38, 15.84)),
    PaperFigure(_REPLY, "bapps", "dreamsim", "score", "", 0.0, 0.7847),
    *_certified("margin 0.2", 73.47, (30.0, 12.96, 5.33)),
    *_certified("margin 0.4", 74.31, (31.74, 15.19, 7.0)),
    *_certified("margin 0.5", 74.29, (31.20, 15.07, 6.77)),
)
"""Every figure. The certified ones are by the published form, in which the embedding counts as no shorter than 1."""


@dataclass(frozen=True)
class Beside:
    """A published figure and ours.

    Attributes:
        figure: the published one.
        data, title: ours: the data set and the metric.
        what: the quantity in words.
        ours: our number.
    """

    figure: PaperFigure
    data: str
    title: str
    what: str
    ours: float


def beside(summary: TripletSummary, facts: Mapping[str, Any]) -> tuple[Beside, ...]:
    """The published figures for which this run has a number on the same data set.

    Args:
        summary: of a run.
        facts: of its records; ``data`` says what layout each data set has.
    """
    layouts = {str(one["name"]): str(one.get("source", {}).get("layout", "")) for one in facts.get("data", ())}
    return tuple(
        pair
        for figure in FIGURES
        for data in summary.data
        if layouts.get(data) == figure.layout
        for pair in _matches(figure, summary, data)
    )


def _matches(figure: PaperFigure, summary: TripletSummary, data: str) -> Iterator[Beside]:
    if figure.quantity == "score":
        for line in summary.metrics:
            if line.data == data and _is(line.metric, figure):
                yield Beside(figure, data, line.title, "2AFC score", line.score)
    elif figure.quantity == "certified":
        for proved in summary.certified:
            if proved.data == data and _is(proved.metric, figure) and proved.form == "published":
                yield from _certificates(figure, proved, summary.epsilons)
    else:
        for attacked in summary.attacks:
            if attacked.data == data and _is(attacked.metric, figure) and attacked.attack == figure.attack:
                yield from _attacked(figure, attacked)


def _is(metric: str, figure: PaperFigure) -> bool:
    """Whether a metric is the figure's: LipSim networks are files, known by the word in their name."""
    if figure.metric != LIPSIM:
        return metric == figure.metric
    kind, _, model = metric.lower().partition(":")
    return kind == "retr" and "lipsim" in model and not model.startswith("lipsim:random")


def _certificates(figure: PaperFigure, line: CertifiedLine, epsilons: Sequence[float]) -> Iterator[Beside]:
    for eps, score in zip(epsilons, line.scores, strict=True):
        if _same(eps, figure.at):
            yield Beside(
                figure, line.data, line.title, f"certified, published form, {nearest_text(255 * eps)}/255", score
            )


def _attacked(figure: PaperFigure, line: AttackLine) -> Iterator[Beside]:
    if figure.quantity == "transfer":
        if line.source == "lpips-alex" and pgd_steps(line) == figure.at:
            what = f"flipped by a transfer of {transfer_name(line)}"
            yield Beside(figure, line.data, line.title, what, line.agree.flipped.value)
    elif line.source is None and line.moves == "reference" and line.eps is not None and _same(line.eps, figure.at):
        yield Beside(figure, line.data, line.title, f"score under {line.setting}", line.score)


def pgd_steps(line: AttackLine) -> int:
    """Steps of PGD in a transferred attack; those of stAdv before it do not count."""
    if line.attack == "pgd-linf":
        return line.steps
    found = re.search(r"PGD\((\d+)\)", line.setting)
    return int(found[1]) if found and line.attack == "stadv-pgd" else 0


def transfer_name(line: AttackLine) -> str:
    """A transferred attack as the paper's table calls it."""
    names = {"pgd-linf": "PGD", "stadv": "stAdv", "stadv-pgd": "stAdv+PGD"}
    steps = pgd_steps(line)
    return f"{names.get(line.attack, line.setting)}{f'({steps})' if steps else ''}"


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-9
