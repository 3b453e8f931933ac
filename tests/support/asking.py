"""Asking a service: forms of files, and waiting for what a thread brings about."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that a thread brings about."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)


def files(*contents: bytes, field: str = "image") -> list[tuple[str, tuple[str, bytes]]]:
    """Files of a form, named by their places."""
    return [(field, (f"{number}.png", data)) for number, data in enumerate(contents)]
