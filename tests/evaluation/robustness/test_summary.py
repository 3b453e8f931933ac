"""The numbers of an audit against counts made by hand."""

import json

import numpy as np
import pytest
from made_records import LOST, PER_RMSE, audit, certified_first, clean, table, trial

from retr.evaluation.robustness.columns import Columns
from retr.evaluation.robustness.curves import curves
from retr.evaluation.robustness.summary import summarise
from retr.reports.audit_tables import budget_table

CASES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")


def four(*trials, **changes):
    """Four queries with their certificates of 2 levels, and these images."""
    radius = {"radius_top1": 2 * PER_RMSE, "radius_verdict": 1.5 * PER_RMSE} | changes
    rows = [clean(query=query, **radius) for query in CASES]
    return summarise(table(*rows, *({**one, **radius} for one in trials)))


def test_pointwise_worst_case_is_over_attacks_media_and_smaller_budgets():
    summary = four(
        trial(1.0, query="a.jpg", attack="pgd-l2", medium="png", **LOST),
        trial(3.0, query="a.jpg"),
        trial(3.0, query="b.jpg", **LOST),
        trial(3.0, query="b.jpg", attack="pgd-l2"),
        trial(3.0, query="c.jpg", attacked_top10=False, attacked_first=False, attacked_verdict="not-a-copy"),
    )
    small, large = summary.budgets
    assert (small.budget, small.attacked.first.value, small.attacked.top10.value, certified_first(small)) == (
        1.0,
        0.75,
        1.0,
        1.0,
    )
    assert (large.budget, large.attacked.first.value, large.attacked.top10.value, certified_first(large)) == (
        3.0,
        0.25,
        0.75,
        0.0,
    )
    assert large.attacked.verdict is not None
    assert (large.attacked.verdict.count, large.attacked.verdict.of) == (3, 4)
    assert (large.clean.first.low, large.clean.first.high) == pytest.approx((0.5101, 1.0), abs=1e-4)


def test_certified_means_right_and_proved_beyond_the_budget():
    radii = [2.5, 1.0, None, 9.0]
    rows = [
        clean(query=query, radius_top1=radius and radius * PER_RMSE, clean_first=query != "d.jpg")
        for query, radius in zip(CASES, radii, strict=True)
    ]
    summary = summarise(table(*rows, trial(0.5), trial(1.0), trial(2.0)))
    assert [certified_first(line) for line in summary.budgets] == [0.5, 0.25, 0.25]
    assert summary.budgets[0].certified is not None
    assert summary.budgets[0].certified.top10.value == 0.5
    radius = summary.radius
    assert radius is not None
    assert radius.queries == 3
    assert radius.spread.p50 == pytest.approx(1.0)
    assert (radius.spread.least, radius.spread.most) == pytest.approx((0.0, 2.5))


def test_without_certificates_there_is_no_certified_column_and_no_radius():
    summary = four(trial(1.0), radius_top1=None, radius_verdict=None)
    assert summary.budgets[0].certified is None
    assert certified_first(summary.budgets[0]) == 0.0
    assert summary.radius is None
    assert not summary.systems[0].certified
    assert summary.tightness == ()


def test_a_minimal_attack_counts_where_its_image_lies():
    minimal = {"minimal": True, "budget": 3.0, "attack": "ddn", "query": "a.jpg"}
    summary = four(trial(1.5, **minimal, **LOST), *(trial(b, query="b.jpg") for b in (1.0, 2.0, 3.0)))
    assert [line.attacked.first.value for line in summary.budgets] == [1.0, 0.75, 0.75]
    lines = [line for line in summary.attacks if line.attack == "ddn"]
    assert [(line.budget, line.success_float) for line in lines] == [(1.0, 0.0), (2.0, 1.0), (3.0, 1.0)]
    assert [line.attempts for line in lines] == [1, 1, 1]
    assert lines[0].norms is None
    assert lines[2].norms is not None
    assert lines[2].norms.rmse == 1.5


