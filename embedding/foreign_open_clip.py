"""Image towers of OpenCLIP as foreign embedders: teachers and baselines, uncertified.

Needs the package ``open_clip_torch`` (the extra ``open_clip``). Weights are fetched by the package from its hub.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import ModelError, WeightsUnavailable
from ..core.files import digest_json
from .foreign import RANDOM_SUFFIX, Foreign, ForeignEmbedder
from .network import describe_tensors


class ImageTower(nn.Module):
    """The image half of a CLIP model: (b, 3, h, w), normalised → (b, d), not normalised."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch."""
        return self.visual(x)


def load_open_clip(name: str, *, pretrained: bool = True) -> ForeignEmbedder:
    """An OpenCLIP image tower with its own input size, mean and std; cosine score.

    Args:
        name: ``MODEL/TAG`` as in ``open_clip.list_pretrained()``, for example ``ViT-B-32/laion2b_s34b_b79k``;
            ``MODEL`` alone with pretrained=False.
        pretrained: fetch the weights of the tag; else random weights of a fixed seed.

    Raises:
        ModelError: where the package is absent, or has no such model or tag, with close matches.
        WeightsUnavailable: where the weights cannot be fetched.
    """
    package = _package()
    model, _, tag = name.partition("/")
    _require_known(package, model, tag if pretrained else "")
    if pretrained and not tag:
        tags = ", ".join(package.list_pretrained_tags_by_model(model)[:5]) or "none"
        raise ModelError(f"open_clip:{model} needs the weights' name: open_clip:{model}/TAG (tags: {tags})")
    clip = _fetch(package, model, tag) if pretrained else _random(package, model)
    tower = ImageTower(clip.visual)
    size, mean, std = _preprocessing(clip.visual)
    settings = {"family": "open_clip", "name": model, "input_size": list(size), "mean": list(mean), "std": list(std)}
    digest = digest_json({**settings, "tensors": describe_tensors(tower.state_dict())})
    spec = f"open_clip:{name}" if pretrained else f"open_clip:{model}{RANDOM_SUFFIX}"
    why = f"{spec} is a foreign network: no Lipschitz constant is proved for its layers"
    return ForeignEmbedder(Foreign(tower, spec, spec, size, mean, std, why, digest))


def _package() -> ModuleType:
    try:
        return import_module("open_clip")
    except ImportError as error:
        raise ModelError(f"open_clip: models need the extra: pip install 'retr[open_clip]' ({error})") from None


def _require_known(package: ModuleType, model: str, tag: str) -> None:
    known = package.list_models()
    if model not in known:
        close = ", ".join(difflib.get_close_matches(model, known, n=3)) or "see open_clip.list_models()"
        raise ModelError(f"open_clip has no model {model!r}; close: {close}")
    tags = package.list_pretrained_tags_by_model(model)
    if tag and tag not in tags:
        raise ModelError(f"open_clip has no weights {tag!r} for {model}; there are: {', '.join(tags) or 'none'}")


def _fetch(package: ModuleType, model: str, tag: str) -> Any:
    try:
        return package.create_model(model, pretrained=tag)
    except Exception as error:  # the name is known: what fails here is the network, the hub or its cache
        reason = (str(error).strip().splitlines() or [""])[0]
        raise WeightsUnavailable(
            f"cannot fetch the weights {tag!r} of open_clip model {model!r} ({type(error).__name__}: {reason}); "
            "connect to the hub once so that they are cached, or take random weights (pretrained off)"
        ) from error


def _random(package: ModuleType, model: str) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return package.create_model(model, pretrained=None, pretrained_text=False)


_Triple = tuple[float, ...]


def _preprocessing(visual: Any) -> tuple[tuple[int, int], _Triple, _Triple]:
    """(height, width), mean, std as the tower states them."""
    config: dict[str, Any] = visual.preprocess_cfg
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else size
    return (int(height), int(width)), tuple(config["mean"]), tuple(config["std"])
