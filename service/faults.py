"""How a request fails: a status, a short stable name, a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.errors import ImageRejected, IndexStateError, IntegrityError, RetrError, UsageError

NO_IMAGE = frozenset({"not-an-image", "unsupported-format", "needs-heif-extra", "unsupported-mode"})
TOO_LARGE = frozenset({"too-many-bytes", "too-many-pixels", "decompression-bomb", "too-much-metadata"})


class Fault(Exception):  # noqa: N818 - an answer, not a malfunction
    """A request that is not answered.

    Attributes:
        status: of HTTP; error: a short stable name; detail: what was wrong, and what to do.
        retry: seconds after which trying again makes sense; None for never.
    """

    def __init__(self, status: int, error: str, detail: str, retry: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.error, self.detail, self.retry = status, error, detail, retry

    @property
    def body(self) -> dict[str, str]:
        """As JSON."""
        return {"error": self.error, "detail": self.detail}

    @property
    def headers(self) -> dict[str, str]:
        """Of the response."""
        return {} if self.retry is None else {"Retry-After": str(self.retry)}


def too_large(limit: int) -> Fault:
    """A body beyond the limit."""
    return Fault(413, "too-many-bytes", f"a request has at most {limit} bytes")


def busy(what: str) -> Fault:
    """More than is taken on."""
    return Fault(503, "busy", f"{what}: try again in a moment", retry=2)


def status_of(why: ImageRejected) -> int:
    """413 for what is too large, 415 for what is no image, 422 for one that is damaged."""
    return 413 if why.reason in TOO_LARGE else 415 if why.reason in NO_IMAGE else 422


def fault_of(error: RetrError, hidden: Mapping[str, str]) -> Fault:
    """The fault that an error of retr is to a client; folders of the server are named by the index they belong to."""
    text = str(error)
    for folder, name in hidden.items():
        text = text.replace(folder, name)
    if isinstance(error, ImageRejected):
        return Fault(status_of(error), error.reason, error.detail)
    if isinstance(error, UsageError):
        return Fault(422, "usage", text)
    if isinstance(error, IndexStateError):
        return Fault(409, "index-state", text, retry=5)
    if isinstance(error, IntegrityError):
        return Fault(503, "integrity", text, retry=5)
    return Fault(500, "failed", text)
