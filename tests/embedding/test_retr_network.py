"""The copy network: shapes, seeds, folding, proof, model files, timm."""

import dataclasses
import functools
import json
import sys

import pytest
import safetensors
import safetensors.torch
import timm
import torch
from torch import nn

from retr.cli import main
from retr.core.errors import IntegrityError, ModelError, UsageError, WeightsUnavailable
from retr.core.files import canonical_json, digest_json
from retr.embedding import retr_backbones
from retr.embedding.describe import prove_file
from retr.embedding.model_file import load_model, save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.retr_network import (
    LAYERS,
    RETR_M,
    RETR_S,
    RetrArchitecture,
    RetrNetwork,
    flops,
    folded_skeleton,
    parameter_count,
    retr_blueprint,
)

SMALL = RetrArchitecture(image=16, patch=2, widths=(14, 16), depths=(2, 1), dim=10)


def small(layer: str) -> RetrArchitecture:
    return RetrArchitecture(image=16, patch=2, widths=(14, 16), depths=(2, 1), layer=layer, dim=10)


def build(architecture: RetrArchitecture, seed: int = 0) -> RetrNetwork:
    return RetrNetwork(architecture, generator=torch.Generator().manual_seed(seed)).eval()


@functools.cache
def embedder(architecture: RetrArchitecture = SMALL) -> NetworkEmbedder:
    return NetworkEmbedder(build(architecture).fold(), retr_blueprint(architecture, "cosine"), name="n", spec="n")


def pixels(architecture: RetrArchitecture, count: int = 3) -> torch.Tensor:
    side = architecture.image
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", LAYERS)
class TestEveryLayerKind:
    def test_trainable_and_shipped_networks_are_one_function(self, layer):
        network, x = build(small(layer)), pixels(small(layer))
        assert torch.allclose(network(x), embedder(small(layer)).network(x), atol=1e-5, rtol=1e-5)

    def test_it_is_proved_1_lipschitz(self, layer):
        proof = embedder(small(layer)).proof
        assert proof is not None
        assert 0.2 < proof.total.value <= 1.0
        assert proof.output_shape == (10,)

    def test_the_skeleton_has_the_same_places(self, layer):
        shipped = embedder(small(layer)).network.state_dict()
        skeleton = folded_skeleton(small(layer)).state_dict()
        assert {n: v.shape for n, v in shipped.items()} == {n: v.shape for n, v in skeleton.items()}

    def test_it_comes_back_from_a_file(self, layer, tmp_path):
        made = embedder(small(layer))
        save_model(made, tmp_path / "m.safetensors", {})
        loaded, x = load_model(tmp_path / "m.safetensors"), pixels(small(layer)).double()
        assert torch.equal(loaded.forward(x), made.forward(x))
        assert loaded.digest == made.digest

    def test_the_seed_fixes_the_start(self, layer):
        first, again, other = (build(small(layer), seed).state_dict() for seed in (0, 0, 1))
        assert all(torch.equal(first[n], again[n]) for n in first)
        assert not all(torch.equal(first[n], other[n]) for n in first)

    def test_rounding_is_bounded(self, layer):
        made, x = embedder(small(layer)), pixels(small(layer))
        bounds = [made.rounding(dtype) for dtype in (torch.float32, torch.float64)]
        assert all(bound is not None for bound in bounds)
        error = float((made.forward(x).double() - made.forward(x.double())).norm(dim=1).max())
        assert error <= sum(bound.value for bound in bounds if bound)


def test_numbers_kept_in_float64_give_the_bits_of_numbers_brought_to_it():
    proved = embedder(small("orthogonal"))
    x = torch.rand(3, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    with torch.inference_mode():
        proved.forward(x.detach())  # what is kept is differentiable through, wherever it was made
    out = proved.forward(x)
    assert torch.equal(out, proved.network(x))
    out.sum().backward()
    assert x.grad is not None
    assert all(one.dtype == torch.float32 for one in proved.network.state_dict().values())


def test_the_small_network_keeps_to_its_budget():
    assert parameter_count(RETR_S) <= 5_000_000
    assert flops(RETR_S) <= 0.5e9
    assert RETR_S.dim <= 256
    assert sum(v.numel() for v in folded_skeleton(RETR_S).state_dict().values()) * 4 <= 20e6
    assert 1.5 <= parameter_count(RETR_M) / parameter_count(RETR_S) <= 4


def test_operations_are_counted():
    a = RetrArchitecture(image=8, patch=4, widths=(48,), depths=(2,), dim=5)
    assert flops(a) == 2 * (2 * 2 * 2 * 9 * 48 * 48 + 48 * 4 * 5)
    assert flops(dataclasses.replace(a, layer="mix")) == 2 * (2 * 2 * 2 * 48 * 48 + 48 * 4 * 5)


def test_it_is_blind_to_the_brightness_of_a_channel():
    network, x = build(SMALL).double(), pixels(SMALL).double() / 2
    brighter = x + torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)[:, None, None]
    assert torch.allclose(network(x), network(brighter), atol=1e-12)


def test_channels_are_padded_or_cut_to_the_width():
    names = dict(RetrNetwork(SMALL).body.named_modules())
    assert "stage0.pad" in names
    assert "stage1.cut" in names


def test_an_architecture_survives_json():
    text = json.dumps(RETR_M.as_json())
    assert RetrArchitecture.from_json(json.loads(text)) == RETR_M
    for wrong in ({"image": 64}, {**RETR_S.as_json(), "layer": "conv"}, {**RETR_S.as_json(), "widths": 3}):
        with pytest.raises(ModelError, match="retr architecture"):
            RetrArchitecture.from_json(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"image": 60},
        {"widths": (64,)},
        {"widths": (), "depths": ()},
        {"widths": (63, 255)},
        {"dim": 0},
        {"patch": 1.5},
        {"activation": "relu"},
    ],
)
def test_shapes_that_cannot_be_are_refused(change):
    with pytest.raises(UsageError):
        RetrArchitecture(**{"image": 64, **change})


