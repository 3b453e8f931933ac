"""What an attack is given stays inside the ball that its success is counted for, in exact rationals."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retr.evaluation.robustness.aims import budget_of

sizes = st.integers(1, 10**8).map(lambda pixels: 3 * pixels)


def given_to(norm: str, level: float, unit: str, values: int) -> float:
    task: Any = SimpleNamespace(level=level, attack=SimpleNamespace(norm=norm), goal="evasion")
    plan: Any = SimpleNamespace(at_radius=(), unit=unit)
    prepared: Any = SimpleNamespace(values=values)
    found = budget_of(prepared, task, plan)
    assert found is not None
    return found


def squared_norm(eps: float, norm: str, values: int) -> Fraction:
    """The largest ‖δ‖² of a change within the ball."""
    size = Fraction(eps)
    return {"l2": size**2, "linf": size**2 * values, "l0": 3 * size}[norm]


@pytest.mark.parametrize("norm", ["l2", "linf", "l0"])
@given(level=st.floats(0.01, 100.0), values=sizes)
@example(level=0.0352, values=3 * 480 * 360)
@example(level=3.0, values=12_288)
def test_no_attack_leaves_a_budget_in_rmse(norm: str, level: float, values: int) -> None:
    eps = given_to(norm, level, "rmse", values)
    if norm != "l0" or eps > 1:  # an ℓ0 attack may always change one pixel
        assert 255**2 * squared_norm(eps, norm, values) <= Fraction(level) ** 2 * values


@pytest.mark.parametrize("norm", ["l2", "linf"])
@given(level=st.floats(5.0, 80.0), values=sizes)
def test_no_attack_leaves_a_budget_in_db(norm: str, level: float, values: int) -> None:
    found = squared_norm(given_to(norm, level, "psnr", values), norm, values)
    context = Context(prec=60)
    limit = context.multiply(values, context.power(10, context.divide(Decimal(level), -10)))
    assert context.divide(found.numerator, found.denominator) <= limit


@given(pixels=st.integers(1, 10**6))
def test_a_norm_that_just_allows_so_many_pixels_allows_them(pixels: int) -> None:
    l2 = (3.0 * pixels) ** 0.5
    assert given_to("l0", l2, "l2", 3 * 10**6) == max(1, Fraction(l2) ** 2 // 3)
