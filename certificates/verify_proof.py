"""Checks one proof of retr (docs/proofs.md) by itself: Python, numpy and Pillow, and no line of retr's own code.

    python verify_proof.py PROOF.json --index INDEX [--image QUERY]

Everything that the proof says is computed again from the image, the model file and *every* row of the index. How an
image is embedded is in verify_network.py, what an index holds in verify_index.py, which lie beside this file. The
verdict is *confirmed*, *refuted* (something said is false) or *unsupported* (this file cannot tell). T1 to T10 are
theorems of docs/theory.md.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageFile, features

try:
    from . import verify_index as index
    from . import verify_network as network
except ImportError:  # as a script
    import verify_index as index
    import verify_network as network

TYPE, PREDICATE, FORMAT = "https://in-toto.io/Statement/v1", "urn:retr:certificate:2", "retr.certificate/2"
KINDS, RANKS = ("first-place", "among-k", "copy", "not-a-copy"), ("first-place", "among-k")
MOST_BYTES = 4 << 20
FLAT = 8  # levels: a picture none of whose channels spans more shows nothing
FILES = ("verify_network.py", "verify_index.py", "verify_proof.py")
Array = Any  # a numpy array
Gallery = index.Gallery
need, same, close = network.need, network.same, network.close
refute, unsupported, sha256, canonical = network.refute, network.unsupported, network.sha256, network.canonical


class Finding(NamedTuple):
    """What was found: ``verdict`` is confirmed, refuted or unsupported; ``why`` a sentence, empty if confirmed."""

    verdict: str
    why: str = ""


def verify(proof: Path, home: Path, image: Path | None = None, *, any_checker: bool = False) -> Finding:
    """Check a proof: its JSON file, the folder of the index, and the query's file (None: the path that it names).

    ``any_checker``: go on although the proof names another version of this file.
    """

    def check() -> None:
        said = read_proof(proof, SHAPES)
        pinned(said, FILES, any_checker)
        pixels, gallery = check_image(said, image), Gallery(said, Path(home))
        check_claim(said, gallery, *check_probes(said, gallery, pixels))

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
"index": {"snapshot": "s", "sha256": "s", "rows_scanned": "i", "rows_total": "i", "where": ["s"], "unsilenced": "b",
  "certified_only": "b"},
"channels": [{"name": "s", "model_digest": "s", "score": "s", "dim": "i", "lipschitz": {"value": "f", "method": "s"},
  "threshold?": {"value": "f", "source": "s", "offset": "f?", "share": "f?", "gaps": "s?"}}],
"probes": [{"channel": "i", "view": "s", "resize": {"value": "f", "method": "s"}, "lipschitz": "f",
  "forward_error": "f", "z": {"norm": "f", "sha256": "s", "float64": "s"}}], "carriers": [["i"]],
"target": [{"probe": "i", "row": "i", "score": "f", "threshold": "f?", "signed": "f?"}],
"rival?": {"item": {"id": "s", "path": "s", "bytes_sha256": "s", "pixels_sha256": "s"},
  "rows": [{"probe": "i", "row": "i", "score": "f", "threshold": "f?", "signed": "f?"}]},
"versions": {"retr": "s", "python": "s", "numpy": "s", "torch": "s", "faiss": "s"},
"checker": {"name": "s", "sha256": "s"}, "digest": "s"}}""")
SHAPES: dict[str, Any] = dict.fromkeys(KINDS, SHAPE)
TYPES: Any = {"s": str, "i": int, "f": float, "b": bool, "o": dict}  # a question mark: or null


def read_proof(path: Path, shapes: dict[str, Any]) -> Any:
    """The predicate in a file: bounded in size, every number finite, exactly the fields of its kind."""
    need(path.is_file() and path.stat().st_size <= MOST_BYTES, f"a proof is a file of at most {MOST_BYTES} bytes")
    hooks: Any = {"parse_int": _number, "parse_float": _number, "parse_constant": _number}
    found = json.loads(path.read_bytes().decode(), object_pairs_hook=_object, **hooks)
    need(isinstance(found, dict) and found.get("_type") == TYPE, "this is no in-toto Statement")
    said = found.get("predicate", {})
    if isinstance(said, dict) and "digest" in said:  # whoever edits may make it anew: it is no reason to believe
        bare = {**found, "predicate": {name: one for name, one in said.items() if name != "digest"}}
        same("digest of the proof", said["digest"], canonical(bare))
    if found.get("predicateType") != PREDICATE:
        unsupported(f"this checker knows {PREDICATE}, and this is {str(found.get('predicateType'))[:60]}")
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
    need(path.stat().st_size <= policy["max_bytes"], "the policy does not allow so large a file")
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


