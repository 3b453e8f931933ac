"""Decoding in processes that can be killed, for files from strangers: a decoder may crash, hang or fill the memory.

:class:`IsolatedDecoder` stands where ``images.decode.decode`` does. What a worker says is read as JSON and raw bytes,
and checked; nothing of it is ever run.

| reason | stage | what it means |
|---|---|---|
| `too-slow` | decode | the decoder took longer than its limit, and was stopped (`--isolate`) |
| `decoder-crashed` | decode | the decoder died, or answered nothing that makes sense (`--isolate`) |
"""

from __future__ import annotations

import json
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

import numpy as np

from ..core.errors import ImageRejected, UsageError
from ..core.files import sha256_bytes
from .decode import NOTES, DecodedImage, decode
from .identify import FORMATS
from .policy import DecodePolicy

HEAD = struct.Struct(">IQ")
"""Before each message: bytes of its JSON, and bytes of what follows that."""
SECONDS = 20.0
"""Processor time that one file may take."""
MEMORY = 1280 * 2**20
"""Bytes that a worker may take beyond those of the interpreter: a file of 100 million pixels needs 0.9 GB."""
_WALL = 6.0
"""So many times the processor time may pass on the clock: a busy machine is no fault of the file's."""
_START = 120.0
"""Seconds on the clock until a new process must be ready."""
_SAY_MOST = 2**16


class Decoder(Protocol):
    """``images.decode.decode``, or what stands in for it."""

    def __call__(self, data: bytes, *, policy: DecodePolicy) -> DecodedImage:
        """Decode one image file held in memory; raises ImageRejected."""
        ...


@contextmanager
def decoder(isolate: bool, workers: int) -> Iterator[Decoder]:
    """The decoder of a run: in processes of their own, or in its threads."""
    with IsolatedDecoder(workers) if isolate else nullcontext(decode) as found:
        yield found


class IsolatedDecoder:
    """``images.decode.decode`` in worker processes; use as a context manager. Safe to call from many threads.

    Args:
        workers: files decoded at once; a process each, begun when it is first needed.
        seconds: processor time that one file may take.
        memory: bytes that a worker may take beyond those of the interpreter.

    Raises:
        UsageError: a number that is not positive.
    """

    def __init__(self, workers: int = 2, *, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        if min(workers, seconds, memory) <= 0:
            raise UsageError(f"workers, seconds and memory are positive, got {workers}, {seconds}, {memory}")
        self._all = [_Worker(seconds, memory) for _ in range(workers)]
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._all:
            self._idle.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, data: bytes, *, policy: DecodePolicy) -> DecodedImage:
        """Decode one image file held in memory.

        Raises:
            ImageRejected: as ``images.decode.decode``, ``too-slow`` or ``decoder-crashed``.
        """
        worker = self._idle.get()
        try:
            return worker.decode(data, policy)
        finally:
            self._idle.put(worker)

    def begin(self) -> None:
        """Begin all workers now, so that the first files do not wait for them; before the first call."""
        for worker in self._all:
            worker.begin()

    @property
    def processes(self) -> list[int]:
        """Ids of the workers that are running."""
        return [worker.process.pid for worker in self._all if worker.process is not None]

    def close(self) -> None:
        """End the workers."""
        for worker in self._all:
            worker.end()


