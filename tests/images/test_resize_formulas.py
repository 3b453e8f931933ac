"""The two numbers of a resize that enter a certificate, against their formulas in exact fractions."""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from retr.core.numerics import gamma, round_down, round_up
from retr.images import resize
from retr.images.resize import Axis, Resize, resize_axis, resize_operator, spectral_norm

ULP = Fraction(2) ** -52


def root(x):
    with localcontext(Context(prec=60)):
        return Fraction((Decimal(x.numerator) / Decimal(x.denominator)).sqrt())


@pytest.mark.parametrize(("source", "target"), [(1, 5), (7, 5), (300, 17), (64, 64), (5, 90)])
def test_terms_and_mass_are_those_of_the_fullest_row(source, target):
    axis = resize_axis(source, target)
    assert axis.terms == max(sum(value > 0 for value in row) for row in axis.matrix.tolist())
    exact = max(sum(map(Fraction, row)) for row in axis.matrix.tolist())
    assert exact <= Fraction(axis.mass) <= exact * (1 + 2 * ULP)


def test_mass_is_of_the_heaviest_row(monkeypatch):
    monkeypatch.setattr(
        resize, "_triangle_weights", lambda source, target: np.array([[0.5, 0.25], [0.5, 0.75], [0.5, 0.0]])
    )
    axis = resize_axis.__wrapped__(2, 3)
    assert axis.terms == 2
    assert axis.mass == math.nextafter(1.25, 2)


def operators():
    random = np.random.default_rng(0)
    yield resize_operator((375, 500), (224, 100))
    yield resize_operator((1, 1), (1, 1))
    for _ in range(300):
        first, second = (
            Axis(np.eye(1), int(random.integers(1, 90)), float(random.uniform(0.9, 1.6))) for _ in range(2)
        )
        yield Resize((9, 9), (int(random.integers(1, 90)), int(random.integers(1, 90))), first, second)


def test_rounding_is_its_formula():
    """((1 + γ_v)(1 + γ_h) − 1)·mass_v·mass_h·√(3hw)."""
    for operator in operators():
        rows, columns = operator.vertical, operator.horizontal
        relative = (1 + Fraction(gamma(rows.terms))) * (1 + Fraction(gamma(columns.terms))) - 1
        exact = relative * Fraction(rows.mass) * Fraction(columns.mass)
        exact *= root(Fraction(3 * operator.target[0] * operator.target[1]))
        assert exact <= Fraction(operator.rounding.value) <= exact * (1 + 8 * ULP)


def test_rho_is_a_product_rounded_up():
    for side in range(2, 40):
        operator = resize_operator((side, 2 * side), (16, 31))
        exact = Fraction(operator.vertical.norm.value) * Fraction(operator.horizontal.norm.value)
        assert exact <= Fraction(operator.norm.value) <= exact * (1 + 2 * ULP)


@pytest.mark.parametrize("coarse", [None, 1e-4])
def test_norm_is_its_formula(coarse, monkeypatch):
    """√(max_i (A·Aᵀ·v)_i/v_i / (1 − γ_{m+n+2})), for the vector that eigh gives, with a floor of 1e-9 under it."""
    if coarse:
        monkeypatch.setattr(resize, "gamma", lambda n: coarse * n)
    random = np.random.default_rng(0)
    for _ in range(60):
        matrix = random.random(tuple(random.integers(2, 9, size=2))) * (random.random((1, 1)) < 0.9)
        matrix[0] += 1e-3
        short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        vector = np.abs(np.linalg.eigh(short @ short.T)[1][:, -1])
        v = [Fraction(max(x, 1e-9)) for x in (vector / vector.max()).tolist()]
        exact = [[Fraction(x) for x in row] for row in short.tolist()]
        inner = [sum(exact[i][j] * v[i] for i in range(len(v))) for j in range(len(exact[0]))]
        ratio = max(sum(a * b for a, b in zip(row, inner, strict=True)) / w for row, w in zip(exact, v, strict=True))
        error = Fraction(resize.gamma(sum(short.shape) + 2))
        value = Fraction(spectral_norm(matrix).value)
        assert root(ratio) <= value
        assert abs(value - root(ratio / (1 - error))) <= 40 * ULP * value


def test_the_floor_under_the_vector_is_a_billionth():
    """Two blocks that share nothing: the vector is 0 in the weaker one, where the floor keeps the quotient its own."""
    assert spectral_norm(np.diag([1.0, 0.5])).value == pytest.approx(1.0, rel=1e-12, abs=0)
    leaking = np.array([[1.0, 0.0], [3e-10, 0.5]])
    v = np.array([1.0, 1e-9])
    assert spectral_norm(leaking).value == pytest.approx(
        math.sqrt((leaking @ (leaking.T @ v) / v).max()), rel=1e-12, abs=0
    )


def roundings(chosen, factor, monkeypatch):
    """The chosen call of a rounding goes ``factor`` times too far; the list grows by one for each call."""
    calls = []

    def patched(plain, sign):
        def rounded(x):
            calls.append(x)
            return plain(x) + (sign * factor * abs(x) if len(calls) - 1 == chosen else 0.0)

        return rounded

    monkeypatch.setattr(resize, "round_up", patched(round_up, 1.0))
    monkeypatch.setattr(resize, "round_down", patched(round_down, -1.0))
    return calls


@pytest.mark.parametrize("factor", [1e-6, 0.5])
def test_no_rounding_goes_the_wrong_way(factor, monkeypatch):
    """As tests/certificates/test_outward.py: one rounding at a time is exaggerated, and may only raise the bound."""
    matrix = np.array([[0.5, 0.5, 0.0], [0.0, 0.4, 0.6]])
    first, second = Axis(matrix, 2, 1.1), Axis(matrix, 3, 1.2)
    bounds = (
        lambda: spectral_norm(matrix).value,
        lambda: Resize((3, 3), (2, 5), first, second).rounding.value,
        lambda: resize_axis.__wrapped__(7, 4).mass,
    )
    for bound in bounds:
        plain = bound()
        calls = roundings(-1, 0.0, monkeypatch)
        assert bound() == plain
        count = len(calls)
        assert count
        results = []
        for chosen in range(count):
            roundings(chosen, factor, monkeypatch)
            results.append(bound())
        assert min(results) >= plain
        assert max(results) > plain
