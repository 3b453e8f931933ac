"""Attack what is proved of families of edits: members, the worst of them, and PGD on top, just within the budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...attacks.pgd import pgd
from ...core.units import Radius, Unit
from ...images.families.asked import AskedFamily
from ...images.families.family import Pixels
from ...retrieval.answer import Answer
from ...retrieval.engine import Engine
from ...retrieval.ranges.claim import PARTS, Part
from ...retrieval.ranges.result import FamilyProof, RangeProof
from .claim_target import ClaimTarget, Goal, goal_of, known_rows
from .worst_members import draw_members

SHARES = (0.9, 0.99, 0.999)
"""Of the budget: each change that is found is judged at all three lengths."""
_VALUES = 1_000_000
"""Of images that are attacked at a time, at most."""


@dataclass(frozen=True, slots=True)
class Attacked:
    """What came of it.

    Attributes:
        pairs: (member, change) pairs that were judged.
        alarms: those that overturned what is proved, in words: every one is a fault.
    """

    pairs: int
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class RangeAttack:
    """An attack on what is proved of one query.

    Attributes:
        engine: that gave the proof.
        pixels: (H, W, 3) uint8, the query.
        proof: of it.
        eps: the budget, in ``unit``; unit: rmse, l2 or psnr.
        members: of each family and claim, about; steps: of PGD on each.
        seed: of what is drawn.
    """

    engine: Engine
    pixels: Pixels
    proof: RangeProof
    eps: float
    unit: Unit
    members: int = 24
    steps: int = 8
    seed: int = 0

    def on(self, asked: AskedFamily, found: FamilyProof) -> Attacked:
        """Try to overturn what is proved of one family."""
        pairs, alarms = 0, []
        for part in PARTS:
            if part in self.proof.claim.withheld:
                continue
            goal = goal_of(self.proof.claim, part)
            for member, judged in self._judged(asked, found, part, goal):
                pairs += len(judged)
                alarms += [
                    f"{asked.text}, {goal}, member {member}, {share:g} of the budget"
                    for share, held in zip(SHARES, judged, strict=True)
                    if not held
                ]
        return Attacked(pairs, tuple(alarms))

    def _judged(
        self, asked: AskedFamily, found: FamilyProof, part: Part, goal: Goal
    ) -> Iterator[tuple[int, list[bool]]]:
        """Number of each member, and whether the claim holds at each length of the change that was found for it."""
        family, rng = asked.on(self.pixels, self.engine.policy), np.random.default_rng(self.seed)
        target = ClaimTarget(known_rows(self.engine, self.pixels / 255.0, self.proof.claim, goal), goal)

        def losses(members: Sequence[Pixels]) -> np.ndarray:
            found = np.empty(len(members))
            for places, batch in _by_size(members):
                with torch.inference_mode():
                    found[places] = target.loss(_tensor(batch), torch.arange(len(batch))).numpy()
            return found

        drawn = draw_members(family, found.reach(part), self.members, rng=rng, losses=losses)
        for places, batch in _by_size(drawn):
            changes = self._changes(target, batch)
            images = [
                np.clip(member / 255.0 + share * change, 0.0, 1.0)
                for member, change in zip(batch, changes, strict=True)
                for share in SHARES
            ]
            held = iter([self._stands(answer, part) for answer in self.engine.answer_many(images, k=3)])
            yield from ((place, [next(held) for _ in SHARES]) for place in places)

    def _changes(self, target: ClaimTarget, batch: np.ndarray) -> np.ndarray:
        """(b, H, W, 3) the worst change that was found for each member, of at most the whole budget.

        The search goes in float32, which is quicker; what it finds is judged by the engine, in float64.
        """
        budget, x = Radius.asked(self.eps, self.unit, batch[0].size).l2, _tensor(batch)
        seeds = list(range(self.seed, self.seed + len(batch)))
        found = pgd(target, x, norm="l2", eps=torch.full((len(batch),), budget), steps=self.steps, seeds=seeds)
        change = (found.x_adv - x).double().numpy().transpose(0, 2, 3, 1)
        length = np.linalg.norm(change.reshape(len(change), -1), axis=1)
        return change * np.minimum(1.0, budget / np.maximum(length, 1e-300))[:, None, None, None]

    def _stands(self, answer: Answer, part: Part) -> bool:
        if part == "verdict":
            return answer.point_verdict == self.proof.claim.verdict
        group = answer.matches[0].group if answer.matches else None
        if group is None:
            return False
        return bytes(self.engine.gallery.table.keys(np.array([group]))[0]) == self.proof.claim.first


def attack_ranges(attack: RangeAttack, families: Sequence[AskedFamily]) -> Attacked:
    """Try to overturn every proved range of one query.

    Args:
        attack: on its proof.
        families: that it is of, in the same order.
    """
    each = [attack.on(asked, found) for asked, found in zip(families, attack.proof.families, strict=True)]
    return Attacked(sum(one.pairs for one in each), tuple(alarm for one in each for alarm in one.alarms))


def _tensor(batch: np.ndarray) -> torch.Tensor:
    return torch.from_numpy((batch / 255.0).transpose(0, 3, 1, 2).astype(np.float32, order="C"))


def _by_size(members: Sequence[Pixels]) -> Iterator[tuple[list[int], np.ndarray]]:
    """Places and pixels of some of one size at a time."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, member in enumerate(members):
        groups[member.shape].append(place)
    for places in groups.values():
        step = max(1, _VALUES // members[places[0]].size)
        for start in range(0, len(places), step):
            some = places[start : start + step]
            yield some, np.stack([members[place] for place in some])
