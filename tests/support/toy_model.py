"""A certified network of a few hundred numbers, for tests of what is done with models; its bound is proved at once."""

from __future__ import annotations

from pathlib import Path

import torch

from retr.embedding.model_file import save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.retr_network import RetrArchitecture, RetrNetwork, retr_blueprint


def save_toy(path: Path, *, seed: int = 0) -> Path:
    """The shipped networks' layers on images of 16 pixels, giving 10 numbers, with random weights."""
    shape = RetrArchitecture(image=16, patch=2, widths=(16, 32), depths=(1, 1), dim=10)
    network = RetrNetwork(shape, generator=torch.Generator().manual_seed(seed)).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(NetworkEmbedder(network.fold(), retr_blueprint(shape, "cosine"), name="toy", spec="toy"), path, {})
    return path
