"""The catalogue knows every loader, says how to get the data, and the documents agree with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import retr
from retr.core.errors import UsageError
from retr.datasets import layouts
from retr.datasets.catalogue import CATALOGUE, info, list_data
from retr.datasets.distortions import DISTORTIONS, PAIRINGS
from retr.reports.data_table import print_data_info, print_data_list

DOCUMENT = (Path(retr.__file__).parent / "docs/datasets.md").read_text()


def test_every_2afc_layout_is_there_with_its_splits() -> None:
    assert set(layouts.LAYOUTS) <= set(CATALOGUE)
    for name, splits in layouts.SPLITS.items():
        assert info(name).splits == splits
        assert info(name).task == "2afc"
        assert layouts.EVALUATION_SPLIT[name] in splits


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"called 'tid'; choose from bapps, nights"):
        info("tid")


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_page_says_what_to_do(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_data_info(info(name))
    shown = capsys.readouterr().out
    for text in (info(name).title, *info(name).get, *info(name).notes, *info(name).layout.splitlines()):
        assert text in shown
    assert json.loads(json.dumps(info(name).as_json()))["name"] == name


def test_the_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    print_data_list(list_data())
    shown = capsys.readouterr().out
    assert all(name in shown for name in CATALOGUE)
    assert [row["name"] for row in list_data()] == list(CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_document_shows_each_layout(name: str) -> None:
    assert f"`{name}`" in DOCUMENT
    for line in info(name).layout.splitlines():
        assert line.strip() in DOCUMENT


def test_the_document_names_every_distortion_with_its_strengths() -> None:
    for kind in DISTORTIONS.values():
        (line,) = [line for line in DOCUMENT.splitlines() if line.startswith(f"| `{kind.name}` |")]
        for low, high in (kind.weak, kind.strong):
            assert f"| {low:g}…{high:g} " in line
    assert all(f"`{name}`" in DOCUMENT for name in PAIRINGS)


def test_the_document_lists_every_reason_a_loader_gives() -> None:
    sources = [path.read_text() for path in (Path(retr.__file__).parent / "datasets").glob("*.py")]
    quoted = {word for source in sources for word in re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source)}
    reasons = {word for word in quoted if word not in (*CATALOGUE, *PAIRINGS)}
    assert len(reasons) > 25
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in DOCUMENT] == []
