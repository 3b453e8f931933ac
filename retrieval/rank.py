"""One channel: the exact ranking, and for each returned item how far the query may move (T1, T2, T3, T4, T5)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..certificates.decision import accepted, verdict_values
from ..certificates.ranking import answer_radius, half_space_distances, item_radii, pair_radii, topk_radius
from ..certificates.rounding import norm_bounds
from ..certificates.shortlist import needed_separation, unseen_radius
from ..certificates.verdicts import VerdictRadii, unseen_nothing_radius, verdict_radii
from ..core.numerics import gamma, norm, round_down, round_up
from ..core.types import UpperBound
from ..indexer.vectors import Ids
from .channel import FLAT_QUERY, Channel, Float64, QueryEmbedding
from .shortlist import Shortlist, distance_bounds, widen, widen_to_few

VIEWS_TRIED = 4
"""How many of an item's best rows are tried against rivals (T3, T9); each gives a sound radius, the largest is kept."""

GROWTH = 1.05
"""How much farther, at least, the first widening of a shortlist looks; the next ones its square, and so on."""

NOTHING_ROWS = 2048
"""So many rows may be looked at for the sake of the "not a copy" radius alone, which is sound with fewer too."""

_HALVINGS = 10


@dataclass(frozen=True, slots=True)
class Proof:
    """What a certified channel knows of a query: all a radius needs.

    Attributes:
        cap: in pixels: farther out there is no such image, or the engine could refuse it as flat.
    """

    z: Float64
    lipschitz: UpperBound
    forward_error: float
    cap: float


@dataclass(frozen=True, slots=True)
class RankedItem:
    """An item, its best row, and its radii (ℓ2 in pixels; None where not certified).

    Attributes:
        row: global number of the row that decides for it; channel: which channel that row is in.
        score, distance: see ``answer.Match``.
        raw_top1: the top-1 radius before slack, for the record.
        limited_by: item number of the rival that limits top1; None where none does.
        accepted: whether the query, as it is, is a copy of this item; None without a threshold.
    """

    group: int
    row: int
    score: float
    distance: float
    channel: int = 0
    top1: float | None = None
    topk: float | None = None
    copy: float | None = None
    raw_top1: float | None = None
    limited_by: int | None = None
    accepted: bool | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The first k items, exactly, and the verdict over the whole gallery (None without a threshold).

    Attributes:
        copy, nothing: radii of the verdict, in pixels.
        listed_nothing: what ``nothing`` would be if nothing were hidden; 0 where the verdict is another.
    """

    items: tuple[RankedItem, ...]
    point_verdict: str | None = None
    copy: float | None = None
    nothing: float | None = None
    listed_nothing: float = 0.0


def proof_of(query: QueryEmbedding, channel: Channel, values: int) -> Proof | None:
    """The numbers behind a certificate, or None for an uncertified channel.

    Args:
        query: the embedded query.
        channel: where it is searched.
        values: n = 3·H·W of the query.
    """
    if query.lipschitz is None or query.forward_error is None:
        return None
    far = round_up(math.sqrt(values))  # no two images are farther apart
    reach = answer_radius(query.z, score=channel.score, lipschitz=query.lipschitz, forward_error=query.forward_error)
    if channel.score == "cosine":  # the engine refuses earlier than the theorem must
        reach = max(0.0, round_down(reach - round_up(FLAT_QUERY * (1.0 + 1e-9) / query.lipschitz.value)))
    return Proof(query.z, query.lipschitz, query.forward_error, min(far, reach))


def rank(channel: Channel, z: Float64, short: Shortlist, k: int, proof: Proof | None) -> Ranking:
    """Settle the first k items, widening the shortlist until nothing unseen can matter.

    Args:
        channel: rows and score.
        z: (d,) float64 query embedding.
        short: a first proposal.
        k: how many items.
        proof: None to rank without radii.
    """
    growth, looked = GROWTH, False
    while True:
        items = _top_items(channel, short, k)
        if proof is not None:
            items = [_certify(channel, short, item, k, proof, first=item is items[0]) for item in items]
        need = _needed(channel, z, short, items, k, proof)
        if need > short.unseen:
            short = widen(channel, z, max(need, growth * short.unseen, 1e-6))
            growth *= growth  # few steps lead from a near miss to the whole gallery
            continue
        ranking = _with_verdict(channel, z, short, items, proof)
        wider = None if looked or proof is None else widen_for_nothing(channel, short, proof, ranking)
        if wider is None:
            return ranking
        short, looked = wider, True


def _top_items(channel: Channel, short: Shortlist, k: int) -> list[RankedItem]:
    groups = channel.groups[short.ids]
    _, first = np.unique(groups, return_index=True)
    return [_item(channel, short, int(place)) for place in np.sort(first)[:k]]


def _item(channel: Channel, short: Shortlist, place: int) -> RankedItem:
    distance = float(short.distances[place])
    cosine = channel.score == "cosine"
    score = max(-1.0, 1.0 - 0.5 * distance * distance) if cosine else -distance
    row = int(short.ids[place])
    return RankedItem(int(channel.groups[row]), row, score, distance)


def _needed(
    channel: Channel, z: Float64, short: Shortlist, items: list[RankedItem], k: int, proof: Proof | None
) -> float:
    """How near an unseen row must not be for the answer to stand."""
    if math.isinf(short.unseen):
        return 0.0
    if len(items) < k:
        return math.nextafter(short.unseen, math.inf)
    _, farthest = distance_bounds(channel, z, channel.rows64(np.asarray([item.row for item in items])))
    need = max(beyond(float(farthest.max()), channel), needed_for_verdict(channel))
    if proof is None:
        return need
    return max(need, *(_needed_for(channel, short, i, float(a), proof) for i, a in zip(items, farthest, strict=True)))


def needed_for_verdict(channel: Channel) -> float:
    """How near an unseen row must not be for the verdict on the query as it is to stand.

    With one threshold for all rows the nearest row decides, and is listed. With local ones a farther row may accept.
    """
    return beyond(channel.reach, channel) if channel.is_local else 0.0


def beyond(a: float, channel: Channel) -> float:
    """A distance at which a row's computed score is surely below that of a row at distance a."""
    return math.sqrt(a * a + 1e-12) if channel.score == "cosine" else a * (1.0 + 1e-12) + 1e-140


