"""What is printed against the exact value of the float64, as rational numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retr.core.rounded import (
    budget_text,
    lower_text,
    nearest_text,
    percent_text,
    psnr_text,
    radius_text,
    upper_text,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
places = st.one_of(st.none(), st.integers(0, 12))
TINY, HUGE = 5e-324, 1.7976931348623157e308


@given(finite, st.integers(1, 17), places)
@example(0.04, 4, 2)
@example(0.0352, 1, 2)
@example(11.999999999999998, 4, 2)
@example(TINY, 1, 2)
@example(HUGE, 1, 0)
@example(-TINY, 3, 0)
def test_a_lower_bound_is_printed_at_or_below_and_an_upper_bound_at_or_above(
    x: float, digits: int, decimals: int | None
) -> None:
    exact = Fraction(x)
    assert Fraction(lower_text(x, digits=digits, decimals=decimals)) <= exact
    assert Fraction(radius_text(x, digits=digits, decimals=decimals)) <= exact
    assert Fraction(upper_text(x, digits=digits, decimals=decimals)) >= exact
    assert Fraction(psnr_text(x, decimals=decimals or 0)) >= exact


@given(finite, st.integers(1, 17), places)
@example(9.9999, 2, None)
@example(99999.5, 3, None)
def test_nothing_is_off_by_more_than_one_of_its_last_digit(x: float, digits: int, decimals: int | None) -> None:
    low, high = (Fraction(text(x, digits=digits, decimals=decimals)) for text in (lower_text, upper_text))
    near = Fraction(nearest_text(x, digits=digits, decimals=decimals))
    step = Fraction(10) ** min(0, math.floor(math.log10(abs(x))) + 2 - digits) if x else Fraction(0)
    if decimals is not None:
        step = Fraction(1, 10**decimals)
    assert low <= Fraction(x) <= high
    assert high - low <= step
    assert abs(near - Fraction(x)) <= step / 2


@given(finite.filter(lambda x: x != 0), st.integers(1, 8), places)
@pytest.mark.parametrize("text", [lower_text, upper_text, nearest_text])
def test_only_zero_reads_zero(text: Callable[..., str], x: float, digits: int, decimals: int | None) -> None:
    assert Fraction(text(x, digits=digits, decimals=decimals)) != 0
    assert Fraction(text(0.0, digits=digits, decimals=decimals)) == 0
    assert not text(-0.0, digits=digits, decimals=decimals).startswith("-")


@given(finite)
@example(0.0352)
@example(-0.0)
def test_a_budget_is_printed_as_it_was_given(x: float) -> None:
    assert float(budget_text(x)) == x
    assert len(budget_text(x)) <= len(repr(x))


@pytest.mark.parametrize(
    ("x", "text"), [(0.0352, "0.0352"), (3.0, "3"), (0, "0"), (38.5, "38.5"), (1e-7, "1e-07"), (1e22, "1e+22")]
)
def test_budgets_by_example(x: float, text: str) -> None:
    assert budget_text(x) == text


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.0, "0.00"),
        (11.25, "11.25"),
        (11.17, "11.16"),  # the float64 nearest to 11.17 is 11.1699999999999999…
        (3.0, "3.00"),
        (2.999999, "2.99"),
        (0.0352, "0.03"),
        (0.00345, "0.0034"),
        (0.0000001234, "1.2e-7"),
        (123456.789, "123456.78"),
        (math.inf, "∞"),
        (math.nan, "–"),
    ],
)
def test_radii_to_two_places(x: float, text: str) -> None:
    assert radius_text(x, decimals=2) == text


@pytest.mark.parametrize(
    ("x", "text"), [(12.3456, "12.34"), (123456.7, "123456"), (0.5, "0.5"), (0.00012999, "0.0001299"), (2e-9, "2e-9")]
)
def test_radii_to_four_digits(x: float, text: str) -> None:
    assert radius_text(x) == text


def test_a_psnr_floor_by_example() -> None:
    assert (psnr_text(38.01), psnr_text(38.0), psnr_text(-0.04), psnr_text(99.96)) == ("38.1", "38.0", "-0.04", "100.0")


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.integers(0, 3))
@example((9_999, 10_000), 1)
@example((1, 10_000_000), 0)
def test_only_all_of_them_read_a_hundred_and_only_none_reads_zero(counts: tuple[int, int], decimals: int) -> None:
    some, all_of_them = counts
    shown = Fraction(percent_text(some / all_of_them, decimals=decimals))
    assert (shown == 100) == (some == all_of_them)
    assert (shown == 0) == (some == 0)
    assert abs(shown - Fraction(100 * some, all_of_them)) <= Fraction(1, 10**decimals)


def test_shares_by_example() -> None:
    assert [percent_text(share) for share in (0, 1, 0.5, 0.9999, 0.99999, 0.0001, 0.1234)] == [
        "0.0",
        "100.0",
        "50.0",
        "99.99",
        "99.999",
        "0.01",
        "12.3",
    ]
