"""Views of a query: linear picks of its values whose window depends on its size alone, and which pairs are allowed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retr.core.errors import UsageError
from retr.images import query_views
from retr.images.query_views import ORIGINAL, QueryView, parse_query_view
from retr.images.view_pairs import VIEW_CLASSES, PairRule, check_rules, rules_for
from retr.images.view_pairs import query_views as views_of
from retr.images.views import VIEW_SETS, parse_view

NAMED = [rule.query for classes in VIEW_CLASSES.values() for rule in rules_for(classes, ["any"])]
EVERY = [*dict.fromkeys(NAMED), "upside", "quarter-left", "quarter-right", "half-turn", "flip+quarter-left"]
SIZES = [(1, 1), (2, 3), (17, 9), (32, 40)]


def numbered(size: tuple[int, int]) -> torch.Tensor:
    return torch.arange(3 * size[0] * size[1], dtype=torch.float64).reshape(1, 3, *size)


def is_linear(view: QueryView, size: tuple[int, int] = (12, 15)) -> bool:
    """Whether a view of sums is the sum of views, exactly, and of whatever content."""
    rng = np.random.default_rng(3)
    x, y = (torch.from_numpy(rng.integers(0, 256, (1, 3, *size)) / 1.0) for _ in range(2))
    y[..., :3, :] = 0.0  # an even border, which a window that is found would cut off
    return torch.equal(view.pick(x + 2.0 * y), view.pick(x) + 2.0 * view.pick(y))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("size", SIZES)
def test_a_view_picks_values_and_takes_none_twice(name, size):
    """So its norm is at most 1, and nothing is rounded."""
    seen = parse_query_view(name).pick(numbered(size))
    assert seen.shape[:2] == (1, 3)
    assert min(seen.shape[-2:]) >= 1
    assert len(seen.unique()) == seen.numel()
    for channel in range(3):
        low = channel * size[0] * size[1]
        assert ((seen[0, channel] >= low) & (seen[0, channel] < low + size[0] * size[1])).all()


@pytest.mark.parametrize("name", EVERY)
def test_views_are_linear(name):
    assert is_linear(parse_query_view(name))


def test_a_view_in_8_bits_and_one_that_looks_for_its_window_are_not_linear():
    """The two traps of THEORY T10, planted: the law sees both."""

    def halved(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(x, 2).round()

    def trimmed(x: torch.Tensor) -> torch.Tensor:
        rows = (x.amax(dim=(1, 3)) > x.amin(dim=(1, 3)))[0]
        return x[..., rows, :] if rows.any() else x

    assert not is_linear(QueryView("8-bit", halved), (12, 16))
    border = torch.zeros(1, 3, 12, 15)
    border[..., 4:, :] = torch.rand(1, 3, 8, 15)
    assert trimmed(border).shape != trimmed(border + torch.eye(12, 15)).shape


@pytest.mark.parametrize("size", [(7, 5), (33, 20), (100, 64)])
def test_a_cut_of_a_query_is_the_window_that_is_stored(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
    for name in ("crop-50x100-at-0x50", "crop-50x100-at-100x50", "crop-90x90-at-50x50", "crop-60x85-at-100x50", "flip"):
        seen = parse_query_view(name).pick(x)[0].permute(1, 2, 0).numpy()
        assert np.array_equal(seen, parse_view(name).apply(pixels))


def test_turns_go_the_way_they_say():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]] * 3])
    assert parse_query_view("quarter-left").pick(x)[0, 0].tolist() == [[2, 4], [1, 3]]
    assert parse_query_view("quarter-right").pick(x)[0, 0].tolist() == [[3, 1], [4, 2]]
    assert parse_query_view("half-turn").pick(x)[0, 0].tolist() == [[4, 3], [2, 1]]
    assert parse_query_view("upside").pick(x)[0, 0].tolist() == [[3, 4], [1, 2]]


@pytest.mark.parametrize("name", ["", "crop-0x50-at-0x0", "turn-left-9-white", "gamma-60", "flip+", "border-5x5-black"])
def test_what_is_no_view_of_a_query_is_refused(name):
    with pytest.raises(UsageError, match="no step of a query's view"):
        parse_query_view(name)


@pytest.mark.parametrize("name", VIEW_CLASSES)
def test_what_a_set_compares_is_stored_and_said_once(name):
    stored = {view.name for view in VIEW_SETS[name]}
    rules = rules_for(VIEW_CLASSES[name], ["block-means:4", "retr_s"])
    check_rules(rules, 2)
    met = {view for rule in rules for view in rule.gallery}
    assert met == stored
    assert views_of(rules)[0] is ORIGINAL
    assert all(one.reason for one in VIEW_CLASSES[name])
    assert len({one.name for one in VIEW_CLASSES[name]}) == len(VIEW_CLASSES[name])


def test_without_rules_a_query_is_looked_at_as_it_is():
    assert views_of(()) == (ORIGINAL,)
    check_rules((), 2)


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ([PairRule("a", "original", ("original",), (1.0,), (0.0, 0.0))], "need 2 parts"),
        ([PairRule("a", "original", ("original",), (1.0, 1.5), (0.0, 0.0))], "parts in"),
        ([PairRule("a", "original", ("original",), (1.0, float("nan")), (0.0, 0.0))], "parts in"),
        (
            [PairRule("a", "original", ("original",), (1.0, 0.0), (0.0, 0.0))],
            "never compares the query itself",
        ),
        ([PairRule(kind, "original", ("original",), (1.0, 1.0), (0.0, 0.0)) for kind in "ab"], "meets original twice"),
        ([PairRule("a", "original", ("original",), (1.0, 1.0), (0.0,))], "need 2 least gaps"),
        (
            [
                PairRule("a", "original", ("original",), (1.0, 1.0), (0.0, 0.0)),
                PairRule("b", "original", ("flip",), (0.8, 0.0), (0.0, 0.0)),
            ],
            "unequal parts in channel 0: 1.0 and 0.8",
        ),
        ([PairRule("a", "trimmed", ("original",), (1.0, 1.0), (0.0, 0.0))], "no step of a query's view"),
    ],
)
def test_rules_that_no_test_can_be_made_of_are_refused(rules, why):
    with pytest.raises(UsageError, match=why):
        check_rules(rules, 2)


def test_names_are_read_without_torch():
    """Whoever only takes an item out of an index reads snapshots, and needs no network."""
    assert "torch" not in vars(query_views)
