"""From uploaded bytes to pixels: decoded in processes that can be killed, and no more than there is room for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

import numpy as np

from ..api.index import Index
from ..api.serving import Decoder
from .settings import Settings

T = TypeVar("T")


class Intake:
    """Decodes uploads.

    Args:
        settings: the limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._decoder = Decoder(
            settings.decoders,
            seconds=settings.decode_seconds,
            max_pixels=settings.max_pixels,
            max_bytes=settings.max_body,
        )
        self._threads = ThreadPoolExecutor(settings.decoders, thread_name_prefix="retr-decode")
        self._most, self._out = settings.max_decoded, 0
        self._room = asyncio.Condition()

    @property
    def processes(self) -> list[int]:
        """Ids of the processes that decode."""
        return self._decoder.processes

    @asynccontextmanager
    async def pixels(self, data: bytes, index: Index) -> AsyncIterator[np.ndarray]:
        """(H, W, 3) uint8, which takes room until the block ends.

        Raises:
            ImageRejected: no acceptable image.
        """
        async with self._room:
            await self._room.wait_for(lambda: self._out < self._most)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._decoder, data, index.engine.policy)
        size = found.width * found.height
        self._out += size
        try:
            yield found.pixels
        finally:
            async with self._room:
                self._out -= size
                self._room.notify_all()

    async def picture(self, draw: Callable[[Decoder], T]) -> T:
        """What is drawn of a stored file, by the same decoder."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, draw, self._decoder)

    def close(self) -> None:
        """End the processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._decoder.close()
