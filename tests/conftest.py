"""Fixtures that every room's tests may ask for."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

# As the command line does, and before torch is imported: idle OpenMP threads sleep instead of taking a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # as many workers as cores: a thread each, for the processes they start too
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

# The same examples every time; `make check-long` draws others, and prints the seed that draws them again.
settings.register_profile("ci", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("long", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("ci")
# No test reads a proof that another one has kept, and none writes into the cache of whoever runs them.
os.environ["RETR_CACHE"] = "off"

ROOT = Path(__file__).resolve().parent.parent
BAD_FILES = ROOT / "tests" / "support" / "bad_files.py"


# Files that take longest are begun first, so that no worker is left with one of them when the others have done.
LONG = ("tests/crash/", "tests/soundness/", "tests/evaluation/", "tests/training/", "tests/commands/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((at for at, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """No test depends on what was drawn before it, in whatever order and by whichever worker tests are run."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="module")  # longer, and its event loop would be in the way of others
def browser() -> Iterator[Any]:
    """The Chromium of the system, or that of RETR_CHROMIUM, driven by Playwright; without one, who asks is skipped."""
    path = os.environ.get("RETR_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("there is no Chromium here; RETR_CHROMIUM names one")
    from playwright import sync_api as playwright

    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def _module(path: Path) -> ModuleType:
    """A helper module beside the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def kept_proofs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Proofs that a module makes are kept for it: where a model is loaded often, and its proof is not the point."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of real photographs (``dev/``, ``train/``, ``distractors/``): $RETR_DATA, else ../shared/data."""
    folder = Path(os.environ.get("RETR_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "dev").is_dir():
        pytest.skip(f"no photographs at {folder}; set RETR_DATA to the folder that holds dev/")
    return folder


@pytest.fixture(scope="session")
def bad_file_module() -> ModuleType:
    """tests/support/bad_files.py: the makers of good and bad files."""
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
