"""What an index of retr holds (docs/formats.md): rows, views, items, thresholds, rules, and which view meets which.

The second of four files that check proofs of retr by themselves: verify_network.py, verify_index.py, verify_proof.py,
verify_ranges.py. Whatever is read here is named, by its SHA-256, in the snapshot that a proof names. T10 is a theorem
of docs/theory.md.
"""

from __future__ import annotations

import copy
import fnmatch
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

try:
    from . import verify_network as network
except ImportError:  # as a script
    import verify_network as network

SCHEMAS = tuple(f"retr.index/{number}" for number in range(1, 11))
SNAPSHOT = {"schema", "id", "parent", "created", "policy", "policy_digest", "views", "channels", "segments"} | {
    *(
        "tombstones",
        "blank",
        "labels",
        "declared",
        "rules",
        "pairs",
        "looks",
    ),  # looks are of a companion, which proves nothing
}
RULE, PAIR = {"where", "reach"}, {"kind", "query", "gallery", "parts", "least"}
MOST_SNAPSHOT, MOST_NAMES, MOST_REACH = 256 << 20, 1 << 30, 2.0
BLOCK = 4096  # rows compared at a time
COMPACT = "bring the index up to date (retr compact), and ask anew"
Array = Any  # a numpy array
need, same, refute, unsupported = network.need, network.same, network.refute, network.unsupported


class Scope(NamedTuple):
    """What a view of the query is compared with in one channel (T10).

    ``kept``: (rows,) which rows; ``limits``: (rows,) τ of each for the verdict, ``levels``: for ranks; None without.
    """

    kept: Array
    limits: Array
    levels: Array


