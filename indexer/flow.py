"""Corpus → rows: threads each decode, resize and embed some images, and hand them on in order.

A thread does all of it for a few images at a time, so no stage waits for another, every core is busy, and what is on
the way is bounded: a few images a thread. Threads share the cores
(``core.parallel.sharing_cores``). Several GPUs take turns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import torch

from ..core.parallel import in_order, sharing_cores
from .devices import Team
from .embed import AT_ONCE, LEAST, Embedded, embed_batch, join
from .prepare import Prepared, Recipe, Refused

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of some images.

    Attributes:
        images: how many there were.
        embedded: those to store.
        refused: those that are no acceptable images.
        unchanged: how many hold what is stored of them.
        notes: (path, what is wrong with it) of those to store; see ``images.decode.NOTES``.
        seconds: by stage, summed over threads.
    """

    images: int
    embedded: Embedded
    refused: list[Refused]
    unchanged: int
    notes: list[tuple[str, str]]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Flow(Generic[Item]):
    """How images become rows.

    Attributes:
        prepare: one image, decoded and resized.
        recipe: what ``prepare`` works by.
        teams: the embedders, once for each device.
        workers: threads.
        batch_size: images stored at once.
        spare: who embeds in place of a device that has failed.
        unchanged: whether an image holds what is stored of it already, so that there is nothing to do.
    """

    prepare: Callable[[Item], Prepared | Refused]
    recipe: Recipe
    teams: Sequence[Team]
    workers: int
    batch_size: int
    spare: Callable[[Exception], Team]
    unchanged: Callable[[Prepared], bool] = lambda _: False

    def batches(self, items: Sequence[Item]) -> Generator[Batch]:
        """Rows of some images, in their order, ``batch_size`` images at a time; close it to stop the threads."""
        share = self._share(len(items))
        stop = threading.Event()
        with whole_products(), sharing_cores(self.workers) as first:
            parts = in_order(
                lambda part: self._one(*part, stop),
                enumerate(_cut(items, share)),
                workers=self.workers,
                ahead=AHEAD,
                name="images",
                first=first,
            )
            try:
                with closing(parts):
                    while several := list(islice(parts, max(1, self.batch_size // share))):
                        yield _joined(several)
            finally:
                stop.set()

    def _share(self, items: int) -> int:
        """How many images a thread takes at a time: few on a processor, whose caches hold no more; all cores get some.

        What their views need has to fit in memory.
        """
        few = self.batch_size if self.teams[0][0].device != "cpu" else LEAST
        most = min(few, self.batch_size, AT_ONCE // len(self.recipe.views))
        return max(1, min(most, -(-items // self.workers)))

    def _one(self, number: int, items: Sequence[Item], stop: threading.Event) -> Batch:
        outcomes = [self.prepare(item) for item in items if not stop.is_set()]
        files = [one for one in outcomes if isinstance(one, Prepared)]
        changed = [file for file in files if not self.unchanged(file)]
        began = time.perf_counter()
        embedded = self._embedded(number, changed)
        spent = time.perf_counter() - began
        for file in files:
            file.inputs.clear()  # a batch waits for its turn without them
        return Batch(
            len(outcomes),
            embedded,
            [one for one in outcomes if isinstance(one, Refused)],
            len(files) - len(changed),
            [(file.path, file.note) for file in changed if file.note is not None],
            {
                "decode": sum(one.decode_s for one in outcomes),
                "resize": sum(file.resize_s for file in files),
                "embed": spent,
            },
        )

    def _embedded(self, number: int, files: Sequence[Prepared]) -> Embedded:
        team = self.teams[number % len(self.teams)]
        try:
            return embed_batch(files, team, self.recipe)
        except RuntimeError as error:
            if team[0].device == "cpu":
                raise
            return embed_batch(files, self.spare(error), self.recipe)


AHEAD = 6
"""Parts per thread that may wait to be stored: while the disk is slow, no thread stands still."""


def _cut(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    left = iter(items)
    while part := list(islice(left, size)):
        yield part


def _joined(parts: Sequence[Batch]) -> Batch:
    return Batch(
        sum(part.images for part in parts),
        join([part.embedded for part in parts]),
        [one for part in parts for one in part.refused],
        sum(part.unchanged for part in parts),
        [one for part in parts for one in part.notes],
        {stage: sum(part.seconds[stage] for part in parts) for stage in parts[0].seconds},
    )


@contextmanager
def whole_products() -> Iterator[None]:
    """Float32 products are whole ones, on a GPU too."""
    short = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = short
