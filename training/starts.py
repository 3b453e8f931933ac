"""Weights to begin with: the averaged ones of another run's checkpoint. Model files are folded and train no further."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..core.errors import UsageError
from ..embedding.retr_network import RetrNetwork
from .checkpoint import NAME, read_checkpoint
from .students import Student, student_from_json

_EMA = "ema/"
_BLOCK = re.compile(r"body\.stage(\d+)\.block(\d+)\.")


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


def load_shallower(network: RetrNetwork, weights: Mapping[str, Tensor], path: Path) -> None:
    """As :func:`load_start`, but a network with more blocks at the end of its stages is taken too: they begin idle.

    Raises:
        UsageError: where the weights do not fit otherwise, or such blocks cannot be idle.
    """
    depths = [0] * len(network.architecture.depths)
    for found in map(_BLOCK.match, weights):
        if found and int(found[1]) < len(depths):
            depths[int(found[1])] = max(depths[int(found[1])], int(found[2]) + 1)
    added = {}
    if all(depths):
        network.pass_through(tuple(depths))
        added = {
            name: value
            for name, value in network.state_dict().items()
            if (found := _BLOCK.match(name)) and int(found[2]) >= depths[int(found[1])]
        }
    load_start(network, {**weights, **added}, path)
