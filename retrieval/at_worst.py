"""How high the rate of false matches may be if no presumed copy among the negatives is one, and each is a false match.

Of N independent negatives s lie so near a row that they are left out whatever else is found, and l so near that they
are left out only while they are few: l ≤ c (``near_pairs``). M of the n that are left were cut (``conformal``). A new
image matches if it lies in one of the two regions, with probabilities p and r, or, if in neither, within the
thresholds, with probability q given that. So it matches with probability at most p + r + q, and

* s of the N − l others: p is below the Clopper-Pearson limit, but with probability δ;
* r is below the number u with P(X ≤ l)/P(X ≤ c) = δ for X binomial of N and u, but with probability δ *given* that
  l ≤ c: without the condition, the limit would be too small in half of the cases in which l ≤ c happens by luck;
* or r is below the Clopper-Pearson limit of c, but with probability δ: where it is not, l ≤ c happens no more often.
  The smaller of the two counts;
* q is below the Clopper-Pearson limit of M − 1 of n, but with probability δ (theorem 2 of ``conformal``).

With δ a third of 5 % the sum holds with 95 % confidence, also given that likely copies were left out, unless that
itself happens with probability δ or less.
"""

from __future__ import annotations

from .conformal import binomial_cdf, upper_limit

_PART = 0.05 / 3.0


def limit_at_worst(*, cuts: int, kept: int, sure: int, likely: int, most: int) -> float:
    """95 % limit on the rate of matches if no presumed copy were one.

    Args:
        cuts: M, of the negatives that count.
        kept: n, how many do.
        sure: s, left out in any case.
        likely: l, left out because they are few; 0 where they are not, and count.
        most: c, how many are few.
    """
    total = kept + sure + likely
    parts = [upper_limit(sure, kept + sure, _PART), upper_limit(cuts - 1, kept, _PART)]
    if likely:
        parts.append(_limit_of_few(likely, most, total))
    return min(1.0, sum(parts))


def _limit_of_few(likely: int, most: int, total: int) -> float:
    """The largest rate under which so few, given that they are few at all, still has probability δ."""
    low, high = likely / total, upper_limit(most, total, _PART)
    for _ in range(60):
        middle = 0.5 * (low + high)
        held = binomial_cdf(likely, total, middle) > _PART * binomial_cdf(most, total, middle)
        low, high = (middle, high) if held else (low, middle)
    return high
