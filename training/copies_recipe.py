"""The recipe ``copies``: learn to find edited copies, with the certificate as the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.files import digest_json
from ..core.types import Score
from ..embedding.model_file import save_model
from ..embedding.network import NetworkEmbedder, describe_tensors
from ..embedding.retr_network import RETR_S, RetrArchitecture, RetrNetwork, retr_blueprint
from .context import RunContext
from .copies_edits import EditChances, edit_batch, to_input
from .copies_evaluation import Held, evaluate_copies
from .copies_loss import CopiesLoss, Margins, copies_loss, nearest_others
from .data import ImageStore, open_store
from .hard_groups import HardGroups, find_neighbours
from .starts import averaged_weights, load_shallower
from .students import named

_THRESHOLDS: dict[Score, float] = {"cosine": 0.4, "euclidean": 8.0}
"""Fixed, not learned: a learned angle runs away to 0, the embedding to one direction, and the cone to a ball."""
_SETTLE = 512
"""Images that set the channel means of the averaged weights, about."""
_GALLERY_EDITS = EditChances(
    crop=0.5, frame=0.25, rotation=0.3, flip=0.25, blur=0.1, cover=0.0, colour=0.0, grey=0.0, noise=0.0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesOptions:
    """What the recipe can be told.

    Attributes:
        image: side of the network's input, in pixels.
        patch: factor of its first pixel-unshuffle.
        widths: channels of each stage.
        depths: blocks of each stage.
        layer: kind of layer (``embedding.retr_network.LAYERS``).
        activation: ``maxmin`` or ``abs``.
        dim: length of the embedding.
        head: kind of the last layer (``embedding.retr_network.HEADS``).
        centring: where the embedding has its origin (``embedding.retr_network.CENTRINGS``).
        score: how rows are compared: ``cosine`` or ``euclidean``.
        epsilon: radius that the loss asks for, RMSE in grey levels.
        temperature: t of the loss in grey levels; None for ε/4.
        threshold: the one threshold that the loss asks all queries to keep: half-angle in radians (cosine) or distance
            in grey levels (Euclidean); None for 0.4 or 8.
        threshold_weight: of the threshold term against the ranking term.
        queue: rows of earlier steps that every query must also beat.
        hard: share of a batch that comes in groups of look-alikes (``training.hard_groups``), in [0, 1].
        group: images in a group.
        gallery_edits: share of steps whose gallery rows are edited too, as the rows of stored views are.
        source_side: side at which images are cached, before edits; at least ``image``.
        start: folder of a run of this recipe whose averaged weights to begin with; its network may have fewer blocks.
        name: of the model in its file; "" for ``copies-`` and the first digits of its digest.
    """

    image: int = RETR_S.image
    patch: int = RETR_S.patch
    widths: tuple[int, ...] = RETR_S.widths
    depths: tuple[int, ...] = RETR_S.depths
    layer: str = RETR_S.layer
    activation: str = RETR_S.activation
    dim: int = RETR_S.dim
    head: str = RETR_S.head
    centring: str = RETR_S.centring
    score: Score = "cosine"
    epsilon: float = 4.0
    temperature: float | None = None
    threshold: float | None = None
    threshold_weight: float = 0.5
    queue: int = 0
    hard: float = 0.0
    group: int = 4
    gallery_edits: float = 0.0
    source_side: int = 96
    start: Path | None = None
    name: str = ""

    def __post_init__(self) -> None:
        for field in ("epsilon", "temperature", "threshold"):
            value = getattr(self, field)
            if value is not None and not value > 0:
                raise UsageError(f"{field} must be positive, got {value}")
        if self.threshold_weight < 0 or self.queue < 0 or not 0 <= self.gallery_edits <= 1:
            raise UsageError("threshold_weight and queue must be at least 0, and gallery_edits between 0 and 1")
        if not 0 <= self.hard <= 1 or self.group < 2:
            raise UsageError("hard must be between 0 and 1, and group at least 2")
        if self.source_side < self.image:
            raise UsageError(f"source_side {self.source_side} is below the network's input of {self.image} pixels")

    @property
    def architecture(self) -> RetrArchitecture:
        """The network's shape."""
        names = (field.name for field in fields(RetrArchitecture))
        return RetrArchitecture(**{name: getattr(self, name) for name in names})

    @property
    def margins(self) -> Margins:
        """What the loss asks for."""
        unit = 255.0 / math.sqrt(3 * self.image**2)
        temperature = self.temperature or self.epsilon / 4
        threshold = self.threshold or _THRESHOLDS[self.score]
        return Margins(self.epsilon, temperature, unit, threshold, self.threshold_weight, self.score)


