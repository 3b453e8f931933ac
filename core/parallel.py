"""Work in threads whose results keep the order of what it was done on."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
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


@contextmanager
def sharing_cores(workers: int) -> Iterator[Callable[[], None] | None]:
    """What each of so many threads does first, so that all of them together compute on as many cores as torch may use.

    Torch's own threads inside every small product would wait for one another. The calling thread keeps what it has.
    None where nothing has loaded torch: no thread uses it then.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield None
        return
    before = torch.get_num_threads()
    try:
        yield lambda: torch.set_num_threads(max(1, before // workers))
    finally:
        torch.set_num_threads(before)
