"""Published LipSim checkpoints turned into model files.

The authors' ``model.ckpt-N.pth`` is a dict with ``model_state_dict``, whose names are ``module.model.convs.N.kernel``,
``bias`` and ``q``, and ``module.model.linear.N.weight``, ``bias`` and ``q``. N counts modules, so the first dense layer
is ``linear.1``. The same tensors stand again under ``module.model.base.1.…`` (the convolutions) and
``module.model.base.2.…`` (the dense layers).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import ModelError
from ..core.files import sha256_file
from ..core.types import Score
from .checkpoint_file import read_checkpoint
from .layers.sll_conv import QForm
from .model_file import file_spec, save_model
from .network import NetworkEmbedder
from .sll_network import LIPSIM_SMALL, SLLArchitecture, SLLNetwork, parameter_count, sll_blueprint

PREFIX = "module.model."
BASE = {"base.1.": "convs.", "base.2.": "linear."}
"""Where the second copy of a tensor stands, and the name of the first."""


def convert_checkpoint(
    path: Path,
    out: Path,
    *,
    q: QForm = "published",
    architecture: SLLArchitecture = LIPSIM_SMALL,
    score: Score = "cosine",
) -> dict[str, Any]:
    """Convert a published checkpoint to a model file.

    Args:
        path: the checkpoint; only tensors are loaded from it, never code.
        out: the model file to write.
        q: ``published`` computes what the authors' code computes; ``right`` lets q scale the rows in the convolutions
            as the SLL theorem does, which is another function than the one that was trained.
        architecture: the shape to expect.
        score: how embeddings are compared.

    Returns:
        The header of the model file.

    Raises:
        ModelError: where the file is not such a checkpoint, with the first thing that is wrong.
    """
    path = Path(path)
    state = _split(_load(path), path)
    network = _fill(state, architecture, q, path)
    blueprint = sll_blueprint(architecture, score)
    embedder = NetworkEmbedder(network.fold(), blueprint, name=Path(out).stem, spec=file_spec(Path(out)))
    return save_model(embedder, Path(out), _card(path, architecture, q))


def _card(path: Path, architecture: SLLArchitecture, q: QForm) -> dict[str, Any]:
    return {
        "title": "LipSim (arXiv 2310.18274), converted from a published checkpoint",
        "source_file": path.name,
        "source_sha256": sha256_file(path),
        "parameters": parameter_count(architecture),
        "q_form": q,
    }


def _load(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"{path} is {'a directory' if path.is_dir() else 'not there'}; give the authors' .pth file")
    content = read_checkpoint(path)
    state = content.get("model_state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise ModelError(f"{path} is not a LipSim checkpoint: it holds no dict called model_state_dict")
    strange = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if strange:
        raise ModelError(f"{path}: {strange[0]} is not a tensor")
    infinite = [str(name) for name, value in state.items() if not bool(torch.isfinite(value).all())]
    if infinite:
        raise ModelError(f"{path}: {infinite[0]} holds numbers that are not finite")
    return state


def _split(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors under their short names, after checking that both copies of each agree."""
    first: dict[str, Tensor] = {}
    second: dict[str, Tensor] = {}
    for name, value in state.items():
        short = name.removeprefix(PREFIX)
        place = next((b for b in BASE if short.startswith(b)), None)
        if short == name or (place is None and not short.startswith(tuple(BASE.values()))):
            raise ModelError(f"{path}: unexpected tensor {name}; expected {PREFIX}convs.… , linear.… and base.…")
        if place is None:
            first[short] = value
        else:
            second[BASE[place] + short.removeprefix(place)] = value
    _require_agreement(first, second, path)
    return first


def _require_agreement(first: Mapping[str, Tensor], second: Mapping[str, Tensor], path: Path) -> None:
    lonely = sorted(first.keys() ^ second.keys())
    if lonely:
        raise ModelError(f"{path}: {lonely[0]} stands only once; the checkpoint holds every tensor twice")
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    if differing:
        raise ModelError(f"{path}: the two copies of {differing[0]} differ")


def _fill(state: Mapping[str, Tensor], architecture: SLLArchitecture, q: QForm, path: Path) -> SLLNetwork:
    with torch.device("meta"):
        network = SLLNetwork(architecture, q_form=q)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    _require_names(state, expected, path)
    for name, value in state.items():
        _require_tensor(name, value, expected[name], path)
    count = sum(value.numel() for value in state.values())
    assert count == sum(math.prod(shape) for shape in expected.values())
    network.load_state_dict(dict(state), strict=True, assign=True)
    return network


def _require_names(state: Mapping[str, Tensor], expected: Mapping[str, Any], path: Path) -> None:
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or extra:
        what = f"{missing[0]} is missing" if missing else f"{extra[0]} is not part of the network"
        raise ModelError(f"{path}: {what} ({len(missing)} missing, {len(extra)} unknown tensors)")


def _require_tensor(name: str, value: Tensor, shape: tuple[int, ...], path: Path) -> None:
    if tuple(value.shape) != shape:
        raise ModelError(f"{path}: {name} has shape {tuple(value.shape)}, expected {shape}")
    if value.dtype != torch.float32:
        raise ModelError(f"{path}: {name} is {value.dtype}, expected float32")
