"""Metrics written elsewhere: called as they are, and told apart from what they are not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from retr.core.errors import ModelError, UsageError
from retr.metrics.registry import load_metric

Pair = tuple[Tensor, Tensor]

FUNCTIONS = """
import numpy as np

def mean_square(ref, img):
    return ((ref - img) ** 2).mean((1, 2, 3))

def in_numpy(ref, img):
    return np.abs(ref.detach().numpy() - img.detach().numpy()).mean((1, 2, 3))

def one_number(ref, img):
    return 0.5

def words(ref, img):
    return "close"

def raises(ref, img):
    raise KeyError("weights")

constant = 3
"""

PROGRAM = """
import json, sys
import numpy as np
from PIL import Image

for pair in json.load(sys.stdin):
    ref, img = (np.asarray(Image.open(pair[key]), dtype=float) / 255 for key in ("ref", "img"))
    print(np.abs(ref - img).mean())
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module and a program of the user's, to work in."""
    (tmp_path / "metrics_of_mine.py").write_text(FUNCTIONS)
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "metrics_of_mine", raising=False)
    return tmp_path


def command(here: Path, script: str = "program.py") -> str:
    return f"command:'{sys.executable}' '{here / script}'"


class TestPython:
    def test_a_torch_function_can_be_differentiated(self, here: Path, pair: Pair) -> None:
        metric = load_metric("python:metrics_of_mine.mean_square")
        assert metric.facts.differentiable
        assert torch.allclose(metric.distance(*pair), load_metric("l2").distance(*pair) ** 2)
        assert load_metric(metric.spec).name == "python:metrics_of_mine.mean_square"

    def test_a_numpy_function_cannot_and_says_so(self, here: Path, pair: Pair) -> None:
        metric = load_metric("python:metrics_of_mine.in_numpy")
        assert not metric.facts.differentiable
        expected = (pair[0] - pair[1]).abs().mean((1, 2, 3))
        assert torch.allclose(metric.distance(*pair), expected)

    def test_the_working_folder_is_searched_and_left_off_the_path_again(self, here: Path) -> None:
        before = list(sys.path)
        load_metric("python:metrics_of_mine.mean_square")
        assert sys.path == before

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("metrics_of_mine.constant", "constant of metrics_of_mine is not callable"),
            ("metrics_of_mine.absent", "absent of metrics_of_mine is not there"),
            ("no_such_module_anywhere.f", "cannot import no_such_module_anywhere"),
            ("metrics_of_mine.words", "returned str, not numbers"),
            ("metrics_of_mine.raises", "failed on a pair of 64 px images: KeyError"),
        ],
    )
    def test_what_is_no_metric_is_refused(self, here: Path, name: str, message: str) -> None:
        with pytest.raises(ModelError, match=message):
            load_metric(f"python:{name}")

    def test_one_number_for_three_pairs_is_refused_on_use(self, here: Path, pair: Pair) -> None:
        metric = load_metric("python:metrics_of_mine.one_number")
        with pytest.raises(ModelError, match=r"shape \(\) for 3 pairs"):
            metric.distance(*pair)

    @pytest.mark.parametrize("spec", ["python:", "python:metrics", "python:metrics."])
    def test_a_name_without_a_dot_is_refused(self, spec: str) -> None:
        with pytest.raises(UsageError, match=r"python:MODULE\.ATTRIBUTE"):
            load_metric(spec)


class TestCommand:
    def test_a_program_answers_for_a_batch_on_8_bit_images(self, here: Path, pair: Pair) -> None:
        metric = load_metric(command(here))
        ref, img = ((x * 255).round() / 255 for x in pair)
        assert torch.allclose(metric.distance(*pair), (ref - img).abs().mean((1, 2, 3)), atol=1e-7)
        assert not metric.facts.differentiable
        assert metric.distance(pair[0], pair[0].clone()).tolist() == [0, 0, 0]

    def test_it_can_be_attacked_without_a_gradient_only(self, here: Path, pair: Pair) -> None:
        img = pair[1].clone().requires_grad_(True)
        assert not load_metric(command(here)).distance(pair[0], img).requires_grad

    @pytest.mark.parametrize(
        ("script", "message"),
        [
            ("import sys; sys.exit('no model here')", "ended with exit code 1: no model here"),
            ("print('far')", "something that is no number"),
            ("print(1.0)", "answered 1 lines for 3 pairs"),
            ("print('1\\n2\\nnan')", "answered 3 lines for 3 pairs; one finite number each"),
        ],
    )
    def test_a_wrong_answer_is_refused_with_what_it_was(
        self, here: Path, pair: Pair, script: str, message: str
    ) -> None:
        (here / "wrong.py").write_text(script)
        with pytest.raises(ModelError, match=message):
            load_metric(command(here, "wrong.py")).distance(*pair)

    def test_a_program_that_is_not_there_is_refused_at_once(self) -> None:
        with pytest.raises(ModelError, match="no program 'no-such-program-anywhere'"):
            load_metric("command:no-such-program-anywhere --fast")

    @pytest.mark.parametrize(("spec", "message"), [("command:", "needs a program"), ("command:'a", "split into words")])
    def test_words_that_are_no_command_are_refused(self, spec: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            load_metric(spec)
