"""Proofs of bounds that were made before, read instead of made again (docs/decisions/0019-kept-proofs.md).

A proof is kept under the digest of all that it depends on: every layer's type, settings and numbers, the shape of the
input, and the source of the prover. Change one bit of any of them, and there is no such proof. It is read from two
places only, both as trusted as the program itself: the package, and the user's own cache folder. It is never read from
beside a model file or from an index, which somebody else may have made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core import numerics, types
from ..core.cache import keep_for_us, only_ours, user_cache
from ..core.errors import ModelError
from ..core.files import canonical_json, digest_json, sha256_bytes
from ..core.types import UpperBound
from . import bounds, forward_error, residual, spectral
from .bounds import ALLOWED, LayerBound, Proof, leaves, prove
from .forward_error import ARITHMETIC, Affine, Claim
from .layers.base import ProvedLayer
from .places import weights_folder

FORMAT = "retr.kept-proof/1"
ENDING = ".proof.json"
_MODULES = (numerics, types, bounds, forward_error, residual, spectral)
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_NAMES = {str(dtype).removeprefix("torch."): dtype for dtype in ARITHMETIC}


def kept_or_proved(
    network: nn.Module,
    *,
    input_shape: tuple[int, ...],
    tensors: Mapping[str, Mapping[str, Any]],
    believed: Callable[[Proof], bool],
) -> Proof:
    """The proof of :func:`.bounds.prove`, read where it was kept, else made and kept.

    The walk over the network is made in any case: a module that is not allowed, a hook or a replaced method is refused
    before anything is read.

    Args:
        network: as for ``prove``.
        input_shape: (c, h, w) of one input.
        tensors: name → dtype, shape and SHA-256 of everything in the network's state, as they are now.
        believed: whether a kept proof says what a second witness says; otherwise it is made anew.

    Raises:
        ModelError: as ``prove``.
    """
    layers = leaves(network)
    key = key_of(layers, input_shape, tensors)
    found = None if key is None else _read(key, layers, input_shape)
    if found is not None and believed(found):
        return found
    proof = prove(network, input_shape=input_shape)
    if key is not None:
        _keep(key, proof)
    return proof


def key_of(
    layers: list[tuple[str, ProvedLayer]], input_shape: tuple[int, ...], tensors: Mapping[str, Mapping[str, Any]]
) -> str | None:
    """Digest of all that a proof depends on; None where something cannot be named, and no proof can be kept."""
    prover = prover_digest()
    if prover is None:
        return None
    try:
        facts = [_facts(name, layer, tensors) for name, layer in layers]
        return digest_json({"format": FORMAT, "prover": prover, "input": list(input_shape), "layers": facts})
    except (KeyError, TypeError, ValueError):
        return None


@cache
def prover_digest() -> str | None:
    """Digest of the source of everything that takes part in a proof; None where the source is not there."""
    folder = Path(str(bounds.__file__)).parent / "layers"
    try:
        files = [Path(str(module.__file__)) for module in _MODULES] + sorted(folder.glob("*.py"))
        return digest_json([[file.name, sha256_bytes(file.read_bytes())] for file in files])
    except OSError:
        return None


def as_json(key: str, proof: Proof) -> dict[str, Any]:
    """A proof as it is kept; every number is there to its last bit."""
    value = {
        "format": FORMAT,
        "key": key,
        "input_shape": list(proof.input_shape),
        "layers": [_layer_json(layer) for layer in proof.layers],
    }
    return {**value, "digest": digest_json(value)}


def from_json(value: Any, key: str, layers: list[tuple[str, ProvedLayer]], input_shape: tuple[int, ...]) -> Proof:
    """The reverse of :func:`as_json`.

    Raises:
        ValueError, KeyError, TypeError: it is damaged, or the proof of something else.
    """
    rest = {name: part for name, part in value.items() if name != "digest"}
    same = rest["format"] == FORMAT and rest["key"] == key and rest["input_shape"] == list(input_shape)
    if not same or value["digest"] != digest_json(rest):
        raise ValueError("a kept proof of something else, or a damaged one")
    found = [_layer(one) for one in rest["layers"]]
    if [(one.name, one.kind) for one in found] != [(name, ALLOWED[type(layer)]) for name, layer in layers]:
        raise ValueError("a kept proof of other layers")
    return Proof.of(found, input_shape)


def _facts(name: str, layer: ProvedLayer, tensors: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A layer's type, settings and numbers; the names of its numbers are those in the network's state."""
    numbers = [one for one, _ in (*layer.named_buffers(), *layer.named_parameters())]
    settings = {one: value for one, value in vars(layer).items() if one not in _OF_EVERY_MODULE}
    held = {one: dict(tensors[f"{name}.{one}" if f"{name}.{one}" in tensors else one]) for one in numbers}
    return {"name": name, "type": type(layer).__qualname__, "settings": settings, "numbers": held}


def _layer_json(layer: LayerBound) -> dict[str, Any]:
    claim = layer.claim
    errors = {name: [claim.errors[dtype].slope, claim.errors[dtype].intercept] for name, dtype in _NAMES.items()}
    return {
        "name": layer.name,
        "kind": claim.kind,
        "value": claim.bound.value,
        "method": claim.bound.method,
        "offset": claim.offset,
        "output": list(claim.output),
        "errors": errors,
    }


def _layer(value: Mapping[str, Any]) -> LayerBound:
    errors: dict[torch.dtype, Affine] = {}
    for name, dtype in _NAMES.items():
        slope, intercept = map(float, value["errors"][name])
        errors[dtype] = Affine(slope, intercept)
    bound = UpperBound(float(value["value"]), str(value["method"]))
    output = tuple(int(side) for side in value["output"])
    return LayerBound(str(value["name"]), Claim(str(value["kind"]), bound, float(value["offset"]), output, errors))


def _read(key: str, layers: list[tuple[str, ProvedLayer]], input_shape: tuple[int, ...]) -> Proof | None:
    for file in _places(key):
        try:
            return from_json(json.loads(file.read_bytes()), key, layers, input_shape)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def _places(key: str) -> Iterator[Path]:
    yield from sorted(weights_folder().glob(f"*{ENDING}"))
    own = _own(key)
    if own is not None and only_ours(own):
        yield own


def _own(key: str) -> Path | None:
    folder = user_cache()
    return None if folder is None else folder / "proofs" / f"{key}{ENDING}"


def _keep(key: str, proof: Proof) -> None:
    """Keep a proof for the next time; where that cannot be, it will be made again."""
    file = _own(key)
    if file is None:
        return
    try:
        keep_for_us(file, canonical_json(as_json(key, proof)))
    except (OSError, ValueError):
        return


def shipped_proof(network: nn.Module, *, input_shape: tuple[int, ...], tensors: Mapping[str, Any]) -> dict[str, Any]:
    """A proof made anew, as it is kept beside the weights that come with the package.

    Raises:
        ModelError: nothing is proved, or the proof cannot be kept.
    """
    key = key_of(leaves(network), input_shape, tensors)
    if key is None:
        raise ModelError("the proof of this network cannot be kept: its layers or the prover cannot be named")
    return as_json(key, prove(network, input_shape=input_shape))
