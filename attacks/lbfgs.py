"""L-BFGS on a batch of independent problems (Nocedal and Wright, *Numerical Optimization*, Algorithm 7.4).

The line search is the bracketing one of Lewis and Overton (2013, *Nonsmooth optimization via quasi-Newton methods*,
Algorithm 4.6), which also serves functions with kinks. Every problem has its own memory and its own line search; one
evaluation serves all of them at once, whatever each of them is at.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""(places (k,), points (k, n)) → values (k,), gradients (k, n), (k,) bool: which problems are done."""

_ARMIJO, _CURVATURE = 1e-4, 0.9
_TINY = 1e-30
_PATIENCE = 16
"""Steps along one line after which it is left: for the best that can be had, or for the steepest descent."""


def minimise(evaluate: Evaluate, start: Tensor, *, steps: int, first: Tensor, memory: int = 8) -> None:
    """Minimise b functions of n variables each. Whoever evaluates them keeps what they see.

    Args:
        evaluate: called ``steps + 1`` times at most; problems that it calls done are left alone.
        start: (b, n) first points.
        steps: evaluations after the first one; fewer where the gradient is zero, or where even the steepest descent
            leads no lower.
        first: (b,) length of the first step's largest entry, and of that after the memory is dropped.
        memory: pairs of steps and gradient changes kept.
    """
    rows = torch.arange(len(start), device=start.device)
    value, gradient, done = evaluate(rows, start)
    history = _History(start, memory)
    state = _Line(rows, start, value, gradient, first)
    state.aim(history, torch.ones_like(rows, dtype=torch.bool))
    state = state.keep(~done & gradient.any(dim=1))
    for _ in range(steps):
        if len(state.rows) == 0:
            return
        point = state.ahead()
        value, gradient, done = evaluate(state.rows, point)
        took = state.judge(value, gradient)
        history.learn(state.rows[took], (point - state.point)[took], (gradient - state.gradient)[took])
        state.move(took, point, value, gradient)
        tired = state.give_up()
        settled = (tired & ~history.known(state.rows)) | ~state.gradient.any(dim=1)
        history.forget(state.rows[tired])
        state.aim(history, took | tired)
        state = state.keep(~(done | settled))


class _History:
    """The last pairs (s, y) of every problem, in a ring."""

    def __init__(self, like: Tensor, memory: int) -> None:
        self._s = like.new_zeros((len(like), memory, like.shape[1]))
        self._y = torch.zeros_like(self._s)
        self._rho = like.new_zeros((len(like), memory))  # 1/⟨s, y⟩; 0 where there is no pair
        self._next = torch.zeros(len(like), dtype=torch.int64, device=like.device)

    def learn(self, rows: Tensor, s: Tensor, y: Tensor) -> None:
        """Keep the pairs whose curvature is positive: others would spoil the descent."""
        curve = (s * y).sum(dim=1)
        good = (curve > 1e-10 * s.norm(dim=1) * y.norm(dim=1)) & (1.0 / curve).isfinite()
        rows, s, y, curve = rows[good], s[good], y[good], curve[good]
        place = self._next[rows]
        self._s[rows, place], self._y[rows, place] = s, y
        self._rho[rows, place] = 1.0 / curve
        self._next[rows] = (place + 1) % self._s.shape[1]

    def forget(self, rows: Tensor) -> None:
        """Drop all pairs of some problems."""
        self._rho[rows] = 0.0

    def known(self, rows: Tensor) -> Tensor:
        """(k,) bool: there is a pair."""
        return self._newest(rows, 0)[2] > 0

    def apply(self, rows: Tensor, gradient: Tensor) -> Tensor:
        """The inverse Hessian's estimate times the gradients, by the two-loop recursion."""
        q, weights = gradient.clone(), []
        pairs = [self._newest(rows, age) for age in range(self._s.shape[1])]
        for s, y, rho in pairs:
            weight = rho * (s * q).sum(dim=1)
            q -= weight[:, None] * y
            weights.append(weight)
        _, y, rho = pairs[0]
        q *= torch.where(rho > 0, 1.0 / (rho * y.square().sum(dim=1)).clamp(min=_TINY), 1.0)[:, None]
        for (s, y, rho), weight in zip(reversed(pairs), reversed(weights), strict=True):
            q += (weight - rho * (y * q).sum(dim=1))[:, None] * s
        return q

    def _newest(self, rows: Tensor, age: int) -> tuple[Tensor, Tensor, Tensor]:
        place = (self._next[rows] - 1 - age) % self._s.shape[1]
        return self._s[rows, place], self._y[rows, place], self._rho[rows, place]


class _Line:
    """Where each problem stands, and the line it searches along."""

    def __init__(self, rows: Tensor, point: Tensor, value: Tensor, gradient: Tensor, first: Tensor) -> None:
        self.rows, self.point, self.value, self.gradient = rows, point, value, gradient
        self._first = first
        self._direction = torch.zeros_like(point)
        self._slope, self._length = torch.zeros_like(value), torch.ones_like(value)
        self._low, self._high = torch.zeros_like(value), torch.full_like(value, torch.inf)
        self._tries = torch.zeros_like(rows)

    def keep(self, which: Tensor) -> _Line:
        """The problems still worked on."""
        if bool(which.all()):
            return self
        kept = _Line(self.rows[which], self.point[which], self.value[which], self.gradient[which], self._first[which])
        kept._direction, kept._slope, kept._length = self._direction[which], self._slope[which], self._length[which]
        kept._low, kept._high, kept._tries = self._low[which], self._high[which], self._tries[which]
        return kept

    def ahead(self) -> Tensor:
        """The points to look at next."""
        return self.point + self._length[:, None] * self._direction

    def judge(self, value: Tensor, gradient: Tensor) -> Tensor:
        """(k,) bool: go there. Where not, the bracket around a good length closes, or the length doubles."""
        self._tries = self._tries + 1
        lower = value <= self.value + _ARMIJO * self._length * self._slope
        flatter = (gradient * self._direction).sum(dim=1) >= _CURVATURE * self._slope
        took = lower & (flatter | (self._tries >= _PATIENCE))
        self._low = torch.where(lower, self._length, self._low)
        self._high = torch.where(lower, self._high, self._length)
        between = torch.where(self._high.isinf(), 2.0 * self._low, (self._low + self._high) / 2.0)
        self._length = torch.where(took, self._length, between)
        return took

    def move(self, which: Tensor, point: Tensor, value: Tensor, gradient: Tensor) -> None:
        """Go there."""
        self.point = torch.where(which[:, None], point, self.point)
        self.value = torch.where(which, value, self.value)
        self.gradient = torch.where(which[:, None], gradient, self.gradient)

    def give_up(self) -> Tensor:
        """(k,) bool: the line has nothing to give."""
        return (self._tries >= _PATIENCE) & (self._low == 0)

    def aim(self, history: _History, which: Tensor) -> None:
        """New directions for these problems."""
        if not bool(which.any()):
            return
        rows, gradient = self.rows[which], self.gradient[which]
        direction = -history.apply(rows, gradient)
        slope = (direction * gradient).sum(dim=1)
        uphill = ~(slope < 0)
        direction = torch.where(uphill[:, None], -gradient, direction)
        slope = torch.where(uphill, -gradient.square().sum(dim=1), slope)
        careful = uphill | ~history.known(rows)
        largest = direction.abs().amax(dim=1).clamp(min=_TINY)
        length = torch.where(careful, self._first[which] / largest, torch.ones_like(largest))
        self._direction[which], self._slope[which], self._length[which] = direction, slope, length
        self._low[which], self._high[which], self._tries[which] = 0.0, torch.inf, 0
