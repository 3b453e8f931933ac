"""Networks with files of weights: Watson-DFT, WaDIQaM-FR, PieAPP, each against its formulas written out again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from retr.core.errors import ModelError, UsageError, WeightsUnavailable
from retr.metrics.contract import Metric
from retr.metrics.registry import load_metric
from retr.metrics.wadiqam import WaDIQaM
from retr.metrics.watson import WatsonDFT

Pair = tuple[Tensor, Tensor]
RandomState = Callable[..., dict[str, Tensor]]
Array = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def watson_file(tmp_path_factory: pytest.TempPathFactory, random_state: RandomState) -> Path:
    """As the authors save it: tensors of the blocks' size and of the colour transform beside the learned ones."""
    tensors = random_state(WatsonDFT(), seed=0, scale=0.3)
    for channel in ("ly", "lcb", "lcr"):
        tensors |= {f"{channel}.alpha": torch.tensor(0.2), f"{channel}.beta": torch.tensor(1.3)}
        tensors[f"{channel}.blocksize"] = torch.tensor(8)
    tensors["to_YCbCr.transform"] = torch.eye(3)
    path = tmp_path_factory.mktemp("watson") / "rgb_watson_fft_trial0.pth"
    torch.save(tensors, path)
    return path


@pytest.fixture(scope="module")
def wadiqam_file(tmp_path_factory: pytest.TempPathFactory, random_state: RandomState) -> Path:
    path = tmp_path_factory.mktemp("wadiqam") / "WaDIQaM-FR-KADID-10K"
    torch.save(random_state(WaDIQaM(), seed=0), path)
    return path


class TestWatsonDFT:
    def test_equals_its_formula_block_by_block(self, watson_file: Path, pair: Pair) -> None:
        values = {k: v.double().numpy() for k, v in torch.load(watson_file, weights_only=True).items()}
        metric = load_metric(f"watson-dft:{watson_file}")
        expected = [
            _watson(a, b, values)
            for a, b in zip(*(x.double().numpy().transpose(0, 2, 3, 1) for x in pair), strict=True)
        ]
        assert np.allclose(metric.distance(*pair).numpy(), expected, rtol=1e-6)

    def test_a_rim_that_fills_no_block_is_repeated(self, watson_file: Path, pair: Pair) -> None:
        metric = load_metric(f"watson-dft:{watson_file}")
        ref, img = (x[:, :, :60, :64] for x in pair)
        filled = [torch.cat((x, x[:, :, -1:].expand(-1, -1, 4, -1)), dim=2) for x in (ref, img)]
        assert torch.equal(metric.distance(ref, img), metric.distance(filled[0], filled[1]))

    def test_a_file_without_a_channel_is_refused(self, watson_file: Path, tmp_path: Path) -> None:
        tensors = torch.load(watson_file, weights_only=True)
        del tensors["lcr.t_tild"]
        torch.save(tensors, tmp_path / "half.pth")
        with pytest.raises(ModelError, match=r"half.pth lacks lcr.t_tild in the shape"):
            load_metric(f"watson-dft:{tmp_path / 'half.pth'}")
        with pytest.raises(UsageError, match="watson-dft:FILE"):
            load_metric("watson-dft")


