"""How well a network finds edited copies of images it was not trained on: an estimate for choosing weights.

Not the copy benchmark, which answers through an index and in float64 (``retr bench-copies``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from .copies_edits import EditChances, edit_batch, to_input
from .copies_loss import Margins, half_space_distances

EDITS: Mapping[str, EditChances] = MappingProxyType(
    {
        "crop": EditChances.only(crop=1),
        "frame": EditChances.only(frame=1),
        "rotation": EditChances.only(rotation=1),
        "flip": EditChances.only(flip=1),
        "cover": EditChances.only(cover=1),
        "colour": EditChances.only(colour=1, grey=0.2),
        "blur": EditChances.only(blur=1, noise=0.5),
        "mixed": EditChances(),
    }
)
"""One query per image and kind."""
LEVELS = (0, 1, 2, 3, 5)
"""RMSE in grey levels; 0 is the clean recall."""
_SEED, _CHUNK = 20_240_229, 256


@dataclass(frozen=True, eq=False)
class Held:
    """Images to evaluate on.

    Attributes:
        pixels: (n, s, s, 3) uint8, queried.
        aspect: (n,) width divided by height.
        others: (m, s, s, 3) uint8, rows of the gallery only; they may have been trained on.
    """

    pixels: Tensor
    aspect: Tensor
    others: Tensor


def evaluate_copies(network: nn.Module, held: Held, margins: Margins, *, side: int) -> dict[str, float]:
    """Recall@1 in %, clean and certified at 1, 2, 3 and 5 grey levels of RMSE, as means over edits and per edit.

    Args:
        network: maps (b, 3, side, side) to float32 embeddings.
        held: the images.
        margins: its unit and score are used.
        side: of the network's input.

    Returns:
        ``score`` (mean of the recalls up to 3), ``recall``, ``certified_1`` …, and ``recall_<edit>``; a score of 0
        and nothing else where no image is held out.
    """
    if not len(held.pixels):
        return {"score": 0.0}
    rows = _embed(network, torch.cat((held.pixels, held.others)), side)
    radii = {name: _radii(network, held, rows, margins, side, chances) for name, chances in EDITS.items()}
    shares = {
        name: [100.0 * (values > level).float().mean().item() for level in LEVELS] for name, values in radii.items()
    }
    means = [sum(column) / len(shares) for column in zip(*shares.values(), strict=True)]
    figures = {"score": sum(means[:4]) / 4, "recall": means[0]}
    figures |= {f"certified_{level}": mean for level, mean in zip(LEVELS[1:], means[1:], strict=True)}
    return figures | {f"recall_{name}": share[0] for name, share in shares.items()}


def _radii(network: nn.Module, held: Held, rows: Tensor, margins: Margins, side: int, chances: EditChances) -> Tensor:
    """Radius of the own row at each query, negative where another row is first: (n,)."""
    found, device = [], rows.device
    generator = torch.Generator().manual_seed(_SEED)
    for start in range(0, len(held.pixels), _CHUNK):
        part = slice(start, start + _CHUNK)
        views = edit_batch(held.pixels[part], held.aspect[part], side=side, generator=generator, chances=chances)
        own = torch.arange(start, start + len(views), device=device)
        distances = half_space_distances(network(views.to(device)), rows, own, margins.score) * margins.unit
        distances[torch.arange(len(own)), own] = torch.inf
        found.append(distances.amin(1))
    return torch.cat(found)


def _embed(network: nn.Module, pixels: Tensor, side: int) -> Tensor:
    device = next(network.parameters()).device
    return torch.cat([network(to_input(part, side).to(device)) for part in pixels.split(_CHUNK)])
