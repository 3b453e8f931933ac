"""A perceptual metric as a function of two batches."""

from __future__ import annotations

from typing import Self, final

from torch import Tensor

from ..metrics import contract
from ..metrics.contract import Facts
from ..metrics.registry import load_metric as load
from .model import require_batch
from .words import speaks_of_parameters


@speaks_of_parameters
def load_metric(spec: str, *, device: str = "cpu") -> Metric:
    """Load a perceptual metric.

    >>> import retr, torch
    >>> metric, x = retr.load_metric("ms-ssim"), torch.rand(1, 3, 176, 176)
    >>> float(metric(x, x))
    0.0

    Args:
        spec: a name as in ``retr metrics list`` (``lpips-alex``, ``ssim``, ``retr:retr_s``, …).
        device: where its weights go.

    Raises:
        UsageError: nothing is called so; the message names close ones.
        ModelError: a package or a file is missing; WeightsUnavailable where weights cannot be fetched.
    """
    return Metric(load(spec, device=device))


@final
class Metric:
    """A distance of images, lower = closer.

    Args:
        metric: what computes it.
    """

    def __init__(self, metric: contract.Metric) -> None:
        self._metric = metric

    @property
    def name(self) -> str:
        """What people write."""
        return self._metric.name

    @property
    def spec(self) -> str:
        """What :func:`load_metric` rebuilds it from."""
        return self._metric.spec

    @property
    def facts(self) -> Facts:
        """Its source, range, smallest image, licence, and whether gradients flow."""
        return self._metric.facts

    def __call__(self, ref: Tensor, img: Tensor) -> Tensor:
        """Distances of pairs.

        Args:
            ref: (b, 3, h, w) in [0, 1], float32 or float64: the reference. Not every metric is symmetric.
            img: the same shape and type: what is compared with it.

        Returns:
            (b,), differentiable where ``facts.differentiable``.

        Raises:
            UsageError: shapes, types or ranges that do not fit.
        """
        for x in (ref, img):
            require_batch(x, f"metric {self.name}")
        return self._metric.distance(ref, img)

    def to(self, device: str) -> Self:
        """Move the weights; returns self."""
        self._metric.to(device)
        return self

    def __repr__(self) -> str:
        return f"Metric({self.spec!r}: {self.facts.title})"