class TestWaDIQaM:
    def test_equals_its_formula_patch_by_patch(self, wadiqam_file: Path, pair: Pair) -> None:
        tensors = torch.load(wadiqam_file, weights_only=True)
        metric = load_metric(f"wadiqam-fr:{wadiqam_file}")
        expected = torch.stack([_wadiqam(a, b, tensors) for a, b in zip(*pair, strict=True)])
        assert torch.allclose(metric.distance(*pair), -expected, rtol=1e-4, atol=1e-6)

    def test_a_network_that_predicts_errors_is_not_negated(self, wadiqam_file: Path, pair: Pair) -> None:
        quality = load_metric(f"wadiqam-fr:{wadiqam_file}")
        error = load_metric(f"wadiqam-fr:{wadiqam_file}#error")
        assert torch.equal(error.distance(*pair), -quality.distance(*pair))
        assert load_metric(error.spec).spec == error.spec

    def test_a_rest_that_fills_no_patch_is_left_out(self, wadiqam_file: Path, pair: Pair) -> None:
        metric = load_metric(f"wadiqam-fr:{wadiqam_file}")
        ref, img = pair
        cut = metric.distance(ref[:, :, :63, :63], img[:, :, :63, :63])
        assert torch.allclose(cut, metric.distance(ref[:, :, :32, :32], img[:, :, :32, :32]), atol=1e-6)

    def test_another_network_is_refused(self, watson_file: Path) -> None:
        with pytest.raises(ModelError, match=r"lacks conv1.weight, conv1.bias, conv2.weight and 25 more"):
            load_metric(f"wadiqam-fr:{watson_file}")


@pytest.fixture(scope="module")
def pieapp_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PieAPP's file with random weights; the largest layer repeats one column, so that the file stays small."""
    pytest.importorskip("piq", reason="the extra metrics is not installed")
    folder = tmp_path_factory.mktemp("pieapp")
    path = folder / "hub" / "checkpoints" / "PieAPPv0.1.pth"
    path.parent.mkdir(parents=True)
    torch.save(_pieapp_tensors(), path)
    return folder


@pytest.fixture(scope="module")
def pieapp(pieapp_home: Path) -> Metric:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(pieapp_home))
        patch.setattr(torch.nn.Linear, "reset_parameters", lambda layer: None)
        return load_metric("pieapp")


