"""Models inside an index: packaged weights are kept in it, so that a later release can still query it."""

from __future__ import annotations

import pytest
import torch
from drawn import Quiet

from retr.core.errors import IntegrityError, UsageError
from retr.embedding import packaged
from retr.embedding.model_file import save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.retr_network import RetrArchitecture, RetrNetwork, retr_blueprint
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.models import open_model
from retr.indexer.snapshot import require_current

pytestmark = pytest.mark.usefixtures("kept_proofs")

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


def test_two_files_of_one_architecture_are_two_channels(corpus, tmp_path):
    files = []
    for seed in (0, 1):
        release(tmp_path / str(seed), seed)
        files.append(str(tmp_path / str(seed) / "retr_s.safetensors"))
    build_index(str(corpus), tmp_path / "index", IndexOptions(models=tuple(files)), Quiet())
    channels = require_current(tmp_path / "index").channels
    assert [channel.name for channel in channels] == [f"n@{channel.model_digest[:6]}" for channel in channels]
    assert build_index(str(corpus), tmp_path / "index", IndexOptions(models=tuple(files)), Quiet()).indexed == 0
    with pytest.raises(UsageError, match="named twice"):
        build_index(str(corpus), tmp_path / "twice", IndexOptions(models=(files[0], files[0])), Quiet())
