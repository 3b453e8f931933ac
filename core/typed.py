"""Records read from JSON: whether every field holds what its annotation says, before anything is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def check_types(record: Any) -> None:
    """Check a dataclass whose fields are plain: str, int, float, bool, None, literals, tuples, mappings, records.

    A bool is no number, and an int will do for a float, as in JSON.

    Raises:
        TypeError: naming the field and what it holds.
    """
    hints = _hints(type(record))
    for field in fields(record):
        value = getattr(record, field.name)
        if not _is(value, hints[field.name]):
            raise TypeError(
                f"{type(record).__name__}.{field.name} holds {_short(value)}, no {_named(hints[field.name])}"
            )


@cache
def _hints(record: type) -> dict[str, Any]:
    return get_type_hints(record)


def _is(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_is(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(_is(one, inner[0]) for one in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(_is(k, inner[0]) and _is(v, inner[1]) for k, v in value.items())
    return _is_plain(value, hint)


def _is_plain(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    if hint is None or hint is NoneType:
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _named(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