def _needed_for(channel: Channel, short: Shortlist, item: RankedItem, a: float, proof: Proof) -> float:
    z_low = float(norm_bounds(proof.z)[0])
    need = 0.0
    for radius in (item.top1, item.topk):
        if not radius:
            continue
        floor = unseen_radius(
            a,
            short.unseen,
            score=channel.score,
            z_norm=z_low,
            dim=channel.store.dim,
            lipschitz=proof.lipschitz,
            forward_error=proof.forward_error,
        )
        if floor < radius:
            h = round_up(round_up(radius * proof.lipschitz.value) + 2.0 * proof.forward_error)
            separation = needed_separation(a, h, score=channel.score, z_norm=z_low)
            need = max(need, separation * (1.0 + 1e-9) + 1e-9, short.unseen * (1.0 + 1e-6) + 1e-9)
    return need


def _certify(channel: Channel, short: Shortlist, item: RankedItem, k: int, proof: Proof, *, first: bool) -> RankedItem:
    groups = channel.groups[short.ids]
    every = np.flatnonzero(groups == item.group)
    own = every[:VIEWS_TRIED]
    rival = _contenders(channel, short, own, item.group, k, float(norm(proof.z)))
    rivals, rival_groups = short.rows[rival], groups[rival]
    radii = np.stack([_pair_radii(channel, short.rows[view], rivals, proof) for view in own])
    _, per_item = item_radii(radii, rival_groups)
    copy = _copy(channel, short.ids[every], short.rows[every], proof)
    topk = min(topk_radius(per_item, k), proof.cap)
    if not first:
        return replace(item, topk=topk, copy=copy)
    # T3 in its cheaper form: one view must beat every row of every other item.
    least = radii.min(axis=1, initial=math.inf)
    view = int(least.argmax())
    top1 = min(max(0.0, float(least[view])), proof.cap)
    if not rivals.size:
        return replace(item, top1=top1, topk=topk, copy=copy)
    raw = half_space_distances(proof.z, short.rows[own[view]], rivals, channel.score)
    raw_top1 = min(max(float(raw.min()), 0.0) / proof.lipschitz.value, proof.cap)
    limit = int(rival_groups[radii[view].argmin()]) if least[view] <= proof.cap else None
    return replace(item, top1=top1, topk=topk, copy=copy, raw_top1=raw_top1, limited_by=limit)


def _contenders(
    channel: Channel, short: Shortlist, own: Ids, group: int, k: int, z_norm: float
) -> npt.NDArray[np.bool_]:
    """Which listed rows of other items may decide a radius; the others lie farther than the k nearest rival items.

    Half-space distances h are estimated by one matrix product. With S bounding twice a row's norm, and rows at least
    S/1000 apart, ‖u_i − u_j‖² is off by γ_d·S² or less, so h by a relative 10⁶·γ_d, and what ``pair_radii`` takes off
    for rounding is less still. A row is left out only where its h exceeds the k-th smallest one over items by ten
    times that, so its radius exceeds every radius that is claimed. Closer rows are always kept, and taken as
    infinitely far when the k-th smallest is looked for.
    """
    groups, cosine = channel.groups[short.ids], channel.score == "cosine"
    rival = groups != group
    size = 2.0 if cosine else 2.0 * channel.longest
    squares = np.einsum("ij,ij->i", short.rows, short.rows)
    products = short.rows[own] @ short.rows.T  # views rows
    width = np.sqrt(np.maximum(squares[own, None] + squares - 2.0 * products, 0.0))
    lead = (short.scores[own, None] - short.scores) * (1.0 if cosine else 0.5)
    h = np.divide(lead, width, out=np.full_like(lead, np.inf), where=width > 1e-3 * size)
    _, per_item = item_radii(h[:, rival], groups[rival])
    far = float(short.distances.max())
    reach = z_norm if cosine else far + (far * far / size if size > 0.0 else 0.0)
    limit = topk_radius(per_item, k) + 1e7 * gamma(channel.store.dim + 8) * reach
    return rival & ((h <= limit) | (width <= 1e-3 * size)).any(axis=0)


