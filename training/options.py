"""Words of a command line → the fields of a frozen dataclass, by the fields' own types."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from ..core.errors import UsageError

T = TypeVar("T")
_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse_settings(words: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE`` words as a mapping; dashes in names count as underscores.

    Raises:
        UsageError: for a word of another form, or a name given twice.
    """
    settings: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not (name and equals):
            raise UsageError(f"a setting is NAME=VALUE, got {word!r}")
        if name in settings:
            raise UsageError(f"the setting {name} is given twice")
        settings[name] = value.strip()
    return settings


def field_names(kind: type) -> tuple[str, ...]:
    """The settings that a dataclass takes."""
    return tuple(f.name for f in fields(kind))


def read_options(kind: type[T], settings: Mapping[str, Any]) -> T:
    """A dataclass of options from settings; strings are read by the type of their field, other values are kept.

    Args:
        kind: a dataclass with fields of str, int, float, bool, Path, Literal, tuples of them, and None as an option.
        settings: some of its fields.

    Raises:
        UsageError: for an unknown name, or text that is not of the field's type.
    """
    hints, known = typing.get_type_hints(kind), field_names(kind)
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise UsageError(f"unknown setting {', '.join(unknown)}; there are: {', '.join(known)}")
    return kind(**{name: _read(name, hints[name], value) for name, value in settings.items()})


def _read(name: str, hint: Any, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return _from_text(hint, value)
    except (ValueError, KeyError):
        raise UsageError(f"setting {name} takes {_words(hint)}, got {value!r}") from None


def _from_text(hint: Any, text: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if text.lower() == "none" and type(None) in arguments:
            return None
        return _from_text(next(a for a in arguments if a is not type(None)), text)
    if origin is Literal:
        return {str(choice): choice for choice in arguments}[text]
    if origin is tuple:
        return tuple(_from_text(arguments[0], word.strip()) for word in text.split(",") if word.strip())
    if hint is bool:
        return _BOOLS[text.lower()]
    return {int: int, float: float, Path: Path, str: str}[hint](text)


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    names = {int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(hint, str(hint).replace("typing.", "").replace("pathlib._local.", ""))
