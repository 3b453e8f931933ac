"""Names as somebody else gave them, made fit to be shown: a file may be called what a terminal takes for a command."""

from __future__ import annotations

import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode that draw nothing and act: control, format (direction overrides), surrogates, line ends."""
_JOINERS = "\u200c\u200d"
"""Part of how Persian and emoji are written."""


def shown(text: str) -> str:
    r"""A name for a table, a page or a message: on one line, and every character in sight.

    Control characters, overrides of the writing direction and ends of lines become escapes (``\x1b``, ``\u202e``), and
    so do the bytes of a file name that is not UTF-8 (``\xe4``). Not reversible; whole names are in the other formats.
    """
    return text if text.isprintable() else "".join(map(_character, text))


def _character(one: str) -> str:
    if unicodedata.category(one) not in _UNSEEN or one in _JOINERS:
        return one
    code = ord(one)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not decode
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
