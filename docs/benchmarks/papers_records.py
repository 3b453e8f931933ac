"""Several runs of ``retr bench-2afc`` on one data set, put together for :mod:`papers_measured`; no command of its own.

What two records both hold is counted once, in the order of the files; a broken certificate is never left out. Records
that contradict each other are refused.

Every set of triplets that a run had is a :class:`Sample`: all that was measured on each of its triplets, also by runs
on more. Scores depend on which triplets they are means of: those of one sample may be compared, those of different
samples may not. An attack is shown for the largest set it was run on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from retr.core.errors import UsageError
from retr.evaluation.two_afc.records import CLEAN, FORMAT, Records, nearer
from retr.evaluation.two_afc.summary import summarise_triplets
from retr.evaluation.two_afc.summary_lines import AttackLine, TripletSummary
from retr.evaluation.two_afc.summary_rows import Rows

EPSILONS = (36 / 255, 72 / 255, 108 / 255, 255 / 255)
"""ℓ2 radii at which LipSim's code certifies."""
SETTING = ("attack", "setting", "goal", "moves", "source", "norm", "eps", "steps")
_KEY = ("metric", *SETTING)
_CLEAN_NUMBERS = ("clean_left", "clean_right", "preference", "side", "radius_sound", "radius_published", "radius_all")
_STEMS = ("best", "last")
"""Names of model files that say nothing: that of the folder is taken."""
_ROUNDING = 1e-4
"""Relative: float32 sums of another batch, memory layout or device differ by less."""


@dataclass(frozen=True, eq=False)
class Merged:
    """Rows of all records.

    Attributes:
        table: every row, one record after another.
        runs: (n,) number of each row's record.
        ids: (n,) equal for rows of one metric, triplet and attack.
        facts: of each record.
        label: what a metric is called, also in the column ``title``; by spec.
        repeated: attacks that an earlier record holds too; otherwise: those of them that ended otherwise there.
    """

    table: pa.Table
    runs: np.ndarray
    ids: np.ndarray
    facts: tuple[dict[str, Any], ...]
    label: dict[str, str]
    repeated: int
    otherwise: int

    def rows(self, wanted: np.ndarray | None = None) -> pa.Table:
        """Of these rows, or all, one for each id, in order: the first, or the first that broke a certificate."""
        found = np.arange(len(self.ids)) if wanted is None else np.flatnonzero(wanted)
        alarms = _column(self.table, "alarm")[found]
        found = np.concatenate([found[alarms], found[~alarms]])
        return self.table.take(np.sort(found[np.unique(self.ids[found], return_index=True)[1]]))


@dataclass(frozen=True)
class Sample:
    """One set of triplets, and all that was measured on every one of them.

    Attributes:
        triplets: their names.
        summary: of all metrics and attacks that were run on the whole set, or on more.
        own: the same with only those attacks that were not run on a larger set around it.
        before: by attack line (see :func:`key`), how many triplets were attacked, and their score before.
        new: metrics that no larger set around it has.
        label: what a metric is called; by spec.
    """

    triplets: frozenset[str]
    summary: TripletSummary
    own: TripletSummary
    before: dict[tuple[Any, ...], tuple[int, float]]
    new: frozenset[str]
    label: dict[str, str]

    @property
    def data(self) -> str:
        """Name of the data set."""
        return self.summary.data[0]


def key(line: AttackLine) -> tuple[Any, ...]:
    """Metric and setting."""
    return tuple(getattr(line, name) for name in _KEY)


def read(paths: Sequence[Path]) -> Merged:
    """Records that can be put together.

    Raises:
        UsageError: they speak of different things, or contradict each other.
        IntegrityError: one cannot be read.
    """
    records = [FORMAT.read(path) for path in paths]
    for path, one in zip(paths, records, strict=True):
        _check_facts(path, one, paths[0], records[0])
    _check_models(paths, records)
    label = _labels(records)
    table = pa.concat_tables([one.table.replace_schema_metadata(None) for one in records])
    titles = pa.array([label[spec] for spec in table["system"].to_pylist()])
    table = table.set_column(table.schema.get_field_index("title"), "title", titles)
    runs = np.repeat(np.arange(len(records)), [one.table.num_rows for one in records])
    ids = Rows.of(table).numbered("query", "system", *SETTING)
    first = np.unique(ids, return_index=True)[1][ids]
    repeats = np.flatnonzero(first != np.arange(len(ids)))
    clean = _column(table, "attack")[repeats] == CLEAN
    _check_clean(table, first, repeats[clean], [paths[run] for run in runs.tolist()])
    flipped, again = _column(table, "flipped"), repeats[~clean]
    facts = tuple(dict(one.facts) for one in records)
    return Merged(table, runs, ids, facts, label, len(again), int((flipped[again] != flipped[first[again]]).sum()))


