"""Perceptual hashes as systems of an audit: over an index's items, nearest by Hamming distance, no certificates.

Every item's file is decoded as the index decoded it and hashed by the library. A query is rounded to 8 bits
(:func:`.hash_target.to_levels`) and compared with every row; ties go to the lower item number. It is a copy where some
item is within the threshold: 31 of 256 bits for pdq, which is what Meta recommends, and 10 of 64 for phash and dhash,
which is what people use, unless another is given. PDQ's measure of quality is left out: a flat image has a hash like
any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

import numpy as np

from ...attacks.media import Pixels
from ...attacks.target import Sees
from ...core.errors import ImageRejected, UsageError
from ...core.files import digest_json, sha256_bytes
from ...core.parallel import in_order
from ...images.decode import load
from ...images.policy import DecodePolicy
from ...indexer.sources import text_to_path
from ...retrieval.answer import Answer, Match
from .baselines import HASHES, Words, check_hash, pack, why_uncertified
from .hash_target import Hashed, HashTarget, Ints, to_levels
from .index_system import Item, Kind
from .retrieval_target import Aim, Goal

THRESHOLDS: dict[str, int] = {"phash": 10, "dhash": 10, "pdq": 31}
"""The largest distance that counts as a copy, in bits, where none is given."""
_SHOWN = 3


@dataclass(frozen=True)
class HashSpec:
    """A hash as named on the command line: ``pdq``, or ``pdq:40`` with a threshold.

    Attributes:
        hash: name in ``baselines.HASHES``.
        threshold: largest distance that counts as a copy, in bits.
        given: whether it was named.
    """

    hash: str
    threshold: int
    given: bool

    @property
    def text(self) -> str:
        """As on the command line."""
        return f"{self.hash}:{self.threshold}" if self.given else self.hash


def is_hash(spec: str) -> bool:
    """Whether a system's name is that of a hash, with or without a threshold."""
    return spec.partition(":")[0] in HASHES


def read_spec(spec: str) -> HashSpec:
    """Read the name of a hash.

    Raises:
        UsageError: no hash is called so, or the threshold is no number of its bits.
    """
    name, colon, number = spec.partition(":")
    if name not in HASHES:
        raise UsageError(f"no hash is called {name!r}; choose from {', '.join(HASHES)}")
    if not colon:
        return HashSpec(name, THRESHOLDS[name], given=False)
    bits = HASHES[name].bits
    if not (number.isascii() and number.isdigit() and int(number) < bits):
        raise UsageError(
            f"a threshold of {name} is a whole number from 0 to {bits - 1}, as in {name}:10; got {number!r}"
        )
    return HashSpec(name, int(number), given=True)


