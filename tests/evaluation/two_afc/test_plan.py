"""Settings, presets and plans of the 2AFC benchmark, the losses that its attacks raise, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from small_two_afc import SHORT, SIDE, small_run

from retr.core.errors import ModelError, UsageError
from retr.datasets.triplets import Triplet
from retr.evaluation.shared.provenance import Provenance
from retr.evaluation.two_afc.data import Choice
from retr.evaluation.two_afc.metric import load_system
from retr.evaluation.two_afc.plan import parse_radii, plan_of
from retr.evaluation.two_afc.run import view_of
from retr.evaluation.two_afc.settings import FAMILIES, Levels, settings_of
from retr.evaluation.two_afc.targets import Attacked, target_of
from retr.reports.two_afc_table import left_out as lines_left_out

BLOCKS = "retr:block-means:16"


def not_a_number(ref: torch.Tensor, img: torch.Tensor) -> torch.Tensor:
    del img
    return torch.full((len(ref),), torch.nan)


def test_a_metric_that_gives_no_number_is_named_and_leaves_no_folder(drawn: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, __name__, SimpleNamespace(not_a_number=not_a_number))
        with pytest.raises(ModelError, match=r"not_a_number gives triplet .* a distance that is no number"):
            small_run(drawn, lambda _: tmp_path, metrics=(f"python:{__name__}.not_a_number",))
    assert not (tmp_path / "out").exists()


def test_a_source_that_cannot_be_loaded_says_what_else_there_is(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="another metric, such as st-lpips-alex"):
        small_run(drawn, lambda _: tmp_path, attacks=("transfer-stadv",), transfer_from="python:no_module.there")


def test_a_metric_that_cannot_be_loaded_costs_itself_and_not_the_run(drawn: Path, tmp_path: Path) -> None:
    absent = "python:no_module.there"
    result = small_run(
        drawn, lambda _: tmp_path, metrics=(absent, "l2"), attacks=("fgsm", "transfer-stadv"), transfer_from=absent
    )
    assert {row["system"] for row in result.records.table.to_pylist()} == {"l2"}
    assert {row["attack"] for row in result.records.table.to_pylist()} == {"clean", "fgsm"}
    left_out = result.records.facts["left_out"]
    assert [one["metric"] for one in left_out] == [absent, absent]
    assert left_out[0]["setting"] == ""
    assert left_out[1]["setting"].startswith("stAdv")
    assert all("cannot import no_module" in one["why"] for one in left_out)
    assert [metric for metric, _ in result.absent] == [absent, absent]
    assert [line.split(" (")[0] for line in lines_left_out(result.records.facts)] == [
        f"left out: {absent}",
        f"left out on {absent}",
    ]


def test_a_benchmark_of_no_metric_is_none(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot import"):
        small_run(drawn, lambda _: tmp_path, metrics=("python:no_module.there", "python:nor.this"))
    with pytest.raises(UsageError, match="unknown metric"):
        small_run(drawn, lambda _: tmp_path, metrics=("l2", "no-such-metric"))


@pytest.mark.parametrize("metric", [BLOCKS, "ssim"])
@pytest.mark.parametrize("form", ["pgd", "stadv-50", "apgd-l2"])
def test_a_target_is_won_exactly_where_the_metric_turns(
    metric: str, form: str, triplets: tuple[Triplet[Any], ...]
) -> None:
    """Between the clean reference and the farther candidate every loss changes its sign where the distances cross."""
    system = load_system(metric, device="cpu")
    told = Provenance("r", "retr", "{}", 0, system.spec, "", "", "p")
    view = view_of(system, "made", triplets, 0, told)
    attacked = Attacked(view.triplets, view.order > 0)
    target = target_of(system, settings_of((form,), SHORT)[0], "reference", attacked)
    near, far = attacked.part(1), attacked.part(2)
    signs = set()
    for share in np.linspace(0.0, 1.0, 9):
        x = (1 - share) * near + share * far
        loss = target.loss(x.float(), torch.arange(len(x)))
        gap = system.distances(x, near) - system.distances(x, far)
        clear = np.abs(gap) > 1e-4 * (system.distances(x, near) + system.distances(x, far))
        assert ((loss.numpy() > 0) == (gap > 0))[clear].all()
        signs |= set((gap > 0)[clear].tolist())
    assert signs == {True, False}


def test_settings_have_labels_of_their_own() -> None:
    every = settings_of(("all",), Levels())
    assert len({one.label for one in every}) == len(every)
    assert {one.key for one in every} == set(FAMILIES)
    assert all(one.eps > 0 or one.attack.norm == "none" or one.at_radius for one in every)


def test_the_released_reverse_attack_goes_farther() -> None:
    ours, theirs = settings_of(("reverse-pgd", "reverse-pgd-released"), Levels())
    assert (ours.eps, ours.effort.steps) == (0.015, 30)
    assert (theirs.eps, theirs.effort.steps) == (0.05, 50)  # 0.1 on the scale from -1 to 1
    assert (
        (ours.form, ours.goal, ours.moves)
        == (theirs.form, theirs.goal, theirs.moves)
        == ("reverse", "reverse", "other")
    )


def test_presets_say_what_is_not_said() -> None:
    said = {"data": ("synthetic:x",), "metrics": ("l2",)}
    assert plan_of("clean", said, {}).settings == ()
    paper = plan_of("paper", said, {})
    assert paper.transfer_from == "lpips-alex"
    assert len(paper.transfers) == 7
    assert plan_of("paper", {**said, "transfer_from": "none"}, {}).transfers == ()
    quick = plan_of("quick", {**said, "transfer_from": "ssim"}, {"steps": 7, "l2": (0.25,)})
    assert quick.levels.steps == 7
    assert quick.levels.l2 == (0.25,)
    assert quick.transfers
    only = plan_of("quick", {**said, "attacks": ("pgd", "transfer-stadv"), "transfer_from": "ssim"}, {})
    assert [one.key for one in only.settings] == ["pgd"]
    assert [one.key for one in only.transfers] == ["transfer-stadv"]
    with pytest.raises(UsageError, match="nothing is transferred"):
        plan_of("quick", {**said, "attacks": ("pgd",), "transfer_from": "ssim"}, {})
    assert {one.attack.norm for one in plan_of("lipsim", said, {}).settings} == {"l2", "linf"}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"data": ()}, "data needs one name or more"),
        ({"metrics": ("l2", "l2")}, "name l2 twice"),
        ({"attacks": ("pdg",)}, "no attack setting is called pdg"),
        ({"attacks": ("transfer-stadv",)}, "transfer_from"),
        ({"moves": ("left",)}, "moves takes reference"),
        ({"medium": "jpeg"}, "medium takes float, png"),
        ({"keep": "some"}, "keep takes"),
        ({"levels": Levels(l2=(0.0,))}, "l2 takes"),
        ({"certified": (float("nan"),)}, "certified takes"),
        ({"levels": Levels(steps=0)}, "at least 1"),
        ({"choice": Choice(seed=-1)}, "seed"),
        ({"data": ("nowhere:x",)}, "neither a folder nor LAYOUT:FOLDER"),
        ({"data": ("synthetic:/nowhere",)}, "not a folder"),
        ({"choice": Choice(limit=0)}, "limit must"),
        ({"choice": Choice(split="test", side=SIDE)}, "no split"),
        ({"metrics": ("fsimx",)}, "unknown metric"),
        ({"metrics": ("fsimc",), "choice": Choice(side=8)}, "8"),
        ({"device": "tpu"}, "unknown device"),
        ({"metrics": ("retr:block-means", BLOCKS)}, "the same one"),
    ],
)
def test_what_cannot_be_is_refused_in_words(drawn: Path, tmp_path: Path, told: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        small_run(drawn, lambda _: tmp_path, **told)
    assert not (tmp_path / "out").exists()


def test_radii_are_numbers_or_fractions() -> None:
    assert parse_radii("--l2", "36/255, 0.5") == (36 / 255, 0.5)
    assert parse_radii("--l2", None) == ()
    for text in ("half", "1/0", "1/2/3"):
        with pytest.raises(UsageError, match="--l2 takes"):
            parse_radii("--l2", text)
