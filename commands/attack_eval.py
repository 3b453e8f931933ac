"""``retr attack-eval``: attack an index, and hold every certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import UsageError
from ..core.names import shown
from .inputs import corpus_paths
from .options import (
    REJECTED,
    AgainstOption,
    DeviceOption,
    FormatOption,
    IndexOption,
    KeepOption,
    OnTopOption,
    RunResumeOption,
    index_path,
    numbers_of,
    words_of,
)
from .output import command_line, note, note_stored, say, say_all, stoppable
from .outputs import check_file

app = typer.Typer()

SHOWN = 12
"""Images in the gallery of an audit's page."""


@app.command(
    "attack-eval",
    short_help="Attack an index, and hold every certificate.",
    epilog="Example: retr attack-eval -i my-index queries/ --truth pairs.csv --budgets 0.5,1,2,3",
)
def attack_eval(
    queries: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERIES", help="Query images: a folder, a list file or - [default: edits of the index's items]."
        ),
    ] = None,
    index: IndexOption = None,
    truth: Annotated[
        Path | None, typer.Option(help="CSV with columns query,truth [default: by file name without ending].")
    ] = None,
    self_edits: Annotated[
        bool, typer.Option("--self-edits", help="Make queries from the index's own images (implied without QUERIES).")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(help="How many of the index's images to draw; 0 for all [default: 30].")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Take on no query that would end after it; 0: no limit [default: 120 for a plain attack-eval]."
        ),
    ] = None,
    negatives: Annotated[
        str | None, typer.Option(help="Images that are copies of nothing in the index: a folder or a list file.")
    ] = None,
    systems: Annotated[
        str | None,
        typer.Option(help="Systems side by side, comma-separated: indexes, phash, dhash, pdq, models; see the guide."),
    ] = None,
    transfer_from: Annotated[
        str | None, typer.Option(help="Also make every attack on this system, and judge it by the others.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Every attack on a few queries: minutes.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Every attack and goal, hard, on 200 images: hours.")] = False,
    edits: Annotated[
        str | None, typer.Option(help="Benign edits, comma-separated; all for every one; see the guide.")
    ] = None,
    attacks: Annotated[
        str | None, typer.Option(help="Attacks, comma-separated; all for every one [default: apgd-l2,apgd-linf].")
    ] = None,
    goals: Annotated[
        str | None,
        typer.Option(
            help="evasion, rank10, verdict, collision, embedding, comma-separated, or all [default: evasion]."
        ),
    ] = None,
    budgets: Annotated[str | None, typer.Option(help="Budgets, comma-separated [default: 0.5,1,2,3].")] = None,
    unit: Annotated[str, typer.Option(help="Unit of the budgets: rmse, l2 or psnr.")] = "rmse",
    at_radius: Annotated[
        str | None, typer.Option(help="Attack at these multiples of each query's own certified radius instead.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps per start [default: 20].")] = None,
    restarts: Annotated[int | None, typer.Option(help="Random starts [default: 1].")] = None,
    loss_queries: Annotated[
        int | None,
        typer.Option(help="Evaluations of the loss per start, for attacks that see no gradient [default: 200]."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of samples, edits and starts.")] = 0,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for records and images [default: retr-audit/RUN].")
    ] = None,
    resume: RunResumeOption = False,
    keep: KeepOption = "alarms",
    proofs: Annotated[
        int,
        typer.Option(help="Keep the proofs of so many of the queries, unedited, beside the records.", min=0),
    ] = 0,
    against: AgainstOption = None,
    on_top: OnTopOption = 1.0,
    page: Annotated[
        Path | None, typer.Option("--page", "--html", help="The HTML report [default: audit.html beside the records].")
    ] = None,
    device: DeviceOption = "auto",
    form: FormatOption = "table",
) -> None:
    """Attack queries, and hold every certificate against what was found; exits with 1 on any soundness alarm."""
    from ..core.units import check_unit
    from ..evaluation.edits.audit import FOLDER, RangePlan
    from ..evaluation.robustness.attack_eval import OUT_OF_TIME, run_attack_eval
    from ..evaluation.robustness.audit_run import HOME, open_folder
    from ..evaluation.robustness.presets import choose_preset, plan_of
    from ..evaluation.robustness.ranges import audit_ranges
    from ..evaluation.robustness.records import FORMAT
    from ..evaluation.robustness.thumbnails import thumbnails
    from ..evaluation.systems.lineup import check_words, first_index, open_lineup
    from ..reports.attack_table import audit_json, audit_rows, print_audit
    from ..reports.audit_page import audit_page
    from ..reports.pages import write
    from ..reports.progress import ProgressBar
    from ..retrieval.engine import Engine

    if queries is not None and self_edits:
        raise UsageError("--self-edits makes its own queries; leave QUERIES out")
    names = words_of(systems)
    home = first_index(names, index_path(index))
    check_file(page, index=home, made=out or HOME)
    given = {
        "queries": tuple(corpus_paths(queries, home)) if queries is not None else (),
        "truth": truth,
        "negatives": tuple(corpus_paths(negatives, home)) if negatives is not None else (),
        "sample": sample,
        "seconds": seconds,
        "edits": words_of(edits),
        "attacks": words_of(attacks),
        "goals": words_of(goals),
        "budgets": numbers_of("--budgets", budgets) if budgets is not None else None,
        "unit": check_unit(unit),
        "at_radius": numbers_of("--at-radius", at_radius) if at_radius else (),
        "steps": steps,
        "restarts": restarts,
        "loss_queries": loss_queries,
        "seed": seed,
        "out": out,
        "resume": resume,
        "keep": keep,
        "gallery": 0 if keep == "none" else SHOWN,
        "command": command_line(),
    }
    ranges = RangePlan(tuple(against), on_top, seed=seed) if against else None
    engine = Engine.open(home, device=device, unsilenced=True)
    plan = plan_of(choose_preset(quick=quick, full=full), given, items=engine.gallery.items)
    check_words([*names, *([transfer_from] if transfer_from else [])], plan)
    place = open_folder(plan)
    with stoppable(f"what was done is in {place.folder}: go on with --resume"):
        lineup = open_lineup(
            names,
            engine,
            transfer_from=transfer_from,
            folder=place.folder,
            device=device,
            watch=lambda title: ProgressBar(title, "images"),
        )
        for name, count in lineup.holes().items():
            note(f"{name} does not hold {count} of the {engine.gallery.items} items")
        with ProgressBar("attacking", "attacks") as progress:
            result = run_attack_eval(engine, plan, lineup=lineup, place=place, progress=progress)
        proved = None
        if ranges is not None:
            with ProgressBar("edits with proof", "queries") as progress:
                proved = audit_ranges(engine, plan, ranges, beside=result.folder, progress=progress)
    note_stored(result.records, stored=result.stored)
    report = page or result.folder / "audit.html"
    records, pictures = FORMAT.read(result.records).table, thumbnails(lineup, engine)
    write(report, audit_page(result.summary, records, root=result.folder, thumbnail=pictures, proved=proved))
    if proofs:
        from ..retrieval.proofs import write_proofs

        asked = list(dict.fromkeys(records["query"].to_pylist()))[:proofs]
        kept = write_proofs(engine, asked, result.folder / "proofs")
        note(f"{kept} proofs of {len(asked)} queries in {result.folder / 'proofs'}; check them with: retr verify-proof")
    if form in ("csv", "parquet"):
        say_all(audit_rows(audit_json(result, proved)), form, print)
    else:
        say(audit_json(result, proved), form, lambda _: print_audit(result, edits=proved))
    if form == "table":
        print(f"page: {shown(str(report))}")
    else:
        note(f"page: {report}")
    if result.summary.alarms:
        note(f"{result.summary.alarms} soundness alarms; see {result.records}")
        raise typer.Exit(1)
    if proved is not None and proved.alarms:
        note(f"{proved.alarms} proofs of edits were overturned; see {result.folder / FOLDER}")
        raise typer.Exit(1)
    if set(result.skipped) - {OUT_OF_TIME}:
        raise typer.Exit(REJECTED)
