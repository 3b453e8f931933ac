"""Models inside an index: packaged weights are kept in it, so that a later release can still query it."""

from __future__ import annotations

import pytest
import torch
from drawn import Quiet

from retr.core.errors import IntegrityError
from retr.embedding import packaged
from retr.embedding.model_file import save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.retr_network import RetrArchitecture, RetrNetwork, retr_blueprint
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.models import open_model
from retr.indexer.snapshot import require_current

SHAPE = RetrArchitecture(image=16, patch=2, widths=(16, 32), depths=(1, 1), dim=10)


def release(folder, seed: int) -> None:
    """Put other weights where the package keeps them."""
    network = RetrNetwork(SHAPE, generator=torch.Generator().manual_seed(seed)).eval()
    folder.mkdir(exist_ok=True)
    embedder = NetworkEmbedder(network.fold(), retr_blueprint(SHAPE, "cosine"), name="n", spec="n")
    save_model(embedder, folder / "retr_s.safetensors", {})


def test_an_index_keeps_the_packaged_model_it_was_made_with(corpus, tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    monkeypatch.setattr(packaged, "weights_folder", lambda: weights)
    release(weights, 0)
    index = tmp_path / "index"
    build_index(str(corpus), index, IndexOptions(models=("block-means:4", "retr_s")), Quiet())
    channel = require_current(index).channels[1]
    assert (channel.name, channel.spec) == ("retr_s", "retr_s")
    assert build_index(str(corpus), index, IndexOptions(models=("block-means:4", "retr_s")), Quiet()).indexed == 0
    release(weights, 1)
    assert open_model(index, channel).digest == channel.model_digest
    (weights / "retr_s.safetensors").unlink()
    assert open_model(index, channel).digest == channel.model_digest
    assert channel.model_file is not None
    (index / channel.model_file).unlink()
    with pytest.raises(IntegrityError, match="is missing: the model of channel retr_s"):
        open_model(index, channel)
