"""A proof that was kept is the proof that would be made; nothing else is ever read in its place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from retr.core.cache import CACHE, user_cache
from retr.core.errors import ModelError
from retr.core.files import canonical_json, digest_json
from retr.embedding import kept_proofs
from retr.embedding.bounds import Proof, leaves, prove
from retr.embedding.describe import prove_file
from retr.embedding.kept_proofs import ENDING, as_json, from_json, key_of, shipped_proof
from retr.embedding.layers.linear_conv import LinearConv
from retr.embedding.model_file import load_model, save_model
from retr.embedding.network import NetworkEmbedder, describe_tensors
from retr.embedding.packaged import packaged_file
from retr.embedding.places import weights_folder
from retr.embedding.retr_network import LAYERS, RetrArchitecture, RetrNetwork, retr_blueprint

SHAPE = (3, 16, 16)


def architecture(layer: str = "orthogonal", centring: str = "plain") -> RetrArchitecture:
    return RetrArchitecture(image=16, widths=(16, 16), depths=(1, 1), dim=8, layer=layer, centring=centring)


def folded(layer: str = "orthogonal", centring: str = "plain", seed: int = 0) -> nn.Sequential:
    return RetrNetwork(architecture(layer, centring), generator=torch.Generator().manual_seed(seed)).fold()


def key(network: nn.Module, shape: tuple[int, ...] = SHAPE) -> str | None:
    return key_of(leaves(network), shape, describe_tensors(network.state_dict()))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of one's own; whether a proof is made can be seen in ``made``."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE, str(folder))
    return folder / "proofs"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Proof]:
    """Every proof that is made, as it is made."""
    proofs: list[Proof] = []

    def recorded(network: nn.Module, *, input_shape: tuple[int, ...]) -> Proof:
        proofs.append(prove(network, input_shape=input_shape))
        return proofs[-1]

    monkeypatch.setattr(kept_proofs, "prove", recorded)
    return proofs


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    embedder = NetworkEmbedder(folded(), retr_blueprint(architecture(), "cosine"), name="small", spec="small")
    save_model(embedder, path, {"purpose": "tests"})
    return path


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("centring", ["plain", "all"])
def test_every_number_of_a_proof_comes_back(layer: str, centring: str) -> None:
    network = folded(layer, centring)
    proof, name = prove(network, input_shape=SHAPE), key(network)
    assert name is not None
    again = from_json(json.loads(canonical_json(as_json(name, proof))), name, leaves(network), SHAPE)
    assert again == proof
    assert again.rounding(torch.float64) == proof.rounding(torch.float64)


def test_a_second_opening_reads_what_the_first_has_proved(file: Path, cache: Path, made: list[Proof]) -> None:
    first, second = load_model(file), load_model(file)
    assert len(made) == 1
    assert first.proof == second.proof == made[0]
    (kept,) = cache.iterdir()
    assert kept.name.endswith(ENDING)


def test_nothing_is_kept_where_that_is_switched_off(file: Path, made: list[Proof], tmp_path: Path) -> None:
    assert os.environ[CACHE] == "off"
    assert user_cache() is None
    before = sorted(tmp_path.rglob("*"))
    load_model(file)
    load_model(file)
    assert len(made) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_cache_that_cannot_be_written_costs_time_only(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[Proof]
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, not a folder")
    monkeypatch.setenv(CACHE, str(blocked))
    assert load_model(file).proof == load_model(file).proof
    assert len(made) == 2


class TestKey:
    """The key covers everything that a bound depends on."""

    def test_it_is_the_same_for_the_same(self) -> None:
        assert key(folded()) == key(folded()) is not None

    def test_one_bit_of_one_weight(self) -> None:
        network = folded()
        before = key(network)
        with torch.no_grad():
            network.get_submodule("stage0.block0.layer").kernel.view(torch.int32)[0, 0, 0, 0] ^= 1  # type: ignore[operator]
        assert key(network) != before

    def test_a_bias(self) -> None:
        network = folded()
        before = key(network)
        with torch.no_grad():
            network[-1].bias[0] += 1  # type: ignore[index]
        assert key(network) != before

    def test_the_size_of_the_input(self) -> None:
        assert key(folded()) != key(folded(), (3, 32, 32))

    @pytest.mark.parametrize("change", [{"stride": 2}, {"padding": "circular"}, {"groups": 2}])
    def test_settings_of_a_layer(self, change: dict[str, Any]) -> None:
        kernel, bias = torch.ones(4, 4, 3, 3), torch.zeros(4)
        other = LinearConv(kernel[:, : 4 // change.get("groups", 1)], bias, **change)
        assert key(nn.Sequential(LinearConv(kernel, bias))) != key(nn.Sequential(other))

    def test_an_attribute_set_later(self) -> None:
        layer = LinearConv(torch.ones(4, 4, 3, 3), torch.zeros(4))
        before = key(nn.Sequential(layer))
        layer.padding = "circular"
        assert key(nn.Sequential(layer)) != before

    def test_the_order_of_layers(self) -> None:
        first, second = (LinearConv(torch.full((4, 4, 1, 1), x), torch.zeros(4)) for x in (0.1, 0.2))
        assert key(nn.Sequential(first, second)) != key(nn.Sequential(second, first))

    def test_the_prover(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = key(folded())
        monkeypatch.setattr(kept_proofs, "prover_digest", lambda: "another")
        assert key(folded()) != before

    def test_the_prover_is_all_that_takes_part(self) -> None:
        """Whatever module of the package a layer's claim runs through is digested."""
        ours = {module.__name__ for module in kept_proofs._MODULES}
        for name in ("bounds", "spectral", "residual", "forward_error"):
            assert f"retr.embedding.{name}" in ours
        assert {"retr.core.numerics", "retr.core.types"} <= ours

    def test_a_number_outside_the_state_or_a_strange_setting_is_never_kept(self) -> None:
        hidden = LinearConv(torch.ones(4, 4, 1, 1), torch.zeros(4))
        hidden.register_buffer("extra", torch.ones(1), persistent=False)
        assert key(nn.Sequential(hidden)) is None
        strange = LinearConv(torch.ones(4, 4, 1, 1), torch.zeros(4))
        strange.note = object()  # type: ignore[assignment]
        assert key(nn.Sequential(strange)) is None


