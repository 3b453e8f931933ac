"""Weights to begin with: the averaged ones of another run's checkpoint. Model files are folded and train no further."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..core.errors import UsageError
from .checkpoint import NAME, read_checkpoint
from .students import Student, student_from_json

_EMA = "ema/"


def read_start(path: Path) -> tuple[Student, dict[str, Tensor]]:
    """The student of a run, and its averaged weights.

    Args:
        path: a run's folder, or its checkpoint.

    Raises:
        UsageError: where there is no checkpoint.
        IntegrityError: for a damaged one.
        ModelError: where it does not say which student it holds.
    """
    options, weights = averaged_weights(path)
    described = options.get("student")
    if not isinstance(described, dict):
        raise UsageError(f"{path} does not say which network it holds; start from a run of `distill` or `2afc`")
    return student_from_json(described), weights


def averaged_weights(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The options that a run was begun with, and its averaged weights.

    Args:
        path: a run's folder, or its checkpoint.

    Raises:
        UsageError: where there is no checkpoint.
        IntegrityError: for a damaged one.
    """
    file = path / NAME if path.is_dir() else path
    if not file.is_file():
        raise UsageError(f"{file} is not there; give the folder of a run to start from, or its {NAME}")
    header, tensors = read_checkpoint(file)
    options = header.get("options")
    weights = {name.removeprefix(_EMA): value for name, value in tensors.items() if name.startswith(_EMA)}
    return options if isinstance(options, dict) else {}, weights


def load_start(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put the weights into a network of the same architecture.

    Raises:
        UsageError: where they do not fit.
    """
    try:
        network.load_state_dict(dict(weights), strict=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(
            f"the weights of {path} are of another network ({reason}); give the architecture of that run"
        ) from None
