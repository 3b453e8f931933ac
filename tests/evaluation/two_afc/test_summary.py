"""The numbers of a 2AFC benchmark, counted by hand on records of a few rows."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_triplets import SIDE, benchmark, clean, records, trial

from retr.evaluation.two_afc.records import FORMAT
from retr.evaluation.two_afc.summary import EPSILONS, summarise_triplets
from retr.evaluation.two_afc.summary_curves import score_curves
from retr.evaluation.two_afc.summary_rows import Rows

RIGHT = {"preference": 1.0}
"""People prefer the right one, and the metric the left one."""


def only(lines):
    (line,) = lines
    return line


def test_scores_before_any_attack():
    rows = [
        clean(1.0, 2.0, query="a", preference=0.25, group="blur"),  # left, with 75 %
        clean(2.0, 1.0, query="b", preference=0.25, group="blur"),  # right, with 25 %
        clean(1.0, 1.0, query="c", preference=0.0, group="jpeg"),  # a draw
        clean(1.0, 2.0, query="d", preference=0.5, group="jpeg"),  # people are split evenly
    ]
    line = only(summarise_triplets(records(*rows)).metrics)
    assert line.score == (0.75 + 0.25 + 0.5 + 0.5) / 4
    assert (line.accuracy.count, line.accuracy.of) == (1, 3)
    assert (line.triplets, line.undecided, line.draws, line.agree, line.disagree) == (4, 1, 1, 1, 1)
    assert line.side == SIDE
    assert line.score_low < line.score < line.score_high
    blur, jpeg = line.groups
    assert (blur.group, blur.score, blur.accuracy.count) == ("blur", 0.5, 1)
    assert (jpeg.group, jpeg.score, jpeg.accuracy.of) == ("jpeg", 0.5, 1)


def test_flips_are_counted_apart_where_metric_and_people_agree_and_where_not():
    sizes = [{"rmse": 1.0, "psnr": 48.0, "changed_001": 0.2}, {"rmse": 3.0, "psnr": 40.0, "changed_001": 0.6}]
    rows = []
    for name, right, left, size in (("a", 0.0, 3.0, 0), ("b", 0.0, 3.0, 1), ("c", 0.0, 1.5, 1), ("d", 1.0, 3.0, 0)):
        own = {"query": name, "preference": right}
        rows += [clean(**own), trial(left, 2.0, **own, **sizes[size], smallest_eps=0.01 if left > 2 else None)]
    line = only(summarise_triplets(records(*rows)).attacks)
    agree, disagree = line.agree, line.disagree
    assert (agree.samples, agree.flipped.count, disagree.samples, disagree.flipped.count) == (3, 2, 1, 1)
    assert agree.rmse is not None
    assert agree.psnr is not None
    assert (agree.rmse.count, agree.rmse.mean) == (2, 2.0)
    assert agree.rmse.sd == pytest.approx(math.sqrt(2.0))  # sample standard deviation, as in the authors' notebook
    assert agree.psnr.mean == 44.0
    assert agree.changed is not None
    assert agree.changed[0] == pytest.approx(0.4)
    assert agree.smallest_eps is not None
    assert agree.smallest_eps.mean == 0.01
    assert disagree.rmse is not None
    assert disagree.rmse.sd is None
    # a and b are lost, c stands, d was wrong and stays so
    assert line.score == 0.25
    assert line.flipped_png.count == 3


def test_draws_and_undecided_samples_are_in_neither_group():
    rows = []
    for name, left, preference in (("a", 2.0, 0.0), ("b", 1.0, 0.5)):
        own = {"query": name, "preference": preference}
        rows += [clean(left, 2.0, **own), trial(3.0, 2.0, clean_left=left, **own)]
    line = only(summarise_triplets(records(*rows)).attacks)
    assert (line.agree.samples, line.disagree.samples) == (0, 0)
    assert line.agree.rmse is None
    assert line.agree.changed is None


def test_settings_goals_movers_and_sources_are_lines_of_their_own():
    own = [clean(), trial(3.0, 2.0), trial(3.0, 2.0, setting="PGD ε 0.01"), trial(3.0, 2.0, goal="reverse")]
    own += [trial(3.0, 2.0, moves="reference"), trial(3.0, 2.0, source="lpips-alex"), trial(3.0, 2.0, eps=None)]
    other = [{**row, "system": "ssim", "title": "SSIM"} for row in own]
    summary = summarise_triplets(records(*own, *other))
    assert len(summary.attacks) == 12
    assert len(summary.metrics) == 2
    assert {line.source for line in summary.attacks} == {None, "lpips-alex"}


def test_the_cost_of_a_transfer_counts_where_it_was_made():
    rows = records(clean(), trial(3.0, 2.0, gradients=7), trial(3.0, 2.0, gradients=5, source="lpips-alex"))
    assert only(summarise_triplets(rows).metrics).gradients == 7


def test_certified_scores_ask_for_a_larger_radius_and_weigh_by_people():
    rows = [
        clean(query="a", preference=0.2, radius_sound=EPSILONS[0], radius_all=0.01),  # not larger: does not count
        clean(query="b", preference=0.2, radius_sound=EPSILONS[1] + 1e-9),
        clean(query="c", preference=0.2),  # withheld
        clean(query="d", **RIGHT, radius_sound=9.0),  # certified, and nobody agrees
    ]
    found = {line.form: line for line in summarise_triplets(records(*rows)).certified}
    assert set(found) == {"sound", "all"}
    assert found["sound"].scores == pytest.approx((0.2, 0.2, 0.0))
    assert found["sound"].withheld == 1
    assert found["sound"].median == pytest.approx(EPSILONS[0])  # of those that agree: 0 for c
    assert found["all"].scores == (0.0, 0.0, 0.0)
    assert found["sound"].proved is None


def test_the_published_form_says_what_share_of_it_is_proved():
    radius = {"radius_published": 1.0}
    rows = [
        clean(query="a", **radius, published_holds=True),
        clean(query="b", **radius, published_holds=False),
        clean(query="c", radius_published=0.0, published_holds=False),
    ]
    line = only(summarise_triplets(records(*rows)).certified)
    assert (line.form, line.proved) == ("published", 0.5)


def test_the_sizes_are_those_that_the_run_was_asked_for():
    rows = [clean(radius_sound=0.3)]
    assert summarise_triplets(records(*rows, plan={"certified": [0.25, 0.5]})).epsilons == (0.25, 0.5)
    summary = summarise_triplets(records(*rows), epsilons=(0.1,))
    assert only(summary.certified).scores == (1.0,)


def test_the_worst_of_all_attacks_counts_each_image_where_it_lies():
    rows = [clean(query="a"), clean(query="b"), clean(query="c", **RIGHT)]
    far, near = {"l2": 0.4}, {"l2": 0.1}
    rows += [trial(3.0, 2.0, query="a", **far), trial(1.5, 2.0, query="a", **near)]
    rows += [trial(3.0, 2.0, query="b", **near, attack="stadv", setting="stAdv", source="ssim")]
    rows += [trial(3.0, 2.0, query="c", **RIGHT, **near)]  # was wrong before: gains nothing
    line = only(summarise_triplets(records(*rows), epsilons=(0.05, 0.2, 0.5)).worst)
    assert line.scores == (None, pytest.approx(1 / 3), 0.0)
    assert line.unbounded == 0.0


def test_fgsm_and_pgd_are_compared_at_one_eps_on_the_same_samples():
    fgsm = {"attack": "fgsm", "setting": "FGSM", "eps": 0.025}
    rows = []
    for name, smallest, wins in (("a", 0.01, True), ("b", 0.02, True), ("c", None, True), ("d", None, False)):
        own: dict[str, Any] = {"query": name}
        rows += [clean(**own), trial(3.0 if wins else 1.5, 2.0, **own)]
        rows.append(trial(3.0 if smallest else 1.5, 2.0, **own, **fgsm, smallest_eps=smallest))
    rows += [clean(query="e"), trial(3.0, 2.0, query="e")]  # no FGSM
    line = only(summarise_triplets(records(*rows)).equal_eps)
    assert (line.fgsm.count, line.pgd.count, line.pgd.of) == (1, 3, 4)
    short = [row | {"eps": 0.01} if row["attack"] == "fgsm" else row for row in rows]
    assert summarise_triplets(records(*short)).equal_eps == ()


def test_shifts_are_shares_of_their_bound():
    moved = {"goal": "embedding", "moves": "reference"}
    rows = [clean(query="a"), trial(1.0, 2.0, query="a", shift=1.0, shift_limit=2.0, **moved)]
    rows += [clean(query="b"), trial(1.0, 2.0, query="b", shift=3.0, shift_limit=4.0, **moved)]
    line = only(summarise_triplets(records(*rows)).shifts)
    assert line.used is not None
    assert (line.shift.p50, line.used.p50, line.used.most, line.broken) == (2.0, 0.625, 0.75, 0)


@pytest.mark.parametrize(
    ("moves", "radius", "alarms", "within"),
    [
        ("reference", {"radius_sound": 1.1}, 1, 1),
        ("reference", {"radius_sound": 1.0}, 0, 0),  # a radius is open
        ("preferred", {"radius_sound": 9.0}, 0, 0),  # is no promise about candidates
        ("preferred", {"radius_all": 1.1}, 1, 1),
        ("all", {"radius_all": 1.1}, 1, 1),
        ("reference", {"radius_published": 9.0}, 0, 0),
    ],
)
def test_a_flip_inside_the_radius_that_covers_it_is_an_alarm_whatever_the_record_says(moves, radius, alarms, within):
    rows = [clean(**radius), trial(3.0, 2.0, l2=1.0, moves=moves, **radius)]
    summary = summarise_triplets(records(*rows))
    assert (summary.alarms, summary.certificates) == (alarms, within)


def test_recorded_alarms_and_broken_bounds_count_too():
    far = trial(1.0, 2.0, goal="embedding", moves="reference", shift=2.0, shift_limit=1.0)
    summary = summarise_triplets(records(clean(), trial(1.0, 2.0, alarm=True), far))
    assert summary.alarms == 2
    assert only(summary.shifts).broken == 1


def test_a_whole_run_is_plain_json():
    made = benchmark(triplets=6)
    FORMAT.check(made.table)
    text = json.dumps(summarise_triplets(made).as_json(), allow_nan=False)
    assert json.loads(text)["alarms"] == 0


def test_a_run_without_attacks_has_scores_and_certificates_only():
    summary = summarise_triplets(records(clean(radius_sound=1.0)))
    assert (summary.attacks, summary.worst, summary.equal_eps, summary.shifts) == ((), (), (), ())
    assert only(summary.certified).scores == (1.0, 1.0, 1.0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), eps=st.floats(0.01, 3.0))
def test_no_attack_leaves_less_than_the_certified_score(seed, eps):
    """Of records without an alarm: certified ≤ attacked ≤ natural, at every size, in summary and curves alike."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(8):
        radius = float(rng.uniform(0, 2))
        own = {"query": f"{number}", "preference": float(rng.choice([0.0, 0.2, 0.7, 1.0]))}
        rows.append(clean(**own, radius_sound=radius))
        for _ in range(3):
            size = float(rng.uniform(0, 3))
            flips = size >= radius and rng.random() < 0.7
            rows.append(
                trial(3.0 if flips else 1.0, 2.0, **own, radius_sound=radius, moves="reference", l2=size, rmse=size)
            )
    made = records(*rows)
    summary = summarise_triplets(made, epsilons=(eps,))
    assert summary.alarms == 0
    natural, proved = only(summary.metrics).score, only(summary.certified).scores[0]
    left = only(summary.worst).scores[0]
    curve = only(score_curves(Rows.of(made.table)))
    assert proved <= natural + 1e-12
    assert curve.certified(eps) == pytest.approx(proved)
    assert curve.score == natural
    if left is not None:
        assert proved <= left + 1e-12
        assert left <= natural + 1e-12
        assert curve.attacked(eps) == pytest.approx(left)
