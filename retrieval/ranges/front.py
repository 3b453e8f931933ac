"""Which parts of a family are still worth trying: none that lie behind one where the claim already failed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...certificates.edit_ranges import Bools
from ..channel import Float64
from ..evidence import Ids
from .claim import Part


@dataclass
class Front:
    """The state of one claim over pieces (members or cells) of a family.

    Attributes:
        part: the claim.
        side: (n,) −1 or 1: on which side of the identity each piece lies (0 where order means nothing).
        near: (n,) how far from the identity each begins, 0 at the identity, 1 at the end of the range.
        proved, failed: (n,) what is known; neither where nothing is.
        by: (n,) number of the piece whose standing proves each; −1 where none does.
    """

    part: Part
    side: Float64
    near: Float64
    proved: Bools = field(init=False)
    failed: Bools = field(init=False)
    by: Ids = field(init=False)

    def __post_init__(self) -> None:
        self.proved, self.failed = np.zeros(len(self.near), dtype=bool), np.zeros(len(self.near), dtype=bool)
        self.by = np.full(len(self.near), -1, dtype=np.int64)

    def prove(self, pieces: Ids, by: int) -> None:
        """These are proved by the standing of one of them; what was proved before keeps what proved it."""
        self.by[pieces[~self.proved[pieces]]] = by
        self.proved[pieces] = True

    @property
    def open(self) -> Bools:
        """(n,) pieces that are neither known nor behind a failure."""
        return ~self.proved & ~self.failed & ~self.behind

    @property
    def behind(self) -> Bools:
        """(n,) pieces that begin farther out than one that failed on their side."""
        out = np.zeros(len(self.near), dtype=bool)
        for side in (-1.0, 1.0):
            stop = self.near[self.failed & (self.side == side)].min(initial=np.inf)
            out |= (self.side == side) & (self.near > stop)
        return out

    def reach(self, side: float) -> float:
        """Everything that begins nearer than this on one side is proved; inf where all of it is."""
        return float(self.near[~self.proved & (self.side == side)].min(initial=np.inf))
