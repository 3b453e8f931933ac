"""The page of one query's edits with proof, for a reader outside the field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.rounded import budget_text, lower_text
from ..images.families.asked import AskedFamily, Family
from ..images.families.family import Finite, Pixels
from ..images.policy import DecodePolicy
from ..retrieval.answer import Answer
from ..retrieval.ranges.result import FamilyProof, RangeProof, Reach
from .audit_page_images import picture
from .kinds import count
from .pages import page
from .ranges_bars import bars
from .ranges_table import reach_words, why_nothing

STRIP = 5
"""Examples of each family, from one end of what is proved to the other."""


@dataclass(frozen=True)
class Example:
    """One edit of a strip: its picture as a data address, and which one it is."""

    address: str
    words: str


@dataclass(frozen=True)
class Shown:
    """One family on the page.

    Attributes:
        name, program: of the family; sentence: what is proved; missing: what is not; strip: examples inside.
    """

    name: str
    program: str
    sentence: str
    missing: tuple[str, ...]
    strip: tuple[Example, ...]


def ranges_page(
    answer: Answer, query: str, pixels: Pixels, families: Sequence[AskedFamily], policy: DecodePolicy
) -> str:
    """The page as text.

    Args:
        answer: with ``against``.
        query: the name that the image came under.
        pixels: of the query, as decoded.
        families: that were asked for.
        policy: of the index, by which the examples are decoded as well.
    """
    proof = answer.against
    assert proof is not None, "a page of edits needs a proof of them"
    pairs = zip(families, proof.families, strict=True)
    return page(
        "ranges.html.j2",
        query=query,
        picture=picture(pixels / 255.0),
        size=f"{answer.width}×{answer.height}",
        claim=_claim(proof) if proof.of_verdict else None,
        why=why_nothing(answer),
        on_top=_budget(proof),
        bars=bars(proof),
        families=[_shown(asked, found, pixels, policy, stops=proof.of_verdict) for asked, found in pairs],
        model=answer.model,
        snapshot=answer.snapshot,
    )


def _claim(proof: RangeProof) -> str:
    """What is proved of each edit, in words."""
    claim = proof.claim
    if claim.verdict == "copy":
        return f"is recognised as a copy of {claim.path}"
    if claim.verdict == "not-a-copy":
        return "is recognised as no copy of anything in the index"
    return "has no verdict that could be proved"


def _budget(proof: RangeProof) -> str:
    given = proof.eps.given
    assert given is not None, "budgets of proofs are asked for"
    amount, unit = given
    words = {"rmse": "{} of 255 levels a value on average (root mean square)", "l2": "ℓ2 {}", "psnr": "PSNR {} dB"}
    return words[unit].format(budget_text(amount))


def _shown(asked: AskedFamily, found: FamilyProof, pixels: Pixels, policy: DecodePolicy, *, stops: bool) -> Shown:
    withheld = found.verdict.withheld is not None  # maybe because it cannot even be made of this image
    strip = () if withheld else tuple(_strip(asked.on(pixels, policy), found.verdict))
    return Shown(found.asked, found.program, _sentence(found), tuple(_missing(found, stops=stops)), strip)


def _sentence(found: FamilyProof) -> str:
    reach, many = found.verdict, "" if found.members is None else f" ({count(found.members)} of them)"
    if reach.withheld is not None:
        return f"Nothing is proved: {reach.withheld}."
    if reach.whole:
        return f"Proved for every edit of the range{many}."
    if reach.low is None:
        return f"Proved for {_share(reach)} of the edits{many}." if reach.share > 0 else "Nothing is proved."
    return f"Proved from the unedited image out to {reach_words(found, reach)}, and for every edit in between."


def _share(reach: Reach) -> str:
    """Never more than is proved."""
    return f"{lower_text(100.0 * reach.share, decimals=1)} %"


def _missing(found: FamilyProof, *, stops: bool) -> Iterator[str]:
    for stop in found.verdict.stops[:4] if stops else ():  # else one reason for all, which stands above
        yield f"At {stop.at} no proof was found. The answer may be the same there; nobody promises it."
    if found.first.withheld is None and not found.first.whole:
        yield f"That it also stays the first match is proved for: {reach_words(found, found.first)}."


def _strip(family: Family, reach: Reach) -> Iterator[Example]:
    for at, words in _examples(family, reach):
        yield Example(picture(at / 255.0), words)


def _examples(family: Family, reach: Reach) -> Iterator[tuple[Pixels, str]]:
    if isinstance(family, Finite):
        inside = np.arange(len(family)) if reach.whole else _inside(family, reach)
        for at in dict.fromkeys(inside[np.linspace(0, len(inside) - 1, STRIP).astype(int)]) if len(inside) else ():
            yield family.make(int(at)), family.label(int(at))
    elif reach.low is not None and reach.high is not None:
        for share in np.linspace(0.0, 1.0, STRIP):
            point = tuple(low + float(share) * (high - low) for low, high in zip(reach.low, reach.high, strict=True))
            words = ", ".join(f"{name} {value:.3g}" for name, value in zip(family.names, point, strict=True))
            yield family.member(point), words


def _inside(family: Finite, reach: Reach) -> np.ndarray:
    if reach.low is None or reach.high is None:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero((family.values >= reach.low[0]) & (family.values <= reach.high[0]))
