"""A reference set comes back as it was written, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retr.core.errors import IntegrityError
from retr.core.types import Score
from retr.indexer.reference import Rate, Reference, encode, read_reference, write_reference


def made(score: Score = "cosine", **given: Any) -> Reference:
    rows = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    kind = np.array([0, 1, 1, 0, 2], dtype=np.uint8)
    near = np.full(5, 0.5, dtype=np.float32)
    kinds = ("photograph", "page", "chart")
    return Reference("m", "d" * 64, score, encode(rows, score), kind, near, kinds, **given)


def test_a_set_comes_back(tmp_path: Path):
    written = made(share=0.62, typical=0.6, farthest=0.9, rate=Rate(1e-3, 4000, 2e-3), notes={"seed": 7})
    digest = write_reference(tmp_path / "a", written)
    found = read_reference(tmp_path / "a")
    assert (found.digest, found.share, found.rate, found.kinds) == (digest, 0.62, written.rate, written.kinds)
    assert found.notes == {"seed": 7}
    assert (found.codes == written.codes).all()
    assert (found.kind == written.kind).all()
    assert (found.near == written.near).all()
    assert np.allclose(np.linalg.norm(found.rows(), axis=1), 1.0)
    assert write_reference(tmp_path / "b", found) == digest


def test_euclidean_vectors_stay_as_they_are(tmp_path: Path):
    written = made("euclidean")
    write_reference(tmp_path / "a", written)
    assert (read_reference(tmp_path / "a").rows() == written.rows()).all()


def test_a_changed_byte_is_found(tmp_path: Path):
    write_reference(tmp_path / "a", made())
    data = bytearray((tmp_path / "a").read_bytes())
    data[-1] ^= 1
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(IntegrityError, match="changed"):
        read_reference(tmp_path / "a")


@pytest.mark.parametrize("content", [b"", b"no set", b"\x02\0\0\0\0\0\0\0{}"])
def test_something_else_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(IntegrityError, match="no reference set"):
        read_reference(tmp_path / "a")


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(IntegrityError, match="nowhere"):
        read_reference(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"share": 1.0}, "share < 1"),
        ({"certain": 0.6, "share": 0.5}, "certain ≤ share"),
        ({"typical": 2.0, "farthest": 1.0}, "typical ≤ farthest"),
    ],
)
def test_numbers_out_of_range_are_refused(given: dict[str, Any], why: str):
    with pytest.raises(ValueError, match=why):
        made(**given)


def test_a_kind_without_a_name_is_refused():
    with pytest.raises(ValueError, match="kind 1 of 1"):
        Reference("m", "d", "cosine", np.zeros((1, 2), np.int8), np.ones(1, np.uint8), np.ones(1, np.float32), ("one",))
