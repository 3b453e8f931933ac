"""Signals: an embedded image as one line of text, for tools that keep and compare hashes (docs/integrations.md).

``retr1:MODELS:BASE64``: the first 16 hex digits of a digest of the models, then the embeddings of all channels one
after the other, float32 and little-endian, in base64 for URLs. Nothing is certified of a signal: that needs the image.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import UsageError
from ..core.files import sha256_bytes
from ..core.numerics import norm
from ..core.progress import Silent
from ..core.types import UpperBound
from ..indexer.gap_blocks import Side
from ..indexer.gap_scan import against_items, against_references
from ..indexer.gaps import Gaps
from ..indexer.neighbours import to_angles
from ..indexer.reference import Reference
from ..indexer.vectors import Float32, RowStore
from .channel import Channel, Float64, QueryEmbedding
from .probe import Query, probe_of

NAME = "retr"
"""The type of these signals, as other tools call it."""
_FORM = "retr1"


@dataclass(frozen=True, slots=True)
class Layout:
    """What the numbers of a signal are.

    Attributes:
        models: digest of each channel's model; dims: lengths of their embeddings.
    """

    models: tuple[str, ...]
    dims: tuple[int, ...]

    @property
    def tag(self) -> str:
        """The models in 16 hex digits."""
        return sha256_bytes(" ".join(self.models).encode())[:16]

    def text(self, zs: Sequence[Float64]) -> str:
        """Embeddings as a signal."""
        assert tuple(map(len, zs)) == self.dims, "one embedding for each channel"
        data = np.concatenate(zs).astype("<f4").tobytes()
        return f"{_FORM}:{self.tag}:{base64.urlsafe_b64encode(data).decode()}"

    def read(self, signal: str) -> list[Float64]:
        """The embeddings of a signal.

        Raises:
            UsageError: it is none, or one of other models.
        """
        form, _, rest = signal.strip().partition(":")
        tag, _, text = rest.partition(":")
        if form != _FORM:
            raise UsageError(f"a signal of retr begins with {_FORM}:, got {signal[:16]!r}")
        if tag != self.tag:
            raise UsageError(f"the signal is of other models ({tag[:16]!r}, and here they are {self.tag})")
        try:
            found = np.frombuffer(base64.b64decode(text, altchars=b"-_", validate=True), "<f4").astype(np.float64)
        except (binascii.Error, ValueError) as error:
            raise UsageError(f"the signal is damaged: {error}") from error
        if len(found) != sum(self.dims) or not np.isfinite(found).all():
            raise UsageError(f"the signal is damaged: {len(found)} numbers, where {sum(self.dims)} are expected")
        return np.split(found, np.cumsum(self.dims)[:-1])


def layout_of(channels: Sequence[Channel]) -> Layout:
    """Of an opened index."""
    return Layout(tuple(one.embedder.digest for one in channels), tuple(one.store.dim for one in channels))


def query_of(channels: Sequence[Channel], zs: Sequence[Float64]) -> Query:
    """What is asked by embeddings alone; no certificate can come of it, since the image is not there."""
    # Several channels are told apart by margins in pixels; without an image they are those of an image of the size that
    # the networks see, which changes no verdict. Certificates are never asked for.
    size = UpperBound(1.0, "of an image of the network's own size: a signal has none")
    exact = UpperBound(0.0, "nothing is resized")
    embedded = tuple(
        QueryEmbedding(z, one.embedder.lipschitz, size, one.forward_error(exact))
        for z, one in zip(zs, channels, strict=True)
    )
    pairs = enumerate(zip(embedded, channels, strict=True))
    return Query(1, 1, embedded, tuple(probe_of(one, channel, number, values=3) for number, (one, channel) in pairs))


@dataclass(frozen=True, slots=True)
class Near:
    """A signal of a bank that accepts another.

    Attributes:
        number: its place in the bank.
        part: distance as a part of how far it accepts, ≤ 1, in the channel where that is least.
    """

    number: int
    part: float


class Bank:
    """Signals that others are compared with, without an index: the verdict of an index that held just these images.

    Each accepts within a share of the way to its nearest unrelated picture, of the others or of the reference sets.

    Args:
        layout: of the signals.
        references: per channel, the set for its model.
        signals: the embeddings of each.
    """

    def __init__(self, layout: Layout, references: Sequence[Reference], signals: Sequence[Sequence[Float64]]) -> None:
        self._references = tuple(references)
        self._rows = [
            np.concatenate([np.zeros((0, dim), np.float32), *(_row(one[number], reference) for one in signals)])
            for number, (dim, reference) in enumerate(zip(layout.dims, references, strict=True))
        ]
        self._reach = _reaches(self._references, self._rows)

    def __len__(self) -> int:
        return len(self._rows[0])

    def parts(self, zs: Sequence[Float64]) -> Float64:
        """(n,) how far a signal is from each, as a part of how far that accepts: inf where it accepts nothing."""
        best = np.full(len(self), np.inf)
        for z, rows, reach, reference in zip(zs, self._rows, self._reach, self._references, strict=True):
            if not np.any(z):
                continue  # no direction
            own = _row(z, reference)[0].astype(np.float64)
            far = np.sqrt(np.maximum(0.0, ((rows.astype(np.float64) - own) ** 2).sum(axis=1)))
            far = to_angles(far) if reference.score == "cosine" else far
            best = np.minimum(best, np.divide(far, reach, out=np.full(len(far), np.inf), where=reach > 0.0))
        return best

    def near(self, zs: Sequence[Float64]) -> list[Near]:
        """Those that accept a signal, the nearest first."""
        parts = self.parts(zs)
        return [Near(int(n), float(parts[n])) for n in np.argsort(parts, kind="stable") if parts[n] <= 1.0]


def _row(z: Float64, reference: Reference) -> Float32:
    """(1, d) as an index stores it."""
    length = float(norm(z))
    return (z / length if reference.score == "cosine" and length > 0.0 else z).astype(np.float32)[None]


def _reaches(references: Sequence[Reference], rows: Sequence[Float32]) -> list[Float64]:
    """Per channel (n,), how far each row accepts."""
    count = len(rows[0])
    sides = [
        Side(RowStore((own,), (0, count), own.shape[1], one.score), one, Gaps.unknown(count))
        for one, own in zip(references, rows, strict=True)
    ]
    if count:
        numbers = np.arange(count)
        # Equal rows are one picture.
        keys = np.array([sha256_bytes(b"".join(own[n].tobytes() for own in rows)) for n in numbers], dtype="S64")
        against_references(sides, numbers, keys, Silent())
        against_items(sides, numbers, keys, numbers, keys, Silent())
    return [side.reference.share * side.known.gap.astype(np.float64) for side in sides]
