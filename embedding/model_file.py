"""Model files: safetensors with the folded float32 weights, and a JSON header that states what is proved.

The header (metadata key ``retr``) holds: format, name, family, architecture, input_size, dim, score, lipschitz (value,
method, layers), rounding per dtype, tensors (dtype, shape, SHA-256 each), model_digest (the map alone), training, card,
and digest, which covers the header itself and through the tensor table every weight. No pickle.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..core.errors import IntegrityError, ModelError
from ..core.files import canonical_json, digest_json, write_atomically
from ..core.types import UpperBound
from .bounds import Proof
from .contract import Embedder
from .kept_proofs import kept_or_proved
from .network import Blueprint, NetworkEmbedder
from .retr_network import RetrArchitecture
from .retr_network import folded_skeleton as retr_skeleton
from .sll_network import SLLArchitecture, folded_skeleton

FORMAT = "retr.model/1"
SUFFIX = ".safetensors"
_KEY = "retr"
DTYPES = ("float32", "float64")
"""Arithmetics whose rounding a header states."""


def _sll(architecture: Mapping[str, Any]) -> nn.Sequential:
    return folded_skeleton(SLLArchitecture.from_json(dict(architecture)))


def _retr(architecture: Mapping[str, Any]) -> nn.Sequential:
    return retr_skeleton(RetrArchitecture.from_json(dict(architecture)))


FAMILIES: dict[str, Callable[[Mapping[str, Any]], nn.Sequential]] = {"retr": _retr, "sll": _sll}
"""How each family builds its folded network, with unset numbers."""


def save_model(
    embedder: Embedder, path: Path, card: Mapping[str, Any], *, training: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write an embedder to a model file, in one step.

    Args:
        embedder: one made of a proved network; others have no weights of ours to store.
        path: where; a previous file is replaced.
        card: what people should know (purpose, data, licence, figures), any JSON object.
        training: the record of the run that made the weights, or None.

    Returns:
        The header as written.

    Raises:
        ModelError: for an embedder that cannot be stored, or a card that is not JSON.
    """
    if not isinstance(embedder, NetworkEmbedder) or embedder.proof is None:
        raise ModelError(f"{embedder.name} cannot be a model file: {_unstorable(embedder)}")
    header = _header(embedder, embedder.proof, card, training)
    tensors = {name: value.cpu().contiguous() for name, value in embedder.network.state_dict().items()}
    data = safetensors.torch.save(tensors, metadata={_KEY: canonical_json(header).decode()})
    write_atomically(Path(path), data)
    return header


def read_header(path: Path) -> dict[str, Any]:
    """The header of a model file, its own digest checked; no tensor is read.

    Raises:
        ModelError: where there is no such file, or it is not one of ours.
        IntegrityError: where the file is damaged or the header was changed.
    """
    header = _parse(Path(path))
    stated = header.pop("digest", None)
    if stated != _digest_of(header):
        raise IntegrityError(f"{path}: the header differs from its digest; fetch or convert the model again")
    return {**header, "digest": stated}


def _digest_of(header: Mapping[str, Any]) -> str | None:
    """Its digest; None where it holds what no header can: numbers that are not finite, text that is no text."""
    try:
        return digest_json(header)
    except (ValueError, RecursionError):
        return None


def load_model(path: Path, *, anew: bool = False) -> NetworkEmbedder:
    """Load a model file, check every byte against its digest, and prove its bound from the weights.

    Args:
        path: the file.
        anew: prove it again in any case; otherwise a proof of these very weights that was kept is read instead
            (``kept_proofs``), if it says no less than the header.

    Raises:
        ModelError: where there is no such file, or it is not one of ours, or of an unknown family.
        IntegrityError: where weights differ from their digest, or prove less than the header states.
    """
    path = Path(path)
    header = read_header(path)
    blueprint = _blueprint(path, header)
    network = _build(path, blueprint, _read_tensors(path))
    prover = None if anew else _Kept(header)
    name = str(header.get("name", path.stem))
    embedder = NetworkEmbedder(network, blueprint, name=name, spec=file_spec(path), prover=prover)
    _require_tensors(path, header, embedder)
    _require_proof(path, header, embedder)
    return embedder


@dataclass(frozen=True)
class _Kept:
    """The prover that reads a kept proof; one that says other numbers than the header is not believed."""

    header: Mapping[str, Any]

    def __call__(
        self, network: nn.Module, *, input_shape: tuple[int, ...], tensors: Mapping[str, Mapping[str, Any]]
    ) -> Proof:
        believed = partial(_as_stated, header=self.header)
        return kept_or_proved(network, input_shape=input_shape, tensors=tensors, believed=believed)


def _as_stated(proof: Proof, header: Mapping[str, Any]) -> bool:
    """Whether constants and rounding are those of the header, up to the last bits."""
    try:
        stated = [float(layer["value"]) for layer in header["lipschitz"]["layers"]]
        stated += [float(header["lipschitz"]["value"]), *(float(header["rounding"][name]) for name in DTYPES)]
    except (KeyError, TypeError, ValueError):
        return False
    own = [layer.bound.value for layer in proof.layers] + [proof.total.value]
    own += [_value(proof.rounding(getattr(torch, name))) or math.inf for name in DTYPES]
    return len(own) == len(stated) and all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(own, stated, strict=True))


def file_spec(path: Path) -> str:
    """The spec that loads a model file from any working directory."""
    absolute = str(path.resolve())
    return absolute if absolute.endswith(SUFFIX) else f"file:{absolute}"


