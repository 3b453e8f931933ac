"""``retr query``: one record for each input, in order, in every format."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retr.core.errors import IntegrityError
from retr.reports.query_records import COLUMNS
from retr.retrieval import query as query_module


@pytest.fixture
def mixed(corpus, tmp_path) -> list[str]:
    """A broken file, two good ones and a missing one, in an order of their own."""
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return [str(tmp_path / "bad.png"), str(corpus / "03.png"), str(tmp_path / "nowhere.png"), str(corpus / "01.png")]


def parquet(outcome) -> pa.Table:
    return pq.read_table(io.BytesIO(outcome.out))


def test_several_queries_in_every_format(retr, corpus, index):
    paths = [str(corpus / name) for name in ("03.png", "04.png", "05.png")]
    listed = retr("query", *paths, "-i", index, "--format", "json").json
    assert [body["query"] for body in listed] == paths
    lines = retr("query", *paths, "-i", index, "--format", "jsonl").lines
    assert [json.loads(line)["query"] for line in lines] == paths
    rows = retr("query", *paths, "-i", index, "-k", 1, "--format", "csv").rows
    assert [row["query"] for row in rows] == paths
    assert rows[0]["match.path"] == paths[0]
    table = parquet(retr("query", *paths, "-i", index, "-k", 1, "--format", "parquet"))
    assert table["query"].to_pylist() == paths
    assert table["verdict"].to_pylist() == [row["verdict"] for row in rows] == [body["verdict"] for body in listed]
    text = retr("query", *paths, "-i", index).out.decode()
    assert all(Path(path).name in text for path in paths)


def test_bad_queries_have_a_record_in_their_place(retr, index, mixed):
    done = retr("query", *mixed, "-i", index, "--format", "json")
    assert done.code == 3
    assert [body["query"] for body in done.json] == mixed
    assert [body["error"] for body in done.json] == ["truncated", None, "not-found", None]
    assert "No such file" in done.json[2]["detail"]
    assert len({frozenset(body) for body in done.json}) == 1
    assert (done.json[0]["verdict"], done.json[0]["matches"], done.json[0]["width"]) == (None, [], None)
    errors = done.err.splitlines()
    assert errors[0].startswith(f"retr: {mixed[0]}: truncated: ")
    assert errors[1].startswith(f"retr: {mixed[2]}: not-found: ")
    assert errors[2:] == ["retr: 2 of 4 inputs have no answer"]


@pytest.mark.parametrize("one", [0, 1, 2])
def test_one_input_has_the_shape_of_many(retr, index, mixed, one):
    many = retr("query", *mixed, "-i", index, "--format", "json").json
    alone = retr("query", mixed[one], "-i", index, "--format", "json")
    assert alone.code == (0 if one == 1 else 3)
    line = json.loads(retr("query", mixed[one], "-i", index, "--format", "jsonl").out)
    for body in (alone.only, line):
        assert {**body, "seconds": 0} == {**many[one], "seconds": 0}


def test_the_table_says_what_went_wrong_in_its_place(retr, index, mixed):
    done = retr("query", *mixed, "-i", index)
    assert (done.code, done.err) == (3, "retr: 2 of 4 inputs have no answer\n")
    text = done.out.decode()
    assert [text.index(name) for name in mixed] == sorted(text.index(name) for name in mixed)
    assert "no answer: not-found: No such file or directory" in text


def test_rows_of_csv_and_parquet_hold_scalars_only(retr, index, mixed):
    arguments = ("query", *mixed, "-i", index, "--certify", "-k", 2, "--format")
    bodies, rows, table = (
        retr(*arguments, "json").json,
        retr(*arguments, "csv").rows,
        parquet(retr(*arguments, "parquet")),
    )
    assert [(row["query"], row["match.rank"]) for row in rows] == [
        (mixed[0], ""), (mixed[1], "1"), (mixed[1], "2"), (mixed[2], ""), (mixed[3], "1"), (mixed[3], "2")
    ]  # fmt: skip
    assert list(rows[0]) == table.column_names == list(COLUMNS)
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("{", "[")]
    assert not [field for field in table.schema if pa.types.is_nested(field.type) or pa.types.is_null(field.type)]
    first, said = rows[1], bodies[1]["matches"][0]
    assert (float(first["match.top1.rmse"]), float(first["match.score"])) == (said["top1"]["rmse"], said["score"])
    assert float(first["threshold.value"]) == bodies[1]["thresholds"][0]["value"]
    assert [row["error"] for row in rows if row["match.rank"] == ""] == ["truncated", "not-found"]
    known = table.to_pylist()[1]
    assert (known["match.accepted"], known["certificate.exact"], known["match.copy.l2"]) == (
        True, True, said["copy"]["l2"],
    )  # fmt: skip


def test_columns_do_not_depend_on_what_was_found(retr, index, mixed):
    full = parquet(retr("query", *mixed, "-i", index, "--certify", "--format", "parquet")).schema
    assert parquet(retr("query", mixed[2], "-i", index, "--format", "parquet")).schema == full
    assert parquet(retr("query", "-", "-i", index, "--format", "parquet")).schema == full
    assert retr("query", "-", "-i", index, "--format", "csv").lines == [",".join(COLUMNS)]


@pytest.mark.parametrize("failure", [RuntimeError("decoder lost its mind"), MemoryError()])
def test_an_input_that_breaks_the_program_costs_no_other_answer(retr, corpus, index, monkeypatch, failure):
    load = query_module.read_named

    def breaks(name, policy):
        if name.endswith("04.png"):
            raise failure
        return load(name, policy)

    monkeypatch.setattr(query_module, "read_named", breaks)
    paths = [str(corpus / f"{number:02}.png") for number in (3, 4, 5)]
    done = retr("query", *paths, "-i", index, "--format", "json")
    assert done.code == 3
    assert [body["query"] for body in done.json] == paths
    broken = "out-of-memory" if isinstance(failure, MemoryError) else "failed"
    assert [body["error"] for body in done.json] == [None, broken, None]


def test_what_was_answered_before_the_index_fell_apart_is_printed(retr, corpus, index, monkeypatch):
    load = query_module.read_named

    def damaged(name, policy):
        if name.endswith("05.png"):
            raise IntegrityError("segment 1 does not match its SHA-256")
        return load(name, policy)

    monkeypatch.setattr(query_module, "read_named", damaged)
    monkeypatch.setattr(query_module, "BATCH_PIXELS", 1)
    for form in ("json", "jsonl", "csv", "parquet"):
        done = retr("query", corpus / "03.png", corpus / "05.png", "-i", index, "-k", 1, "--format", form)
        assert (done.code, done.err) == (5, "retr: segment 1 does not match its SHA-256\n")
        found = {
            "json": lambda done: done.json,
            "jsonl": lambda done: list(map(json.loads, done.lines)),
            "csv": lambda done: done.rows,
            "parquet": lambda done: parquet(done).to_pylist(),
        }[form](done)
        assert [body["query"] for body in found] == [str(corpus / "03.png")]
