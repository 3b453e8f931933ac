"""Attack a torch model: ours, or one that a researcher brings."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..attacks.harness import Effort, Outcome, Subject, Trial, run_attack
from ..attacks.media import Distance, Pixels
from ..attacks.projections import Norm
from ..attacks.registry import Attack, find_attack
from ..attacks.weakness import Weakness
from ..core.errors import UsageError
from ..core.rounded import budget_text, upper_text
from ..core.types import Score
from ..core.units import check_unit, to_l2
from ..evaluation.robustness.aims import in_norm, reach_of
from ..images.policy import DecodePolicy
from .attack_losses import Game, Loss, farthest_of, nearest_of, own_of
from .images import ImageLike, Picture, is_many, read_image, read_images, to_bytes
from .index import Index
from .model import Model, require_batch
from .progress import Progress, watched
from .words import speaks_of_parameters

Target = nn.Module | Callable[[Tensor], Tensor]
"""(b, 3, h, w) in [0, 1] → whatever the loss takes, (b, d) where none is given. Row i depends on image i alone."""
_OWN_UNITS: dict[str, Norm] = {"linf": "linf", "pixels": "l0"}


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One adversarial image, as it was saved, loaded and judged.

    Attributes:
        pixels: (H, W, 3) float64 in [0, 1].
        distance: from the clean image, measured and rounded up.
        loss: the target's, on these very pixels.
        success: loss > 0; None where nothing was at stake.
        path: the file, where a folder was given.
    """

    pixels: Pixels
    distance: Distance
    loss: float
    success: bool | None
    path: Path | None


@dataclass(frozen=True, slots=True, eq=False)
class Attacked:
    """What became of one image.

    Attributes:
        name: path of the image, or what it is where it has none.
        attack: name of the attack.
        norm: of its ball: l2, linf, l0 (pixels) or none.
        eps: radius of the ball in that norm.
        clean: (H, W, 3) uint8: where it began.
        clean_loss: the target's loss there.
        exact: the adversarial image in float64.
        png: the same in 8 bits, as a PNG would carry it: what a system would be given.
        forwards, gradients: evaluations of the loss and of its gradient.
        weak: signs that the attack did not really try: ``zero-gradient``, ``flat-loss``. Then a failure shows nothing.
        seconds: its share of the batch's time.
    """

    name: str
    attack: str
    norm: Norm
    eps: float
    clean: npt.NDArray[np.uint8]
    clean_loss: float
    exact: Found
    png: Found
    forwards: int
    gradients: int
    weak: tuple[Weakness, ...]
    seconds: float

    @property
    def success(self) -> bool | None:
        """Whether the image in float64 wins."""
        return self.exact.success

    def __repr__(self) -> str:
        said = {True: "won", False: "not won", None: "moved"}[self.success]
        size = f"ℓ2 {upper_text(self.exact.distance.l2)}, RMSE {upper_text(self.exact.distance.rmse)}/255"
        ball = "" if self.norm == "none" else f" within {self.norm} {budget_text(self.eps)}"
        weak = f", weak: {', '.join(self.weak)}" if self.weak else ""
        return f"Attacked({self.name!r}: {self.attack}{ball}: {said} at {size}, loss {self.exact.loss:.4g}{weak})"