class CopiesRecipe:
    """Queries are edited views, rows are the images; the loss is written on T1 and T5 (``training.copies_loss``).

    Args:
        options: what it was told.
        store: the images.
        batch: items in a batch.
        seed: of draws, weights and the hold-out.
        holdout: images kept for evaluation.

    Raises:
        UsageError: for too few images, or weights to start from that are not there or of another network.
    """

    name = "copies"

    def __init__(self, options: CopiesOptions, store: ImageStore, *, batch: int, seed: int, holdout: int) -> None:
        self.options, self.store, self.seed = options, store, seed
        rows, held = store.split(seed, holdout)
        if len(rows) < max(batch, 2):
            raise UsageError(
                f"a batch of {batch} needs as many images to train on; there are {len(rows)}: ask for a smaller batch"
            )
        self._rows, self._size = torch.from_numpy(rows), batch
        self._aspect = torch.from_numpy(store.aspect.copy())
        self._held = Held(self._pixels(torch.from_numpy(held)), self._aspect[held], self._pixels(self._rows[:8000]))
        self.network: nn.Module = RetrNetwork(options.architecture, generator=torch.Generator().manual_seed(seed))
        self._queue = torch.zeros(0, options.dim)
        self._start = None if options.start is None else self._begin_from(options.start)
        self._groups = self._find_groups()

    def batch(self, step: int) -> dict[str, Tensor]:
        """Edited and clean views of images drawn without repetition: ``queries`` and ``items`` (b, 3, s, s)."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        chosen = self._groups.draw(self._size, generator)
        pixels, aspect, side = self._pixels(chosen), self._aspect[chosen], self.options.image
        queries = edit_batch(pixels, aspect, side=side, generator=generator)
        if float(torch.rand((), generator=generator)) < self.options.gallery_edits:
            items = edit_batch(pixels, aspect, side=side, generator=generator, chances=_GALLERY_EDITS)
        else:
            items = to_input(pixels, side)
        return {"queries": queries, "items": items}

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The loss of ``training.copies_loss``; fills the queue.

        ``nearest_1_percent``: 1 % of the items have another row at least so near, in the units of the threshold.
        """
        embedded = network(torch.cat((batch["queries"], batch["items"])))
        queries, items = embedded.chunk(2)
        queue = self._queue.to(items.device)
        result = copies_loss(queries, items, queue, self.options.margins)
        nearest = nearest_others(torch.cat((items.detach(), queue)), len(items), self.options.margins)
        if bool(result.loss.isfinite()):
            self._queue = torch.cat((items.detach().float().cpu(), self._queue))[: self.options.queue]
        return {**_logged(result), "nearest_1_percent": nearest.quantile(0.01)}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Recall, clean and certified, of edited views of the images held out."""
        self._settle(network)
        return evaluate_copies(network, self._held, self.options.margins, side=self.options.image)

    def state(self) -> dict[str, Tensor]:
        """The queue."""
        return {"queue": self._queue}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The reverse of :meth:`state`."""
        self._queue = state["queue"].clone()

    def describe(self) -> dict[str, Any]:
        """Options and data."""
        return {
            **asdict(self.options),
            "widths": list(self.options.widths),
            "depths": list(self.options.depths),
            "start": self._start,
            "held_out": len(self._held.pixels),
            "data": self.store.describe(),
        }

    def export(self, network: nn.Module, path: Path, training_record: Mapping[str, Any]) -> None:
        """Fold and write the model file."""
        assert isinstance(network, RetrNetwork)
        self._settle(network)
        blueprint = retr_blueprint(self.options.architecture, self.options.score)
        embedder = NetworkEmbedder(network.fold(), blueprint, name=self.options.name, spec=str(path))
        embedder.name = self.options.name or named(self.name, embedder)
        card = {"purpose": "finding edited copies of images, with certified radii", "recipe": self.name}
        save_model(embedder, path, card, training=training_record)

    def _begin_from(self, run: Path) -> dict[str, Any]:
        """Take a run's averaged weights; says which they were, without a path of this machine."""
        weights = averaged_weights(run)[1]
        assert isinstance(self.network, RetrNetwork)
        load_shallower(self.network, weights, run)
        if self.options.centring == "homogeneous":
            self.network.drop_constants()
        return {"run": run.resolve().name, "weights": digest_json(describe_tensors(weights))}

    def _find_groups(self) -> HardGroups:
        """Look-alikes under the weights that training begins with; none where no groups are asked for."""
        neighbours = torch.zeros(len(self._rows), 0, dtype=torch.int32)
        if self.options.hard > 0:
            neighbours = find_neighbours(self.network, self.store, self._rows, side=self.options.image)
        return HardGroups(self._rows, neighbours, self.options.group, self.options.hard)

    def _settle(self, network: nn.Module) -> None:
        """The averaged weights have other channel means than those that were trained."""
        assert isinstance(network, RetrNetwork)
        sample = to_input(self._pixels(self._rows[:: max(1, len(self._rows) // _SETTLE)]), self.options.image)
        network.settle(sample.to(next(network.parameters()).device))

    def _pixels(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(self.store.pixels[rows.numpy()])


def build_copies(options: CopiesOptions, context: RunContext) -> CopiesRecipe:
    """The recipe with its images opened.

    Raises:
        UsageError: for too few images, or weights to start from that are not there or of another network.
    """
    store = open_store(
        context.sources,
        side=options.source_side,
        cache=context.cache,
        workers=context.workers,
        progress=context.progress,
    )
    holdout = context.holdout_of(len(store))
    return CopiesRecipe(options, store, batch=context.plan.batch, seed=context.plan.seed, holdout=holdout)


def _logged(result: CopiesLoss) -> dict[str, Tensor]:
    return {name: getattr(result, name) for name in ("loss", "ranking", "verdicts", "recall", "certified")}
