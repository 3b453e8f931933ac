"""Records of a 2AFC benchmark, built from what a metric says before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ...attacks.harness import Outcome
from ...attacks.media import Distance, Pixels, measure
from ...core.files import sha256_bytes
from ...datasets.triplets import Triplet
from ..shared.attacking import sizes_of
from ..shared.provenance import Provenance
from ..shared.records import NO_ATTACK, Row
from .metric import Array, System
from .records import nearer
from .settings import Moves, Setting
from .shift import Shift

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Radii:
    """Certified ℓ2 radii of one judgement, in pixels; None where withheld.

    Attributes:
        sound: only the reference moves.
        published: LipSim's, no certificate of ours.
        all: each of the three images moves by less.
        published_holds: whether LipSim's is proved on its ball.
    """

    sound: float | None = None
    published: float | None = None
    all: float | None = None
    published_holds: bool | None = None

    def against(self, moves: Moves) -> float:
        """What a change of these images is up against; 0 where nothing is certified.

        One image alone may move as far as each of three may.
        """
        return max((self.sound or 0.0) if moves == "reference" else 0.0, self.all or 0.0)


@dataclass(frozen=True)
class View:
    """Triplets as a metric judges them before any attack.

    Attributes:
        system: the metric.
        data: name of the data set.
        triplets: with their pixels.
        left, right: (b,) distances of the candidates.
        radii: one for each triplet.
        told: what all its rows share, of the run and the metric.
        seed: of the run.
    """

    system: System
    data: str
    triplets: tuple[Triplet[Bytes], ...]
    left: Array
    right: Array
    radii: tuple[Radii, ...]
    told: Provenance
    seed: int

    @property
    def order(self) -> Array:
        """(b,) +1 where the right candidate is nearer, −1 where the left one is, 0 for a draw."""
        return nearer(self.left, self.right)

    def clean_row(self, place: int) -> Row:
        """The record before any attack."""
        distances = {"left": float(self.left[place]), "right": float(self.right[place])}
        return {**_NO_ATTACK, **self.base(place), **distances, "attack_seed": self.seed}

    def base(self, place: int) -> Row:
        """The columns that do not depend on an attack."""
        triplet, order = self.triplets[place], float(self.order[place])
        radii = self.radii[place]
        return {
            **self.told.columns(),
            "system": self.system.spec,
            "query_sha256": sha256_bytes(b"".join(image.tobytes() for image in triplet.images)),
            "width": triplet.reference.shape[1],
            "height": triplet.reference.shape[0],
            "edit": "identity",
            "title": self.system.metric.facts.title,
            "certified": self.system.certified,
            "data": self.data,
            "query": triplet.name,
            "group": triplet.group,
            "preference": triplet.preference,
            "votes": triplet.votes,
            "side": min(triplet.reference.shape[:2]),
            "clean_left": float(self.left[place]),
            "clean_right": float(self.right[place]),
            "agrees": order * (triplet.preference - 0.5) > 0,
            "radius_sound": radii.sound,
            "radius_published": radii.published,
            "radius_all": radii.all,
            "published_holds": radii.published_holds,
        }


@dataclass(frozen=True)
class Judged:
    """A saved image, measured and judged.

    Attributes:
        distance: of the change; the largest where several images change.
        left, right: distances of the candidates now.
        shift: how far the embedding moved, for attacks on embeddings.
    """

    distance: Distance
    left: float
    right: float
    shift: Shift | None = None

    def flips(self, view: View, place: int) -> bool:
        """Whether the metric prefers the other candidate now."""
        return float(view.order[place]) * _order(self.left, self.right) < 0

    def breaks(self, view: View, place: int, moves: Moves) -> bool:
        """Whether it breaks a proof: flips what is certified for changes of this size, or moves past its limit."""
        inside = self.distance.l2 < view.radii[place].against(moves)
        return (self.flips(view, place) and inside) or (self.shift is not None and self.shift.broken)


def attack_row(
    view: View,
    place: int,
    setting: Setting,
    moves: Moves,
    outcome: Outcome[Any],
    judged: tuple[Judged, Judged],
    *,
    shown: int,
    source: str | None,
) -> Row:
    """The record of one attack by one judge.

    Args:
        view: of the judge.
        place: of the triplet in it.
        setting: of the attack.
        moves: what it changed.
        outcome: what the harness says of it.
        judged: the float image, then the PNG.
        shown: which of the two the record speaks of.
        source: the metric it was made on, if another; its cost counts there.
    """
    chosen, own = judged[shown], source is None
    return {
        **_NO_ATTACK,
        **view.base(place),
        **sizes_of(chosen.distance),
        "attack": setting.attack.name,
        "setting": setting.label,
        "goal": setting.goal,
        "moves": moves,
        "source": source,
        "norm": setting.attack.norm,
        "eps": None if setting.attack.norm == "none" or setting.at_radius is not None else setting.eps,
        "steps": setting.effort.steps_of(setting.attack),
        "medium": ("float", "png")[shown],
        "left": chosen.left,
        "right": chosen.right,
        "flipped": chosen.flips(view, place),
        "flipped_png": judged[1].flips(view, place),
        "smallest_eps": _smallest(setting, chosen.distance) if chosen.flips(view, place) else None,
        "shift": chosen.shift.moved if chosen.shift else None,
        "shift_limit": chosen.shift.limit if chosen.shift else None,
        "alarm": any(one.breaks(view, place, moves) for one in judged),
        "weak": "+".join(outcome.weak) or None,
        "seconds": outcome.seconds if own else 0.0,
        "gradients": outcome.gradients if own else 0,
        "forwards": outcome.forwards if own else 0,
        "attack_seed": outcome.subject.seed,
    }


def largest_change(clean: Bytes, changed: Pixels, *, images: int) -> Distance:
    """How far images, one above another, have moved: of every measure the largest, of PSNR the least."""
    pairs = zip(np.split(clean / 255.0, images), np.split(changed, images), strict=True)
    each = [measure(np.ascontiguousarray(before), np.ascontiguousarray(after)) for before, after in pairs]
    psnr = [one.psnr for one in each if one.psnr is not None]
    largest = {field.name: max(getattr(one, field.name) or 0 for one in each) for field in fields(Distance)}
    return Distance(**{**largest, "psnr": min(psnr) if psnr else None})


def _smallest(setting: Setting, distance: Distance) -> float | None:
    """The least winning size of an attack that looks for it; FGSM's is one of the radii that it tries."""
    if not setting.attack.minimal:
        return None
    found = distance.size(setting.attack.norm)
    if setting.attack.name != "fgsm":
        return found
    step = setting.eps / setting.effort.steps
    return step * max(1, math.ceil(found / step - 1e-3))


def _order(left: float, right: float) -> int:
    """As :func:`.records.nearer`, of one pair."""
    return (left > right) - (left < right)


_NO_ATTACK: Row = {
    **NO_ATTACK,
    **dict.fromkeys(("setting", "moves"), "none"),
    **dict.fromkeys(("eps", "smallest_eps", "shift", "shift_limit")),
    **dict.fromkeys(("flipped", "flipped_png"), False),
}
