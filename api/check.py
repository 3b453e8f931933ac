"""Check an answer by brute force: every row in plain float64, without shortlists and without bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..core.errors import IndexStateError, UsageError
from ..core.rounded import radius_text
from ..core.units import Radius
from ..evaluation.copies.check import Scan, below
from ..reports.numbers import radius_inline
from ..retrieval.answer import Answer
from .images import ImageLike, read_image
from .index import Index
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


@speaks_of_parameters
def check(answer: Answer, index: Index, image: ImageLike) -> Check:
    """Recompute every radius of an answer over every row of the index.

    The scan shares the embedding with the engine and nothing else: no float32 search, no shortlist, no bound on rows
    that were not looked at, and none of the functions that state radii. It proves nothing by itself; it finds a wrong
    row, scale or threshold, and takes a second for 100,000 rows.

    >>> import retr
    >>> index = retr.open("my-index")
    >>> retr.check(index.query("img.png", certify=True), index, "img.png").confirmed
    True

    Args:
        answer: of ``Index.query`` with ``certify``.
        index: that gave it, still at the same snapshot.
        image: the query.

    Raises:
        UsageError: the answer has no certificate, or is of an image of another size.
        IndexStateError: the index has changed since.
        ImageRejected: no acceptable image.
    """
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
