"""Loading modules without looking for garbage in between."""

from __future__ import annotations

import gc

import pytest

from retr.core.loading import without_collecting


def test_garbage_is_collected_again_afterwards_and_also_after_a_failure() -> None:
    frozen = gc.get_freeze_count()
    with without_collecting():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen
    gc.unfreeze()
    with pytest.raises(ImportError), without_collecting():
        raise ImportError("no such module")
    assert gc.isenabled()


def test_who_collects_nothing_goes_on_doing_so() -> None:
    gc.disable()
    try:
        with without_collecting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
