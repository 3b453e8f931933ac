"""The terminal view of one answer."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..core.units import Radius
from ..retrieval.answer import Answer, Match


def print_answer(answer: Answer, query: str, console: Console | None = None) -> None:
    """Ranked matches with their radii, the verdict, and the certificate or the reason why there is none.

    Args:
        answer: from the engine.
        query: the path that the query came from.
        console: where to print; standard output by default.
    """
    out = console or Console()
    title = f"{query}  {answer.width}×{answer.height}  model {answer.model}  snapshot {answer.snapshot}"
    out.print(escape(title), style="bold", highlight=False, soft_wrap=True)
    if answer.matches:
        out.print(_matches(answer))
    for line in lines(answer):
        out.print(escape(line), highlight=False, soft_wrap=True)


def lines(answer: Answer) -> Iterable[str]:
    """What is said under the table, line by line."""
    yield _verdict(answer)
    if answer.verdict_because is not None and answer.verdict_because != answer.withheld:
        yield f"because: {answer.verdict_because}"
    certificate = _certificate(answer)
    if certificate is not None:
        yield certificate
    if answer.withheld is not None:
        yield f"certificate withheld: {answer.withheld}"
    for threshold in answer.thresholds:
        yield _threshold(threshold)


def radius_text(radius: Radius | None) -> str:
    """A radius in its three units, RMSE first: it does not depend on the resolution."""
    if radius is None:
        return "–"
    psnr = "no change" if radius.psnr is None else f"{radius.psnr:.1f} dB"
    return f"{radius.rmse:.2f} RMSE\n{radius.l2:.4g} ℓ2\n{psnr}"


def _matches(answer: Answer) -> Table:
    columns = {
        "stays first": any(match.top1 is not None for match in answer.matches),
        f"in top {answer.k}": any(match.topk is not None for match in answer.matches),
        "copy of it": any(match.copy is not None for match in answer.matches),
    }
    shown = [name for name, used in columns.items() if used]
    table = Table(show_lines=bool(shown))
    table.add_column("#", justify="right")
    table.add_column("image", overflow="fold", min_width=17)
    table.add_column("score", justify="right")
    for name in shown:
        table.add_column(name, justify="right")
    for match in answer.matches:
        radii = dict(zip(columns, (match.top1, match.topk, match.copy), strict=True))
        cells = [str(match.rank), escape(_name(match)), f"{match.score:.4f}"]
        table.add_row(*cells, *(radius_text(radii[name]) for name in shown))
    return table


def _name(match: Match) -> str:
    view = "" if match.view == "original" else f" ({match.view})"
    more = len(match.duplicates)
    same = f"\n= {more} more file{'s' if more > 1 else ''} with these pixels" if more else ""
    return f"{_short(match.path)}{view}\n{match.id}{same}"


def _short(path: str) -> str:
    """The path from here, or its last two parts: whole paths are in the other formats."""
    here = os.getcwd().rstrip("/") + "/"
    if path.startswith(here):
        return path.removeprefix(here)
    return "…/" + "/".join(path.rsplit("/", 2)[-2:]) if path.count("/") > 2 else path


def _verdict(answer: Answer) -> str:
    budget = "" if answer.eps is None else f" for every change up to {_inline(answer.eps)}"
    reach = ""
    if answer.copy is not None:
        reach = f"; copy of something within {_inline(answer.copy)}"
    elif answer.not_a_copy is not None:
        reach = f"; copy of nothing within {_inline(answer.not_a_copy)}"
    return f"verdict: {answer.verdict}{budget}{reach}{_of_which(answer)}"


def _of_which(answer: Answer) -> str:
    """Which matches accept, where that is not the first: a local threshold may refuse the nearest item."""
    ranks = [str(match.rank) for match in answer.matches if match.accepted]
    if answer.point_verdict != "copy" or not answer.matches or answer.matches[0].accepted is not False:
        return ""
    return f"; not of the first match, but of {', '.join(ranks) if ranks else 'one that is not listed here'}"


def _inline(radius: Radius) -> str:
    psnr = "" if radius.psnr is None else f", PSNR ≥ {radius.psnr:.1f} dB"
    return f"RMSE {radius.rmse:.2f}/255 (ℓ2 {radius.l2:.4g}{psnr})"


def _certificate(answer: Answer) -> str | None:
    proof = answer.certificate
    if proof is None:
        return None
    kind = "exact" if proof.exact else "partial"
    limit = "" if proof.limited_by is None else f", limited by {proof.limited_by}"
    return (
        f"certificate: {kind}, {proof.rows_scanned} of {proof.rows_total} rows; Lipschitz ≤ {proof.network.value:.6g} "
        f"(network) × {proof.resize.value:.6g} (resize); slack {proof.slack:.2g} px{limit}"
    )


def _threshold(threshold: Mapping[str, Any]) -> str:
    name, value = threshold["channel"], threshold["value"]
    if value is None:
        return f"threshold of {name}: none"
    number = f"{value:.4f}"
    if threshold.get("offset") is not None:
        number = f"local, {threshold['offset']:+.4f} and half of each row's gap"
    text = f"threshold of {name}: {number} ({threshold['source']})"
    if threshold.get("provisional"):
        return text + ", provisional: set from the gallery's own nearest neighbours; see retr calibrate"
    if threshold.get("stale"):
        return text + ", before the gallery last changed: its false-match bound no longer holds; see retr calibrate"
    if threshold.get("upper95") is not None:
        return text + f", false-match rate at most {threshold['upper95']:.2g} (95 %)"
    return text