# --- retr models prove ---------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(embedder(), path, {})
    return path


def reseal(path, **changes):
    with safetensors.safe_open(path, framework="pt") as handle:
        header = json.loads(handle.metadata()["retr"])
    header.update(changes)
    header["digest"] = digest_json({k: v for k, v in header.items() if k != "digest"})
    data = safetensors.torch.save(safetensors.torch.load_file(path), metadata={"retr": canonical_json(header).decode()})
    path.write_bytes(data)


def test_a_file_is_proved_again(file):
    facts = prove_file(file)
    assert facts["lipschitz"]["value"] <= 1.0
    assert [x["name"] for x in facts["layers"]][:3] == ["centre", "unshuffle", "stage0.pad"]
    assert all(x["slack"] >= x["value"] - 1.0 and x["method"] for x in facts["layers"])
    assert 0 < facts["rounding"]["float64"] < facts["rounding"]["float32"]


def test_a_layer_stated_better_than_it_is_is_noticed(file):
    facts = prove_file(file)
    layers = [{**x, "value": 0.5} if x["name"] == "head" else x for x in facts["layers"]]
    reseal(file, lipschitz={**facts["lipschitz"], "layers": layers})
    with pytest.raises(IntegrityError, match="at head"):
        prove_file(file)
    reseal(file, lipschitz={**facts["lipschitz"], "layers": layers[:-1]})
    with pytest.raises(IntegrityError, match="other layers"):
        prove_file(file)


def command(*words: str) -> object:
    """Exit code of a command, run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["retr", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return ended.value.code


@pytest.mark.parametrize("place", [400, -5])
def test_the_command_ends_with_5_on_a_changed_byte(file, place, capsys):
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(bytes(data))
    assert command("models", "prove", str(file)) == 5
    assert "retr: " in capsys.readouterr().err


def test_the_command_prints_every_layer(file, capsys):
    assert command("models", "prove", str(file), "--format", "json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["schema"] == "retr.model-proof/1"
    assert len(facts["layers"]) == 13
    assert {"name", "kind", "value", "method", "slack"} == set(facts["layers"][0])
    assert command("models", "prove", str(file)) == 0
    table = capsys.readouterr().out
    assert all(kind in table for kind in ("centre", "linear-conv", "maxmin", "product"))
    assert "rounding of an embedding in float64" in table


# --- timm ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "architecture"), [("retr_s", RETR_S), ("retr_m", RETR_M)])
def test_timm_creates_them(name, architecture):
    model = timm.create_model(name, num_classes=0)
    assert isinstance(model, retr_backbones.TimmRetr)
    assert model.num_features == architecture.dim
    assert model.pretrained_cfg["input_size"] == (3, architecture.image, architecture.image)
    with torch.no_grad():
        assert model(torch.rand(1, *model.pretrained_cfg["input_size"])).shape == (1, architecture.dim)


def test_timm_is_told_what_there_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(retr_backbones, "WEIGHTS", tmp_path)
    with pytest.raises(WeightsUnavailable, match="retr train copies"):
        retr_backbones.retr_s(pretrained=True)
    with pytest.raises(UsageError, match="num_classes"):
        retr_backbones.retr_s(num_classes=10)
    with pytest.raises(UsageError, match="drop_rate"):
        retr_backbones.retr_m(drop_rate=0.5)


def test_packaged_weights_are_loaded_folded(tmp_path, monkeypatch):
    monkeypatch.setattr(retr_backbones, "WEIGHTS", tmp_path)
    made = embedder()
    save_model(made, tmp_path / "retr_s.safetensors", {})
    model, x = retr_backbones.retr_s(pretrained=True), pixels(SMALL)
    assert torch.equal(model(x), made.forward(x))
    assert isinstance(model.body, nn.Sequential)


def test_plain_images_lie_at_the_origin():
    network, x = build(SMALL), pixels(SMALL)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
    shipped = network.fold()
    plain = torch.ones(2, 3, 16, 16) * torch.tensor([0.2, 0.9]).view(2, 1, 1, 1)
    assert network(plain).abs().max() < 1e-6
    assert shipped(plain).abs().max() < 1e-6
    assert torch.allclose(network(x), shipped(x), atol=1e-5)
    untranslated = build(dataclasses.replace(SMALL, centring="none"))
    untranslated.load_state_dict(network.state_dict())
    moved = untranslated(x) - network(x)
    assert moved.norm() > 1e-2
    assert torch.allclose(moved, moved[:1].expand_as(moved), atol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_without_constants_the_contrast_scales_the_embedding(layer):
    architecture = dataclasses.replace(small(layer), centring="homogeneous")
    network, x = build(architecture), pixels(architecture)
    shipped = network.fold()
    fainter = 0.3 * x + 0.5
    assert torch.allclose(network(fainter), 0.3 * network(x), atol=1e-5)
    assert torch.allclose(shipped(fainter), 0.3 * shipped(x), atol=1e-5)
    assert not any(p.requires_grad for n, p in network.named_parameters() if n.endswith("bias"))
    with_constants = build(dataclasses.replace(architecture, centring="none"))
    for name, parameter in with_constants.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.constant_(parameter, 0.2)
    assert not torch.allclose(with_constants(fainter), 0.3 * with_constants(x), atol=1e-2)
