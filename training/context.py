"""What a run hands to every recipe, whatever it trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.progress import Progress
from .plan import TrainPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What every recipe is given beside its own options.

    Attributes:
        sources: where the images are.
        cache: folder for decoded images.
        workers: decoding threads.
        holdout: images kept for evaluation; None for the usual number.
        plan: the numbers of the loop (batch and seed matter to a recipe).
        progress: told of decoding.
    """

    sources: tuple[Path, ...]
    cache: Path
    workers: int
    plan: TrainPlan
    holdout: int | None = None
    progress: Progress | None = None

    def holdout_of(self, images: int) -> int:
        """Images to keep for evaluation: as asked, else a tenth, at most 1,000."""
        return min(1000, images // 10) if self.holdout is None else self.holdout
