"""docs/benchmarks/unfold_network.py: the weights of a model file train on, also in a deeper network."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import retr
from retr.core.errors import ModelError
from retr.embedding.layers.orthogonal_conv import OrthogonalConv
from retr.embedding.model_file import load_model, save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.retr_network import RetrArchitecture, RetrNetwork, retr_blueprint
from retr.training.starts import averaged_weights, load_shallower

SCRIPTS = Path(retr.__file__).parent / "docs" / "benchmarks"
SMALL = RetrArchitecture(image=16, patch=2, widths=(12, 16), depths=(1, 2), dim=8)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("unfold_network")


def model_file(folder: Path, architecture: RetrArchitecture) -> Path:
    network = RetrNetwork(architecture, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(4))
    path = folder / "model.safetensors"
    blueprint = retr_blueprint(architecture, "cosine")
    save_model(NetworkEmbedder(network.fold(), blueprint, name="small", spec=str(path)), path, {})
    return path


def test_a_deeper_network_begins_with_the_weights_of_a_model_file(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = model_file(tmp_path, SMALL)
    monkeypatch.setattr(sys, "argv", ["unfold_network.py", str(path), str(tmp_path / "run")])
    script.main()
    assert "off by" in capsys.readouterr().out
    deeper = RetrNetwork(replace(SMALL, depths=(1, 4))).eval()
    load_shallower(deeper, averaged_weights(tmp_path / "run")[1], tmp_path / "run")
    x = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(deeper(x), load_model(path).forward(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("changed", [{"layer": "mix"}, {"centring": "none"}, {"head": "aol"}])
def test_other_networks_are_refused(script: ModuleType, tmp_path: Path, changed: dict[str, str]) -> None:
    path = model_file(tmp_path, replace(SMALL, **changed))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="only orthogonal layers"):
        script.write_run(path, tmp_path / "run")


def test_a_kernel_that_is_no_product_is_refused(script: ModuleType) -> None:
    folded = nn.Module()
    folded.register_buffer("kernel", torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(0)) / 9)
    folded.register_buffer("bias", torch.zeros(4))
    with pytest.raises(ModelError, match="no product of orthogonal taps"):
        script.unfold_conv(folded, OrthogonalConv(4, 4))


def test_a_file_that_is_not_there_is_told_in_a_line(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["unfold_network.py", str(tmp_path / "none.safetensors"), str(tmp_path / "run")])
    with pytest.raises(SystemExit):
        script.main()
    assert "is not there" in capsys.readouterr().err
