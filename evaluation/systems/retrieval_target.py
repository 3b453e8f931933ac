"""A retr index as a target of attack: the retrieval margin itself is the loss (docs/theory.md, T1, T4, T5, T9).

Losses are signed distances in pixels (ℓ2) where the model has a proved Lipschitz constant, in embedding units where
not. They are computed over rows near the query, a lower bound of the true loss, and those rows are looked up anew now
and then as the image moves. Whether an attack really succeeded is the engine's word, not theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...attacks.media import Bytes, as_pixels
from ...images.query_views import ORIGINAL, QueryView
from ...images.resize import resize_operator
from ...retrieval.channel import Channel
from .attacked_views import embed_tests, seen_size
from .retrieval_losses import GOALS, RANKINGS, Goal, Rows, View, embedding, verdict

__all__ = ["GOALS", "Aim", "Goal", "RetrievalTarget"]

_RIVALS = 128
_REFRESH = 20
_ITEMS_TO_SEE = 16
_FLOAT32_DOUBT = 1e-5


@dataclass(frozen=True)
class Aim:
    """What an attack on one query is about.

    Attributes:
        item: number of the item that is first before the attack.
        chosen: for a collision, the item that shall come first.
        copy: for a verdict attack, whether the verdict is "copy" before the attack.
        image: for an embedding attack, the query, (H, W, 3) uint8.
        reach: for an embedding attack, the ℓ2 norm that the change may have: a certified embedding cannot move farther
            than L times it, so that the attack has won where it does. 0 without a certificate.
    """

    item: int
    chosen: int | None = None
    copy: bool | None = None
    image: Bytes | None = None
    reach: float = 0.0


class RetrievalTarget:
    """Loss of a batch of queries against an index; see :class:`..attacks.target.Target` and ``retrieval_losses``.

    All tests of the index are attacked at once: every channel, through every view of the query that it compares.

    Args of the constructor:
        channels: of the index; their embedders may live on any device. With
        views: one for each test: the rows that this view of the query is compared with (``retrieval.scopes``).
        companions: how many of the last tests are companions': they have a say in verdicts, and in no certified rank.
        aims: one per query.
        goal: what the attack is after.
        rivals: how many near rows are compared; more where the first ten items may have more.
        refresh: after how many evaluations they are looked up again.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        aims: Sequence[Aim],
        goal: Goal,
        *,
        rivals: int = _RIVALS,
        refresh: int = _REFRESH,
        views: Sequence[QueryView] | None = None,
        companions: int = 0,
    ) -> None:
        every = list(zip(channels, views if views is not None else (ORIGINAL,) * len(channels), strict=True))
        used = every if goal == "verdict" else every[: len(every) - companions]
        self.tests = tuple(used)
        self._channels = tuple(channel for channel, _ in used)
        self._aims = tuple(aims)
        self._goal: Goal = goal
        self._counts, self._refresh = [_rows_to_see(channel, goal, rivals) for channel in self._channels], refresh
        self._age = [0] * len(aims)
        self._own_ids = [[np.flatnonzero(c.groups == _protagonist(a, goal)) for a in aims] for c in self._channels]
        pairs = list(zip(self._channels, self._own_ids, strict=True))
        self._own = [[torch.from_numpy(c.rows64(ids)) for ids in found] for c, found in pairs]
        self._others: list[list[Tensor | None]] = [[None] * len(aims) for _ in self._channels]
        self._ids: list[list[np.ndarray]] = [[np.empty(0, np.int64)] * len(aims) for _ in self._channels]
        self._clean: list[Tensor | None] = [None] * len(self._channels)
        self._looked = 0
        self._stacked: dict[int, tuple[tuple[int, list[int]], Rows]] = {}

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See :class:`..attacks.target.Target`."""
        return self.loss_of(self.embed(x), x, samples)

    def embed(self, x: Tensor) -> list[Tensor]:
        """Embeddings of a batch, one (b, d) for each test that plays a part in this goal."""
        return embed_tests(self.tests, x)

    def loss_of(self, embedded: Sequence[Tensor], x: Tensor, samples: Tensor) -> Tensor:
        """The loss of images whose embeddings are known; of ``x`` only size, dtype and device matter."""
        scales = [_pixels_per_unit(one, seen_size(view, x.shape[-2], x.shape[-1])) for one, view in self.tests]
        ask = self._moved if self._goal == "embedding" else self._margins
        return (ask(embedded, scales, x, samples) - _doubt(x.dtype, scales, embedded)).to(x.dtype)

    def _margins(self, embedded: Sequence[Tensor], scales: Sequence[float], x: Tensor, samples: Tensor) -> Tensor:
        """How far the goal is passed, in pixels."""
        wanted = samples.tolist()
        self._look_around(embedded, wanted)
        views = [self._view(number, z, scales[number], wanted) for number, z in enumerate(embedded)]
        if self._goal == "verdict":
            return verdict(views, torch.tensor([bool(self._aims[i].copy) for i in wanted], device=x.device))
        return RANKINGS[self._goal](views)

    def _view(self, number: int, z: Tensor, scale: float, wanted: Sequence[int]) -> View:
        return View(self._channels[number], scale, z, self._rows_of(number, z, wanted))

    def _rows_of(self, number: int, z: Tensor, wanted: Sequence[int]) -> Rows:
        """The rows of these samples, put together again only where the samples or their lists are others."""
        key = (self._looked, list(wanted))
        if number not in self._stacked or self._stacked[number][0] != key:
            own = _stack([self._own[number][i] for i in wanted], z)
            others = _stack([_known(self._others[number][i]) for i in wanted], z)
            limits, channel = [None, None], self._channels[number]
            if channel.threshold is not None:
                ids, of = (self._own_ids[number], self._ids[number]), self._limit_of(channel)
                limits = [_limits(of, [one[i] for i in wanted], z) for one in ids]
            self._stacked[number] = key, Rows(own, others, self._places(number, wanted, others), *limits)
        return self._stacked[number][1]

    def _limit_of(self, channel: Channel) -> Callable[[np.ndarray], np.ndarray]:
        return channel.limits if self._goal == "verdict" else channel.levels

    def _places(self, number: int, wanted: Sequence[int], others: Tensor) -> Tensor:
        """(b, m): items of the other rows, numbered per query over all channels; short lists repeat their first."""
        places = np.zeros(others.shape[:2], dtype=np.int64)
        if self._goal == "rank10":
            for place, i in enumerate(wanted):
                items = [channel.groups[ids[i]] for channel, ids in zip(self._channels, self._ids, strict=True)]
                mine = np.searchsorted(np.unique(np.concatenate(items)), items[number])
                places[place, : len(mine)] = mine
                places[place, len(mine) :] = mine[0] if len(mine) else 0
        return torch.from_numpy(places).to(others.device)

    def _moved(self, embedded: Sequence[Tensor], scales: Sequence[float], x: Tensor, samples: Tensor) -> Tensor:
        """How far embeddings moved, in pixels; less what the budget allows, for certified channels."""
        reach = torch.tensor([aim.reach for aim in self._aims], dtype=torch.float64, device=x.device)[samples]
        pairs = zip(embedded, scales, self._clean_embeddings(x), strict=True)
        moved = [scale * (z - clean[samples]).norm(dim=1) for z, scale, clean in pairs]
        return embedding(moved, reach)

    def _clean_embeddings(self, like: Tensor) -> list[Tensor]:
        for number, test in enumerate(self.tests):
            if self._clean[number] is None:
                with torch.no_grad():
                    images = torch.stack(
                        [torch.from_numpy(_query(aim).transpose(2, 0, 1).copy()) for aim in self._aims]
                    )
                    [self._clean[number]] = embed_tests([test], images.to(like))
        return [_known(clean) for clean in self._clean]

    def _look_around(self, embedded: Sequence[Tensor], wanted: Sequence[int]) -> None:
        """Look up the rows near each image whose list has grown old."""
        due = [place for place, i in enumerate(wanted) if self._age[i] % self._refresh == 0]
        for i in wanted:
            self._age[i] += 1
        self._looked += bool(due)
        for number, (channel, z) in enumerate(zip(self._channels, embedded, strict=True)):
            if due:
                found = _nearest(channel, z[due].detach().cpu().double().numpy(), self._counts[number])
                for place, ids in zip(due, found, strict=True):
                    i = wanted[place]
                    rivals = ids[channel.groups[ids] != self._own_item(i)]
                    self._others[number][i] = torch.from_numpy(channel.rows64(rivals))
                    self._ids[number][i] = rivals

    def _own_item(self, i: int) -> int:
        aim = self._aims[i]
        return aim.item if aim.chosen is None else aim.chosen


class ManyGoals:
    """Several targets over the same channels in one batch: images are embedded together, and each has its own loss.

    What only some goals look at, as companions, is embedded of their images alone.

    Args of the constructor:
        targets: of one index.
        owners: per sample, which of them it belongs to; its number there is how many came before it.
    """

    def __init__(self, targets: Sequence[RetrievalTarget], owners: Sequence[int]) -> None:
        self._targets, self._owners = tuple(targets), torch.tensor(owners)
        self._places = torch.tensor([list(owners[:i]).count(owner) for i, owner in enumerate(owners)])

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See :class:`..attacks.target.Target`."""
        shared = min((target.tests for target in self._targets), key=len)  # the others have more, behind these
        embedded = embed_tests(shared, x)
        owners, places = self._owners.to(x.device)[samples], self._places.to(x.device)[samples]
        rows = [torch.nonzero(owners == number).flatten() for number in range(len(self._targets))]
        losses = [
            target.loss_of(
                [*(z[mine] for z in embedded), *embed_tests(target.tests[len(shared) :], x[mine])], x, places[mine]
            )
            for target, mine in zip(self._targets, rows, strict=True)
            if len(mine)
        ]
        return torch.cat(losses)[torch.cat(rows).argsort()]


