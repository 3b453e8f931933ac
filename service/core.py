"""What the routes share: the opened indexes, the decoder, the passes, and how one image becomes one record."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from ..api.answer import Answer
from ..api.index import Index
from ..core.errors import ImageRejected
from ..reports.query_records import answer_record, failed_record
from .faults import Fault, busy, status_of
from .forms import Form, Upload
from .intake import Intake
from .metrics import Metrics
from .names import hidden
from .passes import Asked, Passes
from .settings import Settings
from .shelf import Served, Shelf

T = TypeVar("T")
SLOW_QUEUE = 8
"""Long jobs (edits with proof, noise, groups of copies) that may wait."""


class Service:
    """One service.

    Attributes:
        settings: its limits.
        shelf: the indexes; intake: decodes; metrics: counts.
        writing: held while an index is changed.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.shelf = Shelf(settings)
        self.writing = asyncio.Lock()
        self.pictures: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def start(self) -> None:
        """Begin to load."""
        self.intake = Intake(self.settings)
        observe = self.metrics.passes.observe
        self._passes = Passes(self.settings.batch, self.settings.queue, observe)
        self._edits = Passes(1, SLOW_QUEUE, observe)
        self._slow, self._waiting = ThreadPoolExecutor(1, thread_name_prefix="retr-slow"), 0
        self.metrics.waiting.set_function(lambda: self._passes.waiting + self._edits.waiting)
        self.shelf.start()

    async def stop(self) -> None:
        """End, once what was begun is done."""
        await self.shelf.stop()
        await asyncio.to_thread(self._passes.close)
        await asyncio.to_thread(self._edits.close)
        self._slow.shutdown(cancel_futures=True)
        self.intake.close()

    async def within(self, answer: Awaitable[T]) -> T:
        """An answer, unless it takes too long.

        Raises:
            Fault: it does.
        """
        try:
            async with asyncio.timeout(self.settings.answer_seconds):
                return await answer
        except TimeoutError:
            seconds = self.settings.answer_seconds
            raise Fault(503, "too-slow", f"there was no answer within {seconds:g} s", retry=10) from None

    async def slowly(self, work: Callable[[], T]) -> T:
        """Something that takes long, one at a time.

        Raises:
            Fault: too much of it waits already.
        """
        if self._waiting >= SLOW_QUEUE:
            raise busy("too many long requests wait")
        self._waiting += 1
        done = asyncio.get_running_loop().run_in_executor(self._slow, work)
        done.add_done_callback(self._done)
        return await done

    def _done(self, _: object) -> None:
        self._waiting -= 1

    async def writable(self, served: Served) -> Index:
        """An index as it is now, to be changed while ``writing`` is held: one that has gone is not made anew.

        Raises:
            Fault: it is not there, or not whole.
        """
        await self.shelf.refresh(served)
        return served.ready()

    async def gallery(self, form: Form) -> tuple[Served, Index]:
        """The index, or the part of it, that a form asks about, at one snapshot."""
        served, where = self.shelf.find(form.text("index")), form.texts("where")
        index = await asyncio.to_thread(self.shelf.part, served, where) if where else served.open()
        return served, index.certified() if form.flag("certified_only") else index

    async def answer(self, index: Index, asked: Asked, image: np.ndarray) -> Answer:
        """The answer for one image."""
        return await (self._edits if asked.against else self._passes).ask(index, asked, image)

    async def record(self, index: Index, asked: Asked, upload: Upload) -> tuple[int, dict[str, Any]]:
        """The status and the record of one image, as ``retr query --format json`` prints it."""
        try:
            async with self.intake.pixels(upload.data, index) as image:
                answer = await self.answer(index, asked, image)
        except ImageRejected as why:
            self.metrics.rejected.labels(why.reason).inc()
            failed = failed_record(why, upload.name, model=index.model, snapshot=index.snapshot, k=asked.k)
            return status_of(why), failed
        record = answer_record(answer, upload.name)
        self.metrics.answered(record, certify=asked.certify)
        return 200, hidden(record, index, names=self.settings.serve_images)

    async def records(self, index: Index, asked: Asked, uploads: Sequence[Upload]) -> tuple[int, list[dict[str, Any]]]:
        """All of them, in order; the status is that of the first where none has an answer."""
        tasks = [asyncio.create_task(self.record(index, asked, one)) for one in uploads]
        try:
            found = await self.within(asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
        statuses = [status for status, _ in found]
        return 200 if 200 in statuses else statuses[0], [record for _, record in found]
