"""Every rounding goes outward: if any single one of them went much too far, the result would only be more careful.

A certificate is made of sums, products and roots, each rounded up or down once. Rounding one of them the wrong way
changes a radius by the last digit, which no attack can see. So one rounding at a time is exaggerated, by a millionth
and by a half, in an arithmetic coarse enough for its error terms to be seen. Where it points the right way the radius
shrinks or stays; where it points the wrong way the radius grows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from retr.certificates import channels, covers, pairs, ranking, rounding, shortlist, triplets, verdicts, within_channel
from retr.core import numerics
from retr.core.errors import UsageError
from retr.core.types import Score, UpperBound

FACTORS = (1e-6, 0.5)
BOUND, ERROR = UpperBound(1.5, "test"), 1e-3
BUDGET: dict[str, Any] = {"lipschitz": BOUND, "forward_error": ERROR}


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def place(score, tie=False):
    """A query, the row nearest to it, and others: some beyond it, one close to it, one opposite; or all but tied."""
    random = np.random.default_rng(7)
    rows = random.normal(size=(6, 5))
    rows[1], rows[2] = rows[0] + 1e-6 * rows[1], -rows[0]
    rows = unit(rows) if score == "cosine" else rows
    z = (rows[0] + rows[3]) / 2 if tie else 1.3 * rows[0] + 0.02 * random.normal(size=5)
    return z, rows[0], rows[1:]


def surroundings(threshold=0.6, growth=1e-3):
    return within_channel.Surroundings(threshold, BOUND, ERROR, growth)


def some_margins():
    return channels.Margins(np.array([1.0, 0.7, -0.2, -np.inf]), np.array([1e-3, 2e-3, 0.0, 0.0]), 1e-3)


def of(function, *arguments, **options):
    return lambda: function(*arguments, **options)


def negated(function):
    """A number that must not be too small, as one that must not be too large."""

    def call():
        return -np.asarray(function())

    return call


def cases():
    """Name → a number, or several, that must never be too large."""
    found: dict[str, Any] = {
        "gamma": negated(of(numerics.gamma, 9)),
        "times": negated(lambda: BOUND.times(UpperBound(1.1, "test")).value),
        "divide_down": of(rounding.divide_down, np.array([1.0, -1.0]), np.full(2, 0.5), np.full(2, 0.7)),
        "norm_bounds, low": lambda: rounding.norm_bounds(np.array([[3.0, 4.1], [1e-3, 0.0]]))[0],
        "norm_bounds, high": negated(lambda: rounding.norm_bounds(np.array([[3.0, 4.1], [1e-3, 0.0]]))[1]),
        "unit_tolerance": negated(of(rounding.unit_tolerance, np.array([[0.6, 0.8], [0.6, 0.8001], [0.6, 0.7999]]))),
        "to_pixels": of(rounding.to_pixels, np.array([1.0, -1.0]), BOUND, ERROR),
        "answer_radius": of(ranking.answer_radius, np.array([3.0, 4.1]), score="cosine", **BUDGET),
        "half_leads": of(channels.half_leads, 1.1, 1e-3, some_margins()),
        "margin_radii": of(channels.margin_radii, some_margins(), 1),
        "cosine_error": negated(of(verdicts.cosine_error, 300, 1e-4)),
        "score_slack": negated(of(shortlist.score_slack, 300)),
        "score_slack, tf32": negated(of(shortlist.score_slack, 300, shortlist.TF32_UNIT)),
        "stored_row_tolerance": negated(of(shortlist.stored_row_tolerance, 300)),
        "unseen_distance": of(shortlist.unseen_distance, 2.0, z_norm=1.0, row_norm=1.3, dim=300),
        "search_squared_distance": negated(
            of(shortlist.search_squared_distance, 2.0, z_norm=1.0, row_norm=1.3, dim=300)
        ),
        "triplets, cosine doubt": negated(of(triplets._cosine_doubt, 30)),
        "triplets, euclidean doubt": negated(of(triplets._euclidean_doubt, 30)),
    }
    for worst in (0.5, -0.5):
        found[f"unseen_chord, {worst}"] = of(shortlist.unseen_chord, worst, y_norm=1.0, dim=300)
    for b in (0.3, 1.4, 1.9):
        found[f"search_score, {b}"] = of(shortlist.search_score, b, y_norm=1.0, dim=300)
        found[f"needed_separation, {b}"] = negated(of(shortlist.needed_separation, b, 0.1, score="cosine", z_norm=2.0))
    for norm, amount in (("linf", 0.3), ("pixels", 3)):
        found[f"covers, {norm}"] = of(largest_uncovered, norm, amount)
    for score in ("cosine", "euclidean"):
        given = {"score": score, "z_norm": 1.2}
        for a, b in ((0.1, 0.9), (0.5, 0.5000001), (0.5, 0.4)):
            key = f"{score}, {a}, {b}"
            found[f"unseen_floor, {key}"] = of(shortlist.unseen_floor, a, b, **given)
            found[f"unseen_radius, {key}"] = of(shortlist.unseen_radius, a, b, dim=300, **given, **BUDGET)
            found[f"unseen_nothing_radius, {key}"] = of(
                verdicts.unseen_nothing_radius, b, dim=300, threshold=0.4, **given, **BUDGET
            )
        for tie in (False, True):
            found |= of_a_place(score, tie)
    for threshold in (0.0, 0.6, 0.99):
        z, winner, rivals = place("cosine")
        around, errors = surroundings(threshold), np.full(len(rivals), 1e-4)
        key = f"within, {threshold}"
        found[f"{key}, needed"] = negated(of(around.needed, z, errors, 1e-5))
        found[key] = of(within_channel.within_channel_radii, z, winner, rivals, errors=errors, surroundings=around)
        found[f"{key}, unseen"] = of(
            within_channel.unseen_within_channel, z, winner, a=0.1, b=0.8, errors=np.full(1, 1e-4), surroundings=around
        )
    return found


def largest_uncovered(norm, amount):
    """Minus the smallest radius that is said to cover the threat, by bisection."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if covers.covers(middle, norm, amount, 12) else (middle, high)
    return -high


