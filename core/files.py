"""Digests, canonical JSON and writes that a kill at any instant cannot leave half done."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of data."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """One spelling per value: sorted keys, no spaces, UTF-8. The form that digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_json(value: Any) -> str:
    """Hex SHA-256 of :func:`canonical_json`."""
    return sha256_bytes(canonical_json(value))


def sync_directory(path: Path) -> None:
    """Make renames inside a directory durable; on Windows, where folders cannot be opened, the system does."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's bytes durable."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def check_place(path: Path) -> None:
    """Whether a file can be where it is asked for, as far as folders go.

    Raises:
        OSError: it is a folder itself or a device, or there is no folder for it.
    """
    if (path.exists() and not path.is_file() and not path.is_dir()) or _is_device(path):
        # A rename would put a file in its place, for everybody.
        raise OSError(errno.EINVAL, "is a device, and a file is to be written; name a file", str(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, and a file is to be written; name one in it", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder to write to", str(path.parent))


def _is_device(path: Path) -> bool:
    """Whether it stands where a system has its devices, be it a link to a file: ``/dev/stdout``."""
    folder = Path(os.path.abspath(path)).parent
    return folder == Path("/dev") or any(folder.is_relative_to(one) for one in ("/dev/fd", "/proc"))


def write_atomically(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Replace a file in one step: readers see the old bytes or the new ones, also after a power cut.

    Args:
        path: the file.
        data: its new content.
        mode: its permissions; None for what the umask leaves.

    Raises:
        OSError: it cannot be written; the sentence names the file asked for and no temporary one.
    """
    check_place(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            if mode is not None:
                temporary.chmod(mode)
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
