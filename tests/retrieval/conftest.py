"""Galleries of plain vectors, see ``support/plain.py``."""

from __future__ import annotations

import plain
import pytest


@pytest.fixture(scope="session")
def new_channel():
    return plain.make_channel


@pytest.fixture
def make_channel(new_channel):
    return new_channel
