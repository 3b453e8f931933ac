"""What the papers found, asked again of a 2AFC benchmark: does it hold here?

| finding | asked | source |
|---|---|---|
| agree | learned metrics agree more with people than hand-made ones | Ghildyal and Liu; LipSim |
| flip | learned metrics are flipped more often by PGD | Ghildyal and Liu |
| all-fall | every metric is flipped by FGSM, by PGD and by a change of one pixel | Ghildyal and Liu |
| pgd-fgsm | PGD flips more than FGSM at the same ε | Ghildyal and Liu |
| transfer | made on one metric, stAdv+PGD flips others more often than PGD and than stAdv | Ghildyal and Liu |
| certified-holds | metrics with a proof are flipped less often by an ℓ2 attack than learned ones without | LipSim |
| sound | no attack leaves less than the certified score | the theorems |

A difference of shares counts only beyond its 95 % margin, which is taken wide: metrics of one group judge the same
triplets, so their errors are added and not averaged out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeVar

from ...core.statistics import Share
from .summary_curves import COVERED_BY
from .summary_lines import AttackLine, CertifiedLine, EqualEps, MetricLine, TripletSummary, WorstLine

LineT = TypeVar("LineT", AttackLine, EqualEps)
KindT = TypeVar("KindT", AttackLine, MetricLine)
Verdict = Literal["holds", "does not hold", "not enough data"]

HAND_MADE = frozenset({"l2", "ssim", "ms-ssim", "cw-ssim", "fsimc"})
"""Metrics without learned weights."""
_BLOCK_MEANS = "retr:block-means"
_UNKNOWN = ("python", "command")
_FEW = 30
"""Samples below which it means little that none of them fell."""


@dataclass(frozen=True)
class Finding:
    """One finding on one data set.

    Attributes:
        name: short and stable; title: the finding as a sentence.
        source: who found it.
        numbers: what was counted here, in words.
    """

    name: str
    title: str
    source: str
    data: str
    verdict: Verdict
    numbers: str


def learned(metric: str) -> bool | None:
    """Whether a metric has learned weights; None for one of the user's own, of which nothing is known."""
    if metric in HAND_MADE or metric.startswith(_BLOCK_MEANS):
        return False
    return None if metric.partition(":")[0] in _UNKNOWN else True


def findings(summary: TripletSummary) -> tuple[Finding, ...]:
    """Every finding on every data set."""
    return tuple(
        Finding(name, title, source, data, *ask(summary, data))
        for data in summary.data
        for name, title, source, ask in _ASKED
    )


Answer = tuple[Verdict, str]
_NOTHING: Verdict = "not enough data"


def _agree(summary: TripletSummary, data: str) -> Answer:
    lines = [line for line in summary.metrics if line.data == data]
    return _groups([line.accuracy for line in _of(lines, True)], [line.accuracy for line in _of(lines, False)], "agree")


def _flip(summary: TripletSummary, data: str) -> Answer:
    lines = _commonest(_white_box(summary, data, "pgd-linf"))
    shares = [[line.agree.flipped for line in _of(lines, kind)] for kind in (True, False)]
    return _groups(shares[0], shares[1], "flipped")


def _groups(learned_ones: Sequence[Share], hand_made: Sequence[Share], word: str) -> Answer:
    if not learned_ones or not hand_made:
        have = f"{len(learned_ones)} learned and {len(hand_made)} hand-made metrics"
        return _NOTHING, f"{have}; one of each is needed"
    text = f"{word}: {len(learned_ones)} learned {_mean(learned_ones)}, {len(hand_made)} hand-made {_mean(hand_made)}"
    return _compare(learned_ones, hand_made, text)


