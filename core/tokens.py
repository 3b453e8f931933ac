"""Secrets that a request shows: one word in a file."""

from __future__ import annotations

from pathlib import Path

from .errors import UsageError

LEAST_TOKEN = 16
"""Characters of a token: fewer can be guessed."""


def read_token(file: Path) -> str:
    """The secret in a file, without the spaces around it.

    Raises:
        UsageError: it cannot be read, is too short, or holds characters that a header cannot carry.
    """
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as a token: {error}") from error
    if len(token) < LEAST_TOKEN or not token.isprintable() or " " in token:
        raise UsageError(f"{file}: a token is one word of {LEAST_TOKEN} or more visible characters, got {len(token)}")
    return token
