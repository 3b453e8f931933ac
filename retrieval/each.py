"""One outcome for every input, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..core.errors import ImageRejected, RetrError
from .query import Outcome

Ask = Callable[[Sequence[str]], Iterator[Outcome]]
"""Answers files in order, as ``query.query_files`` does."""


def answer_each(ask: Ask, paths: Sequence[str], *, batch: int = 16) -> Iterator[Outcome]:
    """Answer files in order; one that breaks the program is refused, and all others keep their answers.

    Args:
        ask: answers several files at once.
        paths: image files.
        batch: after a failure so many files are asked about one by one.

    Raises:
        RetrError: what is wrong with all of them, such as a damaged index or a bad option.
    """
    done = 0
    while done < len(paths):
        answered = 0
        try:
            for outcome in ask(paths[done:]):
                answered += 1
                yield outcome
            return
        except RetrError:
            raise
        except Exception:
            done += answered
            yield from (_alone(ask, path) for path in paths[done : done + batch])
            done += batch


def _alone(ask: Ask, path: str) -> Outcome:
    try:
        (outcome,) = ask([path])
    except RetrError:
        raise
    except MemoryError:
        return Outcome(path, None, _refusal("out-of-memory", "answering took more memory than there is"))
    except Exception as error:
        return Outcome(path, None, _refusal("failed", f"{type(error).__name__}: {error}"))
    return outcome


def _refusal(reason: str, detail: str) -> ImageRejected:
    return ImageRejected(stage="answer", reason=reason, detail=detail)
