"""Rows stored as float16 or int8: what they decode to, and that an index made of them is exact about that."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import Quiet

from retr.core.errors import IntegrityError, UsageError
from retr.core.files import canonical_json, digest_json
from retr.embedding.model_file import save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.sll_network import SLLArchitecture, SLLNetwork, sll_blueprint
from retr.indexer import staging as stage
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.gallery import open_gallery
from retr.indexer.info import describe_index
from retr.indexer.integrity import check_content
from retr.indexer.row_codes import ROW_CODES, decode, find_code
from retr.indexer.snapshot import Snapshot, commit, parse_snapshot, read_snapshot, require_current
from retr.indexer.vectors import open_rows
from retr.retrieval.engine import Engine
from retr.retrieval.query import query_files

SMALLER = ("float16", "int8")


def units(count: int, dim: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def run(corpus: Path, index: Path, **options):
    return build_index(str(corpus), index, IndexOptions(batch_size=4, models=("block-means:4",), **options), Quiet())


@pytest.mark.parametrize("name", SMALLER)
@pytest.mark.parametrize("dim", [1, 2, 48, 769])
def test_decoding_is_the_documented_function_bit_for_bit(name, dim):
    codes = ROW_CODES[name].encode(units(50, dim))
    rows = decode(codes, name, where="here")
    for code, row in zip(codes.tolist(), rows, strict=True):
        length = math.sqrt(math.fsum(c * c for c in code))  # exact sum, one rounding
        assert [np.float32(c / length) for c in code] == row.tolist()
    assert rows.dtype == np.float32
    assert (decode(codes[::-1][:, ::-1], name, where="here")[::-1, ::-1] == rows).all()  # in any order of summation


@pytest.mark.parametrize(("name", "angle"), [("float16", 2**-11), ("int8", 0.02)])
def test_a_decoded_row_is_a_unit_row_near_the_one_that_was_stored(name, angle):
    rows = units(200, 192)
    decoded = decode(ROW_CODES[name].encode(rows), name, where="here").astype(np.float64)
    assert np.abs(np.linalg.norm(decoded, axis=1) - 1).max() < 2**-23
    assert np.linalg.norm(decoded - rows, axis=1).max() < angle
    again = ROW_CODES[name].encode(decoded.astype(np.float32))
    if name == "int8":  # decoded rows are fixed points: storing them once more changes nothing
        assert (again == ROW_CODES[name].encode(rows)).all()


def test_more_rows_than_one_piece():
    rows = units(5000, 3)
    codes = ROW_CODES["int8"].encode(rows)
    assert (decode(codes, "int8", where="here")[4990:] == decode(codes[4990:], "int8", where="here")).all()


@pytest.mark.parametrize(
    ("name", "row"),
    [
        *(("int8", row) for row in ([0, 0, 0], [126, 1, 2], [-128, 1, 2])),
        *(("float16", row) for row in ([0, 0, 0], [2, 0, 0], [math.nan, 0, 1], [math.inf, 0, 0])),
    ],
)
def test_codes_that_no_row_has_are_damage(name, row):
    codes = ROW_CODES[name].encode(units(3, 3))
    codes[1] = row
    with pytest.raises(IntegrityError, match=f"row 1 of there is no {name} row"):
        decode(codes, name, where="there")


def test_lengths_need_float32(tmp_path):
    assert find_code("float32", "euclidean").width == 4
    for name in SMALLER:
        with pytest.raises(UsageError, match="Euclidean channel compares lengths"):
            find_code(name, "euclidean")
    with pytest.raises(UsageError, match="choose float32, float16, int8"):
        find_code("int4")
    shape = SLLArchitecture(image=16, channels=6, convs=1, conv_inner=3, pools=1, denses=1, dense_inner=8, dim=12)
    network = SLLNetwork(shape, generator=torch.Generator().manual_seed(0))
    embedder = NetworkEmbedder(network.fold(), sll_blueprint(shape, "euclidean"), name="e", spec="e")
    save_model(embedder, tmp_path / "e.safetensors", {})
    (tmp_path / "none").mkdir()
    options = IndexOptions(models=(str(tmp_path / "e.safetensors"),), rows="int8")
    with pytest.raises(UsageError, match="--rows int8"):
        build_index(str(tmp_path / "none"), tmp_path / "index", options, Quiet())


# -- in an index ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALLER)
def test_an_index_holds_the_decoded_rows_and_is_exact_about_them(corpus, tmp_path, name):
    run(corpus, tmp_path / "plain", views="flip")
    report = run(corpus, tmp_path / "coded", views="flip", rows=name, segment_rows=8)
    plain = open_gallery(tmp_path / "plain", require_current(tmp_path / "plain"))
    rows = plain.stores[0].take(np.arange(44))
    expected = decode(ROW_CODES[name].encode(rows), name, where="here")
    engine = Engine.open(tmp_path / "coded")
    assert (engine.channels[0].store.take(np.arange(44)) == expected).all()
    assert report.rows == 44
    assert check_content(tmp_path / "coded", engine.gallery.snapshot, everything=True).read > 3
    exact = expected.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    for outcome in query_files(engine, [str(corpus / "b" / "01.png"), str(corpus / "c" / "05.png")]):
        assert outcome.answer is not None
        z = engine.channels[0].embed_query(_pixels(engine, outcome.path)).z
        cosines = exact @ z / np.linalg.norm(z)
        first = outcome.answer.matches[0]
        assert first.score == pytest.approx(cosines.max(), abs=1e-14)
        assert first.score < 1.0  # its own row is a code, not the embedding itself


def _pixels(engine: Engine, path: str) -> np.ndarray:
    from retr.images.decode import load
    from retr.retrieval.query import to_float

    return to_float(load(Path(path), policy=engine.policy))


@pytest.mark.parametrize(("name", "width"), [("float32", 4), ("float16", 2), ("int8", 1)])
def test_info_says_how_rows_are_stored_and_what_they_take(corpus, tmp_path, name, width):
    run(corpus, tmp_path / "index", rows=name)
    facts = describe_index(tmp_path / "index", verify=True)
    assert facts["channels"][0]["rows"] == name
    assert facts["bytes_per_item"] == round(width * 48 * 22 / 20)
    [segment] = require_current(tmp_path / "index").segments
    file = tmp_path / "index" / "segments" / segment.id / ROW_CODES[name].file(0)
    assert file.stat().st_size == width * 48 * 22
    assert file.name in segment.files


def without_threshold(index):
    """The snapshot without a share of gaps, which has a schema of its own."""
    snapshot = require_current(index)
    return commit(index, replace(snapshot, channels=tuple(replace(c, threshold=None) for c in snapshot.channels)))


def test_float32_indexes_are_what_they_always_were(corpus, tmp_path):
    run(corpus, tmp_path / "index")
    snapshot = without_threshold(tmp_path / "index")
    written = json.loads((tmp_path / "index" / "snapshots" / f"{snapshot.id}.json").read_bytes())
    assert written["schema"] == "retr.index/1"
    assert "rows" not in written["channels"][0]
    assert parse_snapshot(written).channels[0].rows == "float32"


def test_coded_indexes_have_a_schema_that_older_versions_refuse(corpus, tmp_path):
    run(corpus, tmp_path / "index", rows="int8")
    snapshot = without_threshold(tmp_path / "index")
    written = json.loads((tmp_path / "index" / "snapshots" / f"{snapshot.id}.json").read_bytes())
    assert (written["schema"], written["channels"][0]["rows"]) == ("retr.index/2", "int8")
    written["channels"][0]["rows"] = "int3"
    body = {key: value for key, value in written.items() if key not in ("id", "created")}
    written["id"] = name = digest_json(body)[:16]
    (tmp_path / "index" / "snapshots" / f"{name}.json").write_bytes(canonical_json(written))
    with pytest.raises(IntegrityError, match="rows of type 'int3'"):
        read_snapshot(tmp_path / "index", name)


def test_an_index_keeps_its_row_type(corpus, tmp_path):
    run(corpus, tmp_path / "index", rows="int8")
    assert run(corpus, tmp_path / "index").indexed == 0
    with pytest.raises(UsageError, match="stores int8 rows, not float16"):
        run(corpus, tmp_path / "index", rows="float16")


def test_damaged_codes_are_named(corpus, tmp_path):
    run(corpus, tmp_path / "index", rows="int8")
    snapshot = require_current(tmp_path / "index")
    file = tmp_path / "index" / "segments" / snapshot.segments[0].id / "rows-0.i8"
    content = file.read_bytes()
    file.write_bytes(bytes(48) + content[48:])
    with pytest.raises(IntegrityError, match=r"row 0 of .*rows-0\.i8 is no int8 row"):
        open_rows([(file, 22)], dim=48, score="cosine", code="int8")
    for look in (Engine.open, describe_index):
        with pytest.raises(IntegrityError, match=r"rows-0\.i8 does not match its SHA-256"):
            look(tmp_path / "index")
    file.write_bytes(content[:-1])
    with pytest.raises(IntegrityError, match="22 rows of 48 int8 take 1056"):
        open_rows([(file, 22)], dim=48, score="cosine", code="int8")


class Stops(Quiet):
    """Progress during which somebody presses Ctrl-C, after so many batches."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, count: int = 1) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", SMALLER)
