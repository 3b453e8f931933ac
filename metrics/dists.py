"""Structure and texture in VGG features: DISTS by ``DISTS_pytorch``, and its locally adaptive form A-DISTS.

A-DISTS takes the same features and needs no weights of its own: statistics of Gaussian windows replace global ones,
and how much texture counts against structure follows from the reference's dispersion at each place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .checkpoints import read_tensors
from .contract import Facts, Metric, in_float32
from .packages import absent, package
from .ssim import gaussian_taps
from .trunks import LICENCE, trunk_missing, with_trunk

C1 = C2 = 1e-6
WINDOW = 21
DISPERSION = ((1.0, 0.29), (2.0, 0.52), (2.95, 0.56), (0.97, 0.25), (0.21, 0.10))
"""Centre and width of the logistic curve from dispersion to the weight of structure, per stage of VGG."""

DISTS_FACTS = Facts(
    name="dists",
    title="DISTS",
    source="Ding, Ma, Wang & Simoncelli 2020 (arXiv 2004.07728); images as they are, not resized to 256 px",
    highest=2.0,
    smallest_side=16,
    licence=f"MIT (DISTS_pytorch); {LICENCE}",
    weights="α, β in the package DISTS_pytorch; VGG trunk from torchvision, kept in torch's hub folder",
)

A_DISTS_FACTS = Facts(
    name="a-dists",
    title="A-DISTS",
    source="Ding, Liu, Zou, Wang & Ma 2021 (arXiv 2110.08521); first image the reference, window 21",
    highest=2.0,
    smallest_side=16,
    licence=f"Apache-2.0 (retr), features by MIT (DISTS_pytorch); {LICENCE}",
    weights="VGG trunk from torchvision, kept in torch's hub folder",
)


def load_dists() -> Metric:
    """The metric ``dists``.

    Raises:
        ModelError: where the package is absent.
        WeightsUnavailable: where the trunk cannot be loaded.
    """
    network = dists_network(wanted_by="dists")
    return Metric(DISTS_FACTS, in_float32(lambda ref, img: network(ref, img, require_grad=True)), module=network)


def load_a_dists() -> Metric:
    """The metric ``a-dists``.

    Raises:
        ModelError: where the package is absent.
        WeightsUnavailable: where the trunk cannot be loaded.
    """
    network = dists_network(wanted_by="a-dists")

    def measure(ref: Tensor, img: Tensor) -> Tensor:
        return a_dists_distance(network.forward_once(ref), network.forward_once(img))

    return Metric(A_DISTS_FACTS, in_float32(measure), module=network)


def dists_missing() -> str | None:
    """Why DISTS and A-DISTS do not run now, or None."""
    return absent("DISTS_pytorch", extra="metrics") or trunk_missing("vgg")


def dists_network(*, wanted_by: str) -> Any:
    """The package's module with the α and β that lie beside its code.

    The package itself would read them from the environment's root, where only some installers put them.
    """
    dists = package("DISTS_pytorch", extra="metrics", wanted_by=wanted_by)
    network = with_trunk("vgg", lambda: dists.DISTS(load_weights=False), wanted_by=wanted_by)
    pooled = read_tensors(Path(dists.__file__).parent / "weights.pt")
    network.load_state_dict(pooled, strict=False)
    return network


def a_dists_distance(ref: list[Tensor], img: list[Tensor]) -> Tensor:
    """From six feature maps each (the image and five stages of VGG) to (b,).

    Stages are visited from the last to the first. The image itself has no dispersion of its own: it is weighted by
    that of the first stage, which has its size.
    """
    total = torch.zeros(len(ref[0]), dtype=ref[0].dtype, device=ref[0].device)
    structure_share = torch.zeros(())
    for stage in reversed(range(len(ref))):
        mean_ref, mean_img, var_ref, var_img, covariance = _statistics(ref[stage], img[stage])
        if stage > 0:
            centre, width = DISPERSION[stage - 1]
            dispersion = (var_ref / (mean_ref + 1e-12)).mean(1, keepdim=True)
            structure_share = torch.sigmoid((dispersion - centre) / width)
        texture = (2 * mean_ref * mean_img + C1) / (mean_ref**2 + mean_img**2 + C1)
        structure = (2 * covariance + C2) / (var_ref + var_img + C2)
        similarity = (1 - structure_share) * texture + structure_share * structure
        total = total + similarity.mean((2, 3)).sum(1)
    return 1 - total / sum(features.shape[1] for features in ref)


def _statistics(ref: Tensor, img: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Means, variances and covariance under a window, or over all of a map that is smaller than the window."""
    mean_ref, mean_img = _average(ref), _average(img)
    if min(ref.shape[2:]) < WINDOW:  # centred first, which loses nothing to rounding
        ref, img = ref - mean_ref, img - mean_img
        return mean_ref, mean_img, _average(ref**2), _average(img**2), _average(ref * img)
    variances = _average(ref**2) - mean_ref**2, _average(img**2) - mean_img**2
    return mean_ref, mean_img, *variances, _average(ref * img) - mean_ref * mean_img


def _average(x: Tensor) -> Tensor:
    if min(x.shape[2:]) < WINDOW:
        return x.mean((2, 3), keepdim=True)
    taps = gaussian_taps(WINDOW, WINDOW / 3, x).view(1, 1, -1, 1).expand(x.shape[1], 1, -1, 1)
    return functional.conv2d(functional.conv2d(x, taps, groups=x.shape[1]), taps.mT, groups=x.shape[1])