@speaks_of_parameters
def attack(
    target: Target,
    images: Any,
    *,
    attack: str = "apgd-l2",
    eps: float = 1.0,
    unit: str = "rmse",
    references: Sequence[ImageLike] | Tensor | None = None,
    loss: Loss | None = None,
    score: Score | None = None,
    steps: int = 50,
    restarts: int = 1,
    loss_queries: int = 1000,
    stop_on_success: bool = True,
    seed: int = 0,
    batch_size: int = 16,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | bool = False,
) -> list[Attacked]:
    """Look for small changes of images that break a model, with everything measured on what was saved.

    The budget is enforced here, not by the attack: whatever it returns is projected in float64, saved, loaded, measured
    with outward rounding and judged again.

    What the attack is after:

    - ``references``: the reference nearest to the clean image shall no longer be the nearest one.
    - ``loss``: ``loss(target(x), rows)`` > 0, where ``rows`` are the places in ``images`` of what is in the batch.
    - neither: the embedding shall move as far as it can; for a model with a proved constant, farther than is proved.

    >>> import torch, retr
    >>> from torch import nn
    >>> mine = nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten())
    >>> shelf = ["corpus/000.jpg", "corpus/001.png", "corpus/002.webp"]
    >>> found = retr.attack(mine, shelf[:1], references=shelf, eps=100, steps=20)[0]
    >>> found.success, found.exact.distance.rmse <= 100
    (True, True)

    Args:
        target: a torch module or function, (b, 3, h, w) in [0, 1] → (b, d), or what ``loss`` takes; row i may depend on
            image i alone. Resizing and normalising belong inside. A module is put into evaluation mode.
        images: an image (path, bytes, PIL, array), a list of them, or a batch (b, 3, h, w) in [0, 1]. An attack begins
            from 8-bit levels: other values are rounded to them.
        attack: a name of ``retr.attacks.registry.ATTACKS``: ``apgd-l2``, ``apgd-linf``, ``square-l2``, …
        eps: the budget.
        unit: rmse (8-bit levels), l2 or psnr; an ℓ∞ attack gets the ball that such an ℓ2 ball just contains, ε₂/√n. Or
            the attack's own: ``linf`` ([0, 1]) and ``pixels``.
        references: images, as above.
        loss: (target(x), (b,) int64 rows) → (b,), differentiable.
        score: how embeddings are compared with references; None for the model's own, else cosine.
        steps: gradient steps per start.
        restarts: random starts.
        loss_queries: evaluations per start, for attacks that see no gradient.
        stop_on_success: end on an image once it is won.
        seed: of random starts.
        batch_size: images of one shape attacked at once.
        device: where it runs; None where the module's weights are, else the CPU.
        dtype: arithmetic of attack and judgement; None for float64 for our models, else that of the module's weights.
        out: folder for the images found, as .npy and .png; None keeps no files.
        progress: True for a bar, or an object that is told.

    Returns:
        One for each image, in order.

    Raises:
        UsageError: parameters that do not fit, with their values.
        ImageRejected: an input is no acceptable image.
    """
    if isinstance(target, Index):
        raise UsageError("an index is attacked as a whole, certificates and all, by retr.audit")
    algorithm, pictures = find_attack(attack), _pictures(images)
    if isinstance(target, nn.Module):
        target.eval()
    place = _Place(*_where(target, device, dtype))
    game = _game(target, pictures, references, loss, score, place, algorithm)
    effort = Effort(steps, restarts, stop_on_success and game.at_stake, loss_queries)
    run = _Run(algorithm, game, place, effort, seed, batch_size)
    budgets = [_budget(algorithm, eps, unit, picture.size) for picture in pictures]
    if loss is None and references is None and isinstance(target, Model) and place.dtype == torch.float64:
        asked = zip(pictures, budgets, strict=True)
        game.allow([_provable(target, algorithm, picture, budget) for picture, budget in asked])
    with _folder(out) as folder, watched(progress, "attacking", "images") as told:
        return run.go(pictures, budgets, folder, told, keep=out is not None)


@dataclass(frozen=True)
class _Place:
    """Where and in what arithmetic the target runs."""

    device: torch.device
    dtype: torch.dtype

    def batch(self, pixels: Sequence[Pixels]) -> Tensor:
        """(H, W, 3) images of one shape → (b, 3, H, W)."""
        planes = np.ascontiguousarray(np.stack(pixels).transpose(0, 3, 1, 2))
        return torch.from_numpy(planes).to(self.device, self.dtype)


