"""From image files to answers: decode by the index's policy, embed, search, certify."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..core.errors import ImageRejected, UsageError
from ..core.rounded import budget_text
from ..core.units import Radius, Unit
from ..images.decode import DecodedImage, decode
from ..images.families.asked import AskedFamily
from ..images.isolated import Decoder
from ..indexer.addresses import asked_text
from ..indexer.entries import read_named
from .answer import Answer
from .channel import Float64
from .engine import Engine
from .ranges.prove import prove_ranges

BATCH_PIXELS = 16_000_000
"""Decoded pixels held at once; they take 3 bytes each."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One query file and its answer, or why it was refused; ``image`` as decoded, where a certificate was asked for."""

    path: str
    answer: Answer | None
    refused: ImageRejected | None = None
    image: DecodedImage | None = field(default=None, compare=False, repr=False)


Loaded = tuple[str, DecodedImage | ImageRejected]


def query_files(
    engine: Engine,
    paths: Sequence[str],
    *,
    k: int = 10,
    certify: bool = False,
    eps: float | None = None,
    unit: Unit = "rmse",
    against: Sequence[AskedFamily] = (),
    batch_size: int = 16,
    explain: bool = False,
    decode: Decoder = decode,
    watch: Callable[[Iterable[AskedFamily]], Iterable[AskedFamily]] = iter,
) -> Iterator[Outcome]:
    """Answer query files in order; a bad file is reported and the rest goes on.

    Args:
        engine: an open index.
        paths: image files.
        k: how many items to return.
        certify: also prove radii.
        eps: budget for the verdict, in ``unit``; None for the verdict on the query as it is.
        unit: l2 (pixels), rmse (8-bit levels) or psnr (dB).
        against: families of edits of which the answer is proved too, with ``eps`` on top, which they need.
        batch_size: queries per float32 search; fewer where the images are large.
        explain: say of every match what its threshold is measured by.
        decode: how files become pixels; ``images.isolated`` for files from strangers.
        watch: wraps the families of each query, for progress.
    """
    if against and eps is None:
        raise UsageError("edits are proved with a change of at most eps on top: give eps, or 0")
    loaded = ((path, _load(engine, path, decode)) for path in paths)
    for batch in _batches(loaded, batch_size):
        images = [image for _, image in batch if isinstance(image, DecodedImage)]
        asked = [None if eps is None else Radius.asked(eps, unit, image.pixels.size) for image in images]
        budgets = [None if one is None else one.l2 for one in asked]
        pixels = [image.pixels for image in images]
        words = asked_words(eps, unit)
        found = engine.answer_many(pixels, k=k, certify=certify, eps_l2=budgets, asked=words, explain=explain)
        answers = (_as_asked(answer, one) for answer, one in zip(found, asked, strict=True))
        for path, image in batch:
            if isinstance(image, ImageRejected):
                yield Outcome(path, None, image)
                continue
            answer = next(answers)
            if against:
                assert eps is not None, "checked above"
                proof = prove_ranges(engine, image.pixels, answer, against, eps=eps, unit=unit, watch=watch)
                answer = replace(answer, against=proof)
            yield Outcome(path, answer, image=image if certify else None)


def asked_words(eps: float | None, unit: Unit) -> str | None:
    """The budget as it was given."""
    words = {"l2": "ℓ2 {}", "rmse": "RMSE {}", "psnr": "PSNR {} dB"}
    return None if eps is None else words[unit].format(budget_text(eps))


def to_float(image: DecodedImage) -> Float64:
    """Decoded 8-bit pixels as the query the theorems speak of: (H, W, 3) float64 in [0, 1]."""
    return image.pixels.astype(np.float64) / 255.0


def _as_asked(answer: Answer, asked: Radius | None) -> Answer:
    """The same answer, which names the budget by the number that was given."""
    return answer if answer.eps is None else replace(answer, eps=asked)


def _batches(loaded: Iterable[Loaded], most: int) -> Iterator[list[Loaded]]:
    """Consecutive files, cut after so many files or so many pixels."""
    batch: list[Loaded] = []
    pixels = 0
    for path, image in loaded:
        batch.append((path, image))
        pixels += image.width * image.height if isinstance(image, DecodedImage) else 0
        if len(batch) == most or pixels >= BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _load(engine: Engine, path: str, decode: Decoder) -> DecodedImage | ImageRejected:
    try:
        return decode(read_named(asked_text(path), engine.policy), policy=engine.policy)
    except ImageRejected as why:
        return why
