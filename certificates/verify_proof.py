"""Checks one proof of retr (docs/proofs.md) by itself: Python, numpy and Pillow, and no line of retr's own code.

    python verify_proof.py PROOF.json --index INDEX [--image QUERY]

Everything that the proof says is computed again from the image, the model file and *every* row of the index; by
verify_network.py, which lies beside this file, how an image is embedded. The verdict is *confirmed*, *refuted*
(something said is false) or *unsupported* (this file cannot tell). T1 to T9 are theorems of docs/theory.md.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageFile, features

try:
    from . import verify_network as network
except ImportError:  # as a script
    import verify_network as network

TYPE, PREDICATE, FORMAT = "https://in-toto.io/Statement/v1", "urn:retr:certificate:1", "retr.certificate/1"
KINDS, RANKS = ("first-place", "among-k", "copy", "not-a-copy"), ("first-place", "among-k")
SCHEMAS = ("retr.index/1", "retr.index/2", "retr.index/3", "retr.index/4", "retr.index/5", "retr.index/6")
SNAPSHOT = {"schema", "id", "parent", "created", "policy", "policy_digest", "views", "channels", "segments"} | {
    *("tombstones", "blank", "labels", "declared"),
}
MOST_BYTES, MOST_SNAPSHOT = 4 << 20, 256 << 20
FLAT = 8  # levels: a picture none of whose channels spans more shows nothing
BLOCK = 4096  # rows compared at a time
FILES = ("verify_network.py", "verify_proof.py")
Array = Any  # a numpy array
need, same, close = network.need, network.same, network.close
refute, unsupported, sha256, canonical = network.refute, network.unsupported, network.sha256, network.canonical


class Finding(NamedTuple):
    """What was found: ``verdict`` is confirmed, refuted or unsupported; ``why`` a sentence, empty if confirmed."""

    verdict: str
    why: str = ""


def verify(proof: Path, index: Path, image: Path | None = None, *, any_checker: bool = False) -> Finding:
    """Check a proof: its JSON file, the folder of the index, and the query's file (None: the path that it names).

    ``any_checker``: go on although the proof names another version of this file.
    """

    def check() -> None:
        said = read_proof(proof, SHAPES)
        pinned(said, FILES, any_checker)
        pixels, gallery = check_image(said, image), Gallery(said, Path(index))
        check_claim(said, gallery, check_probes(said, gallery, pixels))

    return judge(check)


def judge(check: Callable[[], None]) -> Finding:
    """What is found by a check, whatever the files hold."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            check()
    except network.Stop as stop:
        return Finding(*stop.args)
    except MemoryError:
        return Finding("unsupported", "there is not enough memory to check it")
    except Exception as error:  # whatever breaks on what the files hold: they are not what was proved
        return Finding("refuted", f"a file is not what the proof says: {type(error).__name__}: {error}")
    return Finding("confirmed")


def pinned(said: Any, files: Sequence[str], any_checker: bool) -> None:
    """Unsupported unless the proof names the checker that runs: by the SHA-256 of its files, one after the other."""
    own, named = sha256(b"".join(Path(__file__).with_name(file).read_bytes() for file in files)), said["checker"]
    if (named["name"], named["sha256"]) != (files[-1], own) and not any_checker:
        unsupported(f"the proof names checker {named['name'][:40]} {named['sha256'][:16]}, and this one is {own[:16]}")


# -- the proof: an in-toto Statement, whose shape is checked before anything is believed -------------------------------

