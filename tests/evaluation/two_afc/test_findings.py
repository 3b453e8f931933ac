"""Each finding of the papers: held where the records show it, denied where they show the contrary, else left open."""

from __future__ import annotations

from typing import Any

import pytest
from made_triplets import benchmark, clean, records, trial

from retr.evaluation.two_afc import findings as two_afc_findings
from retr.evaluation.two_afc.findings import findings, learned
from retr.evaluation.two_afc.summary import summarise_triplets

MANY, FEW = 40, 4
LEARNED, HAND = "lpips-alex", "ssim"


def found(rows):
    return {one.name: one for one in findings(summarise_triplets(records(*rows)))}


def sample(metric, number, *, wins=False, right=True, **columns):
    """A triplet that the metric has right or wrong, and an attack on it that wins or not."""
    own = {"system": metric, "title": metric, "query": f"{number}", "preference": 0.0 if right else 1.0}
    own |= {name: columns.pop(name) for name in ("certified", "radius_sound") if name in columns}
    return [clean(**own), trial(3.0 if wins else 1.5, 2.0, **own, **columns)]


def group(metric, share, count=MANY, **columns):
    """So many samples, a share of which an attack flips."""
    return [row for number in range(count) for row in sample(metric, number, wins=number < share * count, **columns)]


def agreeing(metric, share, count=MANY):
    return [row for number in range(count) for row in sample(metric, number, right=number < share * count)]


@pytest.mark.parametrize(
    ("metric", "kind"),
    [
        ("l2", False),
        ("ms-ssim", False),
        ("retr:block-means", False),
        ("retr:retr_s", True),
        ("st-lpips-vgg", True),
        ("python:mine.distance", None),
        ("command:pim", None),
    ],
)
def test_which_metrics_are_learned(metric, kind):
    assert learned(metric) is kind


@pytest.mark.parametrize(
    ("shares", "count", "verdict"),
    [
        ((0.9, 0.6), MANY, "holds"),
        ((0.6, 0.9), MANY, "does not hold"),
        ((0.7, 0.65), MANY, "not enough data"),
        ((1.0, 0.5), FEW, "not enough data"),
    ],
)
def test_who_agrees_more(shares, count, verdict):
    one = found([*agreeing(LEARNED, shares[0], count), *agreeing(HAND, shares[1], count)])["agree"]
    assert one.verdict == verdict
    assert f"{100 * shares[0]:.1f} %" in one.numbers


@pytest.mark.parametrize(
    ("shares", "verdict"), [((0.9, 0.3), "holds"), ((0.3, 0.9), "does not hold"), ((0.5, 0.5), "not enough data")]
)
def test_who_is_flipped_more(shares, verdict):
    assert found([*group(LEARNED, shares[0]), *group(HAND, shares[1])])["flip"].verdict == verdict


def test_one_kind_of_metric_alone_shows_no_difference():
    answers = found(group(LEARNED, 0.9))
    assert answers["agree"].verdict == answers["flip"].verdict == "not enough data"


def test_only_settings_that_all_were_given_are_compared():
    """A stronger setting that only one group was given must not decide."""
    rows = [*group(LEARNED, 0.5), *group(HAND, 0.5), *group(LEARNED, 1.0, setting="PGD ε 1")]
    assert found(rows)["flip"].verdict == "not enough data"


@pytest.mark.parametrize(
    ("pixel", "count", "verdict"),
    [(0.1, MANY, "holds"), (0.0, MANY, "does not hold"), (0.0, FEW, "not enough data")],
)
def test_whether_every_attack_flips_every_metric(pixel, count, verdict):
    rows = [*group(HAND, 0.5, count), *group(HAND, 0.5, count, attack="fgsm", setting="FGSM")]
    one = found([*rows, *group(HAND, pixel, count, attack="one-pixel", setting="one pixel")])["all-fall"]
    assert one.verdict == verdict
    assert ("(not ssim)" in one.numbers) == (pixel == 0.0)


def test_an_attack_that_was_not_run_leaves_it_open():
    assert found(group(HAND, 0.5))["all-fall"].verdict == "not enough data"


@pytest.mark.parametrize(("pgd", "verdict"), [(0.9, "holds"), (0.1, "does not hold"), (0.5, "not enough data")])
def test_pgd_beside_fgsm(pgd, verdict):
    rows = group(HAND, pgd)
    steps = group(HAND, 0.5, attack="fgsm", setting="FGSM", eps=0.025)
    rows += [row | {"smallest_eps": 0.01 if row["flipped"] else None} for row in steps if row["attack"] == "fgsm"]
    assert found(rows)["pgd-fgsm"].verdict == verdict


@pytest.mark.parametrize(("both", "verdict"), [(0.9, "holds"), (0.3, "does not hold"), (0.62, "not enough data")])
def test_transfers_of_both_beside_each(both, verdict):
    made: dict[str, Any] = {"source": LEARNED}
    rows = [*group(HAND, 0.5, **made, steps=20), *group(HAND, 0.55, **made, attack="stadv", setting="stAdv")]
    rows += group(HAND, both, **made, attack="stadv-pgd", setting="stAdv+PGD(20)", steps=220)
    # A shorter run of PGD must not stand for it.
    rows += group(HAND, 0.0, **made, steps=10, setting="PGD(10)")
    assert found(rows)["transfer"].verdict == verdict


@pytest.mark.parametrize(("proved", "verdict"), [(0.2, "holds"), (1.0, "does not hold")])
def test_metrics_with_a_proof_beside_those_without(proved, verdict):
    l2 = {"attack": "apgd-l2", "setting": "APGD ε 1", "norm": "l2", "eps": 1.0, "moves": "reference"}
    rows = [*group("retr:lipsim", proved, **l2, certified=True, radius_sound=0.5), *group(LEARNED, 0.6, **l2)]
    assert found(rows)["certified-holds"].verdict == verdict


def test_an_attack_without_a_gradient_does_not_speak_for_one_with():
    blind = {"attack": "square-l2", "setting": "Square", "norm": "l2", "eps": 1.0, "steps": 200, "gradients": 0}
    steep = {"attack": "apgd-l2", "setting": "APGD", "norm": "l2", "eps": 0.5, "steps": 20}
    rows = [*group("retr:lipsim", 0.1, certified=True, **blind), *group(LEARNED, 0.1, **blind)]
    rows += [row for row in group("retr:lipsim", 0.1, certified=True, **steep) if row["attack"] != "clean"]
    rows += [row for row in group(LEARNED, 0.9, **steep) if row["attack"] != "clean"]
    answer = found(rows)["certified-holds"]
    assert answer.verdict == "holds"
    assert answer.numbers.startswith("APGD")


def test_a_broken_certificate_is_found():
    l2 = {"moves": "reference", "l2": 0.1, "certified": True, "radius_sound": 0.5}
    assert found(group("retr:lipsim", 0.0, **l2))["sound"].verdict == "holds"
    one = found(group("retr:lipsim", 0.5, **l2))["sound"]
    assert one.verdict == "does not hold"
    assert f"{MANY // 2} alarms" in one.numbers


def test_a_made_up_run_shows_what_the_papers_found():
    verdicts = {one.name: one.verdict for one in findings(summarise_triplets(benchmark()))}
    for name in ("flip", "pgd-fgsm", "certified-holds", "sound"):
        assert verdicts[name] == "holds", name


def test_every_finding_is_listed():
    table = two_afc_findings.__doc__ or ""
    assert all(f"| {name} |" in table for name in found(group(HAND, 0.5)))
