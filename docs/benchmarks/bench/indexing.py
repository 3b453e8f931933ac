"""Indexing: each stage alone, all of it, and what others take to look at the same images, on all cores."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import imagehash
import numpy as np
import torch
from measuring import Setting, disk, megabytes, memory_now, rates, table
from PIL import Image

from retr.core.parallel import in_order, sharing_cores
from retr.core.progress import Silent
from retr.embedding.network import quickly
from retr.embedding.registry import load_embedder
from retr.embedding.sll_network import LIPSIM_SMALL, SLLNetwork
from retr.images.decode import DecodedImage, load
from retr.images.policy import DecodePolicy
from retr.images.resize import resize_operator
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.embed import bulk
from retr.indexer.options import DEFAULT_MODELS

PART = 16
"""Images embedded at a time by a thread, as the indexer does."""


def stages(setting: Setting) -> dict[str, object]:
    """Images a second, in rounds; every job has all cores."""
    paths = setting.photographs()[: setting.size.images]
    listing, index = setting.folder_of(paths, "round"), setting.work / "index-round"
    policy = DecodePolicy()
    images = [_read(path, policy) for path in paths]
    embedders = [load_embedder(spec) for spec in DEFAULT_MODELS]
    inputs = torch.stack([_resized(image, embedders[0].input_size) for image in images])
    jobs: dict[str, Callable[[], int]] = {
        "decode": lambda: _each(partial(_read, policy=policy), paths, setting.workers),
        "resize": lambda: _each(partial(_resized, size=embedders[0].input_size), images, setting.workers),
        "embed": lambda: _embed(embedders, inputs, setting.workers),
        "index": lambda: _index(listing, index, setting.workers),
        "dHash": lambda: _each(partial(_hash, imagehash.dhash), paths, setting.workers),
        "pHash": lambda: _each(partial(_hash, imagehash.phash), paths, setting.workers),
        **_optional(paths, setting),
    }
    found = rates(jobs, setting.size.rounds)
    slower = [min(pair) for pair in zip(found["decode"], found["embed"], strict=True)]
    overlap = sorted(one / most for one, most in zip(found["index"], slower, strict=True))
    return {
        "images": len(paths),
        "rows": table(found, "index"),
        "index / the slower of decode and embed": overlap[len(overlap) // 2],
        "index bytes an image": disk(index) / len(paths),
    }


def _optional(paths: list[Path], setting: Setting) -> dict[str, Callable[[], int]]:
    """Peers that are no part of every installation."""
    jobs: dict[str, Callable[[], int]] = {}
    try:
        import pdqhash

        jobs["PDQ"] = lambda: _each(lambda path: pdqhash.compute(_pixels(path)), paths, setting.workers)
    except ImportError:
        pass
    few = setting.size.large
    resnet, lipsim = load_embedder("timm:resnet50#random"), SLLNetwork(LIPSIM_SMALL).fold()
    jobs["ResNet-50, embedding alone"] = lambda: _forward(resnet.bulk, 4 * few)
    jobs["LipSim's network, embedding alone"] = lambda: _forward(partial(quickly, lipsim), few)
    return jobs


def _each(work: Callable, items: list, workers: int) -> int:
    with sharing_cores(workers) as first:
        return sum(1 for _ in in_order(work, items, workers=workers, first=first))


def _read(path: Path, policy: DecodePolicy) -> DecodedImage:
    image = load(path, policy=policy)
    assert image.pixels_sha256  # it is made when it is first asked for, and the catalog asks
    return image


def _resized(image: DecodedImage, size: tuple[int, int]) -> torch.Tensor:
    return resize_operator((image.height, image.width), size).quick_levels(image.pixels)


def _embed(embedders: list, inputs: torch.Tensor, workers: int) -> int:
    with sharing_cores(workers) as first:
        parts = in_order(
            lambda part: [bulk(one, part) for one in embedders], inputs.split(PART), workers=workers, first=first
        )
        sum(1 for _ in parts)
    return len(inputs)


def _index(listing: Path, index: Path, workers: int) -> int:
    shutil.rmtree(index, ignore_errors=True)
    report = build_index(str(listing), index, IndexOptions(workers=workers), Silent())
    assert report.rejected == 0, report.reasons
    return report.indexed


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _hash(algorithm: Callable, path: Path) -> object:
    with Image.open(path) as image:
        return algorithm(image)


def _forward(network: Callable[[torch.Tensor], torch.Tensor], count: int) -> int:
    """Both read 224 × 224 pixels; each as quickly as its layers go here."""
    with torch.inference_mode():
        network(torch.rand(count, 3, 224, 224))
    return count


class _Watch:
    """How much memory there was after so many images."""

    def __init__(self) -> None:
        self.images, self.seen = 0, {}

    def start(self, total: int, done: int = 0) -> None:
        """Another stretch: gaps are counted in items too, and are not looked at."""

    def advance(self, count: int = 1) -> None:
        if self.images // 10_000 < (self.images + count) // 10_000:
            self.seen[(self.images + count) // 10_000 * 10_000] = round(memory_now())
        self.images += count


def whole(setting: Setting) -> dict[str, object]:
    """All photographs, once, in a process of its own."""
    paths = setting.photographs()
    if not setting.size.whole:
        paths = paths[: setting.size.images]
    index, watch = setting.work / "index", _Watch()
    shutil.rmtree(index, ignore_errors=True)
    began = time.perf_counter()
    report = build_index(str(setting.folder_of(paths, "whole")), index, IndexOptions(workers=setting.workers), watch)
    seconds = time.perf_counter() - began
    total = sum(report.seconds.values())
    return {
        "images": report.indexed,
        "images/s": report.indexed / seconds,
        "seconds": seconds,
        "shares of work": {stage: spent / total for stage, spent in report.seconds.items()},
        "peak MB": megabytes(),
        "MB after so many images": {str(count): now for count, now in watch.seen.items() if count <= report.indexed},
        "bytes on disk": disk(index),
        "bytes an image": disk(index) / report.indexed,
    }
