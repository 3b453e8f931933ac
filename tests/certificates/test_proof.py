"""The proof object refuses to state what it cannot prove."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest

from retr.certificates.proof import Certificate
from retr.core.types import UpperBound

GOOD = {
    "rows_scanned": 5,
    "rows_total": 5,
    "network": UpperBound(1.0, "isometries"),
    "resize": UpperBound(0.25, "SVD"),
    "slack": 1e-9,
    "limited_by": "b.jpg",
}


def test_json():
    said = json.loads(json.dumps(Certificate(**GOOD).as_json()))
    assert said["exact"] is True
    assert said["rows_scanned"] == said["rows_total"] == 5
    assert said["lipschitz"]["network"] == 1.0
    assert said["lipschitz"]["resize"] == 0.25
    assert said["lipschitz"]["total"] >= 0.25
    assert said["slack"] == 1e-9
    assert said["limited_by"] == "b.jpg"
    assert said["methods"] == {"network": "isometries", "resize": "SVD"}


def test_an_inexact_answer_may_say_so():
    assert Certificate(**{**GOOD, "rows_scanned": 3, "exact": False}).as_json()["exact"] is False


def test_the_least_that_can_be_said():
    empty = Certificate(**{**GOOD, "rows_scanned": 0, "rows_total": 0, "slack": 0.0, "limited_by": None})
    assert empty.as_json()["rows_total"] == 0
    assert Certificate(**{**GOOD, "rows_scanned": 0, "exact": False}).rows_scanned == 0


def test_the_constant_is_a_product_rounded_up():
    proof = Certificate(**{**GOOD, "network": UpperBound(1.1, "a"), "resize": UpperBound(0.3, "b")})
    assert Fraction(1.1) * Fraction(0.3) <= Fraction(proof.lipschitz.value) < Fraction(0.33) * (1 + Fraction(2) ** -50)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows_scanned": 4}, "exact"),
        ({"rows_scanned": 6}, "scanned 6 of 5"),
        ({"rows_scanned": -1}, "scanned -1"),
        ({"slack": math.nan}, "slack"),
        ({"slack": -1.0}, "slack"),
        ({"slack": math.inf}, "slack"),
        ({"network": UpperBound(0.0, "zero")}, "positive"),
        ({"resize": UpperBound(0.0, "zero")}, "positive"),
    ],
)
def test_bad_proofs_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Certificate(**{**GOOD, **change})
