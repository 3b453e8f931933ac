"""Proof objects: what a certified claim is kept as, so that somebody else can check it (docs/proofs.md).

A statement is data: an in-toto Statement v1 whose predicate is ours. Nothing here computes a number.
"""

from __future__ import annotations

import base64
import functools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.files import canonical_json, digest_json, sha256_bytes, write_atomically
from . import verify_network, verify_proof, verify_ranges

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:retr:certificate:2"
FORMAT = "retr.certificate/2"
Kind = Literal["first-place", "among-k", "copy", "not-a-copy"]
"""Claims about a radius; there are also those of ``ranges`` of edits."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the gallery, by the first file that holds it: path and content give its id."""

    id: str
    path: str
    bytes_sha256: str
    pixels_sha256: str

    def as_json(self) -> dict[str, str]:
        """The fields by name."""
        return {name: getattr(self, name) for name in ("id", "path", "bytes_sha256", "pixels_sha256")}


@dataclass(frozen=True, slots=True)
class RowNumbers:
    """What one row is to one probe.

    Attributes:
        probe, row: place of the probe, and number of the row in the snapshot.
        score: cosine, or distance.
        threshold: what the verdict compares it with; None without.
        signed: T4/T5, the distance of the embedding from the edge of the row's copy region, positive inside.
    """

    probe: int
    row: int
    score: float
    threshold: float | None
    signed: float | None

    def as_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in ("probe", "row", "score", "threshold", "signed")}


@dataclass(frozen=True, slots=True)
class ProofObject:
    """One certified claim with everything that is needed to check it.

    Attributes:
        statement: an in-toto Statement v1, as JSON values.
    """

    statement: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.statement.get("_type") != TYPE or self.statement.get("predicateType") != PREDICATE:
            raise UsageError(f"this is no proof of retr: a statement of type {self.statement.get('predicateType')!r}")

    @staticmethod
    def sealed(subject: Sequence[Mapping[str, Any]], predicate: Mapping[str, Any]) -> ProofObject:
        """A proof, with the digest that shows a slip of the pen; who edits on purpose can make it anew."""
        bare = {"_type": TYPE, "subject": list(subject), "predicateType": PREDICATE, "predicate": dict(predicate)}
        return ProofObject({**bare, "predicate": {**predicate, "digest": digest_json(bare)}})

    @property
    def predicate(self) -> Mapping[str, Any]:
        """What is claimed."""
        return self.statement["predicate"]

    @property
    def claim(self) -> Mapping[str, Any]:
        """Kind, sentence, item, radius."""
        return self.predicate["claim"]

    @property
    def name(self) -> str:
        """A file name: beginning of the pixels' digest, kind, and the item it is about."""
        parts = [self.predicate["query"]["pixels_sha256"][:12], self.claim["kind"]]
        if self.claim["kind"] == "ranges":
            parts += [self.predicate["family"]["asked"].partition("@")[0].replace(":", "-"), self.claim["what"]]
            parts = ["".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in one) for one in parts]
        parts += [str(self.claim["k"])] if self.claim.get("k") else []
        return "-".join([*parts, *([self.claim["item"]["id"]] if self.claim["item"] else [])]) + ".json"

    def as_bytes(self) -> bytes:
        """The file: one spelling per value, every float64 as the shortest decimal that reads back as itself."""
        return canonical_json(dict(self.statement)) + b"\n"

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write it into a folder under its name; a file of that name is replaced."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / self.name
        write_atomically(file, self.as_bytes())
        return file


def read_proof(path: Path) -> ProofObject:
    """A proof from its file; what it says is not checked.

    Raises:
        UsageError: there is no such file, or it is no proof.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path} is not there; give a file that holds a proof") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no proof: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no proof: it holds {type(found).__name__}, no object")
    try:
        verify_proof.read_proof(path, verify_ranges.SHAPES)
    except verify_network.Stop as stop:
        raise UsageError(f"{path} is no proof that this version reads: {stop.args[1]}") from None
    return ProofObject(found)


def z_json(z: npt.NDArray[np.float64]) -> dict[str, Any]:
    """An embedding, to its last bit."""
    raw = np.ascontiguousarray(z, dtype="<f8").tobytes()
    length = float(np.linalg.norm(z))
    return {"norm": length, "sha256": sha256_bytes(raw), "float64": base64.b64encode(raw).decode("ascii")}


@functools.cache
def checker_json(name: str) -> dict[str, str]:
    """A checker that comes with this version: the SHA-256 is that of its files, one after the other.

    Args:
        name: verify_proof.py, or verify_ranges.py, which checks claims about edits.
    """
    files = {one[-1]: one for one in (verify_proof.FILES, verify_ranges.FILES)}[name]
    parts = [Path(str(verify_proof.__file__)).with_name(file).read_bytes() for file in files]
    return {"name": name, "sha256": sha256_bytes(b"".join(parts))}


def sentence(
    kind: Kind, *, width: int, height: int, l2: float, k: int | None, item: str | None, among: str = ""
) -> str:
    """The claim in words, as the checker writes it too."""
    what = {
        "first-place": f"item {item} is in first place",
        "among-k": f"item {item} is among the first {k}",
        "copy": "the verdict is: a copy" + ("" if item is None else f" of item {item}"),
        "not-a-copy": "the verdict is: not a copy of anything in the index",
    }[kind]
    where = f"every image of {width} x {height} pixels whose l2 distance from the query is less than {l2!r}"
    return f"For {where} (values in 0..1), {what}{among}."
