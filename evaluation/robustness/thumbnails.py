"""Pictures of items, for the page of an audit."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow.compute as pc

from ...core.errors import ImageRejected
from ...core.files import sha256_bytes
from ...indexer.entries import read_named
from ...retrieval.engine import Engine
from ..systems.index_system import EngineSystem
from ..systems.lineup import Lineup


def thumbnails(lineup: Lineup, base: Engine) -> Callable[[str, str], bytes | None]:
    """(system, item id) → the item's file; None where it is gone or no longer what was indexed.

    Args:
        lineup: the systems of the audit.
        base: the index whose items the hashes hold.
    """
    systems = {entrant.system.name: entrant.system for entrant in lineup.all}
    engines = {name: one.engine for name, one in systems.items() if isinstance(one, EngineSystem)}

    def picture(system: str, item: str) -> bytes | None:
        return _file_of(engines.get(system, base), item)

    return picture


def _file_of(engine: Engine, item: str) -> bytes | None:
    row = pc.index(engine.gallery.catalog["id"], item).as_py()
    if row < 0:
        return None
    facts = engine.gallery.describe(row)
    try:
        data = read_named(str(facts["path"]), engine.policy)
    except ImageRejected:
        return None
    return data if sha256_bytes(data) == facts["bytes_sha256"] else None