@dataclass(frozen=True, eq=False)
class AuditedHash:
    """A hash over the items of an index; see :class:`.systems.System`.

    Attributes:
        spec: which hash, and its threshold.
        gallery: the items' hashes.
        catalog: the items, each at the place of its number.
        policy: how their files were decoded.
        kind: ``hash``.
        certified: False.
    """

    spec: HashSpec
    gallery: Hashed
    catalog: tuple[Item, ...]
    policy: DecodePolicy
    kind: Kind = "hash"
    certified: bool = False

    @property
    def name(self) -> str:
        """See :class:`.systems.System`."""
        return self.spec.text

    def items(self) -> Sequence[str]:
        """See :class:`.systems.System`."""
        return self._ids

    @cached_property
    def _ids(self) -> tuple[str, ...]:
        return tuple(item.id for item in self.catalog)

    def answer_many(self, images: Sequence[Pixels], *, k: int, certify: bool = False) -> list[Answer]:
        """See :class:`.systems.System`; certificates are withheld whether asked for or not.

        Raises:
            UsageError: bad k or pixels.
        """
        del certify
        if k < 1:
            raise UsageError(f"k must be at least 1, got {k}")
        return [self._answer(pixels, k) for pixels in images]

    def target(self, aims: Sequence[Aim], goal: Goal, *, sees: Sees) -> HashTarget:
        """See :class:`.systems.System`: the margin in pixels with a gradient, or in bits without.

        Raises:
            UsageError: a goal that a hash cannot be attacked for.
        """
        return HashTarget(self.gallery, aims, goal, gradient=sees == "gradient")

    def describe(self) -> dict[str, str]:
        """See :class:`.systems.System`; also the hash's package and the threshold."""
        package = self.gallery.hash.package
        installed = version(package)
        return {
            "model": self.spec.hash,
            "model_digest": digest_json([self.spec.hash, package, installed]),
            "snapshot": self._snapshot,
            "policy_digest": self.policy.digest,
            "package": f"{package} {installed}",
            "threshold": f"{self.spec.threshold} of {self.gallery.hash.bits} bits",
        }

    @cached_property
    def _snapshot(self) -> str:
        """Changes with any item or hash."""
        return digest_json([self.items(), sha256_bytes(self.gallery.words.tobytes())])[:16]

    def _answer(self, pixels: Pixels, k: int) -> Answer:
        _check(pixels)
        began = time.perf_counter()
        bits = self.gallery.bits_of(to_levels(pixels))
        hashed = time.perf_counter()
        distances = self.gallery.distances(bits)
        # Stable: among equals the lower item number comes first.
        order = np.argsort(distances, kind="stable")[:k]
        why = why_uncertified(self.spec.hash)
        return Answer(
            width=pixels.shape[1],
            height=pixels.shape[0],
            model=self.spec.hash,
            snapshot=self._snapshot,
            verdict="uncertified",
            verdict_because=why,
            point_verdict="copy" if distances.min() <= self.spec.threshold else "not-a-copy",
            k=k,
            matches=tuple(self._match(rank, int(item), distances) for rank, item in enumerate(order, start=1)),
            thresholds=(self._threshold(),),
            withheld=why,
            seconds={"embed": hashed - began, "search": time.perf_counter() - hashed},
        )

    def _match(self, rank: int, number: int, distances: Ints) -> Match:
        item, distance = self.catalog[number], float(distances[number])
        return Match(
            rank=rank,
            group=number,
            id=item.id,
            path=item.path,
            view="original",
            score=-distance,
            distance=distance,
            channel=self.spec.hash,
        )

    def _threshold(self) -> dict[str, object]:
        source = "given" if self.spec.given else "usual"
        return {"channel": self.spec.hash, "value": float(self.spec.threshold), "source": source}


def open_hash(
    spec: str,
    items: Sequence[Item],
    *,
    policy: DecodePolicy,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> AuditedHash:
    """Hash the files of an index's items.

    Args:
        spec: as :func:`read_spec` takes it.
        items: of the index, in the order of their numbers (``systems.gallery_items``).
        policy: the index's.
        workers: decoding threads.
        advance: called after each item.

    Raises:
        UsageError: a bad spec; no items; or files that are gone, no longer decode, or have changed since they were
            indexed: a gallery with holes in it would not be the index's.
        ModelError: the hash's package is not installed.
    """
    wanted = read_spec(spec)
    chosen = check_hash(wanted.hash)
    if not items:
        raise UsageError(f"{spec} needs a gallery, and the index is empty")

    def one(item: Item) -> Words | str:
        try:
            image = load(text_to_path(item.path), policy=policy)
        except ImageRejected as rejected:
            return f"{item.path}: {rejected.reason}"
        if image.pixels_sha256 != item.pixels_sha256:
            return f"{item.path}: changed since it was indexed"
        return pack(chosen.apply(image.pixels))

    rows: list[Words] = []
    bad: list[str] = []
    for found in in_order(one, items, workers=workers):
        advance()
        bad.append(found) if isinstance(found, str) else rows.append(found)
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise UsageError(f"{spec} cannot hash {len(bad)} of {len(items)} items: {'; '.join(bad[:_SHOWN])}{more}")
    return AuditedHash(wanted, Hashed(chosen, np.stack(rows), wanted.threshold), tuple(items), policy)


def _check(pixels: Pixels) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise UsageError(f"a query is (H, W, 3), got {pixels.shape}")
    if not (np.isfinite(pixels).all() and pixels.min() >= 0.0 and pixels.max() <= 1.0):
        raise UsageError("pixels of a query lie in [0, 1]")
