"""Work in forked children that may be killed; for programs of their own, so that nothing forks after a thread began."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable


def child(work: Callable[[], object], answer: int | None = None) -> int:
    """Start work in a child; its process id.

    Args:
        work: what it does; what it returns is written to ``answer`` as JSON, where there is one.
        answer: the end of a pipe that is written to.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        found = work()
        if answer is not None:
            os.write(answer, json.dumps(found).encode())
        os._exit(0)
    except BaseException as error:
        print(f"child failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def killed(pid: int) -> bool:
    """Whether a child was killed, and did not end well; it must not fail by itself."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        raise SystemExit("a child failed by itself")
    return False
