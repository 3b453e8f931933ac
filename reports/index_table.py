"""Terminal tables about an index: what a run did, what an index holds, how a calibration ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from rich.console import Console

from ..core.names import shown
from ..core.rounded import budget_text, nearest_text, percent_text, upper_text
from ..images.decode import NOTES
from .kinds import NAME, counted, measured
from .table import Column, Table
from .terminal import facts, say, show

_FACTS = ("created", "items", "files", "rows", "tombstones", "rejects", "views", "bytes_per_item", "verified")


def print_run(report: Mapping[str, Any]) -> None:
    """What one ``retr index`` did."""
    Console().print(facts(f"{report['index']}  snapshot {report['snapshot']}", _run(report)))


def _run(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    counts = f"{report['indexed']} indexed + {report['skipped']} unchanged + {report['rejected']} rejected"
    yield "seen", f"{counted(report['seen'], 'file')} = {counts}"
    if report["recovered"]:
        yield "recovered", f"{report['recovered']} of them from before the interruption"
    if report["replaced"] or report["pruned"] or report["dropped"]:
        yield "forgotten", ", ".join(_forgotten(report))
    if report["labelled"]:
        yield "labelled", counted(report["labelled"], "file")
    yield "gallery", f"{counted(report['items'], 'item')} in {counted(report['rows'], 'row')}"
    if report["presumed"]:
        yield "presumed copies", f"{presumed_words(report['presumed'], report['presumed_groups'])}{_ONE_PICTURE}"
    if report["crowded"]:
        yield "crowded", f"{counted(report['crowded'], 'item')} by another that is nearly the same"
    fresh = report["indexed"] - report["recovered"]
    rate = f", {fresh / report['wall_s']:.0f} images/s" if fresh and report["wall_s"] > 0 else ""
    yield "time", f"{nearest_text(report['wall_s'], decimals=1)} s{rate}  ({_shares(report['seconds'])})"
    for reason, count in sorted(report["reasons"].items(), key=lambda pair: -pair[1]):
        yield "rejected", f"{count} × {reason}"
    for note, count in Counter(note for _, note in report["notes"]).items():
        first = next(path for path, one in report["notes"] if one == note)
        yield "noted", f"{count} × {note}, such as {shown(first)}: {NOTES[note]}"


_ONE_PICTURE = ": the items of a group count as one picture for the thresholds"


def presumed_words(items: int, groups: int) -> str:
    """How many items seem to be copies."""
    return f"{counted(items, 'item')} in {counted(groups, 'group')}"


def crowded_words(items: int) -> str:
    """How many items a near one limits, and why that is to be known."""
    accept = "accepts" if items == 1 else "accept"
    return f"{counted(items, 'item')} {accept} only very near queries, because another item is nearly the same"


def _forgotten(report: Mapping[str, Any]) -> Iterator[str]:
    if report["replaced"]:
        yield f"older contents of {counted(report['replaced'], 'file')}"
    if report["pruned"]:
        yield f"{counted(report['pruned'], 'item')} whose file is gone"
    if report["dropped"]:
        yield f"{counted(report['dropped'], 'item')} whose file holds no image any more"


def _shares(seconds: Mapping[str, float]) -> str:
    total = sum(seconds.values()) or 1.0
    return ", ".join(f"{name} {100 * spent / total:.0f} %" for name, spent in seconds.items())


def print_info(info: Mapping[str, Any]) -> None:
    """What an index holds."""
    Console().print(facts(f"{info['index']}  snapshot {info['snapshot']}", _info(info)))


def _info(info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in _FACTS:
        if info.get(key) is not None:
            yield key.replace("_", " "), str(info[key])
    for rule in info["rules"]:
        kind = "negative bank" if rule["reach"] is None else f"reach × {nearest_text(rule['reach'], decimals=3)}"
        yield kind, f"{rule['where']}  ({counted(rule['files'], 'file')})"
    if info["presumed_copies"]:
        items = presumed_words(info["presumed_copies"], info["presumed_groups"])
        yield "presumed copies", f"{items} (--presumed lists them)"
    if info["crowded"]:
        yield "crowded", f"{counted(info['crowded'], 'item')} by another that is nearly the same (--crowded lists them)"
    yield "decode policy", info["policy_digest"][:16]
    for channel in info["channels"]:
        proof = (
            f"certified, L ≤ {upper_text(channel['lipschitz'], digits=9)}" if channel["certified"] else "uncertified"
        )
        text = f"{channel['name']}: {channel['dim']}-d {channel['score']}, {channel['rows']} rows, {proof}"
        yield "channel", f"{text}\nthreshold {_threshold(channel['threshold'])}"


def _threshold(threshold: Mapping[str, Any] | None) -> str:
    if threshold is None:
        return "none (the gallery is too small; see retr calibrate)"
    if threshold["source"] == "leave-one-out":
        return (
            f"{nearest_text(threshold['value'], decimals=4)}, from the gallery's own nearest neighbours "
            f"({threshold['samples']} items, {percent_text(threshold['fpr'], decimals=2)} %), as an older version "
            "set it; the next run of retr index renews it"
        )
    if threshold["stale"]:
        return f"{limit_words(threshold)}, calibrated before the gallery last changed: calibrate again"
    return f"{limit_words(threshold)}; {_rate(threshold)}"


def _rate(threshold: Mapping[str, Any]) -> str:
    if threshold["upper95"] is None:
        return "false-match rate not measured for these channels and views together: retr calibrate does"
    on = f"{threshold['samples']} {'negatives' if threshold['source'] == 'calibrated' else 'absent pictures'}"
    kind = "calibrated" if threshold["source"] == "calibrated" else "measured"
    return (
        f"{kind} on {on} for a false-match rate of {budget_text(threshold['fpr'])} "
        f"(95 % upper limit {upper_text(threshold['upper95'], digits=2)})"
    )


_NEXT = "its nearest unrelated neighbour"


def limit_words(threshold: Mapping[str, Any]) -> str:
    """What a threshold asks of a query, in words."""
    words = []
    if threshold.get("share") is not None:
        words.append(f"nearer than {budget_text(threshold['share'])} of the way to {_NEXT}")
    if threshold.get("offset") is not None:
        offset, half = threshold["offset"], f"half of the way to {'it' if words else _NEXT}"
        words.append(f"nearer than {half} {'less' if offset < 0 else 'plus'} {abs(offset):.4f}")
    return ", and ".join(words) or nearest_text(threshold["value"], decimals=4)


def print_rejects(rows: Sequence[Mapping[str, Any]]) -> None:
    """The refused inputs of an index."""
    if not rows:
        say(Console(), "none: no input was refused")
        return
    columns = (Column(key, NAME, itemgetter(key)) for key in ("path", "stage", "error", "detail", "bytes"))
    show(Console(), Table.of(columns, rows), whole=False)


def print_presumed(rows: Sequence[Mapping[str, Any]]) -> None:
    """Images that seem to be copies of one another."""
    if not rows:
        say(Console(), "none: no images seem to be copies of one another")
        return
    columns = (Column(key, NAME, itemgetter(key)) for key in ("path", "copy_of", "id", "copy_of_id"))
    show(Console(), Table.of(columns, rows), whole=False)


def print_crowded(rows: Sequence[Mapping[str, Any]]) -> None:
    """Images that another limits, and how much."""
    if not rows:
        say(Console(), "none: no image is limited by another that is nearly the same")
        return
    columns = [Column(key, NAME, itemgetter(key)) for key in ("path", "near", "channel")]
    columns += [Column(key, measured(decimals=4), itemgetter(key)) for key in ("gap", "reference")]
    show(Console(), Table.of(columns, rows), whole=False)


def print_calibration(result: Mapping[str, Any]) -> None:
    """How a calibration ended."""
    Console().print(facts(f"snapshot {result['snapshot']}", _calibration(result)))


_LEFT_OUT = {
    "present": "the gallery holds these very pixels",
    "known": "listed as a copy",
    "in_reference": "a picture of the reference set",
}


def _few(lines: Sequence[str], *, shown: int = 3) -> Iterator[str]:
    """The first of many lines, and how many more there are."""
    yield from lines[:shown]
    if len(lines) > shown:
        yield f"and {len(lines) - shown} more like these; --format json names all"


def _calibration(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "negatives", f"{result['negatives']} used, {result['refused']} refused"
    for name, why in _LEFT_OUT.items():
        yield from (("left out", line) for line in _few([f"{path}: {why}" for path in result[name]]))
    if result["repeated"]:
        seem = counted(len(result["repeated"]), "negative seems", "negatives seem")
        yield "repeated", f"{seem} to be copies of others; all count: the rate is that of queries that repeat so"
    presumed = [pair for pair in result["pairs"] if pair["relation"] == "presumed"]
    lines = _few([f"{pair['negative']} of {pair['stored']}, left out" for pair in presumed], shown=10)
    yield from (("presumed copy", line) for line in lines)
    if result["at_worst"] is not None:
        worst = upper_text(100.0 * result["at_worst"], digits=2)
        yield "were they none", f"false matches could be as many as {worst} % of queries (95 % limit); see --review"
    counted_pairs = sum(pair["relation"] == "counted" for pair in result["pairs"])
    if counted_pairs:
        tighter = any(channel["offset"] is not None for channel in result["thresholds"])
        why = "they make the thresholds tighter; if they are copies, say so: --review" if tighter else "see --review"
        yield "near", f"{counted(counted_pairs, 'negative')} near a stored image, counted; {why}"
    for channel in result["thresholds"]:
        yield channel["channel"], _threshold(channel)
    rules = result["thresholds"]
    if rules and all(one["share"] is not None and one["offset"] is None and not one["stale"] for one in rules):
        yield "verdicts", "as of an index that was never calibrated: its shares alone keep this rate"
