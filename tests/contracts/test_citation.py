"""CITATION.cff is a valid Citation File Format 1.2.0, and says what the package says of itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import retr

ROOT = Path(retr.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())
KEYS = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords"),
    *("license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact"),
    *("repository-code", "title", "type", "url", "version"),
}
PERSON = {"family-names", "given-names", "name-particle", "name-suffix", "affiliation", "orcid", "email", "alias"}
"""Keys of the schema, https://github.com/citation-file-format/citation-file-format, version 1.2.0."""


def test_the_keys_are_those_of_the_format() -> None:
    assert CITATION["cff-version"] == "1.2.0"
    assert set(CITATION) <= KEYS
    assert {"authors", "message", "title"} <= set(CITATION)
    assert CITATION["type"] in ("software", "dataset")


def test_it_says_what_the_package_says() -> None:
    assert (CITATION["title"], CITATION["version"]) == (PROJECT["name"], PROJECT["version"])
    assert CITATION["license"] == PROJECT["license"]
    assert set(CITATION["keywords"]) == set(PROJECT["keywords"])


@pytest.mark.parametrize("work", [CITATION, *CITATION["references"]], ids=lambda work: work["title"])
def test_every_author_is_a_person_or_has_a_name(work: dict[str, Any]) -> None:
    assert work["authors"]
    for author in work["authors"]:
        assert set(author) <= PERSON or set(author) <= {"name", "website", "email", "alias"}
        assert author.get("name") or (author["family-names"] and author["given-names"])


def test_the_papers_are_referred_to_as_docs_papers_does() -> None:
    page = (ROOT / "docs" / "papers.md").read_text()
    for paper in CITATION["references"]:
        assert paper["type"] in ("article", "conference-paper")
        (number,) = re.findall(r"arxiv\.org/abs/(\d{4}\.\d{5})$", paper["url"])
        assert f"arxiv.org/abs/{number}" in page
        assert paper["identifiers"] == [{"type": "other", "value": f"arXiv:{number}"}]
        assert paper["authors"][0]["family-names"] in page
        assert re.search(rf"\b{paper['year']}\b", page)
