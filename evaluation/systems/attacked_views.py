"""Views of a batch of images as attacks go through them: embedded with a cheap gradient, windows looked for once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...images.found_views import put, step_found, windows_in
from ...images.query_views import QueryView
from ...images.resize import resize_operator
from ...retrieval.channel import Channel
from .attacked_resize import resize_for_attack

if TYPE_CHECKING:
    from ...images.found_views import Windows

Test = tuple[Channel, QueryView]
"""The rows of a channel, and the view of a query that they are compared with."""


def embed_tests(tests: Sequence[Test], x: Tensor) -> list[Tensor]:
    """A batch as each test sees it: (b, 3, H, W) in [0, 1] → one (b, d) float64 per test, differentiable.

    Windows that are found are found in each image as it is now, once for all views, and the gradient is of what lies
    in them.
    """
    looking = any(view.found for _, view in tests)
    found = [windows_in(x[place : place + 1]) for place in range(len(x))] if looking else []
    return [
        (_embed_found(one, view, x, found) if view.found else _embed(one, view.pick(x))).double()  # margins are small
        for one, view in tests
    ]


def _embed_found(channel: Channel, view: QueryView, x: Tensor, found: Sequence[Windows]) -> Tensor:
    """One view of each image; those whose window is the same are embedded together."""
    windows = [own[step_found(view)] for own in found]
    alike: dict[str, list[int]] = {}
    for place, window in enumerate(windows):
        alike.setdefault(str(window), []).append(place)
    parts = [_embed(channel, put(view, windows[places[0]]).pick(x[places])) for places in alike.values()]
    order = torch.tensor([place for places in alike.values() for place in places], device=x.device)
    return torch.cat(parts)[order.argsort()]


def _embed(channel: Channel, x: Tensor) -> Tensor:
    """``channel.embed`` with a cheap gradient."""
    operator = resize_operator((x.shape[-2], x.shape[-1]), channel.embedder.input_size)
    return channel.embedder.forward(resize_for_attack(operator, x))


@lru_cache(maxsize=4096)
def seen_size(view: QueryView, height: int, width: int) -> tuple[int, int]:
    """The size of a view of an image of this size; of the whole, where it is found in the pixels."""
    if view.found:
        return height, width
    seen = view.pick(torch.empty((1, 1, height, width)))
    return seen.shape[-2], seen.shape[-1]
