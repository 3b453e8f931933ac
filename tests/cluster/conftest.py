"""Three nodes on this machine: real processes of Ray, begun once for all tests that need them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retr.cluster.beginning import BEGINNING, patience, patient_words, persistently

STORE = 80_000_000
"""Bytes of shared memory that Ray needs at least, and some."""


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    """The cluster: three nodes of one CPU; this process is connected to it."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        words = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"} | patient_words(BEGINNING)
        for name, value in words.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONWARNINGS", "ignore")
        # Ray notes its latest cluster in a folder of that name below this one, and does not make it.
        patch.setenv("RAY_TMPDIR", str(folder))
        (folder / "ray").mkdir()
        from ray.cluster_utils import Cluster

        from retr.cluster.session import connected

        own = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
        cluster = Cluster()
        try:
            with patience(BEGINNING):
                persistently(lambda: cluster.add_node(**own, temp_dir=str(folder)))
                for _ in range(2):
                    persistently(lambda: cluster.add_node(**own))
            address = cluster.address
            assert address is not None, "there is a head node"
            with connected(address):
                yield cluster
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def home_is_left_alone() -> Iterator[None]:
    """Ray writes a token there by itself."""
    before = set(os.listdir(Path.home()))
    yield
    assert set(os.listdir(Path.home())) - before == set()
