"""A drawn corpus, an index of it, and the service over it, in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from asking import wait_until
from companion import write_companion
from drawn_corpus import draw_corpus
from PIL import Image
from starlette.testclient import TestClient

import retr
from retr.service.app import create_app
from retr.service.settings import Settings


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``corpus``, ``img.png`` (a copy of 007), ``absent`` and ``my-index``; nobody writes here."""
    folder = draw_corpus(tmp_path_factory.mktemp("service"), absent=2)
    retr.build(folder / "corpus", folder / "my-index", models=["block-means"], workers=1)
    return folder


Serve = Callable[..., TestClient]


def _start(folder: Path, options: dict[str, object]) -> TestClient:
    base = Settings(indexes={folder.name: folder}, decoders=1, refresh_seconds=0.05)
    app = create_app(replace(base, **options))
    client = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    client.__enter__()
    return client


@pytest.fixture(scope="module")
def shared(drawn: Path) -> Iterator[dict[str, TestClient]]:
    """Services over the shared index, by their settings: begun once, and ended before what others read is counted."""
    clients: dict[str, TestClient] = {}
    yield clients
    for client in clients.values():
        client.__exit__(None, None, None)


@pytest.fixture
def serve(drawn: Path, shared: dict[str, TestClient]) -> Iterator[Serve]:
    """``serve(index=None, **settings)``: a client of a service that is ready."""
    opened: list[TestClient] = []

    def start(index: Path | None = None, *, ready: bool = True, **options: object) -> TestClient:
        if index is None:
            name = repr(sorted(options.items()))
            client = shared.get(name) or shared.setdefault(name, _start(drawn / "my-index", options))
        else:
            client = _start(index, options)
            opened.append(client)
        if ready:
            wait_until(lambda: client.get("/readyz").status_code == 200)
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def own(drawn: Path, tmp_path: Path) -> Path:
    """An index of one's own."""
    shutil.copytree(drawn / "my-index", tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture(scope="session")
def with_companion(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the corpus that finds pictures by their colours too; nobody writes here."""
    folder = tmp_path_factory.mktemp("companion")
    spec = write_companion(folder / "colours.pt")
    retr.build(drawn / "corpus", folder / "two-tiers", models=["block-means"], companion=spec, workers=1)
    return folder / "two-tiers"


@pytest.fixture(scope="session")
def flipped(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """007 from right to left: another picture to block means, the same one to its colours."""
    file = tmp_path_factory.mktemp("flipped") / "flipped.png"
    Image.open(drawn / "corpus" / "007.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file)
    return file


@pytest.fixture(scope="session")
def image(drawn: Path) -> bytes:
    """A retouched copy of 007."""
    return (drawn / "img.png").read_bytes()
