"""Where many images come from: a folder, an archive, a URL, a file that lists these, or a list of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import UsageError
from ..indexer.addresses import absolute_text, asked_name

PathLike = str | os.PathLike[str]
Source = PathLike | Sequence[PathLike]
"""A folder (read recursively), an archive, a URL, a file that lists these, or a list of images named so."""


@contextmanager
def as_corpus(source: Source) -> Iterator[str]:
    """The source as the name of a folder or of a list file, which is there as long as the context."""
    if isinstance(source, str | os.PathLike):
        yield _named(source)
        return
    paths = [os.fsencode(asked_name(absolute_text(path))) for path in source]
    if not paths:
        raise UsageError("a list of no images is no source; name a folder, a list file, or at least one image")
    with tempfile.TemporaryDirectory(prefix="retr-") as folder:
        listed = Path(folder, "paths")
        listed.write_bytes(b"".join(path + b"\0" for path in paths))
        yield str(listed)


def _named(path: PathLike) -> str:
    name = os.fspath(path)
    return os.path.join(os.curdir, name) if name == "-" else name  # a file of that name, not standard input
