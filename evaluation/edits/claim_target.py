"""What an attack on a proved claim pushes: the claimed item out of acceptance, a rival past it, or any row into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...images.query_views import QueryView
from ...retrieval.channel import Channel, Float64
from ...retrieval.engine import Engine
from ...retrieval.evidence import Rows
from ...retrieval.probe import Probe
from ...retrieval.ranges.claim import Claim, Part
from ...retrieval.source import Ask

RIVALS = 32
Goal = Literal["copy", "nothing", "first"]
"""The claim under attack: *copy* and *not a copy* are verdicts, *first* is a rank."""


@dataclass(frozen=True)
class Known:
    """Rows of one test that the attack looks at.

    Attributes:
        channel, view: what compares them with which view of the query.
        own, rivals: (m, d); own_limits, rival_limits: up to where each accepts.
        levels: thresholds that margins of the own rows, and of the rivals, are measured from.
        scale: 1/(L_g·ρ), so that tests can be compared.
    """

    channel: Channel
    view: QueryView
    own: Tensor
    own_limits: Tensor
    rivals: Tensor
    rival_limits: Tensor
    levels: tuple[Tensor, Tensor]
    scale: float

    def to(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Its rows in the precision of x."""
        return self.own.to(x), self.own_limits.to(x), self.rivals.to(x), self.rival_limits.to(x)


class ClaimTarget:
    """Loss > 0 where the claim is broken, as far as these rows know.

    Args:
        known: per test.
        goal: what is claimed.
    """

    def __init__(self, known: Sequence[Known], goal: Goal) -> None:
        self.known, self.goal = known, goal

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See ``attacks.target.Target``."""
        del samples
        embedded = [(one, one.channel.embed(one.view.pick(x))) for one in self.known]
        if self.goal == "first":
            return self._overtaken(embedded)
        inside = [_accepted(one, z, own=self.goal == "copy") for one, z in embedded]
        deepest = torch.stack(inside).amax(dim=0)
        return -deepest if self.goal == "copy" else deepest

    def _overtaken(self, embedded: Sequence[tuple[Known, Tensor]]) -> Tensor:
        if len(embedded) == 1:
            one, z = embedded[0]
            own, _, rivals, _ = one.to(z)
            return (_score(one, z, rivals).amax(dim=1) - _score(one, z, own).amax(dim=1)) * one.scale
        margins = [_margins(one, z) for one, z in embedded]
        return torch.stack([rival for _, rival in margins]).amax(0) - torch.stack([own for own, _ in margins]).amax(0)


def goal_of(claim: Claim, part: Part) -> Goal:
    """What is claimed in one part of a proof."""
    if part == "first":
        return "first"
    return "copy" if claim.verdict == "copy" else "nothing"


def known_rows(engine: Engine, pixels: Float64, claim: Claim, goal: Goal) -> list[Known]:
    """The rows that an attack on this query's claim looks at.

    Args:
        engine: that gave the proof.
        pixels: the query in [0, 1].
        claim: that is attacked.
        goal: which of it.
    """
    key = claim.copy_of if goal == "copy" else claim.first if goal == "first" else None
    query, views = engine.embed(pixels), {view.name: view for view in engine.views}
    keys = np.array([] if key is None else [key], dtype="S64")
    asks = [Ask(probe, nearest=RIVALS, own=keys) for probe in query.probes]
    answers = engine.sources[0].answer(asks)
    found = []
    for probe, embedded, seen in zip(query.probes, query.embedded, answers, strict=True):
        assert seen is not None, "a source always has its nearest rows"
        assert embedded.lipschitz is not None, "only certified probes carry a claim"
        rivals = seen.listed if key is None else seen.listed.take(np.flatnonzero(seen.listed.keys != key))
        rows, levels = (*_tensors(seen.own), *_tensors(rivals)), (_levels(probe, seen.own), _levels(probe, rivals))
        channel, scale = engine.channels[probe.channel], 1.0 / embedded.lipschitz.value
        found.append(Known(channel, views[probe.view], *rows, levels, scale))
    return found


def _tensors(rows: Rows) -> tuple[Tensor, Tensor]:
    limits = rows.limits if rows.limits is not None else np.zeros(len(rows))
    return torch.from_numpy(np.ascontiguousarray(rows.numbers)), torch.from_numpy(np.ascontiguousarray(limits))


def _accepted(one: Known, z: Tensor, *, own: bool) -> Tensor:
    """(b,) how deep inside of what some row accepts, in pixels; very far outside where there is no row."""
    mine, mine_limits, others, other_limits = one.to(z)
    rows, limits = (mine, mine_limits) if own else (others, other_limits)
    return _best(one, z, rows, limits)


def _best(one: Known, z: Tensor, rows: Tensor, limits: Tensor) -> Tensor:
    if not len(rows):
        return torch.full((len(z),), -1e9, dtype=z.dtype)
    return _inside(one, z, rows, limits).amax(dim=1) * one.scale


def _levels(probe: Probe, rows: Rows) -> Tensor:
    if rows.levels is not None:
        return torch.from_numpy(rows.levels)
    return torch.full((len(rows),), float("nan") if probe.threshold is None else probe.threshold, dtype=torch.float64)


def _margins(one: Known, z: Tensor) -> tuple[Tensor, Tensor]:
    """The largest margin of the item's rows and of rivals, by the thresholds that margins are measured from."""
    assert one.channel.threshold is not None, "margins need thresholds"
    own, _, rivals, _ = one.to(z)
    mine, theirs = (level.to(z) for level in one.levels)
    return _best(one, z, own, mine), _best(one, z, rivals, theirs)


def _score(one: Known, z: Tensor, rows: Tensor) -> Tensor:
    return z @ rows.T if one.channel.score == "cosine" else -torch.cdist(z, rows)


def _inside(one: Known, z: Tensor, rows: Tensor, limits: Tensor) -> Tensor:
    """(b, m) signed distances to the edge of what the rows accept (T4, T5), in embedding units."""
    if one.channel.score == "euclidean":
        return limits - torch.cdist(z, rows)
    along = z @ rows.T
    across = (z.square().sum(dim=1, keepdim=True) - along.square()).clamp(min=1e-18).sqrt()
    return (1.0 - limits.square()).clamp(min=0.0).sqrt() * along - limits * across
