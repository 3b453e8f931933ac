"""Pictures that were declared to be one item (THEORY T3): copies of one another no longer zero the radius of a rank.

The table maps the SHA-256 of a picture's pixels to that of the picture whose item it belongs to. It is named in the
snapshot: items are merged there, never for a query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..core.errors import IntegrityError
from ..core.files import sha256_file
from .snapshot import Snapshot, told_file

SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("pixels_sha256", "item")])


def declared_of(index: Path, snapshot: Snapshot) -> dict[str, str]:
    """Pixels → the pixels whose item they belong to.

    Raises:
        IntegrityError: the table is missing or damaged.
    """
    if snapshot.declared is None:
        return {}
    file = told_file(index, "declared", snapshot.declared)
    try:
        if sha256_file(file) != snapshot.declared:
            raise IntegrityError(f"{file} does not match the SHA-256 that is its name")
        table = pq.read_table(file, schema=SCHEMA)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error
    return dict(zip(table["pixels_sha256"].to_pylist(), table["item"].to_pylist(), strict=True))


def joined(known: Mapping[str, str], groups: Iterable[Iterable[str]]) -> dict[str, str]:
    """The map with more groups declared: groups that share a picture become one, named by its least digest."""
    roots = dict(known)
    roots.update({item: item for item in known.values()})
    for group in groups:
        members = sorted(set(group))
        wanted = {roots.get(one, one) for one in members}
        name = min([*members, *wanted])
        for one, root in list(roots.items()):
            if root in wanted:
                roots[one] = name
        roots.update(dict.fromkeys([*members, name], name))
    return {one: root for one, root in sorted(roots.items()) if one != root}


def as_table(declared: Mapping[str, str]) -> pa.Table:
    """The map in columns, sorted."""
    pairs = sorted(declared.items())
    return pa.Table.from_pydict(
        {"pixels_sha256": [one for one, _ in pairs], "item": [root for _, root in pairs]}, schema=SCHEMA
    )


def item_digests(digests: pa.ChunkedArray, declared: Mapping[str, str]) -> pa.ChunkedArray:
    """(rows,) for each row's pixels the pixels whose item it belongs to."""
    if not declared:
        return digests
    ones, roots = pa.array(list(declared), pa.string()), pa.array(list(declared.values()), pa.string())
    places = pc.call_function("index_in", [digests], pc.SetLookupOptions(value_set=ones))
    mapped = roots.take(places.combine_chunks() if isinstance(places, pa.ChunkedArray) else places)
    whole = digests.combine_chunks() if isinstance(digests, pa.ChunkedArray) else digests
    known = np.asarray(mapped.is_valid())
    return pa.chunked_array([pc.call_function("if_else", [pa.array(known), mapped, whole])])
