"""LPIPS and its kin on trunks of random weights, against other implementations of the same networks.

Random trunks make distances small and featureless; agreement to rounding is what is asked, so that is no loss.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from retr.core.errors import ModelError, UsageError, WeightsUnavailable
from retr.metrics import e_lpips, trunks
from retr.metrics.contract import Metric
from retr.metrics.dists import DISPERSION, WINDOW, a_dists_distance
from retr.metrics.registry import load_metric
from retr.metrics.st_lpips import weights_file

Pair = tuple[Tensor, Tensor]
Shared = Callable[[str], Metric]

pytestmark = pytest.mark.skipif(
    not (find_spec("lpips") and find_spec("DISTS_pytorch")), reason="the extra metrics is not installed"
)


def no_pictures_left_out(distance: Tensor) -> None:
    assert (distance > 1e-5).all(), "the random trunk makes everything alike: parity would mean nothing"


class TestLPIPS:
    @pytest.mark.parametrize("trunk", ["alex", "vgg", "squeeze"])
    def test_equals_torchmetrics(self, shared: Shared, pair: Pair, trunk: str) -> None:
        module: Any = pytest.importorskip("torchmetrics.functional.image.lpips", reason="torchmetrics is absent")
        distance = shared(f"lpips-{trunk}").distance(*pair)
        other = module._LPIPS(pretrained=True, net=trunk, use_dropout=True, eval_mode=True)
        no_pictures_left_out(distance)
        assert torch.allclose(distance, other(*pair, normalize=True).flatten(), rtol=1e-4, atol=1e-7)

    def test_float64_images_get_float64_distances(self, shared: Shared, pair: Pair) -> None:
        metric = shared("lpips-alex")
        distance = metric.distance(pair[0].double(), pair[1].double())
        assert distance.dtype == torch.float64
        assert torch.allclose(distance.float(), metric.distance(*pair))

    def test_the_package_says_nothing(self, random_trunks: Path, capfd: pytest.CaptureFixture[str]) -> None:
        load_metric("lpips-squeeze")
        assert capfd.readouterr() == ("", "")


class TestRLPIPS:
    def test_a_file_of_linear_layers_replaces_the_package_s(self, shared: Shared, pair: Pair, tmp_path: Path) -> None:
        plain = shared("lpips-alex")
        own = plain._module.state_dict()  # type: ignore[union-attr]
        doubled = {key: 2 * value for key, value in own.items() if key.startswith("lin") and "lins" not in key}
        torch.save(doubled, tmp_path / "latest_net_.pth")
        metric = load_metric(f"r-lpips:{tmp_path / 'latest_net_.pth'}")
        assert torch.allclose(metric.distance(*pair), 2 * plain.distance(*pair), rtol=1e-5)

    def test_a_whole_network_needs_no_trunk(
        self, shared: Shared, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = shared("lpips-alex")
        tensors = {f"module.{key}": value for key, value in plain._module.state_dict().items()}  # type: ignore[union-attr]
        torch.save(tensors, tmp_path / "tuned.pth")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
        metric = load_metric(f"r-lpips:{tmp_path / 'tuned.pth'}")
        assert torch.equal(metric.distance(*pair), plain.distance(*pair))
        assert load_metric(metric.spec).spec == metric.spec

    def test_wrong_files_are_named(self, random_trunks: Path, tmp_path: Path) -> None:
        torch.save({"lin0.model.1.weight": torch.ones(1, 64, 1, 1)}, tmp_path / "half.pth")
        (tmp_path / "noise.pth").write_bytes(b"not a checkpoint")
        with pytest.raises(ModelError, match=r"half.pth lacks lin1.model.1.weight, .* and 1 more"):
            load_metric(f"r-lpips:{tmp_path / 'half.pth'}")
        with pytest.raises(ModelError, match=r"noise.pth is not a checkpoint of plain tensors"):
            load_metric(f"r-lpips:{tmp_path / 'noise.pth'}")
        with pytest.raises(ModelError, match="is a directory"):
            load_metric(f"r-lpips:{tmp_path}")
        with pytest.raises(UsageError, match="r-lpips:FILE"):
            load_metric("r-lpips")


class TestSTLPIPS:
    @pytest.mark.parametrize("trunk", ["alex", "vgg"])
    def test_equals_its_package(self, pair: Pair, stub_modules: None, trunk: str) -> None:
        if weights_file(trunk) is None:  # type: ignore[arg-type]
            pytest.skip("the extra st-lpips is not installed")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package: Any = pytest.importorskip("stlpips_pytorch.stlpips")
            theirs = package.LPIPS(net=trunk, variant="shift_tolerant", verbose=False)
        distance = load_metric(f"st-lpips-{trunk}").distance(*pair)
        no_pictures_left_out(distance)
        with torch.no_grad():
            assert torch.allclose(distance, theirs(*pair, normalize=True).flatten(), rtol=1e-4, atol=1e-7)

    def test_its_package_is_not_imported(self) -> None:
        if weights_file("alex") is None:
            pytest.skip("the extra st-lpips is not installed")
        before = "stlpips_pytorch" in sys.modules
        load_metric("st-lpips-alex")
        assert ("stlpips_pytorch" in sys.modules) == before

    def test_without_the_wheel_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("retr.metrics.st_lpips.find_spec", lambda name: None)
        with pytest.raises(ModelError, match=r"pip install 'retr\[st-lpips\]'"):
            load_metric("st-lpips-vgg")


class TestELPIPS:
    def test_is_the_mean_over_its_draws(self, shared: Shared, pair: Pair) -> None:
        plain, ensemble = shared("lpips-alex"), load_metric("e-lpips:alex:3:5")
        draws = e_lpips.sample_draws(3, seed=5)
        images = [[e_lpips.transform(x, draw) for x in pair] for draw in draws]
        each = torch.stack([plain.distance(*both) for both in images])
        assert torch.allclose(ensemble.distance(*pair), each.mean(0), rtol=1e-5)
        assert each.std(0).min() > 0
        assert ensemble.spec == "e-lpips:alex:3:5"

    def test_more_draws_begin_with_the_same_ones(self) -> None:
        assert e_lpips.sample_draws(9, seed=1)[:4] == e_lpips.sample_draws(4, seed=1)
        assert e_lpips.sample_draws(4, seed=1) != e_lpips.sample_draws(4, seed=2)

    def test_a_draw_moves_pixels_and_scales_colours_and_nothing_else(self) -> None:
        draw = e_lpips.Draw(0.0, (0.0, 0.0), (7, 0), (True, False), True, (2, 0, 1), (1.0, 0.5, 0.25))
        x = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
        out = e_lpips.transform(x, draw)
        inner = out[:, :, 7:, 7:].mT  # rows were mirrored: the seven reflected ones stand first
        expected = x.flip(2)[:, [2, 0, 1]] * torch.tensor([1.0, 0.5, 0.25]).view(3, 1, 1)
        assert out.shape == (1, 3, 37, 27)
        assert torch.equal(inner, expected)

    @pytest.mark.parametrize(("side", "largest"), [(64, 1), (127, 1), (128, 2), (512, 8), (2000, 8)])
    def test_shrinks_only_where_64_pixels_are_left(self, side: int, largest: int) -> None:
        draws = e_lpips.sample_draws(4000, seed=0)
        factors = torch.tensor([e_lpips.scale_factor(draw, side, side + 5) for draw in draws])
        shares = torch.tensor([1 / k**2 for k in range(1, largest + 1)])
        measured = torch.stack([(factors == k).double().mean() for k in range(1, largest + 1)])
        assert factors.max() == largest
        assert torch.allclose(measured, (shares / shares.sum()).double(), atol=0.03)

    def test_a_shrunk_image_keeps_its_mean(self) -> None:
        draw = e_lpips.Draw(0.999, (0.9, 0.4), (3, 3), (False, False), False, (0, 1, 2), (1.0, 1.0, 1.0))
        assert e_lpips.scale_factor(draw, 130, 200) == 2
        out = e_lpips.transform(torch.full((1, 3, 130, 201), 0.3), draw)
        assert torch.allclose(out, torch.full_like(out, 0.3))
        assert out.shape[2:] == ((130 + 2) // 2 + 7, (201 + 1) // 2 + 7)

    @pytest.mark.parametrize("spec", ["e-lpips:resnet", "e-lpips:vgg:0", "e-lpips:vgg:x", "e-lpips:vgg:1:2:3"])
    def test_wrong_words_are_refused(self, spec: str) -> None:
        with pytest.raises(UsageError, match=spec):
            load_metric(spec)


class TestDISTS:
    def test_equals_torchmetrics(self, shared: Shared, pair: Pair) -> None:
        module: Any = pytest.importorskip("torchmetrics.functional.image.dists", reason="torchmetrics is absent")
        distance = shared("dists").distance(*pair)
        no_pictures_left_out(distance)
        with torch.no_grad():
            assert torch.allclose(distance, module.DISTSNetwork()(*pair), rtol=1e-4, atol=1e-6)

    def test_one_pair_gives_one_distance(self, shared: Shared, pair: Pair) -> None:
        ref, img = pair
        assert torch.allclose(
            shared("dists").distance(ref[:1], img[:1]), shared("dists").distance(ref, img)[:1], atol=1e-6
        )


class TestADISTS:
    def test_follows_from_its_formula_window_by_window(self) -> None:
        generator = torch.Generator().manual_seed(3)
        sizes = ((3, 24), (4, 24), (5, 22), (6, 6), (7, 3), (8, 2))
        maps = [torch.rand(2, c, side, side, generator=generator, dtype=torch.float64) for c, side in sizes]
        moved = [x + 0.3 * torch.rand(x.shape, generator=generator, dtype=torch.float64) for x in maps]
        expected = torch.stack([_a_dists([x[i] for x in maps], [y[i] for y in moved]) for i in range(2)])
        assert torch.allclose(a_dists_distance(maps, moved), expected, rtol=1e-10)

    def test_compares_the_features_of_dists(self, shared: Shared, pair: Pair) -> None:
        network: Any = shared("dists")._module
        with torch.no_grad():
            expected = a_dists_distance(*(network.forward_once(x) for x in pair))
        no_pictures_left_out(expected)
        assert torch.allclose(shared("a-dists").distance(*pair), expected, atol=1e-6)


class TestTrunks:
    def test_offline_says_which_file_goes_where(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def offline(*args: Any, **options: Any) -> None:
            raise OSError("no route to host")

        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
        folder = tmp_path / "hub" / "checkpoints"
        for spec, file in (("lpips-vgg", "vgg16-397923af.pth"), ("dists", "vgg16-397923af.pth")):
            with pytest.raises(WeightsUnavailable, match=rf"{spec} cannot load .*no route.* put {file} into {folder}"):
                load_metric(spec)

    def test_a_file_of_something_else_is_no_trunk(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        path = trunks.trunk_file("squeeze")
        path.parent.mkdir(parents=True)
        torch.save({"features.0.weight": torch.zeros(1)}, path)
        with pytest.raises(WeightsUnavailable, match="cannot load the squeeze trunk"):
            load_metric("lpips-squeeze")


def _a_dists(ref: list[Tensor], img: list[Tensor]) -> Tensor:
    """A-DISTS of one pair, each window by itself, in the order of the paper's formulas."""
    places = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    line = torch.exp(-(places**2) / (2 * (WINDOW / 3) ** 2))
    window = torch.outer(line, line) / line.sum() ** 2
    total, channels = torch.zeros((), dtype=torch.float64), 0
    for stage in range(len(ref)):
        source = max(stage, 1)  # the image itself takes the dispersion of the first stage
        similarity = [
            _similarity(r, i, s, weights, DISPERSION[source - 1])
            for r, i, s, weights in _windows(ref[stage], img[stage], ref[source], window)
        ]
        total = total + torch.stack(similarity).mean(0).sum()
        channels += len(ref[stage])
    return 1 - total / channels


