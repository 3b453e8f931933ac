"""Every error that retr raises on purpose, and the exit code each one ends a command with.

RetrError
├── UsageError              2  the caller's words are off (also a ValueError)
├── ImageRejected           1  one input is not an acceptable image; batch commands record it and go on
├── ModelError              1  a model cannot be built or used
│   └── WeightsUnavailable  1  weights must be fetched and cannot be
├── IndexStateError         1  no index, an unfinished run, or another writer
├── ClusterError            1  a cluster, or a part of what it holds, does not answer
├── IntegrityError          5  bytes differ from their digest, or model and index do not belong together
└── CertificateWithheld     4  --require-certificate was given and no certificate can be
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar


class RetrError(Exception):
    """Base of all errors raised on purpose; the message says what was wrong and what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(RetrError, ValueError):
    """An argument is out of range or names something that does not exist."""

    exit_code: ClassVar[int] = 2


class ImageRejected(RetrError):  # noqa: N818 - a rejection is an outcome, not a malfunction
    """An input that is not an acceptable image.

    Attributes:
        stage: where it failed: ``read``, ``identify``, ``limits``, ``decode`` or ``embed``.
        reason: a short stable name (``truncated``, ``zero-byte``, …); the key of reject tables.
        detail: a sentence for people.
        byte_count: size of the input in bytes, or None where it could not be known.
    """

    def __init__(self, *, stage: str, reason: str, detail: str, byte_count: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.stage = stage
        self.reason = reason
        self.detail = detail
        self.byte_count = byte_count

    def __reduce__(self) -> tuple[object, ...]:
        """Sent to another process and back: an exception's own way would call it with its message alone."""
        return partial(
            ImageRejected, stage=self.stage, reason=self.reason, detail=self.detail, byte_count=self.byte_count
        ), ()


class ModelError(RetrError):
    """A model cannot be built, loaded or used."""


class WeightsUnavailable(ModelError):  # noqa: N818 - named for what the user must act on
    """Weights have to be fetched from a hub, and the hub cannot be reached."""


class IndexStateError(RetrError):
    """The index is missing, holds an unfinished run, or is being written by another process."""


class ClusterError(RetrError):
    """A cluster cannot be used, or a shard of an index does not answer."""


class IntegrityError(RetrError):
    """Stored bytes differ from their digest, or a model is not the one an index was built with."""

    exit_code: ClassVar[int] = 5


class CertificateWithheld(RetrError):  # noqa: N818 - withholding is an answer
    """A certificate was required and cannot be given; the message is the reason."""

    exit_code: ClassVar[int] = 4
