"""``retr bench-2afc``: metrics on triplets, attacked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import REJECTED, DeviceOption, FormatOption, KeepOption, RunResumeOption, words_of
from .output import command_line, note, note_stored, say, say_all, stoppable
from .outputs import check_file

app = typer.Typer()


@app.command(
    "bench-2afc",
    short_help="Let metrics judge triplets, and attack them.",
    epilog="Example: retr bench-2afc --data synthetic:./photos --metric l2 --metric retr:retr_s --limit 100",
)
def bench_2afc(
    data: Annotated[
        list[str], typer.Option("--data", help="bapps:, nights:, pieapp:, clic2021: or synthetic:FOLDER; repeatable.")
    ],
    metric: Annotated[list[str], typer.Option("--metric", help="As in: retr metrics list; repeatable.")],
    preset: Annotated[str, typer.Option(help="clean (no attack), quick, paper or lipsim; see the guide.")] = "quick",
    attacks: Annotated[
        str | None, typer.Option(help="Attack settings, comma-separated, or all [default: the preset's].")
    ] = None,
    moves: Annotated[
        str | None,
        typer.Option(help="reference, preferred, other, all, comma-separated [default: as in each attack's paper]."),
    ] = None,
    transfer_from: Annotated[
        str | None, typer.Option(help="Metric that transferred attacks are made on; none [default: the preset's].")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the data sets [default: the one that papers use].")] = "",
    kinds: Annotated[str | None, typer.Option(help="Kinds of distortion, of bapps and synthetic.")] = None,
    unanimous: Annotated[bool, typer.Option("--unanimous", help="Only triplets on which all people agree.")] = False,
    side: Annotated[
        int | None, typer.Option(help="Resize images to so many pixels [default: as they lie; synthetic: 64].")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many triplets of each data set, drawn by seed.")] = None,
    l2: Annotated[str | None, typer.Option(help="l2 radii of attacks, e.g. 36/255,1 [default: the preset's].")] = None,
    linf: Annotated[str | None, typer.Option(help="linf radii of attacks, e.g. 0.01,4/255; pixels go to 1.")] = None,
    eps: Annotated[str | None, typer.Option(help="l2 radii of certified scores [default: 36,72,108/255].")] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps, where the papers name none.")] = None,
    restarts: Annotated[int | None, typer.Option(help="Random starts, where the papers name none.")] = None,
    loss_queries: Annotated[int | None, typer.Option(help="Evaluations for attacks that see no gradient.")] = None,
    medium: Annotated[str, typer.Option(help="Saved image that is counted: float or png (8 bits).")] = "float",
    keep: KeepOption = "alarms",
    seed: Annotated[int, typer.Option(help="Seed of samples, synthetic triplets and random starts.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Triplets attacked at a time.")] = 16,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for records and images.")] = Path("retr-2afc"),
    page: Annotated[
        Path | None, typer.Option("--page", "--html", help="The HTML report [default: 2afc.html beside the records].")
    ] = None,
    resume: RunResumeOption = False,
    device: DeviceOption = "auto",
    form: FormatOption = "table",
) -> None:
    """Let metrics judge triplets, attack them as the papers did, and hold certificates; exits with 1 on any alarm."""
    from ..evaluation.two_afc.data import Choice
    from ..evaluation.two_afc.plan import parse_radii, plan_of
    from ..evaluation.two_afc.run import run_two_afc
    from ..evaluation.two_afc.summary import summarise_triplets
    from ..reports.pages import write
    from ..reports.progress import ProgressBar
    from ..reports.two_afc_page import two_afc_page
    from ..reports.two_afc_table import print_two_afc, two_afc_json, two_afc_rows

    given = {
        "data": tuple(data),
        "metrics": tuple(metric),
        "choice": Choice(split, words_of(kinds), unanimous, side, limit, seed),
        "attacks": words_of(attacks),
        "moves": words_of(moves),
        "transfer_from": transfer_from,
        "certified": parse_radii("--eps", eps),
        "medium": medium,
        "keep": keep,
        "out": out,
        "resume": resume,
        "batch_size": batch_size,
        "device": device,
        "command": command_line(),
    }
    levels = {
        "l2": parse_radii("--l2", l2),
        "linf": parse_radii("--linf", linf),
        "steps": steps,
        "restarts": restarts,
        "queries": loss_queries,
    }
    plan = plan_of(preset, given, levels)
    check_file(page, made=out)
    with stoppable(f"what was done is in {out}: go on with --resume"), ProgressBar("attacking", "attacks") as progress:
        result = run_two_afc(plan, progress=progress)
    note_stored(result.path, stored=result.stored)
    summary, report = summarise_triplets(result.records), page or result.folder / "2afc.html"
    write(report, two_afc_page(summary, result.records))
    note(f"page: {report}")
    if form == "json":
        say(two_afc_json(result, summary), form, print)
    else:
        say_all(two_afc_rows(summary), form, lambda _: print_two_afc(result, summary))
    if result.alarms:
        note(f"{result.alarms} soundness alarms; see {result.path}")
        raise typer.Exit(1)
    if result.rejected or result.absent:
        raise typer.Exit(REJECTED)