def test_an_interrupted_run_goes_on_to_the_same_index(corpus, tmp_path, name):
    run(corpus, tmp_path / "whole", rows=name)
    options = IndexOptions(batch_size=4, models=("block-means:4",), rows=name)
    with pytest.raises(KeyboardInterrupt):
        build_index(str(corpus), tmp_path / "index", options, Stops(3))
    with (tmp_path / "index" / "staging" / ROW_CODES[name].file(0)).open("ab") as handle:
        handle.write(b"half a row")  # what a kill leaves between the rows and their line in the journal
    with pytest.raises(UsageError, match="rows was"):
        run(corpus, tmp_path / "index", resume=True)
    report = run(corpus, tmp_path / "index", resume=True, rows=name)
    assert report.recovered == 12
    whole: Snapshot = require_current(tmp_path / "whole")
    assert require_current(tmp_path / "index").id == whole.id


def test_a_run_that_an_earlier_version_began_counts_as_float32(tmp_path):
    plan = {"models": ["a", "b"], "views": "none"}
    stage.begin(tmp_path / "staging", plan, [2, 3]).close()
    (tmp_path / "staging" / "plan.json").write_bytes(canonical_json(plan))
    stage.resume(tmp_path / "staging", {**plan, "rows": ["float32", "float32"]}, [2, 3]).close()
    with pytest.raises(UsageError, match="rows was"):
        stage.resume(tmp_path / "staging", {**plan, "rows": ["int8", "int8"]}, [2, 3], ["int8", "int8"])
