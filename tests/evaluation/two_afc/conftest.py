"""Drawn photographs, and triplets made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_two_afc import draw_photos, small_triplets

from retr.datasets.triplets import Triplet


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def triplets(drawn: Path) -> tuple[Triplet[Any], ...]:
    return small_triplets(drawn)
