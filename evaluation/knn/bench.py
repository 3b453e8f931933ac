"""``retr bench-knn``: k-NN classification and retrieval by label on labelled images, certified and attacked."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...attacks.harness import Effort, Outcome, Subject
from ...attacks.media import Bytes, Pixels
from ...attacks.registry import ATTACKS
from ...core.errors import RetrError
from ...core.files import digest_json
from ...core.progress import Progress, begin
from ...datasets.labelled import LabelledImage, LabelledSet
from ...datasets.rows import RejectedRow
from ...embedding.contract import Embedder
from ...embedding.registry import load_embedder
from ...images.policy import DecodePolicy
from ...retrieval.channel import QueryEmbedding
from ...retrieval.probe import bounds_of
from ..shared.attacking import attacked, seed_of
from ..shared.provenance import describe_run
from ..shared.records import Records, Row
from ..shared.run_folder import RunFolder, open_run
from .gallery import LabelledGallery, embed_gallery, open_labelled
from .label_retrieval import retrieve
from .plan import ATTACK, Budget, KnnPlan
from .records import FORMAT
from .rows import attacked_row, clean_row, fallen_row
from .search import Neighbours, neighbours, vote_radius
from .target import VoteTarget


@dataclass(frozen=True)
class KnnResult:
    """A finished benchmark.

    Attributes:
        path: the Parquet file.
        records: its content.
        stored: whether the run had been finished before, and is only told again.
    """

    plan: KnnPlan
    path: Path
    records: Records
    stored: bool = False

    @property
    def model(self) -> Mapping[str, Any]:
        """``name``, ``digest``, ``uncertified_because`` (None with a proof), ``gallery``: images stored, by label."""
        return self.records.facts["model"]

    @property
    def rejected(self) -> tuple[RejectedRow, ...]:
        """Images of gallery or queries that could not be used."""
        return tuple(RejectedRow(**one) for one in self.records.facts["rejected"])

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time by stage."""
        return dict(self.records.facts["seconds"])


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
    embedder, finished = load_embedder(plan.model), place.finished
    model = {"name": embedder.name, "digest": embedder.digest}
    place.begin({"model": model, "images": [_listing(stored), _listing(asking)]})
    if not finished:
        try:
            _run(plan, stored, asking, place, embedder, progress)
        except RetrError:
            if not place.done:
                place.abandon()
            raise
    return KnnResult(plan, place.records, FORMAT.read(place.records), stored=finished)


def _run(
    plan: KnnPlan,
    stored: LabelledSet,
    asking: LabelledSet,
    place: RunFolder,
    embedder: Embedder,
    progress: Progress,
) -> None:
    """Embed the gallery, ask the queries that no part holds, and write the records."""
    began = time.perf_counter()
    begin(progress, "gallery", len(stored.rows))
    gallery = embed_gallery(embedder, stored, side=plan.side, workers=plan.workers, advance=progress.advance)
    took = {"gallery": time.perf_counter() - began}
    _ask(plan, gallery, asking, place, progress)
    marks, refused = place.marks(), [asdict(one) for one in gallery.rejects]
    took["queries"] = sum(mark["seconds"] for mark in marks)
    rejected = [*refused, *(one for mark in marks for one in mark["rejected"])]
    place.finish({"model": _describe(gallery), "rejected": rejected, "seconds": took})


def _describe(gallery: LabelledGallery) -> dict[str, Any]:
    embedder, why = gallery.channel.embedder, gallery.channel.why_uncertified
    names = [gallery.labels[number] for number in gallery.channel.groups.tolist()]
    held = {label: names.count(label) for label in gallery.labels}
    return {"name": embedder.name, "digest": embedder.digest, "uncertified_because": why, "gallery": held}


def _listing(data: LabelledSet) -> str:
    """Changes with any name, label, size or time of change."""
    known = [(row, row.file.stat()) for row in data.rows]
    return digest_json([[row.name, row.label, stat.st_size, stat.st_mtime_ns] for row, stat in known])


def _sample(data: LabelledSet, count: int, seed: int) -> LabelledSet:
    drawn = sorted(data.rows, key=lambda row: digest_json(["limit", seed, row.name]))[:count]
    kept = {row.name for row in drawn}
    return data.keep(lambda row: row.name in kept, "over-limit")


@dataclass(frozen=True)
class _Query:
    """A decoded query and the clean answer to it."""

    image: LabelledImage
    pixels: Bytes
    row: Row


def _ask(plan: KnnPlan, gallery: LabelledGallery, asking: LabelledSet, place: RunFolder, progress: Progress) -> None:
    """Ask the queries that no part holds, a part for each batch."""
    embedder = gallery.channel.embedder
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
        asked = [one for one in outcomes if not isinstance(one, RejectedRow)]
        waiting = [_Query(*one, _clean(plan, gallery, told, *one)) for one in asked]
        progress.advance(len(rejects))
        rows = _finish(plan, gallery, waiting, progress)
        place.add(rows, {"rejected": [asdict(one) for one in rejects], "seconds": time.perf_counter() - began})


