"""Edits with proof: each family of edits that was asked for, one after the other (THEORY T12)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ...core.errors import CertificateWithheld, UsageError
from ...core.units import Radius, Unit
from ...images.families.asked import AskedFamily
from ...images.families.family import Continuous, Finite, Pixels
from ...images.families.geometry import Crops
from ..answer import Answer
from ..engine import Engine
from .claim import PARTS, Claim, Part
from .claiming import claim_of
from .cover_cells import CellCover
from .cover_members import cover_members
from .covers import Cover, cover_of_cells, cover_of_members
from .crop_members import CropMembers, fits
from .judge import Judge
from .members import Budget, MadeMembers, Members, Sizes
from .optics import Optics
from .reaches import reach_of_cells, reach_of_members, withheld_reach
from .result import FamilyProof, RangeProof, Reach

Found = tuple[dict[Part, Reach], Mapping[Part, Cover | None], int, str]
"""Per claim how much is proved and by what; number of cells; digest of what was made."""


def prove_ranges(
    engine: Engine,
    pixels: Pixels,
    answer: Answer,
    families: Sequence[AskedFamily],
    *,
    eps: float,
    unit: Unit,
    watch: Callable[[Iterable[AskedFamily]], Iterable[AskedFamily]] = iter,
) -> RangeProof:
    """How much of each family the answer's verdict and first place are proved of, with any change up to ε on top.

    Args:
        engine: that gave the answer.
        pixels: (H, W, 3) uint8, the query as decoded.
        answer: to it, certified.
        families: from ``images.families.asked``.
        eps: of the change on top, in ``unit``; it counts the values of the *edited* image.
        unit: rmse, l2 or psnr.
        watch: wraps the families, for progress.

    Raises:
        UsageError: the index has negative banks, or a companion is asked.
    """
    if engine.banks:
        raise UsageError(
            "proofs of edits speak of the gallery alone, and here negative banks have a say: ask as if there were "
            "none, with unsilenced (--unsilenced)"
        )
    if engine.companions:
        raise UsageError(
            f"proofs of edits speak of certified channels alone, and here {engine.companions[0].name} has a say: ask "
            "without it, with --certified-only"
        )
    proof = _Proof(engine, pixels, claim_of(engine, answer), eps, unit)
    return RangeProof(
        proof.claim, Radius.asked(eps, unit, pixels.size), tuple(proof.of(family) for family in watch(families))
    )


class _Proof:
    """One query, its claim and its budget."""

    def __init__(self, engine: Engine, pixels: Pixels, claim: Claim, eps: float, unit: Unit) -> None:
        self.engine, self.pixels, self.claim = engine, pixels, claim
        self.optics = Optics(engine.channels, engine.views, engine.tests)
        self.budget: Budget = lambda values: Radius.asked(eps, unit, values).l2

    def of(self, asked: AskedFamily) -> FamilyProof:
        began = time.perf_counter()
        try:
            family = asked.on(self.pixels, self.engine.policy)
        except UsageError as why:  # too many members for this image: the other families have nothing to do with it
            return _not_made(asked, str(why), time.perf_counter() - began)
        judge = Judge(self.optics, tuple(self.engine.sources), self.claim)
        try:
            search = self._finite if isinstance(family, Finite) else self._continuous
            reaches, covers, cells, outputs = search(family, judge)  # type: ignore[arg-type]
        except (CertificateWithheld, UsageError) as why:
            covers, cells, outputs = {}, 0, ""
            reaches = {part: withheld_reach(str(why)) for part in PARTS}
        return FamilyProof(
            family=family.name,
            asked=asked.text,
            program=family.program,
            parameters=family.names,
            span=family.span,
            verdict=reaches["verdict"],
            first=reaches["first"],
            members=len(family) if isinstance(family, Finite) else None,
            cells=cells,
            evaluations=judge.evaluations,
            outputs=outputs,
            seconds=time.perf_counter() - began,
            covers={part: cover for part, cover in covers.items() if cover is not None},
        )

    def _finite(self, family: Finite, judge: Judge) -> Found:
        if not self.claim.parts:
            return self._complete({}), {}, 0, ""
        members = self._members(family)
        found = cover_members(family, members, judge, self.claim.parts)
        reaches = {part: reach_of_members(family, found, part, self.engine) for part in self.claim.parts}
        covers = {part: cover_of_members(family, found.fronts[part], reach) for part, reach in reaches.items()}
        return self._complete(reaches), covers, found.cells, members.digest

    def _members(self, family: Finite) -> Members:
        if isinstance(family, Crops) and all(fits(optic) for optic in self.optics.every):
            return CropMembers.of(family, self.optics, self.budget)
        return MadeMembers.of(family, self.optics, self.budget)

    def _continuous(self, family: Continuous, judge: Judge) -> Found:
        import hashlib

        sizes = Sizes.of(self.optics, np.array([self.pixels.shape[:2]]), self.budget)
        pieces = CellCover(family, self.optics, judge, sizes, self.claim.parts).search()
        reaches = {part: reach_of_cells(family, pieces, part, self.engine) for part in self.claim.parts}
        cells = sum(bool(piece.proved) for piece in pieces)
        covers = {part: cover_of_cells(family, pieces, part, reach) for part, reach in reaches.items()}
        return self._complete(reaches), covers, cells, hashlib.sha256(self.pixels.tobytes()).hexdigest()

    def _complete(self, reaches: dict[Part, Reach]) -> dict[Part, Reach]:
        return {part: withheld_reach(why) for part, why in self.claim.withheld.items()} | reaches


def _not_made(asked: AskedFamily, why: str, seconds: float) -> FamilyProof:
    """A family that cannot be made of this image."""
    withheld = withheld_reach(why)
    return FamilyProof(
        family=asked.text.partition(":")[0],
        asked=asked.text,
        program="",
        parameters=(),
        span=(),
        verdict=withheld,
        first=withheld,
        members=None,
        cells=0,
        evaluations=0,
        outputs="",
        seconds=seconds,
    )