def _pair_radii(channel: Channel, winner: Float64, rivals: Float64, proof: Proof) -> Float64:
    return pair_radii(
        proof.z,
        winner,
        rivals,
        score=channel.score,
        lipschitz=proof.lipschitz,
        forward_error=proof.forward_error,
    )


def _copy(channel: Channel, ids: Ids, rows: Float64, proof: Proof) -> float | None:
    """T4/T5 "copy of this item": any of its rows may keep it."""
    radii = _verdicts(channel, ids, rows, proof)
    return None if radii is None else min(max(0.0, float(radii.copy.max())), proof.cap)


def _with_verdict(
    channel: Channel, z: Float64, short: Shortlist, items: list[RankedItem], proof: Proof | None
) -> Ranking:
    accepting = accepting_items(channel, z, short)
    if accepting is None:
        return Ranking(tuple(items))
    point = "copy" if accepting.size else "not-a-copy"
    items = [replace(item, accepted=bool((accepting == item.group).any())) for item in items]
    radii = None if proof is None else _verdicts(channel, short.ids, short.rows, proof)
    if radii is None or proof is None:
        return Ranking(tuple(items), point)
    copy = min(max(0.0, float(radii.copy.max())), proof.cap)  # a sound floor: some listed row accepts
    listed = min(max(0.0, float(radii.nothing.min())), proof.cap)
    return Ranking(tuple(items), point, copy, min(listed, hidden_nothing(channel, short, proof)), listed)


def hidden_nothing(channel: Channel, short: Shortlist, proof: Proof) -> float:
    """A floor under the "not a copy" radius of every row that is not listed; inf when all are."""
    assert channel.threshold is not None
    if math.isinf(short.unseen):
        return math.inf
    radius = unseen_nothing_radius(
        short.unseen,
        z_norm=float(norm(proof.z)),
        dim=channel.store.dim,
        score=channel.score,
        threshold=channel.widest,
        lipschitz=proof.lipschitz,
        forward_error=proof.forward_error,
    )
    return max(0.0, radius)


def widen_for_nothing(channel: Channel, short: Shortlist, proof: Proof, ranking: Ranking) -> Shortlist | None:
    """A list so wide that hidden rows do not lower the "not a copy" radius, or less where that would be many rows.

    None where they do not, or nothing wider is short enough.
    """
    wanted, near = ranking.listed_nothing, short.unseen
    if not wanted or hidden_nothing(channel, short, proof) >= wanted:
        return None
    horizon = 2.0 if channel.score == "cosine" else 4.0 * near
    far = least_distance(lambda b: hidden_nothing(channel, replace(short, unseen=b), proof) >= wanted, near, horizon)
    for part in (1.0, 0.5, 0.25):
        wider = widen_to_few(channel, proof.z, near + part * (far - near), NOTHING_ROWS)
        if wider is not None:
            return wider
    return None


def least_distance(enough: Callable[[float], bool], near: float, far: float) -> float:
    """The least distance found sufficient by halving, ``near`` if that is; ``far`` where none is."""
    if enough(near):
        return near
    for _ in range(_HALVINGS):
        middle = 0.5 * (near + far)
        near, far = (near, middle) if enough(middle) else (middle, far)
    return far


def accepting_items(channel: Channel, z: Float64, short: Shortlist) -> Ids | None:
    """Items of which the query, as it is, is a copy by a listed row; None without a threshold."""
    if channel.threshold is None:
        return None
    values = verdict_values(z, short.rows, channel.score)
    return channel.groups[short.ids[accepted(values, channel.score, channel.limits(short.ids))]]


def _verdicts(channel: Channel, ids: Ids, rows: Float64, proof: Proof) -> VerdictRadii | None:
    if channel.threshold is None:
        return None
    return verdict_radii(
        proof.z,
        rows,
        score=channel.score,
        threshold=channel.limits(ids),
        lipschitz=proof.lipschitz,
        forward_error=proof.forward_error,
    )
