"""The other end of ``images.isolated``: decodes what it is sent, within limits that the system enforces.

python -m retr.images.isolated_worker SECONDS MEMORY
"""

from __future__ import annotations

import os
import signal
import sys
from typing import IO

from ..core.errors import ImageRejected
from .decode import decode
from .isolated import receive, send
from .policy import DecodePolicy

_REQUEST = (2**16, 2**40)


def main(seconds: float, memory: int) -> None:
    """Answer requests until there are no more."""
    # Whatever else prints must not get between the messages.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    limit_resources(memory)
    send(answers, {"ready": True}, b"")
    while True:
        try:
            policy, data = receive(sys.stdin.buffer, most=_REQUEST)
        except EOFError:
            return
        clock(seconds)
        _answer(answers, bytes(data), DecodePolicy.from_json(policy))
        clock(0.0)


def _answer(answers: IO[bytes], data: bytes, policy: DecodePolicy) -> None:
    try:
        image = decode(data, policy=policy)
    except ImageRejected as why:
        send(answers, {"stage": why.stage, "reason": why.reason, "detail": why.detail[:1000]}, b"")
        return
    said = {"height": image.height, "width": image.width, "format": image.format, "note": image.note}
    send(answers, said, image.pixels.data.cast("B") if image.pixels.flags.c_contiguous else image.pixels.tobytes())


def limit_resources(memory: int) -> None:
    """No more memory than this, no files written, no core dumped; on Windows there is no such thing."""
    if os.name == "nt":
        return
    import resource

    bounds = {resource.RLIMIT_AS: _taken() + memory, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for name, bound in bounds.items():
        hard = resource.getrlimit(name)[1]
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(name, (bound, bound))


def _taken() -> int:
    """Bytes of address space that the interpreter and its libraries have taken already."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 2**30


def clock(seconds: float) -> None:
    """End this process, without a word, after so much more processor time; 0 for never."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
