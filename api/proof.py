"""Proof objects on the public surface: what an answer was about, and whether a proof holds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..certificates import verify_ranges
from ..certificates.statement import ProofObject
from ..core.errors import UsageError
from ..core.files import sha256_bytes
from ..images.families.family import Pixels
from ..images.policy import DecodePolicy
from ..indexer.addresses import absolute_text, asked_text
from ..indexer.entries import read_named
from ..retrieval.answer import Answer
from ..retrieval.proof_context import Subject
from .images import ImageLike, read_image
from .sources import PathLike


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """What the independent checker says of a proof.

    Attributes:
        verdict: confirmed, refuted or unsupported.
        why: a sentence; None where it is confirmed.
    """

    verdict: str
    why: str | None = None

    @property
    def confirmed(self) -> bool:
        """Whether everything that the proof says was found to be so."""
        return self.verdict == "confirmed"


def subject_of(image: ImageLike, answer: Answer, policy: DecodePolicy) -> tuple[Subject, Pixels]:
    """The query of an answer: by its digests, and its pixels, (H, W, 3) uint8."""
    pixels = read_image(image, policy).pixels
    if (answer.width, answer.height) != (pixels.shape[1], pixels.shape[0]):
        raise UsageError(f"the answer is of an image of {answer.width}×{answer.height}, and this is another one")
    whole = np.rint(pixels * 255.0)
    if not np.array_equal(whole / 255.0, pixels):
        raise UsageError("a proof names the pixels of its query, which must be 8-bit values")
    (height, width), levels = pixels.shape[:2], whole.astype(np.uint8)
    digest = sha256_bytes(f"{height}x{width}x3:".encode() + levels.tobytes())
    if isinstance(image, str | os.PathLike):
        return Subject(absolute_text(image), sha256_bytes(read_named(asked_text(image), policy)), digest), levels
    return Subject(None, sha256_bytes(image) if isinstance(image, bytes) else None, digest), levels


def check_proof(proof: ProofObject | PathLike, index: Path, image: PathLike | None) -> ProofCheck:
    """Let the independent checker look at a proof."""
    query = None if image is None else Path(image)
    if not isinstance(proof, ProofObject):
        found = verify_ranges.verify(Path(proof), index, query)
        return ProofCheck(found.verdict, found.why or None)
    with TemporaryDirectory() as folder:
        found = verify_ranges.verify(proof.write(Path(folder)), index, query)
    return ProofCheck(found.verdict, found.why or None)
