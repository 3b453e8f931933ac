"""Records as an audit writes them, made up: single rows for exact counting, and whole audits to look at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from retr.evaluation.robustness.records import SCHEMA
from retr.evaluation.robustness.summary_lines import BudgetLine

WIDTH, HEIGHT = 40, 25
VALUES = 3 * WIDTH * HEIGHT
PER_RMSE = math.sqrt(VALUES) / 255
"""l2 norm of a change of one level RMSE in these images."""

_COMMON: dict[str, Any] = {
    "run": "r1",
    "command": "retr attack-eval",
    "versions": '{"python": "3.11.7", "retr": "0.1.0"}',
    "seed": 0,
    "system": "index",
    "system_kind": "index",
    "model": "block-means",
    "model_digest": "d" * 64,
    "snapshot": "0123456789abcdef",
    "policy_digest": "e" * 64,
    "query": "a.jpg",
    "query_sha256": "f" * 64,
    "stranger": False,
    "edit": "identity",
    "geometric": False,
    "width": WIDTH,
    "height": HEIGHT,
    "medium": "float",
    "clean_item": "item-a",
    "clean_first": True,
    "clean_top10": True,
    "clean_verdict": "copy",
    "attacked_item": "item-a",
    "attacked_first": True,
    "attacked_top10": True,
    "attacked_verdict": "copy",
    "unit": "l2",
    "seconds": 0.01,
}


def _empty() -> dict[str, Any]:
    """Every column, with nothing in it."""
    row: dict[str, Any] = {}
    for field in SCHEMA:
        if field.nullable:
            row[field.name] = None
        elif pa.types.is_boolean(field.type):
            row[field.name] = False
        else:
            row[field.name] = "none" if pa.types.is_string(field.type) else 0
    return row


def clean(**changes: Any) -> dict[str, Any]:
    """The record of a query before any attack: found, a copy, without a certificate."""
    return {**_empty(), **_COMMON, "goal": "clean", "attack": "clean", **changes}


def trial(rmse: float, **changes: Any) -> dict[str, Any]:
    """The record of one float image at this RMSE, which changed nothing; the budget is the same unless given."""
    l2 = rmse * PER_RMSE
    attack = {
        "goal": "evasion",
        "attack": "apgd-l2",
        "norm": "l2",
        "sees": "gradient",
        "budget": rmse,
        "unit": "rmse",
        "eps": l2,
        "steps": 20,
        "restarts": 1,
        "l2": l2,
        "linf": 3 * rmse / 255,
        "rmse": rmse,
        "psnr": 20 * math.log10(255 / rmse),
        "changed_001": 0.9,
        "changed_01": 0.5,
        "changed_03": 0.1,
        "restart": 0,
        "zero_gradients": 0.0,
        "first_loss": -1.0,
        "best_loss": -0.5,
        "forwards": 40,
        "gradients": 20,
        "seconds": 0.1,
    }
    return {**_empty(), **_COMMON, **attack, **changes}


LOST = {"attacked_item": "item-z", "attacked_first": False, "success": True}
"""What a successful evasion changes in a record."""


def table(*rows: dict[str, Any]) -> pa.Table:
    """Rows as ``read_records`` gives them."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


@dataclass(frozen=True)
class Made:
    """One made-up system.

    Attributes:
        strength: median RMSE at which its answers really break.
        tight: certified radius ÷ that distance; 0 for a system without certificates.
    """

    name: str
    kind: str
    model: str
    strength: float
    tight: float = 0.0


MADE = (
    Made("corpus-index", "index", "block-means", 9.0, 0.9),
    Made("timm:resnet50", "embedder", "timm:resnet50", 0.8),
    Made("pdq", "hash", "pdq", 1.3),
)
EDITS = (("jpeg", False), ("brightness", False), ("text", False), ("crop", True))
ATTACKS = (("apgd-l2", "l2", 1.03), ("apgd-linf", "linf", 1.25))
BUDGETS = (0.5, 1.0, 2.0, 3.0)


def audit(files: int = 12, systems: tuple[Made, ...] = MADE, seed: int = 0) -> list[dict[str, Any]]:
    """The records of an audit in which attacks find what there is to find, a little late."""
    rng, rows = np.random.default_rng(seed), []
    for system in systems:
        for number in range(files):
            for edit, geometric in EDITS:
                breaks = system.strength * float(rng.lognormal(0, 0.6)) * (0.5 if geometric else 1.0)
                rows += _query(system, f"photos/{number:03d}.jpg", edit, geometric, breaks, rng)
    return rows


def _query(
    system: Made, query: str, edit: str, geometric: bool, breaks: float, rng: np.random.Generator
) -> list[dict[str, Any]]:
    right = bool(rng.random() < 0.96)
    radius = system.tight * breaks * PER_RMSE if system.tight else None
    own = {
        "system": system.name,
        "system_kind": system.kind,
        "model": system.model,
        "query": query,
        "edit": edit,
        "geometric": geometric,
        "clean_first": right,
        "attacked_first": right,
        "radius_top1": radius,
        "radius_verdict": None if radius is None else 1.2 * radius,
    }
    rows = [clean(**own)]
    for attack, norm, effort in ATTACKS:
        for budget in BUDGETS:
            for medium in ("float", "png"):
                won = right and effort * breaks * (1.05 if medium == "png" else 1.0) < budget
                rows.append(_image(own, attack, norm, budget, medium, won))
    found = min(1.01 * breaks, BUDGETS[-1])
    for medium, extra in (("float", 1.0), ("png", 1.02)):
        won = right and breaks < found * extra <= BUDGETS[-1]
        small = _image(own, "ddn", "l2", BUDGETS[-1], medium, won, rmse=min(found * extra, BUDGETS[-1]))
        rows.append({**small, "minimal": True})
    return rows


def _image(
    own: dict[str, Any], attack: str, norm: str, budget: float, medium: str, won: bool, rmse: float | None = None
) -> dict[str, Any]:
    realised = 0.999 * budget if rmse is None else rmse
    row = trial(realised, **own, attack=attack, norm=norm, budget=budget, medium=medium)
    for name in ("top1", "verdict"):
        row[f"within_{name}"] = row[f"radius_{name}"] is not None and row["l2"] < row[f"radius_{name}"]
    if won:
        row |= LOST | {"attacked_verdict": "not-a-copy" if not row["within_verdict"] else "copy"}
    return row


def certified_first(line: BudgetLine) -> float:
    """Certified recall@1; 0 without certificates."""
    return 0.0 if line.certified is None else line.certified.first.value
