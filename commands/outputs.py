"""Where commands are asked to write: looked at before any work, so that no answer is lost for want of a folder."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import UsageError
from ..core.files import check_place


def check_file(file: Path | None, *, index: Path | None = None, made: Path | None = None) -> None:
    """Whether a file can be written where it is asked for.

    Args:
        file: None for no such file.
        index: of the command, in which nothing else belongs; None for none.
        made: a folder that the command makes by itself; None for none.

    Raises:
        UsageError: it lies in the index, or is the folder that is made.
        OSError: it is a folder, or there is no folder for it.
    """
    if file is None:
        return
    _check_outside(file, index)
    if made is not None and file.resolve() == made.resolve():
        raise UsageError(f"{file} is the folder of the run, and a file is to be written; name one in it")
    if made is None or made.exists() or file.parent.resolve() != made.resolve():
        check_place(file)


def check_folder(folder: Path | None, what: str, *, index: Path | None = None) -> None:
    """Whether a folder is one or can be made.

    Args:
        folder: None for no such folder.
        what: the option and what goes into the folder, for the error.
        index: as for :func:`check_file`.

    Raises:
        UsageError: it is a file or would lie in one, or it lies in the index.
    """
    if folder is None:
        return
    _check_outside(folder, index)
    there = next((one for one in (folder, *folder.parents) if one.exists()), None)
    if there is not None and not there.is_dir():
        raise UsageError(f"{there} is a file; {what} into a folder")


def _check_outside(path: Path, index: Path | None) -> None:
    if index is not None and path.resolve().is_relative_to(index.resolve()):
        raise UsageError(f"{path} lies in the index {index}, where nothing but the index belongs; name another place")
