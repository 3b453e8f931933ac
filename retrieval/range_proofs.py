"""From proved ranges of edits to proof objects, one for each family and claim (THEORY T12, docs/proofs.md).

The members and cells, and what stands for each, are those that the answer was proved with. Their numbers are computed
anew from all rows, because the answer's are bounds that stop at what it had to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..certificates.statement import ProofObject
from ..core.files import sha256_bytes
from ..core.units import Radius
from ..images.families.family import Levels, Pixels
from ..images.families.geometry import Crops
from .channel import Float64
from .proof_context import Context
from .range_channel import RangeChannel
from .range_distances import crop_distances, distances_of, parameters_of
from .ranges.covers import CellsCover, Cover, MemberCover
from .ranges.result import FamilyProof, RangeProof


def range_proofs(context: Context, pixels: Pixels) -> Iterator[ProofObject]:
    """The proofs of all that an answer proves of edited versions of its query.

    Args:
        context: the answer.
        pixels: (H, W, 3) uint8, of the query.
    """
    against = context.answer.against
    if against is None:
        return
    tests = [RangeChannel(context.engine, number) for number in range(len(context.engine.channels))]
    for family in against.families:
        for part, cover in family.covers.items():
            claim = _Writer(context, pixels, against, tests).claim(family, part, cover)
            yield context.statement("verify_ranges.py", claim)


@dataclass(frozen=True)
class _Cell:
    """Some members: what stands for them, per channel r and r + ρ·ε; ``words`` are the fields that name them."""

    words: dict[str, Any]
    image: Levels
    near: Float64
    reached: Float64


@dataclass(frozen=True)
class _Writer:
    context: Context
    pixels: Pixels
    against: RangeProof
    tests: Sequence[RangeChannel]

    def claim(self, proof: FamilyProof, part: str, cover: Cover) -> dict[str, Any]:
        """The fields that no other claim has."""
        what = "first-place" if part == "first" else self.against.claim.verdict
        key = self.against.claim.first if part == "first" else self.against.claim.copy_of
        table = self.context.engine.gallery.table
        group = None if key is None else int(table.numbers(np.array([key], dtype="S64"))[0])
        reach = proof.reach(part)
        low, high = reach.low or tuple(a for a, _ in proof.span), reach.high or tuple(b for _, b in proof.span)
        cells = list(self._of_members(cover) if isinstance(cover, MemberCover) else self._of_cells(cover))
        family = {
            "name": proof.family,
            "asked": proof.asked,
            "program": proof.program,
            "parameters": list(proof.parameters),
            "low": [float(end) for end in low],
            "high": [float(end) for end in high],
            "pixels_sha256": _digests(cover),
        }
        amount, unit = self.against.eps.given or (self.against.eps.l2, "l2")
        item = None if group is None else self.context.item(group)
        return {
            "claim": {
                "kind": "ranges",
                "sentence": self._sentence(family, str(what), float(amount), unit, item.id if item else None),
                "what": what,
                "item": None if item is None else item.as_json(),
                "eps": {"value": float(amount), "unit": unit},
                "radius": {
                    name: None if one is None else float(one) for name, one in self.against.eps.as_json().items()
                },
            },
            "family": family,
            "probes": [{"channel": test.number, "view": "original"} for test in self.tests],
            "cells": [{**cell.words, **self._numbers(cell, str(what), group)} for cell in cells],
        }

    def _sentence(self, family: dict[str, Any], what: str, amount: float, unit: str, item: str | None) -> str:
        ends = zip(family["low"], family["high"], strict=True)
        span = ", ".join(f"{low!r} to {high!r}" for low, high in ends)
        near = {
            "rmse": f"whose RMSE from it (levels of 0..255) is at most {amount!r}",
            "l2": f"whose l2 distance from it (values in 0..1) is at most {amount!r}",
            "psnr": f"whose PSNR against it is at least {amount!r} dB",
        }[unit]
        words = {
            "first-place": f"item {item} is in first place",
            "copy": f"the verdict is: a copy of item {item}",
            "not-a-copy": "the verdict is: not a copy of anything in the index",
        }[what]
        edits = f"every edit of the query by {family['name']}, {span},"
        return f"For {edits} and every image of the edited image's size {near}, {words}{self.context.among}."

    # -- members and cells --------------------------------------------------------------------------------------------

    def _of_members(self, cover: MemberCover) -> Iterator[_Cell]:
        family, reps = cover.family, np.unique(cover.by)
        images = {int(rep): family.make(int(rep)) for rep in reps}
        seen = {rep: [test.see(image) for test in self.tests] for rep, image in images.items()}
        distances = crop_distances if isinstance(family, Crops) else distances_of
        far = distances(cover, seen, self.tests)  # m c
        sizes = [(int(tall), int(wide)) for tall, wide in family.sizes[cover.places]]
        rho, budget, rounding = self._sizes(sizes)
        near = far + rounding
        reached = near + rho * budget[:, None]
        for rep in reps.tolist():
            mine = np.flatnonzero(cover.by == rep)
            words = {"low": [], "high": [], "at": parameters_of(cover, rep), "members": mine.tolist()}
            yield _Cell(words, images[rep].astype(np.float64), near[mine].max(axis=0), reached[mine].max(axis=0))

    def _of_cells(self, cover: CellsCover) -> Iterator[_Cell]:
        size = (int(self.pixels.shape[0]), int(self.pixels.shape[1]))
        rho, budget, rounding = self._sizes([size])
        for cell in cover.cells:
            enclosure = cover.family.enclose(cell)
            near = np.array([np.linalg.norm(test.see(enclosure.half)) for test in self.tests]) + rounding
            words = {"low": [low for low, _ in cell], "high": [high for _, high in cell], "at": [], "members": []}
            yield _Cell(words, enclosure.centre, near, near + rho[0] * budget[0])

    def _sizes(self, sizes: Sequence[tuple[int, int]]) -> tuple[Float64, Float64, Float64]:
        """(m, c) ρ, (m,) ε in ℓ2, (c,) room for the rounding of the members' resizes."""
        amount, unit = self.against.eps.given or (self.against.eps.l2, "l2")
        distinct = sorted(set(sizes))
        resizes = {size: [test.resize(size) for test in self.tests] for size in distinct}
        rho = np.array([[one.norm.value for one in resizes[size]] for size in sizes])
        budget = {size: Radius.asked(amount, unit, 3 * size[0] * size[1]).l2 for size in distinct}
        room = [3.0 * max(own[n].rounding.value for own in resizes.values()) for n in range(len(self.tests))]
        return rho, np.array([budget[size] for size in sizes]), np.array(room)

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _numbers(self, cell: _Cell, what: str, group: int | None) -> dict[str, Any]:
        """Per channel: how far members are, the item's margin and the nearest rival's, in resized units."""
        zs, nothing = [test.embed(cell.image) for test in self.tests], [None] * len(self.tests)
        own: list[Any] = nothing
        rival: list[Any] = nothing
        if what == "first-place" and len(self.tests) == 1:
            own = [self.tests[0].lead(zs[0], group)]
        elif what == "copy":
            own = [test.largest(z, test.of_item(group)) for test, z in zip(self.tests, zs, strict=True)]
        elif what == "not-a-copy":
            rival = [test.largest(z, np.arange(len(test.rows))) for test, z in zip(self.tests, zs, strict=True)]
        else:
            pairs = list(zip(self.tests, zs, strict=True))
            own = [test.largest(z, test.of_item(group), ranking=True) for test, z in pairs]
            rival = [test.largest(z, test.others(group), ranking=True) for test, z in pairs]
        return {"r": cell.near.tolist(), "moved": cell.reached.tolist(), "own": own, "rival": rival}


def _digests(cover: Cover) -> list[str]:
    """Of shape and pixels of each member; none of crops, which are the query's own pixels, and of cells."""
    if not isinstance(cover, MemberCover) or isinstance(cover.family, Crops):
        return []
    return [_digest(cover.family.make(place)) for place in cover.places.tolist()]


def _digest(pixels: Pixels) -> str:
    """SHA-256 of shape and pixels."""
    return sha256_bytes(f"{pixels.shape[0]}x{pixels.shape[1]}x3:".encode() + np.ascontiguousarray(pixels).tobytes())