def _all_fall(summary: TripletSummary, data: str) -> Answer:
    kinds = {"fgsm": "FGSM", "pgd-linf": "PGD", "one-pixel": "one pixel"}
    parts, unsure, standing = [], False, False
    for attack, word in kinds.items():
        lines = _commonest(_white_box(summary, data, attack))
        stood = [line for line in lines if not line.agree.flipped.count and line.agree.samples]
        unsure |= not lines or any(line.agree.samples < _FEW for line in stood)
        standing |= any(line.agree.samples >= _FEW for line in stood)
        names = f" (not {', '.join(line.title for line in stood)})" if stood else ""
        parts.append(f"{word}: {len(lines) - len(stood)} of {len(lines)}{names}" if lines else f"{word}: not run")
    text = f"metrics flipped at least once by {'; '.join(parts)}"
    return ("does not hold" if standing else _NOTHING if unsure else "holds"), text


def _pgd_fgsm(summary: TripletSummary, data: str) -> Answer:
    chosen = _commonest([line for line in summary.equal_eps if line.data == data])
    if not chosen:
        return _NOTHING, "no metric was given both at one ε"
    pgd, fgsm = [line.pgd for line in chosen], [line.fgsm for line in chosen]
    more = sum(line.pgd.value > line.fgsm.value for line in chosen)
    text = f"PGD {_mean(pgd)}, FGSM {_mean(fgsm)}; PGD flips more on {more} of {len(chosen)} metrics"
    return _compare(pgd, fgsm, text)


def _transfer(summary: TripletSummary, data: str) -> Answer:
    lines = [line for line in summary.attacks if line.data == data and line.source and line.goal == "flip"]
    by = {
        kind: {line.metric: line for line in _longest([line for line in lines if line.attack == kind])}
        for kind in ("pgd-linf", "stadv", "stadv-pgd")
    }
    targets = [metric for metric in by["stadv-pgd"] if all(metric in found for found in by.values())]
    if not targets:
        return _NOTHING, "no metric was given all three from another"
    shares = {kind: [found[metric].agree.flipped for metric in targets] for kind, found in by.items()}
    words = {"stadv-pgd": "stAdv+PGD", "pgd-linf": "PGD", "stadv": "stAdv"}
    parts = ", ".join(f"{word} {_mean(shares[kind])}" for kind, word in words.items())
    text = f"flipped on {len(targets)} other metrics: {parts}"
    answers = [_compare(shares["stadv-pgd"], shares[kind], text)[0] for kind in ("pgd-linf", "stadv")]
    if "does not hold" in answers:
        return "does not hold", text
    return (_NOTHING if _NOTHING in answers else "holds"), text


def _certified_holds(summary: TripletSummary, data: str) -> Answer:
    lines = [line for line in _white_box(summary, data, None) if line.norm == "l2"]
    proved = {line.metric for line in summary.metrics if line.data == data and line.certified}
    ours = [line for line in lines if line.metric in proved]
    rivals = [line for line in lines if line.metric not in proved and learned(line.metric)]
    common = {(line.attack, line.setting) for line in ours} & {(line.attack, line.setting) for line in rivals}
    if not common:
        return _NOTHING, "no ℓ2 attack was run on both kinds"
    attack, setting = max(common, key=lambda pair: _strength(ours, pair))
    shares = [
        [line.agree.flipped for line in group if (line.attack, line.setting) == (attack, setting)]
        for group in (rivals, ours)
    ]
    text = f"{setting}: flipped {_mean(shares[1])} with a proof, {_mean(shares[0])} without"
    return _compare(shares[0], shares[1], text)


def _strength(lines: Sequence[AttackLine], pair: tuple[str, str]) -> tuple[bool, float, int, str]:
    """Attacks that follow a gradient come before those that only ask, whose steps are evaluations."""
    return max(
        (line.gradients > 0, line.eps or 0.0, line.steps, line.setting)
        for line in lines
        if (line.attack, line.setting) == pair
    )


def _sound(summary: TripletSummary, data: str) -> Answer:
    images = sum(line.certificates for line in summary.metrics if line.data == data)
    alarms = sum(line.alarms for line in summary.metrics if line.data == data)
    proved = {(line.metric, line.form): line for line in summary.certified if line.data == data}
    pairs = [
        pair
        for line in summary.worst
        if line.data == data and (own := proved.get((line.metric, COVERED_BY[line.moves])))
        for pair in _below(own, line)
    ]
    below = sum(attacked < certified - 1e-12 for certified, attacked in pairs)
    text = (
        f"{images} images inside a certified radius, {alarms} alarms; {below} of {len(pairs)} scores below their bound"
    )
    if alarms or below:
        return "does not hold", text
    return ("holds" if images else _NOTHING), text


