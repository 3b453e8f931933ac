"""Fills the part *Measured* of docs/papers.md: the papers' tables, from several runs of ``retr bench-2afc``.

    python docs/benchmarks/papers_measured.py RECORDS.parquet... [--page docs/papers.md] [--title TEXT]

RECORDS are of one data set, side and seed; each may hold other metrics and attacks, and more or fewer triplets (a run
of all metrics at once is too long). How they are put together, and what is refused, see papers_records.py. What stands
between the marks ``measured: begin`` and ``measured: end`` of the page is replaced; the rest stays as it is. Every set
of triplets has tables of its own, and every row says of how many it speaks.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from papers_records import EPSILONS, Merged, Sample, key, read, samples

from retr.core.errors import RetrError, UsageError
from retr.core.files import write_atomically
from retr.core.rounded import lower_text, upper_text
from retr.core.statistics import Share
from retr.evaluation.two_afc.findings import findings
from retr.evaluation.two_afc.summary_lines import AttackLine, Flips, ShiftLine, WorstLine
from retr.evaluation.two_afc.summary_rows import Rows
from retr.reports.kinds import COUNT, NAME, PERCENT, WORD, told
from retr.reports.kinds import measured as measurement
from retr.reports.markdown import markdown
from retr.reports.table import Column, Kind, Row, Table
from retr.reports.two_afc_series import (
    FORM_NAMES,
    MOVE_NAMES,
    PAPER_EPS,
    paper_eps,
    plus_minus,
    size,
    transfer_heads,
    transfers,
)

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
PAPERS = {("fgsm", "flip"): "preferred", ("pgd-linf", "flip"): "preferred"}
PAPERS |= {("stadv", "flip"): "preferred", ("pgd-linf", "reverse"): "other"}
"""Attack and goal of Ghildyal and Liu's white-box table → who moves."""
BLACK_BOX = ("one-pixel", "square-l2", "square-linf", "hopskipjump-l2")

METRIC, NUMBER, TRIPLETS = Column("metric", NAME), Column("n", COUNT), Column("triplets", COUNT)


def shares(heads: Iterable[str], kind: Kind = WORD) -> list[Column]:
    """Columns of percentages, by default with the number of samples where that is another than the row's."""
    return [Column(f"{head}, %", kind) for head in heads]


def table(columns: Iterable[Column], rows: Iterable[Row], words: str = "") -> list[str]:
    """Lines of Markdown, with what is to be said above; nothing where there is no row."""
    lines = markdown(Table(tuple(columns), tuple(rows)))
    return [words, "", *lines] if words and lines else lines


def percent(share: float | None) -> str:
    """Without the sign; a dash for none."""
    return PERCENT.text(share).main


def share_of_row(share: Share | None, n: int) -> str:
    """A percentage, with the number of samples where the row's is another."""
    if share is None or not share.of:
        return "–"
    return percent(share.value) + ("" if share.of == n else f" (of {share.of:,})")


def flip_table(
    lines: Sequence[AttackLine], heads: Mapping[str, str], label: Mapping[str, str], words: str
) -> list[str]:
    """Flips where metric and people agree: a row for each metric, a column for each setting, by its head."""
    rows = []
    for metric in dict.fromkeys(line.metric for line in lines):
        found = {line.setting: line.agree.flipped for line in lines if line.metric == metric}
        n = next(iter(found.values())).of
        rows.append((label[metric], n, *(share_of_row(found.get(setting), n) for setting in heads)))
    return table([METRIC, NUMBER, *shares(heads.values())], rows, words)


# -- which table shows an attack ----------------------------------------------------------------------------------


def shown_as(line: AttackLine) -> str:
    """Whose table shows it: a paper's white-box one, that of black-box attacks, LipSim's, …; "" for no other one."""
    if line.source is not None:
        return "transfer"
    if line.goal == "embedding":
        return "shift"
    if line.setting.endswith(", to its end"):  # made for other metrics: goes on after it has won
        return "for others"
    if line.attack in BLACK_BOX and line.goal == "flip":
        return "black box"
    if (line.attack, line.goal, line.moves) == ("apgd-l2", "flip", "reference"):
        return "lipsim"
    return "white box" if PAPERS.get((line.attack, line.goal)) == line.moves else ""


def shown(sample: Sample, kind: str) -> list[AttackLine]:
    """The attacks of a set that one table shows."""
    return [line for line in sample.own.attacks if shown_as(line) == kind]


