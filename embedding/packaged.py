"""Weights that come inside the package: one model file per name, under ``embedding/weights``."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ModelError
from .model_file import load_model
from .network import NetworkEmbedder
from .places import weights_folder

NAMES = ("retr_s",)
"""Names that a spec may use as they are."""


def packaged_file(name: str) -> Path | None:
    """The model file of a packaged model; None where this build of the package comes without it."""
    path = weights_folder() / f"{name}.safetensors"
    return path if path.is_file() else None


def load_packaged(name: str) -> NetworkEmbedder:
    """Load a packaged model; its spec and its name are ``name``, wherever the package is installed.

    Raises:
        ModelError: where this build comes without its weights.
        IntegrityError: where the file is damaged.
    """
    path = packaged_file(name)
    if path is None:
        raise ModelError(
            f"{name}: this build of retr comes without its weights ({name}.safetensors is not in {weights_folder()}); "
            "install a release, or train them with `retr train copies` and give the model file"
        )
    embedder = load_model(path)
    embedder.name = embedder.spec = name
    return embedder
