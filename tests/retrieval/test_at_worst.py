"""The limit if no presumed copy were one: it holds, also where likely copies are left out by luck."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from retr.retrieval.at_worst import limit_at_worst
from retr.retrieval.conformal import binomial_cdf, upper95, upper_limit
from retr.retrieval.near_pairs import most_of

limit = cache(limit_at_worst)
DRAWS = 1500


def draw(rng: np.random.Generator, total: int, fpr: float, sure: float, likely: float) -> tuple[float, float, bool]:
    """One calibration: the true rate if no presumed copy is one, its limit, and whether it left likely ones out.

    Rates of pictures that are surely and likely left out are given; that of the thresholds has the law of the theorem.
    Where likely ones count they are the nearest of those that do.
    """
    s, found, _ = (int(n) for n in rng.multinomial(total, [sure, likely, 1.0 - sure - likely]))
    few = found <= most_of(total)
    kept = total - s - (found if few else 0)
    cuts = math.floor(fpr * (kept + 1))
    if few:
        rate = sure + likely + (1.0 - sure - likely) * rng.beta(cuts, kept + 1 - cuts)
    else:
        rate = sure + likely * rng.beta(cuts, found + 1 - cuts)
    left_out = found if few else 0
    stated = limit(cuts=cuts, kept=kept, sure=s, likely=left_out, most=most_of(total)) if s + left_out else 1.0
    return rate, stated, bool(left_out)


@pytest.mark.parametrize("sure", [0.0, 0.003])
@pytest.mark.parametrize("likely", [0.003, 0.009, 0.0115, 0.013, 0.016])
@pytest.mark.parametrize(("total", "fpr"), [(2237, 1e-3), (800, 0.01)])
def test_it_holds_at_the_edge_too(total: int, fpr: float, likely: float, sure: float) -> None:
    rng = np.random.default_rng(7)
    draws = [draw(rng, total, fpr, sure, likely) for _ in range(DRAWS)]
    too_small = np.array([rate > stated for rate, stated, _ in draws])
    left_out = np.array([out for _, _, out in draws])
    assert too_small.mean() <= 0.05
    if left_out.mean() > 0.05:
        assert too_small[left_out].mean() <= 0.05


def test_one_interval_for_all_would_be_too_small() -> None:
    """What was stated before: Clopper-Pearson of all that was cut and left out, of all negatives."""
    rng, failed, stated = np.random.default_rng(7), 0, 0
    for _ in range(DRAWS):
        found = int(rng.binomial(2237, 0.013))
        if 0 < found <= most_of(2237):
            kept = 2237 - found
            rate = 0.013 + 0.987 * rng.beta(math.floor(1e-3 * (kept + 1)), kept)
            stated += 1
            failed += rate > upper95(math.floor(1e-3 * (kept + 1)) - 1 + found, 2237)
    assert failed > 0.2 * stated > 0


def test_few_cost_little_and_there_is_no_cliff() -> None:
    stated = [limit(cuts=2, kept=2237 - n, sure=0, likely=n, most=22) for n in range(1, 23)]
    assert stated == sorted(stated)
    others = upper_limit(0, 2234, 0.05 / 3) + upper_limit(1, 2234, 0.05 / 3)
    assert stated[2] == pytest.approx(upper_limit(3, 2237, 0.05 / 3) + others, abs=1e-6)
    assert stated[-1] <= upper_limit(22, 2237, 0.05 / 3) + 1.01 * others
    assert limit(cuts=1, kept=2, sure=50, likely=0, most=0) == 1.0


def test_the_binomial_is_one() -> None:
    assert binomial_cdf(1, 3, 0.5) == pytest.approx(0.5)
    assert upper_limit(0, 10, 0.05) == pytest.approx(1.0 - 0.05**0.1)