def _header(
    embedder: NetworkEmbedder, proof: Proof, card: Mapping[str, Any], training: Mapping[str, Any] | None
) -> dict[str, Any]:
    header = {
        "format": FORMAT,
        "name": embedder.name,
        **embedder.blueprint.as_json(),
        "dim": embedder.dim,
        "lipschitz": _proof_json(proof),
        "rounding": {name: _value(proof.rounding(getattr(torch, name))) for name in DTYPES},
        "tensors": embedder.tensors,
        "model_digest": embedder.digest,
        "training": None if training is None else dict(training),
        "card": dict(card),
    }
    try:
        return {**header, "digest": digest_json(header)}
    except (TypeError, ValueError) as error:
        raise ModelError(f"the card and the training record must be plain JSON: {error}") from None


def _proof_json(proof: Proof) -> dict[str, Any]:
    layers = [{"name": x.name, "kind": x.kind, "value": x.bound.value, "method": x.method} for x in proof.layers]
    return {"value": proof.total.value, "method": proof.total.method, "layers": layers}


def _value(bound: UpperBound | None) -> float | None:
    return None if bound is None else bound.value


def _unstorable(embedder: Embedder) -> str:
    return embedder.uncertified_because or f"it has no weights; its spec {embedder.spec!r} rebuilds it"


def _parse(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(
            f"{path} is {'a directory' if path.is_dir() else 'not there'}; give a model file (.safetensors)"
        )
    try:
        with safetensors.safe_open(path, framework="pt") as handle:
            metadata = handle.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise IntegrityError(f"{path} cannot be read as safetensors: {error}") from None
    return _decode(path, metadata.get(_KEY))


def _decode(path: Path, text: str | None) -> dict[str, Any]:
    try:
        header = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelError(f"{path} has no {FORMAT} header; make model files with `retr models convert` or by training")
    return header


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise IntegrityError(f"{path} cannot be read as safetensors: {error}") from None


def _require_tensors(path: Path, header: Mapping[str, Any], embedder: NetworkEmbedder) -> None:
    found, stated = embedder.tensors, header.get("tensors")
    if found != stated:
        wrong = [name for name in found if not isinstance(stated, dict) or stated.get(name) != found[name]]
        raise IntegrityError(f"{path}: tensors differ from their digests: {', '.join(wrong[:3]) or 'some are missing'}")


def _blueprint(path: Path, header: Mapping[str, Any]) -> Blueprint:
    try:
        height, width = header["input_size"]
        size = (int(height), int(width))
        blueprint = Blueprint(header["family"], header["architecture"], size, header["score"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: the header is incomplete ({error})") from None
    if blueprint.family not in FAMILIES or blueprint.score not in ("cosine", "euclidean"):
        known = ", ".join(FAMILIES)
        raise ModelError(f"{path}: unknown family {blueprint.family!r} (known: {known}) or score {blueprint.score!r}")
    return blueprint


def _build(path: Path, blueprint: Blueprint, tensors: Mapping[str, Tensor]) -> nn.Sequential:
    _check_architecture(path, blueprint, len(tensors))
    try:
        network = FAMILIES[blueprint.family](blueprint.architecture)
    except (RuntimeError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ModelError(f"{path}: no network has such an architecture: {str(error).splitlines()[0][:160]}") from None
    if any(value.dtype != torch.float32 for value in tensors.values()):
        raise IntegrityError(f"{path}: weights must be float32")
    try:
        network.load_state_dict(dict(tensors), strict=True, assign=True)
    except RuntimeError as error:
        raise IntegrityError(f"{path}: the tensors do not fit the architecture: {error}") from None
    return network


MOST_SIDE = 8192
"""Largest side of an input, and largest of any other number of an architecture, in a model file."""


def _check_architecture(path: Path, blueprint: Blueprint, tensors: int) -> None:
    """Refuse numbers out of proportion before anything is built of them: no more layers than the file has tensors."""
    named = blueprint.architecture if isinstance(blueprint.architecture, Mapping) else {}
    flat = [n for value in named.values() for n in (value if isinstance(value, list) else [value])]
    numbers = [n for n in (*flat, *blueprint.input_size) if isinstance(n, int)]
    layers = sum(n for name in ("depths", "convs", "denses") for n in _whole(named.get(name)))
    if blueprint.input_size != (named.get("image"),) * 2:
        raise ModelError(f"{path}: the input is {blueprint.input_size}, and the network's {named.get('image')} a side")
    if max(numbers) > MOST_SIDE or layers > tensors:
        raise ModelError(
            f"{path}: an architecture of {layers} layers in {tensors} tensors, with numbers up to "
            f"{max(numbers)}, of which {MOST_SIDE} is the largest allowed"
        )


def _whole(value: object) -> list[int]:
    return [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, int)]


def _require_proof(path: Path, header: Mapping[str, Any], embedder: NetworkEmbedder) -> None:
    """The weights must prove what the header says; the last bits may depend on the machine's summation order."""
    if embedder.lipschitz is None:
        raise IntegrityError(f"{path}: no bound can be proved: {embedder.uncertified_because}")
    claim = header.get("lipschitz")
    stated = claim.get("value") if isinstance(claim, dict) else None
    proved = embedder.lipschitz.value
    if not (isinstance(stated, int | float) and math.isfinite(stated) and proved <= stated * (1.0 + 1e-9)):
        raise IntegrityError(f"{path}: the header states L ≤ {stated}, the weights prove only {proved}")
    if embedder.digest != header.get("model_digest"):
        raise IntegrityError(f"{path}: the model digest differs from the weights and architecture")