SHAPE = json.loads("""{
"_type": "s", "subject": [{"name": "s", "digest": {"sha256": "s"}}], "predicateType": "s", "predicate": {
"format": "s", "claim": {"kind": "s", "sentence": "s", "k": "i?", "item?": {"id": "s", "path": "s", "bytes_sha256": "s",
  "pixels_sha256": "s"}, "radius": {"l2": "f", "rmse": "f", "psnr": "f"}, "slack": "f", "tight": "b"},
"query": {"path": "s?", "bytes_sha256": "s?", "pixels_sha256": "s", "width": "i", "height": "i", "values": "i"},
"decode": {"policy": "o", "policy_digest": "s", "decoder": {"pillow": "s", "libraries": "s"}},
"index": {"snapshot": "s", "sha256": "s", "rows_scanned": "i", "rows_total": "i",
  "where?": {"conditions": ["s"], "rows": "s"}},
"channels": [{"name": "s", "model_digest": "s", "score": "s", "dim": "i", "lipschitz": {"value": "f", "method": "s"},
  "threshold?": {"value": "f", "source": "s", "offset": "f?", "share": "f?", "gaps": "s?"}}],
"probes": [{"channel": "i", "view": "s", "resize": {"value": "f", "method": "s"}, "lipschitz": "f",
  "forward_error": "f", "z": {"norm": "f", "sha256": "s", "float64": "s"}}], "carriers": [["i"]],
"target": [{"probe": "i", "row": "i", "score": "f", "threshold": "f?", "signed": "f?"}],
"rival?": {"item": {"id": "s", "path": "s", "bytes_sha256": "s", "pixels_sha256": "s"},
  "rows": [{"probe": "i", "row": "i", "score": "f", "threshold": "f?", "signed": "f?"}]},
"versions": {"retr": "s", "python": "s", "numpy": "s", "torch": "s", "faiss": "s"},
"checker": {"name": "s", "sha256": "s"}}}""")
SHAPES: dict[str, Any] = dict.fromkeys(KINDS, SHAPE)
TYPES: Any = {"s": str, "i": int, "f": float, "b": bool, "o": dict}  # a question mark: or null


def read_proof(path: Path, shapes: dict[str, Any]) -> Any:
    """The predicate in a file: bounded in size, every number finite, exactly the fields of its kind."""
    need(path.is_file() and path.stat().st_size <= MOST_BYTES, f"a proof is a file of at most {MOST_BYTES} bytes")
    hooks: Any = {"parse_int": _number, "parse_float": _number, "parse_constant": _number}
    found = json.loads(path.read_bytes().decode(), object_pairs_hook=_object, **hooks)
    need(isinstance(found, dict) and found.get("_type") == TYPE, "this is no in-toto Statement")
    if found.get("predicateType") != PREDICATE:
        unsupported(f"this checker knows {PREDICATE}, and this is {str(found.get('predicateType'))[:60]}")
    said = found.get("predicate", {})
    kind = said["claim"]["kind"] if isinstance(said, dict) and isinstance(said.get("claim"), dict) else None
    if isinstance(kind, str) and kind not in shapes:
        unsupported(f"this checker knows claims of {', '.join(shapes)}, and this is {kind[:40]}")
    fit(found, shapes.get(str(kind), SHAPE), "the proof")
    same("format", said["format"], FORMAT)
    name, data = said["query"]["path"] or "query", said["query"]["bytes_sha256"]
    pairs = [(name, data)] * (data is not None) + [(f"pixels of {name}", said["query"]["pixels_sha256"])]
    same("subject", found["subject"], [{"name": name, "digest": {"sha256": digest}} for name, digest in pairs])
    return said


def _number(text: str) -> int | float:
    value = int(text) if text.lstrip("-").isdigit() and len(text) <= 16 else float(text)
    return value if math.isfinite(value) and len(text) <= 40 else refute(f"{text[:40]} is no number of a proof")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs) if len(dict(pairs)) == len(pairs) else refute("a key is there twice")


def fit(value: Any, shape: Any, where: str) -> None:
    """Refute unless a value has a shape: exactly these fields, of exactly these types."""
    if where.endswith("?") and value is None:
        return
    if isinstance(shape, list) and isinstance(value, list):
        for one in value:
            fit(one, shape[0], where)
    elif isinstance(shape, dict) and isinstance(value, dict):
        same(f"set of fields of {where}", sorted(value), sorted(name.rstrip("?") for name in shape))
        for name, inner in shape.items():
            fit(value[name.rstrip("?")], inner, name)
    elif not isinstance(shape, str) or not (type(value) is TYPES[shape[0]] or (value is None and shape[1:] == "?")):
        refute(f"{where} is of type {type(value).__name__}")


# -- the query: from a file to pixels, by the decode policy that the proof names (docs/decode-policy.md) ---------------