def papers_settings(sample: Sample) -> dict[tuple[str, str], str]:
    """(attack, goal) → the setting that the white-box table shows: the first, also of those run on more triplets."""
    lines = [line for line in sample.summary.attacks if shown_as(line) == "white box"]
    return {(line.attack, line.goal): line.setting for line in reversed(lines)}


# -- sections -----------------------------------------------------------------------------------------------------


def natural(sample: Sample) -> list[str]:
    """Scores before any attack; again on a smaller set only where that has further metrics."""
    rows = []
    for line in sample.summary.metrics if sample.new else ():
        share = line.accuracy
        ends = f"{lower_text(100 * share.low, decimals=1)}–{upper_text(100 * share.high, decimals=1)}"
        accuracy = f"{share_of_row(share, line.triplets)} ({ends})"
        rows.append((sample.label[line.metric], line.triplets, line.score, accuracy, line.draws))
    scores = [*shares(["2AFC score"], PERCENT), Column("accuracy, % (95 %)", WORD), Column("draws", COUNT)]
    return table([METRIC, TRIPLETS, *scores], rows)


def white_box(sample: Sample) -> list[str]:
    """Ghildyal and Liu's table, where metric and people agree, and where not."""
    chosen = papers_settings(sample)
    by: dict[str, dict[tuple[str, str], AttackLine]] = {}
    for line in shown(sample, "white box"):
        if chosen[line.attack, line.goal] == line.setting:
            by.setdefault(line.metric, {})[line.attack, line.goal] = line
    if not by:
        return []
    agree, disagree = (
        [_papers_row(sample.label[metric], found, side) for metric, found in by.items()]
        for side in ("agree", "disagree")
    )
    columns = [METRIC, NUMBER, *shares(["FGSM"]), Column("mean ε", PAPER_EPS), *shares(["PGD", "stAdv", "reverse PGD"])]
    columns += [Column("RMSE", WORD), Column("PSNR, dB", measurement(decimals=1)), Column(">.001/.01/.03, %", WORD)]
    settings = "; ".join(chosen[kind] for kind in PAPERS if kind in chosen)
    sizes = "RMSE (mean ± standard deviation, 8-bit levels), PSNR and share of pixels changed by more than .001/.01/.03"
    text = [f"Settings: {settings}.", f"{sizes} are of PGD's flips; mean ε and the shares are from −1 to 1.", ""]
    text += table(columns, agree, "Metric and most people agree:")
    return text + table(columns[:8], [row[:8] for row in disagree if row[1]], "They disagree:")


def _papers_row(label: str, found: Mapping[tuple[str, str], AttackLine], side: str) -> tuple[Any, ...]:
    flips: list[Flips | None] = [getattr(found[kind], side) if kind in found else None for kind in PAPERS]
    n = next(one.samples for one in flips if one is not None)
    fgsm, pgd, *_ = flips
    flipped = [share_of_row(one and one.flipped, n) for one in flips]
    psnr = pgd and pgd.psnr and pgd.psnr.mean
    changed = "–" if pgd is None or pgd.changed is None else " / ".join(map(percent, pgd.changed))
    return (label, n, flipped[0], fgsm and paper_eps(fgsm), *flipped[1:], plus_minus(pgd and pgd.rmse), psnr, changed)


def black_box(sample: Sample) -> list[str]:
    """Flips by attacks that see no gradient: a table for each attack and who moves."""
    by: dict[tuple[str, str], list[AttackLine]] = {}
    for line in shown(sample, "black box"):
        by.setdefault((line.attack, line.moves), []).append(line)
    text = []
    for (_, moves), lines in by.items():
        heads = {line.setting: line.setting for line in lines}
        text += flip_table(lines, heads, sample.label, f"{MOVE_NAMES[moves].capitalize()}:")
    return text


def transfer(sample: Sample) -> list[str]:
    """Flips of other metrics by images made on one, and of that one itself."""
    text = []
    for series in transfers(sample.own, sample.data):
        source = series.lines[0].source or ""
        name = sample.label.get(source, source)
        made = [line for line in shown(sample, "for others") if (line.metric, line.moves) == (source, series.moves)]
        lines = [*(line for line in made if line.setting in series.settings), *series.lines]
        heads = dict(zip(series.settings, transfer_heads(series), strict=True))
        text += flip_table(lines, heads, {**sample.label, source: f"{name}, on itself"}, f"Made on {name}:")
    return text


def lipsim(sample: Sample) -> list[str]:
    """Attacked and certified scores, and how far embeddings move."""
    return [*attacked(sample), *certified(sample), *shifts(sample)]


