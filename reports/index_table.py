"""Terminal tables about an index: what a run did, what an index holds, how a calibration ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def print_run(report: Mapping[str, Any]) -> None:
    """What one ``retr index`` did."""
    console = Console()
    table = Table(title=f"{report['index']}  snapshot {report['snapshot']}", show_header=False, title_justify="left")
    counts = f"{report['indexed']} indexed + {report['skipped']} unchanged + {report['rejected']} rejected"
    table.add_row("seen", f"{report['seen']} files = {counts}")
    if report["recovered"]:
        table.add_row("recovered", f"{report['recovered']} of them from before the interruption")
    forgotten = {
        "older contents": report["replaced"],
        "files that are gone": report["pruned"],
        "files that are no images any more": report["dropped"],
    }
    if any(forgotten.values()):
        table.add_row("forgotten", ", ".join(f"{count} {what}" for what, count in forgotten.items() if count))
    table.add_row("gallery", f"{report['items']} items in {report['rows']} rows")
    fresh = report["indexed"] - report["recovered"]
    rate = f", {fresh / report['wall_s']:.0f} images/s" if fresh and report["wall_s"] > 0 else ""
    table.add_row("time", f"{report['wall_s']:.1f} s{rate}  ({_shares(report['seconds'])})")
    for reason, count in sorted(report["reasons"].items(), key=lambda pair: -pair[1]):
        table.add_row("rejected", f"{count} × {reason}")
    console.print(table)


def _shares(seconds: Mapping[str, float]) -> str:
    total = sum(seconds.values()) or 1.0
    return ", ".join(f"{name} {100 * spent / total:.0f} %" for name, spent in seconds.items())


def print_info(info: Mapping[str, Any]) -> None:
    """What an index holds."""
    table = Table(title=f"{info['index']}  snapshot {info['snapshot']}", show_header=False, title_justify="left")
    for key in ("created", "items", "files", "rows", "tombstones", "rejects", "views", "bytes_per_item", "content"):
        if info.get(key) is not None:
            table.add_row(key.replace("_", " "), str(info[key]))
    table.add_row("decode policy", info["policy_digest"][:16])
    for channel in info["channels"]:
        proof = f"certified, L = {channel['lipschitz']:.6g}" if channel["certified"] else "uncertified"
        text = f"{channel['name']}: {channel['dim']}-d {channel['score']}, {channel['rows']} rows, {proof}"
        table.add_row("channel", f"{text}\nthreshold {_threshold(channel['threshold'])}")
    Console().print(table)


def _threshold(threshold: Mapping[str, Any] | None) -> str:
    if threshold is None:
        return "none (the gallery is too small; see retr calibrate)"
    if threshold["source"] == "leave-one-out":
        return (
            f"{threshold['value']:.4f}, provisional: from the gallery's own nearest neighbours "
            f"({threshold['samples']} items, {100 * threshold['fpr']:g} %); see retr calibrate"
        )
    if threshold["stale"]:
        return f"{_kind(threshold)}, calibrated before the gallery last changed: calibrate again"
    return (
        f"{_kind(threshold)}, calibrated on {threshold['samples']} negatives for a false-match rate of "
        f"{threshold['fpr']:g} (95 % upper limit {threshold['upper95']:.2g})"
    )


def _kind(threshold: Mapping[str, Any]) -> str:
    if threshold.get("offset") is None:
        return f"{threshold['value']:.4f}"
    return f"local: {threshold['offset']:+.4f} and half of each row's gap"


def print_rejects(rows: Sequence[Mapping[str, Any]]) -> None:
    """The refused inputs of an index."""
    table = Table("path", "stage", "error", "detail", "bytes")
    for row in rows:
        table.add_row(*(str(row[key]) for key in ("path", "stage", "error", "detail", "bytes")))
    Console().print(table)


def print_calibration(result: Mapping[str, Any]) -> None:
    """How a calibration ended."""
    table = Table(title=f"snapshot {result['snapshot']}", show_header=False, title_justify="left")
    table.add_row("negatives", f"{result['negatives']} used, {result['refused']} refused")
    for path in result["present"]:
        table.add_row("left out", f"{path}: the gallery holds these very pixels")
    for channel in result["thresholds"]:
        table.add_row(channel["channel"], _threshold(channel))
    Console().print(table)
