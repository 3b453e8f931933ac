"""One-pixel attack by differential evolution, score-based, ℓ0 (Su et al. 2019, arXiv 1710.08864, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .restarts import Start, with_restarts
from .result import AttackResult, Best
from .target import VALUES_AT_ONCE, Target, loss_alone

Genes = npt.NDArray[np.float64]
"""(…, k, 5): k pixels, each (down, along, red, green, blue), all in [0, 1]."""

_POPULATION = 400
_GENERATIONS = 50
_FEWEST = 8


def one_pixel(
    target: Target,
    x: Tensor,
    *,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    population: int | None = None,
    differential_weight: float = 0.5,
    restarts: int = 1,
    stop_on_success: bool = True,
) -> AttackResult:
    """Evolve the place and the colour of ``eps`` pixels: a child, r₁ + F·(r₂ − r₃), replaces a parent that it beats.

    As in the paper: no crossover, places at first uniform, colours at first normal around grey.

    Args:
        target: the system under attack; only its value is used.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        eps: (b,) how many pixels may change, ≥ 1.
        steps: evaluations of the loss per start; the last generation may be a part of one.
        seeds: b integers ≥ 0.
        population: candidates per sample; where not given 400 as in the paper, or fewer (8 at least) where 50
            generations of so many would take more than ``steps``.
        differential_weight: the paper's F.
        restarts: random populations.
        stop_on_success: stop working on a sample once its loss is > 0, at the end of the generation.

    Returns:
        The image of largest loss per sample.
    """
    size = min(_POPULATION, max(_FEWEST, steps // _GENERATIONS)) if population is None else population
    return with_restarts(
        partial(_evolve, target, size=size, queries=steps, weight=differential_weight, stop_on_success=stop_on_success),
        x,
        norm="l0",
        eps=eps,
        restarts=restarts,
        seeds=seeds,
        stop_on_success=stop_on_success,
    )


@dataclass
class _Population:
    """Candidates of one sample, and their losses."""

    source: np.random.Generator
    genes: Genes  # p k 5
    losses: npt.NDArray[np.float64]  # p

    @staticmethod
    def first(seed: int, number: int, size: int, pixels: int) -> _Population:
        source = np.random.default_rng((seed, number))
        genes = source.random((size, pixels, 5))
        genes[..., 2:] = np.clip(source.normal(128.0 / 255.0, 127.0 / 255.0, (size, pixels, 3)), 0.0, 1.0)
        return _Population(source, genes, np.full(size, -np.inf))

    def children(self, weight: float) -> Genes:
        size = len(self.genes)
        # Three different candidates for each child.
        trios = self.source.random((size, size)).argsort(axis=1)[:, :3]
        a, b, c = (self.genes[trios[:, i]] for i in range(3))
        return np.clip(a + weight * (b - c), 0.0, 1.0)

    def select(self, children: Genes, losses: npt.NDArray[np.float64]) -> None:
        """Keep whichever of parent and child is the better; children without a loss were not reached."""
        better = losses > self.losses[: len(losses)]
        self.genes[: len(losses)][better] = children[: len(losses)][better]
        self.losses[: len(losses)][better] = losses[better]


def _evolve(
    target: Target, start: Start, *, size: int, queries: int, weight: float, stop_on_success: bool
) -> AttackResult:
    counts = [max(1, int(count)) for count in start.eps.tolist()]
    people = [_Population.first(seed, start.number, size, k) for seed, k in zip(start.seeds, counts, strict=True)]
    best, rows = Best(start.x), torch.arange(len(start.x), device=start.x.device)
    for spent in range(0, queries, size):
        tried = min(size, queries - spent)
        places = rows.tolist()
        genes = [people[i].genes if spent == 0 else people[i].children(weight) for i in places]
        losses = _losses(target, start, places, [one[:tried] for one in genes])
        for i, children, values in zip(places, genes, losses, strict=True):
            people[i].select(children, values)
        _record(best, start, rows, people, losses)
        if stop_on_success:
            rows = rows[~best.won()[rows]]
        if len(rows) == 0:
            break
    return best.result()


def _losses(target: Target, start: Start, rows: Sequence[int], genes: Sequence[Genes]) -> list[npt.NDArray[np.float64]]:
    """Losses of all candidates of all rows, as many images at a time as fit in memory."""
    jobs = [(row, candidate) for row, candidates in zip(rows, genes, strict=True) for candidate in candidates]
    most = max(1, VALUES_AT_ONCE // start.x[0].numel())
    found = []
    for first in range(0, len(jobs), most):
        part = jobs[first : first + most]
        images = torch.stack([_paint(start.x[row], candidate) for row, candidate in part])
        samples = start.samples[[row for row, _ in part]]
        found.append(loss_alone(target, images, samples).double().nan_to_num(nan=-torch.inf).cpu().numpy())
    return np.split(np.concatenate(found), np.cumsum([len(one) for one in genes])[:-1])


def _paint(image: Tensor, genes: Genes) -> Tensor:
    """The image (3, H, W) with k pixels set; of several colours for one pixel the last one counts."""
    high, wide = image.shape[-2:]
    down = np.minimum((genes[:, 0] * high).astype(np.int64), high - 1)
    along = np.minimum((genes[:, 1] * wide).astype(np.int64), wide - 1)
    # Each place once: what becomes of repeated ones differs between devices.
    places, latest = np.unique((down * wide + along)[::-1], return_index=True)
    colours = torch.from_numpy(genes[::-1][latest, 2:].copy()).to(image)
    painted = image.clone()
    painted.view(3, -1)[:, torch.from_numpy(places).to(image.device)] = colours.T
    return painted


def _record(
    best: Best, start: Start, rows: Tensor, people: Sequence[_Population], losses: Sequence[npt.NDArray[np.float64]]
) -> None:
    """Count what was asked, and hand the best candidate of each row to the record."""
    leaders = [people[i].losses.argmax() for i in rows.tolist()]
    images = [_paint(start.x[i], people[i].genes[k]) for i, k in zip(rows.tolist(), leaders, strict=True)]
    values = [people[i].losses[k] for i, k in zip(rows.tolist(), leaders, strict=True)]
    best.note(
        rows,
        torch.stack(images),
        torch.tensor(values).to(start.x),
        forwards=torch.tensor([len(one) for one in losses], device=rows.device),
        gradients=0,
        zeros=0,
        first=torch.tensor([one[0] for one in losses]).to(start.x),
    )
