"""What is to be proved of every member of a family: what the query itself shows, certified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...indexer.items import NO_KEYS, Keys

Part = str
"""One of the two claims: ``verdict``, or which item is ``first``."""
PARTS: tuple[Part, ...] = ("verdict", "first")


@dataclass(frozen=True, slots=True)
class Claim:
    """The same in every cell: what holds at the identity.

    Attributes:
        verdict: copy or not-a-copy; None where there is no verdict to prove.
        copy_of: name of the item whose rows carry *copy*: the best ranked one that accepts; None otherwise.
        first: name of the item that is first.
        id, path: of the item that *copy* names, else of the first.
        withheld: per claim, why it cannot be proved of anything.
    """

    verdict: Literal["copy", "not-a-copy"] | None
    copy_of: bytes | None
    first: bytes | None
    id: str | None
    path: str | None
    withheld: dict[str, str]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The claims that can be tried."""
        return tuple(part for part in PARTS if part not in self.withheld)

    @property
    def keys(self) -> Keys:
        """Items all of whose rows are needed at every representative."""
        named = {key for key in (self.copy_of, self.first) if key is not None}
        return np.array(sorted(named), dtype=NO_KEYS.dtype) if named else NO_KEYS
