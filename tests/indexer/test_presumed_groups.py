"""How many groups presumed copies fall into."""

from __future__ import annotations

import pytest

from retr.indexer import presumed


def pairs(*names: str) -> list[dict[str, str]]:
    return [{"id": one, "copy_of_id": other} for one, other in (name.split() for name in names)]


@pytest.mark.parametrize(
    ("told", "groups"),
    [((), 0), (("b a",), 1), (("b a", "d c"), 2), (("b a", "d c", "c b"), 1), (("a b", "b a"), 1), (("b a", "c a"), 1)],
)
def test_pairs_that_share_an_item_are_one_group(told: tuple[str, ...], groups: int) -> None:
    assert presumed._groups(pairs(*told)) == groups


@pytest.mark.timeout(20)
def test_many_pairs_take_no_time_for_each_other() -> None:
    """All of one pair at first, joined later: to rename a group for each join takes minutes."""
    apart = [f"{2 * n} {2 * n + 1}" for n in range(30_000)]
    joined = [f"{2 * n} {2 * n + 2}" for n in range(29_999)]
    assert presumed._groups(pairs(*apart)) == 30_000
    assert presumed._groups(pairs(*apart, *joined)) == 1
