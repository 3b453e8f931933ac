"""``retr --help`` answers at once: nothing heavy is imported before a command has work to do."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

RETR = Path(sys.executable).parent / "retr"
HEAVY = ("torch", "torchvision", "timm", "faiss", "pyarrow", "numpy", "PIL", "safetensors", "scipy", "pandas")


def seconds(*arguments: str) -> float:
    """Processor time of the command; what else the machine does is none of it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([RETR, *arguments], check=True, capture_output=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.mark.alone
def test_help_takes_less_than_half_a_second() -> None:
    seconds("--help")  # fills the caches of byte code and of the disk
    assert min(seconds("--help") for _ in range(7)) < 0.5


@pytest.fixture(scope="module")
def imported() -> list[str]:
    look = "import sys, retr.cli; print(*sys.modules)"
    return subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("heavy", HEAVY)
def test_the_commands_are_known_without(heavy: str, imported: list[str]) -> None:
    assert "retr.cli" in imported
    assert heavy not in imported
