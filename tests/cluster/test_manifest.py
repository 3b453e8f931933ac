"""Shards follow one another, and hold every row once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retr.cluster.manifest import Manifest
from retr.core.errors import UsageError


@given(st.integers(0, 10**9), st.integers(1, 300))
def test_even_shards_hold_all_rows_and_differ_by_one_at_most(rows, shards):
    manifest = Manifest.even("0" * 16, rows, shards)
    sizes = [b - a for a, b in zip(manifest.edges, manifest.edges[1:], strict=False)]
    assert (len(sizes), sum(sizes), manifest.shards) == (shards, rows, shards)
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("edges", [(), (0,), (1, 5), (0, 5, 4)])
def test_gaps_and_overlaps_cannot_be_said(edges):
    with pytest.raises(ValueError, match="follow one another"):
        Manifest("0" * 16, edges)


def test_no_shards_hold_nothing():
    with pytest.raises(UsageError, match="at least 1 shard, got 0"):
        Manifest.even("0" * 16, 10, 0)


def test_shards_are_named_by_their_rows():
    manifest = Manifest("0" * 16, (0, 3, 3))
    assert (manifest.name(0), manifest.name(1)) == ("shard 0 (rows 0 to 2)", "shard 1 (no rows)")
