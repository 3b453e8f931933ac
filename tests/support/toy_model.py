"""A certified network of a few hundred numbers, whose bound is proved in milliseconds."""

from __future__ import annotations

from pathlib import Path

import torch

from retr.embedding.model_file import save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.sll_network import SLLArchitecture, SLLNetwork, sll_blueprint

SHAPE = SLLArchitecture(image=16, channels=6, convs=1, conv_inner=4, pools=1, pool=4, denses=1, dense_inner=16, dim=8)


def save_toy(path: Path, *, seed: int = 0) -> Path:
    """Convolutions and dense layers on images of 16 pixels, with random weights, as a model file."""
    network = SLLNetwork(SHAPE, generator=torch.Generator().manual_seed(seed)).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(NetworkEmbedder(network.fold(), sll_blueprint(SHAPE, "cosine"), name="toy", spec="toy"), path, {})
    return path
