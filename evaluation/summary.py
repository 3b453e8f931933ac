"""The numbers of an audit, computed from its records alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.units import Unit, to_l2

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BudgetLine:
    """All attacks together at one budget, ``within`` that budget or a smaller one.

    Attributes:
        attacked1: share of queries whose true item is first, and stays so under every attack (pointwise worst case).
        attacked10: the same for the first ten.
        certified1: share whose true item is first and proved to stay so for every change within the budget.
        certificates: attacked certificates: saved images inside a certified radius.
        alarms: those that broke it.
        success: share of attacks whose goal was reached, by the float image.
    """

    budget: float
    unit: str
    queries: int
    clean1: float
    clean10: float
    attacked1: float
    attacked10: float
    certified1: float
    certificates: int
    alarms: int
    success: float


@dataclass(frozen=True)
class AttackLine:
    """One attack with one goal at one budget (or multiple of the certified radius), float images and PNGs apart."""

    attack: str
    goal: str
    budget: float
    unit: str
    attempts: int
    success_float: float
    success_png: float
    certificates: int
    alarms: int
    gradients: float
    seconds: float


@dataclass(frozen=True)
class MultipleLine:
    """All attacks together at one multiple of each query's own certified radius.

    Attributes:
        multiple: below 1, a success would be an alarm; above 1, successes say how tight the radius is.
        queries: queries attacked.
        success: share of them where some attack reached its goal; ``_float`` and ``_png`` by medium.
        certificates: attacked certificates; alarms: those that broke.
    """

    multiple: float
    queries: int
    success_float: float
    success_png: float
    certificates: int
    alarms: int


@dataclass(frozen=True)
class EditLine:
    """One edit: how well it is found, and how far that is certified."""

    edit: str
    geometric: bool
    queries: int
    clean1: float
    certified: int
    median_rmse: float | None


@dataclass(frozen=True)
class RadiusLine:
    """Median certified top-1 radius over queries whose true item is first (0 for those without a certificate)."""

    queries: int
    l2: float
    rmse: float
    psnr: float | None


@dataclass(frozen=True)
class Summary:
    """An audit in numbers.

    Attributes:
        run, model, snapshot: what was audited.
        queries: query images, edits counted apart.
        files: distinct query files.
        clean1, clean10: recall before any attack.
        radius: None where no true item is first or the model is uncertified.
        budgets: one line per budget; empty for an audit at multiples of the radius.
        multiples: one line per multiple of the radius, for such an audit.
        attacks: one line per attack, goal and budget.
        edits: one line per edit.
        certificates: attacked certificates, all in all.
        alarms: saved images that broke a certificate.
    """

    run: str
    model: str
    snapshot: str
    queries: int
    files: int
    clean1: float
    clean10: float
    radius: RadiusLine | None
    budgets: tuple[BudgetLine, ...]
    multiples: tuple[MultipleLine, ...]
    attacks: tuple[AttackLine, ...]
    edits: tuple[EditLine, ...]
    certificates: int
    alarms: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def summarise(records: pa.Table) -> Summary:
    """Summarise the records of one run."""
    table = _Columns({name: records[name].to_numpy() for name in records.column_names})
    clean, trials = table.where(table["attack"] == "clean"), table.where(table["attack"] != "clean")
    return Summary(
        run=str(table["run"][0]),
        model=str(table["model"][0]),
        snapshot=str(table["snapshot"][0]),
        queries=len(clean),
        files=len(set(clean["query"])),
        clean1=_share(clean["clean_first"]),
        clean10=_share(clean["clean_top10"]),
        radius=_median_radius(clean),
        budgets=tuple(_budget_lines(clean, trials)),
        multiples=tuple(_multiple_lines(trials)),
        attacks=tuple(_attack_lines(trials)),
        edits=tuple(_edit_lines(clean)),
        certificates=int(_attacked_certificates(trials).sum()),
        alarms=int(trials["alarm"].sum()),
    )


class _Columns:
    """Columns of a table as arrays, filtered together."""

    def __init__(self, data: dict[str, np.ndarray]) -> None:
        self._data = data

    def __getitem__(self, name: str) -> np.ndarray:
        return self._data[name]

    def __len__(self) -> int:
        return len(self._data["run"])

    def where(self, mask: Bools) -> _Columns:
        return _Columns({name: values[mask] for name, values in self._data.items()})

    @property
    def values(self) -> Floats:
        """Number of values 3·H·W per row."""
        return 3.0 * self["width"] * self["height"]

    @property
    def top1(self) -> Floats:
        """Certified top-1 radii, 0 where there is none."""
        return np.nan_to_num(self["radius_top1"].astype(np.float64))


def _share(flags: Iterable[Any]) -> float:
    found = np.fromiter((bool(flag) for flag in flags), dtype=np.float64)
    return float(found.mean()) if found.size else 0.0


def _median_radius(clean: _Columns) -> RadiusLine | None:
    right = clean.where(clean["clean_first"].astype(bool))
    if not len(right) or np.isnan(right["radius_top1"].astype(np.float64)).all():
        return None
    rmse = float(np.median(255.0 * right.top1 / np.sqrt(right.values)))
    psnr = None if rmse == 0 else -20.0 * math.log10(rmse / 255.0)
    return RadiusLine(len(right), float(np.median(right.top1)), rmse, psnr)


def _attacked_certificates(trials: _Columns) -> Bools:
    return trials["within_top1"].astype(bool) | trials["within_verdict"].astype(bool)


def _budget_lines(clean: _Columns, trials: _Columns) -> Iterable[BudgetLine]:
    if not len(trials) or trials["unit"][0] == "radius":
        return
    unit: Unit = trials["unit"][0]
    # From the smallest ball to the largest; in dB the larger number is the smaller ball.
    for budget in sorted(set(trials["budget"]), key=lambda b: to_l2(b, unit, 1)):
        yield _budget_line(clean, trials, float(budget), unit)


def _budget_line(clean: _Columns, trials: _Columns, budget: float, unit: Unit) -> BudgetLine:
    reach = np.asarray([to_l2(b, unit, 1) for b in trials["budget"]]) <= to_l2(budget, unit, 1)
    here = trials.where(trials["budget"] == budget)
    first, top10 = clean["clean_first"].astype(bool), clean["clean_top10"].astype(bool)
    within = trials.where(reach)
    l2 = np.asarray([to_l2(budget, unit, int(n)) for n in clean.values])
    return BudgetLine(
        budget=budget,
        unit=unit,
        queries=len(clean),
        clean1=_share(first),
        clean10=_share(top10),
        attacked1=_share(first & ~_fell(clean, within, "attacked_first")),
        attacked10=_share(top10 & ~_fell(clean, within, "attacked_top10")),
        certified1=_share(first & (clean.top1 > l2)),
        certificates=int(_attacked_certificates(here).sum()),
        alarms=int(here["alarm"].sum()),
        success=_share(here.where(here["medium"] == "float")["success"]),
    )


def _multiple_lines(trials: _Columns) -> Iterable[MultipleLine]:
    if not len(trials) or trials["unit"][0] != "radius":
        return
    for multiple in sorted(set(trials["budget"])):
        here = trials.where(trials["budget"] == multiple)
        keys = set(zip(here["query"], here["edit"], strict=True))
        yield MultipleLine(
            multiple=float(multiple),
            queries=len(keys),
            success_float=len(_won(here, "float")) / len(keys),
            success_png=len(_won(here, "png")) / len(keys),
            certificates=int(_attacked_certificates(here).sum()),
            alarms=int(here["alarm"].sum()),
        )


def _won(trials: _Columns, medium: str) -> set[tuple[str, str]]:
    """Queries on which some attack reached its goal."""
    wins = trials.where((trials["medium"] == medium) & trials["success"].astype(bool))
    return set(zip(wins["query"], wins["edit"], strict=True))


def _fell(clean: _Columns, trials: _Columns, column: str) -> Bools:
    """Per clean row, whether some trial on it lost the true item."""
    lost = ~trials[column].astype(bool)
    fallen = set(zip(trials["query"][lost], trials["edit"][lost], strict=True))
    return np.asarray([key in fallen for key in zip(clean["query"], clean["edit"], strict=True)], dtype=bool)


def _attack_lines(trials: _Columns) -> Iterable[AttackLine]:
    keys = list(dict.fromkeys(zip(trials["attack"], trials["goal"], trials["budget"], strict=True)))
    for attack, goal, budget in keys:
        same = (trials["attack"] == attack) & (trials["goal"] == goal) & (trials["budget"] == budget)
        yield _attack_line(trials.where(same))


def _attack_line(group: _Columns) -> AttackLine:
    floats, pngs = (group.where(group["medium"] == medium) for medium in ("float", "png"))
    return AttackLine(
        attack=str(group["attack"][0]),
        goal=str(group["goal"][0]),
        budget=float(group["budget"][0]),
        unit=str(group["unit"][0]),
        attempts=len(floats),
        success_float=_share(floats["success"]),
        success_png=_share(pngs["success"]),
        certificates=int(_attacked_certificates(group).sum()),
        alarms=int(group["alarm"].sum()),
        gradients=float(floats["gradients"].mean()),
        seconds=float(floats["seconds"].mean()),
    )


def _edit_lines(clean: _Columns) -> Iterable[EditLine]:
    for edit in dict.fromkeys(clean["edit"]):
        same = clean.where(clean["edit"] == edit)
        radius = _median_radius(same)
        yield EditLine(
            edit=str(edit),
            geometric=bool(same["geometric"][0]),
            queries=len(same),
            clean1=_share(same["clean_first"]),
            certified=int((same.top1 > 0).sum()),
            median_rmse=None if radius is None else radius.rmse,
        )