# -- the claim: every row is compared, and the radius follows ----------------------------------------------------------


class Probe(NamedTuple):
    """A view of the query in one channel: z and its length, and what rows are compared by (T9, T10).

    ``lipschitz``: what margins are divided by, L of the snapshot times ρ; ``grown``: how many times that, at least 1,
    the constant that is proved here may be; ``error``: a bound on ‖z − f(query)‖.
    """

    number: int
    view: str
    z: Array
    length: float
    cosine: bool
    lipschitz: float
    grown: float
    error: float
    threshold: Any

    @property
    def short(self) -> float:
        """How far there is a direction to compare: beyond, z could be too short for a cosine."""
        return (self.length - max(1e-9, self.error)) / self.lipschitz if self.cosine else math.inf

    @property
    def room(self) -> float:
        """What is taken from a distance before anything follows: ¾ of ``error`` more than z errs by, in pixels."""
        return 1.75 * self.error / self.lipschitz

    def rounded(self, roundings: float, size: Any) -> Any:
        """By how much numbers that were computed of vectors of this size may be wrong, and ``room``, in pixels."""
        return self.room + network.gamma(roundings) * size / self.lipschitz

    def scores(self, rows: Array) -> Array:
        """What thresholds are compared with."""
        return network.summed(rows * self.z) / self.length if self.cosine else network.lengths(self.z - rows)

    def signed(self, rows: Array, tau: Any) -> Array:
        """T4, T5: the distance of z from the edge of each row's copy region, positive inside."""
        if not self.cosine:
            return tau - self.scores(rows)
        along = network.summed(rows * self.z)
        return self.edge(along, network.lengths(self.z - along[:, None] * rows), tau)

    def edge(self, along: Array, across: Array, tau: Any) -> Array:
        """T5, of a z that goes so far along a unit row and away from it."""
        sine = np.sqrt((1.0 - tau) * (1.0 + tau))
        apex = np.where(along > tau * self.length, self.length, -self.length)  # 90° or more from the edge
        return np.where(tau * along + sine * across <= 0.0, apex, sine * along - tau * across)

    def off(self, signed: Array, tau: Any) -> Array:
        """What is taken from ``signed``, in pixels: of a cone all is proportional to ‖z‖, of a ball to both radii."""
        return self.rounded(128, self.length) if self.cosine else self.rounded(12, np.abs(signed) + 2.0 * tau)

    def leads(self, own: Array, rows: Array) -> tuple[Array, Array]:
        """T1: the distance of z from where each row beats a row of the item; and how far apart the two are."""
        apart = own - rows
        width = network.lengths(apart)
        lead = network.summed(apart * (self.z if self.cosine else 0.5 * ((self.z - own) + (self.z - rows))))
        return np.divide(lead, width, out=np.zeros_like(lead), where=width > 0.0), width

    def leads_off(self, own: Array, rows: Array, width: Array) -> Array:
        """What is taken from ``leads``, in pixels: rows are of unit length up to rounding, which counts where near."""
        depth = math.ceil(math.log2(len(self.z) + 1))
        if not self.cosine:
            return self.rounded(depth + 8, network.lengths(self.z - own) + network.lengths(self.z - rows))
        return self.rounded(1.5 * depth + 6, self.length * (1.0 + 1.0 / np.maximum(width, 1e-300)))


class Part(NamedTuple):
    """What a probe is compared with, in pixels: (m,) item, T4/T5 for the verdict and for ranks, level of each row.

    ``leads``, ``widths``: (carriers, m) T1 of each carrier, and how far apart the two rows are; ``off``: what is taken
    from each of the first two and of leads; ``own``: level of each carrier, and how far z lies in front of it.
    """

    items: Array
    inside: Array
    margins: Array
    levels: Array
    off: Array
    leads: Array
    widths: Array
    leads_off: Array
    own: list[tuple[float, float]]

    def worse(self, mine: Array, p: Probe) -> Part:
        """The same, by as much against the claim as rounding may be: rows of the item lose what others gain."""
        more = np.where(mine, -self.off, self.off)
        own = [(level, front - p.rounded(128, p.length)) for level, front in self.own]
        changed = {"inside": self.inside + more, "margins": self.margins + more, "leads": self.leads - self.leads_off}
        return self._replace(**changed, own=own)


