"""Arguments that begin with the index, unless -i names it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import UsageError
from .options import index_path


def index_and_rest(given: Sequence[str], option: Path | None, what: str, *, least: int = 1) -> tuple[Path, list[str]]:
    """The index, and what the command is about.

    Args:
        given: ``[INDEX] WORD…``. The first is the index where -i names none and enough others follow.
        option: of -i.
        what: what the others are, for the error.
        least: how many others there must be.

    Raises:
        UsageError: too few, or an index alone.
    """
    words = list(given)
    if option is None and len(words) > least:
        return Path(words[0]), words[1:]
    if len(words) < least:
        raise UsageError(f"name the index and {what}")
    refuse_index_alone(words, option, what)
    return index_path(option), words


def refuse_index_alone(words: Sequence[str], option: Path | None, what: str) -> None:
    """Refuse one word that should be what a command is about, and is an index.

    Args:
        words: what was given.
        option: of -i.
        what: is missing after it.

    Raises:
        UsageError: it is one.
    """
    if option is None and len(words) == 1 and (Path(words[0]) / "CURRENT").is_file():
        raise UsageError(f"{words[0]} is an index; after it name {what}")


def one_index(place: Path | None, option: Path | None) -> Path:
    """The index of a command that is about nothing else, by its place or by -i.

    Raises:
        UsageError: both name one.
    """
    if place is not None and option is not None:
        raise UsageError(f"one index at a time, got {place} and {option}")
    return index_path(place if place is not None else option)
