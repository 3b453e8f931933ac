"""The one format of records: sealed, checked, and what older versions wrote brought up to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made_records
import made_triplets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retr.core.errors import IntegrityError
from retr.evaluation.copies.records import FORMAT as COPIES
from retr.evaluation.knn.records import FORMAT as KNN
from retr.evaluation.robustness.records import FORMAT as ROBUSTNESS
from retr.evaluation.robustness.summary import summarise
from retr.evaluation.shared.records import COMMON, NO_ATTACK, RecordFormat
from retr.evaluation.two_afc.records import FORMAT as TWO_AFC
from retr.evaluation.two_afc.summary import summarise_triplets

FORMATS = (ROBUSTNESS, COPIES, TWO_AFC, KNN)


def blank(kind: RecordFormat, **changes: Any) -> dict[str, Any]:
    """A row of a query as it is, of any kind."""
    row: dict[str, Any] = {}
    for field in kind.schema:
        if field.nullable:
            row[field.name] = None
        elif pa.types.is_string(field.type):
            row[field.name] = "x"
        else:
            row[field.name] = False if pa.types.is_boolean(field.type) else 1
    return {**row, **NO_ATTACK, **({"eps": None} if kind is TWO_AFC else {}), **changes}


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.audit)
class TestEveryFormat:
    def test_the_round_trip(self, kind: RecordFormat, tmp_path: Path) -> None:
        path = tmp_path / "records.parquet"
        rows = [blank(kind), blank(kind, query="y\u00e4", seconds=0.25)]
        kind.write(path, kind.table(rows), {"plan": {"a": 1}})
        back = kind.read(path)
        assert back.table.to_pylist() == kind.table(rows).to_pylist()
        assert back.facts == {"plan": {"a": 1}}
        assert [file.name for file in tmp_path.iterdir()] == ["records.parquet"]

    @pytest.mark.parametrize("column", ["query", "seconds", "forwards", "psnr", "alarm"])
    def test_an_edited_column_is_refused(self, kind: RecordFormat, tmp_path: Path, column: str) -> None:
        path = tmp_path / "records.parquet"
        kind.write(path, kind.table([blank(kind), blank(kind)]), {"plan": {}})
        stored = pq.read_table(path)
        new = {"query": "other", "alarm": True}.get(column, 7)
        values = pa.array([stored[column][0].as_py(), new], stored.schema.field(column).type)
        edited = stored.set_column(stored.schema.get_field_index(column), stored.schema.field(column), values)
        pq.write_table(edited.replace_schema_metadata(stored.schema.metadata), path)
        with pytest.raises(IntegrityError, match="was changed after it was written"):
            kind.read(path)

    def test_edited_facts_are_refused(self, kind: RecordFormat, tmp_path: Path) -> None:
        path = tmp_path / "records.parquet"
        kind.write(path, kind.table([blank(kind)]), {"plan": {}})
        stored = pq.read_table(path)
        pq.write_table(stored.replace_schema_metadata({**stored.schema.metadata, b"facts": b'{"plan":{"x":1}}'}), path)
        with pytest.raises(IntegrityError, match="was changed after it was written"):
            kind.read(path)

    def test_the_seal_does_not_depend_on_how_rows_are_cut(self, kind: RecordFormat, tmp_path: Path) -> None:
        path, rows = tmp_path / "records.parquet", [blank(kind, query=str(number)) for number in range(9)]
        kind.write(path, kind.table(rows), {})
        stored = pq.read_table(path)
        pq.write_table(stored, path, row_group_size=2)
        assert kind.read(path).table.num_rows == 9

    @pytest.mark.parametrize("change", [{"surplus": 1}, None])
    def test_a_row_has_every_column_and_no_other(self, kind: RecordFormat, change: dict[str, int] | None) -> None:
        odd = blank(kind, **change) if change else {k: v for k, v in blank(kind).items() if k != "l2"}
        with pytest.raises(AssertionError, match=r"surplus|l2"):
            kind.table([odd])

    def test_other_files_are_refused(self, kind: RecordFormat, tmp_path: Path) -> None:
        path = tmp_path / "other.parquet"
        pq.write_table(pa.table({"a": [1]}), path)
        with pytest.raises(IntegrityError, match=r"holds no records, not retr\.records/3 of"):
            kind.read(path)
        other = next(one for one in FORMATS if one is not kind)
        other.write(path, other.table([blank(other)]), {})
        with pytest.raises(IntegrityError, match=f"of {other.audit}, not"):
            kind.read(path)
        path.write_bytes(b"not parquet")
        with pytest.raises(IntegrityError, match="cannot be read"):
            kind.read(path)

    def test_every_column_says_what_it_means(self, kind: RecordFormat) -> None:
        assert all((field.metadata or {}).get(b"meaning") for field in kind.schema)
        assert kind.schema.names[: len(COMMON)] == [field.name for field in COMMON]
        assert len(set(kind.schema.names)) == len(kind.schema.names)


def contradicted(kind: RecordFormat, tmp_path: Path, **changes: Any) -> None:
    path = tmp_path / "records.parquet"
    kind.write(path, kind.table([blank(kind), blank(kind, **changes)]), {})
    with pytest.raises(IntegrityError, match="record 1 contradicts itself"):
        kind.read(path)


@pytest.mark.parametrize("kind", [ROBUSTNESS, TWO_AFC], ids=lambda kind: kind.audit)
@pytest.mark.parametrize("changes", [{"l2": 0.5}, {"alarm": True}])
def test_a_change_without_an_attack_is_refused(kind: RecordFormat, changes: dict[str, Any], tmp_path: Path) -> None:
    contradicted(kind, tmp_path, **changes)


@pytest.mark.parametrize("changes", [{"success": True, "fallen_at": 0.5}, {"alarm": True}, {"fallen_at": 1.0}])
def test_a_vote_that_contradicts_itself_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    contradicted(KNN, tmp_path, **changes)


class TestOlderRecords:
    """What versions before this format wrote says the same when it is read now."""

    def test_of_an_audit(self, tmp_path: Path) -> None:
        made = made_records.table(*made_records.audit(4))
        narrow = [pa.field(one.name, pa.int32() if one.name == "steps" else one.type) for one in made.schema]
        old = made.select(sorted(made.schema.names)).cast(pa.schema(sorted(narrow, key=lambda one: one.name)))
        pq.write_table(old.replace_schema_metadata({"schema": "retr.records/2"}), tmp_path / "old.parquet")
        records = ROBUSTNESS.read(tmp_path / "old.parquet")
        assert records.table.schema.equals(ROBUSTNESS.schema)
        assert summarise(records.table).as_json() == summarise(made).as_json()

    def test_of_triplets(self, tmp_path: Path) -> None:
        made = made_triplets.benchmark(8)
        old = _old_triplets(made.table)
        facts = {**made.facts, "metrics": [{"spec": "l2", "digest": None}], "seed": 3}
        seal = {"schema": "retr.triplets/1", "facts": json.dumps(facts)}
        pq.write_table(old.replace_schema_metadata(seal), tmp_path / "old.parquet")
        records = TWO_AFC.read(tmp_path / "old.parquet")
        assert summarise_triplets(records).as_json() == summarise_triplets(made).as_json()
        assert set(records.table["seed"].to_pylist()) == {3}
        assert set(records.table["run"].to_pylist()) == {made.facts["run"]}


def _old_triplets(table: pa.Table) -> pa.Table:
    words = {
        name: [None if v is None else ("none" if v == "clean" else v) for v in table[name].to_pylist()]
        for name in ("attack", "goal")
    }
    old = {"metric": table["system"], "triplet": table["query"], "seed": table["attack_seed"]}
    common = (
        "source",
        "norm",
        "eps",
        "steps",
        "medium",
        "l2",
        "linf",
        "rmse",
        "psnr",
        "changed_001",
        "changed_01",
        "changed_03",
        "alarm",
        "weak",
        "seconds",
        "forwards",
        "gradients",
        "image",
    )
    own = [field.name for field in TWO_AFC.own if field.name != "attack_seed"]
    old |= {name: table[name] for name in (*common, *own)}
    return pa.table({**old, **{name: pa.array(values, pa.string()) for name, values in words.items()}})


def test_facts_may_hold_anything_that_json_can(tmp_path: Path) -> None:
    facts = {"plan": {"words": ["ä", None, 1.5, True]}, "numbers": list(np.arange(3).tolist())}
    KNN.write(tmp_path / "r.parquet", KNN.table([blank(KNN)]), facts)
    assert KNN.read(tmp_path / "r.parquet").facts == facts


def test_records_from_before_a_column_are_read_without_it(tmp_path: Path) -> None:
    path, rows = tmp_path / "records.parquet", [blank(ROBUSTNESS), blank(ROBUSTNESS, query="y")]
    early = ROBUSTNESS.table(rows).drop_columns(list(ROBUSTNESS.later))
    ROBUSTNESS.write(path, early, {"plan": {}})
    assert ROBUSTNESS.read(path).table.to_pylist() == rows
    ROBUSTNESS.write(path, early.drop_columns(["clean_item"]), {"plan": {}})
    with pytest.raises(IntegrityError, match="clean_item"):
        ROBUSTNESS.read(path)