def _windows(ref: Tensor, img: Tensor, source: Tensor, window: Tensor) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    side = ref.shape[1]
    if side < WINDOW:
        return [(ref, img, source, torch.full((side, side), 1 / side**2, dtype=torch.float64))]
    starts = [(y, x) for y in range(side - WINDOW + 1) for x in range(side - WINDOW + 1)]
    cut = [(slice(None), slice(y, y + WINDOW), slice(x, x + WINDOW)) for y, x in starts]
    return [(ref[c], img[c], source[c], window) for c in cut]


def _similarity(r: Tensor, i: Tensor, s: Tensor, weights: Tensor, curve: tuple[float, float]) -> Tensor:
    def mean(x: Tensor) -> Tensor:
        return (x * weights).sum((1, 2))

    mr, mi, ms = mean(r), mean(i), mean(s)
    vr, vi, vs = (mean((x - m[:, None, None]) ** 2) for x, m in ((r, mr), (i, mi), (s, ms)))
    covariance = mean((r - mr[:, None, None]) * (i - mi[:, None, None]))
    structure_share = functional.sigmoid(((vs / (ms + 1e-12)).mean() - curve[0]) / curve[1])
    texture = (2 * mr * mi + 1e-6) / (mr**2 + mi**2 + 1e-6)
    structure = (2 * covariance + 1e-6) / (vr + vi + 1e-6)
    return (1 - structure_share) * texture + structure_share * structure
