from pathlib import Path

import pytest

import retr
from retr.attacks.registry import ATTACKS
from retr.core.errors import UsageError
from retr.evaluation.robustness.plan import DEFAULT_ATTACKS, DEFAULT_BUDGETS, DEFAULT_SAMPLE, DEFAULT_SECONDS
from retr.evaluation.robustness.presets import PRESETS, choose_preset, plan_of
from retr.evaluation.systems.retrieval_losses import GOALS
from retr.images.edits import EDITS

NOTHING = {"queries": (), "edits": (), "attacks": (), "goals": (), "budgets": None, "sample": None, "seconds": None}


def test_a_plain_audit_is_what_it_was():
    plan = plan_of("usual", NOTHING, items=60)
    assert (plan.attacks, plan.goals, plan.budgets) == (DEFAULT_ATTACKS, ("evasion",), DEFAULT_BUDGETS)
    assert (plan.sample, plan.seconds, plan.steps, plan.restarts) == (DEFAULT_SAMPLE, DEFAULT_SECONDS, 20, 1)


@pytest.mark.parametrize("said", [{"sample": 5}, {"queries": ("q.png",)}, {"seconds": 0.0}])
def test_whoever_says_how_much_is_not_cut_short(said):
    assert plan_of("usual", {**NOTHING, **said}, items=60).seconds is None


def test_all_of_the_items_and_all_of_the_names():
    given = {**NOTHING, "sample": 0, "edits": ("all",), "attacks": ("all",), "goals": ("all",)}
    plan = plan_of("usual", given, items=60)
    assert plan.sample is None
    assert (plan.edits, plan.attacks, plan.goals) == (tuple(EDITS), tuple(ATTACKS), GOALS)
    assert "rank10" not in plan_of("usual", given, items=10).goals


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_presets_run_every_attack_and_yield_to_what_is_said(preset):
    plan = plan_of(preset, NOTHING, items=60)
    assert plan.attacks == tuple(ATTACKS)
    assert plan.sample == PRESETS[preset]["sample"]
    said = plan_of(preset, {**NOTHING, "attacks": ("pgd-l2",), "sample": 7, "steps": 3}, items=60)
    assert (said.attacks, said.sample, said.steps) == (("pgd-l2",), 7, 3)
    assert said.budgets == PRESETS[preset]["budgets"]


def test_given_queries_are_not_edited_by_a_preset():
    assert plan_of("quick", {**NOTHING, "queries": ("q.png",)}, items=60).chosen_edits == ("identity",)


def test_quick_has_a_limit_and_full_has_none():
    assert plan_of("quick", NOTHING, items=60).seconds == 240.0
    assert plan_of("full", NOTHING, items=60).seconds is None
    assert plan_of("quick", {**NOTHING, "seconds": 10.0}, items=60).seconds == 10.0


def test_flags_choose_one():
    assert [choose_preset(quick=q, full=f) for q, f in ((False, False), (True, False), (False, True))] == [
        "usual",
        "quick",
        "full",
    ]
    with pytest.raises(UsageError, match="exclude each other"):
        choose_preset(quick=True, full=True)


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match="apgd-l2"):
        plan_of("quick", {**NOTHING, "attacks": ("nope",)}, items=60)


def test_the_guide_names_every_attack_goal_and_edit():
    guide = (Path(retr.__file__).parent / "docs" / "guide.md").read_text()
    assert [name for name in (*ATTACKS, *GOALS, *EDITS) if f"`{name}`" not in guide] == []
