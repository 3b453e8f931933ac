"""The figures as a JSON file and as tables to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Parts = Mapping[str, Mapping[str, Any]]


def write(found: Parts, out: Path, *, size: str, drawn: bool) -> None:
    """Write ``bench.json`` and ``bench.md``.

    Args:
        found: what was measured, part by part.
        out: the folder.
        size: of the run.
        drawn: whether pictures were drawn for it.
    """
    out.mkdir(parents=True, exist_ok=True)
    body = {"schema": "retr.bench/1", "size": size, "drawn": drawn, "parts": found}
    (out / "bench.json").write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    (out / "bench.md").write_text("\n".join(_page(found, size=size, drawn=drawn)) + "\n")


def _page(found: Parts, *, size: str, drawn: bool) -> Iterator[str]:
    yield from ("# retr beside others, in one run", "")
    yield "Written by `make bench`. Medians of the rounds; ratios are taken round by round, and their median is shown."
    yield ""
    about = next(iter(found.values()))["machine"]
    busy = max(float(part["load before"]) for part in found.values())
    pictures = "drawn pictures" if drawn else "photographs"
    yield f"- size `{size}`, {pictures}; {about['cpu']}, {about['cores']} cores, {about['date']}"
    yield f"- Python {about['python']}, " + ", ".join(f"{name} {one}" for name, one in about["versions"].items())
    yield f"- load of the machine before a part began: at most {busy:.1f}" + (
        "; other work ran, and times are upper limits" if busy > 1.0 else ""
    )
    for name, part in found.items():
        yield from _PARTS[name](part)


def _stages(part: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Indexing, stage by stage", "", f"Images a second, of {part['images']}, with all cores.", "")
    yield from _table(part["rows"], "images/s")
    yield ""
    share = part["index / the slower of decode and embed"]
    yield f"All of indexing is {share:.2f} of the slower of decoding alone and embedding alone, both with all cores."


def _index(part: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Indexing, once", "")
    shares = ", ".join(f"{stage} {100 * share:.0f} %" for stage, share in part["shares of work"].items())
    yield f"{part['images']} images in {part['seconds']:.1f} s, {part['images/s']:.0f} images/s ({shares}); "
    memory = ", ".join(f"{now} MB after {count}" for count, now in part["MB after so many images"].items())
    yield f"at most {part['peak MB']:.0f} MB of memory{' (' + memory + ')' if memory else ''}; "
    yield f"{part['bytes an image']:.0f} bytes an image on disk."


def _query(part: Mapping[str, Any]) -> Iterator[str]:
    channels = ", ".join(f"{name} {rows} × {dim}" for name, rows, dim in part["channels"])
    yield from (
        "",
        "## Queries",
        "",
        f"Of {part['items']} items ({channels}), k = 10; milliseconds a query, one thread.",
        "",
    )
    yield from _table(part["rows, ms"], "ms")
    yield ""
    yield f"Opened in {part['open, s']:.2f} s. At most {part['peak MB']:.0f} MB, rows of both channels held twice."
    yield f"A certificate takes {100 * part['certificate beyond the plain answer']:.0f} % beyond the plain answer."


def _cold(part: Mapping[str, Any]) -> Iterator[str]:
    yield from (
        "",
        "## From the shell",
        "",
        "Seconds, each time in a new process; all modules were compiled before.",
        "",
    )
    yield from _table(part["rows, s"], "s")
    yield from ("", f"At most {part['peak MB']:.0f} MB.")


def _search(part: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Search on synthetic rows", "", "Milliseconds a query, k = 10, one thread.")
    for one in part.values():
        if isinstance(one, Mapping) and "rows, ms" in one:
            yield from ("", f"### {one['rows']} × {one['dim']}", "", f"Drawn like {one['like']}.", "")
            yield from _table(one["rows, ms"], "ms")
            yield from ("", "; ".join(f"{name}: {_shown(ratio)}" for name, ratio in one["ratios"].items()) + ".")
            yield from _of_rows(one)


def _of_rows(one: Mapping[str, Any]) -> Iterator[str]:
    exact, memory = one["exactness"], one["memory"]
    yield f"Making the filter took {one['making the filter, s']:.1f} s, opening {one['opening, s']:.2f} s."
    yield (
        f"Of {exact['checked']} queries the first items of {exact['first items right']} and the first radius of "
        f"{exact['radii right']} are those of brute force in float64."
    )
    beyond = ", ".join(f"{code} {own['beyond them, after 8 queries, MB']} MB" for code, own in memory.items())
    if beyond:
        yield f"Memory of a process after 8 queries, beyond imports and mapped files: {beyond}."


_PARTS = {"stages": _stages, "index": _index, "query": _query, "cold": _cold, "search": _search}


def _table(rows: Sequence[Mapping[str, Any]], unit: str) -> Iterator[str]:
    names = [name for name in rows[0] if name != "what"]
    yield "| | " + " | ".join(f"{name}, {unit}" if name in _MEASURED else name for name in names) + " |"
    yield "|---|" + "---:|" * len(names)
    for row in rows:
        yield f"| {row['what']} | " + " | ".join(_shown(row[name]) for name in names) + " |"


_MEASURED = ("median", "least", "most")


def _shown(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"
