"""Every fault is run twice: planted, where the audit must see it, and as a control, where it must stay silent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from planted import Found


@pytest.fixture(params=[True, False], ids=["planted", "control"])
def planted(request: pytest.FixtureRequest) -> bool:
    """Whether this run has the fault."""
    return request.param


@pytest.fixture
def caught(planted: bool) -> Callable[..., None]:
    """``caught(found, by=…)``: certificates were attacked; if the fault is there, alarms of these kinds and maybe more
    were raised, and none if not."""

    def check(found: Found, *, by: tuple[str, ...] = ()) -> None:
        print(f"{found.alarms} alarms in {found.certificates} certificates: {', '.join(sorted(found.kinds)) or 'none'}")
        assert found.certificates > 0
        assert (found.alarms > 0) == planted
        assert found.kinds >= set(by) if planted else not found.kinds

    return check
