"""Words to embedders, and clear errors for other words."""

import subprocess
import sys

import pytest
import torch

from retr.core.errors import ModelError, UsageError
from retr.embedding import packaged
from retr.embedding.describe import describe_model, prove_file
from retr.embedding.model_file import save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.registry import FORMS, list_models, load_embedder
from retr.embedding.retr_network import RetrArchitecture, RetrNetwork, retr_blueprint


@pytest.mark.parametrize(
    ("spec", "name", "size"),
    [
        ("block-means", "block-means", (64, 64)),
        ("block-means:16", "block-means", (64, 64)),
        ("block-means:8", "block-means:8", (32, 32)),
        ("timm:test_resnet#random", "timm:test_resnet#random", (160, 160)),
    ],
)
def test_specs_build_and_rebuild(spec, name, size):
    embedder = load_embedder(spec)
    assert (embedder.name, embedder.input_size) == (name, size)
    again = load_embedder(embedder.spec)
    assert (again.digest, again.spec) == (embedder.digest, embedder.spec)


def test_no_pretrained_is_part_of_the_spec():
    embedder = load_embedder("timm:test_resnet", pretrained=False)
    assert embedder.spec == "timm:test_resnet#random"


@pytest.mark.parametrize("spec", ["", "resnet", "blockmeans", "block_means:4", "model.onnx", "lipsim_small"])
def test_an_unknown_spec_lists_the_forms(spec):
    with pytest.raises(UsageError) as caught:
        load_embedder(spec)
    assert all(form in str(caught.value) for form in FORMS)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("block-means:x", "number of blocks"),
        ("block-means:-4", "number of blocks"),
        ("block-means:1", "2 to 256"),
        ("lipsim", "lipsim:random"),
        ("lipsim:pretrained", "retr models convert"),
        ("lipsim:random:x", "a seed"),
        ("timm:", "timm:resnet18"),
        ("timm:#random", "timm:resnet18"),
        ("torchscript:", "path"),
        ("torchscript:x.pt@0x4", "positive"),
        ("file:", "path"),
        ("retr_s:7", "takes nothing after its name"),
    ],
)
def test_a_half_right_spec_says_what_is_missing(spec, message):
    with pytest.raises(UsageError, match=message):
        load_embedder(spec)


def test_paths_that_are_no_models(tmp_path):
    other = tmp_path / "model.bin"
    other.write_bytes(b"x")
    with pytest.raises(UsageError, match="is a directory"):
        load_embedder(str(tmp_path))
    with pytest.raises(UsageError, match="file:"):
        load_embedder(str(other))
    with pytest.raises(ModelError, match="not there"):
        load_embedder(str(tmp_path / "absent.safetensors"))
    with pytest.raises(ModelError, match="not there"):
        load_embedder(f"torchscript:{tmp_path}/absent.pt@32x32")


def test_the_list_names_every_form():
    models = list_models()
    assert tuple(m.name for m in models) == FORMS
    assert [m.certified for m in models] == [True] * 4 + [False] * 6
    assert models[0].dim == 768
    assert all(m.needs for m in models)


def test_block_means_does_not_wait_for_timm():
    load = "from retr.embedding.registry import load_embedder as load; load('block-means')"
    code = f"import sys; {load}; print('timm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def save_tiny(path, *, seed=0):
    """A copy network of 10 numbers."""
    shape = RetrArchitecture(image=16, patch=2, widths=(16, 32), depths=(1, 1), dim=10)
    network = RetrNetwork(shape, generator=torch.Generator().manual_seed(seed)).eval()
    path.parent.mkdir(exist_ok=True)
    save_model(NetworkEmbedder(network.fold(), retr_blueprint(shape, "cosine"), name="n", spec="n"), path, {"by": "us"})


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setattr(packaged, "weights_folder", lambda: tmp_path / "weights")
    return tmp_path / "weights"


def test_packaged_weights_are_loaded_by_name(weights):
    save_tiny(weights / "retr_s.safetensors")
    embedder = load_embedder("retr_s")
    assert (embedder.name, embedder.spec, embedder.dim) == ("retr_s", "retr_s", 10)
    assert embedder.lipschitz is not None
    assert describe_model("retr_s")["card"] == {"by": "us"}
    assert next(m.needs for m in list_models() if m.name == "retr_s") == "nothing"


def test_a_file_is_no_packaged_model_because_its_header_says_so(tmp_path):
    shape = RetrArchitecture(image=16, patch=4, widths=(16, 24), depths=(1, 1), dim=10)
    network = RetrNetwork(shape, generator=torch.Generator().manual_seed(0))
    embedder = NetworkEmbedder(network.fold(), retr_blueprint(shape, "cosine"), name="retr_s", spec="x")
    save_model(embedder, tmp_path / "mine.safetensors", {})
    assert describe_model(str(tmp_path / "mine.safetensors"))["name"] == "mine"
    assert prove_file(tmp_path / "mine.safetensors")["name"] == "mine"


def test_a_build_without_weights_says_what_to_do(weights):
    with pytest.raises(ModelError, match=r"without its weights.*retr train copies"):
        load_embedder("retr_s")
    assert "without" in next(m.needs for m in list_models() if m.name == "retr_s")
