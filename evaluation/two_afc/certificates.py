"""Certified 2AFC (T6): how far images of a triplet may move before an embedder's judgement of it turns.

Embeddings are computed along the path of ``retr:MODEL`` as a metric: float64, the linear resize, the network. Three
forms, of which two are certificates: *sound* (only the reference moves; T1 with two rows), *all* (all three images
move by as much each), and *published* (LipSim's, for comparison: see ``certificates.triplets.published_radii``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ...certificates.triplets import SHORTEST, Mover, choices, published_radii, triplet_radii
from ...core.errors import ModelError, UsageError
from ...core.numerics import norm, round_up
from ...core.types import UpperBound
from ...embedding.contract import Embedder
from ...images.resize import Resize, resize_operator

Array = npt.NDArray[np.float64]
Images = npt.NDArray[np.uint8] | npt.NDArray[np.float64]
"""(n, H, W, 3), uint8, or float64 in [0, 1]."""

NO_COSINE = "the published form is about the cosine of normalised embeddings, and this model is compared by distance"
WHO = ("reference", "left", "right")


@dataclass(frozen=True, slots=True)
class TripletCertificates:
    """What is proved of n triplets. Radii are ℓ2 in pixels of the triplets' images; NaN where withheld.

    Attributes:
        chosen: (n,) +1 where the right candidate is nearer, −1 where the left one is, 0 for neither.
        radius_sound: (n,) the judgement stands while the reference moves by less.
        radius_one: (n,) it stands while one candidate, whichever, moves by less.
        radius_all: (n,) it stands while all three images move by less, each of them.
        radius_published: (n,) LipSim's figure; a certificate only where ``published_holds``. NaN for a Euclidean score.
        published_holds: (n,) whether ‖f‖ ≥ 1 is proved on the ball of that radius.
        withheld: per triplet why it has no radius, or None.
        published_withheld: why none has a published figure, or None.
        lipschitz: L of resize and network together.
        forward_error: bound on what float64 does to an embedding.
        values: n = 3·H·W of an image.
    """

    chosen: npt.NDArray[np.int8]
    radius_sound: Array
    radius_one: Array
    radius_all: Array
    radius_published: Array
    published_holds: npt.NDArray[np.bool_]
    withheld: tuple[str | None, ...]
    published_withheld: str | None
    lipschitz: UpperBound
    forward_error: float
    values: int


def certify_triplets(
    embedder: Embedder, reference: Images, left: Images, right: Images, *, batch: int = 16
) -> TripletCertificates:
    """Judge and certify triplets of one size.

    Args:
        embedder: with a proved constant.
        reference: (n, H, W, 3) uint8, or float64 in [0, 1].
        left: the same shape.
        right: the same shape.
        batch: images embedded at once.

    Raises:
        ModelError: where the embedder certifies nothing, with its reason.
        UsageError: for images that differ in shape, or pixels outside [0, 1].
    """
    error = embedder.rounding(torch.float64)
    if embedder.lipschitz is None or error is None:
        why = embedder.uncertified_because or "no bound is known on its rounding in float64"
        raise ModelError(f"{embedder.name} certifies nothing: {why}")
    operator = _resize(embedder, reference, left, right)
    z, first, second = (_embed(embedder, operator, images, batch) for images in (reference, left, right))
    lipschitz = embedder.lipschitz.times(operator.norm)
    slack = path_error(embedder.lipschitz, error, operator)
    withheld = _withheld(embedder, (z, first, second))
    return _certified(
        embedder, (z, first, second), withheld, lipschitz, slack, values=int(np.prod(reference.shape[1:]))
    )


def path_error(network: UpperBound, rounding: UpperBound, operator: Resize) -> float:
    """Bound on ‖computed f − f‖ for an image in [0, 1], whether or not the resized one is clamped to [0, 1].

    A resized value may exceed 1 by what the rows of the resize, rounded, sum to beyond 1. Clamping moves the image by
    no more than that and the rounding of the resize itself; how far so little overshoot could raise the network's
    rounding is far below the room that its bound leaves.

    Args:
        network: L_g.
        rounding: of the network in float64.
        operator: the resize.
    """
    over = max(0.0, round_up(operator.vertical.mass * operator.horizontal.mass) - 1.0)
    overshoot = round_up(round_up(math.sqrt(3 * operator.target[0] * operator.target[1])) * over)
    moved = round_up(round_up(2.0 * operator.rounding.value) + overshoot)
    return round_up(rounding.value + round_up(network.value * moved))


def _resize(embedder: Embedder, *parts: Images) -> Resize:
    shape = parts[0].shape
    if any(part.shape != shape for part in parts) or len(shape) != 4 or shape[-1] != 3 or 0 in shape[1:]:
        given = ", ".join(str(part.shape) for part in parts)
        raise UsageError(f"triplets are three arrays (n, H, W, 3) of one shape, got {given}")
    return resize_operator((shape[1], shape[2]), embedder.input_size)


def _embed(embedder: Embedder, operator: Resize, images: Images, batch: int) -> Array:
    """(n, d) float64."""
    parts = [np.empty((0, embedder.dim))]
    with torch.inference_mode():
        for piece in _batches(images, batch):
            x = torch.from_numpy(np.ascontiguousarray(piece.transpose(0, 3, 1, 2)))
            parts.append(embedder.forward(operator.apply(x).to(embedder.device)).cpu().numpy())
    return np.concatenate(parts)


def _batches(images: Images, batch: int) -> Iterator[Array]:
    for start in range(0, len(images), batch):
        piece = images[start : start + batch]
        exact = piece.astype(np.float64) / 255.0 if piece.dtype == np.uint8 else np.asarray(piece, dtype=np.float64)
        if not (np.isfinite(exact).all() and exact.min() >= 0.0 and exact.max() <= 1.0):
            raise UsageError("pixels of a triplet lie in [0, 1]")
        yield exact


def _withheld(embedder: Embedder, rows: tuple[Array, Array, Array]) -> tuple[str | None, ...]:
    """Per triplet why it can have no radius, or None."""
    lengths = np.stack([norm(part) for part in rows])  # 3 n
    lost = (lengths <= SHORTEST) & (embedder.score == "cosine")
    return tuple(_why(embedder, column) for column in lost.T)


def _why(embedder: Embedder, lost: npt.NDArray[np.bool_]) -> str | None:
    if not lost.any():
        return None
    return f"zero embedding: the {WHO[int(lost.argmax())]} image is flat to {embedder.name}, and has no direction"


def _certified(
    embedder: Embedder,
    rows: tuple[Array, Array, Array],
    withheld: tuple[str | None, ...],
    lipschitz: UpperBound,
    slack: float,
    *,
    values: int,
) -> TripletCertificates:
    z, left, right = rows
    chosen = choices(z, left, right, score=embedder.score)
    right_wins = (chosen > 0)[:, None]
    prey, other = np.where(right_wins, right, left), np.where(right_wins, left, right)
    gone = np.array([why is not None for why in withheld], dtype=np.bool_)

    def radii(moving: Mover) -> Array:
        found = triplet_radii(
            z, prey, other, score=embedder.score, moving=moving, lipschitz=lipschitz, forward_error=slack
        )
        # No two images are farther apart than √n: a larger radius would say nothing more.
        return np.where(gone, np.nan, np.minimum(found, round_up(math.sqrt(values))))

    sound = radii("reference")
    cosine = embedder.score == "cosine"
    published, holds = published_radii(np.nan_to_num(sound), z, lipschitz=lipschitz, forward_error=slack)
    return TripletCertificates(
        chosen=chosen,
        radius_sound=sound,
        radius_one=np.minimum(radii("prey"), radii("other")),
        radius_all=radii("all"),
        radius_published=np.where(gone | (not cosine), np.nan, published),
        published_holds=holds & ~gone & cosine,
        withheld=withheld,
        published_withheld=None if cosine else NO_COSINE,
        lipschitz=lipschitz,
        forward_error=slack,
        values=values,
    )
