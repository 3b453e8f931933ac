"""The numbers of a training run that do not depend on what is trained."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..core.errors import UsageError

Precision = Literal["32", "bf16", "tf32"]
Accelerator = Literal["auto", "cpu", "cuda"]
PRECISIONS: tuple[Precision, ...] = ("32", "bf16", "tf32")
ACCELERATORS: tuple[Accelerator, ...] = ("auto", "cpu", "cuda")

FIXED = ("steps", "batch", "lr", "warmup", "weight_decay", "clip", "ema", "precision", "seed")
"""What decides the weights; a resumed run must have the same. The rest may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """How long, how fast, how often.

    Attributes:
        steps: updates in all; also the length of the cosine schedule.
        batch: items in a batch of one process.
        lr: highest learning rate.
        warmup: steps of linear warm-up.
        weight_decay: of AdamW, on parameters of two or more dimensions.
        clip: largest ℓ2 norm of the gradient; 0 for none.
        ema: decay of the averaged weights, 0 to below 1; 0 follows the weights.
        precision: of the network's forward and backward pass: float32, autocast to bfloat16, or TF32 products.
        seed: of everything random.
        evaluate_every: steps between evaluations; 0 for one at the end only.
        checkpoint_every: steps between checkpoints; 0 for one at the end only.
        log_every: steps between rows of the log.
        devices: processes expected (one a device); started by ``torchrun``.
        accelerator: auto takes a GPU if there is one.
        minutes: be done after so long, the opening of data and the last evaluation included, after at least one step;
            the schedule stays that of steps. An evaluation is made after a quarter of the time, if none was before.
        prefetch: threads that make batches ahead.
    """

    steps: int
    batch: int
    lr: float = 2e-3
    warmup: int = 100
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema: float = 0.999
    precision: Precision = "32"
    seed: int = 0
    evaluate_every: int = 500
    checkpoint_every: int = 500
    log_every: int = 20
    devices: int = 1
    accelerator: Accelerator = "auto"
    minutes: float | None = None
    prefetch: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "log_every", "devices", "prefetch"):
            _check_whole(name, getattr(self, name), least=1)
        for name in ("warmup", "evaluate_every", "checkpoint_every", "seed"):
            _check_whole(name, getattr(self, name), least=0)
        for name in ("weight_decay", "clip"):
            _check_range(name, getattr(self, name), low=0.0, high=math.inf)
        _check_range("lr", self.lr, low=math.ulp(0.0), high=math.inf)
        _check_range("ema", self.ema, low=0.0, high=math.nextafter(1.0, 0.0))
        if self.minutes is not None:
            _check_range("minutes", self.minutes, low=0.0, high=math.inf)
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("accelerator", self.accelerator, ACCELERATORS)

    def as_json(self) -> dict[str, Any]:
        """The numbers by name."""
        return asdict(self)

    def require_same(self, other: dict[str, Any]) -> None:
        """Refuse to go on with a run of another plan.

        Args:
            other: :meth:`as_json` of the plan that the run was begun with.

        Raises:
            UsageError: naming every number that decides the weights and differs.
        """
        mine = self.as_json()
        odd = [f"{name} {other.get(name)} → {mine[name]}" for name in FIXED if other.get(name) != mine[name]]
        if odd:
            raise UsageError(f"the run was begun with another plan ({'; '.join(odd)}); use the same, or another folder")


def _check_whole(name: str, value: object, *, least: int) -> None:
    if type(value) is not int or value < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, got {value!r}")


def _check_range(name: str, value: float, *, low: float, high: float) -> None:
    if not isinstance(value, int | float) or not (math.isfinite(value) and low <= value <= high):
        above = "positive" if low > 0 else "at least 0"
        limit = "" if math.isinf(high) else " and below 1"
        raise UsageError(f"{name} must be a finite number, {above}{limit}, got {value!r}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name} is one of {', '.join(choices)}; got {value!r}")
