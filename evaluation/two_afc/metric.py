"""Metrics as systems that judge triplets and can be attacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...core.errors import UsageError
from ...embedding.contract import Embedder
from ...embedding.registry import load_embedder
from ...images.resize import resize_operator
from ...metrics.contract import Features, Metric
from ...metrics.embedders import ZERO_LENGTH
from ...metrics.registry import load_metric

Array = npt.NDArray[np.float64]
Device = Literal["cpu", "cuda"]
_RETR = "retr:"
_VALUES_AT_ONCE = 3_000_000
"""Values of images that are compared at a time."""
_KEPT_VALUES = 2**28
"""Numbers that features of images which do not move may take: 1 GiB. Beyond, they are computed at every step."""


class Comparer(Protocol):
    """A distance in two steps, so that images which do not move are encoded once."""

    def encode(self, x: Tensor) -> Tensor:
        """(b, 3, H, W) → what the distance is taken of, differentiable."""
        ...

    def compare(self, reference: Tensor, image: Tensor) -> Tensor:
        """Two of those → (b,) distances."""
        ...


@dataclass(frozen=True)
class System:
    """A loaded metric.

    Attributes:
        metric: itself, which judges.
        embedder: what stands behind a ``retr:`` metric.
        attacked: the same one, where attacks compute.
        device: where attacks compute.
        judged_on: where the metric and the embedder are: the CPU for a certified one, as proofs speak of its float64.
    """

    metric: Metric
    embedder: Embedder | None
    attacked: Embedder | None
    device: Device
    judged_on: Device

    @property
    def spec(self) -> str:
        """What rebuilds it."""
        return self.metric.spec

    @property
    def certified(self) -> bool:
        """Whether its judgements can have radii."""
        return self.embedder is not None and self.embedder.lipschitz is not None

    def comparer(self, images: Tensor) -> Comparer:
        """The distance as attacks see it, for triplets of a shape; ``images`` (b, 3, H, W) are one part of them."""
        if self.attacked is not None:
            return _Embeddings(self.attacked)
        features = self.metric.features
        if features is not None:
            with torch.no_grad():
                each = features(images[:1].to(self.device, torch.float32)).numel()
            if 3 * len(images) * each <= _KEPT_VALUES:  # reference and two candidates
                return _Features(features)
        return _Pairs(self.metric)

    def distances(self, reference: Tensor, image: Tensor) -> Array:
        """(b,) distances of float64 images (b, 3, H, W), as the metric itself gives them."""
        each = max(1, _VALUES_AT_ONCE // reference[0].numel())
        parts = []
        with torch.no_grad():
            for start in range(0, len(reference), each):
                pair = (x[start : start + each].to(self.judged_on) for x in (reference, image))
                parts.append(self.metric.distance(*pair).double().cpu().numpy())
        return np.concatenate(parts)

    def describe(self) -> dict[str, Any]:
        """Plain JSON for the records' facts."""
        facts = self.metric.facts
        return {
            "spec": self.spec,
            "title": facts.title,
            "certified": self.certified,
            "uncertified_because": _why_not(self.embedder),
            "score": None if self.embedder is None else self.embedder.score,
            "differentiable": facts.differentiable,
            "source": facts.source,
            "licence": facts.licence,
            "digest": None if self.embedder is None else self.embedder.digest,
        }


def load_system(spec: str, *, device: str) -> System:
    """Load a metric and, for ``retr:MODEL``, its embedder.

    Raises:
        UsageError, ModelError, WeightsUnavailable: as ``load_metric``.
    """
    place = choose_device(device)
    metric = load_metric(spec)
    if not metric.spec.startswith(_RETR):
        return System(metric.to(place), None, None, place, place)
    model = metric.spec.removeprefix(_RETR)
    embedder = load_embedder(model)
    if embedder.lipschitz is None or place == "cpu":
        return System(metric.to(place), embedder.to(place), embedder, place, place)
    return System(metric, embedder, load_embedder(model, device=place), place, "cpu")


def choose_device(device: str) -> Device:
    """Resolve ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: another word, or cuda where torch sees none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {device!r}; choose auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda: torch sees no GPU")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def check_side(system: System, side: int | None) -> None:
    """Refuse images that a metric cannot take; None for images of any size.

    Raises:
        UsageError: naming metric, side and the least side.
    """
    least = system.metric.facts.smallest_side
    if side is not None and side < least:
        raise UsageError(f"{system.spec} needs sides of at least {least} pixels, and the triplets have {side}")


@dataclass(frozen=True)
class _Pairs:
    """A metric that is asked about pairs; nothing can be encoded ahead."""

    metric: Metric

    def encode(self, x: Tensor) -> Tensor:
        return x

    def compare(self, reference: Tensor, image: Tensor) -> Tensor:
        return self.metric.distance(reference, image)


@dataclass(frozen=True)
class _Features:
    """A metric whose distance is a squared distance of features."""

    features: Features

    def encode(self, x: Tensor) -> Tensor:
        return self.features(x)

    def compare(self, reference: Tensor, image: Tensor) -> Tensor:
        return (reference - image).square().sum(dim=1)


@dataclass(frozen=True)
class _Embeddings:
    """Distances of embeddings: for a cosine score ½‖u − v‖² of unit rows, which is 1 − cos.

    In float32 the difference of 1 and a cosine near 1 has no digits left, and the square keeps them all.
    """

    embedder: Embedder

    def encode(self, x: Tensor) -> Tensor:
        resize = resize_operator((x.shape[-2], x.shape[-1]), self.embedder.input_size)
        z = self.embedder.forward(resize.apply(x))
        if self.embedder.score == "euclidean":
            return z
        return z / torch.linalg.vector_norm(z, dim=1, keepdim=True).clamp(min=ZERO_LENGTH)

    def compare(self, reference: Tensor, image: Tensor) -> Tensor:
        if self.embedder.score == "euclidean":
            return torch.linalg.vector_norm(reference - image, dim=1)
        return 0.5 * (reference - image).square().sum(dim=1)


def _why_not(embedder: Embedder | None) -> str | None:
    """Why no judgement has a radius; None where they can have one."""
    return "no Lipschitz constant is proved" if embedder is None else embedder.uncertified_because