@pytest.mark.parametrize("norm", ["l0", "none"])
def test_an_attack_without_a_ball_counts_where_its_image_lies(norm):
    summary = four(
        trial(1.5, norm=norm, budget=1.0, attack="stadv", query="a.jpg", **LOST),
        trial(1.0, query="b.jpg"),
        trial(2.0, query="b.jpg"),
    )
    assert [line.attacked.first.value for line in summary.budgets] == [1.0, 0.75]


def test_budgets_in_decibels_come_from_the_smallest_ball():
    loud = {"unit": "psnr", "budget": 30.0}
    summary = four(trial(8.0, query="a.jpg", **loud, **LOST), trial(2.5, query="b.jpg", unit="psnr", budget=40.0))
    assert [line.budget for line in summary.budgets] == [40.0, 30.0]
    assert [line.attacked.first.value for line in summary.budgets] == [1.0, 0.75]


def test_tightness_is_radius_by_smallest_break_and_names_the_finder():
    summary = four(
        trial(4.0, query="a.jpg", **LOST),
        trial(2.5, query="a.jpg", attack="pgd-l2", medium="png", **LOST),
        trial(3.0, query="b.jpg", goal="verdict", attacked_verdict="not-a-copy"),
        trial(9.0, query="c.jpg"),
    )
    top1, verdict = summary.tightness
    assert (top1.promise, top1.queries, top1.finders) == ("top1", 3, {"pgd-l2": 1})
    assert top1.ratios is not None
    assert (top1.ratios.count, top1.ratios.p50) == (1, pytest.approx(0.8))
    assert verdict.ratios is not None
    assert (verdict.queries, verdict.ratios.p50) == (3, pytest.approx(0.5))


def test_tightness_tells_whom_the_pixel_box_may_have_held_back():
    own = {"radius_top1": 2 * PER_RMSE, "minimal": True, "attack": "fmn-l2"}
    names = ("a.jpg", "b.jpg", "c.jpg")
    rows = [clean(query=name, radius_top1=2 * PER_RMSE) for name in names]
    rows += [
        trial(2.5, query="a.jpg", at_edge=0.01, **own, **LOST),
        trial(4.0, query="b.jpg", at_edge=0.02, **own, **LOST),
    ]
    rows += [trial(8.0, query="b.jpg", at_edge=0.0, **own, **LOST), trial(9.0, query="c.jpg", at_edge=0.5, **own)]
    line = summarise(table(*rows)).tightness[0]
    assert line.ratios is not None
    assert line.free is not None
    assert line.boxed is not None
    assert (line.queries, line.ratios.count) == (3, 2)
    assert (line.free.count, line.free.p50) == (1, pytest.approx(0.8))
    assert (line.boxed.count, line.boxed.p50) == (1, pytest.approx(0.5))


def test_moving_a_wrong_first_item_breaks_its_certificate_too():
    wrong = {"clean_first": False, "attacked_first": False, "query": "a.jpg", "radius_top1": 2 * PER_RMSE}
    summary = summarise(table(clean(**wrong), trial(4.0, **{**LOST, **wrong})))
    assert summary.tightness[0].ratios is not None
    assert summary.tightness[0].ratios.p50 == pytest.approx(0.5)
    assert summary.budgets[0].clean.first.value == summary.budgets[0].attacked.first.value == 0.0


def test_strangers_have_a_verdict_and_no_recall():
    stranger = {
        "query": "s.jpg",
        "stranger": True,
        "clean_first": False,
        "clean_top10": False,
        "clean_verdict": "not-a-copy",
        "attacked_first": False,
        "attacked_top10": False,
    }
    taken = trial(1.0, **stranger, attacked_verdict="copy", goal="collision", success=True)
    summary = summarise(table(clean(), clean(**stranger), trial(1.0), taken))
    (line,) = summary.budgets
    assert (line.clean.first.count, line.clean.first.of) == (1, 1)
    assert line.clean.verdict is not None
    assert line.clean.verdict.value == 1.0
    assert line.attacked.verdict is not None
    assert line.attacked.verdict.value == 0.5
    assert line.attacked.first.value == 1.0
    assert summary.systems[0].strangers == 1


