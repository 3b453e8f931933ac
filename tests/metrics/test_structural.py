"""SSIM, MS-SSIM, CW-SSIM and FSIMc against independent implementations, and against what they must be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from retr.metrics.cw_ssim import FACTS as CW_FACTS
from retr.metrics.cw_ssim import _centre_weights, cw_ssim_distance, level_count, luma
from retr.metrics.fsim import load_fsimc
from retr.metrics.pixel import rms_difference
from retr.metrics.ssim import SCALE_WEIGHTS, ms_ssim_distance, scale_count, ssim_distance

Pair = tuple[Tensor, Tensor]


def test_l2_is_the_root_mean_square(pair: Pair) -> None:
    ref, img = pair
    by_hand = [((a - b) ** 2).mean().sqrt() for a, b in zip(ref, img, strict=True)]
    assert torch.allclose(rms_difference(ref, img), torch.stack(by_hand), rtol=1e-6)


class TestSSIM:
    def test_equals_piq(self, pair: Pair) -> None:
        piq: Any = pytest.importorskip("piq", reason="the extra metrics is not installed")
        ref, img = (x.double() for x in pair)
        expected = 1 - piq.ssim(ref, img, data_range=1.0, downsample=False, reduction="none")
        assert torch.allclose(ssim_distance(ref, img), expected, rtol=0, atol=1e-10)

    def test_equals_torchmetrics(self, pair: Pair) -> None:
        image: Any = pytest.importorskip("torchmetrics.functional.image", reason="torchmetrics is not installed")
        ref, img = (x.double() for x in pair)
        options = {"data_range": 1.0, "reduction": "none", "return_full_image": True}
        _, full = image.structural_similarity_index_measure(img, ref, **options)
        # torchmetrics reflects the border to keep the size; only windows inside the image count here.
        expected = 1 - full[:, :, 5:-5, 5:-5].mean((1, 2, 3))
        assert torch.allclose(ssim_distance(ref, img), expected, rtol=0, atol=1e-10)


class TestMSSSIM:
    @pytest.mark.parametrize(
        ("size", "scales"), [((11, 11), 1), ((64, 64), 3), ((64, 40), 2), ((175, 400), 4), ((176, 400), 5)]
    )
    def test_every_scale_holds_a_window(self, size: tuple[int, int], scales: int) -> None:
        assert scale_count(*size) == scales
        assert torch.isfinite(ms_ssim_distance(torch.rand(1, 3, *size), torch.rand(1, 3, *size))).all()

    def test_equals_piq_on_three_scales(self, pair: Pair) -> None:
        piq: Any = pytest.importorskip("piq", reason="the extra metrics is not installed")
        ref, img = (x.double() for x in pair)
        weights = torch.tensor(SCALE_WEIGHTS[:3], dtype=torch.float64)
        options = {"data_range": 1.0, "scale_weights": weights / weights.sum(), "reduction": "none"}
        expected = 1 - piq.multi_scale_ssim(ref, img, **options)
        assert torch.allclose(ms_ssim_distance(ref, img), expected, rtol=0, atol=1e-7)

    def test_equals_piq_on_five_scales(self) -> None:
        piq: Any = pytest.importorskip("piq", reason="the extra metrics is not installed")
        generator = torch.Generator().manual_seed(0)
        ref = torch.rand(1, 3, 176, 192, generator=generator, dtype=torch.float64)
        img = (ref + 0.2 * torch.rand(ref.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
        weights = torch.tensor(SCALE_WEIGHTS, dtype=torch.float64)  # as published they sum to 1.0001
        options = {"data_range": 1.0, "scale_weights": weights / weights.sum(), "reduction": "none"}
        expected = 1 - piq.multi_scale_ssim(ref, img, **options)
        assert torch.allclose(ms_ssim_distance(ref, img), expected, rtol=0, atol=1e-7)

    def test_opposite_structure_counts_as_nothing_alike_and_gives_no_nan(self, pair: Pair) -> None:
        ref = pair[0]
        img = (1 - ref).requires_grad_(True)
        distance = ms_ssim_distance(ref, img)
        (gradient,) = torch.autograd.grad(distance.sum(), img)
        assert torch.equal(distance.detach(), torch.ones(3))
        assert torch.isfinite(gradient).all()


class TestCWSSIM:
    @pytest.mark.parametrize(("side", "levels"), [(8, 1), (16, 2), (63, 3), (64, 4), (512, 4)])
    def test_the_coarsest_band_has_at_least_eight_rows(self, side: int, levels: int) -> None:
        assert level_count(side, side) == levels

    def test_equals_the_pyramid_of_another_package(self, pair: Pair, former_fft: None) -> None:
        iqa: Any = pytest.importorskip("IQA_pytorch", reason="iqa-pytorch is not installed")
        ref, img = (x.double() for x in pair)
        model = iqa.CW_SSIM([64, 64], channels=1, level=4, ori=8, device="cpu").double()
        for filters in (model.SP.l, model.SP.b, model.SP.s):
            filters[:] = [each.double() for each in filters]
        model.SP.hl0, model.win7 = model.SP.hl0.double(), model.win7.double()
        # Its window of weights is not centred on maps of an even size; the authors' is.
        model.w = _centre_weights(torch.Size((8, 8)), ref)
        expected = 1 - model(luma(ref), luma(img), as_loss=False)
        assert torch.allclose(cw_ssim_distance(ref, img), expected, rtol=0, atol=1e-8)

    def test_forgives_a_shift_of_a_pixel_and_a_change_of_contrast(self, pair: Pair) -> None:
        ref = pair[0].double()
        rolled, flat = torch.roll(ref, 1, dims=3), 0.5 + 0.5 * (ref - 0.5)
        assert (cw_ssim_distance(ref, rolled) < 0.2 * ssim_distance(ref, rolled)).all()
        assert (cw_ssim_distance(ref, flat) < 0.3).all()

    def test_two_empty_images_are_alike(self) -> None:
        black = torch.zeros(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
        distance = cw_ssim_distance(black, torch.zeros_like(black))
        (gradient,) = torch.autograd.grad(distance.sum(), black)
        assert distance.item() == 0
        assert torch.isfinite(gradient).all()
        assert CW_FACTS.smallest_side == 8


class TestFSIMc:
    def test_equals_another_package(self, pair: Pair, former_fft: None) -> None:
        pytest.importorskip("piq", reason="the extra metrics is not installed")
        iqa: Any = pytest.importorskip("IQA_pytorch", reason="iqa-pytorch is not installed")
        ref, img = pair
        expected = 1 - iqa.FSIM(channels=3)(img, ref, as_loss=False)
        assert torch.allclose(load_fsimc().distance(ref, img), expected, rtol=0, atol=1e-4)

    def test_a_hair_outside_the_range_is_no_error(self, pair: Pair) -> None:
        pytest.importorskip("piq", reason="the extra metrics is not installed")
        ref, img = pair
        outside = img.clone()
        outside[0, 0, 0, 0], outside[1, 0, 0, 0] = 1 + 1e-6, -1e-6
        metric = load_fsimc()
        assert torch.allclose(metric.distance(ref, outside), metric.distance(ref, outside.clamp(0, 1)))