def _protagonist(aim: Aim, goal: Goal) -> int:
    if goal != "collision":
        return aim.item
    if aim.chosen is None:
        raise AssertionError("a collision needs a chosen item")
    return aim.chosen


def _query(aim: Aim) -> np.ndarray:
    if aim.image is None:
        raise AssertionError("an embedding attack needs the query")
    return as_pixels(aim.image)


def _rows_to_see(channel: Channel, goal: Goal, rivals: int) -> int:
    """Enough rows that, with several stored views of each, more than ten items are among them."""
    items = int(channel.groups.max(initial=-1)) + 1
    views = math.ceil(int((channel.groups >= 0).sum()) / max(1, items))
    return max(rivals, _ITEMS_TO_SEE * views) if goal == "rank10" else rivals


def _nearest(channel: Channel, zs: np.ndarray, count: int) -> list[np.ndarray]:
    """Live rows near each of several embeddings, by one float32 search; near one without a direction, any."""
    towards = [channel.query32(z if z.any() else np.eye(1, len(z))[0]) for z in zs]
    _, ids = channel.store.nearest(np.stack(towards), count, gpu=channel.gpu)
    return [row[channel.groups[row] >= 0] for row in ids]


def _doubt(dtype: torch.dtype, scales: Sequence[float], embedded: Sequence[Tensor]) -> Tensor | float:
    """What a float32 network may be mistaken by, so that an attack that stops at success stops on the right side."""
    if dtype == torch.float64:
        return 0.0
    lengths = [scale * z.detach().norm(dim=1) for scale, z in zip(scales, embedded, strict=True)]
    return _FLOAT32_DOUBT * torch.stack(lengths).amax(dim=0)


