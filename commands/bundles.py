"""Options that several commands have alike: declared once as a dataclass, given to each command as one object."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, get_type_hints


def bundled(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of its bundle in place of the bundle.

    Args:
        command: one of its parameters is a bundle: a frozen dataclass whose fields are annotated as options and have
            defaults. They stand where it stands, also in ``--help``.
    """
    hints = get_type_hints(command, include_extras=True)
    (place, bundle), *others = [(name, hint) for name, hint in hints.items() if hasattr(hint, "__dataclass_fields__")]
    assert not others, "a command has one bundle"
    of_bundle = get_type_hints(bundle, include_extras=True)
    names = [one.name for one in fields(bundle)]
    parameters: list[inspect.Parameter] = []
    for name, own in inspect.signature(command).parameters.items():
        if name != place:
            parameters.append(own.replace(annotation=hints[name]))
            continue
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters += [
            inspect.Parameter(one.name, kind, default=one.default, annotation=of_bundle[one.name])
            for one in fields(bundle)
        ]

    @wraps(command)
    def run(**given: Any) -> None:
        command(**{place: bundle(**{name: given.pop(name) for name in names})}, **given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run
