"""Rows of a corpus made by a cluster: parts of the listing go out as tasks, and come back in their order.

The one writer stays where it is, so what is stored is what one process would store: the same batches, one after the
other. A task whose process or machine is lost is run again by Ray; nothing of it was stored before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import Any

from ..core.errors import ClusterError, RetrError
from ..indexer.addresses import is_url
from ..indexer.entries import may_be_read
from ..indexer.errand import Errand, Wanted
from ..indexer.flow import Batch
from .session import first_words

BATCHES = 4
"""Batches of one task: it takes seconds, so that sending it is nothing, and losing it is little."""
AHEAD = 2
"""Tasks for each CPU that are under way or wait to be stored."""
RETRIES = 3
"""How often a part is begun anew after the process that had it was lost; a file that ends each of them ends the run."""


def rows_by_tasks(errand: Errand, images: Sequence[Wanted]) -> Generator[Batch]:
    """Batches of rows, in the order of the images; closing it stops the tasks. Ray must be connected.

    As many parts are under way as the cluster has CPUs for, those of nodes that come later too.

    Raises:
        RetrError: what a task found wrong with the index.
        ClusterError: a part was lost with its process again and again.
    """
    import ray

    task: Any = ray.remote(_rows).options(num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD")
    common, under_way = ray.put(errand), deque[tuple[Sequence[Wanted], Any]]()
    parts = _parts(images, BATCHES * errand.options.batch_size)
    try:
        while True:
            room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1))) - len(under_way)
            under_way += [(part, task.remote(common, part)) for part in islice(parts, max(0, room))]
            if not under_way:
                return
            part, call = under_way[0]
            made = _made(part, call)
            _check_seen(made)
            yield from made
            under_way.popleft()
    finally:
        for _, call in under_way:
            ray.cancel(call, force=True)


def _rows(errand: Errand, part: Sequence[Wanted]) -> list[Batch]:
    return errand.rows(part)


def _parts(images: Sequence[Wanted], size: int) -> Iterator[Sequence[Wanted]]:
    return (images[start : start + size] for start in range(0, len(images), size))


def _made(part: Sequence[Wanted], call: Any) -> list[Batch]:
    import ray

    try:
        return ray.get(call)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, RetrError):
            raise error.cause from error
        raise ClusterError(f"{_named(part)}: {type(error.cause).__name__}: {error.cause}") from error
    except ray.exceptions.RayError as error:
        raise ClusterError(f"{_named(part)}: the process was lost {RETRIES + 1} times: {first_words(error)}") from error


def _check_seen(made: Sequence[Batch]) -> None:
    """Refuse what a machine could not read and this one can: else all of a folder that it does not see were rejects."""
    for batch in made:
        for one in batch.refused:
            if one.why.reason == "not-found" and not is_url(one.path) and may_be_read(one.path):
                raise ClusterError(
                    f"{one.path} is here, and not where its rows were to be made: all machines "
                    "of the cluster must see the images under the same names"
                )


def _named(part: Sequence[Wanted]) -> str:
    return f"the images from {part[0].path} to {part[-1].path}"