def samples(merged: Merged) -> list[Sample]:
    """Every set of triplets that a run had, the largest first."""
    names = _column(merged.table, "query")
    sets = [frozenset(names[merged.runs == run].tolist()) for run in range(len(merged.facts))]
    found: list[Sample] = []
    for triplets in sorted(dict.fromkeys(sets), key=len, reverse=True):
        runs = [run for run, whole in enumerate(sets) if whole >= triplets]
        inside = np.asarray([name in triplets for name in names.tolist()])
        table = merged.rows(inside & np.isin(merged.runs, runs))
        found.append(_sample(triplets, table, [one for one in found if one.triplets > triplets], merged.label))
    return found


def _sample(triplets: frozenset[str], table: pa.Table, larger: Sequence[Sample], label: dict[str, str]) -> Sample:
    summary = summarise_triplets(Records(table, {}), epsilons=EPSILONS)
    held = {key(line) for one in larger for line in one.summary.attacks}
    own = replace(summary, attacks=tuple(line for line in summary.attacks if key(line) not in held))
    parts = Rows.of(table).groups("data", "system")
    groups = (rows for part in parts for rows in part.attacked.groups(*SETTING))  # the order of the summary's lines
    before = {
        key(line): (len(rows), float(rows.agreement.mean())) for line, rows in zip(summary.attacks, groups, strict=True)
    }
    known = {line.metric for one in larger for line in one.summary.metrics}
    new = frozenset(line.metric for line in summary.metrics) - known
    return Sample(triplets, summary, own, before, new, label)


def _labels(records: Sequence[Records]) -> dict[str, str]:
    """What metrics are called, by spec: model files by their own name, or their folder's; several of one name apart."""
    label, digests = {}, {}
    for one in records:
        digests |= {metric["spec"]: metric["digest"] or metric["spec"] for metric in one.facts["metrics"]}
        for spec, title in dict(
            zip(*(one.table[name].to_pylist() for name in ("system", "title")), strict=True)
        ).items():
            file = Path(spec.partition(":")[2])
            name = file.parent.name if file.stem in _STEMS else file.stem
            label.setdefault(spec, name if file.suffix == ".safetensors" and name else title)
    names = list(label.values())
    return {spec: f"{name} ({digests[spec][:8]})" if names.count(name) > 1 else name for spec, name in label.items()}


def _column(table: pa.Table, name: str) -> np.ndarray:
    return Rows.of(table.select([name]))[name]


def _about(path: Path, records: Records) -> dict[str, Any]:
    """What all records must have in common, by the words for it."""
    sets, plan = records.facts["data"], records.facts["plan"]
    if len(sets) != 1:
        raise UsageError(f"{path} holds {len(sets)} data sets; a page speaks of one")
    source = sets[0]["source"]
    return {
        "data set": sets[0]["name"],
        "side": sets[0]["side"],
        "seed": records.facts["seed"],
        "version or photographs": [source.get(name) for name in ("layout", "version", "seed", "photos")],
        "split": plan["choice"]["split"],
        "medium": plan["medium"],
        "--eps": plan["certified"],
        "decode policy": records.facts["policy_digest"],
    }


def _check_facts(path: Path, records: Records, first_path: Path, first: Records) -> None:
    here, there = _about(path, records), _about(first_path, first)
    for what, value in here.items():
        if value != there[what]:
            raise UsageError(f"another {what}: {value} in {path}, {there[what]} in {first_path}; leave one of them out")


def _check_models(paths: Sequence[Path], records: Sequence[Records]) -> None:
    known: dict[str, tuple[Any, Path]] = {}
    for path, one in zip(paths, records, strict=True):
        for metric in one.facts["metrics"]:
            digest, where = known.setdefault(metric["spec"], (metric["digest"], path))
            if digest != metric["digest"]:
                raise UsageError(f"{metric['spec']} is another model in {path} than in {where}; leave one of them out")


def _check_clean(table: pa.Table, first: np.ndarray, repeats: np.ndarray, paths: Sequence[Path]) -> None:
    """Refuse rows without attack that contradict the first of the same metric and triplet."""
    columns = {name: _column(table, name) for name in _CLEAN_NUMBERS}
    order = nearer(columns["clean_left"], columns["clean_right"])
    for name, numbers in {**columns, "order of the candidates": order}.items():
        same = np.isclose(numbers[repeats], numbers[first[repeats]], rtol=_ROUNDING, atol=0.0, equal_nan=True)
        if not same.all():
            here = int(repeats[np.argmin(same)])
            there = int(first[here])
            metric, triplet = (_column(table, word)[here] for word in ("system", "query"))
            raise UsageError(
                f"{metric} and triplet {triplet}: {name} is {numbers[here]} in {paths[here]} and {numbers[there]} in "
                f"{paths[there]}; leave one of them out"
            )
