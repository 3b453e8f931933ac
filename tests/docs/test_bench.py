"""The benchmark runs, goes on where it was stopped, and its page says what it measured."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

HERE = Path(__file__).parents[2] / "docs" / "benchmarks" / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch):
    """The benchmark's main, whose parts run in this process."""
    monkeypatch.syspath_prepend(str(HERE))
    for name in ("indexing", "measuring", "pages", "querying", "searching"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    loaded = runpy.run_path(str(HERE / "__main__.py"))

    by_itself = subprocess.run

    def here(words: list[str], **options: Any) -> object:
        if words[1:2] != [str(HERE)]:
            return by_itself(words, **options)
        monkeypatch.setattr(sys, "argv", words[1:])
        return loaded["main"]()

    monkeypatch.setattr(subprocess, "run", here)

    def run(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        loaded["main"]()

    return run


def test_a_tiny_run_writes_both_files_and_is_not_repeated(bench, tmp_path: Path, capsys) -> None:
    words = [str(tmp_path / "work"), "--size", "tiny", "--out", str(tmp_path / "out"), "--workers", "2"]
    for part in ("stages", "index", "query", "search"):
        bench(*words, "--part", part)
    found = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert found["drawn"] is True
    assert set(found["parts"]) == {"stages", "index", "query", "search"}
    rows = {row["what"]: row for row in found["parts"]["stages"]["rows"]}
    assert {"decode", "resize", "embed", "index", "dHash", "pHash"} < set(rows)
    assert rows["index"]["index / this"] == 1.0
    assert rows["decode"]["index / this"] < 1.0
    assert found["parts"]["index"]["images"] == 24
    assert found["parts"]["query"]["items"] == 24
    page = (tmp_path / "out" / "bench.md").read_text()
    assert "| LipSim's network, embedding alone |" in page
    assert "### 400 × 256" in page
    assert "Of 5 queries the first items of 5 and the first radius of 5 are those of brute force" in page
    assert "certified / FAISS flat, 256 at once: " in page
    assert "drawn pictures" in page
    capsys.readouterr()
    bench(*words, "--part", "stages")
    assert "stages: measured before" in capsys.readouterr().err


def test_a_folder_without_photographs_is_refused(bench, tmp_path: Path, capsys) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    with pytest.raises(SystemExit):
        bench(str(tmp_path / "work"), "--data", str(tmp_path))
    assert "leave --data out" in capsys.readouterr().err
