"""A drawn corpus and an index of it, once for all tests of the public surface."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from drawn_corpus import draw_corpus

import retr


@pytest.fixture(scope="session")
def drawn_with_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw_corpus(tmp_path_factory.mktemp("api"))
    retr.build(folder / "corpus", folder / "my-index", workers=1)
    return folder


@pytest.fixture
def home(drawn_with_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own to be in, with the drawn images and ``my-index``."""
    here = tmp_path / "home"
    shutil.copytree(drawn_with_index, here)
    monkeypatch.chdir(here)
    threads = torch.get_num_threads()
    yield here
    torch.set_num_threads(threads)
