"""Batches with look-alikes: no repetition, groups of neighbours, and copies that are no rivals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from retr.training.data import ImageStore
from retr.training.hard_groups import NEIGHBOURS, HardGroups, find_neighbours

SIDE = 4


class FirstPixel(nn.Module):
    """Embeds an image as the direction that its first pixel's red and green name."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x[:, :2, 0, 0] * self.scale


def store_of(angles) -> ImageStore:
    """Plain images, each of a colour that lies at its angle."""
    colours = np.stack([np.cos(angles), np.sin(angles), np.zeros(len(angles))], 1)
    pixels = np.broadcast_to(np.round(colours * 255).astype(np.uint8)[:, None, None], (len(angles), SIDE, SIDE, 3))
    names = tuple(map(str, range(len(angles))))
    return ImageStore(pixels.copy(), np.ones(len(angles), np.float32), names, "", ())


def neighbours_of(angles, rows=None):
    rows = torch.arange(len(angles)) if rows is None else rows
    return find_neighbours(FirstPixel(), store_of(np.asarray(angles)), rows, side=SIDE)


class TestNeighbours:
    def test_nearest_come_first_and_copies_are_left_out(self):
        found = neighbours_of([0.0, 0.02, 0.3, 0.7, 1.5])
        assert found.tolist()[0] == [2, 3, 4, -1]
        assert found.tolist()[4] == [3, 2, 1, 0]

    def test_positions_are_in_the_rows_named(self):
        found = neighbours_of([0.0, 0.6, 0.3, 1.5], rows=torch.tensor([0, 2, 3]))
        assert found.tolist() == [[1, 2], [0, 2], [1, 0]]

    def test_no_more_than_so_many(self):
        assert neighbours_of(np.linspace(0, 1.5, NEIGHBOURS + 9)).shape == (NEIGHBOURS + 9, NEIGHBOURS)


class TestDraw:
    def groups(self, share, count=60, group=4):
        return HardGroups(torch.arange(count) + 100, neighbours_of(np.linspace(0, 1.55, count)), group, share)

    @pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
    def test_a_batch_has_no_repetition_and_its_size(self, share):
        for seed in range(20):
            drawn = self.groups(share).draw(24, torch.Generator().manual_seed(seed))
            assert len(set(drawn.tolist())) == len(drawn) == 24
            assert all(100 <= row < 160 for row in drawn.tolist())

    def test_the_same_generator_gives_the_same_batch(self):
        draws = [self.groups(0.5).draw(24, torch.Generator().manual_seed(5)).tolist() for _ in range(2)]
        assert draws[0] == draws[1]

    def test_groups_bring_neighbours_together(self):
        groups = self.groups(1.0, count=60)
        seeds = groups.draw(12, torch.Generator().manual_seed(1))[:3] - 100
        rest = groups.draw(12, torch.Generator().manual_seed(1))[3:] - 100
        near = {place for seed in seeds.tolist() for place in groups.neighbours[seed].tolist()}
        assert set(rest.tolist()) <= near

    def test_without_a_share_it_is_the_random_order(self):
        order = torch.randperm(60, generator=torch.Generator().manual_seed(3))[:24] + 100
        assert self.groups(0.0).draw(24, torch.Generator().manual_seed(3)).tolist() == order.tolist()
