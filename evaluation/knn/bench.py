"""``retr bench-knn``: k-NN classification and retrieval by label on labelled images, certified and attacked."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from ...attacks.harness import Effort, Outcome, Subject, run_attack
from ...attacks.media import Bytes, Pixels
from ...attacks.registry import ATTACKS
from ...core.files import digest_json
from ...datasets.labelled import LabelledImage, LabelledSet
from ...datasets.rows import RejectedRow
from ...embedding.registry import load_embedder
from ...images.policy import DecodePolicy
from ...retrieval.channel import QueryEmbedding
from ...retrieval.rank import Proof, proof_of
from .gallery import LabelledGallery, embed_gallery, open_labelled
from .label_retrieval import NOTHING, Retrieved, retrieve
from .plan import Budget, KnnPlan
from .search import Neighbours, neighbours, vote_radius
from .target import VoteTarget

ATTACK = ATTACKS["apgd-l2"]


class Phases(Protocol):
    """What a benchmark tells about how far it is."""

    def phase(self, title: str, total: int) -> None:
        """A new stretch of work begins."""

    def advance(self, count: int = 1) -> None:
        """So many more are finished."""


@dataclass(frozen=True)
class Attacked:
    """The best an attack did within one budget.

    Attributes:
        budget: what it was allowed.
        fallen: another label wins the vote, for the saved float image or the 8-bit one, here or at a smaller budget.
        l2: least norm, measured on a saved file, that did so; None where none did.
        alarms: names of the certificates that a saved image broke; none unless something is wrong with retr.
    """

    budget: Budget
    fallen: bool
    l2: float | None
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class KnnRow:
    """One query.

    Attributes:
        name: its file.
        label: its true label.
        predicted: what the vote says; None where the query cannot be compared.
        votes: of the winner, among k.
        radius: certified ℓ2 radius, in pixels, of the vote; None where withheld, 0 where the winner has no majority.
        values: 3·H·W of the query.
        retrieved: retrieval by label.
        withheld: why there is no certificate, or None.
        attacked: per budget; empty where it was not attacked.
    """

    name: str
    label: str
    predicted: str | None
    votes: int
    radius: float | None
    values: int
    retrieved: Retrieved
    withheld: str | None
    attacked: tuple[Attacked, ...] = ()

    @property
    def correct(self) -> bool:
        """The vote finds the true label."""
        return self.predicted == self.label


@dataclass(frozen=True)
class KnnResult:
    """A finished benchmark.

    Attributes:
        certified: whether the model has a proof.
        uncertified_because: why not, or None.
        gallery: images stored, by label.
        rows: one per query.
        rejected: images of gallery or queries that could not be used.
        seconds: wall time by stage.
    """

    plan: KnnPlan
    model: str
    digest: str
    certified: bool
    uncertified_because: str | None
    gallery: dict[str, int]
    rows: tuple[KnnRow, ...]
    rejected: tuple[RejectedRow, ...]
    seconds: dict[str, float]


def run_knn(plan: KnnPlan, progress: Phases) -> KnnResult:
    """Embed the gallery, ask the queries, certify, and attack where asked to.

    Raises:
        UsageError: for folders or a model that cannot be used.
        ModelError: where the model cannot be built.
    """
    stored, asking = plan.data()
    if plan.limit is not None:
        asking = _sample(asking, plan.limit, plan.seed)
    embedder = load_embedder(plan.model)
    began = time.perf_counter()
    progress.phase("gallery", len(stored.rows))
    gallery = embed_gallery(embedder, stored, side=plan.side, workers=plan.workers, advance=progress.advance)
    embedded = time.perf_counter()
    progress.phase("queries", len(asking.rows))
    rows, rejects = _ask(plan, gallery, asking, progress)
    names = [gallery.labels[number] for number in gallery.channel.groups.tolist()]
    return KnnResult(
        plan=plan,
        model=embedder.name,
        digest=embedder.digest,
        certified=gallery.channel.why_uncertified is None,
        uncertified_because=gallery.channel.why_uncertified,
        gallery={label: names.count(label) for label in gallery.labels},
        rows=tuple(rows),
        rejected=(*gallery.rejects, *rejects),
        seconds={"gallery": embedded - began, "queries": time.perf_counter() - embedded},
    )


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
    plan: KnnPlan, gallery: LabelledGallery, asking: LabelledSet, progress: Phases
) -> tuple[list[KnnRow], list[RejectedRow]]:
    rows: list[KnnRow] = []
    rejects: list[RejectedRow] = []
    waiting: list[_Query] = []
    for outcome in open_labelled(asking, side=plan.side, workers=plan.workers):
        if isinstance(outcome, RejectedRow):
            rejects.append(outcome)
            progress.advance()
            continue
        image, pixels = outcome
        waiting.append(_Query(image, pixels, _clean(plan, gallery, image, pixels)))
        if len(waiting) == plan.batch:
            rows += _finish(plan, gallery, waiting, progress)
            waiting = []
    return rows + _finish(plan, gallery, waiting, progress), rejects


def _clean(plan: KnnPlan, gallery: LabelledGallery, image: LabelledImage, pixels: Bytes) -> KnnRow:
    """The answer to a query as it is, certified."""
    channel = gallery.channel
    embedded, found = _look(gallery, pixels.astype(np.float64) / 255.0)
    if found is None:
        why = channel.why_refused(embedded.z)
        return KnnRow(image.name, image.label, None, 0, None, pixels.size, NOTHING, why)
    proof: Proof | None = proof_of(embedded, channel, pixels.size)
    label, votes = found.vote(plan.k)
    return KnnRow(
        name=image.name,
        label=image.label,
        predicted=gallery.labels[label],
        votes=votes,
        radius=None if proof is None else vote_radius(found, proof, plan.k),
        values=pixels.size,
        retrieved=retrieve(found, gallery.number_of(image.label), plan.k, proof),
        withheld=channel.why_uncertified,
    )


def _look(gallery: LabelledGallery, pixels: Pixels) -> tuple[QueryEmbedding, Neighbours | None]:
    """Embed and rank along the certified path; no neighbours where the query cannot be compared."""
    embedded = gallery.channel.embed_query(pixels)
    refused = gallery.channel.why_refused(embedded.z)
    return embedded, None if refused else neighbours(gallery, embedded.z)


def _finish(plan: KnnPlan, gallery: LabelledGallery, queries: Sequence[_Query], progress: Phases) -> list[KnnRow]:
    """The rows of some queries in order, attacked in batches of one shape where the plan asks for it."""
    attacked: dict[str, tuple[Attacked, ...]] = {}
    shapes: dict[tuple[int, ...], list[_Query]] = defaultdict(list)
    for query in queries:
        if plan.attack and query.row.correct:
            shapes[query.pixels.shape].append(query)
    for group in shapes.values():
        attacked |= _attack(plan, gallery, group)
    progress.advance(len(queries))
    return [replace(query.row, attacked=attacked.get(query.row.name, ())) for query in queries]


@dataclass(frozen=True)
class _Verdict:
    """What the gallery says of a saved image."""

    predicted: str | None
    first: str | None
    among: frozenset[str]


def _attack(plan: KnnPlan, gallery: LabelledGallery, queries: Sequence[_Query]) -> dict[str, tuple[Attacked, ...]]:
    """APGD within each budget, the smallest first; a query that has fallen is not attacked again."""
    found: dict[str, dict[Budget, Attacked]] = {query.row.name: {} for query in queries}
    fallen: dict[str, float] = {}
    for budget in sorted(plan.budgets, key=lambda one: one.l2(queries[0].pixels.size)):
        standing = [query for query in queries if query.row.name not in fallen]
        for query, outcome in zip(standing, _attempt(plan, gallery, standing, budget), strict=True):
            one = _judged(query.row, budget, outcome)
            found[query.row.name][budget] = one
            if one.l2 is not None:
                fallen[query.row.name] = one.l2
        for query in queries:
            if budget not in found[query.row.name]:
                found[query.row.name][budget] = Attacked(budget, True, fallen[query.row.name], ())
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
            seed=int(digest_json(["knn", plan.seed, query.row.name, str(budget)])[:8], 16),
            stem=f"{place:04d}",
        )
        for place, query in enumerate(queries)
    ]
    with _folder() as folder:
        return run_attack(
            ATTACK,
            VoteTarget(gallery, labels, plan.k),
            subjects,
            lambda images: [_verdict(plan, gallery, image) for image in images],
            effort=Effort(steps=plan.steps, restarts=plan.restarts),
            folder=folder,
            policy=DecodePolicy(),
            dtype=torch.float32,
        )


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="retr-knn-") as folder:
        yield Path(folder)


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
    return Attacked(budget, bool(wins), min(wins, default=None), tuple(dict.fromkeys(names)))


def _alarms(row: KnnRow, verdict: _Verdict, l2: float) -> Iterator[str]:
    broken = {
        "vote": (row.radius, verdict.predicted != row.predicted),
        "first": (row.retrieved.radius_first, verdict.first != row.label),
        "among": (row.retrieved.radius_among, row.label not in verdict.among),
    }
    return (name for name, (radius, gone) in broken.items() if gone and radius is not None and l2 < radius)
