"""Errors of the rooms below, in the words of somebody who calls functions: parameters, not command-line options."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ..core.errors import ImageRejected, RetrError

P = ParamSpec("P")
T = TypeVar("T")

FLAGS = ("allow-partial", "certified-only", "certify", "prune", "published", "restart", "resume")
"""Options that take no value."""
_OPTION = re.compile(r"--(no-)?([a-z][a-z0-9-]*)")


def of_parameters(text: str) -> str:
    """``--batch-size`` → ``batch_size``, ``--resume`` → ``resume=True``, ``--no-pretrained`` → ``pretrained=False``."""
    return _OPTION.sub(_parameter, text).replace("another -o", "another path")


def speaks_of_parameters(function: Callable[P, T]) -> Callable[P, T]:
    """Let the errors that a function passes on name parameters; their types and causes stay."""

    @wraps(function)
    def spoken(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except ImageRejected:
            raise  # it speaks of a file
        except RetrError as error:
            error.args = tuple(of_parameters(one) if isinstance(one, str) else one for one in error.args)
            raise

    return spoken


def _parameter(found: re.Match[str]) -> str:
    name = found[2].replace("-", "_")
    if found[1]:
        return f"{name}=False"
    return f"{name}=True" if found[2] in FLAGS else name
