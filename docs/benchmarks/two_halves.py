"""Whether "two of four halves agree" is a better test than "one half does": a table, in float32, proving nothing.

    python docs/benchmarks/two_halves.py [--items 150] [--others 300] [--negatives 500] [--each 25] [--seed 3]

Items are images of ``dev``, edited; others (stored too) and negatives are photographs that nothing was trained on. Each
stored image has five rows: itself and its halves. A query is compared whole with the whole, and each half of it with the
same half. Three rules: the whole alone; or the nearest half; or the second nearest of the four (the second largest signed
distance, which is 1-Lipschitz as the largest is). An angle counts in parts of the stored image's gap. Each rule's thresholds
allow one false match in 100 negatives, halves and whole sharing it alike. Certified: the signed T5 distance, divided
by the view's own L, of the rule's test.
"""  # noqa: E501 - two lines too long

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent / "kinds"))
from photographs import decoded, folder, photographs  # pyright: ignore[reportMissingImports]

from retr.embedding.registry import load_embedder
from retr.images.copy_edits import edited
from retr.images.query_views import parse_query_view
from retr.images.resize import resize_operator

VIEWS = tuple(
    parse_query_view(name)
    for name in (
        *("original", "crop-50x100-at-0x50", "crop-50x100-at-100x50", "crop-100x50-at-50x0", "crop-100x50-at-50x100"),
    )
)
FAMILIES = ("bar", "text", "logo", "crop", "border", "screenshot", "rotation", "two", "jpeg", "contrast")
RADII = (0.0, 1.0, 3.0)
Seen = tuple[np.ndarray, np.ndarray]


def see(model, pictures) -> Seen:
    """(n, 5, d) embeddings, and (n, 5) how many RMSE levels of the whole picture a unit of each is worth."""
    rows, worth = [], []
    for pixels in pictures:
        x = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32, order="C"))[None] / 255.0
        seen = [view.pick(x) for view in VIEWS]
        resizes = [resize_operator((one.shape[-2], one.shape[-1]), model.input_size) for one in seen]
        with torch.inference_mode():
            rows.append(model.forward(torch.cat([r.apply(s) for r, s in zip(resizes, seen, strict=True)])).numpy())
        lipschitz = [model.lipschitz.value * one.norm.value for one in resizes]
        worth.append([255.0 / (one * np.sqrt(pixels.size)) for one in lipschitz])
    return np.stack(rows), np.array(worth)


def angles(queries: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """(n, m, 5) angles, each view with its own."""
    unit = [one / np.maximum(np.linalg.norm(one, axis=2, keepdims=True), 1e-9) for one in (queries, stored)]
    return np.arccos(np.clip(np.einsum("nvd,mvd->nmv", *unit), -1.0, 1.0))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("items", 150), ("others", 300), ("negatives", 500), ("each", 25), ("seed", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rng, model = np.random.default_rng(given.seed), load_embedder("retr_s")
    paths = sorted(path for path in (folder().parent / "dev").rglob("*.*") if path.suffix in (".jpg", ".png"))
    items = [decoded(paths[n].read_bytes()) for n in rng.choice(len(paths), given.items, replace=False)]
    apart = [decoded(one) for _, one in islice(photographs(reference=False), given.others + given.negatives)]
    drawn = [(f, int(n)) for f in FAMILIES for n in rng.choice(given.items, given.each, replace=False)]
    queries = [edited(items[n], family, seed=given.seed, image=str(n)).pixels for family, n in drawn]
    stored, _ = see(model, [*items, *apart[: given.others]])
    asked, worth = see(model, queries)
    absent, _ = see(model, apart[given.others :])
    gap = angles(stored, stored)[..., 0]
    np.fill_diagonal(gap, np.inf)
    gap = gap.min(axis=1)
    none = angles(absent, stored) / gap[:, None]
    own = np.array([n for _, n in drawn])
    found = angles(asked, stored[own])[np.arange(len(own)), np.arange(len(own))]
    lengths = np.linalg.norm(asked, axis=2)
    print("| rule | " + " | ".join(f"verdict at {radius:g}" for radius in RADII) + " | " + " | ".join(FAMILIES) + " |")
    for rule, place in (("the whole alone", None), ("or one half", 0), ("or two halves", 1)):
        share = 0.01 if place is None else 0.005
        edges = [np.quantile(none[..., 0].min(axis=1), share)]
        inside = [lengths[:, 0] * np.sin(edges[0] * gap[own] - found[:, 0]) * worth[:, 0]]
        if place is not None:
            halves = np.sort(none[..., 1:], axis=2)[..., place]
            edges.append(np.quantile(halves.min(axis=1), share))
            each = lengths[:, 1:] * np.sin(edges[1] * gap[own][:, None] - found[:, 1:]) * worth[:, 1:]
            inside.append(-np.sort(-each, axis=1)[:, place])
        best = np.max(inside, axis=0)
        means = [100.0 * (best > radius).mean() for radius in RADII]
        by = [100.0 * (best[[f == family for f, _ in drawn]] > 0).mean() for family in FAMILIES]
        print(f"| {rule} | " + " | ".join(f"{one:.1f}" for one in [*means, *by]) + " |", flush=True)


if __name__ == "__main__":
    main()