def test_systems_transfers_and_edits_are_kept_apart():
    other = {"system": "pdq", "system_kind": "hash"}
    summary = summarise(
        table(
            clean(edit="jpeg"),
            trial(1.0, edit="jpeg"),
            clean(edit="crop"),
            trial(1.0, edit="crop", **LOST),
            clean(edit="jpeg", **other),
            trial(1.0, edit="jpeg", **other),
            trial(1.0, edit="jpeg", source="index", **other, **LOST),
        )
    )
    assert [(line.name, line.queries) for line in summary.systems] == [("index", 2), ("pdq", 1)]
    assert [(line.system, line.attacked.first.value) for line in summary.budgets] == [("index", 0.5), ("pdq", 0.0)]
    assert [(line.edit, line.attacked.first.value) for line in summary.edit_budgets] == [
        ("jpeg", 1.0),
        ("crop", 0.0),
        ("jpeg", 0.0),
    ]
    found = {(line.system, line.source): line.success_float for line in summary.attacks}
    assert found == {("index", None): 0.5, ("pdq", None): 0.0, ("pdq", "index"): 1.0}
    assert (summary.queries, summary.files, summary.clean1) == (2, 1, 1.0)
    # A transfer costs nothing where it is only judged.
    assert [(line.images, line.gradients) for line in summary.systems] == [(2, 40), (2, 20)]


def test_multiples_of_the_radius():
    own = {"unit": "radius", "within_top1": True}
    summary = four(
        trial(1.0, query="a.jpg", budget=0.5, **own),
        trial(4.0, query="a.jpg", budget=2.0, **own | LOST | {"within_top1": False}),
        trial(3.0, query="b.jpg", budget=2.0, minimal=True, attack="ddn", **own | LOST | {"within_top1": False}),
    )
    assert summary.budgets == ()
    half, double = summary.multiples
    assert (half.multiple, half.queries, half.success_float, half.certificates) == (0.5, 1, 0.0, 1)
    assert (double.multiple, double.queries, double.success_float, double.certificates) == (2.0, 2, 1.0, 0)


def test_shifts_of_the_embedding():
    moved = {"goal": "embedding", "embedding_shift": 0.5, "embedding_limit": 2.0}
    (line,) = four(trial(1.0, **moved), trial(1.0, query="b.jpg", **moved | {"embedding_shift": 1.5})).shifts
    assert line.used is not None
    assert (line.shift.p50, line.used.p50, line.used.most) == (1.0, 0.5, 0.75)


def test_alarms_and_attacked_certificates_add_up():
    inside = {"within_top1": True, "query": "a.jpg"}
    summary = four(trial(1.0, **inside), trial(1.0, **inside, medium="png", **LOST, alarm=True, alarm_kind="top1"))
    assert (summary.certificates, summary.alarms) == (2, 1)
    assert (summary.budgets[0].certificates, summary.budgets[0].alarms) == (2, 1)
    assert (summary.attacks[0].certificates, summary.attacks[0].alarms) == (2, 1)


def signs(*trials):
    return {one.sign: (one.count, one.of) for one in four(*trials).warnings}


def test_flags_of_single_attacks_are_counted():
    both = trial(1.0, query="a.jpg", weak="zero-gradient+flat-loss")
    one = trial(1.0, query="b.jpg", weak="flat-loss")
    assert signs(both, one, trial(1.0, query="c.jpg")) == {"zero-gradient": (1, 3), "flat-loss": (2, 3)}


def test_a_win_at_a_smaller_budget_only_is_a_sign():
    won, lost = trial(1.0, query="a.jpg", **LOST), trial(3.0, query="a.jpg")
    assert signs(won, lost, trial(1.0, query="b.jpg")) == {"smaller-budget": (1, 2)}
    assert signs(trial(1.0, query="a.jpg"), trial(3.0, query="a.jpg", **LOST)) == {}
    assert signs(won, {**lost, "attack": "pgd-l2"}) == {}
    assert signs({**won, "minimal": True}, {**lost, "minimal": True}) == {}


