"""docs/benchmarks/trunk_teacher.py: a file that ``--teacher torchscript:`` reads; it measures as ST-LPIPS does."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

import retr
from retr.embedding.registry import load_embedder
from retr.images.resize import resize_operator
from retr.metrics.registry import load_metric
from retr.metrics.st_lpips import weights_file

SCRIPTS = Path(retr.__file__).parent / "docs" / "benchmarks"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_squared_distances_follow_the_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if weights_file("alex") is None:
        pytest.skip("the extra st-lpips is not installed")
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr(sys, "argv", ["trunk_teacher.py", str(tmp_path / "teacher.pt")])
    importlib.import_module("trunk_teacher").main()
    teacher = load_embedder(f"torchscript:{tmp_path / 'teacher.pt'}@64x64")
    draw = torch.Generator().manual_seed(0)
    x = resize_operator((8, 8), (64, 64)).apply(torch.rand(24, 3, 8, 8, generator=draw))
    y = (x + torch.linspace(0.02, 0.4, 24)[:, None, None, None] * torch.randn(x.shape, generator=draw)).clamp(0, 1)
    with torch.no_grad():
        apart = (teacher.forward(x) - teacher.forward(y)).square().sum(1).float()
        expected = load_metric("st-lpips-alex").distance(x, y).float()
    # Averaged over four fields, in bfloat16: the same order, and much the same size.
    assert float(torch.corrcoef(torch.stack((apart, expected)))[0, 1]) > 0.9
    assert 0.2 < float(apart.sum() / expected.sum()) < 1.1
