"""T12 in numbers: what is proved of a cell holds wherever its members can be, an adversary's change on top."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retr.certificates.edit_ranges import (
    Moves,
    Rivals,
    cover_radius,
    every_probe_holds,
    some_probe_holds,
    stays_ahead,
)
from retr.core.errors import UsageError


def moves(covered, resize=None, budget=None) -> Moves:
    covered = np.atleast_2d(np.asarray(covered, dtype=np.float64))
    resize = np.ones_like(covered) if resize is None else np.broadcast_to(np.asarray(resize, float), covered.shape)
    budget = np.zeros(len(covered)) if budget is None else np.broadcast_to(np.asarray(budget, float), len(covered))
    return Moves(covered, resize, budget)


def test_copy_needs_one_probe_and_nothing_needs_all():
    reach = np.array([1.0, 3.0])
    some = moves([[0.5, 9.0], [2.0, 2.0], [2.0, 4.0]])
    assert some_probe_holds(reach, some).tolist() == [True, True, False]
    assert every_probe_holds(reach, some).tolist() == [False, False, False]
    assert every_probe_holds(reach, moves([[0.5, 2.5]])).tolist() == [True]


def test_the_budget_goes_through_the_resize_of_the_members_own_size():
    reach = np.array([2.0])
    assert some_probe_holds(reach, moves([[1.0], [1.0]], resize=[[0.5], [1.0]], budget=[1.5, 1.5])).tolist() == [
        True,
        False,
    ]


def test_a_tie_and_what_is_no_number_prove_nothing():
    assert not some_probe_holds(np.array([1.0]), moves([[1.0]])).any()
    assert not some_probe_holds(np.array([np.nan]), moves([[0.0]])).any()
    assert not some_probe_holds(np.array([1.0]), moves([[np.nan]])).any()
    rivals = [Rivals.of(np.array([1.0]), np.array([-np.inf]))]
    assert not stays_ahead(np.array([1.0]), rivals, moves([[0.0]]), growth=0.0).any()
    assert not stays_ahead(np.array([-np.inf]), rivals, moves([[0.0]]), growth=0.0).any()


def test_half_of_the_lead_over_all_probes():
    """i leads in the first probe by 4; a rival waits in the second, 1 behind i's best."""
    own = np.array([4.0, -5.0])
    rivals = [Rivals.of(np.array([0.0]), np.array([9.0])), Rivals.of(np.array([3.0]), np.array([-np.inf]))]
    found = stays_ahead(own, rivals, moves([[0.49, 0.49], [0.51, 0.51], [0.1, 0.8]]), growth=0.0)
    assert found.tolist() == [True, False, True]


def test_t1_holds_a_rival_back_only_within_its_own_probe():
    own = np.array([4.0, 4.0])
    waiting = Rivals.of(np.array([3.9]), np.array([-np.inf]))
    held = Rivals.of(np.array([3.9]), np.array([5.0]))
    assert stays_ahead(own, [held, held], moves([[1.0, 1.0]]), growth=0.0).all()
    assert not stays_ahead(own, [held, waiting], moves([[1.0, 1.0]]), growth=0.0).any()


@given(st.integers(0, 10_000))
def test_first_place_against_every_move_that_is_allowed(seed):
    """Margins are 1-Lipschitz numbers here: each moves by at most μ of its probe, the worst way."""
    rng = np.random.default_rng(seed)
    own, rows = rng.normal(1.0, 1.0, 2), rng.normal(-0.5, 1.0, (2, 5))
    resize, covered, budget = rng.uniform(0.2, 2.0, (1, 2)), rng.uniform(0, 0.6, (1, 2)), rng.uniform(0, 0.5, 1)
    rivals = [Rivals.of(one, np.full(5, -np.inf)) for one in rows]
    moved = covered + resize * budget[:, None]
    lead = ((own - moved) / resize).max() - ((rows + moved[0][:, None]) / resize[0][:, None]).max()
    found = bool(stays_ahead(own, rivals, Moves(covered, resize, budget), growth=0.0)[0])
    assert found == (lead > 0.0) or abs(lead) < 1e-12


def test_a_cover_radius_is_rounded_up_and_counts_the_resize_three_times():
    assert cover_radius(np.array([[3.0, 4.0]]), rounding=0.5)[0] == pytest.approx(6.5)
    assert cover_radius(np.array([[3.0, 4.0]]), rounding=0.0)[0] > 5.0


@pytest.mark.parametrize("wrong", [{"covered": [[-1.0]]}, {"covered": [[0.0]], "budget": [-1.0]}])
def test_negative_distances_are_refused(wrong):
    with pytest.raises(UsageError):
        moves(**wrong)


def test_shapes_must_fit():
    with pytest.raises(UsageError):
        Moves(np.zeros((2, 1)), np.ones((1, 1)), np.zeros(2))
