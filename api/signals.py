"""Signals on the public surface: an image as a line of text, and who accepts it, in an index or in a list of others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ..core.errors import UsageError
from ..indexer.options import DEFAULT_MODELS
from ..indexer.reference import Reference, shipped_reference
from ..retrieval.answer import Answer as Found
from ..retrieval.probe import embed
from ..retrieval.signals import NAME, Bank, Layout, Near, layout_of, query_of
from .images import ImageLike, read_image, to_bytes
from .index import Index
from .model import Model, load_model

__all__ = ["NAME", "Found", "Near", "Signals", "ask", "signal_of"]


def signal_of(index: Index, image: ImageLike) -> str:
    """The signal of an image by the models of an index.

    Raises:
        ImageRejected: no acceptable image.
    """
    engine = index.engine
    query = embed(engine.channels, read_image(image, engine.policy).given)
    return layout_of(engine.channels).text([one.z for one in query.embedded])


def ask(index: Index, signal: str, *, k: int = 10) -> Found:
    """What an index holds near a signal. Nothing is certified: the image is not there.

    Raises:
        UsageError: no signal, or one of other models.
    """
    engine = index.engine
    return engine.answer_query(query_of(engine.channels, layout_of(engine.channels).read(signal)), k=k)


class Signals:
    """Signals without an index, by models that come with a reference set: the two of a plain index.

    Args:
        models: as of ``retr.load_model``.

    Raises:
        UsageError: a model that comes without a reference set: nothing says how near is near.
    """

    def __init__(self, models: Sequence[str] = DEFAULT_MODELS) -> None:
        self._models = [load_model(spec) for spec in models]
        self._references = [_reference(model) for model in self._models]
        self._layout = Layout(tuple(m.digest for m in self._models), tuple(m.dim for m in self._models))

    def signal(self, image: ImageLike) -> str:
        """The signal of an image.

        Raises:
            ImageRejected: no acceptable image.
        """
        levels = to_bytes(read_image(image))
        return self._layout.text([np.asarray(model.embed(levels)) for model in self._models])

    def check(self, signal: str) -> str:
        """A signal without the spaces around it.

        Raises:
            UsageError: it is none.
        """
        self._layout.read(signal)
        return signal.strip()

    def bank(self, signals: Sequence[str]) -> Bank:
        """Signals that others are compared with."""
        return Bank(self._layout, self._references, [self._layout.read(one) for one in signals])

    def part(self, signal: str, other: str) -> float:
        """How far a signal is from another, as a part of how far the other accepts; a copy where that is at most 1."""
        return float(self.bank([other]).parts(self._layout.read(signal))[0])

    def near(self, bank: Bank, signal: str) -> list[Near]:
        """Those of a bank that accept a signal, the nearest first."""
        return bank.near(self._layout.read(signal))


@lru_cache(maxsize=1)
def usual() -> Signals:
    """Those of the models of a plain index."""
    return Signals()


def _reference(model: Model) -> Reference:
    found = shipped_reference(model.digest)
    if found is None:
        raise UsageError(f"{model.name} comes without a reference set, so that nothing says how near a copy is")
    return found
