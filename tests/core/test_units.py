"""Conversions against exact rationals, and against the inverse function in 250 digits."""

from __future__ import annotations

import json
import math
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retr.core.errors import UsageError
from retr.core.units import Radius, psnr_of, rmse_of, to_l2

norms = st.floats(0.0, 1e6) | st.floats(1e-3, 300.0)
amounts = st.floats(0.0, 300.0)
decibels = st.floats(-60.0, 400.0).map(lambda x: x if abs(x) > 1e-20 else 0.0)
sizes = st.integers(1, 3 * 10_000 * 10_000) | st.integers(1, 3000).map(lambda side: 3 * side * side)


def rmse_is_at_most(rmse: float, l2: float, values: int) -> bool:
    """Rmse ≤ 255·ℓ2/√n, in exact rationals."""
    return Fraction(rmse) ** 2 * values <= 255**2 * Fraction(l2) ** 2


def psnr_is_at_least(psnr: float, l2: float, values: int) -> bool:
    """Psnr ≥ −20·log10(ℓ2/√n), by powers, where the code takes logarithms."""
    context = Context(prec=250)
    return context.power(10, context.divide(Decimal(psnr), 10)) >= context.divide(
        values, context.multiply(Decimal(l2), Decimal(l2))
    )


@given(norms, sizes)
@example(3.0, 900)
@example(5e-324, 3)
@example(0.0, 3)
def test_rmse_is_the_float_next_to_the_exact_one(l2: float, values: int) -> None:
    low, high = rmse_of(l2, values), rmse_of(l2, values, up=True)
    assert rmse_is_at_most(low, l2, values)
    assert not rmse_is_at_most(math.nextafter(low, math.inf), l2, values)
    assert high == low or high == math.nextafter(low, math.inf)
    assert (high == low) == (Fraction(low) ** 2 * values == 255**2 * Fraction(l2) ** 2)
    assert Radius(l2, values).rmse == low


@given(norms.filter(lambda x: x > 0), sizes)
@example(3.0, 900)  # 20 dB exactly
@example(1.0, 1)  # 0 dB exactly
@example(math.nextafter(1.0, 2.0), 1)
@example(math.nextafter(1.0, 0.0), 1)
@example(5e-324, 3)
def test_psnr_is_the_float_next_to_the_exact_one(l2: float, values: int) -> None:
    high, low = psnr_of(l2, values), psnr_of(l2, values, up=False)
    assert high is not None
    assert low is not None
    assert psnr_is_at_least(high, l2, values)
    assert not psnr_is_at_least(math.nextafter(high, -math.inf) if high else -1e-200, l2, values)
    assert low in (high, math.nextafter(high, -math.inf))
    assert Radius(l2, values).psnr == high


@given(amounts, sizes)
@example(255.0, 900)
@example(0.0352, 3 * 480 * 360)
def test_a_budget_in_rmse_is_covered_by_what_is_proved_and_holds_what_is_attacked(amount: float, values: int) -> None:
    proved, attacked = to_l2(amount, "rmse", values), to_l2(amount, "rmse", values, inside=True)
    exact = Fraction(amount) ** 2 * values  # (255·ℓ2)²
    assert (255 * Fraction(proved)) ** 2 >= exact >= (255 * Fraction(attacked)) ** 2
    assert proved in (attacked, math.nextafter(attacked, math.inf))


@given(decibels, sizes)
@example(0.0, 900)
@example(20.0, 900)
def test_a_budget_in_db_is_covered_by_what_is_proved_and_holds_what_is_attacked(amount: float, values: int) -> None:
    proved, attacked = to_l2(amount, "psnr", values), to_l2(amount, "psnr", values, inside=True)
    assert psnr_is_at_least(amount, proved, values)
    assert proved in (attacked, math.nextafter(attacked, math.inf))
    if proved != attacked:
        assert not psnr_is_at_least(amount, attacked, values)


