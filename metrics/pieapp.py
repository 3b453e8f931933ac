"""PieAPP, trained on pairwise preferences, by the package ``piq`` (Prashnani, Cai, Mostofi & Sen 2018)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..core.errors import WeightsUnavailable
from .contract import Facts, Metric, in_float32
from .packages import absent, package

WEIGHTS = "PieAPPv0.1.pth"
STRIDE = 27

FACTS = Facts(
    name="pieapp",
    title="PieAPP",
    source=f"Prashnani, Cai, Mostofi & Sen 2018 (arXiv 1806.02067); patches of 64 px every {STRIDE} px (sparse)",
    lowest=float("-inf"),
    zero_at_identity=False,
    smallest_side=64,
    licence="Apache-2.0 (piq); weights: their authors', whose repository states no licence",
    weights=f"{WEIGHTS} (250 MB), fetched by piq once and kept in torch's hub folder",
)


def weights_file() -> Path:
    """Where piq keeps the weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS


def pieapp_missing() -> str | None:
    """Why it does not run now, or None."""
    path = weights_file()
    unkept = None if path.is_file() else f"{WEIGHTS}, fetched at first use to {path.parent}, or put there by hand"
    return absent("piq", extra="metrics") or unkept


def load_pieapp() -> Metric:
    """The metric ``pieapp``.

    Raises:
        ModelError: where piq is absent.
        WeightsUnavailable: where the weights are neither there nor to be fetched, or do not fit.
    """
    piq = package("piq", extra="metrics", wanted_by=FACTS.name)
    try:
        network = piq.PieAPP(reduction="none", stride=STRIDE, enable_grad=True)
    except (OSError, RuntimeError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        path = weights_file()
        raise WeightsUnavailable(
            f"pieapp cannot load its weights ({type(error).__name__}: {reason}); connect to the network once, or "
            f"put {path.name} into {path.parent}"
        ) from error

    def measure(ref: Tensor, img: Tensor) -> Tensor:
        return network(img.clamp(0, 1), ref.clamp(0, 1))

    return Metric(FACTS, in_float32(measure), module=network)
