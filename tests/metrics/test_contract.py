"""The contract that every metric keeps, on trunks and files of random weights where it needs any."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from retr.core.errors import UsageError
from retr.metrics.contract import Facts, Metric
from retr.metrics.registry import METRICS, load_metric
from retr.metrics.st_lpips import weights_file
from retr.metrics.wadiqam import WaDIQaM
from retr.metrics.watson import WatsonDFT

Pair = tuple[Tensor, Tensor]
Graded = tuple[Tensor, list[Tensor]]
Shared = Callable[[str], Metric]


class MetricContract:
    """What holds for every metric; one class below per metric.

    Attributes:
        spec: what loads it; ``FILE`` stands for a file of random weights.
        packages: modules without which it cannot run.
        orders_noise: whether more noise must mean a larger distance (not for untrained networks).
        plain_images: whether it has a gradient between two images without any feature.
    """

    spec: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    orders_noise: ClassVar[bool] = True
    plain_images: ClassVar[bool] = True
    tolerance: ClassVar[float] = 1e-5

    @pytest.fixture
    def metric(self, shared: Shared, weights: Path) -> Metric:
        for name in self.packages:
            if find_spec(name) is None:
                pytest.skip(f"the package {name} is not installed")
        return shared(self.spec.replace("FILE", str(weights)))

    @pytest.fixture
    def weights(self) -> Path:
        return Path()

    def test_one_finite_distance_per_pair_within_its_range(self, metric: Metric, pair: Pair) -> None:
        distance = metric.distance(*pair)
        assert distance.shape == (3,)
        assert torch.isfinite(distance).all()
        assert (distance >= metric.facts.lowest - self.tolerance).all()
        assert (distance <= metric.facts.highest + self.tolerance).all()

    def test_the_dtype_is_that_of_the_images(self, metric: Metric, pair: Pair) -> None:
        single, double = metric.distance(*pair), metric.distance(pair[0].double(), pair[1].double())
        assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
        assert torch.allclose(single.double(), double, rtol=1e-3, atol=1e-5)

    def test_pairs_do_not_influence_one_another(self, metric: Metric, pair: Pair) -> None:
        ref, img = pair
        alone = torch.cat([metric.distance(ref[i : i + 1], img[i : i + 1]) for i in range(3)])
        assert torch.allclose(metric.distance(ref, img), alone, rtol=1e-4, atol=1e-6)

    def test_an_image_is_at_distance_zero_from_itself_where_it_says_so(self, metric: Metric, pair: Pair) -> None:
        itself, other = metric.distance(pair[0], pair[0].clone()), metric.distance(*pair)
        if metric.facts.zero_at_identity:
            assert itself.abs().max() <= self.tolerance
            assert (other > itself).all()
        else:
            assert torch.isfinite(itself).all()

    def test_more_noise_is_farther_away(self, metric: Metric, graded: Graded) -> None:
        ref, spoilt = graded
        distances = torch.stack([metric.distance(ref, img) for img in spoilt])
        if self.orders_noise:
            assert (distances.diff(dim=0) > 0).all()
        else:
            assert distances.diff(dim=0).abs().min() > 0

    def test_gradients_flow_where_it_says_so(self, metric: Metric, pair: Pair) -> None:
        images = [x.clone().requires_grad_(True) for x in pair]
        distance = metric.distance(images[0], images[1])
        assert distance.requires_grad == metric.facts.differentiable
        if not metric.facts.differentiable:
            return
        for gradient in torch.autograd.grad(distance.sum(), images):
            assert torch.isfinite(gradient).all()
            assert gradient.flatten(1).abs().amax(1).min() > 0

    def test_gradients_are_finite_between_an_image_and_itself(self, metric: Metric, pair: Pair) -> None:
        picture, plain, black = pair[0][:1], torch.full((1, 3, 64, 64), 0.5), torch.zeros(1, 3, 64, 64)
        for ref in (picture, plain, black) if self.plain_images else (picture,):
            img = ref.clone().requires_grad_(True)
            distance = metric.distance(ref, img)
            if metric.facts.differentiable:
                (gradient,) = torch.autograd.grad(distance.sum(), img)
                assert torch.isfinite(gradient).all()
            assert torch.isfinite(distance).all()

    def test_a_small_step_against_the_gradient_comes_closer(self, metric: Metric, pair: Pair) -> None:
        if not metric.facts.differentiable:
            pytest.skip("it has no gradient")
        ref, img = (x.double() for x in pair)
        img = img.requires_grad_(True)
        before = metric.distance(ref, img)
        (gradient,) = torch.autograd.grad(before.sum(), img)
        step = 1e-3 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        after = metric.distance(ref, (img - step).detach().clamp(0, 1))
        assert (after < before).all()

    def test_the_smallest_side_is_enough_and_one_less_is_refused(self, metric: Metric) -> None:
        side = metric.facts.smallest_side
        generator = torch.Generator().manual_seed(2)
        ref, img = torch.rand(2, 1, 3, side, side + 5, generator=generator)
        assert torch.isfinite(metric.distance(ref, img)).all()
        if side > 1:
            with pytest.raises(UsageError, match=rf"sides of at least {side} pixels"):
                metric.distance(ref[:, :, 1:], img[:, :, 1:])

    def test_what_does_not_fit_is_refused(self, metric: Metric, pair: Pair) -> None:
        ref, img = pair
        for first, second in ((ref, img[:2]), (ref[:, :1], img[:, :1]), (ref[0], img[0]), (ref, img.double())):
            with pytest.raises(UsageError, match="of one shape and dtype"):
                metric.distance(first, second)
        with pytest.raises(UsageError, match="floating-point"):
            metric.distance((ref * 255).to(torch.uint8), (img * 255).to(torch.uint8))

    @pytest.mark.parametrize("change", [lambda x: 2 * x - 1, lambda x: 255 * x, lambda x: x * torch.nan])
    def test_pixels_of_another_range_are_refused(
        self, metric: Metric, pair: Pair, change: Callable[[Tensor], Tensor]
    ) -> None:
        for which, images in enumerate([(change(pair[0]), pair[1]), (pair[0], change(pair[1]))]):
            with pytest.raises(
                UsageError, match=rf"takes pixels in \[0, 1\], and the {('first', 'second')[which]} batch"
            ):
                metric.distance(*images)

    def test_its_spec_rebuilds_it(self, metric: Metric, pair: Pair) -> None:
        assert torch.equal(load_metric(metric.spec).distance(*pair), metric.distance(*pair))

    def test_random_numbers_of_others_are_left_alone(self, metric: Metric, pair: Pair) -> None:
        state = torch.get_rng_state()
        metric.distance(*pair)
        assert torch.equal(torch.get_rng_state(), state)


class TestL2(MetricContract):
    spec = "l2"


class TestSSIM(MetricContract):
    spec = "ssim"


class TestMSSSIM(MetricContract):
    spec = "ms-ssim"


class TestCWSSIM(MetricContract):
    spec = "cw-ssim"


class TestFSIMc(MetricContract):
    spec, packages, plain_images = "fsimc", ("piq",), False


class TestLPIPSAlex(MetricContract):
    spec, packages = "lpips-alex", ("lpips",)


class TestLPIPSSqueeze(MetricContract):
    spec, packages = "lpips-squeeze", ("lpips",)


class TestLPIPSVGG(MetricContract):
    spec, packages = "lpips-vgg", ("lpips",)


class TestELPIPS(MetricContract):
    spec, packages = "e-lpips:squeeze:2:0", ("lpips",)


class TestRLPIPS(MetricContract):
    spec, packages, orders_noise = "r-lpips:FILE", ("lpips",), False

    @pytest.fixture
    def weights(self, tmp_path_factory: pytest.TempPathFactory, random_trunks: Path) -> Path:
        generator = torch.Generator().manual_seed(5)
        path = random_trunks / "linear.pth"
        widths = (64, 192, 384, 256, 256)
        layers = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1, generator=generator) for i, c in enumerate(widths)}
        torch.save(layers, path)
        return path


@pytest.mark.skipif(weights_file("alex") is None, reason="the extra st-lpips is not installed")
class TestSTLPIPSAlex(MetricContract):
    spec = "st-lpips-alex"


@pytest.mark.skipif(weights_file("vgg") is None, reason="the extra st-lpips is not installed")
class TestSTLPIPSVGG(MetricContract):
    spec = "st-lpips-vgg"


class TestDISTS(MetricContract):
    spec, packages = "dists", ("DISTS_pytorch",)


class TestADISTS(MetricContract):
    spec, packages = "a-dists", ("DISTS_pytorch",)


class TestWatsonDFT(MetricContract):
    spec = "watson-dft:FILE"

    @pytest.fixture
    def weights(self, random_trunks: Path) -> Path:
        path = random_trunks / "watson.pth"
        torch.save(WatsonDFT().state_dict(), path)
        return path


class TestWaDIQaM(MetricContract):
    spec, orders_noise = "wadiqam-fr:FILE", False

    @pytest.fixture
    def weights(self, random_trunks: Path) -> Path:
        path = random_trunks / "wadiqam.pth"
        if not path.exists():
            generator = torch.Generator().manual_seed(6)
            shapes = WaDIQaM().state_dict()
            torch.save({k: 0.2 * torch.randn(v.shape, generator=generator) for k, v in shapes.items()}, path)
        return path


class TestBlockMeans(MetricContract):
    spec = "retr:block-means"


class TestForeignEmbedder(MetricContract):
    spec = "retr:timm:resnet10t#random"
    orders_noise = False


class TestPython(MetricContract):
    spec = "python:mine_for_the_contract.l1"

    @pytest.fixture
    def metric(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Metric:
        (tmp_path / "mine_for_the_contract.py").write_text("def l1(a, b):\n    return (a - b).abs().mean((1, 2, 3))\n")
        monkeypatch.chdir(tmp_path)
        return load_metric(self.spec)


COVERED_ELSEWHERE = {
    "pieapp": "test_own_networks.py: its layers are too large to be tried twelve times",
    "swiniqa": "test_swiniqa.py: as large",
    "command": "test_adapters.py: a program starts for every batch",
    **dict.fromkeys(("pim-1", "pim-5", "gti-cnn"), "test_programs.py: as command:"),
    **dict.fromkeys(("clip", "open-clip", "dino", "dinov2", "dreamsim"), "test_embedders.py: as any retr:MODEL"),
}


def test_every_metric_is_under_the_contract_or_says_where_it_is_tested() -> None:
    tried = {each.spec.partition(":")[0] for each in MetricContract.__subclasses__()}
    assert tried | set(COVERED_ELSEWHERE) == set(METRICS)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_the_facts_are_whole(name: str) -> None:
    facts = METRICS[name].facts
    assert all((facts.title, facts.source, facts.licence, facts.weights))
    assert facts.name == name


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lowest": 1.0, "highest": 1.0}, "lowest < highest"),
        ({"highest": float("nan")}, "range"),
        ({"smallest_side": 0}, "at least 1"),
    ],
)
def test_facts_that_contradict_themselves_are_refused(changed: dict[str, float], message: str) -> None:
    whole = {
        "name": "x", "title": "X", "source": "s", "differentiable": True, "lowest": 0.0, "highest": 1.0,
        "zero_at_identity": True, "smallest_side": 1, "input_size": None, "licence": "l", "weights": "w",
    }  # fmt: skip
    Facts(**whole)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        Facts(**(whole | changed))  # type: ignore[arg-type]


def test_the_range_that_was_found_is_named_and_rounding_is_forgiven() -> None:
    metric, grey = load_metric("l2"), torch.full((1, 3, 8, 8), 0.5)
    with pytest.raises(UsageError, match=r"first batch has them from -0\.25 to 1\.5$"):
        metric.distance(torch.linspace(-0.25, 1.5, 192).reshape(1, 3, 8, 8), grey)
    assert metric.distance(grey + 0.5 + 1e-6, grey - 0.5 - 1e-6).shape == (1,)
    assert metric.distance(grey[:0], grey[:0]).shape == (0,)
