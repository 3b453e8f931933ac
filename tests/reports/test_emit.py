"""What is printed for programs: the same bytes in every locale, and scalars only where there are cells."""

import csv
import gc
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retr.reports.attack_table import audit_rows
from retr.reports.emit import emit, flatten, to_json

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
TREES = st.recursive(SCALARS, lambda below: st.lists(below) | st.dictionaries(st.text(), below), max_leaves=20)


def printed(capsysbinary, records, form, **options) -> bytes:
    emit(records, form, **options)
    return capsysbinary.readouterr().out


@pytest.mark.parametrize(
    ("records", "text"),
    [([], "[]\n"), ([{"a": 1}], '[\n  {\n    "a": 1\n  }\n]\n'), ([{}, {}], "[\n  {},\n  {}\n]\n")],
)
def test_json_is_an_array_for_none_one_and_many(capsysbinary, records, text):
    assert printed(capsysbinary, records, "json") == text.encode()
    assert json.loads(text) == records


def test_json_of_one_thing_is_the_thing(capsysbinary):
    assert json.loads(printed(capsysbinary, [{"a": [1]}], "json", one=True)) == {"a": [1]}


@pytest.mark.parametrize("form", ["json", "jsonl", "parquet"])
def test_what_was_read_before_a_failure_is_written(capsysbinary, form):
    def records():
        yield {"a": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emit(records(), form)
    out = capsysbinary.readouterr().out
    read = {
        "json": json.loads,
        "jsonl": lambda b: [json.loads(b)],
        "parquet": lambda b: pq.read_table(io.BytesIO(b)).to_pylist(),
    }
    assert read[form](out) == [{"a": 1}]


def test_a_reader_that_leaves_ends_the_json_in_silence(monkeypatch):
    class Gone(io.BytesIO):
        def write(self, _):
            raise BrokenPipeError

    unraised = []
    monkeypatch.setattr("sys.unraisablehook", unraised.append)
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(Gone()))
    with pytest.raises(BrokenPipeError):
        emit(iter([{"a": 1}, {"a": 2}]), "json")
    gc.collect()
    assert not unraised


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "parquet"])
def test_a_failure_before_the_first_record_writes_nothing(capsysbinary, form):
    def records():
        raise ValueError
        yield

    with pytest.raises(ValueError, match=r"^$"):
        emit(records(), form, columns={"a": int})
    assert capsysbinary.readouterr().out == b""


@given(st.dictionaries(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=()))))
def test_json_is_utf8_and_moves_no_terminal(record):
    text = to_json(record)
    text.encode()
    assert not [char for char in text if char < " " or "\x7f" <= char < "\xa0"]
    json.loads(text)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_json_is_read_back_as_it_was(record):
    assert json.loads(to_json(record)) == record


def test_bytes_of_a_name_that_are_no_text_are_written_out():
    assert json.loads(to_json({"name": "J\udce4rvi"})) == {"name": r"J\xe4rvi"}
    assert flatten({"name": "J\udce4rvi", "all": ["\udce4"]}) == {"name": r"J\xe4rvi", "all": r"\xe4"}


@given(st.dictionaries(st.text(), TREES))
def test_rows_hold_scalars(record):
    assert not [value for value in flatten(record).values() if isinstance(value, dict | list | tuple)]


def test_nested_records_as_rows():
    record = {
        "a": {"b": 1, "c": {"d": None}},
        "names": ["x", 2],
        "parts": [{"n": 1}, {"n": 2}],
        "none": [],
        "empty": {},
    }
    assert flatten(record) == {
        "a.b": 1, "a.c.d": None, "names": "x; 2", "parts.0.n": 1, "parts.1.n": 2, "none": None
    }  # fmt: skip


def test_an_object_that_is_missing_here_has_no_column_of_its_own(capsysbinary):
    records = [{"q": "a", "r": None, "s": []}, {"q": "b", "r": {"l2": 1.0}, "s": [{"t": 2}]}]
    rows = list(csv.DictReader(io.StringIO(printed(capsysbinary, records, "csv").decode())))
    assert rows == [{"q": "a", "r.l2": "", "s.0.t": ""}, {"q": "b", "r.l2": "1.0", "s.0.t": "2"}]
    table = pq.read_table(io.BytesIO(printed(capsysbinary, records, "parquet")))
    assert table.to_pylist() == [{"q": "a", "r.l2": None, "s.0.t": None}, {"q": "b", "r.l2": 1.0, "s.0.t": 2}]


def test_declared_columns_have_their_types_whatever_is_there(capsysbinary):
    columns = {"n": int, "x": float, "name": str, "yes": bool}
    for records in ([], [{"n": 1}], [{"x": 1.0, "yes": True, "name": "a"}]):
        schema = pq.read_table(io.BytesIO(printed(capsysbinary, records, "parquet", columns=columns))).schema
        assert schema.types == [pa.int64(), pa.float64(), pa.string(), pa.bool_()]
        assert printed(capsysbinary, records, "csv", columns=columns).splitlines()[0] == b"n,x,name,yes"
    with pytest.raises(ValueError, match="other"):
        emit([{"other": 1}], "csv", columns=columns)


def test_an_audit_has_a_row_for_each_line_of_each_table():
    audit = {"schema": "retr.audit/2", "run": "r1", "budgets": [{"budget": 1.0}, {"budget": 2.0}], "seconds": 3.0}
    audit["attacks"] = ({"attack": "pgd-l2"},)
    assert [(row["run"], row["part"]) for row in audit_rows(audit)] == [("r1", "budgets")] * 2 + [("r1", "attacks")]
    assert [row.get("budget") for row in audit_rows(audit)] == [1.0, 2.0, None]
