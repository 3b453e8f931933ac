"""docs/benchmarks/shorten_model.py: fewer numbers an image, in a file that proves its bound; distances only shrink."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from small_two_afc import draw_photos

import retr
from retr.core.errors import UsageError
from retr.embedding.model_file import load_model
from retr.embedding.registry import load_embedder

SCRIPTS = Path(retr.__file__).parent / "docs" / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("shorten_model")


def test_a_shorter_retr_s(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    output = tmp_path / "short.safetensors"
    words = ["retr_s", str(draw_photos(tmp_path / "photos")), "--dim", "16", "-o", str(output)]
    monkeypatch.setattr(sys, "argv", ["shorten_model.py", *words])
    script.main()
    short, whole = load_model(output), load_embedder("retr_s")
    assert (short.name, short.dim) == ("short", 16)
    assert short.lipschitz
    assert short.lipschitz.value <= 1
    x = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    few, all_ = torch.pdist(short.forward(x)), torch.pdist(whole.forward(x))
    assert (few <= all_ * (1 + 1e-5)).all()
    assert few.min() > 0


def test_all_directions_change_no_distance_and_fewer_keep_the_longest(script: ModuleType) -> None:
    draw = torch.Generator().manual_seed(1)
    rows = torch.randn(50, 6, generator=draw) * torch.tensor([3.0, 2, 1, 0.1, 0.1, 0.1])
    basis, kept = script.directions(rows, 6)
    assert torch.allclose(basis @ basis.T, torch.eye(6, dtype=torch.float64), atol=1e-12)
    assert kept == pytest.approx(1)
    few, kept = script.directions(rows, 3)
    assert torch.equal(few, basis[:3])
    unit = torch.nn.functional.normalize(rows.double(), dim=1)
    assert kept == pytest.approx(float((unit @ few.T).square().sum() / len(rows)))
    assert kept > 0.98


@pytest.mark.parametrize("dim", [0, 7])
def test_a_dim_that_is_none_is_refused(script: ModuleType, dim: int) -> None:
    with pytest.raises(UsageError, match="1 to 6"):
        script.directions(torch.randn(9, 6), dim)


def test_what_has_no_head_is_refused(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dense layer"):
        script.shortened(load_embedder("block-means"), torch.eye(4), tmp_path / "m.safetensors")
