"""``retr --help`` answers at once: nothing heavy is imported before a command has work to do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

RETR = Path(sys.executable).parent / "retr"
HEAVY = ("torch", "torchvision", "timm", "faiss", "pyarrow", "numpy", "PIL", "safetensors", "scipy", "pandas")


def seconds(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([RETR, *arguments], check=True, capture_output=True, timeout=60)
    return time.perf_counter() - start


def test_help_takes_less_than_half_a_second() -> None:
    seconds("--help")  # fills the caches of byte code and of the disk
    assert min(seconds("--help") for _ in range(7)) < 0.5


@pytest.mark.parametrize("heavy", HEAVY)
def test_the_commands_are_known_without(heavy: str) -> None:
    look = f"import sys, retr.cli; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], timeout=60, check=False).returncode == 0
