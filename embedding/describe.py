"""Facts about one embedder, for ``retr models show``, and a model file proved anew, for ``retr models prove``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..core.errors import IntegrityError
from ..core.numerics import round_up
from .bounds import Proof
from .contract import Embedder
from .model_file import SUFFIX, load_model, read_header
from .packaged import NAMES, packaged_file
from .registry import load_embedder


def describe_model(spec: str, *, pretrained: bool = True) -> dict[str, Any]:
    """What a model is and what is proved of it; a model file also tells its layers, card and training record.

    Args:
        spec: one of ``registry.FORMS``.
        pretrained: for ``timm:`` models.

    Raises:
        UsageError, ModelError, IntegrityError: as ``load_embedder``.
    """
    embedder = load_embedder(spec, pretrained=pretrained)
    facts = _facts(embedder)
    path = _file_of(embedder.spec)
    if path is not None:
        header = read_header(path)
        facts |= {"name": _called(embedder, path), "layers": header["lipschitz"]["layers"]}
        facts |= {"card": header["card"], "training": header["training"]}
    return facts


def _file_of(spec: str) -> Path | None:
    """The model file behind a spec, or None where there is none."""
    if spec in NAMES:
        return packaged_file(spec)
    return Path(spec.removeprefix("file:")) if spec.endswith(SUFFIX) or spec.startswith("file:") else None


def _packaged(path: Path) -> Path:
    """The file that a packaged model's name stands for; any other path as it is."""
    inside = packaged_file(str(path)) if str(path) in NAMES and not path.exists() else None
    return inside or path


def _called(embedder: Embedder, path: Path) -> str:
    """Its name; a file is no packaged model because its header bears the name of one, as older training runs wrote."""
    return path.stem if embedder.name in NAMES and embedder.spec not in NAMES else embedder.name


def prove_file(path: Path) -> dict[str, Any]:
    """Prove a model file's constant again from its weights, and hold every statement of its header against that.

    Args:
        path: of the file, or the name of a packaged model.

    Returns:
        Per layer and in total: value, method and slack (value − 1, rounded up); the rounding per dtype.

    Raises:
        ModelError: where there is no such file, or it is not one of ours.
        IntegrityError: where header or weights were changed, naming what differs.
    """
    path = _packaged(Path(path))
    embedder = load_model(path, anew=True)
    proof = embedder.proof
    assert proof is not None  # load_model refuses a file without one
    header = read_header(path)
    _require_statements(path, header, proof)
    return {
        "schema": "retr.model-proof/1",
        "name": _called(embedder, path),
        "file": str(path),
        "digest": embedder.digest,
        "input_size": list(embedder.input_size),
        "dim": embedder.dim,
        "lipschitz": {"value": proof.total.value, "method": proof.total.method, "slack": _slack(proof.total.value)},
        "layers": _layers(proof),
        "rounding": _rounding(embedder),
    }


def _layers(proof: Proof) -> list[dict[str, Any]]:
    return [
        {"name": x.name, "kind": x.kind, "value": x.bound.value, "method": x.method, "slack": _slack(x.bound.value)}
        for x in proof.layers
    ]


def _slack(value: float) -> float:
    return 0.0 if value == 1.0 else round_up(value - 1.0)


def _require_statements(path: Path, header: Mapping[str, Any], proof: Proof) -> None:
    """The layers as stated are those proved; the last bits may depend on the machine's summation order."""
    stated = {x.get("name"): x for x in header["lipschitz"].get("layers", ()) if isinstance(x, dict)}
    if list(stated) != [x.name for x in proof.layers]:
        raise IntegrityError(f"{path}: the header lists other layers than the network has")
    for layer in proof.layers:
        claim = stated[layer.name]
        value, kind = claim.get("value"), claim.get("kind")
        if not isinstance(value, int | float) or layer.bound.value > value * (1.0 + 1e-9) or kind != layer.kind:
            raise IntegrityError(
                f"{path}: the header states {kind} with L ≤ {value} at {layer.name}; the weights prove {layer.kind} "
                f"with L ≤ {layer.bound.value}"
            )


def _rounding(embedder: Embedder) -> dict[str, float | None]:
    bounds = {str(kind).removeprefix("torch."): embedder.rounding(kind) for kind in (torch.float32, torch.float64)}
    return {name: None if bound is None else bound.value for name, bound in bounds.items()}


def _facts(embedder: Embedder) -> dict[str, Any]:
    bound = embedder.lipschitz
    return {
        "schema": "retr.model-facts/1",
        "name": embedder.name,
        "spec": embedder.spec,
        "input_size": list(embedder.input_size),
        "dim": embedder.dim,
        "score": embedder.score,
        "digest": embedder.digest,
        "lipschitz": None if bound is None else {"value": bound.value, "method": bound.method},
        "uncertified_because": embedder.uncertified_because,
        "rounding": _rounding(embedder),
    }
