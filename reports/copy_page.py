"""A copy benchmark as one self-contained HTML file: a pure function of its summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.rounded import budget_text
from ..core.statistics import Share
from ..evaluation.copies.summary import CopySummary, SystemLine
from ..evaluation.edits.summary import RangeSummary
from .copy_table import family_tables, near, negative_table, system_table
from .edits_table import ProvedEdits
from .kinds import bounds, count, percent
from .pages import Figure, Key, page, plan_facts, when
from .svg_charts import accuracy_chart
from .words import words

_CHARTS = words("copies")["charts"]


def copy_page(summary: CopySummary, *, command: str, edits: RangeSummary | None = None) -> str:
    """The page as text; it needs no other file, no network and no script.

    Args:
        summary: of the records of a benchmark.
        command: that began it.
        edits: what is proved of edits of its queries, if that was asked for.
    """
    return page(
        "copies.html.j2",
        run=summary.run,
        when=when(summary.run),
        counted=_counted(summary),
        checked=sum(line.checked for line in summary.systems),
        refuted=summary.refuted,
        keys=list(_keys(summary.systems[0], summary.epsilons)),
        figures=list(_figures(summary)),
        families=list(family_tables(summary)),
        systems=system_table(summary),
        negatives=negative_table(summary),
        edit_proofs=ProvedEdits.of(edits),
        command=command or "–",
        run_facts=plan_facts({"run": summary.run, **summary.plan}),
        skipped=[f"{number} × {reason}" for reason, number in summary.skipped.items()],
    )


def _counted(summary: CopySummary) -> list[str]:
    main, systems = summary.systems[0], len(summary.systems)
    queries = sum(family.queries for family in main.families)
    return [
        f"{count(queries)} queries in {len(main.families)} families",
        f"{count(main.stored['items'])} gallery items",
        main.system if systems == 1 else f"{systems} systems, the first {main.system}",
    ]


def _keys(main: SystemLine, epsilons: Sequence[float]) -> Iterator[Key]:
    """The main figures of the first system."""
    low, high = main.interval
    ends = bounds(Share(main.mean.recall, low, high, 0, 0))
    yield Key(percent(main.mean.recall), ("of queries have the true item first, mean over families", f"95 %: {ends}"))
    place = near(epsilons, 1.0)
    at = f"RMSE {budget_text(epsilons[place])}"
    if main.certified:
        yield Key(percent(main.mean.certified[place]), (f"proved to stay first for every change up to {at}",), "proved")
    if main.mean.verdict is not None:
        yield Key(percent(main.mean.verdict), ("are called copies of the true item",))
    if main.certified and main.mean.verdict_certified is not None:
        yield Key(percent(main.mean.verdict_certified[place]), (f"proved to stay so up to {at}",), "proved")
    if main.negatives is not None:
        told = f"of {count(main.negatives.queries)} negatives taken for copies"
        yield Key(str(main.negatives.false_matches), (told,), "broken" if main.negatives.false_matches else "")


def _figures(summary: CopySummary) -> Iterator[Figure]:
    """For every certified system what is proved of the mean, by the size of the change."""
    for line in summary.systems:
        if line.certified:
            title = _CHARTS["first_place"].format(system=line.system)
            yield _figure(title, line.mean.recall, line.mean.certified, summary)
            if line.mean.verdict is not None and line.mean.verdict_certified is not None:
                title = _CHARTS["verdict"].format(system=line.system)
                yield _figure(title, line.mean.verdict, line.mean.verdict_certified, summary)


def _figure(title: str, clean: float, proved: Sequence[float], summary: CopySummary) -> Figure:
    """Between two sizes counts what is proved at the larger one: it holds at the smaller as well."""
    epsilons = summary.epsilons

    def certified(amount: float) -> float:
        return next((share for eps, share in zip(epsilons, proved, strict=True) if eps >= amount), 0.0)

    drawn = accuracy_chart(
        clean=clean,
        certified=certified,
        x_max=epsilons[-1],
        axis=_CHARTS["axis"],
        label=f"{title}, mean over families, against the size of the change; clean {percent(clean)}",
    )
    at = ", ".join(f"{percent(share)} at RMSE {budget_text(eps)}" for eps, share in zip(epsilons, proved, strict=True))
    return Figure(title, drawn, f"Clean {percent(clean)}; certified {at}.")
