"""The figures of a page of answers."""

import html
import re
from pathlib import Path
from typing import Any

import pytest
from made_reports import answer

from retr.core.errors import ImageRejected
from retr.reports.query_page import asked, write_query_page
from retr.retrieval.answer import Answer, Companion

ALONE = Companion(("colours",), True, None, True, 1)
PLAIN: dict[str, Any] = {"copy": None, "certificate": None, "eps": None}


def figures(folder: Path, *answers: Answer | ImageRejected) -> list[tuple[str, str]]:
    file = folder / "page.html"
    write_query_page(file, [asked(one, "/c/query.png", None) for one in answers], "my-index")
    text = html.unescape(file.read_text(encoding="utf-8"))
    return re.findall(r"<b>([^<]*)</b><span>([^<]*)</span>", text)


def test_the_figures_tell_what_is_proved_from_what_is_not(tmp_path: Path) -> None:
    refused = ImageRejected(stage="identify", reason="not-an-image", detail="text")
    named = answer(verdict="undecided", companion=ALONE, **PLAIN)
    shown = [answer(), named, named, answer(**PLAIN), answer(verdict="not-a-copy", **PLAIN), refused, refused]
    assert figures(tmp_path, *shown) == [
        ("7", "images asked about"),
        ("1", "copy, proved"),
        ("3", "copies, not proved"),
        ("1", "not a copy"),
        ("2", "no answer"),
    ]


@pytest.mark.parametrize(
    ("point", "words"), [("copy", "copy, not proved"), ("not-a-copy", "not a copy"), (None, "undecided")]
)
def test_without_a_certificate_an_image_counts_as_what_it_is(tmp_path: Path, point: str | None, words: str) -> None:
    said = answer(verdict="uncertified", point_verdict=point, **PLAIN)
    assert figures(tmp_path, said) == [("1", "image asked about"), ("1", words)]
