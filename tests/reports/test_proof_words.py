"""Proofs of edits in plain sentences, and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from retr.certificates.statement import PREDICATE, TYPE, ProofObject
from retr.reports.proof_words import heading, sentences, write_proof_page


def proof(
    cells: int = 2,
    unit: str = "rmse",
    where: Sequence[str] = (),
    threshold: dict[str, Any] | None = None,
    **asked: bool,
) -> ProofObject:
    item = {"id": "5f", "path": "/corpus/a.png", "bytes_sha256": "0" * 64, "pixels_sha256": "1" * 64}
    return ProofObject(
        {
            "_type": TYPE,
            "predicateType": PREDICATE,
            "predicate": {
                "claim": {
                    "kind": "ranges",
                    "what": "copy",
                    "item": item,
                    "eps": {"value": 1.5, "unit": unit},
                    "radius": {"l2": 0.5, "rmse": 1.5, "psnr": 44.6},
                },
                "family": {
                    "name": "jpeg",
                    "program": "JPEG by X",
                    "parameters": ["quality"],
                    "low": [60.0],
                    "high": [95.0],
                },
                "cells": [{}] * cells,
                "query": {"path": None, "bytes_sha256": None, "pixels_sha256": "2" * 64, "values": 300},
                "index": {
                    "snapshot": "3" * 16,
                    "rows_scanned": 4,
                    "rows_total": 4,
                    "where": list(where),
                    "unsilenced": False,
                    "certified_only": False,
                    **asked,
                },
                "channels": [
                    {"name": "m", "model_digest": "4" * 64, "lipschitz": {"value": 1.0}, "threshold": threshold}
                ],
                "checker": {"name": "verify_ranges.py", "sha256": "5" * 64},
            },
        }
    )


@pytest.mark.parametrize(
    ("unit", "words"), [("rmse", "at most RMSE 1.5."), ("psnr", "at most PSNR 1.5 dB."), ("l2", "ℓ2")]
)
def test_a_claim_about_edits(unit: str, words: str) -> None:
    first, *rest = sentences(proof(unit=unit))
    assert "a copy of /corpus/a.png, for every edited version of the query by jpeg, quality from 60 to 95" in first
    assert words in first
    assert rest[:2] == [
        "What makes the edits: JPEG by X.",
        "How it is proved: 2 images stand for all of these versions, near each of them.",
    ]
    assert "1 image stands" in sentences(proof(cells=1))[2]


def test_under_what_conditions_it_holds() -> None:
    assert 'among the rows where "bank=a" and "x!=b".' in sentences(proof(where=["bank=a", "x!=b"]))[0]
    assert sentences(proof(unsilenced=True))[0].endswith(", as if no bank were negative.")
    assert sentences(proof(certified_only=True))[0].endswith(", by the certified channels alone.")
    assert "given in place" not in sentences(proof(threshold={"value": 0.4, "source": "calibrated"}))[0]
    given = sentences(proof(threshold={"value": 0.4, "source": "given"}))[0]
    assert given.endswith(", at a threshold of 0.4 given in place of the index's own.")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("first-place", "First place"),
        ("among-k", "Among the first 7"),
        ("copy", "A copy"),
        ("not-a-copy", "Not a copy"),
    ],
)
def test_its_heading_is_in_words(kind: str, words: str) -> None:
    made = proof()
    made.statement["predicate"]["claim"] |= {"kind": kind, "k": 7}
    assert heading(made) == words


def test_its_page(tmp_path: Path) -> None:
    write_proof_page(tmp_path / "page.html", proof(), image=None, verdict="confirmed")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>A copy, edited by jpeg</h1>" in page
    assert "/corpus/a.png: not there" in page