class Gallery:
    """The live rows of the snapshot that a proof names, and the item of each: rows of equal pixels are one (T3)."""

    def __init__(self, said: Any, index: Path) -> None:
        name, self.index, part = said["index"]["snapshot"], index, said["index"]
        file = index / "snapshots" / f"{name}.json"
        need(len(name) == 16 and set(name) <= set("0123456789abcdef"), "the id of a snapshot has 16 hex digits")
        same("snapshot", name, part["sha256"][:16])
        if not file.is_file() or file.stat().st_size > MOST_SNAPSHOT:
            unsupported(f"{index} does not hold snapshot {name}, or one too large to read")
        self.snapshot = json.loads(file.read_bytes())
        digest = network.canonical({key: one for key, one in self.snapshot.items() if key not in ("id", "created")})
        same("SHA-256 of the snapshot", part["sha256"], digest)
        if self.snapshot["schema"] not in SCHEMAS or not set(self.snapshot) <= SNAPSHOT:
            unsupported(f"an index of schema {str(self.snapshot['schema'])[:40]}, with more than this checker knows")
        roles = [channel.get("role", "answers") for channel in self.snapshot["channels"]]
        self.answering = roles.count("answers")  # what comes after these are companions, which prove nothing (T11)
        if roles != ["answers"] * self.answering + ["companion"] * (len(roles) - self.answering):
            unsupported(f"channels of roles {str(roles)[:80]}")
        self.companion = self.answering < len(roles) and not part["certified_only"]
        need(self.answering < len(roles) or not part["certified_only"], "there is no companion to be left out")
        same("decode policy", said["decode"]["policy"], self.snapshot["policy"])
        self.rules, self.pairs = self.snapshot.get("rules", []), self.snapshot.get("pairs", [])
        if any(set(rule) != RULE for rule in self.rules) or any(set(pair) != PAIR for pair in self.pairs):
            unsupported("rules or pairs with more than this checker knows")
        keys, live, self.compared = [np.zeros((0, 40), np.uint8)], [np.zeros(0, bool)], set()
        for segment in self.snapshot["segments"]:
            if "row-keys.bin" not in segment["files"]:
                unsupported(f"segment {segment['id']} is of an older version, without row-keys.bin: {COMPACT}")
            keys.append(self.file(segment, "row-keys.bin").reshape(segment["rows"], 40))
            gone = bytes.fromhex("".join(self.snapshot["tombstones"].get(segment["id"], ())))
            live.append(~np.isin(_values(keys[-1][:, :8]), _values(np.frombuffer(gone, np.uint8).reshape(-1, 8))))
        self.keys, self.live = np.concatenate(keys), np.concatenate(live)
        self.items = np.unique(self.declared(_values(self.keys[:, 8:])), return_inverse=True)[1]
        self.read: dict[Any, Any] = {}  # what was read already
        self.scopes: dict[tuple[int, str], Scope] = {}
        self.banks, self.words = self.narrow(part["where"], part["unsilenced"])
        self.words += ", by the certified channels alone" * part["certified_only"]
        self.words += ", whatever the companion says" * self.companion
        given = (one["threshold"] for one in said["channels"] if one["threshold"] is not None)
        given = (one["value"] for one in given if one["source"] == "given")
        self.words += "".join(f", at a threshold of {one!r} given in place of the index's own" for one in given)
        for field in ("rows_total", "rows_scanned"):
            same(field, part[field], int(self.live.sum()))

    # -- which rows a claim speaks of ---------------------------------------------------------------------------------

    def narrow(self, conditions: list[str], unsilenced: bool) -> tuple[list[Gallery], str]:
        """Keep the rows that the claim is about; returns the negative banks, and the words that say which rows."""
        negative = [rule["where"] for rule in self.rules if rule["reach"] is None]
        need(negative or not unsilenced, "no bank is negative, and the proof asks as if none were")
        whole, banks = self.live, [] if unsilenced else negative
        inside = [self.holds(where) & whole for where in banks]
        self.live = whole & ~np.logical_or.reduce([np.zeros(len(whole), bool), *inside])
        silent = f", with {(whole & ~self.live).sum()} rows of negative banks silencing" if banks else ""
        for condition in conditions:  # the theorems hold for whatever rows a gallery has: these are its rows
            self.live = self.live & self.holds(condition)
        quoted = " and ".join(map(json.dumps, conditions))  # what somebody wrote must not read as part of the sentence
        among = f", among the {self.live.sum()} rows where {quoted}" if conditions else ""
        silent = ", as if no bank were negative" if unsilenced else silent
        return [self.of(mask) for mask in inside if mask.any()], among + silent

    def of(self, live: Array) -> Gallery:
        """The gallery of some rows alone."""
        part = copy.copy(self)
        part.live, part.banks, part.scopes, part.companion = live, [], {}, False
        return part

    def holds(self, condition: str) -> Array:
        """(rows,) for which rows a condition holds: KEY=VALUE, KEY!=VALUE or KEY~PATTERN, of a path or of labels."""
        places = [(condition.find(sign), number, sign) for number, sign in enumerate(("!=", "=", "~"))]
        at, _, sign = min([one for one in places if one[0] > 0] or [(0, 0, "")])
        need(at, f"{condition[:80]} is no condition")
        key, value = condition[:at], condition[at + len(sign) :]
        values = [value] if key == "path" else value.split(",")

        def matches(text: str) -> bool:
            return any(fnmatch.fnmatchcase(text, one) for one in values) if sign == "~" else text in values

        _, _, paths, place = self.names()
        if key == "path":
            found = np.array([matches(path) for path in paths], bool)[place]
        else:
            told = {path for path, name, text in self.labels() if name == key and matches(text)}
            found = np.array([path in told for path in paths], bool)[place]
            if key == "id":
                found |= np.array([matches(one.tobytes().hex()) for one in self.keys[:, :8]], bool)
        return ~found if sign == "!=" else found

    def names(self) -> tuple[list[str], Array, list[str], Array]:
        """Names of views, (rows,) which of them each row is of; paths, (rows,) which of them each row has."""
        return self.once("names", self.read_names)

    def once(self, key: Any, read: Callable[[], Any]) -> Any:
        """What is read for all parts of the gallery alike, read once."""
        if key not in self.read:
            self.read[key] = read()
        return self.read[key]

    def read_names(self) -> Any:
        """See ``names``."""
        views, paths, of, at = {}, [], [], []
        for segment in self.snapshot["segments"]:
            if "row-names.bin" not in segment["files"]:
                unsupported(f"segment {segment['id']} is of an older version, without row-names.bin: {COMPACT}")
            text = zlib.decompressobj().decompress(self.file(segment, "row-names.bin").tobytes(), MOST_NAMES)
            table = json.loads(text)
            same("format of row-names.bin", table["format"], "retr.row-names/1")
            own = [views.setdefault(name, len(views)) for name in table["views"]]
            counts = [len(numbers) for _, numbers in table["items"]]
            need(sum(counts) == segment["rows"], f"row-names.bin of {segment['id']} names other rows")
            of += [own[number] for _, numbers in table["items"] for number in numbers]
            at += np.repeat(np.arange(len(paths), len(paths) + len(counts)), counts).tolist()
            paths += [path for path, _ in table["items"]]
        return list(views), np.array(of, int), paths, np.array(at, int)

    def labels(self) -> Any:
        """[path, key, value] of every label."""
        return json.loads(self.told("labels") or b"[]")

    def told(self, kind: str) -> bytes | None:
        """The content of a table of what users told, plain JSON that is named by its digest; None without one."""
        digest = self.snapshot.get(kind)
        if digest is None:
            return None
        file = self.index / kind / f"{digest}.json"
        if not file.is_file():
            unsupported(f"the table of {kind} is not there in plain JSON: {COMPACT}")
        data = file.read_bytes()
        same(f"SHA-256 of the table of {kind}", digest, network.sha256(data))
        return data

    def declared(self, pixels: Array) -> Array:
        """What names the item of each row: its pixels, or others that it was declared to be one item with."""
        data, (names, place) = self.told("declared"), np.unique(pixels, return_inverse=True)
        if data is None:
            return place
        table = json.loads(data)
        return np.array([table.get(name, name) for name in (one.tobytes().hex() for one in names)])[place]

    # -- rows -------------------------------------------------------------------------------------------------------

    def file(self, segment: Any, name: str) -> Array:
        """The bytes of a file of a segment, mapped; its digest is compared once."""
        path = self.index / "segments" / segment["id"] / name
        data = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
        if path not in self.compared:
            same(f"SHA-256 of {path}", segment["files"][name], network.sha256(data))
            self.compared.add(path)
        return data

    def rows(self, number: int, wanted: Array) -> Iterator[tuple[Array, Array]]:
        """((m,) numbers, (m, d) float64) of some rows of a channel, a block at a time: unit rows for cosine.

        ``wanted``: (rows,) which rows.
        """
        channel, first = self.snapshot["channels"][number], 0
        code = channel.get("rows", "float32")
        suffix, kind = {"float32": ("f32", "<f4"), "float16": ("f16", "<f2"), "int8": ("i8", "|i1")}[code]
        for segment in self.snapshot["segments"]:
            stored = self.file(segment, f"rows-{number}.{suffix}").view(kind).reshape(segment["rows"], channel["dim"])
            every = np.flatnonzero(wanted[first : first + segment["rows"]])
            for at in range(0, len(every), BLOCK):
                some = every[at : at + BLOCK]
                rows = stored[some].astype(np.float64)
                if code != "float32":  # the gallery is defined by the float32 numbers that codes stand for
                    rows = (rows / network.lengths(rows)[:, None]).astype(np.float32).astype(np.float64)
                if channel["score"] == "cosine":
                    rows /= network.lengths(rows)[:, None]
                need(np.isfinite(rows).all(), f"segment {segment['id']} holds rows that are no numbers")
                yield first + some, rows
            first += segment["rows"]

    def every(self, number: int, wanted: Array) -> Array:
        """(m, d) some rows of a channel, all at once."""
        return np.concatenate([np.zeros((0, self.snapshot["channels"][number]["dim"])), *(
            rows for _, rows in self.rows(number, wanted))])  # fmt: skip

    def row(self, number: int, row: int, kept: Array, item: int | None = None) -> Array:
        """One row of a channel; refuted unless it is one of those that are compared, and of an item."""
        if not (0 <= row < len(kept) and kept[row] and item in (None, self.items[row])):
            refute(f"row {row} is no row of the item that is compared there")
        return self.every(number, np.arange(len(kept)) == row)[0]

    def item(self, stated: Any) -> int:
        """The number of an item: path and content are bound to its id, id and pixels to a live row."""
        same("id", stated["id"], network.sha256(f"{stated['path']}\0{stated['bytes_sha256']}".encode())[:16])
        key = np.frombuffer(bytes.fromhex(stated["id"] + stated["pixels_sha256"]).ljust(40)[:40], np.uint8)
        found = np.flatnonzero((self.keys == key).all(1) & self.live)
        return int(self.items[found[0]]) if found.size else refute(f"the snapshot holds no item {stated['id']}")

    # -- what a view of the query is compared with, and how strictly --------------------------------------------------

    def tests(self) -> list[tuple[int, str]]:
        """Channel and view of the query of every test, in order."""
        numbers, seen, every = range(self.answering), set(), len(self.snapshot["channels"])
        if not self.pairs:
            return [(number, "original") for number in numbers]
        for pair in self.pairs:
            both = {(pair["query"], view) for view in pair["gallery"]}
            need(len(both) == len(pair["gallery"]) and not both & seen, "two rules about one pair of views")
            seen |= both
            need(len(pair["parts"]) == len(pair["least"]) == every, "one part and gap for each channel")
            need(all(0.0 <= part <= 1.0 for part in pair["parts"]), "a part of a reach lies between 0 and 1")
        names = dict.fromkeys(pair["query"] for pair in self.pairs)
        found = [(number, name) for number in numbers for name in names if any(
            pair["query"] == name and pair["parts"][number] > 0.0 for pair in self.pairs)]  # fmt: skip
        need({(number, "original") for number in numbers} <= set(found), "some channel never compares the query itself")
        return found

    def scope(self, number: int, view: str, stated: Any) -> Scope:
        """The rows that a test is about, each with its thresholds.

        τ is the channel's, or each row's own: cos of an angle or a distance, from its gap, by rules, in part (T10).
        """
        if (number, view) not in self.scopes:
            parts, least = self.parts(number, view)
            kept, gaps = self.live & (parts > 0.0), self.gaps(stated)
            if self.pairs and gaps is not None:  # a stored view accepts no farther than the item's unedited row
                of_items = self.of_unedited(gaps)
                kept, gaps = kept & ((least == 0.0) | (of_items > least)), np.minimum(gaps, of_items)
            self.scopes[number, view] = Scope(kept, *self.thresholds(number, stated, gaps, parts))
        return self.scopes[number, view]

    def parts(self, number: int, view: str) -> tuple[Array, Array]:
        """(rows,) the part of its reach that a row has for a view of the query, 0 where they never meet; least gap."""
        if not self.pairs:
            return np.ones(len(self.live)), np.zeros(len(self.live))
        names, of, _, _ = self.names()
        rules = [pair for pair in self.pairs if pair["query"] == view]
        met = {name: (one["parts"][number], one["least"][number]) for one in rules for name in one["gallery"]}
        found = np.array([met.get(name, (0.0, 0.0)) for name in names], float).reshape(-1, 2)[of]
        return found[:, 0], found[:, 1]

    def of_unedited(self, gaps: Array) -> Array:
        """(rows,) the least gap of the unedited rows of each row's item; ∞ where it has none."""
        names, of, _, _ = self.names()
        plain = self.live & (np.array([name == "original" for name in names], bool)[of])
        least = np.full(int(self.items.max(initial=-1)) + 1, math.inf)
        np.minimum.at(least, self.items[plain], gaps[plain])
        return least[self.items]

    def gaps(self, stated: Any) -> Array | None:
        """(rows,) how far each row is from unrelated pictures, where thresholds are local."""
        if stated is None or stated["gaps"] is None:
            return None
        return self.once(("gaps", stated["gaps"]), lambda: self.read_gaps(stated))

    def read_gaps(self, stated: Any) -> Array:
        """See ``gaps``."""
        file = self.index / "gaps" / f"{stated['gaps']}.bin"
        if not file.is_file():
            unsupported(f"the gaps of local thresholds are not there in plain bytes: {COMPACT}")
        data = file.read_bytes()
        same("SHA-256 of the gaps", stated["gaps"], network.sha256(data))
        head, _, numbers = data.partition(b"\n")
        known, values = json.loads(head)["segments"], np.frombuffer(numbers, "<f4").astype(np.float64)
        ends = np.cumsum([rows for _, rows in known])
        parts = {name: values[end - rows : end] for (name, rows), end in zip(known, ends, strict=True)}
        return np.concatenate([parts.get(s["id"], np.zeros(s["rows"])) for s in self.snapshot["segments"]])

    def thresholds(self, number: int, stated: Any, gaps: Array | None, parts: Array) -> tuple[Any, Any]:
        """(rows,) τ of every row for the verdict, and for ranks, which know no gaps and no rules; None without."""
        if stated is None:
            return None, None
        value, cosine = stated["value"], self.snapshot["channels"][number]["score"] == "cosine"
        far, factors = (math.acos(min(1.0, max(-1.0, value))) if cosine else value), self.once("factors", self.factors)
        if gaps is None:
            reach = np.full(len(self.live), far)
        else:
            reach = gaps * stated["share"] if stated["share"] is not None else np.full(len(gaps), math.inf)
            reach = np.minimum(reach, stated["offset"] + gaps / 2) if stated["offset"] is not None else reach
            reach = np.maximum(0.0, reach)
        limits, levels = reach * factors * parts, parts * far
        if cosine:
            limits, levels = (np.cos(np.minimum(one, math.pi)) for one in (limits, levels))
        levels = np.where(parts == 1.0, value, levels)
        need(not np.isnan([limits, levels]).any(), "a threshold is no number")
        return (levels if gaps is None and (factors == 1.0).all() else limits), levels

    def factors(self) -> Array:
        """(rows,) how many times as far each accepts: by the last rule about it."""
        found = np.ones(len(self.live))
        for rule in self.rules:
            if rule["reach"] is not None:
                need(0.0 < rule["reach"] <= MOST_REACH, f"a reach of {rule['reach']!r}")
                found[self.holds(rule["where"])] = rule["reach"]
        return found