@given(norms.filter(lambda x: x > 0), sizes)
def test_what_is_said_of_a_radius_is_proved_by_it(l2: float, values: int) -> None:
    radius = Radius(l2, values)
    assert radius.psnr is not None
    assert to_l2(radius.rmse, "rmse", values) <= l2
    assert to_l2(radius.psnr, "psnr", values) <= l2


@given(amounts, decibels, sizes)
def test_a_budget_keeps_the_number_that_was_asked_for(amount: float, decibel: float, values: int) -> None:
    assert Radius.asked(amount, "rmse", values).rmse == amount
    assert Radius.asked(amount, "l2", values).l2 == amount
    asked = Radius.asked(decibel, "psnr", values)
    assert asked.psnr == decibel
    assert asked.l2 == to_l2(decibel, "psnr", values)
    assert rmse_is_at_most(asked.rmse, asked.l2, values)


@pytest.mark.parametrize("amount", [1e308, 9e3])
def test_no_size_is_out_of_reach(amount: float) -> None:
    assert to_l2(amount, "psnr", 3) == 5e-324
    assert to_l2(amount, "psnr", 3, inside=True) == 0.0
    assert to_l2(-amount, "psnr", 3) == math.inf
    assert to_l2(-amount, "psnr", 3, inside=True) == math.nextafter(math.inf, 0.0)


@pytest.mark.parametrize("amount", [1e-221, -1e-221])
def test_a_hair_off_0_db_is_on_the_safe_side(amount: float) -> None:
    proved, attacked = to_l2(amount, "psnr", 1), to_l2(amount, "psnr", 1, inside=True)
    assert 1.0 - 2.0**-52 <= attacked < 1.0 < proved <= 1.0 + 2.0**-51


def test_a_float_that_is_the_exact_result_stays() -> None:
    assert (rmse_of(30.0, 900), rmse_of(30.0, 900, up=True)) == (255.0, 255.0)
    assert (psnr_of(3.0, 900), psnr_of(3.0, 900, up=False), psnr_of(30.0, 900)) == (20.0, 20.0, 0.0)
    assert (to_l2(255.0, "rmse", 900), to_l2(0.0, "psnr", 900)) == (30.0, 30.0)
    assert (Radius(0.0, 3).rmse, Radius(0.0, 3).psnr) == (0.0, None)


@pytest.mark.parametrize(("amount", "unit"), [(-1.0, "l2"), (-1.0, "rmse"), (math.nan, "psnr"), (math.inf, "rmse")])
def test_bad_budgets_are_refused(amount: float, unit: str) -> None:
    with pytest.raises(UsageError, match="a budget must be a finite number ≥ 0"):
        to_l2(amount, unit, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(("amount", "unit"), [(1e308, "rmse"), (-7000.0, "psnr")])
def test_a_budget_that_overflows_is_refused_and_an_attack_gets_what_there_is(amount: float, unit: str) -> None:
    with pytest.raises(UsageError, match="out of the range"):
        Radius.asked(amount, unit, 3 * 480 * 360)  # type: ignore[arg-type]
    assert math.isfinite(to_l2(amount, unit, 3 * 480 * 360, inside=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", ["1", True, None, 10**400, 1j])
@pytest.mark.parametrize("unit", ["l2", "rmse", "psnr"])
def test_what_is_no_number_is_no_budget(amount: object, unit: str) -> None:
    with pytest.raises(UsageError, match="a budget"):
        Radius.asked(amount, unit, 300)  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", ["l2", "rmse", "psnr"])
def test_numbers_of_numpy_are_those_of_python(unit: str) -> None:
    for amount, same in ((np.float32(0.1), float(np.float32(0.1))), (np.int64(3), 3.0), (Fraction(1, 2), 0.5)):
        asked = Radius.asked(amount, unit, 300)  # type: ignore[arg-type]
        assert asked == Radius.asked(same, unit, 300)  # type: ignore[arg-type]
        assert json.loads(json.dumps(asked.as_json()))[unit] == same
