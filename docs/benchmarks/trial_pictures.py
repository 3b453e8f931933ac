"""The pictures that ``measure_trial.py`` measures with, and what the convolutions of ``retr_s`` see of them."""

from __future__ import annotations

import functools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from trial_network import Trial

sys.path.insert(0, str(Path(__file__).resolve().parent / "kinds"))
from measuring import SIZES, contents  # pyright: ignore[reportMissingImports]
from photographs import decoded, photographs  # pyright: ignore[reportMissingImports]

from retr.embedding.network import quickly
from retr.images.copy_edits import FAMILIES, edited
from retr.images.kinds import made_kinds
from retr.images.light_views import LIGHT as LIGHT_VIEWS
from retr.images.query_views import parse_query_view
from retr.images.resize import resize_axis, resize_operator
from retr.images.view_pairs import LIGHT, query_views, rules_for
from retr.images.views import parse_view

Pixels = npt.NDArray[np.uint8]
Seen = tuple[Pixels | Tensor, tuple[int, int]]
"""A picture as the network is shown it, and the size of the whole query."""
SIDE = 64
ITEMS, STORED, ABSENT, FEW = 600, 1500, 2400, (200, 300, 1000)
"""Of dev, of distractors stored beside, negatives; the same three where every picture is seen 16 or 20 times."""
EACH, FEW_EACH, REFERENCE, CONTENTS = 120, 30, (2000, 990), 6
RULES = rules_for(LIGHT, ["retr_s"])
QUERY_VIEWS = [view.name for view in query_views(RULES)]
STORED_VIEWS: Sequence[str] = LIGHT_VIEWS.split()


@functools.cache
def items() -> list[Pixels]:
    """Pictures of dev, drawn by a fixed seed."""
    root = Path(os.environ.get("RETR_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data") / "dev"
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    chosen = np.random.default_rng(1).permutation(len(files))[:ITEMS]
    return [np.asarray(Image.open(files[place]).convert("RGB")) for place in chosen]


@functools.cache
def others() -> list[Pixels]:
    """Distractors that are in no reference set: those stored, then the negatives."""
    found = [decoded(encoded) for _, encoded in photographs(reference=False)]
    order = np.random.default_rng(2).permutation(len(found))[: STORED + ABSENT]
    return [found[place] for place in order]


def asked(each: int, among: int) -> Iterator[tuple[int, str, int]]:
    """(number of the family, its name, item) of every query."""
    for number, family in enumerate(FAMILIES):
        for k in range(each):
            yield number, family, (k * 7 + number * 13) % among


def edits(each: int, among: int) -> Iterator[Pixels]:
    """The pictures that ``asked`` names."""
    return (edited(items()[item], family, seed=3, image=str(item)).pixels for _, family, item in asked(each, among))


def _seen(pictures: Iterator[Pixels]) -> Iterator[Seen]:
    return ((pixels, pixels.shape[:2]) for pixels in pictures)  # pyright: ignore[reportReturnType]


def _as_stored(pictures: Sequence[Pixels]) -> Iterator[Seen]:
    return _seen(parse_view(name).apply(pixels) for pixels in pictures for name in STORED_VIEWS)


def _as_asked(pictures: Iterator[Pixels]) -> Iterator[Seen]:
    for pixels in pictures:
        x = _tensor(pixels)[None]
        for name in QUERY_VIEWS:
            yield parse_query_view(name).pick(x)[0], pixels.shape[:2]  # pyright: ignore[reportReturnType]


def _kinds() -> Iterator[Pixels]:
    for size in SIZES:
        for _, pictures in contents("report", size, CONTENTS):
            yield from pictures


PARTS: Mapping[str, Mapping[str, Callable[[], Iterator[Seen]]]] = {
    "plain": {
        "reference": lambda: _seen(islice((decoded(e) for _, e in photographs(reference=True)), REFERENCE[0])),
        "drawn": lambda: _seen(pixels for _, pixels in made_kinds(REFERENCE[1])),
        "gallery": lambda: _seen(iter([*items(), *others()[:STORED]])),
        "queries": lambda: _seen(edits(EACH, ITEMS)),
        "absent": lambda: _seen(iter(others()[STORED:])),
    },
    "kinds": {"kinds": lambda: _seen(_kinds())},
    "light": {
        "light-gallery": lambda: _as_stored([*items()[: FEW[0]], *others()[: FEW[1]]]),
        "light-queries": lambda: _as_asked(edits(FEW_EACH, FEW[0])),
        "light-absent": lambda: _as_asked(iter(others()[STORED : STORED + FEW[2]])),
    },
}


def features(out: Path, parts: Sequence[str]) -> None:
    """Keep what the convolutions see, and how many grey levels of the whole query a unit of ℓ2 is."""
    trunk = Trial(generator=torch.Generator().manual_seed(0)).trunk
    for name, source in ((name, source) for part in parts for name, source in PARTS[part].items()):
        if (out / f"{name}.npy").exists():
            continue
        stream, rows, units, began = source(), [], [], time.process_time()
        while batch := list(islice(stream, 256)):
            with torch.inference_mode():
                rows.append(quickly(trunk, torch.stack([_input(one) for one, _ in batch])).flatten(1).numpy())
            units += [_unit(one.shape[-2:] if isinstance(one, Tensor) else one.shape[:2], size) for one, size in batch]
        np.save(out / f"{name}-units.npy", np.array(units, np.float32))
        np.save(out / f"{name}.npy", np.concatenate(rows))
        print(f"{name}: {len(units)} pictures, {time.process_time() - began:.0f} s of processor time", flush=True)


def _input(seen: Pixels | Tensor) -> Tensor:
    x = seen if isinstance(seen, Tensor) else _tensor(seen)
    return resize_operator((x.shape[1], x.shape[2]), (SIDE, SIDE)).apply(x)


def _tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32, order="C")) / 255


def _unit(own: tuple[int, int], whole: tuple[int, int]) -> float:
    return 255.0 / (math.sqrt(3 * whole[0] * whole[1]) * _norm(own[0]) * _norm(own[1]))


@functools.cache
def _norm(side: int) -> float:
    return float(np.linalg.norm(resize_axis(side, SIDE).matrix, 2))
