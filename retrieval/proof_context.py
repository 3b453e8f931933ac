"""What all proofs of one answer say alike: query, decoder, index, channels, versions (docs/proofs.md)."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import PIL
from PIL import features

from ..certificates.statement import FORMAT, Item, ProofObject, checker_json, z_json
from ..core.files import digest_json
from .answer import Answer, Basis
from .engine import Engine

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


@dataclass(frozen=True)
class Context:
    """An answer whose claims are to be proved.

    Attributes:
        engine: that gave it; answer: with a certificate; basis: of the answer; subject: the query.
    """

    engine: Engine
    answer: Answer
    basis: Basis
    subject: Subject

    def statement(self, checker: str, claim: dict[str, Any]) -> ProofObject:
        """A proof, from what its claim says: everything else is the same for all claims of an answer."""
        return ProofObject.sealed(self.subject.as_json(), {**self._shared(), "checker": checker_json(checker), **claim})

    def item(self, group: int) -> Item:
        """An item, by the first file that holds it."""
        [first] = self.engine.gallery.table.first_rows(np.asarray([group]))
        row = self.engine.gallery.describe(int(first))
        return Item(*(str(row[name]) for name in ("id", "path", "bytes_sha256", "pixels_sha256")))

    def number(self, row: int) -> int:
        """The number in the snapshot of a row of the gallery, which may be a part of it."""
        return int(row if self.engine.rows is None else self.engine.rows[row])

    @property
    def among(self) -> str:
        """Which part of the snapshot the claims speak of, and who has a say, in words; empty for all of it."""
        assert self.answer.certificate is not None
        engine, count = self.engine, self.answer.certificate.rows_total
        conditions = " and ".join(json.dumps(str(one)) for one in engine.where)
        part = f", among the {count} rows where {conditions}" if engine.where else ""
        snapshot = engine.gallery.snapshot
        part += self._silencing if snapshot.has_banks else ""
        if snapshot.answering < len(snapshot.channels):
            part += f", {'whatever the companion says' if engine.companions else 'by the certified channels alone'}"
        given = [one.threshold.value for one in engine.channels if one.threshold and one.threshold.source == "given"]
        return part + "".join(f", at a threshold of {one!r} given in place of the index's own" for one in given)

    @property
    def _silencing(self) -> str:
        if self.engine.unsilenced:
            return ", as if no bank were negative"
        rows = np.concatenate([np.zeros(0, np.int64), *(bank.live_rows for _, bank in self.engine.banks)])
        return f", with {len(np.unique(rows))} rows of negative banks silencing"

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
                "where": list(map(str, engine.where)),
                "unsilenced": engine.unsilenced and snapshot.has_banks,
                "certified_only": snapshot.answering < len(snapshot.channels) and not engine.companions,
            },
            "channels": [self._channel(number) for number in range(len(engine.channels))],
            "versions": _versions(),
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

    def probe(self, place: int) -> dict[str, Any]:
        """A probe of the query: constants and embedding."""
        probe, embedded = self.basis.query.probes[place], self.basis.query.embedded[place]
        return {
            "channel": probe.channel,
            "view": probe.view,
            "resize": {"value": embedded.resize.value, "method": embedded.resize.method},
            "lipschitz": probe.proved.lipschitz.value,
            "forward_error": probe.proved.forward_error,
            "z": z_json(probe.z),
        }


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
