"""Facts about one embedder, for ``retr models show``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .contract import Embedder
from .model_file import SUFFIX, read_header
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
    path = Path(embedder.spec.removeprefix("file:"))
    if embedder.spec.endswith(SUFFIX) or embedder.spec.startswith("file:"):
        header = read_header(path)
        facts |= {"layers": header["lipschitz"]["layers"], "card": header["card"], "training": header["training"]}
    return facts


def _facts(embedder: Embedder) -> dict[str, Any]:
    bound = embedder.lipschitz
    rounding = {str(kind).removeprefix("torch."): embedder.rounding(kind) for kind in (torch.float32, torch.float64)}
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
        "rounding": {name: None if error is None else error.value for name, error in rounding.items()},
    }
