"""Commands run in this process, and small indexes to run them on."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path

import pytest
import torch
from command_line import Outcome
from drawn import Quiet, draw

from retr.cli import main
from retr.indexer.build import IndexOptions, build_index


@pytest.fixture
def retr(monkeypatch, capsysbinary):
    """Run a command in this process, as ``retr ARGUMENTS``."""

    def run(*arguments: object, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "argv", ["retr", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsysbinary.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        caught = capsysbinary.readouterr()
        code = stop.value.code
        return Outcome(0 if code is None else int(code), caught.out, caught.err.decode(errors="surrogateescape"))

    return run


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """Twelve pictures; nobody writes here."""
    root = tmp_path_factory.mktemp("commands") / "corpus"
    for number in range(12):
        draw(root / f"{number:02}.png", number)
    return root


@pytest.fixture(scope="session")
def index(corpus) -> Path:
    """Their index; nobody writes here."""
    folder = corpus.parent / "index"
    build_index(str(corpus), folder, IndexOptions(models=("block-means:4",)), Quiet())
    return folder


@pytest.fixture(scope="session")
def uncertified(corpus) -> Path:
    """An index of a foreign program."""
    script = corpus.parent / "tiny.pt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..* is deprecated")
        module = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
        torch.jit.save(torch.jit.trace(module, torch.rand(1, 3, 16, 16)), str(script))
    folder = corpus.parent / "uncertified"
    build_index(str(corpus), folder, IndexOptions(models=(f"torchscript:{script}@16x16",)), Quiet())
    return folder
