"""retr as a signal type of the package ``threatexchange``, for its command ``tx`` and for Hasher-Matcher-Actioner.

    threatexchange config extensions add retr.api.threatexchange

Needs the extra ``threatexchange``. Nothing is certified of a signal; see docs/integrations.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from threatexchange.content_type.content_base import ContentType
from threatexchange.content_type.photo import PhotoContent
from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest
from threatexchange.signal_type.index import IndexMatch, SignalSimilarityInfoWithSingleDistance, SignalTypeIndex
from threatexchange.signal_type.signal_base import BytesHasher, SignalComparisonResult, SignalType

from ..core.errors import ImageRejected
from ..retrieval.signals import Bank
from .signals import NAME, usual

__all__ = ["TX_MANIFEST", "RetrIndex", "RetrSignal"]
T = TypeVar("T")
Distance = SignalSimilarityInfoWithSingleDistance[Any]


class RetrIndex(SignalTypeIndex[T]):
    """Signals with what is known of each: the verdicts of an index that held these pictures.

    How far each accepts is measured among all of them when it is first asked. Stored as the package stores its own.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[str, T]] = []
        self._bank: Bank | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __getstate__(self) -> dict[str, Any]:
        """The signals; what is measured of them is measured again."""
        return {"_entries": self._entries, "_bank": None}

    def add(self, signal_str: str, entry: T) -> None:
        """Add a signal."""
        self.add_all([(signal_str, entry)])

    def add_all(self, entries: Iterable[tuple[str, T]]) -> None:
        """Add signals; equal ones are kept, each with its own entry."""
        self._entries += [(usual().check(signal), entry) for signal, entry in entries]
        self._bank = None

    def query(self, query: str) -> list[IndexMatch[T]]:
        """Those that accept a signal, the nearest first; the distance is a part of how far each accepts."""
        if not self._entries:
            return []
        if self._bank is None:
            self._bank = usual().bank([signal for signal, _ in self._entries])
        found = usual().near(self._bank, query)
        return [IndexMatch(Distance(one.part), self._entries[one.number][1]) for one in found]


class RetrSignal(SignalType, BytesHasher):
    """The embeddings of a picture by the two models of a plain index, as a line of text."""

    @classmethod
    def get_name(cls) -> str:
        """``retr``."""
        return NAME

    @classmethod
    def get_content_types(cls) -> list[type[ContentType]]:
        """Photos."""
        return [PhotoContent]

    @classmethod
    def get_index_cls(cls) -> type[RetrIndex]:
        """The index above."""
        return RetrIndex

    @classmethod
    def validate_signal_str(cls, signal_str: str) -> str:
        """The signal without the spaces around it; a ValueError where it is none."""
        return usual().check(signal_str)

    @classmethod
    def compare_hash(cls, hash1: str, hash2: str) -> SignalComparisonResult:
        """Whether the first accepts the second, as if it stood alone in an index."""
        part = usual().part(hash2, hash1)
        return SignalComparisonResult(part <= 1.0, Distance(part if math.isfinite(part) else math.inf))

    @classmethod
    def hash_from_bytes(cls, bytes_: bytes) -> str:
        """The signal of an image file; empty where it is no acceptable image, as the package wants it."""
        try:
            return usual().signal(bytes_)
        except ImageRejected:
            return ""

    @staticmethod
    def get_examples() -> list[str]:
        """Signals of two drawn pictures."""
        rows, columns = np.mgrid[0:64, 0:64]
        waves = [np.sin(rows / 5) + np.cos(columns / 9), np.sin((rows + columns) / 7) * np.cos(rows / 11)]
        levels = [np.rint(255 * (wave - wave.min()) / np.ptp(wave)).astype(np.uint8) for wave in waves]
        return [usual().signal(np.repeat(one[..., None], 3, axis=2)) for one in levels]


TX_MANIFEST = ThreatExchangeExtensionManifest(signal_types=(RetrSignal,))
