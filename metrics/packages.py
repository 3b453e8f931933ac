"""Optional packages: imported when a metric is loaded, looked for (not imported) when metrics are listed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..core.errors import ModelError


def package(name: str, *, extra: str, wanted_by: str) -> Any:
    """Import an optional package.

    Args:
        name: of the module.
        extra: the extra of retr that installs it.
        wanted_by: the metric.

    Raises:
        ModelError: where it is absent, naming the extra.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelError(f"{wanted_by} needs the extra: pip install 'retr[{extra}]' ({error})") from None


def absent(name: str, *, extra: str) -> str | None:
    """Why a package cannot be used; None where it is installed. Imports nothing."""
    return None if find_spec(name) else f"the package {name}: pip install 'retr[{extra}]'"