def attacked(sample: Sample) -> list[str]:
    """Scores under APGD, each beside the natural one of the triplets that were attacked."""
    found = sorted(shown(sample, "lipsim"), key=lambda line: line.eps or 0.0)
    heads = {line.setting: f"ε {at(line.eps)}" for line in found}
    if len(set(heads.values())) < len(heads):
        heads = {setting: setting for setting in heads}
    by: dict[tuple[str, int, float], dict[str, float]] = {}
    for line in found:
        by.setdefault((line.metric, *sample.before[key(line)]), {})[line.setting] = line.score
    order = [line.metric for line in sample.summary.metrics]
    rows = [
        (sample.label[metric], n, score, *(scores.get(setting) for setting in heads))
        for (metric, n, score), scores in sorted(by.items(), key=lambda item: order.index(item[0][0]))
    ]
    words = f"2AFC score, natural and attacked ({'; '.join(heads)}):"
    return table([METRIC, TRIPLETS, *shares(["natural", *heads.values()], PERCENT)], rows, words)


def certified(sample: Sample) -> list[str]:
    """Certified scores beside the smallest that any attack left."""
    wanted = {line.metric for line in sample.own.attacks if line.goal == "flip"} | sample.new
    count = {line.metric: line.triplets for line in sample.summary.metrics}
    rows = []
    for line in (one for one in sample.summary.certified if one.metric in wanted):
        worst = [one for one in sample.summary.worst if one.metric == line.metric]
        left = smallest(one for one in worst if line.form == "all" or one.moves == "reference")
        cells = [beside(*pair) for pair in zip(line.scores, left, strict=True)]
        proved = line.proved if line.form == "published" else ""
        rows.append((sample.label[line.metric], FORM_NAMES[line.form], count[line.metric], *cells, proved))
    words = "Certified 2AFC score / the smallest that an attack within that ℓ2 left (–: no image is so near).\n"
    words += "In bold what an attack refutes. Proved: of the published form's radii."
    columns = [METRIC, Column("form", NAME), TRIPLETS, *shares(map(at, EPSILONS)), *shares(["proved"], PERCENT)]
    return table(columns, rows, words)


def beside(proved: float, left: float | None) -> str:
    """Two percentages; in bold if more is proved than is left, which only a form without proof can do."""
    text = f"{percent(proved)} / {percent(left)}"
    return text if left is None or proved <= left + 1e-12 else f"**{text}**"


def smallest(lines: Iterable[WorstLine]) -> list[float | None]:
    """At each ε the least score, whoever moves."""
    scores = [line.scores for line in lines]
    each = ([one[place] for one in scores] for place in range(len(EPSILONS)))
    return [min((score for score in found if score is not None), default=None) for found in each]


def at(eps: float | None) -> str:
    """An ℓ2 size, LipSim's in its own words; a dash for none."""
    return "–" if eps is None else "255/255" if eps == 1.0 else size(eps)


def shifts(sample: Sample) -> list[str]:
    """How far attacks on the embedding moved it, and what share of the proved limit that is."""
    own = {(line.metric, line.setting) for line in shown(sample, "shift")}
    rows = []
    for line in (one for one in sample.summary.shifts if (one.metric, one.setting) in own):
        used = (None, None) if line.used is None else (line.used.p50, line.used.most)
        moved = (line.shift.count, line.shift.p50, line.shift.most)
        rows.append((sample.label[line.metric], at(line.eps), *moved, *used, line.broken))
    columns = [METRIC, Column("ε", WORD), TRIPLETS]
    columns += [Column(head, told(ShiftLine, "shift", decimals=3)) for head in ("median", "largest")]
    columns += [*shares(["of limit, median", "largest"], PERCENT), Column("beyond it", COUNT)]
    return table(columns, rows, "‖f(x+δ) − f(x)‖ under attacks on the embedding, and its share of the limit L·‖δ‖:")


def others(sample: Sample) -> list[str]:
    """Every attack that no other table shows."""
    chosen, sources = papers_settings(sample), {line.source for line in sample.own.attacks}
    rows: list[tuple[Any, ...]] = []
    for line in sample.own.attacks:
        kind = shown_as(line)
        elsewhere = kind == "white box" and chosen[line.attack, line.goal] == line.setting
        elsewhere |= kind == "for others" and line.metric in sources
        if not elsewhere and kind in ("", "white box", "for others"):
            flips = (line.agree.samples, share_of_row(line.agree.flipped, line.agree.samples))
            name = f"{line.setting}; moved: {line.moves}"
            rows.append((name, sample.label[line.metric], *flips, *sample.before[key(line)], line.score))
    columns = [Column("attack", NAME), METRIC, NUMBER, *shares(["flipped"]), TRIPLETS]
    return table([*columns, *shares(["natural", "attacked"], PERCENT)], sorted(rows, key=itemgetter(0)))


