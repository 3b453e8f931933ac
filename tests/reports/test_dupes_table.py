"""Groups of copies on a terminal and on the page."""

import pytest

from retr.reports.dupes_table import heading


@pytest.mark.parametrize(
    ("diameter", "words"),
    [
        (0.0, ""),
        (0.004, ", at most 0.5 % of the threshold apart"),  # the float64 is a little more than 0.4 %
        (1e-9, ", at most 0.1 % of the threshold apart"),
        (0.9991, ", at most 100.0 % of the threshold apart"),
    ],
)
def test_how_far_apart_files_are_is_rounded_up(diameter: float, words: str) -> None:
    assert heading({"group": 3, "diameter": diameter, "members": [{}, {}]}) == f"group 3: 2 files{words}"
