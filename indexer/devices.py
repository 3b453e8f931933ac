"""Embedders on every device that bulk embedding may use, and what happens where one of them fails.

A device that cannot run a model, or runs out of memory on the way, costs time and no image: its share is embedded on
the processor, and one line says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path

import torch

from ..core.progress import Progress, note
from ..embedding.contract import Embedder
from .models import open_model
from .snapshot import ChannelSpec

Team = Sequence[Embedder]
"""The embedders of all channels, on one device."""


def open_teams(
    index: Path, channels: Sequence[ChannelSpec], devices: Sequence[str], progress: Progress
) -> tuple[Team, ...]:
    """Load the models of an index once, and put them on each device that runs them; else on the processor.

    Args:
        index: its folder.
        channels: what to load.
        devices: of torch, for example ``cpu`` or ``cuda:0``.
        progress: told where a device cannot be used.

    Raises:
        IntegrityError, ModelError: as ``models.open_model``.
    """
    here = tuple(open_model(index, channel) for channel in channels)
    if tuple(devices) == ("cpu",):
        return (here,)
    there = [team for device in devices if (team := _moved(here, device, progress)) is not None]
    return tuple(there) or (here,)


def _moved(team: Team, device: str, progress: Progress) -> Team | None:
    """A copy of the models on a device, tried on one image; None where that fails."""
    try:
        moved = tuple(deepcopy(embedder).to(device) for embedder in team)
        for embedder in moved:
            with torch.inference_mode():
                embedder.bulk(torch.zeros(1, 3, *embedder.input_size, device=embedder.device)).cpu()
    except (RuntimeError, AssertionError) as error:  # torch raises either where a device is not there
        note(progress, f"device {device} cannot be used ({_first_line(error)}); embedding without it")
        return None
    return moved


def spare_team(team: Team, progress: Progress) -> Callable[[Exception], Team]:
    """What embeds in place of a device that fails on the way: the same models on the processor, made once.

    Args:
        team: on any device.
        progress: told the first time.
    """

    @cache
    def made() -> Team:
        return tuple(deepcopy(embedder).to("cpu") for embedder in team)

    told = set[str]()

    def spare(error: Exception) -> Team:
        if not told:
            told.add("once")
            note(progress, f"a device failed ({_first_line(error)}); what it was given is embedded on the processor")
        return made()

    return spare


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
