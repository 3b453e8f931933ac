"""2AFC accuracy, clean and certified, of a shipped network on triplets.

The query is the reference *as stored*: S×S pixels, so no resize stands before the network and its own constant is L.
RMSE does not depend on resolution, so the figures compare with those of other sides (docs/theory.md, Spaces).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..certificates.rounding import down
from ..certificates.triplets import choices, published_radii, triplet_radii
from ..core.errors import ModelError
from ..core.numerics import round_down, round_up
from ..embedding.network import NetworkEmbedder

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judgements:
    """What a network says of n triplets.

    Attributes:
        preference: (n,) share of people for the right candidate.
        chosen: (n,) +1 where the network finds the right one nearer, −1 the left one, 0 neither.
        radii: (n,) RMSE in 8-bit levels: T6, only the reference moves; proved.
        published: (n,) the same by the paper's normalised formula; no certificate of ours.
    """

    preference: Array
    chosen: Array
    radii: Array
    published: Array

    @property
    def decided(self) -> npt.NDArray[np.bool_]:
        """(n,) where people were not of two minds."""
        return self.preference != 0.5

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(n,) where the network chose as most people did."""
        return self.decided & (self.chosen == np.sign(self.preference - 0.5))

    def accuracy(self) -> float:
        """Share of decided triplets judged right."""
        return float(self.right.sum() / max(1, self.decided.sum()))

    def score(self) -> float:
        """The field's 2AFC score: the mean share of people who agree; half for a draw."""
        agree = np.where(self.chosen > 0, self.preference, 1 - self.preference)
        return float(np.where(self.chosen == 0, 0.5, agree).mean())

    def certified(self, level: float, *, published: bool = False) -> float:
        """Share of decided triplets judged right with a radius of at least ``level`` (RMSE, 8-bit levels)."""
        radii = self.published if published else self.radii
        return float((self.right & (radii >= level)).sum() / max(1, self.decided.sum()))


def judge(
    embedder: NetworkEmbedder, images: Tensor, preference: npt.NDArray[np.float32], *, batch: int = 16
) -> Judgements:
    """Embed triplets in float64 on the CPU and certify each judgement.

    Args:
        embedder: the folded network, with a proved bound.
        images: (3·n, 3, S, S) uint8: references, left, right; S the embedder's input.
        preference: (n,).
        batch: images embedded at once.

    Raises:
        ModelError: where the embedder has no proved bound.
    """
    bound, error = embedder.lipschitz, embedder.rounding(torch.float64)
    if bound is None or error is None:
        raise ModelError(f"{embedder.name} certifies nothing: {embedder.uncertified_because}")
    with torch.inference_mode():
        parts = [embedder.forward(part.double() / 255.0) for part in images.split(batch)]
    z, left, right = np.split(torch.cat(parts).numpy(), 3)
    chosen = choices(z, left, right, score="cosine")
    right_wins = (chosen > 0)[:, None]
    prey, other = np.where(right_wins, right, left), np.where(right_wins, left, right)
    given = {"lipschitz": bound, "forward_error": error.value}
    radii = triplet_radii(z, prey, other, score="cosine", moving="reference", **given)
    published, _ = published_radii(radii, z, **given)
    levels = round_down(255.0 / round_up(math.sqrt(images[0].numel())))  # RMSE in 8-bit levels per pixel of ℓ2
    rmse = [down(levels * each) for each in (radii, published)]
    return Judgements(preference.astype(np.float64), chosen.astype(np.float64), *(np.maximum(0.0, x) for x in rmse))


def figures(judged: Judgements, levels: Sequence[float], *, published: bool) -> dict[str, float]:
    """By name, for logs: accuracy, 2AFC score, certified accuracy at each level, and the paper's on request."""
    named = {"accuracy": judged.accuracy(), "two_afc_score": judged.score()}
    named |= {f"certified_at_{level:g}": judged.certified(level) for level in levels}
    if published:
        named |= {f"published_certified_at_{level:g}": judged.certified(level, published=True) for level in levels}
    return named