def of_a_place(score, tie):
    z, winner, rivals = place(score, tie)
    key = f"{score}, tie" if tie else score
    found: dict[str, Any] = {f"pair_radii, {key}": of(ranking.pair_radii, z, winner, rivals, score=score, **BUDGET)}
    for threshold in (0.3, 0.8):
        given = {"score": score, "threshold": threshold, **BUDGET}
        # a row opposite to the query lies as far off as can be said, in one way or the other
        least = -0.3 if score == "cosine" else -math.inf
        found[f"copy, {key}, {threshold}"] = lambda given=given, least=least: np.maximum(
            verdicts.verdict_radii(z, rivals, **given).copy, least
        )
        found[f"nothing, {key}, {threshold}"] = lambda given=given: verdicts.verdict_radii(z, rivals, **given).nothing
        found[f"errors, {key}, {threshold}"] = negated(lambda given=given: channels.margins(z, rivals, **given).errors)
        found[f"growth, {key}, {threshold}"] = negated(lambda given=given: channels.margins(z, rivals, **given).growth)
    if score == "euclidean":
        moved = {"lipschitz": BOUND, "forward_error": ERROR}
        found[f"differences, {key}"] = of(pairs.distance_differences, z, winner, rivals)
        found[f"ranking, {key}"] = of(pairs.moving_gallery_ranking, z, winner, rivals, **moved)
        found[f"gallery, {key}"] = lambda: pairs.moving_gallery_verdicts(z, rivals, threshold=0.7, **moved).copy
        for moving in ("one-candidate", "all"):
            found[f"triplet, {key}, {moving}"] = of(pairs.triplet_radius, z, winner, rivals[-1], moving=moving, **moved)
    for moving in triplets.MOVERS:
        found[f"triplets, {key}, {moving}"] = Later(z, winner, rivals[3], score, moving)
    if score == "cosine":
        sound, lengths = np.full(len(rivals), 0.1), 2.0 * rivals
        near_one = np.outer(np.linspace(0.9, 1.1, 2001), [0.6, 0.8])
        nothing = np.zeros(len(near_one))
        found[f"published holds, {key}"] = lambda: triplets.published_radii(nothing, near_one, **BUDGET)[1]
        found[f"published, {key}"] = lambda: triplets.published_radii(sound, lengths, **BUDGET)[0]
    return found


@dataclass(frozen=True)
class Later:
    """Whether T6's condition holds, at some thousand steps around the largest for which it does."""

    z: np.ndarray
    prey: np.ndarray
    other: np.ndarray
    score: Score
    moving: triplets.Mover

    def made(self):
        """The number, around a limit that is found before anything is exaggerated."""
        one = self.z[None], 2.0 * self.prey[None], 2.0 * self.other[None]
        limit = triplets.triplet_reach(*one, score=self.score, moving=self.moving, still=1e-6)
        reaches = limit * (1.0 + np.linspace(-1e-3, 1e-4, 2001)) + np.linspace(-1e-5, 1e-6, 2001)
        corner = triplets._Cosine if self.score == "cosine" else triplets._Euclidean
        many = [np.tile(row, (len(reaches), 1)) for row in one]
        return lambda: corner.of(*many).holds(triplets._Steps.of(self.moving, reaches, 1e-6))


CASES = cases()


def careful(call):
    """The number, or −∞ where the function refuses: no certificate is the most careful one."""
    try:
        return np.asarray(call(), dtype=np.float64)
    except (UsageError, ValueError):
        return -math.inf


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_rounding_goes_the_wrong_way(name, request):
    call = CASES[name]
    call = call.made() if isinstance(call, Later) else call
    roundings = request.getfixturevalue("roundings")
    roundings.reset()
    plain = np.asarray(call(), dtype=np.float64)
    count = min(roundings.calls, 150)
    assert count
    moved = 0
    for chosen in range(count):
        for factor in FACTORS:
            roundings.reset(chosen, factor)
            result = careful(call)
            assert (result <= plain).all(), f"rounding {chosen} of {count}, exaggerated {factor} times"
            moved += bool((result < plain).any())
    assert moved
