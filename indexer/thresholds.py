"""The thresholds that an index has as it comes: each row accepts within a share of its gap (``indexer.gaps``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..core.cosine import cosine
from ..core.errors import IntegrityError
from ..core.progress import Progress, Silent, begin
from .gallery import Gallery, open_gallery
from .gap_update import basis_of, measure_gaps
from .gaps import Gaps, all_of, read_neighbours, write_gaps, write_neighbours
from .reference import SUFFIX, Reference, read_reference, shipped_reference, write_reference
from .snapshot import ChannelSpec, Snapshot, Threshold


@dataclass(frozen=True, slots=True)
class Measured:
    """The gaps of a snapshot's rows, written beside them.

    Attributes:
        references: per channel, what they were measured with.
        gaps: per channel; digests: of their files, and of what they were measured by.
    """

    references: tuple[Reference, ...]
    gaps: tuple[Gaps, ...]
    digests: tuple[tuple[str, str], ...]


def renew_thresholds(index: Path, snapshot: Snapshot, progress: Progress | None = None) -> tuple[ChannelSpec, ...]:
    """The channels of a snapshot whose rows have changed, with thresholds that suit the rows.

    A calibrated offset stays, marked as older than the rows; so does one calibrated threshold for all rows.
    """
    held = [channel.threshold for channel in snapshot.channels if channel.threshold is not None]
    if len(held) == len(snapshot.channels) and all(map(_for_all_rows, held)):  # nobody would look at gaps
        pairs = zip(snapshot.channels, held, strict=True)
        return tuple(replace(channel, threshold=replace(one, stale=True)) for channel, one in pairs)
    measured = measure(index, open_gallery(index, snapshot), progress)
    # What was measured is one comparison a row and channel: of an index that makes more nobody knows.
    rate = stated_rate(() if snapshot.pairs else measured.references)
    parts = zip(snapshot.channels, measured.references, measured.digests, strict=True)
    return tuple(
        replace(channel, threshold=_renewed(channel, reference, files, rate)) for channel, reference, files in parts
    )


def measure(index: Path, gallery: Gallery, progress: Progress | None = None) -> Measured:
    """Measure the gaps of all rows; what the snapshot's thresholds name already is brought up to date."""
    snapshot = gallery.snapshot
    references = tuple(reference_of(index, channel, progress) for channel in snapshot.channels)
    basis = basis_of(gallery, references)
    gaps = measure_gaps(gallery, references, _known(index, snapshot, basis), progress)
    digests = tuple(
        (write_gaps(index, snapshot, own.gap), write_neighbours(index, snapshot, own, basis=basis)) for own in gaps
    )
    return Measured(references, gaps, digests)


def reference_of(index: Path, channel: ChannelSpec, progress: Progress | None = None) -> Reference:
    """The reference set for a channel: the package's, or one of drawn pictures that the index keeps.

    Raises:
        IntegrityError: it is damaged.
    """
    shipped = shipped_reference(channel.model_digest)
    if shipped is not None:
        return shipped
    # They need torch, and to take an item out of an index does not.
    from .drawn import drawn_reference
    from .models import open_model

    file = index / "references" / f"{channel.model_digest[:16]}{SUFFIX}"
    if not file.is_file():
        begin(progress or Silent(), f"drawing a reference set for {channel.name}", 0)
        file.parent.mkdir(exist_ok=True)
        write_reference(file, drawn_reference(open_model(index, channel)))
    try:
        found = read_reference(file)
    except IntegrityError as why:
        raise IntegrityError(f"{why}; remove it, and it is drawn again") from None
    if found.model_digest != channel.model_digest:
        raise IntegrityError(f"{file} holds the reference set of another model; remove it, and it is drawn again")
    return found


def by_reference(
    reference: Reference, files: tuple[str, str], rate: Threshold | None = None, *, offset: float | None = None
) -> Threshold:
    """The threshold of a channel whose rows accept within the set's share of their gaps, and within an offset.

    Args:
        reference: the set.
        files: SHA-256 of the file of gaps, and of what they were measured by.
        rate: where the threshold's source, samples and limits are from; None for :func:`stated_rate` of nothing.
        offset: see :class:`snapshot.Threshold`.
    """
    given = rate or stated_rate(())
    reach = reference.share * reference.typical
    if offset is not None:
        reach = max(0.0, min(reach, offset + 0.5 * reference.typical))
    value = float(cosine(np.array([min(reach, math.pi)]))[0]) if reference.score == "cosine" else reach
    return replace(
        given,
        value=value,
        offset=offset,
        gaps=files[0],
        share=reference.share,
        reference=reference.digest,
        neighbours=files[1],
    )


def stated_rate(references: Sequence[Reference]) -> Threshold:
    """What is known of false matches by the shares alone: what was measured, if it was measured for every channel."""
    rates = [reference.rate for reference in references]
    known = [rate for rate in rates if rate is not None]
    if not known or len(known) < len(rates):
        return Threshold(0.0, "reference", None, 0)
    worst = max(known, key=lambda rate: rate.upper95)
    return Threshold(0.0, "reference", worst.fpr, worst.samples, worst.upper95)


def _for_all_rows(held: Threshold) -> bool:
    """Whether it was calibrated for all rows of a channel, as was asked for."""
    return held.source == "calibrated" and not held.local


def _renewed(channel: ChannelSpec, reference: Reference, files: tuple[str, str], rate: Threshold) -> Threshold:
    held = channel.threshold
    if held is None or held.source != "calibrated":
        return by_reference(reference, files, rate)
    stale = replace(held, stale=True)
    return by_reference(reference, files, stale, offset=held.offset) if held.local else stale


def _known(index: Path, snapshot: Snapshot, basis: str) -> list[Gaps] | None:
    """What the thresholds of the channels know of the rows, if all of it was measured on this basis."""
    found = []
    for channel in snapshot.channels:
        threshold = channel.threshold
        if threshold is None or threshold.gaps is None or threshold.neighbours is None:
            return None
        by_segment, measured_on = read_neighbours(index, threshold.gaps, threshold.neighbours)
        if measured_on != basis:
            return None
        found.append(all_of(snapshot, by_segment))
    return found
