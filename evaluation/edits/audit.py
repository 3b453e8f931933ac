"""Edits with proof over many queries: proved, attacked if asked for, and recorded, a part for each query."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.files import sha256_bytes
from ...core.progress import Progress, begin
from ...images.families.asked import AskedFamily, read_families
from ...images.families.family import Pixels
from ...retrieval.engine import Engine
from ...retrieval.ranges.claim import Claim
from ...retrieval.ranges.prove import prove_ranges
from ...retrieval.ranges.result import FamilyProof
from ..shared.provenance import Provenance, describe_engine, describe_run
from ..shared.records import NO_ATTACK, Records
from ..shared.run_folder import RunFolder, open_run
from .attacking import Attacked, RangeAttack
from .records import FORMAT, own_columns

FOLDER = "edits"
"""Beside the records of the audit that they belong to."""


@dataclass(frozen=True)
class RangePlan:
    """What is asked of every query.

    Attributes:
        against: families of edits in words (``images.families.asked``).
        on_top: RMSE of the change that may come on top.
        members: of each family and claim, to be attacked; 0 for no attack.
        seed: of what is drawn.
    """

    against: tuple[str, ...]
    on_top: float = 1.0
    members: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.on_top <= 255.0:
            raise UsageError(f"a change on top has an RMSE of 0 to 255 levels, got {self.on_top}")
        read_families(self.against)


@dataclass(frozen=True)
class Picture:
    """One query.

    Attributes:
        query: its file; edit: what was done to it first.
        pixels: (H, W, 3) uint8.
        truth: names of the true items; none for a copy of nothing.
    """

    query: str
    edit: str
    pixels: Pixels
    truth: frozenset[bytes]


def run_ranges(
    engine: Engine,
    pictures: Iterable[Picture],
    plan: RangePlan,
    *,
    beside: Path,
    command: str,
    progress: Progress,
    total: int = 0,
    seconds: float | None = None,
) -> Records:
    """Prove, or go on proving; the records are in the folder ``edits`` beside an audit's own.

    Args:
        engine: the index.
        pictures: the queries, the same each time.
        plan: what is asked of them.
        beside: the audit's folder.
        command: the command line.
        progress: told of every query.
        total: how many queries there are, about.
        seconds: take on no query after so long; None for no limit.
    """
    place = open_run(FORMAT, plan=asdict(plan), command=command, out=beside / FOLDER, home=beside, resume=True)
    if not place.finished:
        place.begin({"index": describe_engine(engine)})
        _go_on(engine, pictures, plan, place, progress, total, seconds)
    return FORMAT.read(place.records)


def _go_on(
    engine: Engine,
    pictures: Iterable[Picture],
    plan: RangePlan,
    place: RunFolder,
    progress: Progress,
    total: int,
    seconds: float | None,
) -> None:
    began, families = time.monotonic(), read_families(plan.against)
    facts = describe_run(describe_engine(engine), run=place.run, command=place.command, seed=plan.seed)
    begin(progress, "edits with proof", total, place.done)
    left_out = 0
    for picture in islice(pictures, place.done, None):
        if seconds is not None and time.monotonic() - began > seconds:
            left_out += 1
            continue
        place.add(list(_rows(engine, picture, plan, families, facts)), {"pictures": place.done + 1})
        progress.advance(1)
    place.finish({"left_out": left_out})


def _rows(
    engine: Engine, picture: Picture, plan: RangePlan, families: list[AskedFamily], facts: Provenance
) -> Iterable[dict[str, Any]]:
    answer = engine.answer_many([picture.pixels], k=10, certify=True)[0]
    proof = prove_ranges(engine, picture.pixels, answer, families, eps=plan.on_top, unit="rmse")
    attack = RangeAttack(engine, picture.pixels, proof, plan.on_top, "rmse", members=plan.members, seed=plan.seed)
    shared = {
        **facts.columns(),
        **NO_ATTACK,
        "system": facts.model,
        "query": picture.query,
        "query_sha256": sha256_bytes(picture.pixels.tobytes()),
        "width": answer.width,
        "height": answer.height,
        "edit": picture.edit,
        "on_top": plan.on_top,
        **_right(proof.claim, picture.truth),
    }
    for asked, found in zip(families, proof.families, strict=True):
        attacked = attack.on(asked, found) if plan.members else Attacked(0, ())
        yield {**shared, **own_columns(proof, found), **_attacked(attacked, found)}


def _right(claim: Claim, truth: frozenset[bytes]) -> dict[str, bool]:
    named = claim.copy_of in truth if truth else claim.verdict == "not-a-copy"
    return {"right": named, "right_first": claim.first in truth}


def _attacked(attacked: Attacked, found: FamilyProof) -> dict[str, Any]:
    return {
        "pairs": attacked.pairs,
        "alarm": bool(attacked.alarms),
        "alarms": json.dumps(attacked.alarms) if attacked.alarms else None,
        "seconds": found.seconds,
    }
