import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retr.core.names import shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c/e\x1b[31mred.png", "c/e\\x1b[31mred.png"),
        ("two\nlines\r.jpg", "two\\x0alines\\x0d.jpg"),
        ("gpj.\u202egnp", "gpj.\\u202egnp"),
        ("\u2066a\u2069\u200e\u2028", "\\u2066a\\u2069\\u200e\\u2028"),
        (os.fsdecode(b"J\xe4rvi.png"), "J\\xe4rvi.png"),
        ("\U000e0041.png", "\\U000e0041.png"),
        ("\x9b31m", "\\x9b31m"),
        ("Järvi 湖\u3000\u00a0.png", "Järvi 湖\u3000\u00a0.png"),
        ("👩\u200d👧.jpg", "👩\u200d👧.jpg"),
        ("C:\\a b.png", "C:\\a b.png"),
    ],
)
def test_names_by_example(name, text):
    assert shown(name) == text


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_nothing_that_acts_is_left(name):
    text = shown(name)
    assert not any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in text)
    assert not set(text) & set(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]))
    text.encode()
    assert shown(text) == text
