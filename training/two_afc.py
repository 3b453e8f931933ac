"""``retr train 2afc``: which of two images do people find nearer to a third? (LipSim's step 2, arXiv 2310.18274)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.progress import Progress
from ..core.units import to_l2
from ..datasets.layouts import load_triplets
from ..datasets.nights import MIN_VOTES
from ..datasets.specs import AUTO, read_spec
from ..datasets.synthetic import LAYOUT as SYNTHETIC
from ..embedding.model_file import save_model
from .context import RunContext
from .epochs import Epochs
from .recipe import Stateless
from .starts import load_start, read_start
from .students import Student, named, parse_student
from .teacher import as_images
from .two_afc_certify import figures, judge
from .two_afc_data import TripletPixels, open_triplets
from .two_afc_loss import cosine_difference, half_space_distance, hinge
from .two_afc_made import MadeTriplets, open_made

MARGIN_LEVELS, MARGIN_PUBLISHED = 1.0, 0.2
"""Usual margins: RMSE in 8-bit levels; a difference of cosines, as in the authors' command."""
JUDGED = 500
"""Held-out triplets that an evaluation looks at, unless told otherwise."""
CERTIFICATES = {
    False: "T1 with two rows: the unnormalised reference against unit candidates",
    True: "trained for the paper's normalised form (arXiv 2310.18274), whose radius holds only where the embedding is "
    "no shorter than 1 on the whole ball; figures named published_ are by it, all others by T1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoAFCOptions:
    """What the recipe can be told.

    Attributes:
        published: the paper's normalised hinge instead of the sound one.
        margin: None for the usual one; RMSE in 8-bit levels of the reference, or with ``published`` a difference of
            cosines.
        student: spec of :func:`students.parse_student`; "" for that of ``start``, else ``retr_s``.
        start: folder of a run (step 1, ``distill``) whose averaged weights to begin with.
        layout: nights, bapps, or told by content.
        train_split: what to train on.
        val_split: what to evaluate on.
        kinds: kinds of distortion, of BAPPS (both splits must have them) and of triplets made here; all where empty.
        made: triplets to make of photographs (``synthetic:FOLDER``), a tenth of them held out.
        min_votes: NIGHTS only: rows with fewer judges are skipped.
        eps: RMSE levels at which accuracy is certified; the score is that at the first, or with ``published`` the
            accuracy.
    """

    published: bool = False
    margin: float | None = None
    student: str = ""
    start: Path | None = None
    layout: Literal["auto", "nights", "bapps"] = "auto"
    train_split: str = "train"
    val_split: str = "val"
    kinds: tuple[str, ...] = ()
    made: int = 2_000
    min_votes: int = MIN_VOTES
    eps: tuple[float, ...] = (0.5, 1.0, 2.0)

    def __post_init__(self) -> None:
        if self.margin is not None and not (math.isfinite(self.margin) and self.margin >= 0):
            raise UsageError(f"the margin must be finite and at least 0, got {self.margin}")
        if not self.eps or any(not math.isfinite(level) or level < 0 for level in self.eps):
            raise UsageError(f"eps takes finite RMSE levels of at least 0, got {self.eps}")
        if self.made < 1:
            raise UsageError(f"made is the number of triplets to make, at least 1, got {self.made}")


class TwoAFCRecipe(Stateless):
    """Student and triplets.

    Args:
        options: of the recipe.
        student: what is trained.
        train: triplets to learn from.
        held_out: triplets to evaluate on.
        context: seed, batch, and how many triplets of ``held_out`` to look at (:data:`JUDGED`), drawn once.
    """

    name = "2afc"

    def __init__(
        self,
        options: TwoAFCOptions,
        *,
        student: Student,
        train: TripletPixels,
        held_out: TripletPixels,
        context: RunContext,
    ) -> None:
        self.options, self.student, self.train, self.held_out = options, student, train, held_out
        seed = context.plan.seed
        self.epochs = Epochs(np.arange(len(train)), batch=context.plan.batch, seed=seed)
        order = np.random.default_rng([seed, len(held_out), 3]).permutation(len(held_out))
        self.judged = np.sort(order[: JUDGED if context.holdout is None else context.holdout])
        if not len(self.judged):
            raise UsageError("an evaluation needs at least one triplet; raise holdout")
        self.margin = self._margin()
        self.network: nn.Module = student.network(seed)

    def batch(self, step: int) -> dict[str, Tensor]:
        """References, left and right candidates one after the other, and what people preferred."""
        which = self.epochs.at(step)
        preference = torch.from_numpy(self.train.preference[which])
        return {"images": as_images(self.train.pixels(which)), "preference": preference}

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The hinge, and how often the network agrees with most people."""
        rows = network(batch["images"].float() / 255.0).chunk(3)
        value = cosine_difference(*rows) if self.options.published else half_space_distance(*rows)
        preference = batch["preference"]
        loss = hinge(value, preference, margin=self.margin, weighted=not self.options.published)
        decided = preference != 0.5
        agree = ((value > 0) == (preference > 0.5)) & decided
        return {"loss": loss, "accuracy": agree.sum() / decided.sum().clamp_min(1)}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Accuracy on held-out triplets, and certified accuracy of the folded network, in float64."""
        images = as_images(self.held_out.pixels(self.judged))
        judged = judge(self.student.shipped(network, "cosine"), images, self.held_out.preference[self.judged])
        named = figures(judged, self.options.eps, published=self.options.published)
        first = named["accuracy"] if self.options.published else judged.certified(self.options.eps[0])
        return {"score": first, **named}

    def describe(self) -> dict[str, Any]:
        """Options and data."""
        o = self.options
        return {
            "student": self.student.as_json(),
            "start": None if o.start is None else str(o.start),
            "published": o.published,
            "margin": self.margin,
            "eps": list(o.eps),
            "judged": len(self.judged),
            "certificate": CERTIFICATES[o.published],
            "data": self.train.describe(),
            "held_out": self.held_out.describe(),
        }

    def export(self, network: nn.Module, path: Path, training_record: Mapping[str, Any]) -> None:
        """Write the model file."""
        card = {
            "purpose": "perceptual similarity as people judge it",
            "certificate": CERTIFICATES[self.options.published],
        }
        embedder = self.student.shipped(network, "cosine", path)
        embedder.name = named(self.name, embedder)
        save_model(embedder, path, card, training=training_record)

    def _margin(self) -> float:
        """In the units of the loss: embedding units (L ≤ 1, so pixels of the S×S reference), or cosines."""
        if self.options.published:
            return MARGIN_PUBLISHED if self.options.margin is None else self.options.margin
        level = MARGIN_LEVELS if self.options.margin is None else self.options.margin
        return to_l2(level, "rmse", 3 * self.student.side**2)


def build_two_afc(options: TwoAFCOptions, context: RunContext) -> TwoAFCRecipe:
    """The recipe, with its triplets; the source is a data set's folder, ``LAYOUT:FOLDER``, or ``synthetic:FOLDER``.

    Raises:
        UsageError: for options that cannot be, or a source that is no 2AFC data set.
    """
    if len(context.sources) != 1:
        raise UsageError(f"2afc trains on one data set; {len(context.sources)} sources were given")
    begun, weights = (None, {}) if options.start is None else read_start(options.start)
    student = parse_student(options.student) if options.student else begun or parse_student("retr_s")
    train, held_out = (_opened(options, split, student, context) for split in (options.train_split, options.val_split))
    recipe = TwoAFCRecipe(options, student=student, train=train, held_out=held_out, context=context)
    if options.start is not None:
        load_start(recipe.network, weights, options.start)
    return recipe


def _opened(options: TwoAFCOptions, split: str, student: Student, context: RunContext) -> TripletPixels:
    layout, folder = read_spec(str(context.sources[0]))
    told: _Told = {"cache": context.cache, "workers": context.workers, "progress": context.progress}
    if layout == SYNTHETIC:
        seed, count = context.plan.seed, options.made
        wanted = MadeTriplets(folder=folder, side=student.side, count=count, kinds=options.kinds, seed=seed)
        return open_made(wanted, split, **told)
    layout = options.layout if layout == AUTO else layout
    data = load_triplets(folder, split=split, layout=layout, min_votes=options.min_votes, kinds=options.kinds)
    return open_triplets(data, side=student.side, **told)


class _Told(TypedDict):
    cache: Path
    workers: int
    progress: Progress | None
