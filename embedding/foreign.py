"""Foreign backbones, uncertified: any timm model, any TorchScript file.

They answer queries and never carry a radius: nothing here proves a Lipschitz constant for them. They compute in the
precision of their own weights; the result is returned in the dtype of the input.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from ..core.errors import ModelError, UsageError, WeightsUnavailable
from ..core.files import digest_json, sha256_file
from ..core.types import Score, UpperBound
from .contract import Embedder
from .network import describe_tensors, require_input

RANDOM_SUFFIX = "#random"
"""Ends a timm spec whose weights are random, drawn with a fixed seed so that the spec rebuilds them."""

DEFAULT_TORCHSCRIPT_SIZE = (224, 224)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A foreign module and what is known about it.

    Attributes:
        module: (b, 3, h, w), normalised → (b, d) or anything that flattens to it.
        name: for people.
        spec: what rebuilds it.
        input_size: (height, width).
        mean: per channel, subtracted.
        std: per channel, divided by.
        why: why it has no certificate.
        digest: of weights and settings.
    """

    module: nn.Module
    name: str
    spec: str
    input_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    why: str
    digest: str


@final
class ForeignEmbedder(Embedder):
    """An uncertified embedder around a foreign module; cosine score.

    Raises:
        ModelError: where the module does not take (1, 3, h, w), or returns no tensor of numbers per image.
    """

    def __init__(self, foreign: Foreign) -> None:
        self.module = foreign.module.eval()
        self.name, self.spec, self.digest = foreign.name, foreign.spec, foreign.digest
        self.input_size = foreign.input_size
        self.score: Score = "cosine"
        self.lipschitz: UpperBound | None = None
        self.uncertified_because: str | None = foreign.why
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        self._dtype = next((p.dtype for p in self.module.parameters() if p.is_floating_point()), torch.float32)
        self._mean = torch.tensor(foreign.mean, dtype=torch.float64).view(3, 1, 1)
        self._std = torch.tensor(foreign.std, dtype=torch.float64).view(3, 1, 1)
        self.dim = self._measured_dim()

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch (b, 3, h, w) in [0, 1] → (b, dim), computed in the weights' dtype, returned in that of x."""
        require_input(x, self.input_size)
        return self._features(x).to(x.dtype)

    def rounding(self, dtype: torch.dtype) -> UpperBound | None:
        """None: the module's arithmetic is its own."""
        del dtype

    def to(self, device: str | torch.device) -> Self:
        """Move the weights; returns self."""
        self.module.to(device)
        return super().to(device)

    def _features(self, x: Tensor) -> Tensor:
        mean, std = self._mean.to(x), self._std.to(x)
        return self.module(((x - mean) / std).to(self._dtype)).flatten(1)

    def _measured_dim(self) -> int:
        try:
            with torch.no_grad():
                return int(self._features(torch.zeros(1, 3, *self.input_size)).shape[1])
        except (RuntimeError, AttributeError, TypeError, AssertionError, IndexError) as error:
            size = "×".join(str(n) for n in self.input_size)
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise ModelError(f"{self.name} does not turn a 3×{size} image into one vector: {reason}") from None


def load_timm(name: str, *, pretrained: bool = True) -> ForeignEmbedder:
    """A timm model without its classifier, with its own input size, mean and std.

    Args:
        name: as in ``timm.list_models``, optionally with a weight tag (``resnet18.a1_in1k``).
        pretrained: fetch weights from the hub (or its local cache); else random weights of a fixed seed.

    Raises:
        ModelError: for an unknown name or tag, with close matches.
        WeightsUnavailable: where the weights cannot be fetched.
    """
    from timm.data.config import resolve_model_data_config  # timm takes seconds to import

    module = _fetch(name) if pretrained and _require_weights(name) else _random(name)
    config: dict[str, Any] = resolve_model_data_config(module)
    size, mean, std = config["input_size"], tuple(config["mean"]), tuple(config["std"])
    if size[0] != 3 or len(mean) != 3:
        raise ModelError(f"timm model {name!r} takes {size[0]} channels; only RGB models can embed images here")
    settings = {"family": "timm", "name": name, "input_size": list(size), "mean": list(mean), "std": list(std)}
    digest = digest_json({**settings, "tensors": describe_tensors(module.state_dict())})
    why = f"timm:{name} is a foreign network: no Lipschitz constant is proved for its layers"
    spec = f"timm:{name}" if pretrained else f"timm:{name}{RANDOM_SUFFIX}"
    return ForeignEmbedder(Foreign(module, spec, spec, (size[1], size[2]), mean, std, why, digest))


def load_torchscript(file: str, *, input_size: tuple[int, int] = DEFAULT_TORCHSCRIPT_SIZE) -> ForeignEmbedder:
    """A TorchScript file taking (b, 3, h, w) in [0, 1]; it normalises inside if it needs to.

    A TorchScript file is a program. It is run as it is: use files you trust.

    Args:
        file: its path.
        input_size: (height, width) to resize images to.

    Raises:
        ModelError: where the file is missing, is not TorchScript, or does not embed.
    """
    path = Path(file)
    if not path.is_file():
        what = "a directory" if path.is_dir() else "not there"
        raise ModelError(f"TorchScript file {path} is {what}")
    height, width = input_size
    spec = f"torchscript:{path.resolve()}@{height}x{width}"
    digest = digest_json({"family": "torchscript", "file": sha256_file(path), "input_size": [height, width]})
    why = f"{path.name} is a foreign program: no Lipschitz constant is proved for it"
    zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return ForeignEmbedder(Foreign(_read_script(path), path.stem, spec, input_size, zero, one, why, digest))


def _read_script(path: Path) -> nn.Module:
    with warnings.catch_warnings():
        # torch announces that it will retire TorchScript; users of this spec have chosen it knowingly.
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.load.* is deprecated")
        try:
            return torch.jit.load(str(path), map_location="cpu")
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"{path} is not a TorchScript file: {str(error).splitlines()[0][:120]}") from None


def _require_known(name: str) -> None:
    import timm

    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models(), n=3)
        hint = f"; close: {', '.join(close)}" if close else "; see timm.list_models()"
        raise ModelError(f"timm has no model {name!r}{hint}")


def _require_weights(name: str) -> bool:
    """True, or an error that names the tags there are."""
    import timm

    _require_known(name)
    if not timm.models.is_model_pretrained(name):
        architecture = name.partition(".")[0]
        tags = timm.list_models(f"{architecture}*", pretrained=True)[:3]
        hint = f"; there are: {', '.join(tags)}" if tags else ""
        raise ModelError(
            f"timm has no pretrained weights called {name!r}{hint}; or take random weights (pretrained off)"
        )
    return True


def _fetch(name: str) -> nn.Module:
    import timm

    try:
        return timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # the name is known: what fails here is the network, the hub or its cache
        reason = (str(error).strip().splitlines() or [""])[0]
        raise WeightsUnavailable(
            f"cannot fetch the weights of timm model {name!r} ({type(error).__name__}: {reason}); "
            "connect to the hub once so that they are cached, or take random weights: "
            f"timm:{name}{RANDOM_SUFFIX}, or pretrained off"
        ) from error


def _random(name: str) -> nn.Module:
    import timm

    _require_known(name)
    create: Callable[..., nn.Module] = timm.create_model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return create(name, pretrained=False, num_classes=0)
        except (RuntimeError, UsageError) as error:
            raise ModelError(f"timm cannot build {name!r}: {error}") from None