def test_restarts_that_never_help_are_a_sign_once_there_are_enough():
    failed = [trial(1.0 + i, query="a.jpg", restarts=3) for i in range(10)]
    assert signs(*failed) == {"no-gain-from-restarts": (10, 10)}
    assert signs(*failed[1:]) == {}
    assert signs(*failed, trial(20.0, restarts=3, restart=2, **LOST)) == {}
    assert signs(*({**one, "restarts": 1} for one in failed)) == {}


def test_a_whole_audit_is_consistent_and_plain():
    records = table(*audit(files=6))
    summary = summarise(records)
    assert json.loads(json.dumps(summary.as_json(), allow_nan=False))["systems"][2]["name"] == "pdq"
    lines = {(line.system, line.budget): line for line in summary.budgets}
    for line in [*summary.budgets, *summary.edit_budgets]:
        assert certified_first(line) <= line.attacked.first.value <= line.clean.first.value <= line.clean.top10.value
        assert line.attacked.first.low <= line.attacked.first.value <= line.attacked.first.high
    for attack in summary.attacks:
        assert attack.attacked.first.value >= lines[attack.system, attack.budget].attacked.first.value
    for curve in curves(Columns.of(records), "rmse"):
        for budget in (0.5, 1.0, 2.0, 3.0):
            line = lines[curve.system, budget]
            wanted = line.attacked.first if curve.promise == "top1" else line.attacked.verdict
            proved = line.certified and (line.certified.first if curve.promise == "top1" else line.certified.verdict)
            assert wanted is not None
            assert curve.attacked(budget * (1 + 1e-12)) == pytest.approx(wanted.value)
            assert curve.certified(budget) == pytest.approx(proved.value if proved else 0.0)
    assert summary.tightness[0].ratios is not None
    assert summary.tightness[0].ratios.p50 == pytest.approx(0.9 / 1.01)


def test_groups_keep_the_order_of_first_appearance():
    columns = Columns.of(table(clean(query="b"), clean(query="a"), clean(query="b", edit="x"), clean(query="a")))
    assert [list(part["edit"]) for part in columns.groups("query")] == [["identity", "x"], ["identity", "identity"]]
    assert [part.first("query") for part in columns.groups("edit", "query")] == ["b", "a", "b"]
    assert len(np.unique(columns["case"])) == 3
    assert list(columns.where(columns["query"] == "none").groups("query")) == []


def test_the_companion_s_part_of_the_verdict_is_a_row_of_its_own_and_nothing_of_it_is_proved():
    own = {"clean_tier": "companion", "radius_top1": None, "radius_verdict": None}
    proved = {"clean_tier": "certified", "radius_top1": 2 * PER_RMSE, "radius_verdict": 2 * PER_RMSE}
    rows = [
        clean(query="a.jpg", **proved),
        *(clean(query=name, **own) for name in ("b.jpg", "c.jpg")),
        clean(query="d.jpg", clean_tier="none", clean_verdict="not-a-copy"),
    ]
    tricked = {"attacked_verdict": "not-a-copy", "attacked_tier": "none", "goal": "verdict"}
    trials = [trial(1.0, query="b.jpg", **own, **tricked), trial(1.0, query="c.jpg", **own, attacked_tier="companion")]
    summary = summarise(table(*rows, *trials))
    [line] = summary.budgets
    shares = [rates.companion for rates in (line.clean, line.attacked, line.certified) if rates is not None]
    assert [(share.count, share.of) for share in shares if share is not None] == [(2, 4), (1, 4), (0, 4)]
    assert line.certified is not None
    assert line.certified.verdict is not None
    assert line.certified.verdict.count == 1
    assert summary.as_json()["budgets"][0]["attacked"]["companion"]["count"] == 1
    [row] = [one for one in budget_table(summary).rows if isinstance(one, tuple) and "companion" in str(one[1])]
    assert row[4] is None
    without = four(trial(1.0)).budgets[0]
    assert without.clean.companion is without.attacked.companion is None
    assert "companion" not in str(budget_table(four(trial(1.0))).rows)
