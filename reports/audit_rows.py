"""An audit as rows of scalars, for CSV and Parquet: one for each line of each of its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SCHEMA = "retr.audit-row/1"


def audit_rows(audit: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines of every table of an audit; ``part`` names the table.

    Args:
        audit: the audit as JSON, of ``attack_table.audit_json``.
    """
    for part, lines in audit.items():
        if isinstance(lines, list | tuple):
            yield from ({"schema": SCHEMA, "run": audit["run"], "part": part, **line} for line in lines)
