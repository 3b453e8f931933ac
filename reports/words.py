"""The words of a page: they lie beside its template, and the terminal has them from there too."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

TEMPLATES = Path(__file__).with_name("templates")


@cache
def words(page: str) -> dict[str, dict[str, str]]:
    """By part and name.

    Args:
        page: ``audit``, ``two_afc``, …: the stem of the file.
    """
    return tomllib.loads((TEMPLATES / f"{page}.toml").read_text(encoding="utf-8"))
