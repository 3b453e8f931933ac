"""Images that an audit keeps: their names say what was done, budgets exactly as given."""

from pathlib import Path

import numpy as np

from retr.evaluation.robustness.cases import Case
from retr.evaluation.robustness.showcase import Shot, keep_shots

BUDGETS = (36 / 255, 0.1411764)
"""Alike to six digits."""


def shots(folder: Path) -> list[Shot]:
    """One image a budget, of one attack on one case."""
    case = Case("a.png", "identity", False, np.zeros((2, 2, 3), np.uint8), frozenset(), False, 7)
    made = []
    for place, budget in enumerate(BUDGETS):
        file = folder / f"{place}.npy"
        np.save(file, np.full((2, 2, 3), float(place)))
        record = {"source": None, "system": "index", "goal": "evasion", "attack": "pgd-l2", "unit": "l2"}
        made.append(Shot(record | {"budget": budget, "alarm": False}, case, "index", file))
    return made


def test_images_of_budgets_that_are_alike_are_kept_apart(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    made = shots(work)
    keep_shots(made, tmp_path, work, kept="all", gallery=False)
    names = [shot.record["image"] for shot in made]
    assert len(set(names)) == len(BUDGETS)
    assert [np.load(tmp_path / name).max() for name in names] == [0.0, 1.0]
    assert all(f"-{budget!r}-" in name for budget, name in zip(BUDGETS, names, strict=True))