class Reach(NamedTuple):
    """The radius that follows, how far rounding is amplified in it, and per row its item and the radius against it.

    ``radius``: but for rounding; ``sure``: that which is proved, all rounding taken off.
    """

    radius: float
    sure: float = math.nan
    amplified: float = 1.0
    items: Array = np.zeros(0, int)
    each: Array = np.zeros(0)


def check_channel(said: Any, gallery: Gallery, number: int) -> network.Model:
    """The model of a channel, and that its name, digest and threshold are those that are stated."""
    stated, channel = said["channels"][number], gallery.snapshot["channels"][number]
    for name in ("name", "score", "dim"):
        same(name, stated[name], channel[name])
    stored, threshold = channel["threshold"], stated["threshold"]
    if threshold is None or threshold["source"] != "given":  # a number in place of the stored one
        same("threshold", threshold, stored and {name: stored.get(name) for name in threshold or stored})
    else:
        need(gallery.answering == 1, "a threshold is given only to an index of one channel")
        own = [threshold[name] for name in ("offset", "share", "gaps")]
        need(own == [None] * 3, "a threshold that is given is one for all rows")
    if threshold is not None:
        least, most = (-1.0, 1.0) if channel["score"] == "cosine" else (0.0, math.inf)
        need(least <= threshold["value"] <= most, f"nothing can be as near as a threshold of {threshold['value']!r}")
    model = network.Model(gallery.index, channel)
    same("digest of the model", (stated["model_digest"], channel["model_digest"]), (model.digest, model.digest))
    return model


def check_constant(said: Any, gallery: Gallery, number: int, net: network.Network) -> tuple[float, float]:
    """L of the snapshot, which the proof states too, and how many times that the layers prove, at least 1.

    With several channels L is part of what ranks items: a larger one would prove less, and of another item. What is
    proved here is never believed to be less, and what it is more goes off the radius.
    """
    bound, stored = said["channels"][number]["lipschitz"]["value"], gallery.snapshot["channels"][number]["lipschitz"]
    need(stored is not None, "the index says that the model is uncertified")
    proved = net.lipschitz * (1.0 + network.gamma(64))  # roundings of the product of the layers' constants
    for one in (bound, stored):
        need(proved <= one * (1.0 + network.NEAR), f"the layers prove only L ≤ {proved!r}, not {one!r}")
    close("L of the network", bound, stored)
    return stored, max(1.0, proved / stored)


def check_probes(said: Any, gallery: Gallery, pixels: Array) -> tuple[list[Probe], float]:
    """One probe for each test of the snapshot: model, threshold, view, constants, rounding, embedding, all made again.

    A view without a direction is no test and accepts nothing; also returned is how large a margin any row could have
    in such views, −∞ where there is none.
    """
    count = gallery.answering
    same("number of channels", len(said["channels"]), count)
    models, found, blind = [check_channel(said, gallery, number) for number in range(count)], [], -math.inf
    for number, view in gallery.tests():
        model, channel = models[number], said["channels"][number]
        net, rho = network.resized(index.look(pixels, view), model.side)
        model.see(net)
        constant, grown = check_constant(said, gallery, number, net)
        total, length = constant * rho, float(network.lengths(net.x))
        cosine = channel["score"] == "cosine"
        if view != "original" and cosine and length <= max(1e-9, net.error):
            blind = max(blind, (length + net.error) / total)
            continue
        need(len(found) < len(said["probes"]), f"{view} of the query is compared in channel {number}, and not stated")
        probe = said["probes"][len(found)]
        same("test", [probe["channel"], probe["view"]], [number, view])
        close("the norm of the resize", probe["resize"]["value"], rho)
        close("L", probe["lipschitz"], total)
        error = probe["forward_error"]
        need(abs(error / net.error - 1.0) <= 1e-6, f"the forward error is {net.error!r}, not {error!r}")
        raw = base64.b64decode(probe["z"]["float64"], validate=True)
        same("SHA-256 of z", probe["z"]["sha256"], sha256(raw))
        z = np.frombuffer(raw, "<f8")
        same("length of z", z.size, net.x.size)
        need(
            np.linalg.norm(z - net.x) <= 2.0 * error, f"the embedding of the query in {channel['name']} is another one"
        )
        close("the norm of z", probe["z"]["norm"], length)
        found.append(Probe(number, view, net.x, length, cosine, total, grown, net.error, channel["threshold"]))
    same("number of probes", len(said["probes"]), len(found))
    need(len(found) > 1 or blind == -math.inf, "of views that show nothing there is no rank by scores")
    return found, blind