def check_image(said: Any, image: Path | None) -> Array:
    """The query's pixels, (H, W, 3) uint8, after every digest of them was compared."""
    query, policy = said["query"], said["decode"]["policy"]
    same("policy_digest", said["decode"]["policy_digest"], canonical(policy))
    if policy["version"] not in (1, 2):
        unsupported(f"decode policy version {policy['version']}")
    path = Path(image if image is not None else query["path"] or "")
    if not path.is_file():
        unsupported(f"the query {path} is not there: name its file")
    data = path.read_bytes()
    if query["bytes_sha256"] is not None:
        same("SHA-256 of the query's file", query["bytes_sha256"], sha256(data))
    pixels = decode(data, policy)
    height, width = pixels.shape[:2]
    digest = sha256(f"{height}x{width}x3:".encode() + pixels.tobytes())
    same_pixels(said, "SHA-256 of the query's pixels", query["pixels_sha256"], digest)
    for name, found in (("width", width), ("height", height), ("values", pixels.size)):
        same(name, query[name], found)
    return pixels


def same_pixels(said: Any, what: str, stated: str, found: str) -> None:
    """Refute unless pixels are those that were seen; unsupported where a decoder of another version made them."""
    decoder, names = said["decode"]["decoder"], ("libjpeg_turbo", "zlib", "webp", "avif", "libtiff", "littlecms2")
    here = {"pillow": PIL.__version__, "libraries": ", ".join(f"{n} {features.version(n)}" for n in names)}
    if stated != found and decoder != here:
        unsupported(f"{what} is another one with {here} than the proof saw with {decoder}")
    same(what, stated, found)


def decode(data: bytes, policy: Any) -> Array:
    """First frame, colours to sRGB, alpha over a background, upright: versions 1 and 2 of the policy."""
    image = Image.open(io.BytesIO(data), formats=["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP"])
    large = image.width * image.height > policy["max_pixels"] or max(image.size) > policy["max_side"]
    if large or len(data) > policy["max_bytes"] or ImageFile.LOAD_TRUNCATED_IMAGES:
        refute("the policy does not allow so large an image, or a truncated one")
    try:
        image.load()
    except OSError as error:
        unsupported(f"this decoder refuses the file: {error}")
    alpha, mode, profile = None, image.mode, image.info.get("icc_profile")
    if mode.startswith(("I", "F")):
        unsupported(f"pixels of mode {mode}")
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        both = image.convert("LA" if mode in ("LA", "La") else "RGBA")
        alpha, colour = both.getchannel("A"), both.getchannel("L") if both.mode == "LA" else both.convert("RGB")
    else:
        colour = image.convert({"P": "RGB", "RGBX": "RGB", "YCbCr": "RGB", "1": "L"}.get(mode, mode))
    if profile is not None and len(profile) > policy["max_profile_bytes"]:
        profile = None
    rgb = _managed(colour, profile) or colour.convert("RGB")
    found = np.asarray(rgb)
    if alpha is not None:  # over the other background where the first leaves nothing to be seen
        found, other = (_laid_on(rgb, alpha, policy.get(name)) for name in ("background", "other_background"))
        found = other if _span(found) <= FLAT and _span(other) > _span(found) else found
    if policy["version"] > 1 and getattr(image, "n_frames", 1) > 1 and image.format != "TIFF" and _span(found) <= FLAT:
        unsupported("an animation whose first frame shows nothing")
    tags, turns = Image.Exif(), dict(zip(range(2, 9), map(Image.Transpose, (0, 3, 1, 5, 4, 6, 2)), strict=True))
    try:
        tags.load(image.info.get("exif", b"") if image.format != "TIFF" else b"")  # Pillow turns TIFF by itself
        turn = tags.get(0x0112)
    except (ValueError, SyntaxError, TypeError, KeyError, EOFError):
        turn = 1
    turned = turns.get(turn) if isinstance(turn, int) else None
    return found if turned is None else np.asarray(Image.fromarray(found).transpose(turned))


def _laid_on(rgb: Image.Image, alpha: Image.Image, colour: Any) -> Array:
    canvas = Image.new("RGB", rgb.size, tuple(colour or (0, 0, 0)))
    canvas.paste(rgb, mask=alpha)
    return np.asarray(canvas) if colour else np.zeros((1, 1, 3), np.uint8)


def _span(pixels: Array) -> int:
    return int((pixels.max((0, 1)).astype(int) - pixels.min((0, 1))).max())  # levels, in the channel with the most


