"""``retr query``: find copies, and prove the answer."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ..core.errors import UsageError
from .options import REJECTED, DeviceOption, FormatOption, IndexOption, index_path

app = typer.Typer()


@app.command(epilog="Example: retr query img.png --certify --eps 2 --unit rmse")
def query(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Image files; - reads paths from standard input.")
    ],
    index: IndexOption = None,
    k: Annotated[int, typer.Option("-k", help="How many matches.", min=1)] = 10,
    certify: Annotated[bool, typer.Option("--certify", help="Prove radii for the answer.")] = False,
    eps: Annotated[
        float | None,
        typer.Option(help="Budget of the proved verdict [default with --certify: 1 rmse]; implies --certify."),
    ] = None,
    unit: Annotated[str, typer.Option(help="Unit of --eps: rmse (8-bit levels), l2 (pixels) or psnr (dB).")] = "rmse",
    threshold: Annotated[float | None, typer.Option(help="Replace the stored threshold.")] = None,
    require_certificate: Annotated[
        bool, typer.Option("--require-certificate", help="Exit with 4 if any certificate is withheld.")
    ] = False,
    device: DeviceOption = "auto",
    form: FormatOption = "table",
) -> None:
    """Find copies of images and, with --certify, prove how far they may change before the answer does."""
    from ..core.units import check_unit
    from ..indexer.corpus import path_to_text
    from ..reports.emit import check_format, emit
    from ..reports.query_table import print_answer
    from ..retrieval.engine import Engine
    from ..retrieval.query import query_files

    chosen, unit_name = check_format(form), check_unit(unit)
    proving = certify or eps is not None or require_certificate
    budget = (eps if eps is not None else 1.0 if unit == "rmse" else None) if proving else None
    if proving and budget is None:
        raise UsageError(f"--unit {unit} needs --eps")
    engine = Engine.open(index_path(index), device=device, threshold=threshold)
    paths = _paths(images)
    outcomes = query_files(engine, paths, k=k, certify=proving, eps=budget, unit=unit_name)
    refused, withheld, records = 0, [], []
    for outcome in outcomes:
        name = path_to_text(outcome.path)
        if outcome.answer is None:
            refused += 1
            print(f"retr: {name}: {outcome.refused}", file=sys.stderr)
            continue
        if outcome.answer.withheld and proving:
            withheld.append(f"{name}: {outcome.answer.withheld}")
        if chosen == "table":
            print_answer(outcome.answer, name)
        elif chosen == "jsonl":
            emit([outcome.answer.as_json(name)], chosen)
        else:
            records.append(outcome.answer.as_json(name))
    if chosen in ("json", "csv", "parquet") and (records or len(paths) != 1):
        emit(records, chosen, one=len(paths) == 1)
    _finish(refused, withheld if require_certificate else [])


def _finish(refused: int, withheld: list[str]) -> None:
    from ..core.errors import CertificateWithheld

    if withheld:
        raise CertificateWithheld("certificate withheld: " + "; ".join(withheld))
    if refused:
        raise typer.Exit(REJECTED)


def _paths(given: list[str]) -> list[str]:
    """What was named, and for - the lines of standard input; file names are bytes, so they are read as bytes."""
    lines = sys.stdin.buffer.read().split(b"\n") if "-" in given else []
    listed = [os.fsdecode(line.rstrip(b"\r")) for line in lines if line.strip()]
    return [path for one in given for path in (listed if one == "-" else [one])]
