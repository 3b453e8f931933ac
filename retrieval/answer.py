"""What a query returns: matches, radii, a verdict, and the certificate or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..certificates.proof import Certificate
from ..core.units import Radius
from .ranges.result import RangeProof

if TYPE_CHECKING:
    from .probe import Query
    from .ranking import Ranking

VerdictName = Literal["copy", "not-a-copy", "undecided", "uncertified"]


class Explained(Protocol):
    """What ``explain.Explanation`` is to an answer."""

    def as_json(self) -> dict[str, Any]:
        """As part of a match."""
        ...


@dataclass(frozen=True, slots=True)
class Match:
    """One item of the gallery in ranked order.

    Attributes:
        rank: 1 for the first.
        group: item number inside the snapshot; files with the same pixels are one item.
        id: id of the item's best row in the catalog.
        path: its file.
        view: which stored view matched best; query_view: with which view of the query.
        score: cosine in [−1, 1], or minus the Euclidean distance; of several channels or views of the query the
            margin of T9 in pixels.
        distance: chord ‖ẑ − u‖ in [0, 2] for cosine, ‖z − e‖ for Euclidean, in the deciding channel.
        channel: name of the channel that decides for this item.
        top1: the item stays first inside this radius; None for other ranks or without a certificate.
        topk: it stays among the first k inside this radius.
        copy: the verdict "copy of this item" holds inside this radius; None where that is not the verdict.
        accepted: whether the query, as it is, is a copy of this item; None without a threshold.
        duplicates: paths of the other files with the same pixels.
        explained: why it is a copy or not, where that was asked for and every row has a threshold of its own.
        tier: ``certified`` where a certified channel accepts, ``companion`` where only a companion does and nothing is
            proved, ``rest``; None for an index without a companion.
    """

    rank: int
    group: int
    id: str
    path: str
    view: str
    score: float
    distance: float
    channel: str
    top1: Radius | None = None
    topk: Radius | None = None
    copy: Radius | None = None
    accepted: bool | None = None
    duplicates: tuple[str, ...] = ()
    explained: Explained | None = None
    query_view: str = "original"
    tier: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The match as in the ``retr.query/1`` schema."""
        radii = {name: _radius(getattr(self, name)) for name in ("top1", "topk", "copy")}
        explained = {} if self.explained is None else {"explained": self.explained.as_json()}
        return {
            "rank": self.rank,
            "id": self.id,
            "path": self.path,
            "view": self.view,
            "query_view": self.query_view,
            "score": self.score,
            "distance": self.distance,
            "channel": self.channel,
            **radii,
            "accepted": self.accepted,
            "tier": self.tier,
            "proved": None if self.tier is None else self.tier == "certified",
            "duplicates": list(self.duplicates),
            **explained,
        }


@dataclass(frozen=True, slots=True)
class Bank:
    """What a negative bank had to do with a verdict (``retrieval.silencing``).

    Attributes:
        where: its condition.
        rows: live rows that it holds; all of them were scanned where a radius is given.
        silences: whether the query is a copy of something in it, which silences all matches.
        id, path: of what that is; None where it does not.
        radius: what it does stays so for every change within; None where that is not proved.
    """

    where: str
    rows: int
    silences: bool
    id: str | None
    path: str | None
    radius: Radius | None

    def as_json(self) -> dict[str, Any]:
        """As part of ``retr.query/2``."""
        named = {name: getattr(self, name) for name in ("where", "rows", "silences", "id", "path")}
        return named | {"radius": _radius(self.radius)}


