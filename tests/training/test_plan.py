"""Plans and options refuse what cannot be; the schedule and the average follow their formulas."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import nn

from retr.core.errors import UsageError
from retr.training.options import parse_settings, read_options
from retr.training.plan import TrainPlan
from retr.training.schedule import AveragedNetwork, ema_decay, learning_rate
from retr.training.step import adamw, step_seed

PLAN = TrainPlan(steps=100, batch=4)


class TestPlan:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("steps", 0),
            ("batch", 1.5),
            ("lr", 0.0),
            ("lr", math.nan),
            ("warmup", -1),
            ("weight_decay", -0.1),
            ("clip", math.inf),
            ("ema", 1.0),
            ("precision", "16"),
            ("accelerator", "tpu"),
            ("minutes", -1.0),
            ("devices", 0),
            ("seed", True),
        ],
    )
    def test_impossible_numbers_are_named(self, name: str, value: Any) -> None:
        with pytest.raises(UsageError, match=name):
            replace(PLAN, **{name: value})

    def test_a_resumed_run_may_change_how_often_but_not_what(self) -> None:
        replace(PLAN, minutes=1.0, log_every=1, evaluate_every=7).require_same(PLAN.as_json())
        with pytest.raises(UsageError, match=r"lr 0\.002 → 0\.1"):
            replace(PLAN, lr=0.1).require_same(PLAN.as_json())


class TestSchedule:
    @pytest.mark.parametrize(
        ("step", "rate"), [(0, 0.02), (49, 1.0), (50, 1.0), (100, 0.75), (125, 0.5), (150, 0.25), (199, 0.00010966)]
    )
    def test_values(self, step: int, rate: float) -> None:
        assert learning_rate(step, peak=1.0, warmup=50, steps=200) == pytest.approx(rate, rel=1e-4)

    def test_a_run_of_warm_up_only(self) -> None:
        assert [learning_rate(s, peak=1.0, warmup=2, steps=2) for s in (0, 1)] == [0.5, 1.0]

    def test_the_average_is_the_formula(self) -> None:
        network = nn.Linear(1, 1, bias=False)
        average, expected = AveragedNetwork(network, 0.9), float(network.weight.detach())
        for step in range(200):
            with torch.no_grad():
                network.weight.fill_(math.sin(step))
            average.update(network, step)
            share = min(0.9, (1 + step) / (10 + step))
            expected = share * expected + (1 - share) * math.sin(step)
        mean = next(average.network.parameters())
        assert float(mean) == pytest.approx(expected, abs=1e-6)
        assert not mean.requires_grad
        assert ema_decay(0, decay=0.9) == 0.1
        assert ema_decay(10**6, decay=0.9) == 0.9

    def test_buffers_are_copied(self) -> None:
        network = nn.BatchNorm1d(2)
        average = AveragedNetwork(network, 0.9)
        network(torch.randn(8, 2))
        average.update(network, 0)
        assert torch.equal(dict(average.network.named_buffers())["running_mean"], network.get_buffer("running_mean"))

    def test_vectors_do_not_decay(self) -> None:
        network = nn.Linear(3, 2)
        decays = {p.ndim: g["weight_decay"] for g in adamw(network, PLAN).param_groups for p in g["params"]}
        assert decays == {2: PLAN.weight_decay, 1: 0.0}

    def test_seeds_differ_by_seed_step_and_process(self) -> None:
        seeds = {step_seed(a, b, c) for a in range(5) for b in range(50) for c in range(3)}
        assert len(seeds) == 750
        assert all(0 <= seed < 2**63 for seed in seeds)


@dataclass(frozen=True)
class Options:
    epsilon: float = 2.0
    queue: int = 0
    loss: Literal["rmse", "relative"] = "rmse"
    published: bool = False
    widths: tuple[int, ...] = (1,)
    weights: Path | None = None


class TestOptions:
    def test_text_is_read_by_the_type_of_the_field(self) -> None:
        words = ["epsilon=3", "queue=7", "loss=relative", "published=yes", "widths=8,16", "weights=a/b"]
        read = read_options(Options, parse_settings(words))
        assert read == Options(3.0, 7, "relative", True, (8, 16), Path("a/b"))
        assert isinstance(read.epsilon, float)
        assert read_options(Options, {"weights": "none", "queue": 3}) == Options(queue=3)

    @pytest.mark.parametrize("word", ["queue=1.5", "loss=cosine", "published=perhaps", "widths=a", "epsilon="])
    def test_text_of_another_type_is_refused(self, word: str) -> None:
        with pytest.raises(UsageError, match=word.partition("=")[0]):
            read_options(Options, parse_settings([word]))

    @pytest.mark.parametrize("words", [["queue"], ["=1"], ["queue=1", "queue=2"]])
    def test_words_of_another_form_are_refused(self, words: list[str]) -> None:
        with pytest.raises(UsageError, match="setting"):
            parse_settings(words)

    def test_an_unknown_name_lists_those_there_are(self) -> None:
        with pytest.raises(UsageError, match=r"epsilom; there are: epsilon, queue"):
            read_options(Options, {"epsilom": "1"})
