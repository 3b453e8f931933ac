"""Choose view sets: which views of an item earn their bytes, measured on edited copies among other images.

    python docs/benchmarks/choose_views.py PHOTOS... [--model SPEC]... [--items N] [--distractors N] [--negatives N]
        [--draws N] [--rows TYPE] [--sizes 16,128] [--shares 1,1] [--seed N] [--out FILE]

PHOTOS are folders or webdataset tar shards with photographs that no benchmark reports on. The images are split by seed:
items, which are edited by the twenty families of the copy benchmark and looked for; distractors, stored as they are;
negatives, which set the thresholds. Every view of a pool is embedded for every item. Then views are taken greedily: the
next is the one that adds most to the mean, over families, of eight rates: recall@1 clean and certified at RMSE 1, 2, 3
and 5, and the copy verdict clean and certified at RMSE 1 and 5. Every view counts on both sides: rivals have the same
views, and the thresholds are set anew on the negatives (together, for one false-match rate), so a view that matches
anything costs more than it brings. Everything is float32 and proves nothing; ``retr bench-copies`` measures what was
chosen.

Prints the views in the order chosen, with what the set reaches so far, and a table per family at the sizes asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tarfile import open as open_tar

import numpy as np
import torch
from PIL import Image

from retr.embedding.contract import Embedder
from retr.embedding.registry import load_embedder
from retr.images.copy_edits import FAMILIES, edited
from retr.images.resize import resize_operator
from retr.images.views import Pixels, View, parse_view
from retr.indexer.row_codes import ROW_CODES, decode
from retr.retrieval.conformal import cut

BUDGETS = (0.0, 1.0, 2.0, 3.0, 5.0)
VERDICTS = (0.0, 1.0, 5.0)
LABELS = (*(f"recall {b:g}" for b in BUDGETS), *(f"copy {b:g}" for b in VERDICTS))
FPR = 1e-3
KEEPS = (55, 65, 75, 85)


@dataclass(frozen=True)
class Nearest:
    """Best cosines in one channel: by each view of all items, and by the images stored as they are.

    Attributes:
        own: (queries, views) of the query's own item.
        rival: (queries, views) of other items; base: (queries,) of distractors.
        absent: (negatives, views) of any item; absent_base: (negatives,) of distractors.
        scale: (queries,) length of the embedding in RMSE levels of the query.
    """

    own: np.ndarray
    rival: np.ndarray
    base: np.ndarray
    absent: np.ndarray
    absent_base: np.ndarray
    scale: np.ndarray

    def with_view(self, state: tuple[np.ndarray, ...], view: int) -> tuple[np.ndarray, ...]:
        """The same for a set that holds one view more: (queries,), (queries,), (negatives,)."""
        columns = (self.own[:, view], self.rival[:, view], self.absent[:, view])
        return tuple(np.maximum(old, new) for old, new in zip(state, columns, strict=True))

    def empty(self) -> tuple[np.ndarray, ...]:
        """The state of no view at all."""
        return np.full_like(self.base, -1.0), self.base, self.absent_base


@dataclass(frozen=True)
class Measured:
    """What the choice is made from.

    Attributes:
        channels: per model.
        families: (queries,) number of the family.
        names: of the views.
        shares: of false matches, per channel.
    """

    channels: list[Nearest]
    families: np.ndarray
    names: list[str]
    shares: list[float]


def pool() -> list[str]:
    """Names of the views to choose from."""
    thirds, halves = (0, 33, 67, 100), (0, 50, 100)
    crops = [(h, w, d, a) for h in KEEPS for w in KEEPS for d in halves for a in halves]
    crops += [(h, w, d, a) for h in KEEPS[:2] for w in KEEPS[:2] for d in thirds for a in thirds]
    crops += [(k, 100, d, 0) for k in KEEPS for d in halves] + [(100, k, 0, a) for k in KEEPS for a in halves]
    cropped = [f"crop-{h}x{w}-at-{d}x{a}" for h, w, d, a in dict.fromkeys(crops)]
    borders = [f"border-{s}x{s}-{c}" for s in (5, 10) for c in ("black", "grey", "white")]
    boxes = [b for s in (8, 15) for c in ("black", "grey", "white") for b in (f"border-{s}x0-{c}", f"border-0x{s}-{c}")]
    turns = [f"turn-{way}-{n}-{c}" for n in (4, 8, 12, 16, 20) for way in ("left", "right") for c in ("grey",)]
    turns += [f"turn-{way}-{n}-{c}" for n in (9, 16) for way in ("left", "right") for c in ("black", "white")]
    windows = [f"window-9-{f}-{m}-{c}" for f in (0, 8) for m in (0, 4) for c in ("dark", "light")]
    mirrored = [f"flip+crop-{k}x{k}-at-{d}x{a}" for k in (60, 75) for d in halves for a in halves]
    mirrored += [f"flip+{name}" for name in (*borders[:1], *borders[2:3], *turns[2:6], *windows[:2])]
    bars = [f"bar-{w}-16-at-{p}-{c}" for w in ("across", "down") for p in halves for c in ("black", "white")]
    plain = ["grey", "gamma-60", "gamma-160", "grey+flip", *bars]
    return ["original", "flip", *plain, *cropped, *borders, *boxes, *turns, *windows, *mirrored]


def read_images(source: Path) -> list[bytes]:
    """The encoded images of a folder or a shard, in order of their names."""
    if source.is_dir():
        return [path.read_bytes() for path in sorted(source.rglob("*")) if path.suffix.lower() in (".jpg", ".png")]
    with open_tar(source) as shard:
        members = (shard.extractfile(m) for m in shard.getmembers() if m.name.endswith((".jpg", ".png")))
        return [member.read() for member in members if member is not None]


def pixels_of(encoded: bytes) -> Pixels:
    """Decode one image."""
    return np.asarray(Image.open(BytesIO(encoded)).convert("RGB"))


def embed(images: Iterator[Pixels], embedders: Sequence[Embedder]) -> list[np.ndarray]:
    """(n, dim) per embedder, not normalised; images of any sizes."""
    found: list[list[np.ndarray]] = [[] for _ in embedders]
    for batch in _batches(images, 256):
        sizes = {embedder.input_size for embedder in embedders}
        with ThreadPoolExecutor(2) as threads:
            inputs = {size: torch.stack(list(threads.map(lambda p, s=size: resized(p, s), batch))) for size in sizes}
        with torch.inference_mode():
            for rows, embedder in zip(found, embedders, strict=True):
                rows.append(embedder.forward(inputs[embedder.input_size]).numpy())
    return [np.concatenate(rows) for rows in found]


def resized(pixels: Pixels, size: tuple[int, int]) -> torch.Tensor:
    """One image as the network's input."""
    x = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32, order="C")).div_(255.0)
    return resize_operator((pixels.shape[0], pixels.shape[1]), size).apply(x)


