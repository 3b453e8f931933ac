"""Weights that torchvision publishes for the trunks of learned metrics: where they are kept, and fetching them.

torchvision keeps a file in torch's hub folder (``$TORCH_HOME/hub/checkpoints``) and fetches it once. A file that is
already there is used as it is: so a trunk trained elsewhere, or a random one for tests, can be put there by name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from ..core.errors import WeightsUnavailable

FILES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
"""Name of the file per trunk, as torchvision saves it."""

LICENCE = "trunk: BSD-3-Clause (torchvision), trained on ImageNet"

T = TypeVar("T")


def trunk_file(trunk: str) -> Path:
    """Where the weights of a trunk are, or would be."""
    return Path(torch.hub.get_dir()) / "checkpoints" / FILES[trunk]


def trunk_missing(trunk: str) -> str | None:
    """Why a trunk's weights cannot be used without a network; None where they are kept already."""
    path = trunk_file(trunk)
    return None if path.is_file() else f"{path.name}, fetched at first use to {path.parent}, or put there by hand"


def with_trunk(trunk: str, build: Callable[[], T], *, wanted_by: str) -> T:
    """Run a package's constructor that makes torchvision load a trunk.

    Args:
        trunk: a key of FILES.
        build: the constructor.
        wanted_by: the metric.

    Raises:
        WeightsUnavailable: where the weights are neither there nor to be fetched, or the file there does not fit.
    """
    with warnings.catch_warnings():
        # The packages use torchvision's former spelling pretrained=True, which it announces to retire.
        warnings.filterwarnings("ignore", message=r".*(pretrained|Arguments other than a weight enum).*deprecated.*")
        try:
            return build()
        except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash or a wrong file is the other
            path = trunk_file(trunk)
            reason = (str(error).strip().splitlines() or [""])[0]
            raise WeightsUnavailable(
                f"{wanted_by} cannot load the {trunk} trunk ({type(error).__name__}: {reason}); connect to the "
                f"network once, or put {path.name} into {path.parent}"
            ) from error
