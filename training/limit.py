"""How long a run may take, its last evaluation and its last files included."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.modules.module import register_module_forward_pre_hook

TRIAL = 0.25
"""Share of the time after which an evaluation is made if there was none: a run must know what its end will take."""


class OutOfTime(Exception):  # noqa: N818 - what happened, no error
    """The limit was reached inside an evaluation."""


class TimeLimit:
    """When to stop, so that what comes last is done when the time is over.

    The end of a run is an evaluation, model files and a checkpoint. It is taken to need as long as the longest of each
    so far; an evaluation that would go on after the limit all the same is cut off between two batches.

    Args:
        minutes: None for no limit.
        began: ``time.monotonic()`` when the time began to run.
    """

    def __init__(self, minutes: float | None, *, began: float) -> None:
        seconds = math.inf if minutes is None else minutes * 60
        self._trial, self._end = began + TRIAL * seconds, began + seconds
        self._longest: dict[str, float] = {}

    @property
    def reached(self) -> bool:
        """Whether what is left is just enough for the end."""
        return time.monotonic() + sum(self._longest.values()) >= self._end

    @property
    def asks_for_trial(self) -> bool:
        """Whether an evaluation should be made to learn what one takes."""
        return "evaluation" not in self._longest and time.monotonic() >= self._trial

    @contextmanager
    def timing(self, *parts: str) -> Iterator[None]:
        """Remember how long something took that the end of a run will take again, once for each of these parts."""
        began = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - began
            self._longest |= {part: max(self._longest.get(part, 0.0), took) for part in parts}

    @contextmanager
    def cutting(self) -> Iterator[None]:
        """Let networks be called until the limit, and then no more.

        All of them: a recipe may evaluate a folded copy of the network that it is given.

        Raises:
            OutOfTime: on entry or by a call, after the limit.
        """
        self._check()
        handle = register_module_forward_pre_hook(self._check)
        try:
            yield
        finally:
            handle.remove()

    def _check(self, *_: Any) -> None:
        if time.monotonic() >= self._end:
            raise OutOfTime
