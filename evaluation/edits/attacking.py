"""Attack what is proved of families of edits: members, and PGD on top of each, just inside of the budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...attacks.pgd import pgd
from ...core.units import Radius, Unit
from ...images.families.asked import AskedFamily
from ...images.families.family import Pixels
from ...retrieval.answer import Answer
from ...retrieval.engine import Engine
from ...retrieval.ranges.result import RangeProof
from .claim_target import ClaimTarget, known_rows
from .worst_members import draw_members

SHARES = (0.9, 0.99, 0.999)
"""Of the budget, in turn."""


@dataclass(frozen=True, slots=True)
class Attacked:
    """What came of it.

    Attributes:
        pairs: (member, change) pairs that were judged.
        alarms: those that overturned what is proved, in words: every one is a fault.
    """

    pairs: int
    alarms: tuple[str, ...]


def attack_ranges(
    engine: Engine,
    pixels: Pixels,
    proof: RangeProof,
    families: Sequence[AskedFamily],
    *,
    eps: float,
    unit: Unit,
    members: int = 24,
    steps: int = 8,
    seed: int = 0,
) -> Attacked:
    """Try to overturn every proved range of one query.

    Args:
        engine: that gave the proof.
        pixels: (H, W, 3) uint8, the query.
        proof: of it.
        families: that it is of, in the same order.
        eps: the budget, in ``unit``.
        unit: rmse, l2 or psnr.
        members: of each family and claim, about.
        steps: of PGD on each.
        seed: of what is drawn.
    """
    rng, pairs, alarms = np.random.default_rng(seed), 0, []
    for asked, found in zip(families, proof.families, strict=True):
        family = asked.on(pixels, engine.policy)
        for part in ("verdict", "first"):
            if part == "verdict" and proof.claim.verdict != "copy":
                continue
            drawn = draw_members(family, found.reach(part), members, rng=rng)
            for batch in _by_size(drawn):
                attacked = _attack(engine, pixels, proof, batch, part=part, eps=eps, unit=unit, steps=steps, seed=seed)
                broken = _broken(engine, proof, attacked, part)
                pairs += len(batch)
                alarms += [f"{asked.text}, {part}, member {at}" for at in broken]
    return Attacked(pairs, tuple(alarms))


def _by_size(members: Sequence[Pixels]) -> list[np.ndarray]:
    groups: dict[tuple[int, ...], list[Pixels]] = defaultdict(list)
    for member in members:
        groups[member.shape].append(member)
    return [np.stack(group) for group in groups.values()]


def _attack(
    engine: Engine,
    pixels: Pixels,
    proof: RangeProof,
    batch: np.ndarray,
    *,
    part: str,
    eps: float,
    unit: Unit,
    steps: int,
    seed: int,
) -> np.ndarray:
    """(b, H, W, 3) the worst change that was found for each member, within its share of the budget."""
    first = part == "first"
    target = ClaimTarget(known_rows(engine, pixels / 255.0, proof.claim, first=first), first=first)
    x = torch.from_numpy((batch / 255.0).transpose(0, 3, 1, 2).copy())
    budget = Radius.asked(eps, unit, batch[0].size).l2
    radii = torch.tensor([budget * SHARES[at % len(SHARES)] for at in range(len(batch))], dtype=torch.float64)
    found = pgd(target, x, norm="l2", eps=radii, steps=steps, seeds=list(range(seed, seed + len(batch))))
    return found.x_adv.numpy().transpose(0, 2, 3, 1)


def _broken(engine: Engine, proof: RangeProof, attacked: np.ndarray, part: str) -> list[int]:
    """Which of them the engine no longer answers as was proved."""
    answers = engine.answer_many([np.ascontiguousarray(image) for image in attacked], k=3)
    return [at for at, answer in enumerate(answers) if not _stands(engine, proof, answer, part)]


def _stands(engine: Engine, proof: RangeProof, answer: Answer, part: str) -> bool:
    if part == "verdict":
        return answer.point_verdict == proof.claim.verdict
    group = answer.matches[0].group if answer.matches else None
    return group is not None and bytes(engine.gallery.table.keys(np.array([group]))[0]) == proof.claim.first