def scope(gallery: Gallery, p: Probe) -> index.Scope:
    """What a probe is compared with."""
    return gallery.scope(p.number, p.view, p.threshold)


def check_row(gallery: Gallery, p: Probe, stated: Any, item: int | None) -> None:
    """What one row is to a probe, as stated."""
    at, one = scope(gallery, p), stated["row"]
    row = gallery.row(p.number, one, at.kept, item)[None]
    close("score", stated["score"], float(p.scores(row)[0]), 1.0)
    tau = None if p.threshold is None else float(at.limits[one])
    for name, value in (("threshold", tau), ("signed", None if tau is None else float(p.signed(row, tau)[0]))):
        same(f"type of {name}", type(stated[name]), type(value))
        close(f"{name} of a row", stated[name] or 0.0, value or 0.0, p.length if name == "signed" else 1.0)


def check_nearest(gallery: Gallery, probes: list[Probe], stated: Any, item: int | None) -> None:
    """Of an item, for each probe that meets it, the row that is nearest to the query."""
    meets = [(n, scope(gallery, p).kept & (gallery.items == item)) for n, p in enumerate(probes) if item is not None]
    same("tests that meet the item", [one["probe"] for one in stated], [n for n, mask in meets if mask.any()])
    for one in stated:
        p, mask = probes[one["probe"]], meets[one["probe"]][1]
        check_row(gallery, p, one, item)
        scores = p.scores(gallery.every(p.number, mask))
        best = float(scores.max() if p.cosine else scores.min())
        close("score of the nearest row", one["score"], best, 1.0)


def check_claim(said: Any, gallery: Gallery, probes: list[Probe], blind: float) -> None:
    """The radius, against what follows from all rows; then everything else that the claim says."""
    claim, query, rival = said["claim"], said["query"], said["rival"] or {"item": None, "rows": []}
    kind, k, item, ranks = claim["kind"], claim["k"], claim["item"], claim["kind"] in RANKS
    alone = ranks and len(probes) == 1 and not gallery.companion
    need(alone or all(p.threshold for p in probes), "there is no threshold to judge by")
    need((k is not None) == (kind == "among-k") and (k or 1) >= 1, "k belongs to among-k, and is at least 1")
    need(kind == "copy" or (item is None) == (kind == "not-a-copy"), "an item is named where none can be, or none is")
    target, other = (None if one is None else gallery.item(one) for one in (item, rival["item"]))
    carriers = [(n, row) for n, row in said["carriers"]]
    need(all(ranks and 0 <= n < len(probes) for n, _ in carriers), "carriers are of claims of rank, and of probes")
    need(len(set(carriers)) == len(carriers), "a carrier is named twice")
    check_nearest(gallery, probes, said["target"], target)
    if kind == "not-a-copy" and other is not None:
        need(
            len(rival["rows"]) == 1 and 0 <= rival["rows"][0]["probe"] < len(probes), "one row is nearest to accepting"
        )
        check_row(gallery, probes[rival["rows"][0]["probe"]], rival["rows"][0], other)
    else:
        check_nearest(gallery, probes, rival["rows"], other)
    pairs = zip(said["probes"], probes, strict=True)
    slack = max((4.0 * one["forward_error"] + 1e-10 * p.length) / p.lipschitz for one, p in pairs)
    close("slack", claim["slack"], slack)
    reach = follow(gallery, kind, k or 1, target, probes, carriers, blind)
    if ranks and gallery.companion:  # T11: first come items that a certified channel accepts, for as long as it does
        accepted = follow(gallery, "copy", 1, target, probes, [], blind)
        need(not math.isnan(accepted.radius + accepted.sure), "what follows is no number")
        reach = reach._replace(radius=min(reach.radius, accepted.radius), sure=min(reach.sure, accepted.sure))
    reach = reach if ranks else silenced(gallery, kind, reach, probes, blind)
    # No two images are farther apart than √n; and where the query itself has no direction there is no answer.
    radius, far, amplified = claim["radius"]["l2"], math.sqrt(query["values"]), reach.amplified
    short = min(p.short for p in probes if p.view == "original")
    seen = min(p.short - p.room for p in probes if p.view == "original")
    numbers = (reach.radius, reach.sure, amplified, short, slack, radius)  # none may be what no comparison holds of
    need(not any(map(math.isnan, numbers)), "what follows is no number")
    proved = min(reach.sure, seen) / (max(p.grown for p in probes) * (1.0 + network.gamma(4)))
    high = min(far * (1.0 + 1e-15), proved)
    low, edge = min(far, reach.radius, short) - slack * amplified, 2.0 * slack * amplified
    need(0.0 < radius <= high, f"the radius is at most {max(0.0, high)!r}, the proof says {radius!r}")
    loose = kind == "not-a-copy" or (kind == "copy" and gallery.banks)  # that no row accepts may be proved less far
    need(
        (radius >= low) == claim["tight"] and (claim["tight"] or loose),
        f"the radius that follows is at least {low!r}, the proof says {radius!r}",
    )
    against = reach.each[(reach.items == other) | (other is None)].min(initial=math.inf)
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


