"""What was proved of a family of edits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.units import Radius
from ...images.families.family import Cell, Point
from .claim import PARTS, Claim, Part


@dataclass(frozen=True, slots=True)
class Stop:
    """What ended the proved range on one side.

    Attributes:
        at: the member or the middle of the cell, in words.
        because: what could not be shown there.
        rival: path of the competitor, where one is known.
    """

    at: str
    because: str
    rival: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """As JSON values."""
        return {"at": self.at, "because": self.because, "rival": self.rival}


@dataclass(frozen=True, slots=True)
class Reach:
    """How much of a family one claim is proved of.

    Attributes:
        whole: all of it.
        low, high: the ends of the largest range that is proved from the identity outwards, one number for each
            parameter; None where nothing is proved, or where order means nothing.
        share: proved part of the members, or of the range.
        stops: what ended it; empty where nothing did.
        withheld: why it could not be tried; None where it was.
    """

    whole: bool
    low: Point | None
    high: Point | None
    share: float
    stops: tuple[Stop, ...] = ()
    withheld: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "whole": self.whole,
            "low": _plain(self.low),
            "high": _plain(self.high),
            "share": self.share,
            "stops": [stop.as_json() for stop in self.stops],
            "withheld": self.withheld,
        }


@dataclass(frozen=True, slots=True)
class FamilyProof:
    """One family of edits of one query.

    Attributes:
        family: its name; asked: as it was asked for; program: what makes the edits, with versions.
        parameters: what they are called; span: what was asked for each.
        verdict, first: how much of it the two claims are proved of.
        members: how many there are; None where they are not finitely many.
        cells: groups of members, or cells of the range, that the proof consists of.
        evaluations: representatives that went through the network.
        outputs: SHA-256 over the members' pixels, where all of them were made; else over those of the query.
        seconds: in all.
        covers: per claim what the proof consists of, where something is proved.
    """

    family: str
    asked: str
    program: str
    parameters: tuple[str, ...]
    span: Cell
    verdict: Reach
    first: Reach
    members: int | None
    cells: int
    evaluations: int
    outputs: str
    seconds: float = field(compare=False)
    covers: Mapping[Part, Any] = field(default_factory=dict, compare=False, repr=False)

    def reach(self, part: Part) -> Reach:
        """Of one of the two claims."""
        return self.verdict if part == "verdict" else self.first

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "family": self.family,
            "asked": self.asked,
            "program": self.program,
            "parameters": [
                {"name": name, "low": low, "high": high}
                for name, (low, high) in zip(self.parameters, self.span, strict=True)
            ],
            "members": self.members,
            "cells": self.cells,
            "evaluations": self.evaluations,
            "outputs_sha256": self.outputs,
            "seconds": self.seconds,
            **{part: self.reach(part).as_json() for part in PARTS},
        }


@dataclass(frozen=True, slots=True)
class RangeProof:
    """All families that a query was asked about.

    Attributes:
        claim: the one thing that is proved of every member.
        eps: the budget on top, for an image of the query's size.
        families: in the order asked.
    """

    claim: Claim
    eps: Radius
    families: tuple[FamilyProof, ...]

    @property
    def of_verdict(self) -> bool:
        """Whether the verdict is proved of any edit at all."""
        return any(family.verdict.whole or family.verdict.share > 0.0 for family in self.families)

    @property
    def of_first(self) -> bool:
        """Whether first place is proved of any edit at all."""
        return any(family.first.whole or family.first.share > 0.0 for family in self.families)

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "claim": {"verdict": self.claim.verdict, "id": self.claim.id, "path": self.claim.path},
            "eps": self.eps.as_json(),
            "families": [family.as_json() for family in self.families],
        }


def _plain(point: Point | None) -> float | list[float] | None:
    """One number by itself."""
    return None if point is None else point[0] if len(point) == 1 else list(point)