def _below(certified: CertifiedLine, worst: WorstLine) -> Iterator[tuple[float, float]]:
    for proved, left in zip(certified.scores, worst.scores, strict=True):
        if left is not None:
            yield proved, left


def _white_box(summary: TripletSummary, data: str, attack: str | None) -> list[AttackLine]:
    """Attacks that flip the metric they were made on."""
    return [
        line
        for line in summary.attacks
        if line.data == data and line.goal == "flip" and line.source is None and attack in (None, line.attack)
    ]


def _commonest(lines: Sequence[LineT]) -> list[LineT]:
    """The lines of the one setting that most metrics were given; the first of several."""
    by: dict[tuple[str, str], list[LineT]] = {}
    for line in lines:
        by.setdefault((line.setting, line.moves), []).append(line)
    return max(by.values(), key=len, default=[])


def _longest(lines: Sequence[AttackLine]) -> list[AttackLine]:
    """One line for each metric: the setting of most steps."""
    best: dict[str, AttackLine] = {}
    for line in lines:
        held = best.get(line.metric)
        if held is None or line.steps > held.steps:
            best[line.metric] = line
    return list(best.values())


def _of(lines: Sequence[KindT], kind: bool) -> list[KindT]:
    return [line for line in lines if learned(line.metric) is kind]


def _mean(shares: Sequence[Share]) -> str:
    return f"{100 * fmean(share.value for share in shares):.1f} %"


def _compare(larger: Sequence[Share], smaller: Sequence[Share], text: str) -> Answer:
    """Whether the mean of the first shares is larger than that of the second, beyond the margin of both."""
    if not all(share.of for share in (*larger, *smaller)):
        return _NOTHING, f"{text}; no sample to count for some"
    lead = fmean(map(_drawn_in, larger)) - fmean(map(_drawn_in, smaller))
    margin = math.hypot(_margin(larger), _margin(smaller))
    if abs(lead) <= margin:
        return _NOTHING, f"{text}; the difference is within its margin of {100 * margin:.1f} points"
    return ("holds" if lead > 0 else "does not hold"), text


def _margin(shares: Sequence[Share]) -> float:
    """95 % margin of a mean of shares that err together."""
    return 1.96 * fmean(math.sqrt(_drawn_in(s) * (1.0 - _drawn_in(s)) / (s.of + 4)) for s in shares)


def _drawn_in(share: Share) -> float:
    """A share with two more of either kind, as Agresti and Coull take it: few samples differ less, and none is sure."""
    return (share.count + 2) / (share.of + 4)


_GHILDYAL, _LIPSIM = "arXiv 2305.08840", "arXiv 2310.18274"
_ASKED: tuple[tuple[str, str, str, Callable[[TripletSummary, str], Answer]], ...] = (
    ("agree", "Learned metrics agree more with people than hand-made ones", f"{_GHILDYAL}; {_LIPSIM}", _agree),
    ("flip", "Learned metrics are flipped more often by PGD", _GHILDYAL, _flip),
    ("all-fall", "FGSM, PGD and one pixel each flip every metric", _GHILDYAL, _all_fall),
    ("pgd-fgsm", "PGD flips more than FGSM at the same ε", _GHILDYAL, _pgd_fgsm),
    ("transfer", "stAdv+PGD flips other metrics more often than PGD and than stAdv", _GHILDYAL, _transfer),
    ("certified-holds", "An ℓ2 attack flips metrics with a proof less often than learned ones without", _LIPSIM,
     _certified_holds),
    ("sound", "No attack leaves less than the certified score", "docs/theory.md, T1 and T6", _sound),
)  # fmt: skip