def _batches(images: Iterator[Pixels], size: int) -> Iterator[list[Pixels]]:
    batch: list[Pixels] = []
    for image in images:
        batch.append(image)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def stored(rows: np.ndarray, code: str) -> np.ndarray:
    """Unit rows as an index gives them back."""
    rows = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    return rows if code == "float32" else decode(ROW_CODES[code].encode(rows), code, where="memory")


def signed(cosines: np.ndarray, lengths: np.ndarray, angle: float) -> np.ndarray:
    """T5's signed distance to the cone, positive inside, in the units of the lengths (broadcast)."""
    inside = angle - np.arccos(np.clip(cosines, -1.0, 1.0))
    return np.where(np.abs(inside) < np.pi / 2, np.sin(inside), np.sign(inside)) * lengths


def best(z: np.ndarray, rows: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """(n,) best cosine of unit queries z with rows; row number own[i], where given, does not count for query i."""
    found = np.full(len(z), -1.0, dtype=np.float32)
    for first in range(0, len(rows), 4096):
        scores = z @ rows[first : first + 4096].T
        if own is not None:
            scores[np.arange(len(z)), own] = -1.0
        found = np.maximum(found, scores.max(axis=1))
    return found


def unit(z: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)


def nearest(
    mine: np.ndarray, others: np.ndarray, query: np.ndarray, own: np.ndarray, absent: np.ndarray, scale: np.ndarray
) -> Nearest:
    """One channel: mine (items, views, dim) and others (n, dim) are stored rows, query and absent embeddings."""
    q, a, views = unit(query), unit(absent), range(mine.shape[1])
    rows = [np.ascontiguousarray(mine[:, view]) for view in views]
    return Nearest(
        own=np.stack([np.einsum("qd,qd->q", q, rows[view][own]) for view in views], axis=1),
        rival=np.stack([best(q, rows[view], own) for view in views], axis=1),
        base=best(q, others),
        absent=np.stack([best(a, rows[view]) for view in views], axis=1),
        absent_base=best(a, others),
        scale=np.linalg.norm(query, axis=1) * scale,
    )


def measure(args: argparse.Namespace) -> Measured:
    """Embed everything, set the thresholds, and take every view's margin for every query."""
    embedders = [load_embedder(spec) for spec in args.model]
    images = [image for source in args.photos for image in read_images(source)]
    order = np.random.default_rng(args.seed).permutation(len(images))
    cuts = np.cumsum([args.items, args.distractors, args.negatives])
    if len(images) < cuts[-1]:
        raise SystemExit(f"{len(images)} images are there; {cuts[-1]} are needed")
    items, others, absent = ([images[i] for i in part] for part in np.split(order[: cuts[-1]], cuts[:-1].tolist()))
    names = pool()
    views = [parse_view(name) for name in names]
    say(f"{len(names)} views of {len(items)} items")
    own_rows = [stored(e, args.rows) for e in embed(_all_views(items, views), embedders)]
    say(f"{len(others)} distractors, {len(absent)} negatives")
    other_rows = [stored(e, args.rows) for e in embed(map(pixels_of, others), embedders)]
    absent_z = embed(map(pixels_of, absent), embedders)
    drawn = list(_queries(items, args.draws, args.seed))
    say(f"{len(drawn)} queries")
    query_z = embed(iter([pixels for _, _, pixels in drawn]), embedders)
    own = np.array([item for item, _, _ in drawn])
    scale = np.array([_scale(pixels, embedders[0].input_size) for _, _, pixels in drawn])
    mine = [rows.reshape(len(items), len(views), -1) for rows in own_rows]
    parts = zip(mine, other_rows, query_z, absent_z, strict=True)
    channels = [nearest(m, o, q, own, a, scale) for m, o, q, a in parts]
    shares = [float(part) for part in args.shares.split(",")] if args.shares else [1.0] * len(embedders)
    return Measured(channels, np.array([family for _, family, _ in drawn]), names, shares)


def _all_views(items: Sequence[bytes], views: Sequence[View]) -> Iterator[Pixels]:
    for encoded in items:
        pixels = pixels_of(encoded)
        yield from (view.apply(pixels) for view in views)


def _queries(items: Sequence[bytes], draws: int, seed: int) -> Iterator[tuple[int, int, Pixels]]:
    """(item, family, pixels); families without parameters are drawn once."""
    for item, encoded in enumerate(items):
        pixels = pixels_of(encoded)
        for family, name in enumerate(FAMILIES):
            for draw in range(draws if FAMILIES[name].geometric and name != "flip" else 1):
                yield item, family, edited(pixels, name, seed=seed + draw, image=str(item)).pixels


def _scale(pixels: Pixels, size: tuple[int, int]) -> float:
    """What an embedding's unit is worth in RMSE levels of this query (L = ρ; both networks are 1-Lipschitz)."""
    norm = resize_operator((pixels.shape[0], pixels.shape[1]), size).norm.value
    return 255.0 / (norm * float(np.sqrt(pixels.size)))


State = list[tuple[np.ndarray, ...]]
"""Per channel, what ``Nearest.with_view`` gives for the set so far."""


def leads(measured: Measured, state: State) -> tuple[np.ndarray, np.ndarray]:
    """(queries,) certified radius of the first place (T9) and of the verdict, in RMSE; negative where it fails."""
    near = np.stack([absent for _, _, absent in state], axis=1).astype(np.float64)
    edges = cut(near, max(len(state), int(FPR * (len(near) + 1))), measured.shares)
    copies, rivals = [], []
    for channel, (own, rival, _), edge in zip(measured.channels, state, edges, strict=True):
        copies.append(signed(own, channel.scale, float(np.arccos(edge))))
        rivals.append(signed(rival, channel.scale, float(np.arccos(edge))))
    copy = np.max(copies, axis=0)
    return 0.5 * (copy - np.max(rivals, axis=0)), copy


def rates(measured: Measured, state: State) -> np.ndarray:
    """(queries, 8) booleans for a set."""
    first, copy = leads(measured, state)
    return np.stack([first > b for b in BUDGETS] + [(copy > b) & (first > 0) for b in VERDICTS], axis=-1)


def choose(measured: Measured, most: int) -> Iterator[tuple[str, float, State]]:
    """Views in the order of their worth: (name, score, the set so far); the item itself is first."""
    counts = np.bincount(measured.families, minlength=len(FAMILIES))
    weights = (1.0 / (len(FAMILIES) * counts))[measured.families]
    state = extended(measured, [channel.empty() for channel in measured.channels], 0)
    reached, gains = score(measured, state, weights), dict.fromkeys(range(1, len(measured.names)), 1.0)
    yield measured.names[0], reached, state
    while gains and most > 1:
        # Lazily: what a view once added is about the most that it adds later, so few are tried again.
        tried: set[int] = set()
        while (view := max(gains, key=lambda v: gains[v])) not in tried:
            tried.add(view)
            gains[view] = score(measured, extended(measured, state, view), weights) - reached
        state, reached, most = extended(measured, state, view), reached + gains.pop(view), most - 1
        yield measured.names[view], reached, state


def extended(measured: Measured, state: State, view: int) -> State:
    """The set with one view more."""
    return [channel.with_view(one, view) for channel, one in zip(measured.channels, state, strict=True)]


def score(measured: Measured, state: State, weights: np.ndarray) -> float:
    """The mean of the eight rates, with steps softened to a level so that near misses count too."""
    first, copy = leads(measured, state)
    soft = [np.clip(first - b + 0.5, 0.0, 1.0) for b in BUDGETS] + [np.clip(copy - b + 0.5, 0.0, 1.0) for b in VERDICTS]
    return float(np.mean([(weights * one).sum() for one in soft]))


def table(measured: Measured, state: State) -> str:
    """Rates per family and in the mean, in percent."""
    hits = rates(measured, state)
    lines = [[name, hits[measured.families == number].mean(0)] for number, name in enumerate(FAMILIES)]
    lines.append(["mean", np.mean([line[1] for line in lines], axis=0)])
    head = "| family | " + " | ".join(LABELS) + " |\n|---|" + "---|" * len(LABELS)
    return "\n".join(
        [head, *(f"| {name} | " + " | ".join(f"{100 * v:.1f}" for v in row) + " |" for name, row in lines)]
    )


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, choose, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--items", type=int, default=150)
    parser.add_argument("--distractors", type=int, default=1500)
    parser.add_argument("--negatives", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=4, help="edits per item and geometric family")
    parser.add_argument("--rows", default="int8", choices=list(ROW_CODES))
    parser.add_argument("--sizes", default="16,128", help="how many views the sets may have")
    parser.add_argument("--shares", default="", help="as for retr calibrate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the order as JSON")
    args = parser.parse_args()
    args.model = args.model or ["block-means"]
    sizes = [int(size) for size in args.sizes.split(",")]
    measured, order = measure(args), []
    for number, (name, worth, state) in enumerate(choose(measured, max(sizes)), start=1):
        order.append({"view": name, "score": worth})
        print(f"{number:4} {worth:.4f} {name}", flush=True)
        if number in (1, *sizes):
            print(f"\n{number} views\n\n{table(measured, state)}\n", flush=True)
    if args.out:
        args.out.write_text(json.dumps({"models": args.model, "rows": args.rows, "order": order}, indent=1))


if __name__ == "__main__":
    main()
