"""Model files and checkpoints from strangers: an error with a name, quickly, with nothing run and little allocated."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from retr.core.errors import IntegrityError, ModelError, RetrError
from retr.core.files import canonical_json, digest_json
from retr.embedding.checkpoint_file import read_checkpoint
from retr.embedding.model_file import load_model, read_header, save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.retr_network import RETR_S
from retr.embedding.sll_network import SLLArchitecture, SLLNetwork, sll_blueprint

SMALL = SLLArchitecture(image=16, channels=6, convs=3, conv_inner=3, pools=1, denses=2, dense_inner=8, dim=40)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    network = SLLNetwork(SMALL, generator=torch.Generator().manual_seed(0))
    save_model(NetworkEmbedder(network.fold(), sll_blueprint(SMALL, "cosine"), name="small", spec="small"), path, {})
    return path


@pytest.fixture
def file(good, tmp_path) -> Path:
    copy = tmp_path / "small.safetensors"
    copy.write_bytes(good.read_bytes())
    return copy


def with_header(path: Path, text: str) -> Path:
    """The same tensors under another header of ours."""
    path.write_bytes(safetensors.torch.save(safetensors.torch.load_file(path), metadata={"retr": text}))
    return path


def resealed(path: Path, **changes: object) -> Path:
    header = {key: value for key, value in read_header(path).items() if key != "digest"} | changes
    return with_header(path, canonical_json({**header, "digest": digest_json(header)}).decode())


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        DEEP,
        f'{{"format": "retr.model/1", "card": {DEEP}}}',
        '{"format": "retr.model/1", "dim": NaN}',
        '{"format": "retr.model/1", "name": "\\ud800"}',
        '{"format": "retr.model/1", "dim": 1e999}',
        "{}",
        "",
    ],
    ids=["deep", "deep-card", "nan", "surrogate", "infinite", "empty", "nothing"],
)
def test_headers_that_no_writer_makes(file, text):
    with pytest.raises((ModelError, IntegrityError)):
        load_model(with_header(file, text))


@pytest.mark.parametrize(
    "changes",
    [
        {"convs": 10**9},
        {"denses": 10**12},
        {"channels": 2**40},
        {"dense_inner": 2**62},
        {"image": 2**31, "pools": 0},
        {"conv_inner": 10**30},
        {"kernel": 2**33 + 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_architectures_out_of_proportion_are_refused_before_anything_is_built(file, changes):
    sides = [changes.get("image", SMALL.image)] * 2
    with pytest.raises(ModelError, match="architecture"):
        load_model(resealed(file, architecture={**SMALL.as_json(), **changes}, input_size=sides))


@pytest.mark.parametrize("size", [[2**31, 2**31], [16, 2**40], [-1, 16], [0, 0], ["a", 3], [16], 7])
def test_input_sizes_out_of_proportion_are_refused(file, size):
    with pytest.raises((ModelError, IntegrityError)):
        load_model(resealed(file, input_size=size))


def test_a_retr_architecture_of_a_thousand_million_blocks(file):
    architecture = {**RETR_S.as_json(), "depths": [10**9] * len(RETR_S.depths)}
    with pytest.raises(ModelError, match="architecture"):
        load_model(resealed(file, family="retr", architecture=architecture, input_size=[RETR_S.image] * 2))


def lying(length: int, header: dict[str, object], body: bytes = bytes(64)) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length < 0 else length) + text + body


WEIGHT = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}


@pytest.mark.parametrize(
    "data",
    [
        lying(2**63, {"w": WEIGHT}),
        lying(2**40, {"w": WEIGHT}),
        lying(-1, {"w": {**WEIGHT, "shape": [2**31, 2**31]}}),
        lying(-1, {"w": {**WEIGHT, "data_offsets": [0, 2**50]}}),
        lying(-1, {"w": {**WEIGHT, "data_offsets": [64, 0]}}),
        lying(-1, {"w": WEIGHT, "v": WEIGHT}),
        lying(-1, {f"w{number}": {**WEIGHT, "shape": [0]} for number in range(1000)}),
        struct.pack("<Q", 200_000) + DEEP.encode(),
        b"",
        b"\xff" * 7,
    ],
    ids=["length", "long", "shape", "offsets", "backwards", "overlap", "none", "deep", "empty", "cut"],
)
def test_safetensors_that_lie_about_their_sizes(tmp_path, data):
    path = tmp_path / "lying.safetensors"
    path.write_bytes(data)
    with pytest.raises((ModelError, IntegrityError)):
        load_model(path)


def test_flipped_bytes_are_noticed_or_harmless(good, tmp_path):
    data, draw = good.read_bytes(), np.random.default_rng(0)
    digest = load_model(good).digest
    for _ in range(150):
        changed = bytearray(data)
        for place in draw.integers(0, len(data), int(draw.integers(1, 4))):
            changed[int(place)] ^= 1 << int(draw.integers(8))
        path = tmp_path / "flipped.safetensors"
        path.write_bytes(bytes(changed))
        try:
            assert load_model(path).digest == digest
        except RetrError:
            continue


class Planted:
    """Would create a file if it were unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def checkpoint(path: Path) -> Path:
    torch.save({"state_dict": {"a": torch.arange(12.0), "b": torch.zeros(3, 3)}}, path)
    return path


def test_a_good_checkpoint_is_read(tmp_path):
    found = read_checkpoint(checkpoint(tmp_path / "good.pth"))
    assert torch.equal(found["state_dict"]["a"], torch.arange(12.0))


def test_nothing_in_a_checkpoint_is_run(tmp_path):
    target = tmp_path / "planted"
    torch.save({"state_dict": {"a": Planted(target)}}, tmp_path / "bad.pth")
    torch.save({"a": Planted(target)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("bad.pth", "old.pth"):
        with pytest.raises(ModelError, match="read safely"):
            read_checkpoint(tmp_path / name)
    assert not target.exists()


def test_an_archive_that_unpacks_to_more_than_it_is_is_not_unpacked(tmp_path):
    source, packed = checkpoint(tmp_path / "good.pth"), tmp_path / "bomb.pth"
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        for record in good.infolist():
            bomb.writestr(record.filename, good.read(record))
        bomb.writestr("good/data/9", bytes(50_000_000))
    with pytest.raises(ModelError, match="unpack to"):
        read_checkpoint(packed)


def test_mutated_checkpoints_are_refused_or_read(tmp_path):
    new, draw = checkpoint(tmp_path / "new.pth").read_bytes(), np.random.default_rng(1)
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(12.0)}, buffer, _use_new_zipfile_serialization=False)
    for number in range(200):
        data = bytearray(new if number % 2 else buffer.getvalue())
        for place in draw.integers(0, len(data), int(draw.integers(1, 6))):
            data[int(place)] = int(draw.integers(256))
        path = tmp_path / "mutated.pth"
        path.write_bytes(bytes(data[: int(draw.integers(1, len(data)))] if number % 5 == 0 else data))
        try:
            read_checkpoint(path)
        except ModelError:
            continue