def _managed(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    # Relative colorimetric with black point compensation; a profile that is broken or of another space is ignored.
    space = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}.get(image.mode)
    try:
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")) if image.mode == "LAB" else None
        source = lab or ImageCms.getOpenProfile(io.BytesIO(profile or b""))
        if lab or getattr(source.profile, "xcolor_space", "").strip() == space:
            how, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
            made = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, "RGB", how, flags)
            return ImageCms.applyTransform(image, made)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        pass
    return None


# -- the index: snapshot, rows, which item each row is (docs/formats.md) -----------------------------------------------


class Gallery:
    """The live rows of the snapshot that a proof names, and the item of each: rows of equal pixels are one (T3)."""

    def __init__(self, said: Any, index: Path) -> None:
        name, self.index, self.words = said["index"]["snapshot"], index, ""
        file = index / "snapshots" / f"{name}.json"
        need(len(name) == 16 and set(name) <= set("0123456789abcdef"), "the id of a snapshot has 16 hex digits")
        same("snapshot", name, said["index"]["sha256"][:16])
        if not file.is_file() or file.stat().st_size > MOST_SNAPSHOT:
            unsupported(f"{index} does not hold snapshot {name}, or one too large to read")
        self.snapshot = json.loads(file.read_bytes())
        digest = canonical({key: value for key, value in self.snapshot.items() if key not in ("id", "created")})
        same("SHA-256 of the snapshot", said["index"]["sha256"], digest)
        if self.snapshot["schema"] not in SCHEMAS or not set(self.snapshot) <= SNAPSHOT:
            unsupported(f"an index of schema {str(self.snapshot['schema'])[:40]}, or with rules for some of its items")
        same("decode policy", said["decode"]["policy"], self.snapshot["policy"])
        keys, live, self.compared = [np.zeros((0, 40), np.uint8)], [np.zeros(0, bool)], set()
        for segment in self.snapshot["segments"]:
            if "row-keys.bin" not in segment["files"]:
                unsupported(f"segment {segment['id']} is of an older format, without row-keys.bin: index anew")
            keys.append(self.file(segment, "row-keys.bin").reshape(segment["rows"], 40))
            gone = bytes.fromhex("".join(self.snapshot["tombstones"].get(segment["id"], ())))
            live.append(~np.isin(_values(keys[-1][:, :8]), _values(np.frombuffer(gone, np.uint8).reshape(-1, 8))))
        self.keys, self.live = np.concatenate(keys), np.concatenate(live)
        self.items = np.unique(self.declared(_values(self.keys[:, 8:])), return_inverse=True)[1]
        self.narrow(said["index"]["where"])
        for field in ("rows_total", "rows_scanned"):
            same(field, said["index"][field], int(self.live.sum()))

    def declared(self, pixels: Array) -> Array:
        """What names the item of each row: its pixels, or others that it was declared to be one item with."""
        digest, (names, place) = self.snapshot.get("declared"), np.unique(pixels, return_inverse=True)
        if digest is None:
            return place
        file = self.index / "declared" / f"{digest}.json"
        if not file.is_file():
            unsupported("the declared items are not there in plain JSON: declare them anew")
        data = file.read_bytes()
        same("SHA-256 of the declared items", digest, sha256(data))
        table = json.loads(data)
        return np.array([table.get(name, name) for name in (one.tobytes().hex() for one in names)])[place]

    def narrow(self, part: Any) -> None:
        """Keep the rows of the part that a claim speaks of; that its conditions hold of them is not checked."""
        if part:  # the theorems hold for whatever rows a gallery has: these are its rows
            bits = np.unpackbits(np.frombuffer(base64.b64decode(part["rows"], validate=True), np.uint8)).astype(bool)
            need(len(bits) == -(-len(self.live) // 8) * 8 and not bits[len(self.live) :].any(), "one bit for each row")
            need(not (bits[: len(self.live)] & ~self.live).any(), "only live rows can be a part of the gallery")
            self.live = bits[: len(self.live)]
            self.words = f", among the {self.live.sum()} rows where {' and '.join(part['conditions'])}"

    def file(self, segment: Any, name: str) -> Array:
        """The bytes of a file of a segment, mapped; its digest is compared once."""
        path = self.index / "segments" / segment["id"] / name
        data = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
        if path not in self.compared:
            same(f"SHA-256 of {path}", segment["files"][name], sha256(data))
            self.compared.add(path)
        return data

    def rows(self, number: int, only: int | None = None) -> Iterator[tuple[int, Array]]:
        """(number of the first row, (m, d) float64) for some rows of a channel at a time: unit rows for cosine."""
        channel, first = self.snapshot["channels"][number], 0
        code = channel.get("rows", "float32")
        suffix, kind = {"float32": ("f32", "<f4"), "float16": ("f16", "<f2"), "int8": ("i8", "|i1")}[code]
        for segment in self.snapshot["segments"]:
            stored = self.file(segment, f"rows-{number}.{suffix}").view(kind).reshape(segment["rows"], channel["dim"])
            wanted = (
                range(0, len(stored), BLOCK) if only is None else [only - first] * (0 <= only - first < len(stored))
            )
            for at in wanted:
                rows = stored[at : at + (BLOCK if only is None else 1)].astype(np.float64)
                if code != "float32":  # the gallery is defined by the float32 numbers that codes stand for
                    rows = (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32).astype(np.float64)
                if channel["score"] == "cosine":
                    rows = rows / np.linalg.norm(rows, axis=1)[:, None]
                need(np.isfinite(rows).all(), f"segment {segment['id']} holds rows that are no numbers")
                yield first + at, rows
            first += segment["rows"]

    def row(self, number: int, row: int, item: int | None = None) -> Array:
        """One row of a channel; refuted unless it is live, and of an item."""
        if not (0 <= row < len(self.live) and self.live[row] and item in (None, self.items[row])):
            refute(f"row {row} is no row of the item")
        return next(self.rows(number, row))[1][0]

    def thresholds(self, number: int, stated: Any) -> Array:
        """(rows,) τ of every row of a channel: one for all, or each row's own, from its gap (docs/formats.md)."""
        if stated["gaps"] is None:
            return np.full(len(self.live), stated["value"])
        file = self.index / "gaps" / f"{stated['gaps']}.bin"
        if not file.is_file():
            unsupported("the gaps of local thresholds are not there in plain bytes: calibrate the index anew")
        data = file.read_bytes()
        same("SHA-256 of the gaps", stated["gaps"], sha256(data))
        head, _, numbers = data.partition(b"\n")
        known, values = json.loads(head)["segments"], np.frombuffer(numbers, "<f4").astype(np.float64)
        ends = np.cumsum([rows for _, rows in known])
        parts = {name: values[end - rows : end] for (name, rows), end in zip(known, ends, strict=True)}
        gaps = [parts.get(s["id"], np.zeros(s["rows"])) for s in self.snapshot["segments"]]
        wide, share, offset = np.concatenate(gaps), stated["share"], stated["offset"]
        reach = wide * share if share is not None else np.full(len(wide), math.inf)
        reach = np.minimum(reach, offset + wide / 2) if offset is not None else reach
        reach = np.maximum(0.0, reach)
        cosine = self.snapshot["channels"][number]["score"] == "cosine"
        return np.cos(np.minimum(reach, math.pi)) if cosine else reach

    def item(self, stated: Any) -> int:
        """The number of an item: path and content are bound to its id, id and pixels to a live row."""
        same("id", stated["id"], sha256(f"{stated['path']}\0{stated['bytes_sha256']}".encode())[:16])
        key = np.frombuffer(bytes.fromhex(stated["id"] + stated["pixels_sha256"]).ljust(40)[:40], np.uint8)
        found = np.flatnonzero((self.keys == key).all(1) & self.live)
        return int(self.items[found[0]]) if found.size else refute(f"the snapshot holds no item {stated['id']}")


def _values(lines: Array) -> Array:
    return np.ascontiguousarray(lines).view(f"V{lines.shape[1]}").ravel()  # lines of bytes that can be compared


# -- the claim: every row is compared, and the radius follows ----------------------------------------------------------


class Probe(NamedTuple):
    """The query in one channel: z and its length, and what every row of the channel is compared by (T9)."""

    number: int
    z: Array
    length: float
    cosine: bool
    lipschitz: float
    error: float
    threshold: Any

    def scores(self, rows: Array) -> Array:
        """What thresholds are compared with."""
        return rows @ self.z / self.length if self.cosine else np.linalg.norm(self.z - rows, axis=1)

    def signed(self, rows: Array, tau: Any) -> Array:
        """T4, T5: the distance of z from the edge of each row's copy region, positive inside."""
        if not self.cosine:
            return tau - self.scores(rows)
        along = rows @ self.z
        return self.edge(along, np.linalg.norm(self.z - along[:, None] * rows, axis=1), tau)

    def edge(self, along: Array, across: Array, tau: Any) -> Array:
        """T5, of a z that goes so far along a unit row and away from it."""
        sine = np.sqrt((1.0 - tau) * (1.0 + tau))
        apex = np.where(along > tau * self.length, self.length, -self.length)  # 90° or more from the edge
        return np.where(tau * along + sine * across <= 0.0, apex, sine * along - tau * across)

    def leads(self, own: Array, rows: Array) -> tuple[Array, Array]:
        """T1: the distance of z from where each row beats a row of the item; and how far apart the two are."""
        apart = own - rows
        width = np.linalg.norm(apart, axis=1)
        lead = apart @ self.z if self.cosine else 0.5 * ((2.0 * self.z - own - rows) * apart).sum(1)
        return np.divide(lead, width, out=np.zeros_like(lead), where=width > 0.0), width


def check_channel(said: Any, gallery: Gallery, number: int) -> network.Model:
    """The model of a channel, and that its name, digest and threshold are those that are stated."""
    stated, channel = said["channels"][number], gallery.snapshot["channels"][number]
    for name in ("name", "score", "dim"):
        same(name, stated[name], channel[name])
    stored, threshold = channel["threshold"], stated["threshold"]
    if threshold is None or threshold["source"] != "given":  # a number in place of the stored one
        same("threshold", threshold, stored and {name: stored.get(name) for name in threshold or stored})
    else:
        need(len(gallery.snapshot["channels"]) == 1, "a threshold is given only to an index of one channel")
    model = network.Model(gallery.index, channel)
    same("digest of the model", (stated["model_digest"], channel["model_digest"]), (model.digest, model.digest))
    return model


def check_constant(said: Any, gallery: Gallery, number: int, net: network.Network) -> float:
    """L of the network as stated: no less than its layers prove, and that of the snapshot.

    With several channels L is part of what ranks items: a larger one would prove less, and of another item.
    """
    bound, stored = said["channels"][number]["lipschitz"]["value"], gallery.snapshot["channels"][number]["lipschitz"]
    proved = net.lipschitz
    need(proved <= bound * (1.0 + network.NEAR), f"the layers prove only L ≤ {proved!r}, not {bound!r}")
    need(stored is not None, "the index says that the model is uncertified")
    close("L of the network", bound, stored)
    return bound


def check_probes(said: Any, gallery: Gallery, pixels: Array) -> list[Probe]:
    """One probe for each channel: model, threshold, constants, rounding and embedding, all made again."""
    numbers, found = list(range(len(gallery.snapshot["channels"]))), []
    if any(probe["view"] != "original" for probe in said["probes"]):
        unsupported("views of the query other than the query itself")
    same("channels of the probes", [probe["channel"] for probe in said["probes"]], numbers)
    for number, stated, probe in zip(numbers, said["channels"], said["probes"], strict=True):
        model = check_channel(said, gallery, number)
        net, rho = network.resized(pixels, model.side)
        model.see(net)
        bound, total, error = check_constant(said, gallery, number, net), probe["lipschitz"], probe["forward_error"]
        close("the norm of the resize", probe["resize"]["value"], rho)
        close("L", total, bound * rho)
        need(abs(error / net.error - 1.0) <= 1e-6, f"the forward error is {net.error!r}, not {error!r}")
        raw = base64.b64decode(probe["z"]["float64"], validate=True)
        same("SHA-256 of z", probe["z"]["sha256"], sha256(raw))
        z, length = np.frombuffer(raw, "<f8"), float(np.linalg.norm(net.x))
        same("length of z", z.size, net.x.size)
        need(np.linalg.norm(z - net.x) <= 2.0 * error, f"the embedding of the query in {stated['name']} is another one")
        close("the norm of z", probe["z"]["norm"], length)
        found.append(Probe(number, net.x, length, stated["score"] == "cosine", total, error, stated["threshold"]))
    return found


def check_claim(said: Any, gallery: Gallery, probes: list[Probe]) -> None:
    """The radius, against what follows from all rows; then everything else that the claim says."""
    claim, query, rival = said["claim"], said["query"], said["rival"] or {"item": None, "rows": []}
    kind, k, item, ranks = claim["kind"], claim["k"], claim["item"], claim["kind"] in RANKS
    need(all(p.threshold for p in probes) or (ranks and len(probes) == 1), "there is no threshold to judge by")
    need((k is not None) == (kind == "among-k") and (k or 1) >= 1, "k belongs to among-k, and is at least 1")
    need(kind == "copy" or (item is None) == (kind == "not-a-copy"), "an item is named where none can be, or none is")
    target, other = (None if one is None else gallery.item(one) for one in (item, rival["item"]))
    carriers = [(n, row) for n, row in said["carriers"]]
    need(all(ranks and 0 <= n < len(probes) for n, _ in carriers), "carriers are of claims of rank, and of probes")
    need(len(set(carriers)) == len(carriers), "a carrier is named twice")
    for stated, own in [(one, target) for one in said["target"]] + [(one, other) for one in rival["rows"]]:
        need(0 <= stated["probe"] < len(probes), f"there is no probe {stated['probe']}")
        p = probes[stated["probe"]]
        row = gallery.row(p.number, stated["row"], own)[None]
        close("score", stated["score"], float(p.scores(row)[0]), 1.0)
        tau = None if p.threshold is None else float(gallery.thresholds(p.number, p.threshold)[stated["row"]])
        for name, value in (("threshold", tau), ("signed", None if tau is None else float(p.signed(row, tau)[0]))):
            same(f"type of {name}", type(stated[name]), type(value))
            close(f"{name} of a row", stated[name] or 0.0, value or 0.0, p.length if name == "signed" else 1.0)
    slack = max((4.0 * p.error + 1e-10 * p.length) / p.lipschitz for p in probes)
    close("slack", claim["slack"], slack)
    reach, amplified, items, each = follow(gallery, kind, k or 1, target, probes, carriers)
    # No two images are farther apart than √n; and a cosine has no direction to compare where z could be too short.
    radius, far = claim["radius"]["l2"], math.sqrt(query["values"])
    short = min((p.length - max(1e-9, p.error)) / p.lipschitz if p.cosine else math.inf for p in probes)
    high = min(far * (1.0 + 1e-15), min(reach, short) - min(1.98 * p.error / p.lipschitz for p in probes))
    low, edge = min(far, reach, short) - slack * amplified, 2.0 * slack * amplified
    need(0.0 < radius <= high, f"the radius is at most {max(0.0, high)!r}, the proof says {radius!r}")
    proper = (radius >= low) == claim["tight"] and (claim["tight"] or kind == "not-a-copy")
    need(proper, f"the radius that follows is at least {low!r}, the proof says {radius!r}")
    against = each.min(initial=math.inf) if other is None else each[items == other].min(initial=math.inf)
    need((other is None and against >= low) or against <= low + edge, "another rival limits the radius, or none")
    close("RMSE", claim["radius"]["rmse"], 255.0 * radius / far)
    close("PSNR", claim["radius"]["psnr"], -20.0 * math.log10(radius / far), 1.0)
    name = item["id"] if item else ""
    words = {
        "first-place": f"item {name} is in first place",
        "among-k": f"item {name} is among the first {k}",
        "copy": "the verdict is: a copy" + f" of item {name}" * bool(item),
        "not-a-copy": "the verdict is: not a copy of anything in the index",
    }[kind] + gallery.words
    where = f"every image of {query['width']} x {query['height']} pixels whose l2 distance from the query is less than"
    same("sentence", claim["sentence"], f"For {where} {radius!r} (values in 0..1), {words}.")


def compare(gallery: Gallery, p: Probe, own: list[Array]) -> list[Array]:
    """Of every live row, in pixels: item, T4/T5 with its own threshold and the channel's, T1; and how far apart."""
    limits, parts = gallery.thresholds(p.number, p.threshold) if p.threshold else None, []
    for at, every in gallery.rows(p.number):
        live = gallery.live[at : at + len(every)]
        rows, items = every[live], gallery.items[at : at + len(every)][live]
        inside = np.zeros(len(rows)) if limits is None else p.signed(rows, limits[at : at + len(every)][live])
        margin = inside if limits is None or p.threshold["gaps"] is None else p.signed(rows, p.threshold["value"])
        leads = np.array([p.leads(one, rows) for one in own]).reshape(-1, 2, len(rows))
        parts.append((items, inside / p.lipschitz, margin / p.lipschitz, leads[:, 0] / p.lipschitz, leads[:, 1]))
    return [np.concatenate([part[n] for part in parts], -1) for n in range(5)]


def follow(
    gallery: Gallery, kind: str, k: int, target: int | None, probes: list[Probe], carriers: list[tuple[int, int]]
) -> tuple[float, float, Array, Array]:
    """The radius that follows, how far rounding is amplified in it, and per row its item and the radius against it."""
    rows = [[gallery.row(n, row, target) for n, row in carriers if n == p.number] for p in probes]
    parts = [compare(gallery, p, own) for p, own in zip(probes, rows, strict=True)]
    items, inside = (np.concatenate([part[n] for part in parts]) for n in (0, 1))
    if kind == "copy":  # T9: the largest over rows
        return float(inside[(items == target) | (target is None)].max()), 1.0, items, np.zeros(0)
    if kind == "not-a-copy":
        return float(-inside.max()), 1.0, items, -inside
    others, per_item = items != target, np.full((1, len(gallery.live)), math.inf)
    if len(parts) == 1:  # T1, T2, T3 by the scores of one probe: each carrier against the worst row of each item
        leads, grown = parts[0][3], np.ones(len(items))
        need(len(leads) == 1 or (len(leads) and kind == "among-k"), "one carrier is needed, or some for among-k")
        per_item = np.repeat(per_item, len(leads), 0)
        for one, line in zip(leads, per_item, strict=True):
            np.minimum.at(line, items[others], one[others])
        each = np.where(others, leads.max(0), math.inf)
    else:  # T9: every row against half the lead of the item's margin, or T1 within its probe
        best = np.full(len(gallery.live), -math.inf)
        np.maximum.at(best, items, np.concatenate([part[2] for part in parts]))
        per_item[0] = np.where(best > -math.inf, 0.5 * (best[target] - best), math.inf)
        per_item[0, target], best_leads = math.inf, []
        for p, own, (_, _, margin, leads, widths) in zip(probes, rows, parts, strict=True):
            lead, more, tau = 0.5 * (best[target] - margin), np.ones(len(margin)), p.threshold["value"]
            for one, width, row in zip(leads, widths, own, strict=True):
                within = np.minimum(one, row @ p.z / p.lipschitz) if p.cosine and 0.0 <= tau < 1.0 else lead
                more = np.where(within > lead, 1.0 + 2.0 / (np.sqrt(1.0 - tau * tau) * np.maximum(width, 1e-12)), more)
                lead = np.maximum(lead, within)
            best_leads.append((lead, more))
        each, grown = (np.concatenate([pair[n] for pair in best_leads]) for n in (0, 1))
        each = np.where(others, each, math.inf)
    kth, first = float(np.append(np.sort(per_item.max(0)), math.inf)[min(k - 1, per_item.shape[1])]), int(each.argmin())
    if kind == "among-k" and (len(parts) == 1 or not carriers or kth >= each[first]):
        return kth, 1.0, items, np.zeros(0)
    return float(each[first]), float(grown[first]), items, each if kind == "first-place" else np.zeros(0)


def main(arguments: Sequence[str] | None = None, check: Callable[..., Finding] = verify) -> int:
    """Print the verdict; 0 confirmed, 1 refuted, 2 unsupported."""
    parser = argparse.ArgumentParser(description="Check a proof of retr: confirmed, refuted or unsupported.")
    parser.add_argument("proof", type=Path)
    parser.add_argument("--index", type=Path, required=True, help="folder of the index")
    parser.add_argument("--image", type=Path, help="the query's file [default: the path that the proof names]")
    parser.add_argument("--any-checker", action="store_true", help="although the proof names another checker")
    options = parser.parse_args(arguments)
    found = check(options.proof, options.index, options.image, any_checker=options.any_checker)
    print(": ".join(filter(None, found)))
    return ("confirmed", "refuted", "unsupported").index(found.verdict)


if __name__ == "__main__":
    sys.exit(main())
