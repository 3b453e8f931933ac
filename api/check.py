"""Check an answer by brute force, every row in plain float64, without shortlists and bounds; or a proof."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from ..certificates.statement import ProofObject
from ..core.errors import IndexStateError, UsageError
from ..core.rounded import radius_text
from ..core.units import Radius
from ..evaluation.copies.check import Scan, below
from ..reports.numbers import radius_inline
from ..retrieval.answer import Answer
from .images import ImageLike, read_image
from .index import Index
from .proof import ProofCheck, check_proof
from .sources import PathLike
from .words import speaks_of_parameters


@dataclass(frozen=True, slots=True)
class Claim:
    """A radius that an answer claims, and what a scan of every row allows.

    Attributes:
        words: what is claimed to stay, as in ``c/05.png stays first``.
        radius: within which.
        allowed: the largest ℓ2 radius that the scan finds, in pixels.
    """

    words: str
    radius: Radius
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether the claim is no larger than that, but for one part in a million."""
        return below(self.radius.l2, self.allowed)


@dataclass(frozen=True, repr=False)
class Check:
    """What a check found.

    Attributes:
        claims: every radius of the answer.
    """

    claims: tuple[Claim, ...]

    @property
    def refuted(self) -> tuple[Claim, ...]:
        """Claims that are too large: each is a defect of retr, or another image than the one that was asked about."""
        return tuple(claim for claim in self.claims if not claim.holds)

    @property
    def confirmed(self) -> bool:
        """Whether there is a claim, and none is refuted."""
        return bool(self.claims) and not self.refuted

    def __repr__(self) -> str:
        wrong = "".join(
            f"; refuted: {one.words} within {radius_inline(one.radius)}, "
            f"a scan allows ℓ2 {radius_text(one.allowed, digits=6)}"
            for one in self.refuted
        )
        return f"Check({len(self.claims)} claims, {len(self.refuted)} refuted{wrong})"


@overload
def check(answer: Answer, index: Index, image: ImageLike) -> Check: ...
@overload
def check(answer: ProofObject | PathLike, index: Index | PathLike, image: PathLike | None = None) -> ProofCheck: ...
@speaks_of_parameters
def check(
    answer: Answer | ProofObject | PathLike, index: Index | PathLike, image: ImageLike | None = None
) -> Check | ProofCheck:
    """Recompute every radius of an answer over every row of the index; or check a proof, by the independent checker.

    The scan shares the embedding with the engine and nothing else: no float32 search, no shortlist, no bound on rows
    that were not looked at, and none of the functions that state radii. It proves nothing by itself; it finds a wrong
    row, scale or threshold, and takes a second for 100,000 rows.

    >>> import retr
    >>> index = retr.open("my-index")
    >>> retr.check(index.query("img.png", certify=True), index, "img.png").confirmed
    True

    A proof (``Index.prove``, or a file of ``retr query --proof``) is given to ``certificates/verify_proof.py``, which
    shares nothing with the engine: it proves the model's constant again and runs the network by itself.

    Args:
        answer: of ``Index.query`` with ``certify``; or a proof, or its file.
        index: that gave it, still at the same snapshot; for a proof any index that keeps that snapshot, or its folder.
        image: the query; for a proof its file, None for the path that the proof names.

    Returns:
        A Check with every claim of an answer; of a proof its ``verdict``, and ``why``.

    Raises:
        UsageError: the answer has no certificate, or is of an image of another size; of a proof: the image is no file.
        IndexStateError: the index has changed since.
        ImageRejected: no acceptable image.
    """
    if not isinstance(answer, Answer):
        home = index.path if isinstance(index, Index) else Path(index)
        if image is not None and not isinstance(image, str | os.PathLike):
            raise UsageError("a proof is checked against the file of its query: give its path")
        return check_proof(answer, home, image)
    if not isinstance(index, Index) or image is None:
        raise UsageError("an answer is checked with the open index that gave it, and its image")
    if answer.certificate is None:
        raise UsageError(f"the answer has no certificate to check: {answer.withheld}")
    if answer.snapshot != index.snapshot:
        raise IndexStateError(f"the answer is of snapshot {answer.snapshot}, and the index is at {index.snapshot}")
    pixels = read_image(image, index.engine.policy).pixels
    if (answer.width, answer.height) != (pixels.shape[1], pixels.shape[0]):
        size = f"{answer.width}×{answer.height}"
        raise UsageError(f"the answer is of an image of {size}, and this one has {pixels.shape[1]}×{pixels.shape[0]}")
    return Check(tuple(_claims(answer, Scan(index.engine, pixels))))


def _claims(answer: Answer, scan: Scan) -> Iterator[Claim]:
    for match in answer.matches:
        if match.top1 is not None:
            yield Claim(f"{match.path} stays first", match.top1, scan.rank(match.group, 1))
        if match.topk is not None:
            allowed = max(scan.rank(match.group, 1), scan.rank(match.group, answer.k))
            yield Claim(f"{match.path} stays among the first {answer.k}", match.topk, allowed)
        if match.copy is not None:
            yield Claim(f"a copy of {match.path}", match.copy, scan.inside(match.group))
    if answer.copy is not None:
        yield Claim("a copy", answer.copy, scan.inside())
    if answer.not_a_copy is not None:
        yield Claim("not a copy", answer.not_a_copy, -scan.inside())
