"""Pictures to compare, and trunks of random weights where torch's hub looks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from retr.metrics.contract import Metric

Pair = tuple[Tensor, Tensor]


def smooth(count: int, side: int, seed: int) -> Tensor:
    """(count, 3, side, side) in [0, 1]: random blobs at three scales, with some grain."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(count, 3, side, side)
    for cells, weight in ((4, 0.5), (11, 0.3), (side, 0.15)):
        grid = torch.rand(count, 3, cells, cells, generator=generator)
        total = total + weight * functional.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return total.clamp(0, 1)


def spoil(ref: Tensor, strength: float, seed: int = 7) -> Tensor:
    """Noise and a darker right half."""
    generator = torch.Generator().manual_seed(seed)
    noisy = ref + strength * torch.randn(ref.shape, generator=generator)
    shade = torch.ones(ref.shape[-1])
    shade[ref.shape[-1] // 2 :] -= strength
    return (noisy * shade).clamp(0, 1)


def drawing_functions() -> dict[str, object]:
    """Every function by which torch fills a new layer, by name."""
    found: dict[str, object] = {name: value for name, value in vars(nn.init).items() if callable(value)}
    kinds = [kind for kind in vars(nn).values() if isinstance(kind, type)]
    return found | {kind.__name__: vars(kind).get("reset_parameters") for kind in kinds}


TORCHS_OWN = drawing_functions()


@pytest.fixture(scope="session")
def pair() -> Pair:
    """Three references of 64 px and three spoilt versions, float32."""
    ref = smooth(3, 64, 0)
    return ref, spoil(ref, 0.1)


@pytest.fixture(scope="session")
def graded() -> tuple[Tensor, list[Tensor]]:
    """Two references of 64 px, and the same spoilt a little, more, and much."""
    ref = smooth(2, 64, 1)
    return ref, [spoil(ref, strength) for strength in (0.02, 0.08, 0.3)]


@pytest.fixture(scope="session")
def trunk_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TORCH_HOME with Alex, VGG and Squeeze of random weights.

    The classifiers, which no metric uses, are one number repeated: torch saves a view with its storage, so files stay
    small.
    """
    folder = tmp_path_factory.mktemp("torch")
    files = folder / "hub" / "checkpoints"
    files.mkdir(parents=True)
    for place, (file, shapes) in enumerate(TRUNKS.items()):
        torch.save(_random_tensors(shapes, seed=place), files / file)
    return folder


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """New layers are filled as torch fills them after each test: later tests build networks in this process too."""
    yield
    assert drawing_functions() == TORCHS_OWN


@pytest.fixture(scope="session")
def random_state() -> Callable[..., dict[str, Tensor]]:
    """``random_state(network, seed=, scale=1.0)``: tensors of its names and shapes, whatever torch filled it with."""

    def draw(network: nn.Module, *, seed: int, scale: float = 1.0) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        state = network.state_dict()
        fan_in = {key: value[0].numel() if value.ndim > 1 else 1 for key, value in state.items()}
        return {k: torch.randn(v.shape, generator=generator) * scale / fan_in[k] ** 0.5 for k, v in state.items()}

    return draw


@pytest.fixture
def random_trunks(trunk_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, in force for one test; large layers are built without drawing numbers that the files replace."""
    monkeypatch.setenv("TORCH_HOME", str(trunk_home))
    monkeypatch.setattr(nn.Linear, "reset_parameters", _no_draw)
    return trunk_home


@pytest.fixture(scope="session")
def built() -> dict[str, Metric]:
    """What ``shared`` has built so far."""
    return {}


@pytest.fixture
def shared(random_trunks: Path, built: dict[str, Metric]) -> Callable[[str], Metric]:
    """``shared(spec)``: a metric on random trunks, built once."""
    from retr.metrics.registry import load_metric

    def get(spec: str) -> Metric:
        if spec not in built:
            built[spec] = load_metric(spec)
        return built[spec]

    return get


@pytest.fixture
def former_fft(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Fourier functions that torch had until 1.7, for a package of that time."""

    def rfft(x: Tensor, dims: int, *, onesided: bool = True) -> Tensor:
        return torch.view_as_real(torch.fft.rfft2(x) if onesided else torch.fft.fft2(x).contiguous())

    def irfft(x: Tensor, dims: int, *, signal_sizes: list[int]) -> Tensor:
        return torch.fft.irfft2(torch.view_as_complex(x.contiguous()), s=signal_sizes)

    def ifft(x: Tensor, dims: int) -> Tensor:
        return torch.view_as_real(torch.fft.ifft2(torch.view_as_complex(x.contiguous())))

    for name, function in (("rfft", rfft), ("irfft", irfft), ("ifft", ifft)):
        monkeypatch.setattr(torch, name, function, raising=False)


@pytest.fixture
def stub_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two packages that stlpips-pytorch imports and never uses in a distance."""
    import sys

    for name, attribute in (("IPython", "embed"), ("torchsummary", "summary")):
        module = ModuleType(name)
        setattr(module, attribute, None)
        monkeypatch.setitem(sys.modules, name, module)


def _no_draw(layer: nn.Linear) -> None:
    with torch.no_grad():
        for tensor in layer.parameters():
            tensor.zero_()


def _random_tensors(shapes: dict[str, tuple[int, ...]], *, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        if name.startswith("classifier"):
            tensors[name] = torch.zeros(1).expand(shape)
        else:
            fan_in = torch.Size(shape[1:]).numel() if len(shape) > 1 else 100
            tensors[name] = torch.randn(shape, generator=generator) * (2.0 / fan_in) ** 0.5
    return tensors


def _conv(name: str, out: int, before: int, kernel: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, before, kernel, kernel), f"{name}.bias": (out,)}


def _linear(name: str, out: int, before: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, before), f"{name}.bias": (out,)}


def _alex() -> dict[str, tuple[int, ...]]:
    layers = ((0, 64, 3, 11), (3, 192, 64, 5), (6, 384, 192, 3), (8, 256, 384, 3), (10, 256, 256, 3))
    shapes = {k: v for place, *sizes in layers for k, v in _conv(f"features.{place}", *sizes).items()}
    for place, out, before in ((1, 4096, 9216), (4, 4096, 4096), (6, 1000, 4096)):
        shapes |= _linear(f"classifier.{place}", out, before)
    return shapes


def _vgg() -> dict[str, tuple[int, ...]]:
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    widths = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
    shapes = {}
    for i, place in enumerate(places):
        shapes |= _conv(f"features.{place}", widths[i + 1], widths[i], 3)
    for place, out, before in ((0, 4096, 25088), (3, 4096, 4096), (6, 1000, 4096)):
        shapes |= _linear(f"classifier.{place}", out, before)
    return shapes


def _squeeze() -> dict[str, tuple[int, ...]]:
    shapes = _conv("features.0", 64, 3, 3)
    fires = ((3, 64, 16, 64), (4, 128, 16, 64), (6, 128, 32, 128), (7, 256, 32, 128))
    fires += ((9, 256, 48, 192), (10, 384, 48, 192), (11, 384, 64, 256), (12, 512, 64, 256))
    for place, before, narrow, wide in fires:
        shapes |= _conv(f"features.{place}.squeeze", narrow, before, 1)
        shapes |= _conv(f"features.{place}.expand1x1", wide, narrow, 1)
        shapes |= _conv(f"features.{place}.expand3x3", wide, narrow, 3)
    return shapes | _conv("classifier.1", 1000, 512, 1)


TRUNKS = {
    "alexnet-owt-7be5be79.pth": _alex(),
    "vgg16-397923af.pth": _vgg(),
    "squeezenet1_1-b8a52dc0.pth": _squeeze(),
}
