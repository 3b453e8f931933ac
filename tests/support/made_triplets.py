"""Records as a 2AFC benchmark writes them, made up: single rows for exact counting, and whole runs to look at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from retr.evaluation.two_afc.records import FORMAT, SCHEMA, Records

SIDE = 64
VALUES = 3 * SIDE * SIDE
FACTS = {
    "run": "20261121-120000-abcd",
    "command": "retr bench-2afc --data synthetic:photos",
    "versions": '{"python": "3.11.7", "retr": "0.1.0"}',
    "seed": 0,
    "policy_digest": "e" * 64,
    "plan": {},
    "metrics": {},
    "data": {},
    "left_out": {},
}


def _empty(field: pa.Field) -> Any:
    """Nothing, as a column has it."""
    if field.nullable:
        return None
    if pa.types.is_boolean(field.type):
        return False
    return "none" if pa.types.is_string(field.type) else 0


_EMPTY = {field.name: _empty(field) for field in SCHEMA}


def clean(left: float = 1.0, right: float = 2.0, **changes: Any) -> dict[str, Any]:
    """A triplet before any attack; people prefer the left one unless told otherwise."""
    row = {
        **_EMPTY,
        "system": "l2",
        "title": "ℓ2",
        "data": "made",
        "query": "t0",
        "attack": "clean",
        "goal": "clean",
        "group": "",
        "preference": 0.0,
        "side": SIDE,
        "medium": "float",
        "clean_left": left,
        "clean_right": right,
        "left": left,
        "right": right,
        **changes,
    }
    return _judged(row)


def trial(left: float, right: float, **changes: Any) -> dict[str, Any]:
    """The same triplet under PGD: the distances are those of the attacked image."""
    attack = {
        "attack": "pgd-linf",
        "setting": "PGD ε 0.03 α 0.001 ×30",
        "goal": "flip",
        "moves": "preferred",
        "norm": "linf",
        "eps": 0.015,
        "steps": 30,
        "l2": 1.0,
        "linf": 0.015,
        "rmse": 255 / math.sqrt(VALUES),
        "psnr": 40.0,
        "changed_001": 0.9,
        "changed_01": 0.5,
        "changed_03": 0.1,
        "seconds": 0.1,
        "gradients": 30,
        "forwards": 31,
    }
    return _judged({**clean(), **attack, "left": left, "right": right, **changes})


def _judged(row: dict[str, Any]) -> dict[str, Any]:
    """What the distances say, unless the row says it itself."""
    before, after = row["clean_left"] - row["clean_right"], row["left"] - row["right"]
    row["flipped"] = before * after < 0
    row["flipped_png"] = row["flipped"]
    row["agrees"] = before * (row["preference"] - 0.5) > 0
    return row


def records(*rows: dict[str, Any], **facts: Any) -> Records:
    """Rows as ``read_triplet_records`` gives them."""
    return Records(FORMAT.table(rows), {**FACTS, **facts})


@dataclass(frozen=True)
class Made:
    """One made-up metric.

    Attributes:
        right: how often it agrees with people.
        strength: median ℓ2 at which its judgement turns.
        tight: certified radius ÷ that; 0 for a metric without certificates.
    """

    metric: str
    title: str
    right: float
    strength: float
    tight: float = 0.0


MADE = (
    Made("l2", "ℓ2", 0.78, 1.6),
    Made("ssim", "SSIM", 0.77, 0.9),
    Made("ms-ssim", "MS-SSIM", 0.80, 0.8),
    Made("lpips-alex", "LPIPS (Alex)", 0.92, 0.25),
    Made("st-lpips-alex", "ST-LPIPS (Alex)", 0.91, 0.4),
    Made("retr:block-means", "retr:block-means", 0.79, 2.5, 0.8),
    Made("retr:lipsim", "LipSim", 0.86, 1.1, 0.35),
)
_LIPSIM = {"norm": "l2", "moves": "reference"}
SETTINGS: tuple[tuple[str, str, float, dict[str, Any]], ...] = (
    ("fgsm", "FGSM", 1.6, {"norm": "linf", "eps": 0.025}),
    ("pgd-linf", "PGD ε 0.03 α 0.001 ×30", 1.0, {"norm": "linf", "eps": 0.015, "steps": 30}),
    ("one-pixel", "one pixel", 3.0, {"norm": "l0", "eps": 1.0}),
    ("stadv", "stAdv α 50", 1.2, {"norm": "none", "eps": None}),
    ("apgd-l2", "APGD ε 0.5", 1.0, {**_LIPSIM, "eps": 0.5}),
    ("apgd-l2", "APGD ε 1", 1.0, {**_LIPSIM, "eps": 1.0}),
)
"""Attack, setting, how much farther it goes than it must, and columns."""
TRANSFERS = (
    ("pgd-linf", "PGD(10)", 0.06, 10),
    ("pgd-linf", "PGD(20)", 0.1, 20),
    ("stadv", "stAdv", 0.08, 0),
    ("stadv-pgd", "stAdv+PGD(10)", 0.15, 10),
    ("stadv-pgd", "stAdv+PGD(20)", 0.2, 20),
)
"""Attack, setting, share of samples that it turns on other metrics, steps."""


def benchmark(triplets: int = 60, metrics: tuple[Made, ...] = MADE, seed: int = 0) -> Records:
    """The records of a run in which attacks find what there is to find, a little late."""
    rng, rows = np.random.default_rng(seed), []
    for metric in metrics:
        for number in range(triplets):
            rows += _triplet(metric, number, rng)
    return records(*rows)


def _triplet(metric: Made, number: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    right = bool(rng.random() < metric.right)
    breaks = metric.strength * float(rng.lognormal(0, 0.5))
    lead = 0.4 * breaks
    radius = metric.tight * breaks if metric.tight else None
    own = {
        "system": metric.metric,
        "title": metric.title,
        "certified": radius is not None,
        "query": f"kind/{number:06d}",
        "group": ("blur", "jpeg")[number % 2],
        "preference": 0.0 if right else 1.0,
        "clean_left": 1.0,
        "clean_right": 1.0 + lead,
        "radius_sound": radius,
        "radius_published": None if radius is None else 1.4 * radius,
        "radius_all": None if radius is None else radius / 4,
        "published_holds": None if radius is None else bool(rng.random() < 0.3),
    }
    rows = [clean(1.0, 1.0 + lead, **own)]
    for attack, setting, late, columns in SETTINGS:
        eps = columns["eps"]
        budget = {"linf": 60 * (eps or 0), "l0": 1.2, "none": 1.5, "l2": eps or 0}[columns["norm"]]
        needed = late * breaks * float(rng.uniform(1.0, 1.1))
        won = needed < budget
        size = needed if attack == "fgsm" and won else 0.999 * budget
        found = needed / 60 if attack == "fgsm" and won else None
        rows.append(_image(own, won, size, lead, attack=attack, setting=setting, smallest_eps=found, **columns))
    if metric.metric != "lpips-alex":
        for attack, setting, share, steps in TRANSFERS:
            won = bool(rng.random() < share * 1.5 / metric.strength**0.3)
            columns = {"steps": steps, "source": "lpips-alex", "norm": "linf", "eps": 0.015}
            size = 1.01 * breaks if won else 0.9
            rows.append(_image(own, won, size, lead, attack=attack, setting=setting, **columns))
    rows.append(_image(own, breaks < 1.5, 1.5, lead, setting="reverse PGD", goal="reverse", moves="other"))
    if radius is not None:
        used = float(rng.beta(4, 3))
        moved = {"shift": used, "shift_limit": 1.0, "moves": "reference", "norm": "l2", "eps": 1.0, "attack": "pgd-l2"}
        rows.append(_image(own, breaks < 1.0, 1.0, lead, setting="PGD ℓ2 ε 1", goal="embedding", **moved))
    return rows


def _image(own: dict[str, Any], won: bool, l2: float, lead: float, **columns: Any) -> dict[str, Any]:
    nearer = 1.0 + (1.2 if won else 0.7) * lead
    size = {"l2": l2, "rmse": 255 * l2 / math.sqrt(VALUES), "psnr": -20 * math.log10(l2 / math.sqrt(VALUES))}
    return trial(nearer, 1.0 + lead, **own, **size, **columns)
