"""From the words a user writes to a metric, and what there is."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..core.errors import UsageError
from . import (
    adapters,
    cw_ssim,
    dists,
    e_lpips,
    embedders,
    fsim,
    lpips,
    pieapp,
    pixel,
    programs,
    ssim,
    st_lpips,
    swiniqa,
    wadiqam,
    watson,
)
from .contract import Facts, Metric
from .packages import absent


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the registry.

    Attributes:
        facts: what it is.
        load: from what follows ``name:`` to the metric.
        missing: why it does not run now, in words that say what to do; None where it does.
        form: what people write, where that is more than the name.
    """

    facts: Facts
    load: Callable[[str], Metric]
    missing: Callable[[], str | None]
    form: str = ""


def _nothing() -> str | None:
    return None


def _alone(name: str, load: Callable[[], Metric]) -> Callable[[str], Metric]:
    """A loader of a metric that takes nothing after its name."""

    def checked(rest: str) -> Metric:
        if rest:
            raise UsageError(f"{name} takes nothing after its name, got {rest!r}")
        return load()

    return checked


def _entry(facts: Facts, load: Callable[[], Metric], missing: Callable[[], str | None]) -> Entry:
    return Entry(facts, _alone(facts.name, load), missing)


def _file_missing(others: Callable[[], str | None]) -> str:
    """What a metric with a given file lacks: the file itself always has to be named."""
    return others() or "a file of weights, named after the colon"


ENTRIES: tuple[Entry, ...] = (
    _entry(pixel.FACTS, pixel.load_l2, _nothing),
    _entry(ssim.SSIM_FACTS, ssim.load_ssim, _nothing),
    _entry(ssim.MS_SSIM_FACTS, ssim.load_ms_ssim, _nothing),
    _entry(cw_ssim.FACTS, cw_ssim.load_cw_ssim, _nothing),
    _entry(fsim.FACTS, fsim.load_fsimc, partial(absent, "piq", extra="metrics")),
    *(
        _entry(lpips.lpips_facts(trunk), partial(lpips.load_lpips, trunk), partial(lpips.lpips_missing, trunk))
        for trunk in lpips.TITLES
    ),
    Entry(
        lpips.R_LPIPS_FACTS,
        lpips.load_r_lpips,
        lambda: _file_missing(partial(absent, "lpips", extra="metrics")),
        "r-lpips:FILE",
    ),
    *(
        _entry(st_lpips.facts(trunk), partial(st_lpips.load_st_lpips, trunk), partial(st_lpips.st_lpips_missing, trunk))
        for trunk in st_lpips.TITLES
    ),
    Entry(
        e_lpips.FACTS,
        e_lpips.load_e_lpips,
        partial(lpips.lpips_missing, e_lpips.DEFAULT_TRUNK),
        "e-lpips[:TRUNK[:DRAWS[:SEED]]]",
    ),
    _entry(dists.DISTS_FACTS, dists.load_dists, dists.dists_missing),
    _entry(dists.A_DISTS_FACTS, dists.load_a_dists, dists.dists_missing),
    _entry(pieapp.FACTS, pieapp.load_pieapp, pieapp.pieapp_missing),
    Entry(watson.FACTS, watson.load_watson, lambda: _file_missing(_nothing), "watson-dft:FILE"),
    Entry(wadiqam.FACTS, wadiqam.load_wadiqam, lambda: _file_missing(_nothing), "wadiqam-fr:FILE[#error]"),
    Entry(swiniqa.FACTS, swiniqa.load_swiniqa, lambda: _file_missing(_nothing), "swiniqa:FILE"),
    *(
        Entry(facts, partial(programs.load_program, name), lambda: programs.NEEDS, f"{name}:PROGRAM ARGS…")
        for name, facts in programs.FACTS.items()
    ),
    *(
        _entry(embedders.named_facts(name), partial(embedders.load_named, name), partial(embedders.named_missing, name))
        for name in embedders.NAMED
    ),
    Entry(embedders.FACTS, embedders.load_retr, _nothing, "retr:MODEL"),
    Entry(adapters.PYTHON_FACTS, adapters.load_python, _nothing, "python:MODULE.ATTRIBUTE"),
    Entry(adapters.COMMAND_FACTS, adapters.load_command, _nothing, "command:PROGRAM ARGS…"),
)

METRICS: dict[str, Entry] = {entry.facts.name: entry for entry in ENTRIES}
"""Every metric by the word before the first colon."""


def load_metric(spec: str, *, device: str = "cpu") -> Metric:
    """Build the metric that a spec names; its ``spec`` attribute rebuilds it.

    Args:
        spec: as ``retr metrics list`` shows, for example ``lpips-alex`` or ``retr:block-means``.
        device: where its weights go.

    Raises:
        UsageError: for a spec that names nothing, with close names.
        ModelError: where a package or a file is missing or wrong.
        WeightsUnavailable: where weights must be fetched and cannot be.
    """
    name, _, rest = spec.partition(":")
    if name not in METRICS:
        close = difflib.get_close_matches(name, METRICS, n=3) or list(METRICS)
        raise UsageError(f"unknown metric {spec!r}; choose {', '.join(close)}; see: retr metrics list")
    return METRICS[name].load(rest).to(device)


def list_metrics() -> list[dict[str, Any]]:
    """Every metric as JSON-like rows for ``retr metrics list``; loads nothing.

    Keys: the fields of Facts (an infinite end of the range is None), ``form``, ``runs``, and ``needs``: None if it
    runs.
    """
    return [_row(entry) for entry in ENTRIES]


def _row(entry: Entry) -> dict[str, Any]:
    facts, needs = entry.facts, entry.missing()
    return {
        "name": facts.name,
        "form": entry.form or facts.name,
        "title": facts.title,
        "runs": needs is None,
        "needs": needs,
        "differentiable": facts.differentiable,
        "lowest": facts.lowest if math.isfinite(facts.lowest) else None,
        "highest": facts.highest if math.isfinite(facts.highest) else None,
        "zero_at_identity": facts.zero_at_identity,
        "smallest_side": facts.smallest_side,
        "input_size": list(facts.input_size) if facts.input_size else None,
        "licence": facts.licence,
        "weights": facts.weights,
        "source": facts.source,
    }
