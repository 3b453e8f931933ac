"""Tests run in a child process, over a copy of the project that has one token changed.

The parent imports what is heavy once and never retr, so a child starts in hundredths of a second. It is the only
place that writes the copy; the project itself is only read.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from .imports import PACKAGE

HEAVY = ("numpy", "torch", "faiss", "pyarrow.parquet", "PIL.Image", "safetensors.torch")
HANGS = 3600.0
"""Seconds after which a child that uses no processor is ended."""
_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")
_OPTIONS = (
    *("-x", "-q", "--no-header", "--hypothesis-profile=mutants"),
    *("-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-o", "addopts=--import-mode=importlib", "--assert=plain"),
)


def prepare(needed: Collection[str]) -> None:
    """Import what every child needs; a found failure is not made smaller, and the examples are the same every time."""
    for name in HEAVY:
        if name.split(".")[0] in needed:
            importlib.import_module(name)
    settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the tests said.

    Attributes:
        word: passed, failed, or timeout.
        test: the first that failed.
        seconds: wall time.
        files: processor time per test file that ran.
    """

    word: str
    test: str | None
    seconds: float
    files: dict[str, float]


class Copy:
    """A copy of the project in which one file at a time is changed."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.project = folder / PACKAGE
        shutil.copytree(root, self.project, ignore=_LEFT_OUT, symlinks=True)
        self._running: tuple[int, Path, float, str | None] | None = None

    def start(self, tests: Sequence[str], *, limit: float, file: str | None = None, source: bytes = b"") -> None:
        """Run test files, in order, up to the first failure, with ``file`` changed, for ``limit`` s of a processor."""
        if file is not None:
            self._write(file, source)
        said = self.folder / "said.json"
        said.unlink(missing_ok=True)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit)))
                self._child(tests, said, keep_bytecode=file is None)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        self._running = child, said, time.monotonic(), file

    def finished(self) -> Outcome | None:
        """The outcome once the child has ended, or was ended for taking too long; None before."""
        assert self._running is not None
        child, said, since, file = self._running
        ended, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - since
        if not ended and seconds < HANGS:
            return None
        if not ended:
            self.stop()
            os.waitpid(child, 0)
        if file is not None:
            self._write(file, (self.root / file).read_bytes())
        self._running = None
        if not ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)):
            return Outcome("timeout", None, seconds, {})
        if not said.is_file():
            return Outcome("failed", "the process ended", seconds, {})
        return Outcome(**json.loads(said.read_text()) | {"seconds": seconds})

    def stop(self) -> None:
        """End what still runs."""
        if self._running is not None:
            os.killpg(self._running[0], signal.SIGKILL)

    def _write(self, file: str, source: bytes) -> None:
        path = self.project / file
        path.write_bytes(source)
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            stale.unlink()

    def _child(self, tests: Sequence[str], said: Path, *, keep_bytecode: bool) -> None:
        os.setsid()
        # Only the run of the unchanged project leaves bytecode behind: a changed file has the same size and second.
        sys.dont_write_bytecode = not keep_bytecode
        log = os.open(self.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(self.project)
        sys.path.insert(0, str(self.folder))
        recorder, files = _Recorder(), dict[str, float]()
        for test in tests:  # one by one: what is not needed is not even imported
            before = time.process_time()
            code = pytest.main([*_OPTIONS, f"--basetemp={self.folder / 'tmp'}", test], plugins=[recorder])
            files[test] = time.process_time() - before
            if code != pytest.ExitCode.OK:
                recorder.failed = recorder.failed or f"{test}: pytest ended with {int(code)}"
                break
        word = "failed" if recorder.failed else "passed"
        said.write_text(json.dumps(asdict(Outcome(word, recorder.failed, 0.0, files))))
        os._exit(0)


class _Recorder:
    """A plugin of pytest: the first failure."""

    def __init__(self) -> None:
        self.failed: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.failed is None:
            self.failed = f"{report.nodeid} (collection)"
