"""What filters of rows are tried with by hypothesis: how many rows, how long, how alike, and how long the queries."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ROWS_AND_QUERIES: dict[str, st.SearchStrategy[Any]] = {
    "count": st.integers(1, 60),
    "dim": st.integers(1, 300),
    "seed": st.integers(0, 10**6),
    "spread": st.floats(0.5, 200.0),
    "length": st.floats(0.0, 3.9),
}
