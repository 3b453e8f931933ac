"""A cluster as people name it: in a command's options, or in the parameters of ``retr.open``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UsageError
from ..core.tokens import read_token

LOCAL = "local"
"""The address of a cluster of this machine's own, which ends with who began it."""


@dataclass(frozen=True)
class Cluster:
    """A cluster, and how it is asked.

    Attributes:
        address: ``local``, ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``; None for none.
        shards: into which the rows are divided; None for one for each CPU, or those that are there.
        deadline: seconds in which a shard must answer; None for the usual.
        allow_partial: answer without shards that are silent, and without a certificate.
        token_file: holds the secret by which the cluster knows its users; None for what Ray's own settings say.
    """

    address: str | None
    shards: int | None = None
    deadline: float | None = None
    allow_partial: bool = False
    token_file: Path | None = None

    def __post_init__(self) -> None:
        if self.deadline is not None and not 0.0 < self.deadline < math.inf:
            raise UsageError(f"--deadline is a number of seconds above 0, got {self.deadline:g}")
        if self.shards is not None and (not isinstance(self.shards, int) or isinstance(self.shards, bool)):
            raise UsageError(f"--shards must be a whole number, got {self.shards!r}")
        if self.shards is not None and self.shards < 1:
            raise UsageError(f"--shards must be at least 1, got {self.shards}")
        if self.address is None:
            given = {
                "--shards": self.shards,
                "--deadline": self.deadline,
                "--allow-partial": self.allow_partial or None,
            }
            wrong = [name for name, value in given.items() if value is not None]
            if wrong:
                raise UsageError(f"only --cluster takes {', '.join(wrong)}")

    def refuse_token(self) -> None:
        """Where no cluster is named, nothing asks for a secret."""
        if self.token_file is not None:
            raise UsageError(f"only --cluster takes --token-file, got {self.token_file}")

    @property
    def token(self) -> str | None:
        """The secret, where a file was named."""
        return None if self.token_file is None else read_token(self.token_file)
