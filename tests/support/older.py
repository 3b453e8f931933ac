"""Indexes as earlier versions wrote them, made of one that this version has written."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retr.core.files import sha256_file
from retr.images.policy import DecodePolicy
from retr.indexer.gaps import gaps_of, read_gaps
from retr.indexer.row_names import PLAIN
from retr.indexer.snapshot import ChannelSpec, SegmentInfo, Snapshot, Threshold, commit, require_current

POLICY = DecodePolicy().under_rules(1)
"""Indexes of 0.1.0 have the first decode policy; give it to ``IndexOptions``."""
OFFSET, VALUE = 0.2, 0.9


def as_first_release(index: Path, *, local: bool) -> Snapshot:
    """Rewrite an index with the first decode policy to what 0.1.0 would have written.

    No row keys and names, no reference set, gaps as Parquet; nothing of the newer version stays in the folder.

    Args:
        index: the folder.
        local: thresholds calibrated row by row (``retr.index/3``); else one that the gallery itself gave (``/1``).
    """
    now = require_current(index)
    assert now.policy_digest == POLICY.digest
    channels = tuple(replace(one, threshold=_threshold(index, now, one, local=local)) for one in now.channels)
    segments = tuple(_segment(index, one) for one in now.segments)
    for folder in ("snapshots", "references", "negatives"):
        shutil.rmtree(index / folder, ignore_errors=True)
    for file in (index / "gaps").glob("*"):
        if not (local and file.name in {f"{one.threshold.gaps}.parquet" for one in channels if one.threshold}):
            file.unlink()
    return commit(index, replace(now, channels=channels, segments=segments, parent=None))


def _threshold(index: Path, now: Snapshot, channel: ChannelSpec, *, local: bool) -> Threshold:
    assert channel.threshold is not None
    assert channel.threshold.gaps is not None
    if not local:
        return Threshold(VALUE, "leave-one-out", 0.01, now.rows)
    gaps = gaps_of(now, read_gaps(index, channel.threshold.gaps))
    names = np.repeat(np.array([one.id for one in now.segments], dtype=object), [one.rows for one in now.segments])
    schema = pa.schema([pa.field("segment", pa.string(), False), pa.field("gap", pa.float32(), False)])
    file = index / "gaps" / f"{channel.name.replace(':', '-')}.parquet"
    pq.write_table(pa.table([pa.array(names, pa.string()), pa.array(gaps)], schema=schema), file)
    digest = sha256_file(file)
    file.rename(file.with_name(f"{digest}.parquet"))
    return Threshold(VALUE, "calibrated", 0.1, 30, 0.2, offset=OFFSET, gaps=digest)


def _segment(index: Path, segment: SegmentInfo) -> SegmentInfo:
    for name in PLAIN:
        (index / "segments" / segment.id / name).unlink()
    return replace(segment, files={name: digest for name, digest in segment.files.items() if name not in PLAIN})
