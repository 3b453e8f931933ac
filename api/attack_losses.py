"""What an attack on somebody's model is after: a loss that is > 0 exactly where it has won."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..core.errors import UsageError
from ..core.types import Score

Embed = Callable[[Tensor], Tensor]
"""(b, 3, h, w) → (b, d)."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs of the target, (b,) int64 places in the list of images) → (b,)."""


@dataclass
class Game:
    """A loss, and whether anything can be won.

    Attributes:
        score: (x, rows) → (b,).
        at_stake: whether a positive loss means something.
        allowed: (n,) taken off the loss of each image, None for nothing.
    """

    score: Loss
    at_stake: bool = True
    allowed: Tensor | None = None

    def allow(self, distances: Sequence[float]) -> None:
        """Only what goes beyond these counts; all zero: there is nothing to win."""
        if any(distances):
            self.allowed, self.at_stake = torch.tensor(distances, dtype=torch.float64), True

    def loss(self, x: Tensor, rows: Tensor) -> Tensor:
        """The loss of a batch, (b, 3, h, w) and (b,) places → (b,)."""
        found = self.score(x, rows)
        if found.shape != (len(x),):
            raise UsageError(f"a loss gives one number for each image, ({len(x)},), got {tuple(found.shape)}")
        return found if self.allowed is None else found - self.allowed.to(found)[rows]


def own_of(target: Callable[[Tensor], Tensor], loss: Loss) -> Game:
    """A loss of the caller's on what the target puts out."""
    return Game(lambda x, rows: loss(target(x), rows))


def farthest_of(embed: Embed, clean: Sequence[Tensor]) -> Game:
    """How far the embedding moves (LipSim, arXiv 2310.18274, section 5), in embedding units."""
    at = _embedded(embed, clean)
    # vector_norm has gradient 0 at 0, where √(Σ²) would give NaN.
    return Game(lambda x, rows: torch.linalg.vector_norm(_vectors(embed, x) - at[rows], dim=1), at_stake=False)


def nearest_of(embed: Embed, clean: Sequence[Tensor], references: Sequence[Tensor], score: Score) -> Game:
    """By how much another reference is nearer than the one that was nearest at the clean image."""
    if len(references) < 2:
        raise UsageError(f"another reference can only come first where there are two, got {len(references)}")
    if score not in ("cosine", "euclidean"):
        raise UsageError(f"score is cosine or euclidean, got {score!r}")
    shelf = _embedded(embed, references)

    def near(z: Tensor) -> Tensor:  # b d -> b n
        return normalize(z) @ normalize(shelf).T if score == "cosine" else -_distances(z, shelf)

    first = near(_embedded(embed, clean)).argmax(dim=1)

    def lead(x: Tensor, rows: Tensor) -> Tensor:
        scores, own = near(_vectors(embed, x)), first[rows][:, None]
        others = scores.scatter(1, own, -torch.inf)
        return others.amax(dim=1) - scores.gather(1, own)[:, 0]

    return Game(lead)


def _distances(z: Tensor, shelf: Tensor) -> Tensor:
    return torch.linalg.vector_norm(z[:, None] - shelf, dim=2)


@torch.no_grad()
def _embedded(embed: Embed, images: Sequence[Tensor]) -> Tensor:
    return torch.cat([_vectors(embed, image) for image in images])


def _vectors(embed: Embed, x: Tensor) -> Tensor:
    z = embed(x)
    if not isinstance(z, Tensor) or z.ndim != 2 or len(z) != len(x):
        got = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
        raise UsageError(f"a target without a loss gives embeddings, ({len(x)}, d) for {len(x)} images, got {got}")
    return z
