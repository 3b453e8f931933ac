"""Unit and direction of a number are declared once, with the table of an audit, and reports write it by them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from retr.evaluation.copies import summary as copies
from retr.evaluation.knn import summary as knn
from retr.evaluation.robustness import attack_lines, rates, shifts, summary_lines, tightness
from retr.evaluation.shared.lines import Line, Unit, col
from retr.evaluation.two_afc import summary_lines as two_afc
from retr.reports.kinds import said

MODULES = (copies, knn, attack_lines, rates, shifts, summary_lines, tightness, two_afc)
TABLES = sorted(
    {kind for one in MODULES for kind in vars(one).values() if isinstance(kind, type) and issubclass(kind, Line)}
    - {Line},
    key=lambda one: f"{one.__module__}.{one.__name__}",
)


def declared(unit: Unit, rounded: str) -> type[Line]:
    @dataclass(frozen=True)
    class Made(Line):
        number: float = col(lambda _: 0.0, "made up", unit, rounded)  # type: ignore[arg-type]

    return Made


@pytest.mark.parametrize(("rounded", "text"), [("down", "1.23"), ("nearest", "1.24"), ("up", "1.24")])
def test_a_number_is_rounded_as_its_table_says(rounded: str, text: str) -> None:
    assert said(declared("rmse", rounded), "number", 1.2375) == text


@pytest.mark.parametrize(("unit", "text"), [("ratio", "0.123"), ("l2", "0.124"), ("dB", "0.1"), ("s", "0.12")])
def test_a_number_has_the_places_of_its_unit(unit: Unit, text: str) -> None:
    assert said(declared(unit, "nearest"), "number", 0.12349 if unit == "ratio" else 0.1236) == text


@pytest.mark.parametrize("line", TABLES, ids=lambda line: f"{line.__module__.split('.')[-2]}-{line.__name__}")
def test_radii_go_down_and_shares_of_counts_to_nearest(line: type[Line]) -> None:
    for name, one in line.declared().items():
        if name in ("radius", "verdict_radius", "median_rmse"):
            assert one.rounded == "down"
        if one.unit == "share" and name not in ("score_low", "score_high"):
            assert one.rounded == "nearest"


def test_what_a_reader_may_take_for_proved_is_never_more() -> None:
    safe = {"l2": "down", "rmse": "down", "spread": "down", "psnr": "up", "queries": "nearest"}
    assert {name: one.rounded for name, one in rates.RadiusLine.declared().items()} == safe
    assert tightness.TightnessLine.declared()["ratios"].rounded == "down"
    assert shifts.ShiftLine.declared()["used"].rounded == "up"
    assert two_afc.CertifiedLine.declared()["median"].rounded == "down"
    assert knn.KnnSummary.declared()["median_rmse"].rounded == "down"
