"""Model files keep their promises or are refused."""

import json

import pytest
import safetensors
import safetensors.torch
import torch

from retr.core.errors import IntegrityError, ModelError
from retr.core.files import canonical_json, digest_json
from retr.embedding.block_means import BlockMeans
from retr.embedding.model_file import load_model, read_header, save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.registry import load_embedder
from retr.embedding.sll_network import SLLArchitecture, SLLNetwork, sll_blueprint

SMALL = SLLArchitecture(image=16, channels=6, convs=3, conv_inner=3, pools=1, denses=2, dense_inner=8, dim=40)


@pytest.fixture
def embedder() -> NetworkEmbedder:
    network = SLLNetwork(SMALL, generator=torch.Generator().manual_seed(0))
    return NetworkEmbedder(network.fold(), sll_blueprint(SMALL, "euclidean"), name="small", spec="small")


@pytest.fixture
def file(tmp_path, embedder):
    path = tmp_path / "small.safetensors"
    save_model(embedder, path, {"title": "a test"}, training={"steps": 0})
    return path


def rewrite(path, *, tensors=None, seal=True, **changes):
    """Write the file again with other tensors or header entries, its digest renewed where it is to be sealed."""
    with safetensors.safe_open(path, framework="pt") as handle:
        header = json.loads(handle.metadata()["retr"])
    header.update(changes)
    if seal:
        header["digest"] = digest_json({k: v for k, v in header.items() if k != "digest"})
    metadata = {"retr": canonical_json(header).decode()}
    tensors = safetensors.torch.load_file(path) if tensors is None else tensors
    path.write_bytes(safetensors.torch.save(tensors, metadata=metadata))


def test_a_model_comes_back_as_it_was(file, embedder):
    loaded = load_model(file)
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(loaded.forward(x), embedder.forward(x))
    assert loaded.digest == embedder.digest
    assert loaded.lipschitz == embedder.lipschitz
    assert (loaded.name, loaded.score, loaded.dim) == ("small", "euclidean", 40)
    assert load_embedder(loaded.spec).digest == loaded.digest


def test_the_header_states_what_is_proved(file, embedder):
    header = read_header(file)
    assert header["lipschitz"]["value"] == 1.0
    assert [x["kind"] for x in header["lipschitz"]["layers"]].count("sll-conv") == 3
    assert all(x["method"] for x in header["lipschitz"]["layers"])
    assert header["rounding"]["float64"] == embedder.rounding(torch.float64).value
    assert header["card"] == {"title": "a test"}
    assert header["training"] == {"steps": 0}
    assert header["model_digest"] == embedder.digest
    assert header["architecture"] == SMALL.as_json()


def test_a_file_named_otherwise_is_found_by_its_spec(tmp_path, embedder):
    path = tmp_path / "model.bin"
    save_model(embedder, path, {})
    loaded = load_embedder(f"file:{path}")
    assert load_embedder(loaded.spec).digest == embedder.digest


def test_a_bound_above_one_is_stated_and_kept(tmp_path, embedder):
    embedder.network.get_submodule("convs.0").get_buffer("diagonal").mul_(1.5)
    changed = NetworkEmbedder(embedder.network, embedder.blueprint, name="loose", spec="loose")
    save_model(changed, tmp_path / "loose.safetensors", {})
    loaded = load_model(tmp_path / "loose.safetensors")
    assert loaded.lipschitz is not None
    assert 1.9 < loaded.lipschitz.value < 2.1


def test_weights_that_prove_less_than_stated_are_refused(tmp_path, embedder):
    embedder.network.get_submodule("convs.0").get_buffer("diagonal").mul_(1.5)
    changed = NetworkEmbedder(embedder.network, embedder.blueprint, name="loose", spec="loose")
    header = save_model(changed, tmp_path / "loose.safetensors", {})
    rewrite(tmp_path / "loose.safetensors", lipschitz={**header["lipschitz"], "value": 1.0})
    with pytest.raises(IntegrityError, match="prove only"):
        load_model(tmp_path / "loose.safetensors")


def test_one_changed_weight_is_noticed(file):
    tensors = safetensors.torch.load_file(file)
    tensors["linear.1.weight"][0, 0] += 1e-3
    rewrite(file, tensors=tensors)
    with pytest.raises(IntegrityError, match=r"linear\.1\.weight"):
        load_model(file)


def test_a_changed_header_is_noticed(file):
    rewrite(file, seal=False, score="cosine")
    with pytest.raises(IntegrityError, match="digest"):
        read_header(file)


def test_a_resealed_header_cannot_change_the_map(file):
    rewrite(file, score="cosine")
    with pytest.raises(IntegrityError, match="model digest"):
        load_model(file)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"family": "resnet"}, ModelError),
        ({"score": "dot"}, ModelError),
        ({"input_size": 16}, ModelError),
        ({"architecture": {**SMALL.as_json(), "convs": 2}}, IntegrityError),
        ({"architecture": {"convs": 2}}, ModelError),
        ({"architecture": []}, ModelError),
        ({"lipschitz": {"value": None}}, IntegrityError),
        ({"lipschitz": 1}, IntegrityError),
        ({"format": "retr.model/9"}, ModelError),
    ],
)
def test_headers_that_say_something_else_are_refused(file, changes, error):
    rewrite(file, **changes)
    with pytest.raises(error):
        load_model(file)


def test_damaged_and_foreign_files_are_refused(file, tmp_path):
    data = file.read_bytes()
    for name, content in (("cut", data[: len(data) // 2]), ("empty", b""), ("text", b"hello")):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match="cannot be read"):
            load_model(path)
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(safetensors.torch.save({"w": torch.zeros(1)}))
    with pytest.raises(ModelError, match=r"no retr\.model/1 header"):
        load_model(foreign)
    for path, message in ((tmp_path, "a directory"), (tmp_path / "x.safetensors", "not there")):
        with pytest.raises(ModelError, match=message):
            read_header(path)


def test_embedders_without_a_proof_or_weights_are_not_stored(tmp_path):
    with pytest.raises(ModelError, match="no weights"):
        save_model(BlockMeans(), tmp_path / "b.safetensors", {})
    net = torch.nn.Sequential(torch.nn.Flatten())
    unproved = NetworkEmbedder(net, sll_blueprint(SMALL, "cosine"), name="n", spec="n")
    with pytest.raises(ModelError, match="Flatten"):
        save_model(unproved, tmp_path / "n.safetensors", {})


def test_a_card_must_be_json(tmp_path, embedder):
    with pytest.raises(ModelError, match="JSON"):
        save_model(embedder, tmp_path / "n.safetensors", {"when": object()})
