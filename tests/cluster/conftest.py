"""Three nodes on this machine: real processes of Ray, begun once for a file of tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("ray") is None:
    collect_ignore_glob = ["test_*.py"]

STORE = 80_000_000
"""Bytes of shared memory that Ray needs at least, and some."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """The cluster: three nodes of one CPU; this process is connected to it."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONWARNINGS", "ignore")
        from ray.cluster_utils import Cluster

        from retr.cluster.session import connected

        own = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args={**own, "temp_dir": str(folder)})
        try:
            for _ in range(2):
                cluster.add_node(**own)
            with connected(cluster.address):
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
