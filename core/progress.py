"""The one way in which long work says how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Who is told how far long work is.

    It may also have a method ``doing(text)``: then it is told what runs now, in a few words; and ``note(text)``: then
    it is told at once what the user should know.
    """

    def start(self, total: int, done: int = 0) -> None:
        """A stretch of work begins: ``total`` units are there (0: nobody knows), ``done`` of them need no work."""
        ...

    def advance(self, count: int = 1) -> None:
        """So many more are finished."""
        ...


class Silent:
    """Nobody is told."""

    def start(self, total: int, done: int = 0) -> None:
        """Nothing."""

    def advance(self, count: int = 1) -> None:
        """Nothing."""


def say(progress: Progress, text: str) -> None:
    """What runs now, to who listens for it."""
    doing = getattr(progress, "doing", None)
    if doing is not None:
        doing(text)


def note(progress: Progress, text: str) -> None:
    """What the user should know, to who passes it on."""
    tell = getattr(progress, "note", None)
    if tell is not None:
        tell(text)


def begin(progress: Progress, title: str, total: int, done: int = 0) -> None:
    """A stretch of work with its title."""
    say(progress, title)
    progress.start(total, done)


def with_alarms(doing: str, alarms: int) -> str:
    """What runs, and the soundness alarms so far, where there are any."""
    return f"{doing}, {alarms} alarms" if alarms else doing
