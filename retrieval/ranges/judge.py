"""Asks the network and the index about representatives, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...core.errors import CertificateWithheld
from ..channel import Float64
from ..evidence import Evidence, merge
from ..probe import Probe
from ..source import Ask, NoAnswer, Source
from .claim import Claim, Part
from .optics import Optics
from .standing import Standing, standing_of

NEAREST = 32
"""Rows that each probe of a representative lists where other items matter."""
MOST = 512
"""Representatives of one family that the network sees: what is not proved by then stays unproved."""


@dataclass
class Judge:
    """One query's claim, ready to be tried at representatives.

    Attributes:
        optics, sources, claim: of the query.
        rounding: per optic, of the resize of any member; set by the family that is searched.
        evaluations: representatives that the network has seen.
    """

    optics: Optics
    sources: tuple[Source, ...]
    claim: Claim
    rounding: list[float] = field(default_factory=list)
    evaluations: int = 0

    @property
    def tired(self) -> bool:
        """Whether it has seen enough."""
        return self.evaluations >= MOST

    def stand(self, images: Sequence[Float64], parts: Sequence[Part]) -> list[Standing]:
        """What is known at each representative.

        Args:
            images: per optic, (b, 3·h·w).
            parts: the claims that matter.

        Raises:
            CertificateWithheld: a part of the index does not answer.
        """
        self.evaluations += len(images[0])
        each = self.optics.embed(images, self.rounding)
        usable = [probes for probes in each if not any(probe.refused for probe in probes)]
        flat = iter(self._ask([probe for probes in usable for probe in probes], self._searches(parts)))
        return [
            standing_of(
                [_refused(probe) for probe in probes]
                if any(probe.refused for probe in probes)
                else [next(flat) for _ in probes],
                self.claim,
                parts,
            )
            for probes in each
        ]

    def _searches(self, parts: Sequence[Part]) -> bool:
        """*Copy* needs nothing but the rows of its item."""
        return "first" in parts or self.claim.verdict == "not-a-copy"

    def _ask(self, probes: Sequence[Probe], search: bool) -> list[Evidence]:
        if not probes:
            return []
        asks = [Ask(probe, nearest=NEAREST if search else 0, own=self.claim.keys) for probe in probes]
        try:
            answers = [source.answer(asks) for source in self.sources if source.rows]
        except NoAnswer as error:
            raise CertificateWithheld("a part of the index is silent") from error
        found = [merge([one for one in own if one is not None]) for own in zip(*answers, strict=True)]
        if any(seen.silent for seen in found):
            raise CertificateWithheld("a part of the index is silent")
        return found


def _refused(probe: Probe) -> Evidence:
    from ..evidence import nothing_from

    return nothing_from(probe, 0)