def asked(sample: Sample) -> list[str]:
    """What the papers found, asked of one set."""
    rows = [(one.title, f"{len(sample.triplets):,}", one.verdict, one.numbers) for one in findings(sample.summary)]
    return table([Column(head, NAME) for head in ("finding", "triplets", "verdict", "numbers")], rows)


# -- the page -----------------------------------------------------------------------------------------------------

SECTIONS: tuple[tuple[str, Callable[[Sample], list[str]]], ...] = (
    ("Natural scores", natural),
    ("White-box attacks: shares flipped", white_box),
    ("Black-box attacks: shares flipped", black_box),
    ("Transferred attacks: shares flipped", transfer),
    ("LipSim's scores", lipsim),
    ("Other attacks", others),
    ("Findings", asked),
)


def measured(merged: Merged, title: str = "") -> str:
    """The Markdown between the marks."""
    found = samples(merged)
    text = [f"**{title}**", ""] if title else []
    text += [*introduction(merged, found), ""]
    for heading, write in SECTIONS:
        parts = [(sample, lines) for sample in found if (lines := write(sample))]
        text += [f"### {heading}", ""] if parts else []
        for sample, lines in parts:
            text += [f"*On {len(sample.triplets):,} triplets.*", "", *lines] if len(found) > 1 else lines
    return "\n".join([*text, soundness(merged)])


def introduction(merged: Merged, found: Sequence[Sample]) -> Iterator[str]:
    """What was measured on what."""
    data = merged.facts[0]["data"][0]
    photos = f" from {data['source']['photos']:,} photographs" if "photos" in data["source"] else ""
    sides = sorted({line.side for sample in found for line in sample.summary.metrics})
    hours = math.fsum(facts.get("seconds", 0.0) for facts in merged.facts) / 3600
    layout = data["source"].get("layout") or data["name"].partition(":")[0]
    *more, last = [f"{len(sample.triplets):,}" for sample in found]
    counts = f"{', '.join(more)} and {last}" if more else last
    yield f"{counts} {layout} triplets{photos}, {'/'.join(map(str, sides))} px, seed {merged.facts[0]['seed']};"
    yield f"{len(merged.facts)} runs, {hours:.1f} hours of computing. A dash: not run, or nothing to count."
    yield "n: samples where metric and most people agree, where not said otherwise."
    if len(found) > 1:
        inner = all(one.triplets <= found[0].triplets for one in found)
        yield f"{'Smaller sets are parts of the largest. ' * inner}Only scores of one set are comparable."
    if merged.repeated:
        counts = f"{merged.repeated:,}, of which {merged.otherwise:,} ended otherwise"
        yield f"Attacks that several runs hold count once: {counts}."


def soundness(merged: Merged) -> str:
    """Certificates against every image of every run."""
    images = Rows.of(merged.rows()).attacked
    inside, alarms = int(images.within.sum()), int(images.alarms.sum())
    return f"**{inside:,} certificates attacked, {alarms:,} alarms; {len(images):,} adversarial images judged.**"


def replaced(page: str, text: str, where: str) -> str:
    """The page with the text between its marks.

    Raises:
        UsageError: it has not one pair of marks.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise UsageError(f"{where} needs one line {BEGIN} and after it one line {END}")
    return f"{page.split(BEGIN)[0]}{BEGIN}\n{text.strip()}\n{END}{page.split(END)[1]}"


def main(words: Sequence[str] | None = None) -> None:
    """Read, put together, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, nargs="+")
    parser.add_argument("--page", type=Path, default=Path(__file__).resolve().parent.parent / "papers.md")
    parser.add_argument("--title", default="", help="a line above the tables")
    chosen = parser.parse_args(words)
    try:
        text = measured(read(chosen.records), chosen.title)
        page = replaced(chosen.page.read_text(encoding="utf-8"), text, str(chosen.page))
    except (RetrError, OSError) as error:
        sys.exit(f"papers_measured: {error}")
    write_atomically(chosen.page, page.encode())
    print(f"{chosen.page}: {len(text.splitlines())} lines from {len(chosen.records)} records")


if __name__ == "__main__":
    main()
