"""DreamSim as a foreign embedder: the paper's teacher, uncertified (Fu et al., arXiv 2306.09344).

Needs the package ``dreamsim`` (the extra of that name). Its weights are fetched by the package, once, into torch's hub
folder (``$TORCH_HOME/hub/dreamsim``). Embeddings come as the package normalises them: divided by their length, then
the mean over coordinates subtracted; the ensemble's have 1,792 numbers.
"""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import ModelError, WeightsUnavailable
from ..core.files import digest_json
from .foreign import Foreign, ForeignEmbedder
from .network import describe_tensors

KINDS = ("ensemble", "dino_vitb16", "clip_vitb32", "open_clip_vitb32", "dinov2_vitb14", "synclr_vitb16")
INPUT_SIZE = (224, 224)


class DreamSim(nn.Module):
    """The package's model as a map: (b, 3, 224, 224) in [0, 1] → (b, d)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch; the package drops the batch axis of a single image."""
        return self.model.embed(x).reshape(len(x), -1)


def load_dreamsim(kind: str, *, pretrained: bool = True) -> ForeignEmbedder:
    """DreamSim by kind; cosine score.

    Args:
        kind: one of KINDS; "" for the ensemble.
        pretrained: must be True: without its weights DreamSim is nothing.

    Raises:
        ModelError: where the package is absent, or the kind is unknown.
        WeightsUnavailable: where the weights cannot be fetched, or are declined.
    """
    kind = kind or KINDS[0]
    if kind not in KINDS:
        raise ModelError(f"dreamsim has no kind {kind!r}; choose {', '.join(KINDS)}")
    if not pretrained:
        raise WeightsUnavailable("dreamsim has no random form; leave pretrained on, or choose a timm: model")
    module = DreamSim(_fetch(kind))
    settings = {"family": "dreamsim", "kind": kind, "input_size": list(INPUT_SIZE)}
    digest = digest_json({**settings, "tensors": describe_tensors(module.state_dict())})
    spec = "dreamsim" if kind == KINDS[0] else f"dreamsim:{kind}"
    why = f"{spec} is a foreign network: no Lipschitz constant is proved for its layers"
    zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return ForeignEmbedder(Foreign(module, spec, spec, INPUT_SIZE, zero, one, why, digest))


def _fetch(kind: str) -> Any:
    try:
        package = import_module("dreamsim")
    except ImportError as error:
        raise ModelError(f"dreamsim needs the extra: pip install 'retr[dreamsim]' ({error})") from None
    cache = Path(torch.hub.get_dir()) / "dreamsim"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        # The package prints what it does; standard output is the answer's.
        with contextlib.redirect_stdout(sys.stderr):
            model, _ = package.dreamsim(pretrained=True, device="cpu", cache_dir=str(cache), dreamsim_type=kind)
    except Exception as error:  # the kind is known: what fails here is the download, the disk or the cache
        reason = (str(error).strip().splitlines() or [""])[0]
        raise WeightsUnavailable(
            f"cannot fetch the weights of dreamsim {kind} ({type(error).__name__}: {reason}); connect once so that "
            f"they are kept in {cache}, or unpack them there by hand"
        ) from error
    return model
