"""``retr metrics``: which perceptual metrics there are."""

from __future__ import annotations

import typer

from .options import FormatOption
from .output import say_all

app = typer.Typer(no_args_is_help=True, help="Perceptual metrics: which there are, and what they need.")


@app.command("list", epilog="Example: retr metrics list --format json")
def metrics_list(form: FormatOption = "table") -> None:
    """List the perceptual metrics: whether each runs now, and what it needs."""
    from ..metrics.registry import list_metrics
    from ..reports.metrics_table import print_metrics

    say_all(list_metrics(), form, print_metrics)
