"""Learned perceptual image patch similarity, by the package ``lpips`` (Zhang, Isola, Efros, Shechtman & Wang 2018).

R-LPIPS is the same network, its linear layers or all of it trained on adversarial examples (Ghazanfari, Garg,
Krishnamurthy, Khorrami & Araujo 2023): its authors' file is given by path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from .checkpoints import read_tensors, require_file, require_tensors
from .contract import Facts, Measure, Metric, in_float32
from .packages import absent, package
from .trunks import LICENCE, trunk_missing, with_trunk

Trunk = Literal["alex", "vgg", "squeeze"]
TITLES: dict[Trunk, str] = {"alex": "Alex", "vgg": "VGG", "squeeze": "Squeeze"}
SMALLEST: dict[Trunk, int] = {"alex": 31, "vgg": 16, "squeeze": 17}
"""Least side that leaves every layer a pixel."""


def lpips_facts(trunk: Trunk) -> Facts:
    """LPIPS version 0.1 on one trunk."""
    return Facts(
        name=f"lpips-{trunk}",
        title=f"LPIPS ({TITLES[trunk]})",
        source="Zhang, Isola, Efros, Shechtman & Wang 2018 (arXiv 1801.03924), version 0.1",
        smallest_side=SMALLEST[trunk],
        licence=f"BSD-2-Clause (lpips); {LICENCE}",
        weights=f"linear layers in the package lpips; {TITLES[trunk]} trunk from torchvision, in torch's hub folder",
    )


R_LPIPS_FACTS = Facts(
    name="r-lpips",
    title="R-LPIPS",
    source="Ghazanfari et al. 2023 (arXiv 2307.15157): LPIPS (Alex) with the tensors of the file given",
    lowest=float("-inf"),
    smallest_side=SMALLEST["alex"],
    licence=f"BSD-2-Clause (lpips); {LICENCE}; the file: its authors'",
    weights="a file as lpips saves it (its authors' latest_net_.pth); without a trunk in it, torchvision's Alex",
)


def load_lpips(trunk: Trunk) -> Metric:
    """The metric ``lpips-<trunk>``.

    Raises:
        ModelError: where the package is absent.
        WeightsUnavailable: where the trunk cannot be loaded.
    """
    facts = lpips_facts(trunk)
    network = lpips_network(trunk, wanted_by=facts.name)
    return Metric(facts, lpips_measure(network), module=network)


def load_r_lpips(rest: str) -> Metric:
    """The metric ``r-lpips:FILE``.

    Raises:
        UsageError: where no file is named.
        ModelError: where the package or the file is absent, or the file holds other tensors.
        WeightsUnavailable: where the trunk cannot be loaded.
    """
    path = require_file(rest, form="r-lpips:FILE")
    tensors = _single_names(read_tensors(path))
    holds_trunk = any(key.startswith("net.") for key in tensors)
    network = lpips_network("alex", wanted_by="r-lpips", empty=holds_trunk)
    _replace_tensors(network, path, tensors, prefixes=("lin", "net.") if holds_trunk else ("lin",))
    return Metric(R_LPIPS_FACTS, lpips_measure(network), spec=f"r-lpips:{path}", module=network)


def lpips_missing(trunk: Trunk) -> str | None:
    """Why LPIPS on this trunk does not run now, or None."""
    return absent("lpips", extra="metrics") or trunk_missing(trunk)


def lpips_network(trunk: Trunk, *, wanted_by: str, empty: bool = False) -> Any:
    """The package's module, without a word on standard output; with ``empty`` it asks for no trunk's weights."""
    lpips = package("lpips", extra="metrics", wanted_by=wanted_by)
    return with_trunk(trunk, lambda: lpips.LPIPS(net=trunk, pnet_rand=empty, verbose=False), wanted_by=wanted_by)


def lpips_measure(network: Any) -> Measure:
    """[0, 1] pixels to the package's scale, its (b, 1, 1, 1) to (b,)."""

    def measure(ref: Tensor, img: Tensor) -> Tensor:
        return network(ref, img, normalize=True).flatten()

    return in_float32(measure)


def _single_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package holds its linear layers twice, as lin0 … and as lins.0 …; files have either or both."""
    return {key.replace("lins.", "lin"): value for key, value in tensors.items()}


def _replace_tensors(network: nn.Module, path: Path, tensors: dict[str, Tensor], *, prefixes: tuple[str, ...]) -> None:
    """Put a file's tensors whose names begin with one of ``prefixes`` into an LPIPS network, all of them.

    Raises:
        ModelError: where one is missing, or does not fit.
    """
    own = network.state_dict()
    wanted = [key for key in own if key.startswith(prefixes) and not key.startswith("lins.")]
    fitting = {key: tensors[key] for key in wanted if key in tensors and own[key].shape == tensors[key].shape}
    require_tensors(path, wanted, fitting)
    network.load_state_dict(fitting, strict=False)
