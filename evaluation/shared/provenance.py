"""Where a record comes from: the run, the software, the model and the index."""

from __future__ import annotations

import json
import platform
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from ...retrieval.engine import Engine

_LIBRARIES = ("retr", "torch", "numpy", "faiss-cpu", "faiss-gpu-cu12", "pillow", "timm", "imagehash", "pdqhash")


@dataclass(frozen=True)
class Provenance:
    """The columns that are the same in every record of a system; see ``records.SCHEMA``."""

    run: str
    command: str
    versions: str
    seed: int
    model: str
    model_digest: str
    snapshot: str
    policy_digest: str

    def columns(self) -> dict[str, str | int]:
        """The record's columns."""
        return asdict(self)


def provenance_of(engine: Engine, *, command: str, seed: int) -> Provenance:
    """Describe a run on an index that starts now."""
    return describe_run(describe_engine(engine), run=new_run_id(), command=command, seed=seed)


def describe_run(system: Mapping[str, str], *, run: str, command: str, seed: int) -> Provenance:
    """Describe a run on a system.

    Args:
        system: ``model``, ``model_digest``, ``snapshot`` and ``policy_digest``, among others.
        run: its id.
        command: the command line.
        seed: of everything random.
    """
    versions = json.dumps(_versions(), sort_keys=True)
    names = ("model", "model_digest", "snapshot", "policy_digest")
    return Provenance(run, command, versions, seed, *(system[name] for name in names))


def describe_engine(engine: Engine) -> dict[str, str]:
    """What a record says of an index."""
    return {
        "model": engine.model,
        "model_digest": "+".join(channel.embedder.digest for channel in engine.channels),
        "snapshot": engine.snapshot,
        "policy_digest": engine.policy.digest,
    }


def new_run_id() -> str:
    """Time of day (UTC) and four random hex digits: sorts by time, and never meets another run's."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
