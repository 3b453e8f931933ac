"""``retr calibrate``: set the threshold on images known to be absent."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import UsageError
from .inputs import corpus_paths
from .options import REJECTED, FormatOption, IndexOption, ThresholdsOption, index_path, numbers_of
from .output import note, say, stoppable
from .outputs import check_file
from .places import refuse_index_alone

app = typer.Typer()


@app.command(
    short_help="Set the threshold on images known to be absent.",
    epilog="Example: retr calibrate my-index ./known-absent --fpr 1e-3",
)
def calibrate(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="[INDEX] NEGATIVES",
            help="The index folder, unless -i names it; images with no copy in it: a folder, a list file, or -.",
        ),
    ],
    index: IndexOption = None,
    fpr: Annotated[float, typer.Option(help="False-match rate per query to aim at, in any channel.")] = 1e-3,
    shares: Annotated[
        str | None, typer.Option(help="Each channel's part of the false matches, e.g. 1,3 [default: equal parts].")
    ] = None,
    thresholds: ThresholdsOption = "local",
    known_copies: Annotated[
        Path | None,
        typer.Option(help="CSV of pairs (image, copy_of, relation) that a person has looked at, as --review writes."),
    ] = None,
    review: Annotated[
        Path | None, typer.Option(help="Write a page of the negatives that are near stored images, and a CSV, here.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Also write a page of what was found.")] = None,
    form: FormatOption = "table",
) -> None:
    """Set the copy threshold from images known to be absent, with a bound that holds for finitely many.

    An index has thresholds without it; this fits them to your own images. Negatives that are all but certainly copies
    of stored images are left out and listed. What was embedded is kept in the index for the next time.
    """
    from dataclasses import asdict

    from ..reports.index_table import print_calibration
    from ..reports.progress import ProgressBar
    from ..retrieval.calibrate import calibrate as run
    from ..retrieval.calibrate import check_thresholds
    from ..retrieval.known_pairs import read_known_pairs

    home, negatives = _places(places, index)
    if review is not None and review.exists() and not review.is_dir():
        raise UsageError(f"{review} is a file; --review writes a page and a list into a folder")
    check_file(html, index=home)
    known = None if known_copies is None else read_known_pairs(known_copies)
    local, parts = check_thresholds(thresholds), numbers_of("--shares", shares) if shares is not None else None
    paths = corpus_paths(negatives, home)
    with stoppable("the index is as it was"), ProgressBar("calibrating", "images") as bar:
        result = run(home, paths, fpr=fpr, shares=parts, local=local, known=known, progress=bar)
    found = [{"channel": name, **asdict(threshold)} for name, threshold in result.thresholds]
    say({"schema": "retr.calibration/1", **asdict(result), "thresholds": found}, form, print_calibration)
    if html is not None:
        from ..reports.calibration_page import write_calibration_page

        write_calibration_page(html, result, str(home))
        note(f"page: {html}")
    if review is not None:
        from ..reports.review_page import write_review

        note(f"answer in {write_review(review, result)}, then: retr calibrate … --known-copies {review / 'pairs.csv'}")
    if result.refused:
        raise typer.Exit(REJECTED)


def _places(given: list[str], index: Path | None) -> tuple[Path, str]:
    """The index and the negatives; the index may stand first, or be named by -i as everywhere else."""
    if len(given) > 2 or (len(given) == 2 and index is not None):
        raise UsageError(f"calibrate takes an index and one source of negatives, got {' '.join(given)}")
    what = f"images that have no copy in it, as in: retr calibrate {shlex.quote(given[0])} ./known-absent"
    refuse_index_alone(given, index, what)
    return (Path(given[0]), given[1]) if len(given) == 2 else (index_path(index), given[0])
