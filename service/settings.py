"""What a service may do, and how much it takes on."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import UsageError
from ..core.tokens import LEAST_TOKEN

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """How an index is served.

    Attributes:
        indexes: folders, by the names they are asked for.
        host, port: where it listens.
        token: what a request must show; None where none is asked for.
        writable: whether items may be added and removed, and decisions kept.
        serve_images: whether pictures and file names leave the server.
        serve_proofs: whether proofs do, which name stored files by their paths.
        max_body: bytes of one request; max_held: of all requests together.
        max_pixels: of one image; max_decoded: of all images that are decoded and not answered yet.
        max_images: of one request; queue: images that may wait.
        requests: that are answered at once; connections: that are open.
        allow_hosts: names that it is asked for by, beside its address and those of this machine.
        header_seconds: until a header must be there.
        body_seconds: until a body must be there; answer_seconds: until an answer must be.
        decode_seconds: processor time of one file; decoders: processes that decode.
        batch: images that one pass answers.
        refresh_seconds: how often a new snapshot is looked for.
        stop_seconds: that requests get to finish when the service ends.
    """

    indexes: dict[str, Path]
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    writable: bool = False
    serve_images: bool = False
    serve_proofs: bool = False
    max_body: int = 64 * 2**20
    max_held: int = 256 * 2**20
    max_pixels: int = 50_000_000
    max_decoded: int = 100_000_000
    max_images: int = 64
    queue: int = 256
    requests: int = 256
    connections: int = 512
    allow_hosts: tuple[str, ...] = ()
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    answer_seconds: float = 60.0
    decode_seconds: float = 10.0
    decoders: int = 2
    batch: int = 16
    refresh_seconds: float = 1.0
    stop_seconds: float = 20.0

    def __post_init__(self) -> None:
        if not self.indexes:
            raise UsageError("name at least one index to serve")
        if self.token is None and not is_loopback(self.host):
            raise UsageError(
                f"{self.host} can be reached from other machines: give --token-file, a file with a secret of "
                f"{LEAST_TOKEN} characters or more"
            )

        for name in self.allow_hosts:
            if name != name.lower() or not _HOST.fullmatch(name):
                raise UsageError(
                    f"--allow-host takes a name in small letters, without a scheme or a port, got {name!r}"
                )

    def uploads(self, index: Path) -> Path:
        """Where added images are kept: beside the index, since the index holds no files of others."""
        return index.resolve().with_name(f"{index.resolve().name}-uploads")


def named(folders: list[Path]) -> dict[str, Path]:
    """Index folders by their names.

    Raises:
        UsageError: two have the same name.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in found:
            raise UsageError(f"{found[name]} and {folder} have the same name, by which they would be asked for")
        found[name] = folder
    return found


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