def _clean(
    plan: KnnPlan, gallery: LabelledGallery, told: Mapping[str, Any], image: LabelledImage, pixels: Bytes
) -> Row:
    """The answer to a query as it is, certified."""
    channel = gallery.channel
    embedded, found = _look(gallery, pixels.astype(np.float64) / 255.0)
    if found is None:
        return clean_row(told, image, pixels.shape, withheld=channel.why_refused(embedded))
    proof = bounds_of(embedded, channel.score, pixels.size)
    label, votes = found.vote(plan.k)
    return clean_row(
        told,
        image,
        pixels.shape,
        (gallery.labels[label], votes, None if proof is None else vote_radius(found, proof, plan.k)),
        retrieve(found, gallery.number_of(image.label), plan.k, proof),
        channel.why_uncertified,
    )


def _look(gallery: LabelledGallery, pixels: Pixels) -> tuple[QueryEmbedding, Neighbours | None]:
    """Embed and rank along the certified path; no neighbours where the query cannot be compared."""
    embedded = gallery.channel.embed_query(pixels)
    refused = gallery.channel.why_refused(embedded)
    return embedded, None if refused else neighbours(gallery, embedded.z)


def _finish(plan: KnnPlan, gallery: LabelledGallery, queries: Sequence[_Query], progress: Progress) -> list[Row]:
    """The rows of some queries in order, right votes attacked in batches of one shape where the plan asks for it."""
    tried: dict[str, list[Row]] = {}
    shapes: dict[tuple[int, ...], list[_Query]] = defaultdict(list)
    for query in queries:
        if plan.attack and query.row["predicted"] == query.row["label"]:
            shapes[query.pixels.shape].append(query)
    for group in shapes.values():
        tried |= _attack(plan, gallery, group)
    progress.advance(len(queries))
    return [row for query in queries for row in (query.row, *tried.get(query.image.name, ()))]


@dataclass(frozen=True)
class _Verdict:
    """What the gallery says of a saved image."""

    predicted: str | None
    first: str | None
    among: frozenset[str]


def _attack(plan: KnnPlan, gallery: LabelledGallery, queries: Sequence[_Query]) -> dict[str, list[Row]]:
    """APGD within each budget, the smallest first; a query that has fallen is not attacked again."""
    found: dict[str, dict[Budget, Row]] = {query.image.name: {} for query in queries}
    fallen: dict[str, Row] = {}
    for budget in sorted(plan.budgets, key=lambda one: one.l2(queries[0].pixels.size)):
        standing = [query for query in queries if query.image.name not in fallen]
        found_here = {name: fallen_row(row, budget) for name, row in fallen.items()}
        for query, outcome in zip(standing, _attempt(plan, gallery, standing, budget), strict=True):
            row = found_here[query.image.name] = _judged(query.row, plan, budget, outcome)
            if row["success"]:
                fallen[query.image.name] = row
        for name, row in found_here.items():
            found[name][budget] = row
    return {name: [by_budget[budget] for budget in plan.budgets] for name, by_budget in found.items()}


def _attempt(
    plan: KnnPlan, gallery: LabelledGallery, queries: Sequence[_Query], budget: Budget
) -> list[Outcome[_Verdict]]:
    """One attack on each of these queries, saved, read again, judged."""
    if not queries:
        return []
    labels = [gallery.number_of(query.image.label) for query in queries]
    subjects = [
        Subject(
            pixels=query.pixels,
            eps=budget.l2(query.pixels.size, inside=True),
            seed=seed_of("knn", plan.seed, query.image.name, str(budget), digits=8),
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


def _judged(row: Row, plan: KnnPlan, budget: Budget, outcome: Outcome[_Verdict]) -> Row:
    """What the saved images did, each held against the certificates that cover its measured norm."""
    wins = [trial.distance.l2 for trial in outcome.trials if trial.verdict.predicted != row["predicted"]]
    names = [name for trial in outcome.trials for name in _alarms(row, trial.verdict, trial.distance.l2)]
    return attacked_row(row, plan, budget, outcome, min(wins, default=None), tuple(dict.fromkeys(names)))


def _alarms(row: Row, verdict: _Verdict, l2: float) -> Iterator[str]:
    broken = {
        "vote": verdict.predicted != row["predicted"],
        "first": verdict.first != row["label"],
        "among": row["label"] not in verdict.among,
    }
    radii = {name: row[f"radius_{name}"] for name in broken}
    return (name for name, gone in broken.items() if gone and radii[name] is not None and l2 < radii[name])
