"""Teachers of optional packages. Stand-ins for the packages show the adapter; the real ones run where installed."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from retr.core.errors import ModelError, UsageError, WeightsUnavailable
from retr.embedding.registry import load_embedder

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


class Tower(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Linear(3 * 64, 5)
        self.preprocess_cfg = {"size": 8, "mean": MEAN, "std": STD}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mix(x.flatten(1))


@pytest.fixture
def open_clip(monkeypatch: pytest.MonkeyPatch) -> Any:
    package: Any = ModuleType("open_clip")
    package.list_models = lambda: ["ViT-B-32", "ViT-L-14"]
    package.list_pretrained_tags_by_model = lambda name: ["openai", "laion"] if name == "ViT-B-32" else []
    package.create_model = lambda name, pretrained=None, **_: SimpleNamespace(visual=Tower())
    monkeypatch.setitem(sys.modules, "open_clip", package)
    return package


@pytest.fixture
def dreamsim(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    package: Any = ModuleType("dreamsim")

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(2.0))

        def embed(self, x: torch.Tensor) -> torch.Tensor:
            return (x.mean((2, 3)) * self.scale).squeeze()

    def make(**options: Any) -> tuple[torch.nn.Module, None]:
        print("Using cached weights")
        package.options = options
        return Model(), None

    package.dreamsim = make
    monkeypatch.setitem(sys.modules, "dreamsim", package)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return package


class TestOpenClip:
    def test_the_tower_gets_its_own_size_mean_and_std(self, open_clip: Any) -> None:
        embedder = load_embedder("open_clip:ViT-B-32/laion")
        x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        expected = embedder.module.visual((x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1))  # type: ignore[attr-defined]
        assert (embedder.input_size, embedder.dim, embedder.spec) == ((8, 8), 5, "open_clip:ViT-B-32/laion")
        assert torch.allclose(embedder.forward(x), expected, atol=1e-6)
        assert embedder.lipschitz is None
        assert "foreign" in (embedder.uncertified_because or "")

    def test_random_weights_rebuild(self, open_clip: Any) -> None:
        first = load_embedder("open_clip:ViT-L-14#random")
        torch.manual_seed(3)
        assert load_embedder(first.spec).digest == first.digest

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("open_clip:ViT-B-23/openai", "close: ViT-B-32"),
            ("open_clip:ViT-B-32/nonsense", "there are: openai, laion"),
            ("open_clip:ViT-B-32", "open_clip:ViT-B-32/TAG"),
        ],
    )
    def test_a_wrong_name_gets_the_right_ones(self, open_clip: Any, spec: str, message: str) -> None:
        with pytest.raises(ModelError, match=message):
            load_embedder(spec)

    def test_weights_that_cannot_be_fetched_say_so(self, open_clip: Any) -> None:
        def offline(*args: Any, **options: Any) -> None:
            raise OSError("no route to host")

        open_clip.create_model = offline
        with pytest.raises(WeightsUnavailable, match=r"'laion' of open_clip model 'ViT-B-32' .*no route"):
            load_embedder("open_clip:ViT-B-32/laion")

    def test_an_absent_package_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "open_clip", None)
        with pytest.raises(ModelError, match=r"pip install 'retr\[open_clip\]'"):
            load_embedder("open_clip:ViT-B-32/openai")
        with pytest.raises(UsageError, match="needs a model"):
            load_embedder("open_clip:")

    def test_the_package_itself_embeds(self) -> None:
        pytest.importorskip("open_clip", reason="the extra open_clip is not installed")
        embedder = load_embedder("open_clip:ViT-S-32-alt#random")
        x = torch.rand(2, 3, *embedder.input_size, generator=torch.Generator().manual_seed(0))
        assert embedder.input_size == (224, 224)
        assert embedder.forward(x).shape == (2, embedder.dim)


class TestDreamSim:
    def test_pixels_go_in_as_they_are_and_a_single_image_keeps_its_axis(self, dreamsim: Any) -> None:
        embedder = load_embedder("dreamsim")
        x = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        assert torch.allclose(embedder.forward(x), 2 * x.mean((2, 3)))
        assert embedder.forward(x.repeat(2, 1, 1, 1)).shape == (2, 3)
        assert dreamsim.options["dreamsim_type"] == "ensemble"

    def test_what_the_package_prints_is_no_answer(self, dreamsim: Any, capsys: pytest.CaptureFixture[str]) -> None:
        load_embedder("dreamsim:dino_vitb16")
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "cached" in shown.err
        assert dreamsim.options["dreamsim_type"] == "dino_vitb16"

    def test_what_is_missing_is_said(self, dreamsim: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ModelError, match=r"no kind 'vgg'; choose ensemble"):
            load_embedder("dreamsim:vgg")
        with pytest.raises(WeightsUnavailable, match="no random form"):
            load_embedder("dreamsim", pretrained=False)

        def offline(**options: Any) -> None:
            raise OSError("no route to host")

        dreamsim.dreamsim = offline
        with pytest.raises(WeightsUnavailable, match=r"dreamsim ensemble \(OSError: no route"):
            load_embedder("dreamsim")
        monkeypatch.setitem(sys.modules, "dreamsim", None)
        with pytest.raises(ModelError, match=r"pip install 'retr\[dreamsim\]'"):
            load_embedder("dreamsim")