@dataclass(frozen=True, slots=True)
class Companion:
    """What companions had to do with an answer (THEORY T11). Nothing of it is proved.

    Attributes:
        channels: their names.
        answered: whether they looked at the query and at every row; because: why not.
        names_copy: whether the verdict *copy* is theirs alone.
        finds: how many of the matches are theirs alone.
    """

    channels: tuple[str, ...]
    answered: bool
    because: str | None
    names_copy: bool
    finds: int

    def words(self) -> str:
        """In a sentence."""
        names = " and ".join(self.channels)
        if not self.answered:
            return f"the companion {names} did not answer ({self.because}); it proves nothing"
        if self.names_copy:
            return f"copy by the companion {names} alone: not proved"
        if self.finds:
            found = "1 match is" if self.finds == 1 else f"{self.finds} matches are"
            return f"{found} the companion's alone ({names}): not proved"
        return f"the companion {names} finds nothing more; that no channel accepts cannot be proved beside it"

    def as_json(self) -> dict[str, Any]:
        """As part of ``retr.query/1``."""
        return {
            "channels": list(self.channels),
            "answered": self.answered,
            "because": self.because,
            "names_copy": self.names_copy,
            "finds": self.finds,
            "proved": False,
            "words": self.words(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What a certified answer was made of: the embedded query and the ranking, as proofs of its claims need them."""

    query: Query
    ranking: Ranking


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one query.

    Attributes:
        width, height: of the query as decoded; radii are in its pixels.
        verdict: at ``eps``: copy, not-a-copy, undecided; ``uncertified`` for a model without a proof.
        point_verdict: what the threshold says of the query as it is, without any proof.
        verdict_because: why the verdict is undecided or uncertified; None otherwise.
        eps: the ℓ2 budget the verdict is proved for; None where no certificate was asked for.
        not_a_copy: radius of "copy of nothing", where that is the verdict.
        k: how many matches were asked for.
        matches: ranked, at most k.
        thresholds: per channel, its value and where it comes from.
        tests: how many there are: channels, times views of the query. Of several, margins rank.
        certificate: what stands behind the radii; None if withheld.
        withheld: why there is no certificate.
        where: conditions that left the gallery which was asked: ranks, verdict and certificate speak of its rows alone.
        banks: negative banks that were asked too: where one silences, the verdict is *not a copy*.
        basis: what the certificate was made of; None without one.
        against: what is proved of edited versions of the query (THEORY T12); None where it was not asked for.
        companion: what companions had to do with it; None for an index without one.
    """

    width: int
    height: int
    model: str
    snapshot: str
    verdict: VerdictName
    point_verdict: str | None
    k: int
    matches: tuple[Match, ...]
    verdict_because: str | None = None
    eps: Radius | None = None
    copy: Radius | None = None
    not_a_copy: Radius | None = None
    thresholds: tuple[dict[str, Any], ...] = ()
    tests: int = field(default=1, compare=False)
    certificate: Certificate | None = None
    withheld: str | None = None
    where: tuple[str, ...] = ()
    banks: tuple[Bank, ...] = ()
    against: RangeProof | None = None
    companion: Companion | None = None
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
    basis: Basis | None = field(default=None, compare=False, repr=False)

    def as_json(self, query: str) -> dict[str, Any]:
        """The answer as ``retr.query/1``.

        Args:
            query: the path the query came from.
        """
        return {
            "schema": "retr.query/1",
            "query": query,
            "width": self.width,
            "height": self.height,
            "model": self.model,
            "snapshot": self.snapshot,
            "verdict": self.verdict,
            "point_verdict": self.point_verdict,
            "verdict_because": self.verdict_because,
            "eps": _radius(self.eps),
            "copy": _radius(self.copy),
            "not_a_copy": _radius(self.not_a_copy),
            "k": self.k,
            "where": list(self.where),
            "silenced_by": [bank.where for bank in self.banks if bank.silences],
            "banks": [bank.as_json() for bank in self.banks],
            "matches": [match.as_json() for match in self.matches],
            "thresholds": list(self.thresholds),
            "certificate": self.certificate.as_json() if self.certificate else None,
            "withheld": self.withheld,
            "against": None if self.against is None else self.against.as_json(),
            "companion": None if self.companion is None else self.companion.as_json(),
            "seconds": dict(self.seconds),
        }


def _radius(radius: Radius | None) -> dict[str, float | None] | None:
    return None if radius is None else radius.as_json()
