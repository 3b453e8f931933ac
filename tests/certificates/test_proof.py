"""The proof object refuses to state what it cannot prove."""

from __future__ import annotations

import json
import math

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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows_scanned": 4}, "exact"),
        ({"rows_scanned": 6}, "scanned 6 of 5"),
        ({"rows_scanned": -1}, "scanned -1"),
        ({"slack": math.nan}, "slack"),
        ({"slack": -1.0}, "slack"),
        ({"network": UpperBound(0.0, "zero")}, "positive"),
    ],
)
def test_bad_proofs_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Certificate(**{**GOOD, **change})
