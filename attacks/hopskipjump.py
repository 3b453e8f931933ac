"""HopSkipJump, decision-based, minimum ℓ2 (Chen et al. 2020, arXiv 1904.02144, Algorithm 2).

It sees only whether an image wins. Directions are looked for on a coarse grid (QEBA, Li et al. 2020, arXiv 2005.14137):
what a system sees of an image is often far fewer numbers than its pixels, and queries go as dimensions do.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .asking import Question, ask_all
from .projections import project, size
from .restarts import Start, with_restarts
from .result import AttackResult
from .target import VALUES_AT_ONCE, Target

_TOLERANCE = 1e-3
"""How close to the boundary bisection gets, as a share of the way to the clean image."""
_HALVINGS = 10
_WIDEST, _NARROWEST = 0.5, 1e-3
"""Probing distances, as shares of the distance to the clean image."""
_ONE_SIDED = 0.8
"""Mean decision, from −1 to 1, beyond which probes say little: they are made longer."""
_FIRST_TRIES = 32

Walk = Generator[Question, Tensor, Tensor]


def hopskipjump(
    target: Target,
    x: Tensor,
    *,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    initial: int | None = None,
    most: int = 10_000,
    grid: int = 32,
    starting_points: Tensor | None = None,
    restarts: int = 1,
    stop_on_success: bool = True,
) -> AttackResult:
    """From a winning image, walk along the boundary towards the clean one.

    Each round estimates the boundary's normal from the verdicts on probes around a point of it, steps along the normal
    as far as that wins, and goes straight towards the clean image up to the boundary again.

    Args:
        target: the system under attack; only the sign of its loss is used.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        eps: (b,) largest change that is of interest. The walk begins far outside.
        steps: evaluations per start.
        seeds: b integers ≥ 0.
        initial: probes of the first round (the paper's B₀, 100); where not given a twentieth of ``steps``, 10 to 100.
            The t-th round has √t times as many.
        most: probes of a round at most.
        grid: probes change a grid of at most so many cells down and across; images no larger are probed per pixel.
        starting_points: (b, 3, H, W) images believed to win, for goals that no random image reaches: a collision
            needs the image it collides with. Noise and the inverted image are tried where there is none, or where it
            does not win.
        restarts: walks with different probes.
        stop_on_success: leave out samples that an earlier start has won; a walk always runs to its end.

    Returns:
        The smallest winning image per sample; where none within eps was found, where the walk ended, brought back into
        the ball.
    """
    first = min(100, max(10, steps // 20)) if initial is None else initial
    plan = _Plan(steps, first, most, grid)
    return with_restarts(
        partial(_search, target, plan=plan, starting_points=starting_points),
        x,
        norm="l2",
        eps=eps,
        restarts=restarts,
        seeds=seeds,
        stop_on_success=stop_on_success,
        clean_first=True,
        minimal=True,
    )


@dataclass(frozen=True)
class _Plan:
    queries: int
    initial: int
    most: int
    grid: int


def _search(target: Target, start: Start, *, plan: _Plan, starting_points: Tensor | None) -> AttackResult:
    walks = [
        _Walk(
            start.x[i],
            float(start.eps[i]),
            source,
            plan,
            None if starting_points is None else starting_points[start.samples[i]],
        ).run()
        for i, source in enumerate(start.generators())
    ]
    return ask_all(target, walks, start)


class _Walk:
    """The walk of one sample: yields images, is sent losses of ±1, returns its answer."""

    def __init__(self, x: Tensor, eps: float, source: torch.Generator, plan: _Plan, begin: Tensor | None) -> None:
        self._x, self._eps, self._source, self._plan, self._begin = x, eps, source, plan, begin
        self._left = plan.queries - 1  # the last question is kept for the answer
        self._probe = 0.1

    def run(self) -> Walk:
        """Walk until the questions are used up."""
        if (yield from self._wins(self._x)):
            return self._x
        point = yield from self._far()
        if point is None:
            return self._answer(self._noise(self._x.shape))
        point = yield from self._to_boundary(point)
        rounds = 0
        while self._left > 0 and self._distance(point) > 0:
            rounds += 1
            probes = min(round(self._plan.initial * math.sqrt(rounds)), self._plan.most)
            normal = yield from self._normal(point, probes)
            ahead = yield from self._leap(point, normal, self._distance(point) / math.sqrt(rounds))
            if ahead is not None:
                nearer = yield from self._to_boundary(ahead)
                point = min(point, nearer, key=self._distance)
        return self._answer(point)

    def _answer(self, image: Tensor) -> Tensor:
        """The image, inside the ball: what is not in it is not of interest."""
        eps = torch.tensor([self._eps], dtype=torch.float64, device=image.device)
        return project(self._x[None], image[None], norm="l2", eps=eps)[0]

    def _ask(self, images: Tensor) -> Generator[Question, Tensor, Tensor]:
        """(k,) bool verdicts, fewer than images where the questions run out."""
        images = images[: self._left]
        if len(images) == 0:
            return torch.zeros(0, dtype=torch.bool, device=images.device)
        self._left -= len(images)
        losses = yield images
        return losses > 0

    def _wins(self, image: Tensor) -> Generator[Question, Tensor, bool]:
        verdicts = yield from self._ask(image[None])
        return bool(verdicts.any())

    def _far(self) -> Generator[Question, Tensor, Tensor | None]:
        """Some image that wins, however far away."""
        tries = [] if self._begin is None else [self._begin.to(self._x)]
        tries.append(1.0 - self._x)
        for number in range(_FIRST_TRIES):
            if number >= len(tries):
                cells = (3, 1 + number % 8, 1 + number % 8) if number % 2 else self._x.shape
                tries.append(_spread(self._noise(cells), self._x.shape))
            if (yield from self._wins(tries[number])):
                return tries[number]
        return None

    def _noise(self, shape: Sequence[int]) -> Tensor:
        return torch.rand(tuple(shape), generator=self._source, dtype=torch.float64).to(self._x)

    def _to_boundary(self, image: Tensor) -> Generator[Question, Tensor, Tensor]:
        """The winning point nearest to the clean image on the way there, by bisection."""
        low, high = 0.0, 1.0
        while high - low > _TOLERANCE and self._left > 0:
            middle = (low + high) / 2.0
            if (yield from self._wins(torch.lerp(self._x, image, middle))):
                high = middle
            else:
                low = middle
        return torch.lerp(self._x, image, high)

    def _normal(self, point: Tensor, count: int) -> Generator[Question, Tensor, Tensor]:
        """The boundary's normal at a point, of unit length (eq. 15 and 16 of the paper)."""
        radius = self._probe * self._distance(point)
        signed, plain, verdicts = torch.zeros_like(point), torch.zeros_like(point), []
        # So many at a time depends on the image alone, so that the sums are the same in any batch.
        at_once = max(1, VALUES_AT_ONCE // 8 // point.numel())
        while count > 0 and self._left > 0:
            probes = torch.stack([self._direction() for _ in range(min(count, at_once))])
            images = (point + radius * probes).clamp_(0.0, 1.0)
            found = yield from self._ask(images)
            used = (images[: len(found)] - point) / radius
            signs = torch.where(found, 1.0, -1.0).to(point)
            signed, plain = signed + torch.einsum("k,kchw->chw", signs, used), plain + used.sum(dim=0)
            verdicts.append(signs)
            count -= at_once
        mean = float(torch.cat(verdicts).mean()) if verdicts else 0.0
        self._adapt(mean)
        normal = signed if abs(mean) == 1.0 else signed - mean * plain
        return normal / normal.norm().clamp(min=1e-30)

    def _adapt(self, mean: float) -> None:
        """Probes that all end on one side are too short to see the boundary, or too long to see it as flat."""
        longer = self._probe * (2.0 if abs(mean) > _ONE_SIDED else 0.8)
        self._probe = min(_WIDEST, max(_NARROWEST, longer))

    def _direction(self) -> Tensor:
        shape = self._x.shape
        cells = tuple(min(self._plan.grid, side) for side in shape[1:])
        drawn = torch.randn((3, *cells), generator=self._source, dtype=torch.float64)
        spread = _spread(drawn.to(self._x), shape)
        return spread / spread.norm()

    def _leap(self, point: Tensor, normal: Tensor, length: float) -> Generator[Question, Tensor, Tensor | None]:
        """As far along the normal as wins, halving."""
        for _ in range(_HALVINGS):
            ahead = (point + length * normal).clamp_(0.0, 1.0)
            if (yield from self._wins(ahead)):
                return ahead
            length /= 2.0
        return None

    def _distance(self, image: Tensor) -> float:
        return float(size((image - self._x)[None], norm="l2"))


def _spread(cells: Tensor, shape: Sequence[int]) -> Tensor:
    """A coarse grid (3, h, w) over a whole image, each pixel the value of its cell."""
    high, wide = shape[-2:]
    down = torch.arange(high, device=cells.device) * cells.shape[1] // high
    along = torch.arange(wide, device=cells.device) * cells.shape[2] // wide
    return cells[:, down][:, :, along]
