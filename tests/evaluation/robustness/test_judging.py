from dataclasses import replace

from retr.core.units import Radius
from retr.evaluation.robustness.judging import alarms, found, reached
from retr.evaluation.systems.retrieval_target import Aim
from retr.retrieval.answer import Answer, Companion, Match, VerdictName

N = 300


def answer(groups, *, top1=None, topk=None, copy=None, nothing=None, verdict: VerdictName = "copy"):
    def radius(value):
        return None if value is None else Radius(value, N)

    matches = tuple(
        Match(
            i + 1, group, f"id{group}", "p", "original", 1.0, 0.0, "c", radius(top1 if i == 0 else None), radius(topk)
        )
        for i, group in enumerate(groups)
    )
    return Answer(
        10, 10, "m", "s", verdict, verdict, len(groups), matches, copy=radius(copy), not_a_copy=radius(nothing)
    )  # fmt: skip


def test_a_changed_first_place_is_an_alarm_inside_the_radius_alone():
    clean = answer([1, 2], top1=1.0)
    assert alarms(clean, answer([2, 1]), 0.999) == ("top1",)
    assert alarms(clean, answer([2, 1]), 1.0) == ()
    assert alarms(clean, answer([1, 3]), 0.5) == ()
    assert alarms(clean, answer([]), 0.5) == ("top1",)
    assert alarms(answer([1, 2]), answer([2, 1]), 0.0) == ()


def test_an_item_that_leaves_the_first_k_is_an_alarm():
    clean = answer([1, 2], topk=0.5)
    assert alarms(clean, answer([2, 1]), 0.4) == ()
    assert alarms(clean, answer([1, 3]), 0.4) == ("topk",)
    assert alarms(clean, answer([1, 3]), 0.5) == ()


def test_a_flipped_verdict_is_an_alarm_for_both_verdicts():
    copy, nothing = answer([1], copy=2.0), answer([1], nothing=2.0, verdict="not-a-copy")
    assert alarms(copy, answer([1], verdict="not-a-copy"), 1.0) == ("verdict",)
    assert alarms(nothing, answer([1], verdict="copy"), 1.0) == ("verdict",)
    assert alarms(nothing, answer([1], verdict="copy"), 2.5) == ()


def test_a_proved_copy_that_only_a_companion_still_names_is_an_alarm():
    named = replace(answer([1]), companion=Companion(("c",), True, None, True, 1))
    assert alarms(answer([1], copy=2.0), named, 1.0) == ("verdict",)
    assert alarms(answer([1], copy=2.0), named, 2.5) == ()
    assert alarms(answer([1], nothing=2.0, verdict="not-a-copy"), named, 1.0) == ("verdict",)
    kept = replace(named, companion=Companion(("c",), True, None, False, 0))
    assert alarms(answer([1], copy=2.0), kept, 1.0) == ()


def test_goals():
    clean, other = answer([1, 2, 3]), answer([3, 1, 2], verdict="not-a-copy")
    assert reached("evasion", Aim(1), clean, other)
    assert not reached("evasion", Aim(1), clean, answer([1, 3]))
    assert reached("collision", Aim(1, chosen=3), clean, other)
    assert not reached("collision", Aim(1, chosen=2), clean, other)
    assert reached("verdict", Aim(1, copy=True), clean, other)
    assert found(clean, frozenset([3, 9]), 3)
    assert not found(clean, frozenset([3, 9]), 2)
