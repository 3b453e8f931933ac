"""Names are shown as they are, but for the characters that a terminal would obey."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retr.core.names import shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c/01.png", "c/01.png"),
        ("Järvi 写真 🐈\u200d⬛.png", "Järvi 写真 🐈\u200d⬛.png"),
        ("C:\\photos\\a.png", "C:\\photos\\a.png"),
        ("e\x1b[31mred.png", r"e\x1b[31mred.png"),
        ("one\ntwo\tthree\r", r"one\ntwo\tthree\r"),
        ("\x9b31m\x7f\0", r"\x9b31m\x7f\x00"),
        ("gpj.\u202egnp", r"gpj.\u202egnp"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("J\udce4rvi.png", r"J\xe4rvi.png"),
        ("half \ud800", r"half \ud800"),
        ("line\u2028end", r"line\u2028end"),
    ],
)
def test_what_is_shown(name, text):
    assert shown(name) == text


@given(st.text(st.characters()))
def test_nothing_that_a_terminal_obeys_is_left(name):
    text = shown(name)
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert shown(text) == text
    text.encode()
