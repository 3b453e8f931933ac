"""Batches with look-alikes: groups of images that are near one another under a given network.

Among 46,000 rows the nearest wrong one lies far nearer than among 192 drawn at random, and one threshold for all
queries is set by the nearest of all. Batches that hold an image's neighbours show the loss the rivals that matter.
The neighbours are found once, with the network that training begins with, so that a batch depends on the step alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .copies_edits import to_input
from .data import ImageStore

NEIGHBOURS = 24
"""Look-alikes kept of every image."""
LEAST_ANGLE = 0.2
"""Nearer than this, in radians, two images count as copies of one another: no rivals. Most pairs of photographs that
lie so near are the same one, flipped, cut or stamped, also in collections that were rid of duplicates."""
_CHUNK = 512


@dataclass(frozen=True, eq=False)
class HardGroups:
    """Draws batches, a part of them in groups.

    Attributes:
        rows: (n,) rows of the store that batches are drawn from.
        neighbours: (n, NEIGHBOURS or fewer) positions in ``rows`` of each image's look-alikes, nearest first; −1 where
            there are fewer.
        group: images in a group, the first among them drawn at random; at least 2.
        share: of a batch that is drawn in groups, in [0, 1].
    """

    rows: Tensor
    neighbours: Tensor
    group: int
    share: float

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """Rows of the store for one batch, without repetition: (size,) int64."""
        order = torch.randperm(len(self.rows), generator=generator)
        seeds = order[: math.floor(size * self.share) // self.group]
        near = self.neighbours[seeds]
        chances = torch.rand(near.shape, generator=generator).masked_fill(near < 0, -1.0)
        picked = near.gather(1, chances.topk(min(self.group - 1, near.shape[1]), dim=1).indices).flatten()
        return self.rows[_first_of_each(torch.cat((seeds, picked[picked >= 0], order)))[:size]]


@torch.no_grad()
def find_neighbours(network: nn.Module, store: ImageStore, rows: Tensor, *, side: int) -> Tensor:
    """The look-alikes of every image: those at the smallest angle from it, copies left out.

    Args:
        network: maps (b, 3, side, side) to (b, d).
        store: the images.
        rows: (n,) which of them.
        side: of the network's input.

    Returns:
        (n, min(NEIGHBOURS, n − 1)) int32 positions in ``rows``, nearest first; −1 where there are fewer.
    """
    pixels = (torch.from_numpy(np.asarray(store.pixels[part.numpy()])) for part in rows.split(_CHUNK))
    device = next(network.parameters()).device
    units = torch.cat(
        [torch.nn.functional.normalize(network(to_input(part, side).to(device)).float()) for part in pixels]
    )
    found = [_nearest(units, first) for first in range(0, len(units), _CHUNK)]
    return torch.cat(found).cpu()


def _nearest(units: Tensor, first: int) -> Tensor:
    """Neighbours of one chunk of rows."""
    cosines = units[first : first + _CHUNK] @ units.T
    cosines[cosines > math.cos(LEAST_ANGLE)] = -torch.inf
    own = torch.arange(len(cosines), device=units.device)
    cosines[own, own + first] = -torch.inf
    best = cosines.topk(min(NEIGHBOURS, len(units) - 1), dim=1)
    return best.indices.masked_fill(best.values == -torch.inf, -1).to(torch.int32)


def _first_of_each(values: Tensor) -> Tensor:
    """The values without repetition, in the order of their first appearance."""
    return torch.tensor(list(dict.fromkeys(values.tolist())), dtype=torch.int64)
