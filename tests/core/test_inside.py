"""No name leads out of the folder that was meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retr.core.errors import UsageError
from retr.core.inside import inside

ABSOLUTE = ["", "/", "/etc/passwd", "\\\\server\\x", "C:\\x", "c:x"]
UPWARDS = ["..", "../x", "a/../../x", "a/..", "./x", "a//b", "a/", "a\0b"]
NAMES = ["x", "a/b.png", "..x", "...", "a..b/c", "\u00e9\u200d\U0001f600.png", "x" * 255, "a\nb"]


@pytest.mark.parametrize("name", [*ABSOLUTE, *UPWARDS, "x" * 256, "/".join(["abc"] * 2000)])
def test_what_is_no_name_inside(tmp_path, name):
    with pytest.raises(UsageError, match="no name inside"):
        inside(tmp_path, name)


@pytest.mark.parametrize("name", NAMES)
def test_what_is(tmp_path, name):
    assert inside(tmp_path, name) == tmp_path / name


def test_links_that_lead_out(tmp_path):
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (folder / "out").symlink_to(other)
    (folder / "file").symlink_to(other / "victim")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "in").mkdir()
    (folder / "within").symlink_to(folder / "in")
    for name in ("out/x", "out/deep/x", "file", "loop"):
        with pytest.raises(UsageError, match="by a link"):
            inside(folder, name)
    assert inside(folder, "within/x") == folder / "within" / "x"


def test_a_folder_that_is_a_link_itself(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert inside(tmp_path / "link", "x") == tmp_path / "link" / "x"


@given(st.text(alphabet="ab./\\:\0~", max_size=12))
def test_whatever_is_let_through_stays_inside(name):
    folder = Path(__file__).parent
    try:
        found = inside(folder, name)
    except UsageError:
        return
    assert os.path.abspath(found).startswith(os.path.abspath(folder) + os.sep)
