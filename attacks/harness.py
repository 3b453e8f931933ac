"""Runs attacks, and takes nothing on trust from them.

The harness owns budgets, restarts, seeds and counts. Whatever an attack returns is projected again in float64, saved,
loaded again and measured, and only the judge's word on the loaded image counts. It knows nothing about indexes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..core.errors import UsageError
from ..images.policy import DecodePolicy
from .media import Bytes, Distance, Medium, Pixels, as_pixels, measure, save_float, save_png, to_bytes
from .projections import Norm, project
from .registry import Attack
from .target import Target, limited
from .weakness import Weakness, weaknesses

V = TypeVar("V")
Judge = Callable[[Sequence[Pixels]], Sequence[V]]


@dataclass(frozen=True)
class Subject:
    """One image to attack.

    Attributes:
        pixels: (H, W, 3) uint8, as decoded.
        eps: radius of its ball, in the attack's norm, ≥ 0; a number of pixels for ``l0``; not used for ``none``.
        seed: an integer ≥ 0, for its random starts.
        stem: name of its files, unique within a folder.
        start: an image of the same shape that is believed to win, for attacks that see decisions alone: a collision
            begins with the image it shall collide with. Without one they look for one themselves.
    """

    pixels: Bytes
    eps: float
    seed: int
    stem: str
    start: Bytes | None = None


@dataclass(frozen=True)
class Effort:
    """How hard an attack tries.

    Attributes:
        steps: gradient steps per start.
        restarts: random starts.
        stop_on_success: stop on a sample once the attack's own loss says that it has won.
        queries: evaluations of the loss per start, for attacks that see no gradient.
    """

    steps: int = 50
    restarts: int = 1
    stop_on_success: bool = True
    queries: int = 1000

    def __post_init__(self) -> None:
        if min(self.steps, self.restarts, self.queries) < 1:
            raise UsageError(
                f"an attack needs ≥ 1 step, ≥ 1 start and ≥ 1 query, got {self.steps}, {self.restarts}, {self.queries}"
            )

    def steps_of(self, attack: Attack) -> int:
        """What the attack is given as ``steps``."""
        return self.steps if attack.sees == "gradient" else self.queries


@dataclass(frozen=True)
class Trial(Generic[V]):
    """One adversarial image as it lies on disk.

    Attributes:
        medium: ``float`` or ``png``.
        path: the file.
        distance: measured between the loaded file and the clean image.
        verdict: what the judge said of the loaded file.
    """

    medium: Medium
    path: Path
    distance: Distance
    verdict: V


@dataclass(frozen=True)
class Outcome(Generic[V]):
    """What became of one subject.

    Attributes:
        subject: the image attacked.
        attack: name of the attack.
        norm: norm of its ball.
        claimed: the attack's own word; the trials have the last one.
        loss: loss of the image it returned: the largest it found, or that of its smallest winning change.
        first_loss: loss of the first point it looked at.
        forwards: evaluations of the loss.
        gradients: evaluations of its gradient.
        zero_gradients: share of these that were exactly zero.
        restart: which of its starts gave the image.
        weak: signs that the attack did not really try, see :func:`.weakness.weaknesses`.
        seconds: this subject's share of the batch's time, judging left out.
        trials: the float image, then the PNG.
    """

    subject: Subject
    attack: str
    norm: Norm
    claimed: bool
    loss: float
    first_loss: float
    forwards: int
    gradients: int
    zero_gradients: float
    restart: int
    weak: tuple[Weakness, ...]
    seconds: float
    trials: tuple[Trial[V], ...]

    def discard(self) -> None:
        """Delete the saved images."""
        for trial in self.trials:
            trial.path.unlink(missing_ok=True)


def run_attack(
    attack: Attack,
    target: Target,
    subjects: Sequence[Subject],
    judge: Judge[V],
    *,
    effort: Effort,
    folder: Path,
    policy: DecodePolicy,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> list[Outcome[V]]:
    """Attack a batch of images of one shape, save and reload the results, measure and judge them.

    Args:
        attack: from ``registry.ATTACKS``.
        target: its ``samples`` are places in ``subjects``.
        subjects: images of equal height and width.
        judge: float64 (H, W, 3) images in [0, 1] → one verdict each, of any type; called on the loaded files.
        effort: steps and restarts.
        folder: where the images are saved; must exist.
        policy: decode policy for the PNGs.
        device: where the attack runs.
        dtype: what it computes in; measuring and judging are float64 always.

    Raises:
        UsageError: for images of unequal shape.
    """
    every = [image for subject in subjects for image in (subject.pixels, subject.start) if image is not None]
    if len({image.shape for image in every}) != 1:
        raise UsageError("a batch of attacks needs at least one image, and images of one shape")
    clean = torch.stack([_planes(subject.pixels) for subject in subjects])
    eps = torch.tensor([subject.eps for subject in subjects], dtype=torch.float64)
    given = clean.to(device, dtype)
    started = time.perf_counter()
    result = attack.run(
        limited(target, attack.sees),
        given,
        eps=eps.to(device),
        steps=effort.steps_of(attack),
        restarts=effort.restarts,
        seeds=[subject.seed for subject in subjects],
        stop_on_success=effort.stop_on_success,
        **_beginnings(attack, subjects, given),
    )
    # Where the attack left a value alone, the image keeps the clean one as it is before rounding to the attack's dtype.
    moved = (result.x_adv != given).cpu()
    images = torch.where(moved, result.x_adv.to("cpu", torch.float64), clean)
    images = project(clean, images, norm=attack.norm, eps=eps)
    seconds = (time.perf_counter() - started) / len(subjects)
    saved = [
        _save(attack, one, _channels_last(image), folder, policy) for one, image in zip(subjects, images, strict=True)
    ]
    loaded = [one for pair in saved for one in pair]
    verdicts = list(judge([one.pixels for one in loaded]))
    trials = [Trial(one.medium, one.path, one.distance, v) for one, v in zip(loaded, verdicts, strict=True)]
    return [
        Outcome(
            subject=subject,
            attack=attack.name,
            norm=attack.norm,
            claimed=bool(result.success[i]),
            loss=float(result.loss[i]),
            first_loss=float(result.first_loss[i]),
            forwards=int(result.forwards[i]),
            gradients=int(result.gradients[i]),
            zero_gradients=float(result.zero_gradients[i]),
            restart=int(result.restart[i]),
            weak=weaknesses(result, i, sees=attack.sees),
            seconds=seconds,
            trials=(trials[2 * i], trials[2 * i + 1]),
        )
        for i, subject in enumerate(subjects)
    ]


@dataclass(frozen=True)
class _Loaded:
    medium: Medium
    path: Path
    pixels: Pixels
    distance: Distance


def _save(
    attack: Attack, subject: Subject, adversarial: Pixels, folder: Path, policy: DecodePolicy
) -> tuple[_Loaded, _Loaded]:
    """Write both files and read them back."""
    floats, png = folder / f"{subject.stem}.npy", folder / f"{subject.stem}.png"
    first = _loaded("float", floats, save_float(floats, adversarial), attack, subject)
    # A smallest change stays about as small in 8 bits: it must not be blown up to fill the budget.
    eps = min(subject.eps, first.distance.size(attack.norm)) if attack.minimal else subject.eps
    rounded = to_bytes(subject.pixels, adversarial, kind=attack.norm, eps=eps)
    return first, _loaded("png", png, save_png(png, rounded, policy=policy), attack, subject)


def _loaded(medium: Medium, path: Path, pixels: Pixels, attack: Attack, subject: Subject) -> _Loaded:
    distance = measure(as_pixels(subject.pixels), pixels)
    if not distance.within(attack.norm, subject.eps):
        raise AssertionError(f"{path}: {distance} is outside the {attack.norm} budget {subject.eps}")
    return _Loaded(medium, path, pixels, distance)


def _planes(image: Bytes) -> Tensor:
    """uint8 (H, W, 3) → float64 (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(as_pixels(image).transpose(2, 0, 1)))


def _beginnings(attack: Attack, subjects: Sequence[Subject], given: Tensor) -> dict[str, Tensor]:
    """Starting points for an attack that may need them; the inverted image, which it tries anyway, for want of one."""
    if attack.sees != "decision" or all(subject.start is None for subject in subjects):
        return {}
    starts = [
        1.0 - clean if subject.start is None else _planes(subject.start).to(clean)
        for subject, clean in zip(subjects, given, strict=True)
    ]
    return {"starting_points": torch.stack(starts)}


def _channels_last(image: Tensor) -> Pixels:
    return np.ascontiguousarray(image.numpy().transpose(1, 2, 0))
