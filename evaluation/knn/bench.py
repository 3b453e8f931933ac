"""``retr bench-knn``: k-NN classification and retrieval by label on labelled images, certified and attacked."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...attacks.harness import Effort, Outcome, Subject
from ...attacks.media import Bytes, Pixels
from ...attacks.registry import ATTACKS
from ...core.files import digest_json
from ...core.progress import Progress, begin
from ...datasets.labelled import LabelledImage, LabelledSet
from ...datasets.rows import RejectedRow
from ...embedding.contract import Embedder
from ...embedding.registry import load_embedder
from ...images.policy import DecodePolicy
from ...retrieval.channel import QueryEmbedding
from ...retrieval.probe import bounds_of
from ..shared.attacking import attacked, seed_of, sizes_of
from ..shared.provenance import describe_run
from ..shared.run_folder import RunFolder, open_run
from .gallery import LabelledGallery, embed_gallery, open_labelled
from .label_retrieval import NOTHING, retrieve
from .plan import ATTACK, Budget, KnnPlan
from .records import FORMAT
from .rows import Attacked, KnnRow, records_of, rows_of
from .search import Neighbours, neighbours, vote_radius
from .target import VoteTarget


@dataclass(frozen=True)
class KnnResult:
    """A finished benchmark.

    Attributes:
        records: the Parquet file.
        certified: whether the model has a proof.
        uncertified_because: why not, or None.
        gallery: images stored, by label.
        rows: one per query.
        rejected: images of gallery or queries that could not be used.
        seconds: wall time by stage.
    """

    plan: KnnPlan
    records: Path
    model: str
    digest: str
    certified: bool
    uncertified_because: str | None
    gallery: dict[str, int]
    rows: tuple[KnnRow, ...]
    rejected: tuple[RejectedRow, ...]
    seconds: dict[str, float]


def run_knn(plan: KnnPlan, progress: Progress) -> KnnResult:
    """Embed the gallery, ask the queries, certify, and attack where asked to; or what is left of that.

    Raises:
        UsageError: for folders or a model that cannot be used, or a run that cannot be resumed.
        ModelError: where the model cannot be built.
    """
    stored, asking = plan.data()
    if plan.limit is not None:
        asking = _sample(asking, plan.limit, plan.seed)
    place = open_run(FORMAT, plan=plan.as_json(), command=plan.command, out=None, home=plan.out, resume=plan.resume)
    embedder = load_embedder(plan.model)
    began = time.perf_counter()
    begin(progress, "gallery", len(stored.rows))
    gallery = embed_gallery(embedder, stored, side=plan.side, workers=plan.workers, advance=progress.advance)
    embedded = time.perf_counter()
    place.begin({"model": _describe(embedder, gallery), "queries": digest_json([row.name for row in asking.rows])})
    if not place.finished:
        _ask(plan, gallery, asking, place, embedder, embedded - began, progress)
    return result_of(plan, place)


def result_of(plan: KnnPlan, place: RunFolder) -> KnnResult:
    """A finished benchmark, from its records alone."""
    records = FORMAT.read(place.records)
    facts, model = records.facts, records.facts["model"]
    return KnnResult(
        plan=plan,
        records=place.records,
        model=model["name"],
        digest=model["digest"],
        certified=model["uncertified_because"] is None,
        uncertified_because=model["uncertified_because"],
        gallery=dict(model["gallery"]),
        rows=rows_of(records.table, plan.budgets),
        rejected=tuple(RejectedRow(**one) for one in facts["rejected"]),
        seconds=dict(facts["seconds"]),
    )


def _describe(embedder: Embedder, gallery: LabelledGallery) -> dict[str, Any]:
    names = [gallery.labels[number] for number in gallery.channel.groups.tolist()]
    return {
        "name": embedder.name,
        "digest": embedder.digest,
        "uncertified_because": gallery.channel.why_uncertified,
        "gallery": {label: names.count(label) for label in gallery.labels},
        "rejected": [asdict(one) for one in gallery.rejects],
    }


def _sample(data: LabelledSet, count: int, seed: int) -> LabelledSet:
    drawn = sorted(data.rows, key=lambda row: digest_json(["limit", seed, row.name]))[:count]
    kept = {row.name for row in drawn}
    return data.keep(lambda row: row.name in kept, "over-limit")


@dataclass(frozen=True)
class _Query:
    """A decoded query and the clean answer to it."""

    image: LabelledImage
    pixels: Bytes
    row: KnnRow


def _ask(
    plan: KnnPlan,
    gallery: LabelledGallery,
    asking: LabelledSet,
    place: RunFolder,
    embedder: Embedder,
    seconds: float,
    progress: Progress,
) -> None:
    """Ask the queries that no part holds, a part for each batch, and write the records."""
    described = {"model": embedder.name, "model_digest": embedder.digest, "snapshot": ""}
    described["policy_digest"] = DecodePolicy().digest
    told = describe_run(described, run=place.run, command=place.command, seed=plan.seed).columns()
    begin(progress, "queries", len(asking.rows), min(place.done * plan.batch, len(asking.rows)))
    for start in range(place.done * plan.batch, len(asking.rows), plan.batch):
        began = time.perf_counter()
        names = {row.name for row in asking.rows[start : start + plan.batch]}
        some = asking.keep(lambda row, names=names: row.name in names, "another batch")
        outcomes = list(open_labelled(some, side=plan.side, workers=plan.workers))
        rejects = [one for one in outcomes if isinstance(one, RejectedRow)]
        waiting = [_Query(*one, _clean(plan, gallery, *one)) for one in outcomes if not isinstance(one, RejectedRow)]
        progress.advance(len(rejects))
        rows = [record for row in _finish(plan, gallery, waiting, progress) for record in records_of(row, told, plan)]
        mark = {"rejected": [asdict(one) for one in rejects], "seconds": time.perf_counter() - began}
        place.add(rows, mark)
    marks = place.marks()
    rejected = [*(asdict(one) for one in gallery.rejects), *(one for mark in marks for one in mark["rejected"])]
    took = {"gallery": seconds, "queries": sum(mark["seconds"] for mark in marks)}
    place.finish({"rejected": rejected, "seconds": took})


def _clean(plan: KnnPlan, gallery: LabelledGallery, image: LabelledImage, pixels: Bytes) -> KnnRow:
    """The answer to a query as it is, certified."""
    channel = gallery.channel
    embedded, found = _look(gallery, pixels.astype(np.float64) / 255.0)
    if found is None:
        why = channel.why_refused(embedded)
        return KnnRow(image.name, image.label, None, 0, None, pixels.shape[:2], NOTHING, why)
    proof = bounds_of(embedded, channel.score, pixels.size)
    label, votes = found.vote(plan.k)
    return KnnRow(
        name=image.name,
        label=image.label,
        predicted=gallery.labels[label],
        votes=votes,
        radius=None if proof is None else vote_radius(found, proof, plan.k),
        shape=(pixels.shape[0], pixels.shape[1]),
        retrieved=retrieve(found, gallery.number_of(image.label), plan.k, proof),
        withheld=channel.why_uncertified,
    )


def _look(gallery: LabelledGallery, pixels: Pixels) -> tuple[QueryEmbedding, Neighbours | None]:
    """Embed and rank along the certified path; no neighbours where the query cannot be compared."""
    embedded = gallery.channel.embed_query(pixels)
    refused = gallery.channel.why_refused(embedded)
    return embedded, None if refused else neighbours(gallery, embedded.z)


def _finish(plan: KnnPlan, gallery: LabelledGallery, queries: Sequence[_Query], progress: Progress) -> list[KnnRow]:
    """The rows of some queries in order, attacked in batches of one shape where the plan asks for it."""
    tried: dict[str, tuple[Attacked, ...]] = {}
    shapes: dict[tuple[int, ...], list[_Query]] = defaultdict(list)
    for query in queries:
        if plan.attack and query.row.correct:
            shapes[query.pixels.shape].append(query)
    for group in shapes.values():
        tried |= _attack(plan, gallery, group)
    progress.advance(len(queries))
    return [replace(query.row, attacked=tried.get(query.row.name, ())) for query in queries]


@dataclass(frozen=True)
class _Verdict:
    """What the gallery says of a saved image."""

    predicted: str | None
    first: str | None
    among: frozenset[str]


def _attack(plan: KnnPlan, gallery: LabelledGallery, queries: Sequence[_Query]) -> dict[str, tuple[Attacked, ...]]:
    """APGD within each budget, the smallest first; a query that has fallen is not attacked again."""
    found: dict[str, dict[Budget, Attacked]] = {query.row.name: {} for query in queries}
    fallen: dict[str, Attacked] = {}
    for budget in sorted(plan.budgets, key=lambda one: one.l2(queries[0].pixels.size)):
        standing = [query for query in queries if query.row.name not in fallen]
        for query, outcome in zip(standing, _attempt(plan, gallery, standing, budget), strict=True):
            one = _judged(query.row, budget, outcome)
            found[query.row.name][budget] = one
            if one.fallen:
                fallen[query.row.name] = one
        for query in queries:
            if budget not in found[query.row.name]:
                earlier = fallen[query.row.name]
                found[query.row.name][budget] = replace(earlier, budget=budget, alarms=())
    return {name: tuple(by_budget[budget] for budget in plan.budgets) for name, by_budget in found.items()}


def _attempt(
    plan: KnnPlan, gallery: LabelledGallery, queries: Sequence[_Query], budget: Budget
) -> list[Outcome[_Verdict]]:
    """One attack on each of these queries, saved, read again, judged."""
    if not queries:
        return []
    labels = [gallery.number_of(query.row.label) for query in queries]
    subjects = [
        Subject(
            pixels=query.pixels,
            eps=budget.l2(query.pixels.size, inside=True),
            seed=seed_of("knn", plan.seed, query.row.name, str(budget), digits=8),
            stem=f"{place:04d}",
        )
        for place, query in enumerate(queries)
    ]
    effort, target = Effort(steps=plan.steps, restarts=plan.restarts), VoteTarget(gallery, labels, plan.k)

    def judge(images: Sequence[Pixels]) -> list[_Verdict]:
        return [_verdict(plan, gallery, image) for image in images]

    with attacked(ATTACKS[ATTACK], target, subjects, judge, effort=effort, policy=DecodePolicy()) as (outcomes, _):
        return outcomes


def _verdict(plan: KnnPlan, gallery: LabelledGallery, image: Pixels) -> _Verdict:
    found = _look(gallery, image)[1]
    if found is None:
        return _Verdict(None, None, frozenset())
    nearest = [gallery.labels[number] for number in found.labels[: plan.k].tolist()]
    return _Verdict(gallery.labels[found.vote(plan.k)[0]], nearest[0], frozenset(nearest))


def _judged(row: KnnRow, budget: Budget, outcome: Outcome[_Verdict]) -> Attacked:
    """What the saved images did, each held against the certificates that cover its measured norm."""
    wins = [trial.distance.l2 for trial in outcome.trials if trial.verdict.predicted != row.predicted]
    names = [name for trial in outcome.trials for name in _alarms(row, trial.verdict, trial.distance.l2)]
    measured = sizes_of(outcome.trials[0].distance) | {
        name: getattr(outcome, name) for name in ("seconds", "forwards", "gradients")
    }
    return Attacked(budget, bool(wins), min(wins, default=None), tuple(dict.fromkeys(names)), measured)


def _alarms(row: KnnRow, verdict: _Verdict, l2: float) -> Iterator[str]:
    broken = {
        "vote": (row.radius, verdict.predicted != row.predicted),
        "first": (row.retrieved.radius_first, verdict.first != row.label),
        "among": (row.retrieved.radius_among, row.label not in verdict.among),
    }
    return (name for name, (radius, gone) in broken.items() if gone and radius is not None and l2 < radius)
