"""Metrics of other frameworks by their names, and the documentation's program for PIM, run as it is printed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import retr
from retr.core.errors import ModelError, UsageError
from retr.metrics import programs
from retr.metrics.registry import METRICS, list_metrics, load_metric

Pair = tuple[Tensor, Tensor]
DOCUMENT = Path(retr.__file__).parent / "docs" / "metrics.md"

AUTHORS_PACKAGE = """
import numpy as np

def load_trained(name):
    seeds = __import__("tensorflow").random.seeds
    def model(x, y):
        assert x.dtype == y.dtype == np.float32 and x.shape[::3] == (1, 3), (x.dtype, x.shape)
        assert len(seeds) > 0 and set(seeds) == {0}
        return {"pim-1": 1.0, "pim-5": 5.0}[name] * ((x - y) ** 2).mean((1, 2, 3))
    return model
"""

TENSORFLOW = """
class random:
    seeds = []
    set_seed = seeds.append
"""


@pytest.fixture
def pim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The documented program beside stand-ins for the packages that it imports."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    (program,) = [block for block in blocks if "load_trained" in block]
    (tmp_path / "pim.py").write_text(program)
    (tmp_path / "tensorflow.py").write_text(TENSORFLOW)
    (tmp_path / "perceptual_quality").mkdir()
    (tmp_path / "perceptual_quality" / "pim.py").write_text(AUTHORS_PACKAGE)
    return f"'{sys.executable}' '{tmp_path / 'pim.py'}'"


@pytest.mark.parametrize(("name", "factor"), [("pim-1", 1.0), ("pim-5", 5.0)])
def test_the_documented_program_runs_pim(pim: str, pair: Pair, name: str, factor: float) -> None:
    metric = load_metric(f"{name}:{pim} {name}")
    ref, img = ((x * 255).round() / 255 for x in pair)
    assert torch.allclose(metric.distance(*pair), factor * ((ref - img) ** 2).mean((1, 2, 3)), atol=1e-6)
    assert (metric.name, metric.spec) == (name, f"{name}:{pim} {name}")
    assert load_metric(metric.spec).facts == metric.facts


def test_a_failing_program_is_named_by_the_metric(tmp_path: Path, pair: Pair) -> None:
    (tmp_path / "gti.py").write_text("import sys; sys.exit('no licence for MATLAB')")
    metric = load_metric(f"gti-cnn:'{sys.executable}' '{tmp_path / 'gti.py'}'")
    with pytest.raises(ModelError, match=r"^gti-cnn: .* ended with exit code 1: no licence for MATLAB"):
        metric.distance(*pair)


@pytest.mark.parametrize("name", sorted(programs.FACTS))
class TestEach:
    def test_is_listed_with_what_it_needs(self, name: str) -> None:
        (row,) = [row for row in list_metrics() if row["name"] == name]
        assert (row["runs"], row["differentiable"], row["form"]) == (False, False, f"{name}:PROGRAM ARGS…")
        assert str(row["needs"]).startswith("a program that runs it, named after the colon")
        assert METRICS[name].facts.title == name.upper()

    def test_alone_says_what_is_missing(self, name: str) -> None:
        with pytest.raises(UsageError, match=rf"^{name} does not run in torch; it needs a program"):
            load_metric(name)
        with pytest.raises(ModelError, match=rf"^{name}: there is no program 'no-such-program-anywhere'"):
            load_metric(f"{name}:no-such-program-anywhere")
        with pytest.raises(UsageError, match=rf"^{name}:'a cannot be split"):
            load_metric(f"{name}:'a")
