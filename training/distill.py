"""``retr train distill``: a certified student learns to embed as a teacher does (LipSim's step 1, arXiv 2310.18274)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.types import Score
from ..embedding.model_file import save_model
from .context import RunContext
from .data import ImageStore, open_store
from .distill_jitter import JITTERS, jittered
from .distill_loss import LOSSES, relative_losses, rmse
from .epochs import Epochs
from .recipe import Stateless
from .starts import load_start, read_start
from .students import Student, named, parse_student
from .teacher import Teacher, as_images, at_size, load_teacher, stored_targets

EVALUATED = 512
"""Held-out images that an evaluation looks at, at most: the first of them."""
_EVALUATION = 2**32
"""Stands where a step would, for the jitter of the held-out images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillOptions:
    """What the recipe can be told.

    Attributes:
        teacher: spec of any embedder: ``timm:NAME``, ``dreamsim``, ``open_clip:NAME/TAG``, a model file, …
        student: spec of :func:`students.parse_student`; "" for that of ``start``, else ``retr_s``.
        start: folder of a run whose averaged weights to begin with.
        loss: ``rmse`` (the paper's) or ``relative`` distances with a free scale.
        jitter: a name of ``distill_jitter.JITTERS``.
        teacher_length: length every teacher embedding is brought to; 0 keeps its own.
        teacher_cache: GiB that the targets of the clean images may take on disk; beyond it they are computed anew
            every time. They are computed before the first step.
        side: side of the decoded images; 0 for the larger of the student's and the teacher's.
        pretrained: whether a ``timm:`` or ``open_clip:`` teacher has its published weights.
        score: how the shipped model's embeddings are compared.
    """

    teacher: str = ""
    student: str = ""
    start: Path | None = None
    loss: Literal["rmse", "relative"] = "rmse"
    jitter: Literal["paper", "affine"] = "paper"
    teacher_length: float = 1.0
    teacher_cache: float = 4.0
    side: int = 0
    pretrained: bool = True
    score: Score = "cosine"

    def __post_init__(self) -> None:
        if not self.teacher:
            raise UsageError("distill needs a teacher: timm:NAME, dreamsim, open_clip:NAME or a model file")
        if not (math.isfinite(self.teacher_cache) and self.teacher_cache >= 0):
            raise UsageError(f"teacher_cache is a number of GiB of at least 0, got {self.teacher_cache}")
        if self.side < 0:
            raise UsageError(f"side is a number of pixels, or 0, got {self.side}")


