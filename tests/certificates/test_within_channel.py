"""T9 within one cosine channel: computed margins keep their order inside the radius, and lose it just outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.certificates.channels import margins, unseen_margins
from retr.certificates.rounding import Array
from retr.certificates.within_channel import Surroundings, unseen_within_channel, within_channel_radii
from retr.core.errors import UsageError
from retr.core.types import UpperBound

seeds = st.integers(0, 2**32 - 1)
ONE = UpperBound(1.0, "test")
DIM, ROWS = 6, 12


def unit(a: Array) -> Array:
    return a / np.linalg.norm(a, axis=-1, keepdims=True)


def system(seed: int) -> tuple[np.random.Generator, Array, Array, float]:
    """A query and rows around it: some near, some far, some opposite, one identical to the winner."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(DIM) * rng.choice([0.1, 1.0, 30.0])
    spread = rng.choice([0.01, 0.3, 1.0, 3.0], size=(ROWS, 1))
    rows = unit(unit(z) * rng.choice([1.0, 1.0, -1.0], size=(ROWS, 1)) + spread * rng.standard_normal((ROWS, DIM)))
    rows[-1] = rows[0]
    return rng, z, rows, float(rng.choice([0.0, 0.05, 0.6, 0.9, 0.995]))


def values(z: Array, rows: Array, threshold: float) -> Array:
    return margins(z, rows, score="cosine", threshold=threshold, lipschitz=ONE, forward_error=0.0).values


def radii(z: Array, rows: Array, threshold: float) -> tuple[Array, Surroundings, Array]:
    at_z = margins(z, rows, score="cosine", threshold=threshold, lipschitz=ONE, forward_error=0.0)
    around = Surroundings(threshold, ONE, 0.0, at_z.growth)
    errors = at_z.errors[1:] + at_z.errors[0]
    return within_channel_radii(z, rows[0], rows[1:], errors=errors, surroundings=around), around, at_z.errors


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_margins_keep_their_order_inside_the_radius(seed: int) -> None:
    rng, z, rows, threshold = system(seed)
    found = radii(z, rows, threshold)[0]
    for place, radius in enumerate(found, start=1):
        if radius <= 0:
            continue
        ways = [rows[place] - rows[0], -rows[0], -z, *rng.standard_normal((5, DIM))]
        for way in unit(np.asarray(ways)):
            for share in (0.3, 1 - 1e-12):
                now = values(z + share * radius * way, rows, threshold)
                assert now[0] > now[place]


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_the_radius_is_the_distance_to_the_half_spaces(seed: int) -> None:
    _, z, rows, threshold = system(seed)
    found = radii(z, rows, threshold)[0]
    w = rows[0] - rows[1:]
    width = np.linalg.norm(w, axis=1)
    exact = np.minimum(w @ z / np.where(width > 0, width, np.inf), rows[0] @ z)
    apart = (width > 1e-3) & (exact > 0)
    assert (found[apart] <= exact[apart]).all()
    assert (found[apart] >= exact[apart] - 1e-7).all()
    assert (found[width == 0] < 0).all()


@given(seeds, st.integers(2, 6))
@settings(max_examples=100, deadline=None)
def test_what_is_not_listed_lies_above_its_floor(seed: int, seen: int) -> None:
    _, z, rows, threshold = system(seed)
    rows = rows[:-1]
    found, around, errors = radii(z, rows, threshold)
    away = np.linalg.norm(unit(z) - rows, axis=1)
    b = float(np.sort(away)[seen]) * (1 - 1e-14)
    far = unseen_margins(
        b,
        z_norm=float(np.linalg.norm(z)),
        dim=DIM,
        score="cosine",
        threshold=threshold,
        lipschitz=ONE,
        forward_error=0.0,
    )
    floor = unseen_within_channel(
        z, rows[0], a=float(away[0]) * (1 + 1e-13), b=b, errors=far.errors + errors[0], surroundings=around
    )
    hidden = found[away[1:] >= b]
    assert not hidden.size or floor <= hidden.min() + 1e-12


def test_nothing_unseen_and_nothing_seen() -> None:
    _, z, rows, _ = system(1)
    around = radii(z, rows, 0.5)[1]
    assert unseen_within_channel(z, rows[0], a=0.1, b=np.inf, errors=np.zeros(1), surroundings=around) == np.inf
    assert unseen_within_channel(z, rows[0], a=0.5, b=0.4, errors=np.zeros(1), surroundings=around) == -np.inf
    assert within_channel_radii(z, rows[0], rows[:0], errors=np.zeros(0), surroundings=around).shape == (0,)


def test_errors_and_the_constant_lower_the_radius() -> None:
    rng = np.random.default_rng(0)
    rows = unit(rng.standard_normal((3, DIM)))
    z = 2.0 * rows[0]
    plain = within_channel_radii(
        z, rows[0], rows[1:], errors=np.zeros(2), surroundings=Surroundings(0.8, ONE, 0.0, 0.0)
    )
    worse = within_channel_radii(
        z, rows[0], rows[1:], errors=np.full(2, 0.01), surroundings=Surroundings(0.8, ONE, 0.0, 0.0)
    )
    assert (worse < plain - 0.01 / 0.6 / 2.1).all()  # sin θ = 0.6, rows at most 2 apart
    twice = Surroundings(0.8, UpperBound(2.0, "test"), 0.1, 0.0)
    halved = within_channel_radii(z, rows[0], rows[1:], errors=np.zeros(2), surroundings=twice)
    assert halved == pytest.approx((plain - 0.2) / 2, rel=1e-9)
    full = within_channel_radii(z, rows[0], rows[1:], errors=np.zeros(2), surroundings=Surroundings(1.0, ONE, 0.0, 0.0))
    assert (full < 0).all()  # a cone without an inside tells no row from another


@pytest.mark.parametrize("numbers", [(-0.1, 0.0), (1.1, 0.0), (0.5, -1.0)])
def test_what_the_theorem_does_not_hold_for_is_refused(numbers: tuple[float, float]) -> None:
    threshold, growth = numbers
    with pytest.raises(UsageError, match="must"):
        Surroundings(threshold, ONE, 0.0, growth)
