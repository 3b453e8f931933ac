"""Images that wait are answered together: one pass over the rows for all that were asked the same of one snapshot."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..api.answer import Answer
from ..api.index import Index
from ..core.errors import RetrError
from .faults import busy


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of an image; equal ones are answered by one pass.

    Attributes:
        k, certify, eps, unit, explain, against: as of ``retr.Index.query``.
    """

    k: int = 10
    certify: bool = False
    eps: float | None = None
    unit: str = "rmse"
    explain: bool = False
    against: tuple[str, ...] = ()

    def answer(self, index: Index, images: list[np.ndarray]) -> list[Answer]:
        """One answer for each (H, W, 3) image."""
        return index.query(
            images,
            k=self.k,
            certify=self.certify,
            eps=self.eps,
            unit=self.unit,
            explain=self.explain,
            against=self.against,
        )


@dataclass(eq=False, slots=True)
class Job:
    """One image that waits."""

    index: Index
    asked: Asked
    image: np.ndarray
    answer: asyncio.Future[Answer]
    loop: asyncio.AbstractEventLoop

    def settle(self, value: Answer | None, error: BaseException | None = None) -> None:
        """Hand the answer over; whoever waited may have left."""
        self.loop.call_soon_threadsafe(self._settled, value, error)

    def _settled(self, value: Answer | None, error: BaseException | None) -> None:
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            assert value is not None
            self.answer.set_result(value)


class Passes:
    """One thread that answers what waits.

    Args:
        most: images that one pass answers.
        queue_size: images that may wait.
        told: called with the number of images of each pass.
    """

    def __init__(self, most: int, queue_size: int, told: Callable[[int], Any]) -> None:
        self._most, self._told = most, told
        self._waiting: queue.Queue[Job | None] = queue.Queue(queue_size)
        self._put_back: deque[Job] = deque()
        self._thread = threading.Thread(target=self._run, name="retr-passes", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Images that wait."""
        return self._waiting.qsize() + len(self._put_back)

    async def ask(self, index: Index, asked: Asked, image: np.ndarray) -> Answer:
        """The answer for one image.

        Raises:
            Fault: too many wait already.
            RetrError: as of ``Index.query``.
        """
        loop = asyncio.get_running_loop()
        job = Job(index, asked, image, loop.create_future(), loop)
        try:
            self._waiting.put_nowait(job)
        except queue.Full:
            raise busy("too many images wait for an answer") from None
        return await job.answer

    def close(self) -> None:
        """Answer what waits, and end."""
        self._waiting.put(None)
        self._thread.join(timeout=60)

    def _run(self) -> None:
        while (job := self._next(block=True)) is not None:
            self._pass([job, *self._like(job)])

    def _next(self, *, block: bool) -> Job | None:
        return self._put_back.popleft() if self._put_back else self._waiting.get(block)

    def _like(self, first: Job) -> list[Job]:
        """Of what waits now, what can be answered with it; what cannot keeps its turn."""
        found, others = [], []
        while len(found) + 1 < self._most:
            try:
                job = self._next(block=False)
            except queue.Empty:
                break
            if job is None:
                self._waiting.put(None)
                break
            (found if job.index is first.index and job.asked == first.asked else others).append(job)
        self._put_back.extend(others)
        return found

    def _pass(self, jobs: list[Job]) -> None:
        jobs = [job for job in jobs if not job.answer.done()]  # nobody waits for those any more
        if not jobs:
            return
        self._told(len(jobs))
        try:
            answers = jobs[0].asked.answer(jobs[0].index, [job.image for job in jobs])
        except BaseException as error:
            self._failed(jobs, error)
            return
        for job, answer in zip(jobs, answers, strict=True):
            job.settle(answer)

    def _failed(self, jobs: list[Job], error: BaseException) -> None:
        """What breaks a pass breaks one image of it, perhaps: each is asked about alone, unless it is everybody's."""
        if len(jobs) == 1 or isinstance(error, RetrError):
            for job in jobs:
                job.settle(None, error)
            return
        for job in jobs:
            self._pass([job])
