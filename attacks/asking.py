"""Searches written for one sample at a time, run on many: each asks about some images, all are answered together.

What a search does then depends on its own sample alone, and never on which others are in the batch.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from .restarts import Start
from .result import AttackResult, Best
from .target import VALUES_AT_ONCE, Target, loss_alone

Question = Tensor
"""(k, 3, H, W) images of one sample; the answer is their (k,) losses."""
Asker = Generator[Question, Tensor, Tensor]
"""Yields questions, is sent answers, and returns the image (3, H, W) it has found."""


def ask_all(target: Target, askers: Sequence[Asker], start: Start) -> AttackResult:
    """Run one search per sample to its end, and evaluate what each has found.

    Args:
        target: the system under attack.
        askers: not yet started, one per sample.
        start: what they were started with.
    """
    questions: dict[int, Question] = {}
    found: dict[int, Tensor] = {}
    counts = torch.zeros(len(askers), dtype=torch.int64)
    first = torch.full((len(askers),), torch.nan, dtype=start.x.dtype)
    for row, asker in enumerate(askers):
        _go_on(row, asker, None, questions, found)
    while questions:
        rows = list(questions)
        for row, losses in zip(rows, _answers(target, [questions[row] for row in rows], rows, start), strict=True):
            first[row] = losses[0] if counts[row] == 0 else first[row]
            counts[row] += len(losses)
            _go_on(row, askers[row], losses, questions, found)
    return _judge(target, torch.stack([found[row] for row in range(len(askers))]), counts, first, start)


def _go_on(
    row: int, asker: Asker, answer: Tensor | None, questions: dict[int, Question], found: dict[int, Tensor]
) -> None:
    """Send an answer, and note the next question or the result."""
    questions.pop(row, None)
    try:
        questions[row] = next(asker) if answer is None else asker.send(answer)
    except StopIteration as end:
        found[row] = end.value


def _answers(target: Target, questions: Sequence[Question], rows: Sequence[int], start: Start) -> list[Tensor]:
    """Losses of all images asked about, as many at a time as fit in memory."""
    images = torch.cat(list(questions))
    samples = start.samples[[row for row, asked in zip(rows, questions, strict=True) for _ in asked]]
    most = max(1, VALUES_AT_ONCE // start.x[0].numel())
    pieces = zip(images.split(most), samples.split(most), strict=True)
    losses = torch.cat([loss_alone(target, image, sample) for image, sample in pieces])
    return list(losses.split([len(asked) for asked in questions]))


def _judge(target: Target, images: Tensor, counts: Tensor, first: Tensor, start: Start) -> AttackResult:
    rows = torch.arange(len(images), device=images.device)
    loss = loss_alone(target, images, start.samples)
    best = Best(images)
    asked, first = counts.to(images.device), first.to(images.device)
    best.note(
        rows,
        images,
        loss,
        forwards=asked + 1,
        gradients=0,
        zeros=0,
        first=torch.where(asked > 0, first, loss),
    )
    return best.result()