def _pixels_per_unit(channel: Channel, size: tuple[int, int]) -> float:
    """1/L, L = L_g·ρ; 1 for a model without a proved bound."""
    bound = channel.embedder.lipschitz
    return 1.0 if bound is None else 1.0 / bound.times(resize_operator(size, channel.embedder.input_size).norm).value


def _known(rows: Tensor | None) -> Tensor:
    assert rows is not None, "rows are looked up before they are used"
    return rows


def _limits(of: Callable[[np.ndarray], np.ndarray], ids: Sequence[np.ndarray], like: Tensor) -> Tensor:
    """(b, m) thresholds of sets of rows, put together as :func:`_stack` does with the rows."""
    limits = [np.broadcast_to(of(one), one.shape).reshape(-1, 1) for one in ids]
    return _stack([torch.from_numpy(one.copy()) for one in limits], like[:, :1])[..., 0]


def _stack(rows: Sequence[Tensor], like: Tensor) -> Tensor:
    """(b, m, d) of row sets of different size: short ones repeat their first row, which changes no min or max.

    A set without rows (an item alone in its index) becomes rows of NaN, which win no comparison.
    """
    most = max(1, *(len(one) for one in rows)) if rows else 1
    dim = like.shape[-1]
    filled = [one if len(one) else torch.full((1, dim), math.nan, dtype=torch.float64) for one in rows]
    padded = [torch.cat([one, one[:1].expand(most - len(one), -1)]) for one in filled]
    return torch.stack(padded).to(like)