def silenced(gallery: Gallery, kind: str, reach: Reach, probes: list[Probe], blind: float) -> Reach:
    """A verdict as negative banks leave it: a copy while no row of any bank accepts; none while one bank does (T9)."""
    heard = [[follow(bank, one, 1, None, probes, [], blind) for one in KINDS[2:]] for bank in gallery.banks]
    if kind == "copy":
        silent = [reach, *(nothing for _, nothing in heard)]
        return Reach(min(one.radius for one in silent), min(one.sure for one in silent))
    return max([reach, *(accepts for accepts, _ in heard)], key=lambda one: one.radius)


def compare(gallery: Gallery, p: Probe, carriers: list[int], target: int | None) -> Part:
    """Every row that a probe is compared with, and every carrier's lead over it."""
    at = scope(gallery, p)
    own = [gallery.row(p.number, row, at.kept, target) for row in carriers]
    parts = [(np.zeros(0, int), *[np.zeros(0)] * 4, *[np.zeros((len(own), 0))] * 3)]
    for ids, rows in gallery.rows(p.number, at.kept):
        levels = np.zeros(len(ids)) if at.levels is None else at.levels[ids]
        limits = levels if at.limits is at.levels else at.limits[ids]
        margin = np.zeros(len(ids)) if at.levels is None else p.signed(rows, levels)
        inside = margin if limits is levels else p.signed(rows, limits)
        off = p.off(np.maximum(np.abs(margin), np.abs(inside)), np.maximum(levels, limits)) + np.zeros(len(ids))
        leads = np.array([p.leads(one, rows) for one in own]).reshape(-1, 2, len(rows))
        less = [p.leads_off(one, rows, width) for one, width in zip(own, leads[:, 1], strict=True)]
        less = np.array(less).reshape(-1, len(rows))
        distances = inside / p.lipschitz, margin / p.lipschitz
        parts.append((gallery.items[ids], *distances, levels, off, leads[:, 0] / p.lipschitz, leads[:, 1], less))
    fronts = [
        (0.0 if at.levels is None else at.levels[n], float(network.summed(row * p.z)) / p.lipschitz)
        for n, row in zip(carriers, own, strict=True)
    ]
    return Part(*(np.concatenate(columns, -1) for columns in zip(*parts, strict=True)), own=fronts)


def follow(
    gallery: Gallery, kind: str, k: int, target: int | None, probes: list[Probe], carriers: Any, blind: float
) -> Reach:
    """What follows from all rows of a gallery, before banks: but for rounding, and with all of it taken off."""
    own = [[row for n, row in carriers if n == place] for place in range(len(probes))]
    parts = [compare(gallery, p, some, target) for p, some in zip(probes, own, strict=True)]
    mine = [np.full(len(part.items), kind == "copy") if target is None else part.items == target for part in parts]
    worse = [part.worse(own, p) for p, part, own in zip(probes, parts, mine, strict=True)]
    cases = ([p.short for p in probes], parts), ([p.short - p.room for p in probes], worse)
    found, sure = (combine(gallery, kind, k, target, probes, shorts, some, blind) for shorts, some in cases)
    return found._replace(sure=sure.radius)