@dataclass(frozen=True)
class _Run:
    algorithm: Attack
    game: Game
    place: _Place
    effort: Effort
    seed: int
    batch_size: int

    def go(
        self, pictures: Sequence[Picture], budgets: Sequence[float], folder: Path, told: Progress, *, keep: bool
    ) -> list[Attacked]:
        found: dict[int, Attacked] = {}
        told.start(len(pictures), 0)
        for rows in self._batches(pictures):
            subjects = [self._subject(row, pictures[row], budgets[row]) for row in rows]
            outcomes = run_attack(
                self.algorithm,
                _Rows(self.game, torch.tensor(rows)),
                subjects,
                lambda images, rows=rows: self._judge(images, rows),
                effort=self.effort,
                folder=folder,
                policy=DecodePolicy(),
                device=self.place.device,
                dtype=self.place.dtype,
            )
            for row, outcome in zip(rows, outcomes, strict=True):
                found[row] = self._attacked(row, pictures[row].name, outcome, keep)
            told.advance(len(rows))
        return [found[row] for row in range(len(pictures))]

    def _batches(self, pictures: Sequence[Picture]) -> Iterator[list[int]]:
        if self.batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {self.batch_size}")
        shapes: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for row, picture in enumerate(pictures):
            shapes[picture.given.shape].append(row)
        for rows in shapes.values():
            yield from (rows[start : start + self.batch_size] for start in range(0, len(rows), self.batch_size))

    def _subject(self, row: int, picture: Picture, budget: float) -> Subject:
        return Subject(to_bytes(picture), budget, self.seed * 1_000_003 + row, f"{row:06d}")

    def _judge(self, images: Sequence[Pixels], rows: Sequence[int]) -> list[tuple[float, Pixels]]:
        """The loss of each saved image; two belong to each row."""
        return [(self._loss(image, rows[number // 2]), image) for number, image in enumerate(images)]

    @torch.no_grad()
    def _loss(self, pixels: Pixels, row: int) -> float:
        return float(self.game.loss(self.place.batch([pixels]), torch.tensor([row], device=self.place.device))[0])

    def _attacked(self, row: int, name: str, outcome: Outcome[tuple[float, Pixels]], keep: bool) -> Attacked:
        clean = outcome.subject.pixels
        exact, png = (self._found(trial, keep) for trial in outcome.trials)
        return Attacked(
            name=name,
            attack=outcome.attack,
            norm=outcome.norm,
            eps=outcome.subject.eps,
            clean=clean,
            clean_loss=self._loss(clean.astype(np.float64) / 255.0, row),
            exact=exact,
            png=png,
            forwards=outcome.forwards,
            gradients=outcome.gradients,
            weak=outcome.weak,
            seconds=outcome.seconds,
        )

    def _found(self, trial: Trial[tuple[float, Pixels]], keep: bool) -> Found:
        loss, pixels = trial.verdict
        return Found(
            pixels, trial.distance, loss, loss > 0 if self.game.at_stake else None, trial.path if keep else None
        )


@dataclass(frozen=True)
class _Rows:
    """A batch of the game, as the harness sees it: its samples are places in the batch."""

    game: Game
    rows: Tensor

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        return self.game.loss(x, self.rows.to(samples.device)[samples])


def _game(
    target: Target,
    pictures: Sequence[Picture],
    references: Sequence[ImageLike] | Tensor | None,
    loss: Loss | None,
    score: Score | None,
    place: _Place,
    algorithm: Attack,
) -> Game:
    if loss is not None:
        if references is not None or score is not None:
            raise UsageError("a loss of your own knows its references; leave out references and score")
        return own_of(target, loss)
    clean = [place.batch([to_bytes(picture).astype(np.float64) / 255.0]) for picture in pictures]
    if references is None:
        if score is not None:
            raise UsageError("score says how embeddings are compared with references, and there are none")
        if algorithm.minimal or algorithm.sees == "decision":
            raise UsageError(f"{algorithm.name} looks for a yes or no; moving an embedding has none: give references")
        return farthest_of(target, clean)
    shelf = [place.batch([picture.pixels]) for picture in _pictures(references)]
    own = target.score if isinstance(target, Model) else "cosine"
    return nearest_of(target, clean, shelf, score or own)


def _pictures(images: Any) -> list[Picture]:
    if isinstance(images, Tensor):
        require_batch(images, "an attack")
        planes = images.detach().cpu().double().permute(0, 2, 3, 1).contiguous().numpy()
        return [Picture(f"row {row} of the batch", pixels) for row, pixels in enumerate(planes)]
    found = read_images(images) if is_many(images) else [read_image(images)]
    if not found:
        raise UsageError("there are no images to attack")
    return found


def _where(
    target: Target, device: str | torch.device | None, dtype: torch.dtype | None
) -> tuple[torch.device, torch.dtype]:
    weights = next(target.parameters(), None) if isinstance(target, nn.Module) else None
    own = torch.float64 if isinstance(target, Model) else torch.float32
    if weights is not None and weights.dtype in (torch.float32, torch.float64):
        own = weights.dtype
    if dtype not in (None, torch.float32, torch.float64):
        raise UsageError(f"dtype is torch.float32 or torch.float64, got {dtype}")
    home = target.device if isinstance(target, Model) else torch.device("cpu") if weights is None else weights.device
    return torch.device(device or home), dtype or own


def _budget(algorithm: Attack, eps: float, unit: str, values: int) -> float:
    if unit in _OWN_UNITS:
        if algorithm.norm != _OWN_UNITS[unit]:
            raise UsageError(f"{algorithm.name} is held to {algorithm.norm}: its budget is not in {unit}")
        if not 0 <= eps < float("inf"):
            raise UsageError(f"a budget must be a finite number ≥ 0, got {eps} {unit}")
        return float(eps)
    return in_norm(to_l2(eps, check_unit(unit), values, inside=True), algorithm.norm, values)


def _provable(model: Model, algorithm: Attack, picture: Picture, budget: float) -> float:
    """How far the embedding as computed can move within the attack's ball; 0 where nothing is proved."""
    height, width, _ = picture.given.shape
    bound, error = model.bound(height, width), model.forward_error(height, width)
    if bound is None or error is None:
        return 0.0
    return bound.value * reach_of(budget, algorithm.norm, picture.size) * (1.0 + 1e-12) + 2.0 * error.value


@contextmanager
def _folder(out: str | os.PathLike[str] | None) -> Iterator[Path]:
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        yield Path(out)
        return
    with tempfile.TemporaryDirectory(prefix="retr-") as folder:
        yield Path(folder)
