"""The embedder made of a network of proved layers."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, final

import torch
from torch import Tensor, nn

from ..core.errors import ModelError, UsageError
from ..core.files import digest_json
from ..core.types import Score, UpperBound
from .bounds import Proof, prove
from .contract import Embedder
from .layers.base import ProvedLayer


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What rebuilds a network, apart from its tensors.

    Attributes:
        family: which builder (``embedding.model_file.FAMILIES``).
        architecture: its parameters, as JSON.
        input_size: (height, width).
        score: how embeddings are compared.
    """

    family: str
    architecture: Mapping[str, Any]
    input_size: tuple[int, int]
    score: Score

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON."""
        size = list(self.input_size)
        return {
            "family": self.family,
            "architecture": dict(self.architecture),
            "input_size": size,
            "score": self.score,
        }


class Prover(Protocol):
    """From a network, the shape of its input and the digests of its tensors to a proof, or a ModelError."""

    def __call__(
        self, network: nn.Module, *, input_shape: tuple[int, ...], tensors: Mapping[str, Mapping[str, Any]]
    ) -> Proof:
        """Prove, or find a proof."""
        ...


@final
class NetworkEmbedder(Embedder):
    """A folded network, with its bound proved from its own numbers when it is built.

    Args:
        network: the folded network; anything ``bounds.prove`` denies makes the embedder uncertified.
        blueprint: what rebuilds it.
        name: for people.
        spec: for ``load_embedder``.
        prover: makes the proof.
    """

    def __init__(
        self, network: nn.Module, blueprint: Blueprint, *, name: str, spec: str, prover: Prover | None = None
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self._double: nn.Module | None = None
        self.blueprint = blueprint
        self.name, self.spec = name, spec
        self.input_size, self.score = blueprint.input_size, blueprint.score
        self.tensors = describe_tensors(network.state_dict())
        self.proof, self.uncertified_because = self._prove(prover or _prove)
        self.lipschitz = self.proof.total if self.proof else None
        self.dim = self.proof.output_shape[0] if self.proof else self._measured_dim()
        self.digest = map_digest(blueprint, self.tensors)

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch (b, 3, h, w) in [0, 1] → (b, dim), in the dtype of x."""
        require_input(x, self.input_size)
        return self._in_float64()(x) if x.dtype == torch.float64 and self.proof else self.network(x)

    def _in_float64(self) -> nn.Module:
        """The network with its float32 numbers written as float64, once: every layer of a proved one would do so anew.

        Proved layers compute in the dtype of their input with their numbers brought to it first, which is exact.
        """
        if self._double is None:
            with torch.inference_mode(False):  # a tensor born in inference mode could never be differentiated through
                self._double = copy.deepcopy(self.network).double()
        return self._double

    def bulk(self, x: Tensor) -> Tensor:
        """As the contract says: every layer by its quickest kernels, on a GPU in whole float32 products."""
        require_input(x, self.input_size)
        return quickly(self.network, x)

    def rounding(self, dtype: torch.dtype) -> UpperBound | None:
        """Forward error on the CPU, from the analysis of each layer; None for other dtypes and unproved networks.

        Assumes float32 matrix products in float32 (torch's default precision, ``highest``).
        """
        return self.proof.rounding(dtype) if self.proof else None

    def to(self, device: str | torch.device) -> Self:
        """Move the weights; returns self."""
        self.network.to(device)
        self._double = None
        return super().to(device)

    def _prove(self, prover: Prover) -> tuple[Proof | None, str | None]:
        try:
            shape = (3, *self.blueprint.input_size)
            return prover(self.network, input_shape=shape, tensors=self.tensors), None
        except ModelError as error:
            return None, str(error)

    def _measured_dim(self) -> int:
        with torch.no_grad():
            return self.network(torch.zeros(1, 3, *self.input_size)).shape[1]


def quickly(module: nn.Module, x: Tensor) -> Tensor:
    """Run a folded network layer by layer, each by ``ProvedLayer.quick`` where it has that."""
    if isinstance(module, nn.Sequential):
        for child in module:
            x = quickly(child, x)
        return x
    return module.quick(x) if isinstance(module, ProvedLayer) else module(x)


def require_input(x: Tensor, input_size: tuple[int, int]) -> None:
    """Refuse a batch that is not (b, 3, h, w) of the embedder's size, in float32 or float64.

    Raises:
        UsageError: naming what is wrong.
    """
    if x.ndim != 4 or tuple(x.shape[1:]) != (3, *input_size):
        raise UsageError(f"expected a batch of shape (b, 3, {input_size[0]}, {input_size[1]}), got {tuple(x.shape)}")
    if x.dtype not in (torch.float32, torch.float64):
        raise UsageError(f"expected float32 or float64 pixels in [0, 1], got {x.dtype}")


def describe_tensors(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Name → dtype, shape and SHA-256 of the little-endian bytes."""
    return {
        name: {
            "dtype": str(value.dtype).removeprefix("torch."),
            "shape": list(value.shape),
            "sha256": _tensor_sha256(value),
        }
        for name, value in sorted(tensors.items())
    }


def map_digest(blueprint: Blueprint, tensors: Mapping[str, Any]) -> str:
    """Digest of everything that defines the map."""
    return digest_json({"blueprint": blueprint.as_json(), "tensors": dict(tensors)})


def _tensor_sha256(value: Tensor) -> str:
    flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(flat.numpy().data).hexdigest()


def _prove(network: nn.Module, *, input_shape: tuple[int, ...], tensors: Mapping[str, Any]) -> Proof:
    del tensors
    return prove(network, input_shape=input_shape)
