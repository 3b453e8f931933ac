"""Small systems to plant faults in, and the audit that must see them; importable by every test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from drawn import Quiet
from PIL import Image
from torch import Tensor

from retr.attacks.harness import Effort, Subject, run_attack
from retr.attacks.media import as_pixels
from retr.attacks.registry import find_attack
from retr.core.types import Score, UpperBound
from retr.core.units import Radius
from retr.embedding.contract import Embedder
from retr.evaluation.robustness.attack_eval import run_attack_eval
from retr.evaluation.robustness.judging import alarms, top1_radius, verdict_radius
from retr.evaluation.robustness.plan import AuditPlan
from retr.evaluation.robustness.records import FORMAT
from retr.evaluation.robustness.rows import TOP
from retr.evaluation.systems.index_system import System
from retr.evaluation.systems.retrieval_target import Aim, Goal
from retr.images.decode import load
from retr.images.policy import DecodePolicy
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.snapshot import Threshold
from retr.indexer.vectors import RowStore
from retr.retrieval.channel import Channel
from retr.retrieval.engine import Engine

Picture = npt.NDArray[np.uint8]


class Claimed(Embedder):
    """An embedder that computes one thing and claims another: both are what the test says.

    Args:
        forward: (b, 3, h, w) in [0, 1] → (b, dim), in the dtype of its input.
        claim: the constant it states.
        input_size: (height, width).
        score: how rows are compared.
        rounding: its forward error in float64, as it states it.
    """

    def __init__(
        self,
        forward: Callable[[Tensor], Tensor],
        claim: UpperBound,
        *,
        input_size: tuple[int, int],
        score: Score = "cosine",
        rounding: float = 1e-12,
    ) -> None:
        self._forward, self._rounding = forward, rounding
        self.name = self.spec = "claimed"
        self.input_size, self.score = input_size, score
        self.lipschitz: UpperBound | None = claim
        self.uncertified_because: str | None = None
        self.digest = "0" * 64
        with torch.no_grad():
            self.dim = self._forward(torch.full((1, 3, *input_size), 0.5, dtype=torch.float64)).shape[1]

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(x)

    def rounding(self, dtype: torch.dtype) -> UpperBound | None:
        return UpperBound(self._rounding, "as stated") if dtype == torch.float64 else None


def draw_pictures(count: int, *, side: int = 16, low: int = 50, high: int = 206, coarse: int = 5) -> list[Picture]:
    """Smooth random pictures with values from low to about high, a different one for each number."""
    size = (side, side)
    blobs = (np.random.default_rng(n).integers(low, high, (coarse, coarse, 3), dtype=np.uint8) for n in range(count))
    return [np.asarray(Image.fromarray(blob).resize(size, Image.Resampling.BICUBIC)) for blob in blobs]


def save_pictures(folder: Path, pictures: Sequence[Picture]) -> tuple[str, ...]:
    """Write 000.png, 001.png, …; returns their paths."""
    folder.mkdir(parents=True)
    paths = [folder / f"{number:03d}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    return tuple(map(str, paths))


def small_index(
    home: Path, pictures: Sequence[Picture], *, model: str = "block-means:4", views: str = "none"
) -> Engine:
    """An index of pictures 000.png, 001.png, … in ``home/corpus``; item numbers follow that order."""
    save_pictures(home / "corpus", pictures)
    build_index(str(home / "corpus"), home / "index", IndexOptions(models=(model,), views=views, workers=1), Quiet())
    return Engine.open(home / "index", device="cpu")


def embedded_by(engine: Engine, embedder: Embedder, *, threshold: float | None = None) -> Engine:
    """The same gallery with the rows of another embedder: one unedited row per item, made along the float64 path.

    Args:
        engine: an index of one channel without views.
        embedder: certified or not.
        threshold: None for :func:`beyond_neighbours`.
    """
    gallery = engine.gallery
    empty = RowStore((), (0,), embedder.dim, embedder.score)
    channel = Channel(embedder.name, embedder, empty, gallery.groups, None)
    paths = gallery.catalog["path"].to_pylist()
    images = [load(Path(path), policy=engine.policy).pixels.astype(np.float64) / 255.0 for path in paths]
    rows = np.stack([channel.embed_query(image).z for image in images])
    if embedder.score == "cosine":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    store = RowStore((np.ascontiguousarray(rows, dtype=np.float32),), (0, len(rows)), embedder.dim, embedder.score)
    return with_rows(engine, replace(channel, store=store), threshold)


def with_rows(engine: Engine, channel: Channel, threshold: float | None = None) -> Engine:
    """An engine that searches this channel alone."""
    gallery = replace(engine.gallery, stores=(channel.store,))
    given = None if threshold is None else Threshold(threshold, "given", float("nan"), 0)
    chosen = given or beyond_neighbours(channel)
    return replace(engine, gallery=gallery, channels=(replace(channel, threshold=chosen),))


def beyond_neighbours(channel: Channel) -> Threshold:
    """One for all rows, just beyond the two rows that are nearest to each other."""
    rows = channel.rows64(np.arange(channel.store.rows))
    if channel.score == "cosine":
        near = float(np.max(rows @ rows.T - 4.0 * np.eye(len(rows))))
        return Threshold(min(1.0, float(np.nextafter(near, 2.0))), "given", None, len(rows))
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2) + 1e9 * np.eye(len(rows))
    return Threshold(float(np.nextafter(apart.min(), 0.0)), "given", None, len(rows))


@dataclass(frozen=True)
class Found:
    """What an audit found.

    Attributes:
        alarms: certificates broken.
        certificates: how many were attacked.
        kinds: which parts of the answers broke.
    """

    alarms: int
    certificates: int
    kinds: frozenset[str]


def audit(engine: Engine, folder: Path, **choices: Any) -> Found:
    """``retr attack-eval`` on every item of a small index, unedited, at multiples of each certified radius.

    Args:
        engine: the system.
        folder: for the records; must not exist.
        choices: fields of ``AuditPlan`` that are to differ from that.
    """
    usual = {"sample": None, "edits": ("identity",), "attacks": ("apgd-l2",), "at_radius": (0.5, 0.9), "steps": 20}
    result = run_attack_eval(engine, AuditPlan(**(usual | choices), out=folder))
    records = FORMAT.read(result.records).table.to_pylist()
    alarmed = [record for record in records if record["alarm"]]
    kinds = frozenset(kind for record in alarmed for kind in record["alarm_kind"].split("+"))
    assert result.summary.alarms == len(alarmed)
    attacked = sum(record["within_top1"] or record["within_verdict"] for record in records)
    return Found(len(alarmed), attacked, kinds)


def press(
    system: System, pictures: Sequence[Picture], folder: Path, *, goal: Goal, share: float, steps: int = 100
) -> Found:
    """The audit's own harness and alarms on any system, with an attack in float64: for what the plain audit cannot ask.

    Args:
        system: certified.
        pictures: queries of one shape.
        folder: for the images; must not exist.
        goal: evasion or verdict.
        share: of each certified radius, the budget of its attack.
        steps: of APGD in ℓ2.
    """
    folder.mkdir()
    clean = system.answer_many([as_pixels(picture) for picture in pictures], k=TOP, certify=True)
    radii = [verdict_radius(answer) if goal == "verdict" else top1_radius(answer) for answer in clean]
    work = [n for n, radius in enumerate(radii) if radius is not None and radius.l2 > 0]
    subjects = [Subject(pictures[n], share * _l2(radii[n]), n, f"{n:03d}") for n in work]
    aims = [Aim(clean[n].matches[0].group, copy=clean[n].point_verdict == "copy") for n in work]
    outcomes = run_attack(
        find_attack("apgd-l2"),
        system.target(aims, goal, sees="gradient"),
        subjects,
        lambda images: system.answer_many(images, k=TOP),
        effort=Effort(steps=steps),
        folder=folder,
        policy=DecodePolicy(),
    )
    broken = [
        alarms(clean[n], trial.verdict, trial.distance.l2)
        for n, outcome in zip(work, outcomes, strict=True)
        for trial in outcome.trials
    ]
    kinds = frozenset(kind for kinds in broken for kind in kinds)
    return Found(sum(map(bool, broken)), len(broken), kinds)


def _l2(radius: Radius | None) -> float:
    assert radius is not None
    return radius.l2
