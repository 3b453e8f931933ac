"""docs/formats.md names every key and column that is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import made_reports
import pyarrow as pa
import pytest

import retr
from retr.evaluation.copies.records import OWN as COPIES
from retr.evaluation.knn.records import OWN as KNN
from retr.evaluation.knn.summary import summarise_knn
from retr.evaluation.robustness.records import OWN as AUDIT
from retr.evaluation.shared.records import COMMON
from retr.evaluation.two_afc.records import OWN as TRIPLETS
from retr.indexer.catalog import REJECT_SCHEMA, ROW_SCHEMA
from retr.indexer.snapshot import ChannelSpec, SegmentInfo, Snapshot, Threshold
from retr.reports.knn_table import knn_json, knn_rows

TEXT = (Path(retr.__file__).parent / "docs" / "formats.md").read_text()


def section(title: str) -> str:
    """From a heading that begins with ``title`` to the next heading."""
    after = TEXT.split(f"\n{title}", 1)[1]
    return after.split("\n#", 1)[0]


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("### Snapshot", [f.name for kind in (Snapshot, ChannelSpec, SegmentInfo, Threshold) for f in fields(kind)]),
        ("### `catalog.parquet`", ROW_SCHEMA.names),
        ("### `rejects.parquet`", REJECT_SCHEMA.names),
    ],
)
def test_every_name_is_explained(title: str, names: list[str]) -> None:
    assert [name for name in names if f"`{name}`" not in section(title)] == []


@pytest.mark.parametrize(
    ("title", "fields"),
    [
        ("## Records", COMMON),
        ("### Columns of an audit", AUDIT),
        ("### Columns of a copy benchmark", COPIES),
        ("### Columns of a 2AFC benchmark", TRIPLETS),
        ("### Columns of a k-NN benchmark", KNN),
    ],
)
def test_records_are_explained_as_the_schema_explains_them(title: str, fields: tuple[pa.Field, ...]) -> None:
    stated = [line for line in section(title).splitlines() if line.startswith("| `")]
    assert stated == [f"| `{f.name}` | {f.metadata[b'meaning'].decode()} |" for f in fields]


def keys_of_tables(title: str) -> list[list[str]]:
    """The names in the first column of each table of a section."""
    tables = [part for part in section(title).split("\n\n") if part.startswith("|")]
    firsts = [[line.split("|")[1] for line in one.strip().splitlines()[2:]] for one in tables]
    return [[name for cell in cells for name in re.findall("`([^`]+)`", cell)] for cells in firsts]


def test_what_bench_knn_prints_is_explained_key_by_key_and_nothing_else() -> None:
    result = made_reports.knn(queries=1)
    body, (flat,) = knn_json(result, summarise_knn(result)), knn_rows(result)

    def explained(title: str, written: Iterable[str], inner: Iterable[str]) -> None:
        assert keys_of_tables(title) == [list(written), list(inner)]

    explained("### Summary", body, body["budgets"][0])
    explained("### Rows, `retr.knn", flat, flat["attacked"][0])
    head = section("## k-NN benchmark")
    assert [name for name in (body["schema"], flat["schema"], *body["accuracy"]) if f"`{name}`" not in head] == []
    words = section("### Summary") + section("### Rows, `retr.knn")
    assert [name for name in (*body["attack"], *body["seconds"]) if f"`{name}`" not in words] == []
