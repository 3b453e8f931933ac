"""From a certified answer to proof objects, one for each of its claims (docs/proofs.md).

The radii are those of the answer, to the last bit. Added are the names and numbers by which they can be checked.
"""

from __future__ import annotations

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
from ..indexer.vectors import Ids
from .answer import Answer, Basis, Match
from .channel import Channel
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
    check_provable(engine)
    if answer.basis is None:
        raise UsageError(f"an answer without a certificate has nothing to prove: {answer.withheld}")
    context = Context(engine, answer, answer.basis, subject)
    about_edits = [] if pixels is None else range_proofs(context, pixels)
    return [*_Prover(context).proofs(), *about_edits]


def check_provable(engine: Engine) -> None:
    """Whether proofs can speak of the gallery of an engine at all.

    Raises:
        UsageError: they cannot.
    """
    if len(engine.views) > 1 or engine.gallery.snapshot.pairs:
        raise UsageError(
            "proofs speak of the query itself, and this index looks at views of it "
            f"(--views {engine.gallery.snapshot.views}): index with --views none, or light/1"
        )
    if engine.companions:
        raise UsageError(
            f"proofs speak of certified channels alone, and here {engine.companions[0].name} has a say: ask without "
            "it, with certified_only (--certified-only)"
        )
    if engine.gallery.snapshot.rules:
        raise UsageError(
            "proofs take every row for a match with its own threshold, and here some items have rules: ask an earlier "
            "snapshot (--snapshot), or take the rules back (retr rules --clear)"
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
            yield self._claim("copy", answer.copy)
        if answer.not_a_copy is not None:
            yield self._nothing(answer.not_a_copy)
        for match, ranked in zip(answer.matches, ranking.items, strict=True):
            if match.copy is not None and match.copy.l2 > 0:
                yield self._claim("copy", match.copy, match)
            if match.top1 is not None and match.top1.l2 > 0:
                rival = None if ranked.limited_by is None else self._rival(int(ranked.limited_by))
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
        """*Not a copy*: the row that is nearest to accepting, found by looking at all of them."""
        probe, row, distance = self._nearest()
        item = self.context.item(int(self.engine.gallery.groups[row]))
        numbers = self._numbers(probe, np.asarray([row]))[0]
        tight = radius.l2 >= min(distance, np.sqrt(radius.values)) - self.slack
        rival = {"item": item.as_json(), "rows": [numbers.as_json()]}
        capped = distance > radius.l2 + self.slack and tight
        return self._claim("not-a-copy", radius, rival=None if capped else rival, tight=bool(tight))

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
        """Per probe, the row of the item that is nearest to the query."""
        rows, found = self.engine.gallery.table.rows_of(group), []
        for place, probe in enumerate(self.basis.query.probes):
            numbers = self._numbers(place, rows)
            pick = max if probe.score == "cosine" else min
            found.append(pick(numbers, key=lambda one: one.score).as_json())
        return found

    def _numbers(self, place: int, rows: Ids) -> list[RowNumbers]:
        probe = self.basis.query.probes[place]
        channel = self.engine.channels[probe.channel]
        values = channel.rows64(rows)
        scores = verdict_values(probe.z, values, probe.score)
        if channel.threshold is None:
            pairs = zip(rows, scores, strict=True)
            return [RowNumbers(place, self.context.number(row), float(score), None, None) for row, score in pairs]
        limits = channel.limits(rows)
        signed = signed_distances(probe.z, values, score=probe.score, threshold=limits)
        columns = zip(rows, scores, limits, signed, strict=True)
        number = self.context.number
        return [RowNumbers(place, number(row), float(a), float(b), float(c)) for row, a, b, c in columns]

    def _nearest(self) -> tuple[int, int, float]:
        """(place of the probe, row, pixels) of the live row that is nearest to accepting."""
        live = np.flatnonzero(self.engine.gallery.groups >= 0)
        found = []
        for place, probe in enumerate(self.basis.query.probes):
            channel = self.engine.channels[probe.channel]
            parts = [_outside(channel, probe, live[at : at + BLOCK]) for at in range(0, len(live), BLOCK)]
            far = np.concatenate(parts) / probe.proved.lipschitz.value
            found.append((float(far.min()), place, int(live[far.argmin()])))
        far, place, row = min(found)
        return place, row, far


def _outside(channel: Channel, probe: Probe, rows: Ids) -> Any:
    limits = channel.limits(rows)
    return -signed_distances(probe.z, channel.rows64(rows), score=probe.score, threshold=limits)
