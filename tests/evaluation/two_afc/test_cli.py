"""``retr bench-2afc`` as a command: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_two_afc import draw_photos
from typer.testing import CliRunner, Result

from retr.cli import app
from retr.evaluation.two_afc import run as two_afc_run


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("drawn"))


def bench(photos: Path, out: Path, *words: str) -> Result:
    fixed = ["--data", f"synthetic:{photos}", "--side", "32", "--metric", "retr:block-means", "--device", "cpu"]
    attack = ["--attacks", "apgd-l2", "--l2", "3", "--steps", "5", "--limit", "2"]
    return CliRunner().invoke(app, ["bench-2afc", *fixed, *attack, "-o", str(out), *words])


def test_json_records_and_page(drawn: Path, tmp_path: Path) -> None:
    outcome = bench(drawn, tmp_path / "out", "--format", "json", "--page", str(tmp_path / "page.html"))
    assert outcome.exit_code == 0, outcome.output
    answer = json.loads(outcome.stdout)
    assert answer["schema"] == "retr.bench-2afc/1"
    assert answer["records"] == str(tmp_path / "out" / "records.parquet")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_an_alarm_ends_with_1(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = two_afc_run.certify_triplets

    def lie(*images: Any, **told: Any) -> Any:
        return replace(proved := real(*images, **told), radius_sound=100.0 * proved.radius_sound)

    monkeypatch.setattr(two_afc_run, "certify_triplets", lie)
    outcome = bench(drawn, tmp_path / "out")
    assert outcome.exit_code == 1, outcome.output
    assert "soundness alarm" in outcome.output


def test_a_metric_that_cannot_be_loaded_ends_with_3(drawn: Path, tmp_path: Path) -> None:
    clean = ["--preset", "clean", "--attacks", "", "--metric", "python:no_module.there"]
    outcome = bench(drawn, tmp_path / "out", *clean, "--format", "json")
    assert outcome.exit_code == 3, outcome.output
    (left_out,) = json.loads(outcome.stdout)["left_out"]
    assert (left_out["metric"], left_out["setting"]) == ("python:no_module.there", "")
    outcome = bench(drawn, tmp_path / "again", *clean)
    assert "left out: python:no_module.there" in " ".join(outcome.stdout.split())


def test_a_photo_that_cannot_be_read_ends_with_3(drawn: Path, tmp_path: Path) -> None:
    photos = draw_photos(tmp_path, 3)
    (photos / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    outcome = bench(photos, tmp_path / "out", "--preset", "clean", "--kinds", "blur", "--limit", "3")
    assert outcome.exit_code == 3, outcome.output