def look(pixels: Array, view: str) -> Array:
    """A view of the query: some of its values, each once, by its size alone; so linear, and of norm 1."""
    simple = {
        "original": lambda p: p,
        "flip": lambda p: p[:, ::-1],
        "upside": lambda p: p[::-1],
        "quarter-left": np.rot90,
        "quarter-right": lambda p: np.rot90(p, -1),
        "half-turn": lambda p: np.rot90(p, 2),
    }
    for step in view.split("+"):
        cut = re.fullmatch(r"crop-([0-9]{1,3})x([0-9]{1,3})-at-([0-9]{1,3})x([0-9]{1,3})", step)
        if step in simple:
            pixels = simple[step](pixels)
        elif cut:
            (tall, wide, *at), size = (int(text) / 100 for text in cut.groups()), pixels.shape[:2]
            need(min(tall, wide) > 0.0 and max(tall, wide, *at) <= 1.0, f"{step} is no window")
            kept = [max(1, round(share * side)) for share, side in zip((tall, wide), size, strict=True)]
            top, left = (round(share * (side - one)) for share, side, one in zip(at, size, kept, strict=True))
            pixels = pixels[top : top + kept[0], left : left + kept[1]]
        else:
            unsupported(f"views of the query such as {step[:40]}")
    return pixels


def _values(lines: Array) -> Array:
    return np.ascontiguousarray(lines).view(f"V{lines.shape[1]}").ravel()  # lines of bytes that can be compared