class DistillRecipe(Stateless):
    """Student, teacher and images.

    Args:
        options: of the recipe.
        student: what is trained.
        teacher: what it learns from.
        store: decoded images.
        stored: targets of all clean images, or None to compute them at every step.
        context: seed, batch and hold-out.
    """

    name = "distill"

    def __init__(
        self,
        options: DistillOptions,
        *,
        student: Student,
        teacher: Teacher,
        store: ImageStore,
        stored: npt.NDArray[np.float32] | None,
        context: RunContext,
    ) -> None:
        self.options, self.student, self.teacher, self.store, self.stored = options, student, teacher, store, stored
        self.seed = context.plan.seed
        train, held_out = store.split(self.seed, context.holdout_of(len(store)))
        self.held_out = held_out[:EVALUATED]
        if len(self.held_out) < 2:
            raise UsageError(f"{len(store)} images leave {len(held_out)} for evaluation; distill needs a holdout of 2")
        self.epochs = Epochs(train, batch=context.plan.batch, seed=self.seed)
        self.network: nn.Module = student.network(self.seed)
        self._kept: tuple[Tensor, Tensor] | None = None

    def batch(self, step: int) -> dict[str, Tensor]:
        """Clean and jittered views, and the targets of the clean ones where they are stored."""
        return self._views(self.epochs.at(step), step)

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The chosen loss over both views."""
        images = torch.cat([batch["clean"], batch["jittered"]])
        return LOSSES[self.options.loss](network(self._inputs(images)), self._targets(batch))

    @torch.no_grad()
    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Both losses' figures on held-out images; the score is the chosen loss, negated."""
        device = next(network.parameters()).device
        clean, jitter = (self._embedded(network, view, device) for view in self._held_out_views)
        t_clean, t_jitter = self._held_out_targets(device)
        relative = relative_losses(torch.cat([clean, jitter]), torch.cat([t_clean, t_jitter]))
        figures = {"rmse_clean": float(rmse(clean, t_clean)), "rmse_jittered": float(rmse(jitter, t_jitter))}
        figures |= {"relative": float(relative["loss"]), "scale": float(relative["scale"])}
        chosen = {"rmse": figures["rmse_clean"] + figures["rmse_jittered"], "relative": figures["relative"]}
        return {"score": -chosen[self.options.loss], **figures}

    def describe(self) -> dict[str, Any]:
        """Options and data."""
        o = self.options
        return {
            "student": self.student.as_json(),
            "start": None if o.start is None else str(o.start),
            "teacher": {**self.teacher.describe(), "stored": self.stored is not None},
            "loss": o.loss,
            "jitter": o.jitter,
            "score": o.score,
            "held_out": len(self.held_out),
            "data": self.store.describe(),
        }

    def export(self, network: nn.Module, path: Path, training_record: Mapping[str, Any]) -> None:
        """Write the model file."""
        embedder = self.student.shipped(network, self.options.score, path)
        embedder.name = named(self.name, embedder)
        teacher = self.teacher.embedder.spec
        card = {"purpose": f"a certified student of {teacher}", "loss": self.options.loss, "teacher": teacher}
        save_model(embedder, path, card, training=training_record)

    def _views(self, rows: npt.NDArray[np.int64], step: int) -> dict[str, Tensor]:
        clean = as_images(self.store.pixels[rows])
        jitter = jittered(clean, JITTERS[self.options.jitter], rng=np.random.default_rng([self.seed, step, 2]))
        views = {"clean": clean, "jittered": jitter}
        return views if self.stored is None else {**views, "targets": torch.from_numpy(self.stored[rows])}

    def _targets(self, batch: dict[str, Tensor]) -> Tensor:
        """(2b, dim): of the clean views, then of the jittered ones."""
        clean = batch["targets"] if "targets" in batch else self.teacher.targets(batch["clean"])
        return torch.cat([clean, self.teacher.targets(batch["jittered"])])

    def _inputs(self, images: Tensor) -> Tensor:
        return at_size(images, (self.student.side, self.student.side))

    def _embedded(self, network: nn.Module, images: Tensor, device: torch.device) -> Tensor:
        return torch.cat([network(self._inputs(part.to(device))).float() for part in images.split(64)])

    @cached_property
    def _held_out_views(self) -> tuple[Tensor, Tensor]:
        views = self._views(self.held_out, _EVALUATION)
        return views["clean"], views["jittered"]

    def _held_out_targets(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Asked of the teacher once."""
        if self._kept is None:
            clean, jitter = self._held_out_views
            self._kept = self.teacher.targets(clean.to(device)), self.teacher.targets(jitter.to(device))
        return self._kept


def build_distill(options: DistillOptions, context: RunContext) -> DistillRecipe:
    """The recipe, with teacher, images and stored targets.

    Raises:
        UsageError: for options or sources that cannot be.
        ModelError, WeightsUnavailable, IntegrityError: where the teacher cannot be loaded.
    """
    student, weights = _student(options)
    seed, length = context.plan.seed, options.teacher_length
    teacher = load_teacher(options.teacher, pretrained=options.pretrained, dim=student.dim, length=length, seed=seed)
    side = options.side or max(student.side, *teacher.embedder.input_size)
    store = open_store(
        context.sources, side=side, cache=context.cache, workers=context.workers, progress=context.progress
    )
    stored = _stored(options, teacher, store, context)
    recipe = DistillRecipe(options, student=student, teacher=teacher, store=store, stored=stored, context=context)
    if options.start is not None:
        load_start(recipe.network, weights, options.start)
    return recipe


def _student(options: DistillOptions) -> tuple[Student, dict[str, Tensor]]:
    begun, weights = (None, {}) if options.start is None else read_start(options.start)
    if options.student:
        return parse_student(options.student), weights
    return begun or parse_student("retr_s"), weights


def _stored(
    options: DistillOptions, teacher: Teacher, store: ImageStore, context: RunContext
) -> npt.NDArray[np.float32] | None:
    if len(store) * teacher.dim * 4 > options.teacher_cache * 2**30:
        return None
    device = "cuda" if torch.cuda.is_available() and context.plan.accelerator != "cpu" else "cpu"
    return stored_targets(teacher, store, folder=context.cache, device=device, progress=context.progress)
