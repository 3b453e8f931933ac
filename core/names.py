"""Names as people see them: a file name may hold any character, and a terminal or a page would obey some of them."""

from __future__ import annotations

import re
import unicodedata

_SPELLED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_JOINERS = "\u200c\u200d"
"""Invisible, but part of words in Persian and Hindi and of many emoji."""
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode that are acted on and not drawn: control, format, halves of pairs, line and paragraph ends."""
_PLAIN = re.compile(r"[\x20-\x7e]*")


def shown(name: str) -> str:
    r"""A name, or a sentence that holds one, with every character that is not drawn written out.

    Escape sequences, line ends and marks that turn the direction of writing become ``\x1b``, ``\n``, ``\u202e``; a
    byte that is not UTF-8 becomes ``\xff``. All else stays, backslashes too, so ``shown(shown(x)) == shown(x)``: this
    is for reading, and no way back.
    """
    return name if _PLAIN.fullmatch(name) else "".join(map(_drawn, name))


def _drawn(char: str) -> str:
    if unicodedata.category(char) not in _OBEYED or char in _JOINERS:
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return _SPELLED.get(char) or (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )
