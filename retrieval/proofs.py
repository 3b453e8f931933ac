"""From a certified answer to proof objects, one for each of its claims (docs/proofs.md).

The radii are those of the answer, to the last bit. Added are the names and numbers by which they can be checked.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import features

from ..certificates.decision import verdict_values
from ..certificates.statement import (
    FORMAT,
    PREDICATE,
    TYPE,
    Item,
    Kind,
    ProofObject,
    RowNumbers,
    checker_json,
    sentence,
    z_json,
)
from ..certificates.verdicts import signed_distances
from ..core.errors import UsageError
from ..core.files import digest_json
from ..core.units import Radius
from ..indexer.addresses import absolute_text, asked_name
from ..indexer.vectors import Ids
from .answer import Answer, Basis, Match
from .channel import Channel
from .engine import Engine
from .probe import Probe
from .query import Outcome, query_files

BLOCK = 4096
"""Rows looked at together for the one that is nearest to accepting."""
LIBRARIES = ("libjpeg_turbo", "zlib", "webp", "avif", "libtiff", "littlecms2")


@dataclass(frozen=True, slots=True)
class Subject:
    """The query that claims are about.

    Attributes:
        path: its file; None where it has none.
        bytes_sha256: of the file; pixels_sha256: of shape and pixels as decoded.
    """

    path: str | None
    bytes_sha256: str | None
    pixels_sha256: str

    def as_json(self) -> list[dict[str, Any]]:
        """The subjects of an in-toto Statement."""
        name = "query" if self.path is None else self.path
        digests = [] if self.bytes_sha256 is None else [(name, self.bytes_sha256)]
        pairs = [*digests, (f"pixels of {name}", self.pixels_sha256)]
        return [{"name": name, "digest": {"sha256": digest}} for name, digest in pairs]


def proofs_of(engine: Engine, answer: Answer, subject: Subject) -> list[ProofObject]:
    """The proofs of all claims of an answer: a certified radius above 0 is a claim.

    Args:
        engine: that gave the answer, at the same snapshot.
        answer: with a certificate.
        subject: the query.

    Raises:
        UsageError: the answer has no certificate, its query has views, or its gallery items, that no proof can name.
    """
    check_provable(engine)
    if answer.basis is None:
        raise UsageError(f"an answer without a certificate has nothing to prove: {answer.withheld}")
    if any(probe.view != "original" for probe in answer.basis.query.probes):
        raise UsageError(
            "proofs speak of the query itself, and this index looks at views of it "
            f"(--views {engine.gallery.snapshot.views}): index with --views none, or light/1"
        )
    return list(_Prover(engine, answer, answer.basis, subject).proofs())


def check_provable(engine: Engine) -> None:
    """Whether proofs can speak of the gallery of an engine at all.

    Raises:
        UsageError: they cannot.
    """
    if engine.where:
        raise UsageError("proofs speak of every row of a snapshot, and this gallery is a part of one (--where)")
    if engine.gallery.snapshot.rules:
        raise UsageError(
            "proofs take every row for a match with its own threshold, and here some items have rules: ask an earlier "
            "snapshot (--snapshot), or take the rules back (retr rules --clear)"
        )
    if engine.gallery.snapshot.declared is not None:
        raise UsageError(
            "proofs take an item for what has the same pixels, and here others were declared one item: ask an "
            "earlier one (--snapshot), or take it back (retr dupes --withdraw)"
        )


def proofs_of_outcome(engine: Engine, outcome: Outcome) -> list[ProofObject]:
    """As :func:`proofs_of` for a query file; none where there is no certificate."""
    answer, image = outcome.answer, outcome.image
    if answer is None or answer.basis is None or image is None:
        return []
    path = absolute_text(outcome.path)
    return proofs_of(engine, answer, Subject(path, image.bytes_sha256, image.pixels_sha256))


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
    engine: Engine
    answer: Answer
    basis: Basis
    subject: Subject

    def proofs(self) -> Iterator[ProofObject]:
        """In the order of the answer: the verdict, then ranks."""
        shared = self._shared()
        for claim in self._claims():
            statement = {"_type": TYPE, "subject": self.subject.as_json(), "predicateType": PREDICATE}
            yield ProofObject({**statement, "predicate": {**shared, **claim}})

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
        item = None if group is None else self._item(group)
        size = {"width": answer.width, "height": answer.height}
        words = sentence(kind, **size, l2=radius.l2, k=k, item=None if item is None else item.id)
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
            "carriers": [[probe, row] for probe, row in carriers],
            "target": [] if group is None else self._best_rows(group),
            "rival": rival,
        }

    def _nothing(self, radius: Radius) -> dict[str, Any]:
        """*Not a copy*: the row that is nearest to accepting, found by looking at all of them."""
        probe, row, distance = self._nearest()
        item = self._item(int(self.engine.gallery.groups[row]))
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

    def _item(self, group: int) -> Item:
        [first] = self.engine.gallery.table.first_rows(np.asarray([group]))
        row = self.engine.gallery.describe(int(first))
        return Item(*(str(row[name]) for name in ("id", "path", "bytes_sha256", "pixels_sha256")))

    def _rival(self, row: int) -> dict[str, Any]:
        group = int(self.engine.gallery.groups[row])
        return {"item": self._item(group).as_json(), "rows": self._best_rows(group)}

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
            return [RowNumbers(place, int(row), float(score), None, None) for row, score in pairs]
        limits = channel.limits(rows)
        signed = signed_distances(probe.z, values, score=probe.score, threshold=limits)
        columns = zip(rows, scores, limits, signed, strict=True)
        return [RowNumbers(place, int(row), float(a), float(b), float(c)) for row, a, b, c in columns]

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

    # -- what all claims share --------------------------------------------------------------------------------------

    def _shared(self) -> dict[str, Any]:
        engine, answer = self.engine, self.answer
        policy, snapshot = engine.policy, engine.gallery.snapshot
        assert answer.certificate is not None
        content = snapshot.as_json()
        body = {key: value for key, value in content.items() if key not in ("id", "created")}
        return {
            "format": FORMAT,
            "query": {
                "path": self.subject.path,
                "bytes_sha256": self.subject.bytes_sha256,
                "pixels_sha256": self.subject.pixels_sha256,
                "width": answer.width,
                "height": answer.height,
                "values": self.basis.query.values,
            },
            "decode": {"policy": policy.as_json(), "policy_digest": policy.digest, "decoder": decoder()},
            "index": {
                "snapshot": snapshot.id,
                "sha256": digest_json(body),
                "rows_scanned": answer.certificate.rows_scanned,
                "rows_total": answer.certificate.rows_total,
            },
            "channels": [self._channel(number) for number in range(len(engine.channels))],
            "probes": [self._probe(place) for place in range(len(self.basis.query.probes))],
            "versions": _versions(),
            "checker": checker_json(),
        }

    def _channel(self, number: int) -> dict[str, Any]:
        channel, spec = self.engine.channels[number], self.engine.gallery.snapshot.channels[number]
        network = channel.embedder.lipschitz
        assert network is not None, "a certified answer has proved constants"
        threshold = channel.threshold
        names = ("value", "source", "offset", "share", "gaps")
        return {
            "name": spec.name,
            "model_digest": spec.model_digest,
            "score": spec.score,
            "dim": spec.dim,
            "lipschitz": {"value": network.value, "method": network.method},
            "threshold": None if threshold is None else {name: getattr(threshold, name) for name in names},
        }

    def _probe(self, place: int) -> dict[str, Any]:
        probe, embedded = self.basis.query.probes[place], self.basis.query.embedded[place]
        return {
            "channel": probe.channel,
            "view": probe.view,
            "resize": {"value": embedded.resize.value, "method": embedded.resize.method},
            "lipschitz": probe.proved.lipschitz.value,
            "forward_error": probe.proved.forward_error,
            "z": z_json(probe.z),
        }


def _outside(channel: Channel, probe: Probe, rows: Ids) -> Any:
    limits = channel.limits(rows)
    return -signed_distances(probe.z, channel.rows64(rows), score=probe.score, threshold=limits)


def decoder() -> dict[str, str]:
    """What turned files into pixels here."""
    return {"pillow": PIL.__version__, "libraries": ", ".join(f"{n} {features.version(n)}" for n in LIBRARIES)}


def _versions() -> dict[str, str]:
    names = {"retr": "retr", "numpy": "numpy", "torch": "torch", "faiss": "faiss-cpu"}
    return {"python": platform.python_version(), **{name: _version(package) for name, package in names.items()}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