def combine(
    gallery: Gallery, kind: str, k: int, target: Any, probes: list[Probe], shorts: Any, parts: list[Part], blind: float
) -> Reach:
    """See ``follow``."""
    items, inside = (np.concatenate([part[n] for part in parts]) for n in (0, 1))
    if kind == "copy":  # T9: the largest over rows, each as far as its own view has a direction
        mine = [part.inside[(part.items == target) | (target is None)].max(initial=-math.inf) for part in parts]
        return Reach(max(map(min, mine, shorts)))
    if kind == "not-a-copy":  # what a view without a direction would accept after the least of changes, nobody knows
        unknown = blind > -math.inf or gallery.companion  # as is what a companion would
        return Reach(-math.inf if unknown else float(-inside.max(initial=-math.inf)), items=items, each=-inside)
    if len(parts) > 1 or gallery.companion:
        return by_margins(kind, k, target, probes, shorts, parts, blind)
    others, leads = items != target, parts[0].leads  # T1, T2, T3: each carrier against the worst row of each item
    need(len(leads) == 1 or (len(leads) and kind == "among-k"), "one carrier is needed, or some for among-k")
    if kind == "first-place":
        each = leads[0][others]
        return Reach(float(each.min(initial=math.inf)), items=items[others], each=each)
    per_item = np.full((len(leads), len(gallery.live)), math.inf)
    for one, line in zip(leads, per_item, strict=True):
        np.minimum.at(line, items[others], one[others])
    return Reach(smallest(per_item.max(0), k))


def smallest(values: Array, k: int) -> float:
    """The k-th smallest, ∞ where there are fewer."""
    return float(np.append(np.sort(values), math.inf)[min(k - 1, len(values))])


def by_margins(
    kind: str, k: int, target: Any, probes: list[Probe], shorts: Any, parts: list[Part], blind: float
) -> Reach:
    """Every row against half the lead of the item's margin, or T1 within its probe (T9).

    T1 says something of margins only where the rival's threshold is no more permissive than that of the item's row.
    """
    items = np.concatenate([part.items for part in parts])
    best = np.full(int(items.max(initial=target)) + 1, -math.inf)
    np.maximum.at(best, items, np.concatenate([part.margins for part in parts]))
    tops = [float(part.margins[part.items == target].max(initial=-math.inf)) for part in parts]
    top, each, grown = max(tops), [], []
    need(top > -math.inf, "no test meets the item")
    for p, part in zip(probes, parts, strict=True):
        lead, more = 0.5 * (top - part.margins), np.ones(len(part.items))
        low, high = part.levels.min(initial=math.inf), part.levels.max(initial=-math.inf)
        for one, width, (level, front) in zip(part.leads, part.widths, part.own, strict=True):
            if p.cosine and low >= 0.0 and high < 1.0:
                within = np.where(part.levels >= level, np.minimum(one, front), -math.inf)
                wider = 1.0 + 2.0 / (math.sqrt(1.0 - high * high) * np.maximum(width, 1e-12))
                more, lead = np.where(within > lead, wider, more), np.maximum(lead, within)
        each.append(lead)
        grown.append(more)
    flat, factors = np.where(items != target, np.concatenate(each), math.inf), np.concatenate(grown)
    # The view that carries the rank must keep its direction, and those without one must stay behind.
    cap, first = min(shorts[int(np.argmax(tops))], 0.5 * (top - blind)), int(flat.argmin())
    per_item = np.where(best > -math.inf, 0.5 * (top - best), math.inf)
    per_item[target] = math.inf
    kth = smallest(per_item, k)
    if kind == "among-k" and (not any(part.own for part in parts) or kth >= flat[first]):
        return Reach(min(kth, cap))
    found = Reach(min(float(flat[first]), cap), amplified=float(factors[first]), items=items, each=flat)
    return found if kind == "first-place" else found._replace(items=np.zeros(0, int), each=np.zeros(0))


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
