"""2AFC triplets from any folder of photographs, whose right answer is known by construction.

The reference is a square cut from a photo. Both candidates are the reference under one kind of distortion, once weak
and once clearly stronger (:mod:`.distortions`): the weaker is nearer, so the preference is 0 or 1. That holds for a
person who can see the difference at all; nobody was asked, and ``votes`` is None. Pairings of two kinds are there on
request.

What is drawn for a triplet depends on the seed, the photo's path below the folder and the kind, on nothing else: more
photos, other kinds or another order change no triplet, only which are chosen. One photo serves each kind at most once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np

from ..core.errors import UsageError
from ..core.files import digest_json
from ..images.edits import Pixels
from ..images.names import is_image_name
from ..images.policy import DecodePolicy
from .distortions import PAIRINGS, Pairing, find_pairings
from .files import walk_files
from .pixels import LazyTriplets, Place, check_side, decode_image, resized
from .rows import RowError
from .triplets import Triplet

LAYOUT = "synthetic"
VERSION = 1
"""Raised when the same seed and photo would give other pixels."""
COUNT = 1000
SMALLEST_SIDE = 32
"""Pixels; on smaller images the weak blurs and shifts would change nothing."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one triplet is made.

    Attributes:
        photo: path of the photo below the folder.
        kind: which pairing of distortions.
        weak: strength of the nearer candidate.
        strong: strength of the other.
        right_is_nearer: whether the nearer candidate is the right one.
        cut: side of the square as a share of the photo's short side, then its place across and down, each in [0, 1].
        seed: of what both distortions have in common.
    """

    photo: str
    kind: str
    weak: float
    strong: float
    right_is_nearer: bool
    cut: tuple[float, float, float]
    seed: int

    @property
    def name(self) -> str:
        """Unique: one photo serves a kind once."""
        return f"{self.kind}/{self.photo}"


def synthetic(
    folder: Path,
    *,
    side: int,
    count: int = COUNT,
    kinds: tuple[str, ...] = (),
    seed: int = 0,
    policy: DecodePolicy | None = None,
) -> LazyTriplets:
    """Plan triplets; photos are decoded when a triplet is asked for.

    Args:
        folder: photos, at any depth.
        side: of the images, pixels, at least SMALLEST_SIDE.
        count: how many, shared evenly between the kinds; the kinds take turns, so any first part is balanced too.
        kinds: names of pairings of distortions; all those of one kind where empty.
        seed: of everything random.
        policy: how photos are decoded.

    Raises:
        UsageError: for an unknown kind, an impossible side or count, or a folder with too few photos.
    """
    check_side(side)
    if side < SMALLEST_SIDE:
        raise UsageError(f"synthetic triplets have sides of at least {SMALLEST_SIDE} pixels, got {side}")
    folder = folder.resolve()
    photos = _photos(folder)
    recipes = plan(photos, count=count, kinds=find_pairings(kinds), seed=seed)
    places = tuple(Place(recipe.name, recipe.kind, float(recipe.right_is_nearer)) for recipe in recipes)
    digest = digest_json([LAYOUT, VERSION, side, [asdict(recipe) for recipe in recipes]])
    source = {"layout": LAYOUT, "version": VERSION, "seed": seed, "photos": len(photos), "sha256": digest}
    make = partial(_made, folder, recipes, side, policy or DecodePolicy())
    return LazyTriplets(LAYOUT, "all", side, places, digest, source, make, tuple(range(len(recipes))))


def count_possible(folder: Path, kinds: tuple[str, ...] = ()) -> int:
    """How many triplets a folder's photographs give: one of each kind from each.

    Raises:
        UsageError: for an unknown kind.
    """
    return len(_photos(folder.resolve())) * len(find_pairings(kinds))


def _photos(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in walk_files(folder) if is_image_name(path)]


def plan(photos: Sequence[str], *, count: int, kinds: Sequence[Pairing], seed: int) -> tuple[Recipe, ...]:
    """Choose photos for each kind, and draw how each triplet is made.

    Raises:
        UsageError: where there are too few photos.
    """
    if count < 1:
        raise UsageError(f"a data set has at least one triplet, got {count}")
    if count > len(photos) * len(kinds):
        raise UsageError(
            f"{count} triplets of {len(kinds)} kinds need {-(-count // len(kinds))} photos, "
            f"and there are {len(photos)}: ask for at most {len(photos) * len(kinds)} triplets (limit)"
        )
    shares = [count // len(kinds) + (place < count % len(kinds)) for place in range(len(kinds))]
    columns = [
        [draw(photo, kind, seed=seed) for photo in _chosen(photos, kind, share, seed)]
        for kind, share in zip(kinds, shares, strict=True)
    ]
    return tuple(recipe for turn in zip_longest(*columns) for recipe in turn if recipe is not None)


def draw(photo: str, kind: Pairing, *, seed: int) -> Recipe:
    """Everything random about one triplet."""
    rng = np.random.default_rng(int(digest_json([LAYOUT, VERSION, seed, photo, kind.name])[:15], 16))
    return Recipe(
        photo=photo,
        kind=kind.name,
        weak=float(rng.uniform(*kind.near.weak)),
        strong=float(rng.uniform(*kind.far.strong)),
        right_is_nearer=bool(rng.random() < 0.5),
        cut=(float(rng.uniform(0.5, 1.0)), float(rng.random()), float(rng.random())),
        seed=int(rng.integers(2**32)),
    )


def make_triplet(photo: Pixels, recipe: Recipe, *, side: int) -> Triplet[Pixels]:
    """Cut, resize and distort.

    Args:
        photo: (H, W, 3) uint8.
        recipe: as :func:`draw` gives it.
        side: S of the three images.

    Raises:
        RowError: ``no-effect`` where a distortion changes nothing, or both give the same (a featureless photo).
    """
    reference = resized(_cut(photo, recipe.cut, side), side)
    pairing = PAIRINGS[recipe.kind]
    near = pairing.near.apply(reference, recipe.weak, np.random.default_rng(recipe.seed))
    far = pairing.far.apply(reference, recipe.strong, np.random.default_rng(recipe.seed))
    pairs = ((reference, near), (reference, far), (near, far))
    if any(np.array_equal(first, second) for first, second in pairs):
        raise RowError("no-effect", f"{recipe.kind} leaves no order on this photo", file=recipe.photo)
    left, right = (far, near) if recipe.right_is_nearer else (near, far)
    return Triplet(recipe.name, reference, left, right, float(recipe.right_is_nearer), group=recipe.kind)


def _chosen(photos: Sequence[str], kind: Pairing, count: int, seed: int) -> list[str]:
    """The photos with the lowest lots, in their order: adding a photo displaces at most one other."""
    return sorted(photos, key=lambda photo: digest_json(["choose", seed, kind.name, photo]))[:count]


def _made(folder: Path, recipes: Sequence[Recipe], side: int, policy: DecodePolicy, number: int) -> Triplet[Pixels]:
    recipe = recipes[number]
    photo = decode_image(folder / recipe.photo, recipe.photo, policy=policy)
    return make_triplet(photo, recipe, side=side)


def _cut(photo: Pixels, cut: tuple[float, float, float], side: int) -> Pixels:
    """A square of at least S pixels where the photo has them."""
    height, width = photo.shape[:2]
    short = min(height, width)
    size = max(round(cut[0] * short), min(short, side))
    top, left = round(cut[2] * (height - size)), round(cut[1] * (width - size))
    return photo[top : top + size, left : left + size]
