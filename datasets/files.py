"""Finding a data set's files: below its folder, of a plain kind, not empty. Nothing is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..core.errors import UsageError
from .rows import RowError


def image_below(folder: Path, text: str) -> Path:
    """The file that a table names, relative to the data set's folder.

    Raises:
        RowError: ``bad-path`` where it leads out of the folder, ``missing-file``, ``not-a-file`` or ``zero-byte``.
    """
    return whole_file(folder, folder / safe_path(text))


def safe_path(text: str) -> PurePosixPath:
    """A relative path that stays below the folder it will be joined to.

    Raises:
        RowError: ``bad-path``.
    """
    relative = PurePosixPath(text)
    if not text or "\0" in text or relative.is_absolute() or ".." in relative.parts or not relative.name:
        raise RowError("bad-path", f"{text!r} is not a path below the data set's folder")
    return relative


def whole_file(folder: Path, path: Path) -> Path:
    """The path itself, if a file that is not empty lies there.

    Raises:
        RowError: ``missing-file``, ``not-a-file`` or ``zero-byte``, naming the file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise _at_fault("missing-file", f"is not there ({error.strerror})", folder, path) from None
    if not stat.S_ISREG(status.st_mode):
        raise _at_fault("not-a-file", "is a folder or a device", folder, path)
    if status.st_size == 0:
        raise _at_fault("zero-byte", "is empty", folder, path)
    return path


def _at_fault(reason: str, what: str, folder: Path, path: Path) -> RowError:
    name = path.relative_to(folder).as_posix()
    return RowError(reason, f"{name} {what}", file=name)


def walk_files(folder: Path) -> Iterator[Path]:
    """All files below a folder, in sorted order; dot names are left out and links to folders are not followed.

    Raises:
        UsageError: where it is no folder, or some folder in it cannot be listed.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")

    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename} cannot be listed: {error.strerror}") from None

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))
