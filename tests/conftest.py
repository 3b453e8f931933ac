"""Fixtures that every room's tests may ask for."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

# As the command line does, and before torch is imported: idle OpenMP threads sleep instead of taking a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# No test reads a proof that another one has kept, and none writes into the cache of whoever runs them.
os.environ["RETR_CACHE"] = "off"

ROOT = Path(__file__).resolve().parent.parent
BAD_FILES = Path(__file__).resolve().parent / "images" / "bad_files.py"


def _module(path: Path) -> ModuleType:
    """A helper module beside the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of real photographs (``dev/``, ``train/``, ``distractors/``): $RETR_DATA, else ../shared/data."""
    folder = Path(os.environ.get("RETR_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "dev").is_dir():
        pytest.skip(f"no photographs at {folder}; set RETR_DATA to the folder that holds dev/")
    return folder


@pytest.fixture(scope="session")
def bad_file_module() -> ModuleType:
    """tests/images/bad_files.py: the makers of good and bad files."""
    return _module(BAD_FILES)


@pytest.fixture
def bad_files(tmp_path: Path, bad_file_module: ModuleType) -> tuple[Path, list[tuple[str, str]]]:
    """(directory, [(name, expected reason), …]): more than 28 kinds of file that must be rejected, written to disk."""
    directory = tmp_path / "bad-files"
    directory.mkdir()
    return directory, bad_file_module.write_bad_files(directory)


@pytest.fixture
def good_strangers(tmp_path: Path, bad_file_module: ModuleType) -> tuple[Path, list[str]]:
    """(directory, names): files that look wrong and must be accepted."""
    directory = tmp_path / "good-strangers"
    directory.mkdir()
    return directory, bad_file_module.write_good_strangers(directory)


@pytest.fixture(scope="session")
def encoded(bad_file_module: ModuleType) -> Callable[..., bytes]:
    """``encoded(format, image=None, **options)``: an image file in memory."""
    return bad_file_module.encoded
