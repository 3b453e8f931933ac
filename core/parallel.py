"""Work in threads whose results keep the order of what it was done on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def in_order(
    work: Callable[[In], Out],
    items: Iterable[In],
    *,
    workers: int,
    ahead: int = 8,
    name: str = "images",
    first: Callable[[], None] | None = None,
) -> Generator[Out, None, None]:
    """Results of ``work`` in the order of ``items``, computed in threads.

    Args:
        work: safe to call from many threads; what it raises is raised here, in its turn.
        items: taken one at a time, as results are.
        workers: threads.
        ahead: results per thread that may wait to be taken.
        name: of the threads.
        first: what every thread does before anything else.
    """
    pending: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix=name, initializer=first) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= ahead * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
