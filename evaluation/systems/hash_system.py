"""Perceptual hashes as systems: nearest by Hamming distance, one threshold, no certificates.

In an audit every item's file is decoded as the index decoded it and hashed by the library. A query is rounded to 8 bits
(:func:`.hash_target.to_levels`) and compared with every row; ties go to the lower item number. It is a copy where some
item is within the threshold: 31 of 256 bits for pdq, which is what Meta recommends, and 10 of 64 for phash and dhash,
which is what people use, unless another is given or set on negatives. PDQ's measure of quality is left out: a flat
image has a hash like any other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from importlib.metadata import version

import numpy as np

from ...attacks.media import Bytes, Pixels
from ...attacks.target import Sees
from ...core.errors import ImageRejected, UsageError
from ...core.files import digest_json, sha256_bytes
from ...core.rounded import budget_text
from ...images.policy import DecodePolicy
from ...indexer.entries import Entry
from ...retrieval.answer import Answer, Match
from .baselines import HASHES, Words, check_hash, hash_images, why_uncertified
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
class HashSystem:
    """A hash over some items; see :class:`.index_system.System`.

    Attributes:
        spec: which hash, and its threshold.
        gallery: the items' hashes.
        catalog: the items, each at the place of its number.
        policy: how their files were decoded.
        samples: negatives that its threshold was set on; 0 for none.
        kind: ``hash``.
        certified: False.
    """

    spec: HashSpec
    gallery: Hashed
    catalog: tuple[Item, ...]
    policy: DecodePolicy
    samples: int = 0
    kind: Kind = "hash"
    certified: bool = False

    @property
    def has_verdicts(self) -> bool:
        """See :class:`.index_system.Calibrated`: only once it is calibrated."""
        return self.samples > 0

    @property
    def threshold(self) -> int:
        """The largest distance that counts as a copy; −1 for none."""
        return self.gallery.threshold

    @property
    def name(self) -> str:
        """See :class:`.index_system.System`."""
        return self.spec.text

    def items(self) -> Sequence[str]:
        """See :class:`.index_system.System`."""
        return self._ids

    def pixels_of(self, item: int) -> str:
        """See :class:`.index_system.Calibrated`."""
        return self.catalog[item].pixels_sha256

    def calibrate(self, negatives: Iterable[Sequence[Bytes]], *, fpr: float) -> HashSystem:
        """The largest distance below the one that split conformal prediction allows (``retrieval.calibrate``).

        Raises:
            UsageError: too few negatives.
        """
        nearest = np.sort([self._distances(image).min() for batch in negatives for image in batch])
        n = len(nearest)
        beyond = n - math.ceil((1 - Fraction(str(fpr))) * (n + 1))
        if beyond < 0:
            rate = budget_text(fpr)
            raise UsageError(f"{n} negatives cannot support a false-match rate of {rate}; give more, or raise fpr")
        return replace(self, gallery=replace(self.gallery, threshold=int(nearest[beyond]) - 1), samples=n)

    def _distances(self, image: Bytes) -> Ints:
        return self.gallery.distances(self.gallery.bits_of(image))

    @cached_property
    def _ids(self) -> tuple[str, ...]:
        return tuple(item.id for item in self.catalog)

    def answer_many(self, images: Sequence[Pixels], *, k: int, certify: bool = False) -> list[Answer]:
        """See :class:`.index_system.System`; certificates are withheld whether asked for or not.

        Raises:
            UsageError: bad k or pixels.
        """
        del certify
        if k < 1:
            raise UsageError(f"k must be at least 1, got {k}")
        return [self._answer(pixels, k) for pixels in images]

    def target(self, aims: Sequence[Aim], goal: Goal, *, sees: Sees) -> HashTarget:
        """See :class:`.index_system.System`: the margin in pixels with a gradient, or in bits without.

        Raises:
            UsageError: a goal that a hash cannot be attacked for.
        """
        return HashTarget(self.gallery, aims, goal, gradient=sees == "gradient")

    def describe(self) -> dict[str, str]:
        """See :class:`.index_system.System`; also the hash's package and the threshold."""
        package = self.gallery.hash.package
        installed = version(package)
        return {
            "model": self.spec.hash,
            "model_digest": digest_json([self.spec.hash, package, installed]),
            "snapshot": self._snapshot,
            "policy_digest": self.policy.digest,
            "package": f"{package} {installed}",
            "threshold": f"{self.threshold} of {self.gallery.hash.bits} bits",
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
        # Among equals the lower item number comes first; for one match there is no need to sort.
        order = np.argsort(distances, kind="stable")[:k] if k > 1 else [distances.argmin()]
        why = why_uncertified(self.spec.hash)
        return Answer(
            width=pixels.shape[1],
            height=pixels.shape[0],
            model=self.spec.hash,
            snapshot=self._snapshot,
            verdict="uncertified",
            verdict_because=why,
            point_verdict="copy" if distances.min() <= self.threshold else "not-a-copy",
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
        source = "calibrated" if self.has_verdicts else "given" if self.spec.given else "usual"
        return {"channel": self.spec.hash, "value": float(self.threshold), "source": source}


def open_hash(
    spec: str,
    items: Sequence[Item],
    *,
    policy: DecodePolicy,
    workers: int = 1,
    advance: Callable[[], None] = lambda: None,
) -> HashSystem:
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

    entries = [Entry(item.path, 0, 0) for item in items]
    rows: list[Words] = []
    bad: list[str] = []
    found = hash_images(chosen, entries, policy, workers=workers, advance=advance)
    for item, one in zip(items, found, strict=True):
        if isinstance(one, ImageRejected):
            bad.append(f"{item.path}: {one.reason}")
        elif one[1] != item.pixels_sha256:
            bad.append(f"{item.path}: changed since it was indexed")
        else:
            rows.append(one[0])
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise UsageError(f"{spec} cannot hash {len(bad)} of {len(items)} items: {'; '.join(bad[:_SHOWN])}{more}")
    return HashSystem(wanted, Hashed(chosen, np.stack(rows), wanted.threshold), tuple(items), policy)


def _check(pixels: Pixels) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise UsageError(f"a query is (H, W, 3), got {pixels.shape}")
    if not (np.isfinite(pixels).all() and pixels.min() >= 0.0 and pixels.max() <= 1.0):
        raise UsageError("pixels of a query lie in [0, 1]")
