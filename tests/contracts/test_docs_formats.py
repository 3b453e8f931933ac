"""docs/formats.md names every key and column that is written."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pytest

import retr
from retr.evaluation.records import SCHEMA
from retr.evaluation.two_afc_records import SCHEMA as TRIPLETS
from retr.indexer.catalog import REJECT_SCHEMA, ROW_SCHEMA
from retr.indexer.snapshot import ChannelSpec, SegmentInfo, Snapshot, Threshold

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
        ("## Records", SCHEMA.names),
    ],
)
def test_every_name_is_explained(title: str, names: list[str]) -> None:
    assert [name for name in names if f"`{name}`" not in section(title)] == []


@pytest.mark.parametrize(("title", "schema"), [("## Records", SCHEMA), ("## 2AFC records", TRIPLETS)])
def test_records_are_explained_as_the_schema_explains_them(title: str, schema: pa.Schema) -> None:
    rows = [f"| `{f.name}` | {f.metadata[b'meaning'].decode()} |" for f in schema]
    assert [row for row in rows if row not in section(title)] == []
