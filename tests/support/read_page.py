"""A page as a reader and a browser find it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"br", "hr", "img", "link", "meta"}


class Page(HTMLParser):
    """Every element with its text; fails where one is not closed in order, or carries a handler of events.

    ``rows`` are those of its tables, without what stands small beside a number.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str | None] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.scopes = 0
        self.source = text
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        assert not any(name.startswith("on") for name, _ in attrs)
        self.scopes += tag == "th" and any(name == "scope" for name, _ in attrs)
        if tag == "svg":
            assert any(name == "aria-label" and value for name, value in attrs)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        data = data.replace("\u00a0", " ")
        if self.open and self.open[-1] not in ("style", "title"):
            self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data if self.open[-1] != "small" else ""

    @property
    def text(self) -> str:
        """All words, single spaces between them."""
        return " ".join(" ".join(self.words).split())

    def asks_nothing_of_the_world(self) -> None:
        """No address, no script, and a policy that forbids both."""
        assert self.source.startswith("<!doctype html>")
        assert not re.search(r"https?:|url\(|@import", self.source)
        assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & set(self.tags)
        names = {f"#{name}" for name in re.findall(r'<section id="(\w+)"', self.source)}
        assert {one for one in self.addresses if one and not one.startswith("data:image/")} == names
        assert "default-src 'none'" in self.source
        assert self.scopes == self.tags.count("th")
