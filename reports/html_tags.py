"""Charts as markup: every name and number in one goes through here, so nothing reaches a page unescaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ..core.names import shown

_VOID = frozenset({"br", "hr", "img", "link", "meta"})


class Html(str):
    """Text that is markup already; any other text is escaped on its way into a tag or a template."""

    __slots__ = ()

    def __html__(self) -> str:
        """By this Jinja2 knows markup."""
        return self


Content = str | float | Iterable["Content"]
"""Words, numbers, markup, or several of these."""


def tag(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Html:
    """One element.

    Args:
        name: of the element.
        content: what is inside; plain text is escaped.
        attributes: ``class_`` and ``data_x`` stand for class and data-x; True for one without a value, None and False
            for none. Floats are written to a hundredth.
    """
    words = "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{name}{words}>") if name in _VOID else Html(f"<{name}{words}>{join(*content)}</{name}>")


def join(*content: Content) -> Html:
    """Several pieces in a row."""
    return Html("".join(_piece(one) for one in content))


def _piece(one: Content) -> str:
    if isinstance(one, Html):
        return one
    if isinstance(one, str | float | int):
        return escape(short(one) if isinstance(one, float) else shown(str(one)))
    return join(*one)


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    return f' {name}="{escape(short(value) if isinstance(value, float) else shown(str(value)))}"'


def short(number: float) -> str:
    """A number to a hundredth, without idle zeros."""
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
