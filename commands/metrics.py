"""``retr metrics``: which perceptual metrics there are."""

from __future__ import annotations

import typer

from .options import FormatOption

app = typer.Typer(no_args_is_help=True, help="Perceptual metrics: which there are, and what they need.")


@app.command("list", epilog="Example: retr metrics list --format json")
def metrics_list(form: FormatOption = "table") -> None:
    """List the perceptual metrics: whether each runs now, and what it needs."""
    from ..metrics.registry import list_metrics
    from ..reports.emit import check_format, emit
    from ..reports.metrics_table import print_metrics

    chosen, rows = check_format(form), list_metrics()
    print_metrics(rows) if chosen == "table" else emit(rows, chosen)