@dataclass
class _Worker:
    """One process; begun again after it was killed."""

    seconds: float
    memory: int
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False

    def decode(self, data: bytes, policy: DecodePolicy) -> DecodedImage:
        late = threading.Event()
        process = self.begin()
        try:
            with self._clock(_START, late):
                self._welcome(process)
            with self._clock(_WALL * self.seconds, late):
                said, levels = self._ask(process, data, policy)
        except (OSError, ValueError, EOFError) as error:
            raise self._gone(process, late.is_set(), data) from error
        return _image(said, levels, data, policy)

    @contextmanager
    def _clock(self, seconds: float, late: threading.Event) -> Iterator[None]:
        """Kill the process when the time is up: whoever waits for it then reads the end of the pipe."""
        assert self.process is not None
        timer = threading.Timer(seconds, self._too_late, (self.process, late))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _welcome(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a new process has imported what it needs: that is no time of the file's."""
        if not self.ready:
            assert process.stdout is not None
            receive(process.stdout, most=(_SAY_MOST, 0))
            self.ready = True

    def _ask(self, process: subprocess.Popen[bytes], data: bytes, policy: DecodePolicy) -> tuple[Any, bytearray]:
        assert process.stdin is not None
        assert process.stdout is not None
        send(process.stdin, policy.as_json(), data)
        return receive(process.stdout, most=(_SAY_MOST, 3 * policy.max_pixels))

    def begin(self) -> subprocess.Popen[bytes]:
        """The process, begun if there is none; it is not waited for."""
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, "-m", "retr.images.isolated_worker", str(self.seconds), str(self.memory)]
            quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": import_path()}
            self.end()
            self.process = subprocess.Popen(  # noqa: S603 - this very interpreter, and numbers
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **quiet},
            )
        return self.process

    @staticmethod
    def _too_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
        late.set()
        process.kill()

    def _gone(self, process: subprocess.Popen[bytes], late: bool, data: bytes) -> ImageRejected:
        self.end()
        if late or process.returncode == -getattr(signal, "SIGPROF", 0):
            reason, detail = "too-slow", f"decoding took more than {self.seconds:g} s"
        else:
            reason, detail = "decoder-crashed", f"the decoder ended with {process.returncode}, and no pixels"
        return ImageRejected(stage="decode", reason=reason, detail=detail, byte_count=len(data))

    def end(self) -> None:
        """Kill the process, if there is one."""
        process, self.process, self.ready = self.process, None, False
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                _close(pipe)
            process.wait()


def _close(pipe: IO[bytes] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except OSError:  # what was not sent yet cannot be sent any more
        pass


def import_path() -> str:
    """Where a new interpreter finds this very package; an installed one is found anyway."""
    here, known = Path(__file__).absolute().parents[2], os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(filter(None, [str(here) if (here / "retr").is_dir() else "", known]))


def send(pipe: IO[bytes], said: Mapping[str, Any], data: bytes | memoryview) -> None:
    """Write one message."""
    text = json.dumps(said).encode()
    pipe.write(HEAD.pack(len(text), len(data)) + text)
    pipe.write(data)
    pipe.flush()


def receive(pipe: IO[bytes], *, most: tuple[int, int]) -> tuple[Any, bytearray]:
    """Read one message.

    Args:
        pipe: where it comes from.
        most: bytes that its JSON and its data may have.

    Raises:
        EOFError: the other end is closed.
        ValueError: it is longer, or no JSON.
    """
    sizes = HEAD.unpack(_exactly(pipe, HEAD.size))
    if sizes[0] > most[0] or sizes[1] > most[1]:
        raise ValueError(f"a message of {sizes[0]} and {sizes[1]} bytes, where {most[0]} and {most[1]} are allowed")
    said = json.loads(_exactly(pipe, sizes[0]))
    return said, _exactly(pipe, sizes[1])


def _exactly(pipe: IO[bytes], size: int) -> bytearray:
    found, at = bytearray(size), 0
    view = memoryview(found)
    while at < size:
        count = pipe.readinto(view[at:])  # pyright: ignore[reportAttributeAccessIssue]
        if not count:
            raise EOFError
        at += count
    return found


def _image(said: Any, levels: bytearray, data: bytes, policy: DecodePolicy) -> DecodedImage:
    """What a worker answered, believed as far as it makes sense."""
    try:
        if "reason" in said:
            stage, reason, detail = (str(said[key]) for key in ("stage", "reason", "detail"))
            raise ImageRejected(stage=stage, reason=reason, detail=detail, byte_count=len(data))
        shape, found, note = (int(said["height"]), int(said["width"]), 3), said["format"], said["note"]
        fits = min(shape) > 0 and shape[0] * shape[1] <= policy.max_pixels
        if not fits or found not in FORMATS or (note is not None and note not in NOTES):
            raise ValueError(f"{shape} {found!r} {note!r}")
        pixels = np.frombuffer(levels, dtype=np.uint8).reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        detail = f"the decoder's answer makes no sense: {error}"
        raise ImageRejected(stage="decode", reason="decoder-crashed", detail=detail, byte_count=len(data)) from error
    pixels.setflags(write=False)
    return DecodedImage(pixels, found, len(data), sha256_bytes(data), note)
