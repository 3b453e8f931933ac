"""Checkpoints: safetensors with every number a run needs to go on bit for bit, and JSON inside. No pickle.

Tensors are ``network/NAME``, ``ema/NAME``, ``adamw/PARAMETER/exp_avg`` (``exp_avg_sq``, ``step``), ``recipe/NAME``.
The JSON (metadata key ``retr``) holds the format, the progress, and the SHA-256 of every tensor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..core.errors import IntegrityError, UsageError
from ..core.files import canonical_json, write_atomically
from ..embedding.network import describe_tensors
from .recipe import Recipe

FORMAT = "retr.checkpoint/1"
NAME = "checkpoint.safetensors"
_KEY = "retr"


@dataclass(slots=True)
class Progress:
    """How far a run is.

    Attributes:
        step: updates done, skipped ones included.
        views: images that went through the network.
        seconds: time spent, over all processes that took part one after the other.
        skipped: updates left out because a number was not finite.
        skipped_in_row: how many of them just now.
        best: highest score so far, None before the first evaluation.
        evaluated: step of the last evaluation.
        metrics: what it gave.
    """

    step: int = 0
    views: int = 0
    seconds: float = 0.0
    skipped: int = 0
    skipped_in_row: int = 0
    best: float | None = None
    evaluated: int = -1
    metrics: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trainee:
    """Everything whose numbers a checkpoint holds."""

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    recipe: Recipe


def save_checkpoint(path: Path, trainee: Trainee, progress: Progress, facts: Mapping[str, Any]) -> None:
    """Replace the checkpoint in one step.

    Args:
        path: where.
        trainee: whose numbers.
        progress: how far.
        facts: plan and recipe, as JSON, for the resumed run to compare.
    """
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in _tensors(trainee)}
    described = describe_tensors(tensors)
    header = {"format": FORMAT, "progress": asdict(progress), "tensors": described, **facts}
    write_atomically(path, safetensors.torch.save(tensors, metadata={_KEY: canonical_json(header).decode()}))


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(JSON header, tensors), every tensor checked against its digest.

    Raises:
        IntegrityError: for a file that is damaged or no checkpoint.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as handle:
            header = json.loads((handle.metadata() or {})[_KEY])
        tensors = safetensors.torch.load_file(path)
        sound = header["format"] == FORMAT and header["tensors"] == describe_tensors(tensors)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path} cannot be read as a checkpoint ({error}); {_AGAIN}") from None
    if not sound:
        raise IntegrityError(f"{path} is no {FORMAT} whose tensors match their digests; {_AGAIN}")
    return header, tensors


_AGAIN = "begin again in another folder, or remove this run"


def restore(path: Path, trainee: Trainee, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Progress:
    """Put every number back.

    Raises:
        UsageError: where the checkpoint is of another network.
        IntegrityError: where its progress cannot be read.
    """
    try:
        trainee.network.load_state_dict(_below("network/", tensors), strict=True)
        trainee.average.load_state_dict(_below("ema/", tensors), strict=True)
    except RuntimeError as error:
        raise UsageError(f"{path} is of another network ({str(error).splitlines()[-1].strip()})") from None
    _restore_adamw(trainee, _below("adamw/", tensors))
    trainee.recipe.load_state(_below("recipe/", tensors))
    known = {f.name for f in fields(Progress)}
    if set(header.get("progress", ())) != known:
        raise IntegrityError(f"{path}: the progress must have exactly {', '.join(sorted(known))}; {_AGAIN}")
    return Progress(**header["progress"])


def _tensors(trainee: Trainee) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"network/{name}", value) for name, value in trainee.network.state_dict().items())
    yield from ((f"ema/{name}", value) for name, value in trainee.average.state_dict().items())
    for name, parameter in trainee.network.named_parameters():
        moments = trainee.optimizer.state.get(parameter, {})
        yield from ((f"adamw/{name}/{key}", torch.as_tensor(value)) for key, value in moments.items())
    yield from ((f"recipe/{name}", value) for name, value in trainee.recipe.state().items())


def _restore_adamw(trainee: Trainee, tensors: Mapping[str, Tensor]) -> None:
    """The moments by parameter name; the optimizer itself counts its parameters in the order of its groups."""
    parameters = dict(trainee.network.named_parameters())
    names = {id(parameter): name for name, parameter in parameters.items()}
    ordered = [names[id(p)] for group in trainee.optimizer.param_groups for p in group["params"]]
    moments: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, moment = key.rpartition("/")
        moments.setdefault(name, {})[moment] = _laid_out(value, parameters[name])
    state = {index: moments[name] for index, name in enumerate(ordered) if name in moments}
    groups = trainee.optimizer.state_dict()["param_groups"]
    trainee.optimizer.load_state_dict({"state": state, "param_groups": groups})


def _laid_out(value: Tensor, like: Tensor) -> Tensor:
    """The value in the memory layout of its parameter: the fused update walks both in the order of their memory."""
    return torch.empty_like(like, device="cpu").copy_(value) if value.shape == like.shape and value.ndim else value


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
