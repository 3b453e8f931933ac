import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retr.core.errors import IntegrityError
from retr.evaluation.robustness.records import SCHEMA, read_records, write_records


def record(**changes):
    made = {}
    for field in SCHEMA:
        if field.nullable:
            made[field.name] = None
        elif pa.types.is_string(field.type):
            made[field.name] = "x"
        elif pa.types.is_boolean(field.type):
            made[field.name] = False
        else:
            made[field.name] = 1
    return made | changes


def test_records_survive_the_round_trip_in_batches(tmp_path):
    path = tmp_path / "records.parquet"
    with write_records(path) as writer:
        writer.add([record(budget=0.5), record(budget=1.0, psnr=40.0)])
        writer.add([])
        assert not path.exists()
        writer.add([record(alarm=True)])
        assert writer.count == 3
    table = read_records(path)
    assert table.schema.names == SCHEMA.names
    assert table["budget"].to_pylist() == [0.5, 1.0, 1.0]
    assert table["psnr"].to_pylist() == [None, 40.0, None]
    assert read_records(path, ["alarm"])["alarm"].to_pylist() == [False, False, True]
    assert [p.name for p in tmp_path.iterdir()] == ["records.parquet"]


def test_a_run_that_fails_leaves_no_records_under_their_name(tmp_path):
    path = tmp_path / "records.parquet"
    with pytest.raises(AssertionError, match="surplus"), write_records(path) as writer:
        writer.add([record(), record(surplus=1)])
    assert not path.exists()


@pytest.mark.parametrize("change", [{"surplus": 1}, None])
def test_a_record_has_every_column_and_no_other(tmp_path, change):
    odd = record(**change) if change else {k: v for k, v in record().items() if k != "l2"}
    with pytest.raises(AssertionError, match=r"surplus|l2"), write_records(tmp_path / "r.parquet") as writer:
        writer.add([odd])


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(IntegrityError, match=r"retr\.records/2"):
        read_records(path)
    path.write_bytes(b"not parquet")
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_records(path)


def test_every_column_says_what_it_means():
    assert all(field.metadata[b"meaning"] for field in SCHEMA)
