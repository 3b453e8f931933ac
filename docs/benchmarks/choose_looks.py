"""What looks of ``efficientnet-lite0`` find: the companion alone, in float32, with looks and without.

    python docs/benchmarks/choose_looks.py [--half odd|even] [--items 200] [--others 300] [--negatives 600] [--each 10]

Items are images of ``dev``, of those whose bytes have an odd or an even first byte of SHA-256: classes and parts of
``images.looks`` were chosen on the even half. Items and others are stored with the crops that a companion sees with
``--views light``; queries are edits of items, by all families of ``retr bench-copies``; others and negatives are
photographs that nothing was trained on, and that are no part of a reference set. A stored image's gap is its angle to
the nearest of the reference photographs and of the other stored images. An angle counts in parts of the gap and of the
class's part. Edges are those of calibration at rates of one, two and four in as many as there are negatives (one fewer
match). Prints the twenty, the fourteen, and each family, of whose queries the true item is nearest and inside of the
edge.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent / "kinds"))
from photographs import Pixels, decoded, folder, photographs  # pyright: ignore[reportMissingImports]

from retr.embedding.lite0 import load_lite0
from retr.images.copy_edits import FAMILIES, MORE, edited
from retr.images.found_views import parse_look, placed
from retr.images.light_views import LIGHT
from retr.images.looks import CROPS, LOOKS
from retr.images.resize import resize_operator
from retr.images.views import parse_view

STORED = [parse_view(name) for name in LIGHT.split()[: 1 + len(CROPS)]]
LOOKED = [parse_look(name) for name in dict.fromkeys(view for look in LOOKS for view in look.views)]
PARTS = {(view, stored): look.part for look in LOOKS for view in look.views for stored in look.stored}
NONE = np.inf
Rows = np.ndarray


class Seen:
    """What the companion sees of pictures: unit vectors."""

    def __init__(self) -> None:
        self.model = load_lite0()

    def rows(self, pictures: Sequence[Pixels]) -> Rows:
        """(n, dim)."""
        operators = [resize_operator((one.shape[0], one.shape[1]), self.model.input_size) for one in pictures]
        small = [r.quick_levels(np.ascontiguousarray(one)) for r, one in zip(operators, pictures, strict=True)]
        with torch.inference_mode():
            z = self.model.forward(torch.stack(small)).numpy()
        return z / np.linalg.norm(z, axis=1, keepdims=True)

    def stored(self, pixels: Pixels) -> Rows:
        """(views, dim) of an item."""
        return self.rows([view.apply(pixels) for view in STORED])

    def looks(self, pixels: Pixels) -> Rows:
        """(looks, dim) of a query; no number where nothing is found."""
        x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
        views = {view.name: view.pick(x)[0].permute(1, 2, 0).numpy() for view in placed(LOOKED, pixels)}
        found = dict(zip(views, self.rows(list(views.values())), strict=True))
        blank = np.full(self.model.dim, np.nan, dtype=np.float32)
        return np.stack([found.get(view.name, blank) for view in LOOKED])


def angles(one: Rows, other: Rows) -> Rows:
    """Between unit vectors, each with each."""
    return np.arccos(np.clip(one @ other.T, -1.0, 1.0))


def levels(queries: Rows, stored: Rows, gaps: Rows, *, looking: bool) -> Rows:
    """(queries, items) the least angle, in parts of the gap and of what its class allows."""
    least = np.full((len(queries), len(stored)), NONE)
    for look, one in enumerate(LOOKED):
        for place, other in enumerate(STORED):
            part = PARTS.get((one.name, other.name)) if looking or look == place == 0 else None
            if part is not None:
                far = angles(queries[:, look], stored[:, place]) / (part * gaps)
                least = np.fmin(least, far)
    return least


def items(half: str, count: int) -> list[Pixels]:
    """Images of one half of ``dev``."""
    files = sorted(p for p in (folder().parent / "dev").rglob("*.*") if p.suffix in (".jpg", ".png"))
    wanted = int(half == "odd")
    own = [p for p in files if hashlib.sha256(p.read_bytes()).digest()[0] % 2 == wanted]
    chosen = np.random.default_rng(11).choice(len(own), min(count, len(own)), replace=False)
    return [decoded(own[number].read_bytes()) for number in chosen]


def edits(pictures: Sequence[Pixels], each: int) -> Iterator[tuple[str, int, Pixels]]:
    """(family, number of the item, query)."""
    rng = np.random.default_rng(12)
    for family in (*FAMILIES, *MORE):
        for number in rng.choice(len(pictures), each, replace=False).tolist():
            yield family, number, edited(pictures[number], family, seed=1, image=str(number)).pixels


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("odd", "even"), default="odd")
    for name, count in (("items", 200), ("others", 300), ("negatives", 600), ("each", 10), ("reference", 1500)):
        parser.add_argument(f"--{name}", type=int, default=count)
    given = parser.parse_args()
    torch.set_num_threads(1)
    seen, pictures = Seen(), items(given.half, given.items)
    absent = [decoded(data) for _, data in islice(photographs(reference=False), given.others + given.negatives)]
    stored = np.stack([seen.stored(one) for one in (*pictures, *absent[: given.others])])
    known = [decoded(data) for _, data in islice(photographs(reference=True), given.reference)]
    reference = np.concatenate([seen.rows(known[at : at + 16]) for at in range(0, len(known), 16)])
    near = angles(stored[:, 0], stored[:, 0])
    np.fill_diagonal(near, NONE)
    gaps = np.minimum(near.min(axis=1), angles(stored[:, 0], reference).min(axis=1))
    asked = list(edits(pictures, given.each))
    queries = np.stack([seen.looks(pixels) for _, _, pixels in asked])
    negatives = np.stack([seen.looks(pixels) for pixels in absent[given.others :]])
    own = np.array([number for _, number, _ in asked])
    families = np.array([family for family, _, _ in asked])
    for looking in (False, True):
        far = levels(queries, stored, gaps, looking=looking)
        edges = np.sort(levels(negatives, stored, gaps, looking=looking).min(axis=1))
        mine = far[np.arange(len(own)), own]
        first = far.argmin(axis=1) == own
        print(f"{'with looks' if looking else 'as it is'}: first {100 * first.mean():.1f} %")
        for cuts in (1, 2, 4):
            right = first & (mine < edges[cuts - 1])
            shares = [100 * right[np.isin(families, list(names))].mean() for names in (FAMILIES, MORE)]
            rate = f"{cuts} in {len(edges)} (edge {edges[cuts - 1]:.3f})"
            print(f"  {rate}: the twenty {shares[0]:.1f} %, the fourteen {shares[1]:.1f} %")
        told = {name: 100 * right[families == name].mean() for name in (*FAMILIES, *MORE)}
        print("  " + ", ".join(f"{name} {share:.0f}" for name, share in told.items()))


if __name__ == "__main__":
    main()
