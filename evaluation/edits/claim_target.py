"""What an attack on a proved claim pushes: the claimed item's rows out of acceptance, or a rival past them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...images.query_views import QueryView
from ...retrieval.channel import Channel, Float64
from ...retrieval.engine import Engine
from ...retrieval.evidence import Rows
from ...retrieval.probe import Probe
from ...retrieval.ranges.claim import Claim
from ...retrieval.source import Ask

RIVALS = 32


@dataclass(frozen=True)
class Known:
    """Rows of one test that the attack looks at.

    Attributes:
        view: of the query, that the channel compares them with.
        own, rivals: (m, d); limits: of the own rows; scale: 1/(L_g·ρ), so that tests can be compared.
        levels: (m,) thresholds that margins of the own rows and of the rivals are measured from.
    """

    channel: Channel
    view: QueryView
    own: Tensor
    limits: Tensor
    rivals: Tensor
    scale: float
    levels: tuple[Tensor, Tensor]


class ClaimTarget:
    """Loss > 0 where the claim is broken, as far as these rows know.

    Args:
        known: per test.
        first: whether first place is attacked, else *copy*.
    """

    def __init__(self, known: Sequence[Known], *, first: bool) -> None:
        self.known, self.first = known, first

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See ``attacks.target.Target``."""
        del samples
        embedded = [one.channel.embed(one.view.pick(x)) for one in self.known]
        pairs = list(zip(self.known, embedded, strict=True))
        if not self.first:
            inside = [_best(_inside(one, z, one.own, one.limits)) * one.scale for one, z in pairs]
            return -torch.stack(inside).amax(dim=0)
        if len(pairs) == 1:
            one, z = pairs[0]
            return (_score(one, z, one.rivals).amax(dim=1) - _score(one, z, one.own).amax(dim=1)) * one.scale
        margins = [_margins(one, z) for one, z in pairs]
        return torch.stack([rival for _, rival in margins]).amax(0) - torch.stack([own for own, _ in margins]).amax(0)


def known_rows(engine: Engine, pixels: Float64, claim: Claim, *, first: bool) -> list[Known]:
    """The rows that an attack on this query's claim looks at.

    Args:
        engine: that gave the proof.
        pixels: the query in [0, 1].
        claim: that is attacked.
        first: whether first place is attacked.
    """
    key = claim.first if first else claim.copy_of
    query, views = engine.embed(pixels), {view.name: view for view in engine.views}
    keys = np.array([key], dtype="S64")
    asks = [Ask(probe, nearest=RIVALS, own=keys) for probe in query.probes]
    answers = engine.sources[0].answer(asks)
    found = []
    for probe, embedded, seen in zip(query.probes, query.embedded, answers, strict=True):
        assert seen is not None, "a source always has its nearest rows"
        rivals = seen.listed.take(np.flatnonzero(seen.listed.keys != key))
        limits = seen.own.limits if seen.own.limits is not None else np.zeros(len(seen.own))
        tensors = [torch.from_numpy(np.ascontiguousarray(one)) for one in (seen.own.numbers, limits, rivals.numbers)]
        levels = _levels(probe, seen.own), _levels(probe, rivals)
        assert probe.bounds is not None, "only certified probes carry a claim"
        assert embedded.lipschitz is not None, "only certified probes carry a claim"
        channel, scale = engine.channels[probe.channel], 1.0 / embedded.lipschitz.value
        found.append(Known(channel, views[probe.view], *tensors, scale=scale, levels=levels))
    return found


def _levels(probe: Probe, rows: Rows) -> Tensor:
    if rows.levels is not None:
        return torch.from_numpy(rows.levels)
    return torch.full((len(rows),), np.nan if probe.threshold is None else probe.threshold, dtype=torch.float64)


def _best(values: Tensor) -> Tensor:
    """(b,) the largest of each; −inf where a test knows no row."""
    return values.amax(dim=1) if values.shape[1] else values.new_full((len(values),), -torch.inf)


def _margins(one: Known, z: Tensor) -> tuple[Tensor, Tensor]:
    """The largest margin of the item's rows and of rivals, by the thresholds that margins are measured from."""
    own, rivals = (level.to(z.dtype) for level in one.levels)
    return _best(_inside(one, z, one.own, own)) * one.scale, _best(_inside(one, z, one.rivals, rivals)) * one.scale


def _score(one: Known, z: Tensor, rows: Tensor) -> Tensor:
    return z @ rows.T if one.channel.score == "cosine" else -torch.cdist(z, rows)


def _inside(one: Known, z: Tensor, rows: Tensor, limits: Tensor) -> Tensor:
    """(b, m) signed distances to the edge of what the rows accept (T4, T5), in embedding units."""
    if one.channel.score == "euclidean":
        return limits - torch.cdist(z, rows)
    along = z @ rows.T
    across = (z.square().sum(dim=1, keepdim=True) - along.square()).clamp(min=1e-18).sqrt()
    return (1.0 - limits.square()).clamp(min=0.0).sqrt() * along - limits * across
