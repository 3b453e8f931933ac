"""Pictures that were declared to be one item (THEORY T3): copies of one another no longer zero the radius of a rank.

The map takes the SHA-256 of a picture's pixels to that of the picture whose item it belongs to. It is named in the
snapshot: items are merged there, never for a query. It is plain JSON, so that whoever checks a proof can read it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..core.errors import IntegrityError
from ..core.files import canonical_json, sha256_bytes, sha256_file, write_atomically
from .snapshot import Snapshot, told_file

_DIGEST = re.compile("[0-9a-f]{64}")
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
        return _read_table(file) if file.suffix == ".parquet" else _read_plain(file)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error


def _read_plain(file: Path) -> dict[str, str]:
    found = json.loads(file.read_bytes())
    names = [*found, *found.values()] if isinstance(found, dict) else [None]
    if not all(isinstance(name, str) and _DIGEST.fullmatch(name) for name in names):
        raise ValueError("it does not map digests of pixels to digests of pixels")
    return found


def _read_table(file: Path) -> dict[str, str]:
    table = pq.read_table(file, schema=SCHEMA)
    return dict(zip(table["pixels_sha256"].to_pylist(), table["item"].to_pylist(), strict=True))


def write_declared(index: Path, declared: Mapping[str, str]) -> str | None:
    """Store the map; returns the SHA-256 that a snapshot names it by, None for an empty one."""
    if not declared:
        return None
    content = canonical_json(dict(declared))
    digest = sha256_bytes(content)
    file = index / "declared" / f"{digest}.json"
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        write_atomically(file, content)
    return digest


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
