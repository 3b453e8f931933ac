"""From a certified answer to proof objects, one for each of its claims (docs/proofs.md).

The radii are those of the answer, to the last bit. Added are the names and numbers by which they can be checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..certificates.decision import verdict_values
from ..certificates.statement import (
    Kind,
    ProofObject,
    RowNumbers,
    sentence,
)
from ..certificates.verdicts import signed_distances
from ..core.errors import UsageError
from ..core.units import Radius
from ..images.families.family import Pixels
from ..indexer.addresses import absolute_text, asked_name
from ..indexer.row_keys import FILE as KEYS
from ..indexer.row_names import PLAIN
from ..indexer.snapshot import TOLD, gaps_file, told_file
from ..indexer.vectors import Ids
from .answer import Answer, Basis, Match
from .channel import ORIGINAL, Channel, Float64
from .engine import Engine
from .probe import Probe
from .proof_context import Context, Subject
from .query import Outcome, query_files
from .range_proofs import range_proofs

BLOCK = 4096
"""Rows looked at together for the one that is nearest to accepting."""


def proofs_of(engine: Engine, answer: Answer, subject: Subject, pixels: Pixels | None = None) -> list[ProofObject]:
    """The proofs of all claims of an answer: a certified radius above 0 is a claim, and so is a proved range of edits.

    Args:
        engine: that gave the answer, at the same snapshot.
        answer: with a certificate.
        subject: the query.
        pixels: of the query, (H, W, 3) uint8, which claims about edits need; None to leave those out.

    Raises:
        UsageError: the answer has no certificate, or :func:`check_provable` says why no proof can be written.
    """
    check_provable(engine, edits=answer.against is not None)
    if answer.basis is None:
        raise UsageError(f"an answer without a certificate has nothing to prove: {answer.withheld}")
    context = Context(engine, answer, answer.basis, subject)
    about_edits = [] if pixels is None else range_proofs(context, pixels)
    return [*_Prover(context).proofs(), *about_edits]


def check_provable(engine: Engine, *, edits: bool = False) -> None:
    """Whether proofs can speak of the gallery of an engine, and be checked.

    Args:
        engine: an open index.
        edits: proofs of edits are wanted, too.

    Raises:
        UsageError: they cannot; what to do.
    """
    snapshot = engine.gallery.snapshot
    if edits and snapshot.pairs:
        raise UsageError(
            "proofs of edits speak of the query itself, and this index compares views of it "
            f"(--views {snapshot.views}): index with --views none, or ask for one of the two"
        )
    needed = PLAIN if snapshot.pairs or snapshot.rules or engine.where else {KEYS}
    old = [segment.id for segment in snapshot.segments if not needed <= set(segment.files)]
    gaps = [one.threshold.gaps for one in snapshot.channels if one.threshold is not None and one.threshold.gaps]
    tables = [gaps_file(engine.path, one) for one in gaps]
    told = {name: getattr(snapshot, name) for name in TOLD if name == "declared" or snapshot.rules or engine.where}
    tables += [told_file(engine.path, name, digest) for name, digest in told.items() if digest is not None]
    if old or any(file.suffix == ".parquet" for file in tables):
        raise UsageError(
            f"{engine.path} is of an older version, and lacks files that proofs are checked against: bring it up to "
            f"date (retr compact {engine.path}), and ask again"
        )


def proofs_of_outcome(engine: Engine, outcome: Outcome) -> list[ProofObject]:
    """As :func:`proofs_of` for a query file; none where there is no certificate."""
    answer, image = outcome.answer, outcome.image
    if answer is None or answer.basis is None or image is None:
        return []
    path = absolute_text(outcome.path)
    return proofs_of(engine, answer, Subject(path, image.bytes_sha256, image.pixels_sha256), image.pixels)


def write_proofs(engine: Engine, names: Sequence[str], folder: Path, *, k: int = 10) -> int:
    """Ask an index about files, and write the proofs of all that is certified; returns how many.

    Args:
        engine: an open index.
        names: query files, as records name them; what is no acceptable image has no proofs.
        folder: for the proofs.
        k: how many matches are asked for.
    """
    outcomes = query_files(engine, [asked_name(name) for name in names], k=k, certify=True)
    return len([one.write(folder) for outcome in outcomes for one in proofs_of_outcome(engine, outcome)])


@dataclass(frozen=True)
class _Prover:
    context: Context

    @property
    def engine(self) -> Engine:
        return self.context.engine

    @property
    def answer(self) -> Answer:
        return self.context.answer

    @property
    def basis(self) -> Basis:
        return self.context.basis

    def proofs(self) -> Iterator[ProofObject]:
        """In the order of the answer: the verdict, then ranks."""
        probes = {"probes": [self.context.probe(place) for place in range(len(self.basis.query.probes))]}
        for claim in self._claims():
            yield self.context.statement("verify_proof.py", {**probes, **claim})

    def _claims(self) -> Iterator[dict[str, Any]]:
        answer, ranking = self.answer, self.basis.ranking
        if answer.copy is not None:
            yield self._copy(answer.copy)
        if answer.not_a_copy is not None:
            yield self._nothing(answer.not_a_copy)
        for match, ranked in zip(answer.matches, ranking.items, strict=True):
            if match.copy is not None and match.copy.l2 > 0:
                yield self._copy(match.copy, match)
            if match.top1 is not None and match.top1.l2 > 0:
                # Beside a companion a rank ends where its item is no longer accepted, whatever its rivals do (T11).
                ends = self.engine.companions and ranked.copy is not None and match.top1.l2 >= ranked.copy
                limit = None if ends else ranked.limited_by
                rival = None if limit is None else self._rival(int(limit))
                yield self._claim("first-place", match.top1, match, carriers=ranked.carriers, rival=rival)
            if match.topk is not None and match.topk.l2 > 0:
                yield self._claim("among-k", match.topk, match, carriers=ranked.carriers_k, k=answer.k)

    # -- one claim --------------------------------------------------------------------------------------------------

    def _claim(
        self,
        kind: Kind,
        radius: Radius,
        match: Match | None = None,
        *,
        k: int | None = None,
        carriers: Sequence[tuple[int, int]] = (),
        rival: dict[str, Any] | None = None,
        tight: bool = True,
    ) -> dict[str, Any]:
        answer = self.answer
        group = None if match is None else match.group
        item = None if group is None else self.context.item(group)
        size = {"width": answer.width, "height": answer.height}
        named = None if item is None else item.id
        words = sentence(kind, **size, l2=radius.l2, k=k, item=named, among=self.context.among)
        return {
            "claim": {
                "kind": kind,
                "sentence": words,
                "k": k,
                "item": None if item is None else item.as_json(),
                "radius": radius.as_json(),
                "slack": self.slack,
                "tight": tight,
            },
            "carriers": [[probe, self.context.number(row)] for probe, row in carriers],
            "target": [] if group is None else self._best_rows(group),
            "rival": rival,
        }

    def _nothing(self, radius: Radius) -> dict[str, Any]:
        """*Not a copy*: the row that is nearest to accepting, found by looking at all of them; or a bank silences."""
        probe, row, distance = self._nearest(self.engine)
        loudest = max([-math.inf, *(self._accepts(bank) for _, bank in self.engine.banks)])
        tight = radius.l2 >= min(max(distance, loudest), self._cap) - self.slack
        if loudest > distance or (tight and distance > radius.l2 + self.slack):
            return self._claim("not-a-copy", radius, tight=tight)
        item = self.context.item(int(self.engine.gallery.groups[row]))
        numbers = self._numbers(probe, np.asarray([row]))[0]
        rival = {"item": item.as_json(), "rows": [numbers.as_json()]}
        return self._claim("not-a-copy", radius, rival=rival, tight=tight)

    def _copy(self, radius: Radius, match: Match | None = None) -> dict[str, Any]:
        """*Copy*: as far as some row accepts, and none of any bank."""
        silent = min([math.inf, *(self._nearest(bank)[2] for _, bank in self.engine.banks)])
        # Only where a bank limits the radius can it be less than what follows, by rows that were not listed.
        return self._claim("copy", radius, match, tight=radius.l2 >= min(silent, self._own(match)) - self.slack)

    def _own(self, match: Match | None) -> float:
        """How far some row accepts, of an item or of any."""
        group = None if match is None else match.group
        return min(self._accepts(self.engine, group), self._cap)

    @property
    def _cap(self) -> float:
        """Farther out the query itself could be refused, in pixels."""
        return min(one.proved.cap for one in self.basis.query.probes if one.view == ORIGINAL.name)

    @property
    def slack(self) -> float:
        """How far rounding may keep a radius below what exact arithmetic gives: (4e + 1e-10·‖z‖)/L, in pixels."""
        return max(
            (4.0 * probe.proved.forward_error + 1e-10 * float(np.linalg.norm(probe.z))) / probe.proved.lipschitz.value
            for probe in self.basis.query.probes
        )

    # -- rows and items ---------------------------------------------------------------------------------------------

    def _rival(self, row: int) -> dict[str, Any]:
        group = int(self.engine.gallery.groups[row])
        return {"item": self.context.item(group).as_json(), "rows": self._best_rows(group)}

    def _best_rows(self, group: int) -> list[dict[str, Any]]:
        """Per probe that is compared with the item, the row of it that is nearest to the query."""
        rows, found = self.engine.gallery.table.rows_of(group), []
        for place, probe in enumerate(self.basis.query.probes):
            numbers = self._numbers(place, rows)
            pick = max if probe.score == "cosine" else min
            found += [pick(numbers, key=lambda one: one.score).as_json()] if numbers else []
        return found

    def _numbers(self, place: int, rows: Ids) -> list[RowNumbers]:
        """Of the rows that the probe is compared with."""
        probe = self.basis.query.probes[place]
        scope = self.engine.scope(probe.name)
        channel, ids = scope.channel, scope.inward(rows)
        numbers, values = map(self.context.number, scope.outward(ids)), channel.rows64(ids)
        scores = verdict_values(probe.z, values, probe.score)
        if channel.threshold is None:
            pairs = zip(numbers, scores, strict=True)
            return [RowNumbers(place, row, float(score), None, None) for row, score in pairs]
        limits = channel.limits(ids)
        signed = signed_distances(probe.z, values, score=probe.score, threshold=limits)
        columns = zip(numbers, scores, limits, signed, strict=True)
        return [RowNumbers(place, row, float(a), float(b), float(c)) for row, a, b, c in columns]

    def _nearest(self, engine: Engine) -> tuple[int, int, float]:
        """(place of the probe, row, pixels) of the live row of a gallery that is nearest to accepting.

        −∞ pixels where a view of the query shows nothing, or beside a companion: what those would accept after a
        change, nobody knows.
        """
        found = []
        for place, probe in enumerate(self.basis.query.probes):
            scope = engine.scope(probe.name)
            far, row = _least_outside(scope.channel, probe)
            if row >= 0:
                found.append((far, place, int(scope.outward(np.asarray([row]))[0])))
        far, place, row = min(found, default=(math.inf, 0, -1))
        unknown = engine.companions or self.basis.query.blind is not None
        return place, row, -math.inf if unknown else far

    def _accepts(self, engine: Engine, group: int | None = None) -> float:
        """How far some row of a gallery, or of one of its items, accepts, in pixels; negative where none does."""
        query = self.basis.query
        inside = (
            min(-_least_outside(engine.scope(probe.name).channel, probe, group)[0], probe.proved.cap)
            for probe in query.probes
        )
        return max(inside)


def _least_outside(channel: Channel, probe: Probe, group: int | None = None) -> tuple[float, int]:
    """(pixels, row) of the live row that is nearest to accepting; (∞, −1) where there is none."""
    live = np.flatnonzero(channel.groups >= 0 if group is None else channel.groups == group)
    if not live.size:
        return math.inf, -1
    parts = [_outside(channel, probe, live[at : at + BLOCK]) for at in range(0, len(live), BLOCK)]
    far = np.concatenate(parts) / probe.proved.lipschitz.value
    return float(far.min()), int(live[far.argmin()])


def _outside(channel: Channel, probe: Probe, rows: Ids) -> Float64:
    limits = channel.limits(rows)
    return -signed_distances(probe.z, channel.rows64(rows), score=probe.score, threshold=limits)
