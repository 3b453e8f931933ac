"""Batches made ahead of time on other threads. A batch is a function of its step, so there is no state to save."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from torch import Tensor

Batch = dict[str, Tensor]


class Batches:
    """Steps first, first + 1, … of a batch function; use as a context manager.

    Args:
        make: the batch of a step; called on the threads.
        first: the first step.
        last: one past the last step.
        threads: how many, and how many batches ahead.
        pin: page-lock the tensors, for quick copies to a GPU.
    """

    def __init__(
        self, make: Callable[[int], Batch], *, first: int, last: int, threads: int = 1, pin: bool = False
    ) -> None:
        self._make, self._next, self._last, self._ahead, self._pin = make, first, last, threads + 1, pin
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="batch")
        self._waiting: deque[Future[Batch]] = deque()

    def __enter__(self) -> Self:
        self._fill()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def take(self) -> Batch:
        """The next batch; what its maker raised is raised here."""
        batch = self._waiting.popleft().result()
        self._fill()
        return batch

    def _fill(self) -> None:
        while len(self._waiting) < self._ahead and self._next < self._last:
            self._waiting.append(self._pool.submit(self._one, self._next))
            self._next += 1

    def _one(self, step: int) -> Batch:
        batch = self._make(step)
        return {name: value.pin_memory() for name, value in batch.items()} if self._pin else batch


def count_views(batch: Batch) -> int:
    """Images of a batch: the rows of its 4-dimensional tensors."""
    return sum(len(value) for value in batch.values() if value.ndim == 4)
