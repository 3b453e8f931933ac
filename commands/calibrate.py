"""``retr calibrate``: set the threshold on images known to be absent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import REJECTED, FormatOption, ThresholdsOption, corpus_paths, numbers_of

app = typer.Typer()


@app.command(epilog="Example: retr calibrate my-index ./known-absent --fpr 1e-3")
def calibrate(
    index: Annotated[Path, typer.Argument(help="The index folder.")],
    negatives: Annotated[str, typer.Argument(help="Images with no copy in the index: a folder, a list file, or -.")],
    fpr: Annotated[float, typer.Option(help="False-match rate per query to aim at, in any channel.")] = 1e-3,
    shares: Annotated[
        str | None, typer.Option(help="Each channel's part of the false matches, e.g. 1,3 [default: equal parts].")
    ] = None,
    thresholds: ThresholdsOption = "local",
    form: FormatOption = "table",
) -> None:
    """Set the copy threshold from images known to be absent, with a bound that holds for finitely many."""
    from dataclasses import asdict

    from ..reports.emit import check_format, emit
    from ..reports.index_table import print_calibration
    from ..reports.progress import ProgressBar
    from ..retrieval.calibrate import calibrate as run
    from ..retrieval.calibrate import check_thresholds

    chosen, local = check_format(form), check_thresholds(thresholds)
    paths = corpus_paths(negatives, index)
    with ProgressBar("calibrating", "images") as bar:
        bar.start(len(paths))
        parts = numbers_of("--shares", shares) if shares is not None else None
        result = run(index, paths, fpr=fpr, shares=parts, local=local, advance=bar.advance)
    found = [{"channel": name, **asdict(threshold)} for name, threshold in result.thresholds]
    record = {"schema": "retr.calibration/1", **asdict(result), "thresholds": found}
    print_calibration(record) if chosen == "table" else emit([record], chosen, one=True)
    if result.refused:
        raise typer.Exit(REJECTED)