def _resealed(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Change a kept proof and put it under a digest of its own: what somebody who knows the format can do."""

    def forge(path: Path) -> None:
        value = json.loads(path.read_bytes())
        del value["digest"]
        change(value)
        path.write_bytes(canonical_json({**value, "digest": digest_json(value)}))

    return forge


def _smaller(value: dict[str, Any]) -> None:
    value["layers"][-1]["value"] /= 2


def _no_rounding(value: dict[str, Any]) -> None:
    for layer in value["layers"]:
        layer["errors"] = {name: [0.0, 0.0] for name in layer["errors"]}


def _wide_open(path: Path) -> None:
    _resealed(_smaller)(path)
    path.chmod(0o666)


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


FORGERIES: dict[str, Callable[[Path], Any]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "flipped": _flipped,
    "no-object": lambda path: path.write_text("[]"),
    "a-smaller-constant": _resealed(_smaller),
    "less-rounding": _resealed(_no_rounding),
    "fewer-layers": _resealed(lambda value: value["layers"].pop()),
    "another-key": _resealed(lambda value: value.update(key="0" * 64)),
    "another-kind": _resealed(lambda value: value["layers"][0].update(kind="maxmin")),
    "not-a-number": _resealed(lambda value: value["layers"][0].update(value=None)),
    "writable-by-all": _wide_open,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_or_damaged_proof_is_not_believed(forgery: str, file: Path, cache: Path, made: list[Proof]) -> None:
    honest = load_model(file).proof
    (kept,) = cache.iterdir()
    FORGERIES[forgery](kept)
    assert load_model(file).proof == honest
    assert len(made) == 2


def test_a_forged_proof_is_put_right(file: Path, cache: Path, made: list[Proof]) -> None:
    load_model(file)
    (kept,) = cache.iterdir()
    before = kept.read_bytes()
    _resealed(_smaller)(kept)
    load_model(file)
    load_model(file)
    assert len(made) == 2
    assert kept.read_bytes() == before


def test_no_proof_is_read_from_beside_a_model_file(file: Path, made: list[Proof]) -> None:
    embedder = load_model(file)
    proof = shipped_proof(embedder.network, input_shape=SHAPE, tensors=embedder.tensors)
    for name in (f"small{ENDING}", f"{proof['key']}{ENDING}"):
        (file.parent / name).write_bytes(canonical_json(proof))
    made.clear()
    load_model(file)
    assert len(made) == 1


def test_proving_a_file_reads_nothing_that_was_kept(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_model(file)
    monkeypatch.setattr(kept_proofs, "_read", lambda *_: pytest.fail("a kept proof was read"))
    assert prove_file(file)["lipschitz"]["value"] > 0


def test_a_hook_is_refused_although_a_proof_is_kept(cache: Path, made: list[Proof]) -> None:
    network = folded()
    tensors = describe_tensors(network.state_dict())
    shared = {"input_shape": SHAPE, "tensors": tensors, "believed": lambda _: True}
    kept_proofs.kept_or_proved(network, **shared)
    kept_proofs.kept_or_proved(network, **shared)
    assert len(made) == 1
    network[-1].register_forward_hook(lambda *_: None)
    with pytest.raises(ModelError, match="hooks"):
        kept_proofs.kept_or_proved(network, **shared)


def test_the_packaged_proof_is_the_one_that_is_made_anew(made: list[Proof]) -> None:
    weights = packaged_file("retr_s")
    if weights is None:
        pytest.skip("this build comes without weights")
    read = load_model(weights)
    stale = "the weights or the prover have changed: run python docs/benchmarks/keep_proofs.py"
    assert not made, stale
    anew = load_model(weights, anew=True)
    assert read.proof is not None
    assert anew.proof is not None
    kept = json.loads((weights_folder() / f"retr_s{ENDING}").read_bytes())
    fresh = shipped_proof(anew.network, input_shape=(3, 64, 64), tensors=anew.tensors)
    assert kept["key"] == fresh["key"], stale
    for one, other in zip(read.proof.layers, anew.proof.layers, strict=True):
        assert (one.name, one.kind, one.method) == (other.name, other.kind, other.method)
        assert one.bound.value == pytest.approx(other.bound.value, rel=1e-9)  # the last bits may be the machine's
        for dtype, error in one.claim.errors.items():
            assert error.slope == pytest.approx(other.claim.errors[dtype].slope, rel=1e-9)
            assert error.intercept == pytest.approx(other.claim.errors[dtype].intercept, rel=1e-9)
    assert read.digest == anew.digest


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RETR_CACHE": "/somewhere"}, Path("/somewhere")),
        ({"RETR_CACHE": "off"}, None),
        ({"RETR_CACHE": "", "XDG_CACHE_HOME": "/xdg"}, Path("/xdg/retr")),
        ({"RETR_CACHE": "", "XDG_CACHE_HOME": "relative", "HOME": "/home/x"}, Path("/home/x/.cache/retr")),
    ],
)
def test_where_the_cache_is(variables: dict[str, str], expected: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert user_cache() == expected