class TestPieAPP:
    def test_equals_its_formula(self, pieapp: Metric, pair: Pair) -> None:
        expected = torch.stack([_pieapp(a[None], b[None], _pieapp_tensors()) for a, b in zip(*pair, strict=True)])
        assert torch.allclose(pieapp.distance(*pair), expected, rtol=1e-3, atol=1e-6)
        assert expected.std() > 1e-4

    def test_gradients_reach_the_image(self, pieapp: Metric, pair: Pair) -> None:
        ref, img = pair[0][:1], pair[1][:1].clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(pieapp.distance(ref, img).sum(), img)
        assert gradient.abs().max() > 0

    def test_offline_says_which_file_goes_where(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        pytest.importorskip("piq", reason="the extra metrics is not installed")

        def offline(*args: Any, **options: Any) -> None:
            raise OSError("no route to host")

        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
        with pytest.raises(WeightsUnavailable, match=r"no route to host\).* put PieAPPv0.1.pth into"):
            load_metric("pieapp")


def _watson(ref: Array, img: Array, values: dict[str, Array]) -> float:
    """One pair (h, w, 3) by the paper's formulas, block by block."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    ycc = [(2 * x - 1) @ matrix.T + np.array([0, 0.5, 0.5]) for x in (ref, img)]
    shares = np.exp(values["w_tild"]) / np.exp(values["w_tild"]).sum()
    parts = [_channel(ycc[0][:, :, i], ycc[1][:, :, i], name, values) for i, name in enumerate(("ly", "lcb", "lcr"))]
    return float(shares @ np.array(parts))


def _channel(ref: Array, img: Array, name: str, values: dict[str, Array]) -> float:
    sensitivity, phase_weight = np.exp(values[f"{name}.t_tild"]), np.exp(values[f"{name}.w_phase_tild"])
    for row, column in ((0, 0), (0, 4), (4, 0), (4, 4)):
        phase_weight[row, column] = 0
    alpha, beta = float(values[f"{name}.alpha"]), float(values[f"{name}.beta"])
    contrast = 1 / (1 + np.exp(-float(values[f"{name}.w_tild"])))
    corners = [(y, x) for y in range(0, ref.shape[0], 8) for x in range(0, ref.shape[1], 8)]
    spectra = [[np.fft.rfft2(z[y : y + 8, x : x + 8]) / 64 for z in (ref, img)] for y, x in corners]
    mean = np.mean([abs(first[0, 0]) for first, _ in spectra])
    power = angles = 0.0
    for first, second in spectra:
        threshold = sensitivity * (abs(first[0, 0]) / mean) ** alpha
        masked = np.abs(first) ** contrast * threshold ** (1 - contrast)
        share = 1 / (1 + np.exp(threshold - masked))
        slack = share * masked + (1 - share) * threshold
        power += float(((np.abs(np.abs(first) - np.abs(second)) / slack) ** beta).sum())
        angles += float((np.abs(np.angle(first * second.conj())) * phase_weight).sum())
    return power ** (1 / beta) + angles


def _wadiqam(ref: Tensor, img: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    corners = [(y, x) for y in (0, 32) for x in (0, 32)]
    scores, weights = [], []
    for y, x in corners:
        f_ref, f_img = (_patch_features(z[None, :, y : y + 32, x : x + 32], tensors) for z in (ref, img))
        joint = torch.cat((f_img - f_ref, f_img, f_ref), 1)
        scores.append(_two_layers(joint, tensors, "q"))
        weights.append(functional.relu(_two_layers(joint, tensors, "w")) + 1e-6)
    both = list(zip(scores, weights, strict=True))
    return sum((s * w for s, w in both), torch.zeros(())) / sum(weights, torch.zeros(()))


def _two_layers(x: Tensor, tensors: dict[str, Tensor], head: str) -> Tensor:
    hidden = functional.relu(functional.linear(x, tensors[f"fc1_{head}.weight"], tensors[f"fc1_{head}.bias"]))
    return functional.linear(hidden, tensors[f"fc2_{head}.weight"], tensors[f"fc2_{head}.bias"]).squeeze()


def _patch_features(x: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    for number in range(1, 11):
        x = functional.conv2d(x, tensors[f"conv{number}.weight"], tensors[f"conv{number}.bias"], padding=1).relu()
        if number % 2 == 0:
            x = functional.max_pool2d(x, 2)
    return x.flatten(1)


def _pieapp_tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(4)
    widths = (3, 64, 64, 64, 128, 128, 128, 256, 256, 256, 512, 512)
    tensors = {}
    for number in range(1, 12):
        before, width = widths[number - 1], widths[number]
        tensors[f"conv{number}.weight"] = (
            torch.randn(width, before, 3, 3, generator=generator) * (2 / before / 9) ** 0.5
        )
        tensors[f"conv{number}.bias"] = torch.zeros(width)
    column = torch.randn(512, 1, generator=generator) * 1e-5
    tensors["fc1_score.weight"], tensors["fc1_score.bias"] = column.expand(512, 120832), torch.zeros(512)
    tensors["fc1_weight.weight"] = torch.randn(512, 2048, generator=generator) * 1e-3
    tensors["fc1_weight.bias"] = torch.zeros(512)
    for name in ("fc2_score", "fc2_weight"):
        tensors[f"{name}.weight"] = torch.rand(1, 512, generator=generator)
        tensors[f"{name}.bias"] = torch.ones(1)
    return tensors | {"ref_score_subtract.weight": torch.ones(1), "ref_score_subtract.bias": torch.zeros(1)}


def _pieapp(ref: Tensor, img: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    """The score of one patch: with a single patch its weight cancels."""
    features = []
    for x in (ref * 255, img * 255):
        kept = []
        for number in range(1, 12):
            x = functional.conv2d(x, tensors[f"conv{number}.weight"], tensors[f"conv{number}.bias"], padding=1).relu()
            if number in (3, 5, 7, 9, 11):
                kept.append(x.flatten(1))
            if number in (2, 4, 6, 8, 10):
                x = functional.max_pool2d(x, 2)
        features.append(torch.cat(kept, 1))
    difference = features[0] - features[1]
    hidden = (difference.sum() * tensors["fc1_score.weight"][:, 0]).relu()
    return 0.01 * (hidden @ tensors["fc2_score.weight"][0] + tensors["fc2_score.bias"][0])
