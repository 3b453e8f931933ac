"""Every embedder keeps the contract: one class of tests, inherited once per embedder."""

import warnings
from abc import ABC, abstractmethod

import pytest
import torch

from retr.embedding.block_means import BlockMeans
from retr.embedding.contract import Embedder
from retr.embedding.foreign import load_timm, load_torchscript
from retr.embedding.layers.sll_conv import QForm
from retr.embedding.model_file import load_model, save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.sll_network import SLLArchitecture, SLLNetwork, sll_blueprint

SMALL = SLLArchitecture(
    image=16, channels=6, convs=3, conv_inner=3, kernel=3, pools=1, pool=4, denses=2, dense_inner=8, dim=40
)


def sll_embedder(seed: int, q_form: QForm = "published") -> NetworkEmbedder:
    network = SLLNetwork(SMALL, q_form=q_form, generator=torch.Generator().manual_seed(seed))
    return NetworkEmbedder(network.fold(), sll_blueprint(SMALL, "cosine"), name="small", spec="small")


def images(embedder: Embedder, count: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    # float32 numbers in both dtypes, so that both paths see the same image
    return torch.rand(count, 3, *embedder.input_size, generator=generator).to(dtype)


class EmbedderContract(ABC):
    """What holds for every embedder."""

    @abstractmethod
    def make(self, variant: int, path) -> Embedder:
        """The embedder (variant 0), or one that is another map (variant 1)."""

    @pytest.fixture
    def embedder(self, tmp_path) -> Embedder:
        return self.make(0, tmp_path)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_shape_and_dtype(self, embedder, dtype):
        z = embedder.forward(images(embedder, 2, dtype=dtype))
        assert z.shape == (2, embedder.dim)
        assert z.dtype == dtype
        assert bool(torch.isfinite(z).all())

    def test_is_deterministic(self, embedder):
        x = images(embedder, 2)
        assert torch.equal(embedder.forward(x), embedder.forward(x))

    def test_rows_to_store_are_those_of_the_map(self, embedder):
        x = images(embedder, 3, dtype=torch.float32)
        stored, exact = embedder.bulk(x), embedder.forward(x.double())
        assert stored.dtype == torch.float32
        assert float((stored - exact).norm(dim=1).max()) <= 1e-4 * max(1.0, float(exact.norm(dim=1).max()))

    def test_it_knows_where_it_is(self, embedder):
        assert embedder.device == "cpu"
        assert embedder.to("cpu:0").device == "cpu:0"

    def test_wrong_shape_is_refused(self, embedder):
        for embed in (embedder.forward, embedder.bulk):
            with pytest.raises(ValueError, match="shape"):
                embed(torch.rand(1, 3, 5, 7))

    def test_gradient_flows_to_the_pixels(self, embedder):
        x = images(embedder, 1).requires_grad_(True)
        weights = torch.rand(embedder.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        (embedder.forward(x) @ weights).sum().backward()
        assert x.grad is not None
        assert float(x.grad.abs().max()) > 0

    def test_one_image_and_many_agree(self, embedder):
        x = images(embedder, 3)
        bound = embedder.rounding(torch.float64)
        allowed = 2 * bound.value if bound else 1e-3
        apart = embedder.forward(x) - torch.cat([embedder.forward(one[None]) for one in x])
        assert float(apart.norm(dim=1).max()) <= allowed

    def test_digest_is_stable_and_tells_maps_apart(self, embedder, tmp_path):
        assert self.make(0, tmp_path).digest == embedder.digest
        assert self.make(1, tmp_path).digest != embedder.digest
        assert len(embedder.digest) == 64

    def test_certified_or_says_why_not(self, embedder):
        assert (embedder.lipschitz is None) == bool(embedder.uncertified_because)
        assert (embedder.rounding(torch.float64) is None) == (embedder.lipschitz is None)


class CertifiedContract(EmbedderContract):
    """What holds besides where a bound is proved."""

    def test_float32_and_float64_differ_by_no_more_than_their_rounding(self, embedder):
        x = images(embedder, 8)
        apart = (embedder.forward(x.float()).double() - embedder.forward(x)).norm(dim=1)
        allowed = embedder.rounding(torch.float32).value + embedder.rounding(torch.float64).value
        assert 0 < float(apart.max()) <= allowed

    def test_no_pair_moves_faster_than_the_bound(self, embedder):
        x = images(embedder, 16)
        step = torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        slack = 2 * embedder.rounding(torch.float64).value
        for size in (1e-3, 0.1, 1.0):
            y = (x + size * step).clamp(0, 1)
            moved = (embedder.forward(y) - embedder.forward(x)).norm(dim=1)
            allowed = embedder.lipschitz.value * (y - x).flatten(1).norm(dim=1) + slack
            assert bool((moved <= allowed).all())

    def test_extreme_images_stay_within_rounding(self, embedder):
        x = torch.stack([torch.zeros(3, *embedder.input_size), torch.ones(3, *embedder.input_size)])
        apart = (embedder.forward(x).double() - embedder.forward(x.double())).norm(dim=1)
        assert float(apart.max()) <= embedder.rounding(torch.float32).value + embedder.rounding(torch.float64).value

    def test_other_precisions_have_no_bound(self, embedder):
        assert embedder.rounding(torch.bfloat16) is None


class TestBlockMeans(CertifiedContract):
    def make(self, variant, path):
        return BlockMeans(16 if variant == 0 else 8)


class TestSllPublished(CertifiedContract):
    def make(self, variant, path):
        return sll_embedder(variant)


class TestSllRight(CertifiedContract):
    def make(self, variant, path):
        return sll_embedder(variant, "right")


class TestModelFile(CertifiedContract):
    def make(self, variant, path):
        file = path / f"m{variant}.safetensors"
        save_model(sll_embedder(variant), file, {"title": "a test"})
        return load_model(file)


class TestTimm(EmbedderContract):
    def make(self, variant, path):
        return load_timm(("resnet10t", "test_resnet")[variant], pretrained=False)


class TestTorchScript(EmbedderContract):
    def make(self, variant, path):
        torch.manual_seed(variant)
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.GELU(), torch.nn.AdaptiveAvgPool2d(2))
        file = path / f"net{variant}.pt"
        if not file.exists():
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=r".*torch\.jit\..* is deprecated")
                torch.jit.save(torch.jit.trace(net, torch.rand(1, 3, 20, 24)), str(file))
        return load_torchscript(str(file), input_size=(20, 24))
