"""Checks proofs of edits: one claim for every member of a family, with any change up to ε on top (T12).

    python verify_ranges.py PROOF.json --index INDEX [--image QUERY]

Every member, or every cell of the range, is made again here; files, rows and networks are read by the three files that
lie beside this one. It checks what they check, too. T12 is a theorem of docs/theory.md.
"""

from __future__ import annotations

import functools
import io
import itertools
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

try:
    from . import verify_network as network
    from . import verify_proof as base
except ImportError:  # as a script
    import verify_network as network
    import verify_proof as base

Array = Any  # a numpy array
need, same, close = network.need, network.same, network.close
FILES = (*base.FILES, "verify_ranges.py")
CELL = {"low": ["f"], "high": ["f"], "at": ["i"], "members": ["i"], "r": ["f"], "moved": ["f"], "own": ["f?"]}
FAMILY = {"name": "s", "asked": "s", "program": "s", "parameters": ["s"], "low": ["f"], "high": ["f"]}
LEFT_OUT = ("carriers", "target", "rival?")
CLAIMS = ("copy", "not-a-copy", "first-place")
OUTWARD = 1e-7  # levels by which ends are moved outward before they are rounded: more than float64 loses on the way
LARGEST, MOST_MEMBERS, MOST_CELLS = 4_000_000_000, 400_000, 4096  # pixels of all members together; members; cells


def _ranges() -> dict[str, Any]:
    item, said = base.SHAPE["predicate"]["claim"]["item?"], base.SHAPE["predicate"]
    claim = {"kind": "s", "sentence": "s", "what": "s", "item?": item, "eps": {"value": "f", "unit": "s"}}
    kept = {name: shape for name, shape in said.items() if name not in LEFT_OUT}
    own = {
        "claim": {**claim, "radius": {"l2": "f", "rmse": "f", "psnr": "f?"}},
        "probes": [{"channel": "i", "view": "s"}],
    }
    cells = {"cells": [{**CELL, "rival": ["f?"]}], "family": {**FAMILY, "pixels_sha256": ["s"]}}
    return {**base.SHAPE, "predicate": {**kept, **own, **cells}}


SHAPES = {**base.SHAPES, "ranges": _ranges()}


def verify(proof: Path, home: Path, image: Path | None = None, *, any_checker: bool = False) -> base.Finding:
    """As ``verify_proof.verify``, of every kind of proof."""

    def check() -> None:
        said = base.read_proof(proof, SHAPES)
        edits = said["claim"]["kind"] == "ranges"
        base.pinned(said, FILES if edits else base.FILES, any_checker)
        pixels, gallery = base.check_image(said, image), base.Gallery(said, Path(home))
        if edits:
            check_ranges(said, gallery, pixels)
        else:
            base.check_claim(said, gallery, *base.check_probes(said, gallery, pixels))

    return base.judge(check)


# -- families of edits: finitely many members ----------------------------------------------------------------------

QUALITIES = ("jpeg", "jpeg-444", "webp")
WAYS = {"flip": 1, "quarter-turns": 3}
FILTERS = {"": Image.Resampling.LANCZOS, "-bilinear": Image.Resampling.BILINEAR, "-box": Image.Resampling.BOX}
SCALED = ("rescale", *(f"downscale{kernel}" for kernel in FILTERS))
FINITE = (*QUALITIES, *WAYS, *SCALED, "downscale-jpeg", "bits", "palette", "crop")


def members(name: str, shape: Sequence[int], low: float, high: float) -> list[tuple[int, ...]]:
    """The parameters of every member of a finite family from ``low`` to ``high``, in the order of proofs."""
    height, width = shape[:2]
    if name == "crop":  # every whole window, by how much of both sides it keeps at least
        (tall, wide) = (_windows(side, low) for side in (height, width))
        if len(tall) * len(wide) > MOST_MEMBERS:
            network.unsupported(f"{len(tall) * len(wide)} crops")
        kept = ((*rows, *columns) for rows in tall for columns in wide)
        return [(y, x, h, w) for y, h, x, w in kept if low <= min(100.0 * h / height, 100.0 * w / width) <= high]
    if name in SCALED:  # every whole length of the longer side
        longer = max(height, width)
        return [(side,) for side in range(longer, 0, -1) if low <= 100.0 * side / longer <= high]
    if name == "downscale-jpeg":
        return [(tenth, q) for tenth in range(10, 0, -1) if low <= 10.0 * tenth <= high for q in range(95, 29, -1)]
    least, most = {"bits": (1, 8), "palette": (2, 256)}.get(name, (1, WAYS.get(name, 100)))
    need(least <= low <= high <= most and low == int(low) and high == int(high), f"{name} from {low} to {high}")
    if name in WAYS:
        need((low, high) == (least, most), f"a claim about {name} is about all of it")
        return [(way,) for way in range(1, most + 1)]
    return [(step,) for step in range(int(high), int(low) - 1, -1)]


def _windows(side: int, low: float) -> list[tuple[int, int]]:
    sizes = (size for size in range(side, 0, -1) if 100.0 * size / side >= low)
    every = ((at, size) for size in sizes for at in range(side - size + 1))
    return list(itertools.islice(every, MOST_MEMBERS + 1))


def make(name: str, pixels: Array, at: Sequence[int], policy: Any) -> Array:
    """A member's pixels, as the decoder returns them."""
    image, (height, width) = Image.fromarray(pixels), pixels.shape[:2]
    if name == "crop":
        top, left, tall, wide = at
        need(min(top, left) >= 0 and 0 < tall <= height - top and 0 < wide <= width - left, "no such window")
        return pixels[top : top + tall, left : left + wide]
    if name in WAYS:
        return pixels[:, ::-1] if name == "flip" else np.rot90(pixels, at[0])
    if name in QUALITIES:
        options: dict[str, Any] = {"format": "WEBP", "method": 4} if name == "webp" else {"format": "JPEG"}
        if name != "webp":
            options["subsampling"] = "4:4:4" if name == "jpeg-444" else "4:2:0"
        return _through(image, policy, quality=at[0], **options)
    if name == "bits":
        return np.asarray(ImageOps.posterize(image, at[0]))
    if name == "palette":
        return np.asarray(image.quantize(at[0], Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB"))
    whole = 10 if name == "downscale-jpeg" else max(height, width)
    wide, tall = (max(1, round(at[0] * side / whole)) for side in (width, height))
    kernel = FILTERS.get(name.removeprefix("downscale"), FILTERS[""])
    made = image.resize((wide, tall), kernel)
    if name == "downscale-jpeg":
        return _through(made, policy, format="JPEG", quality=at[1], subsampling="4:2:0")
    return np.asarray(made.resize((width, height), kernel) if name == "rescale" else made)


def _through(image: Image.Image, policy: Any, **options: Any) -> Array:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return base.decode(buffer.getvalue(), policy)


# -- families of edits: a box of parameters, each of which moves every value one way -----------------------------------

LUMA = np.array([299.0, 587.0, 114.0]) / 1000.0


def luma(p: Array) -> Array:
    """(H, W, 1) grey levels, ITU-R 601."""
    return (p @ LUMA)[..., None]


def exposed(p: Array, stops: float) -> Array:
    """Linear light of sRGB, times 2^stops."""
    v = p / 255.0
    light = np.minimum(np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4) * 2.0**stops, 1.0)
    return 255.0 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1.0 / 2.4) - 0.055)


ONE_WAY: dict[str, Callable[[Array, float], Array]] = {
    "brightness": lambda p, f: f * p,
    "contrast": lambda p, f: 128.0 + f * (p - 128.0),
    "contrast-mean": lambda p, f: luma(p).mean() + f * (p - luma(p).mean()),
    "saturation": lambda p, f: luma(p) + f * (p - luma(p)),
    "fade-white": lambda p, a: p + a * (255.0 - p),
    "fade-black": lambda p, a: p - a * p,
    "gamma": lambda p, g: 255.0 * (p / 255.0) ** g,
    "exposure": exposed,
}
FACTOR, FADE = [(0.0, 100.0)], [(0.0, 1.0)]
CONTINUOUS = {  # of each parameter, how far edits of that name go
    "brightness": FACTOR,
    "contrast": FACTOR,
    "contrast-mean": FACTOR,
    "saturation": FACTOR,
    "fade-white": FADE,
    "fade-black": FADE,
    "gamma": [(0.01, 100.0)],
    "exposure": [(-10.0, 10.0)],
    "brightness-contrast": FACTOR * 2,
    "rotation": [(-180.0, 180.0)],
    "shift": [(-100.0, 100.0)] * 2,
    "blur": [(0.0, 4.0)],
}


def rounded(levels: Array) -> Array:
    """Clipped to 0…255 and rounded: both keep order."""
    return np.rint(np.clip(levels, 0.0, 255.0))


def enclose(name: str, pixels: Array, low: Sequence[float], high: Sequence[float]) -> tuple[Array, Array]:
    """(H, W, 3) levels twice: the least and the largest value that any member of a cell has there."""
    p = pixels.astype(np.float64)
    if name in ("rotation", "shift"):
        return moved(name, p, low, high)
    if name == "blur":
        return blurs(p, low[0], high[0])
    if name in ONE_WAY:
        ends = [ONE_WAY[name](p, end) for end in (low[0], high[0])]
    else:  # brightness, rounded, then contrast: each value is extreme at the corners
        dark, bright = rounded(low[0] * p - OUTWARD), rounded(high[0] * p + OUTWARD)
        ends = [ONE_WAY["contrast"](end, factor) for end in (dark, bright) for factor in (low[1], high[1])]
        need(low[0] >= 0.0, "brightness is no negative factor")
    return rounded(np.minimum.reduce(ends) - OUTWARD), rounded(np.maximum.reduce(ends) + OUTWARD)


def moved(name: str, p: Array, low: Sequence[float], high: Sequence[float]) -> tuple[Array, Array]:
    """Bilinear values in the middle of the cell, and by how much any on the way to another member can differ.

    On a way of at most (1, 1) pixels v changes by at most down·|vertical difference| + across·|horizontal difference|,
    the largest of the 3×3 squares about the place (docs/theory.md).
    """
    height, width = p.shape[:2]
    y, x = np.meshgrid(np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij")
    middle, half = ([0.5 * (a + s * b) for a, b in zip(high, low, strict=True)] for s in (1.0, -1.0))
    if name == "rotation":
        angle, arc = math.radians(middle[0]), math.radians(half[0])
        rows, columns = math.cos(angle) * y + math.sin(angle) * x, math.cos(angle) * x - math.sin(angle) * y
        radius = np.hypot(y, x)  # each pixel is read on an arc, on which its slopes grow by at most arc·radius
        ways = (arc * np.minimum(np.abs(one) + arc * radius, radius) for one in (columns, rows))
        down, across = (way * (1.0 + 1e-9) + 1e-9 for way in ways)
    else:
        rows, columns = y - middle[0], x - middle[1]
        down, across = (np.full_like(y, way * (1.0 + 1e-12)) for way in half)
    if max(down.max(), across.max()) > 1.0:
        return np.zeros_like(p), np.full_like(p, 255.0)
    wide = np.pad(p, ((3, 3), (3, 3), (0, 0)))
    rows = np.clip(rows + (height - 1) / 2 + 3, 1.0, height + 4.0 - 1e-9)
    columns = np.clip(columns + (width - 1) / 2 + 3, 1.0, width + 4.0 - 1e-9)
    top, left = rows.astype(int), columns.astype(int)
    v, u = (rows - top)[..., None], (columns - left)[..., None]
    upper, lower = (wide[top + n, left] * (1.0 - u) + wide[top + n, left + 1] * u for n in (0, 1))
    steep, flat = np.abs(np.diff(wide, axis=0)), np.abs(np.diff(wide, axis=1))
    steep, flat = np.maximum(steep[:, :-1], steep[:, 1:]), np.maximum(flat[:-1], flat[1:])
    change = _around(steep)[top, left] * down[..., None] + _around(flat)[top, left] * across[..., None]
    value, room = upper * (1.0 - v) + lower * v, change + 0.5 + OUTWARD  # rounding moves a value by half a level
    return np.maximum(value - room, 0.0), np.minimum(value + room, 255.0)


def _around(slopes: Array) -> Array:
    wide = np.pad(slopes, ((1, 1), (1, 1), (0, 0)))
    tall = np.maximum(np.maximum(wide[:-2], wide[1:-1]), wide[2:])
    return np.maximum(np.maximum(tall[:, :-2], tall[:, 1:-1]), tall[:, 2:])


PLACES = np.arange(-16, 17)  # pixels that a blur reads along each axis


def weights(sigma: float) -> Array:
    """Of a Gaussian blur of this width along one axis; so narrow that nothing beside the middle counts, it has one."""
    found = np.exp(-0.5 * (PLACES / sigma) ** 2) if sigma >= 1e-3 else (PLACES == 0).astype(float)
    return found / found.sum()


def windows(p: Array, reach: int, axis: int) -> Array:
    """(…, 2·reach + 1) what lies about each place along an axis, edges continued."""
    wide = np.pad(p, [(reach, reach) if n == axis else (0, 0) for n in range(3)], mode="edge")
    return np.lib.stride_tricks.sliding_window_view(wide, 2 * reach + 1, axis=axis)


def blurs(p: Array, low: float, high: float) -> tuple[Array, Array]:
    """Values under the middle width, and by how much any under another of the cell can differ (docs/theory.md).

    A weight rises while the variance is below its place squared, and then falls. Those of two widths have one sum, so
    of values near a pixel half of their range counts, of those beyond ``reach`` all of 255.
    """
    own, ends, squares = weights(0.5 * (low + high)), (weights(low), weights(high)), PLACES**2
    (first, last), least, most = (float(squares @ end) for end in ends), np.minimum(*ends), np.maximum(*ends)
    top = 1.0 / (2.0 * np.abs(PLACES) + 1.0)  # no more than each weight that is nearer to the middle
    if low > 1e-3:
        top = np.minimum(top, most + (high - low) * (last - first) * top / low**3)
    peaks = (squares > first * (1.0 - 1e-9)) & (squares < last * (1.0 + 1e-9))
    most = np.where(peaks, np.maximum(most, top), most)
    change, reach = np.maximum(most - own, own - least) + 1e-12, min(16, max(1, math.ceil(3.0 * high)))
    beyond = np.abs(PLACES) > reach
    inside, outside, tail = change[~beyond].sum(), change[beyond].sum(), (own + change)[beyond].sum()
    value = large = small = p
    for axis in (0, 1):
        value, large = windows(value, 16, axis) @ own, windows(large, reach, axis).max(-1)
        small = windows(small, reach, axis).min(-1)
    room = inside * (large - small) + 510.0 * (outside + inside * tail) + 0.5 + OUTWARD
    return np.maximum(value - room, 0.0), np.minimum(value + room, 255.0)


# -- a cover: every member is near a representative, in every channel --------------------------------------------------


class Cell(NamedTuple):
    """Some members and what stands for them; c channels.

    ``seen``: per channel the representative, resized; ``r``, ``rho``: (m, c) distance from it and ρ of each member;
    ``eps``: (m,) ε in ℓ2; ``rounding``: per channel, of any member's resize.
    """

    seen: list[network.Network]
    r: Array
    rho: Array
    eps: Array
    rounding: list[float]

    @property
    def moved(self) -> Array:
        """(m, c) how far the resized image can be from the representative."""
        return self.r + self.rho * self.eps[:, None]


class Cover:
    """What a proof covers a family with: members and cells are made again, and held against what is stated."""

    def __init__(self, said: Any, pixels: Array, models: Sequence[network.Model]) -> None:
        self.said, self.pixels, self.models = said, pixels, models
        self.family, self.policy, self.lens = said["family"], said["decode"]["policy"], functools.cache(self._lens)

    def budget(self, values: int) -> float:
        """ε of an image with so many values, in ℓ2."""
        amount, unit = self.said["claim"]["eps"]["value"], self.said["claim"]["eps"]["unit"]
        need(unit in ("rmse", "l2", "psnr") and (amount >= 0.0 or unit == "psnr"), "ε is in rmse, l2 or psnr")
        return {"rmse": amount * math.sqrt(values) / 255.0, "l2": amount}.get(
            unit, math.sqrt(values) * 10.0 ** (-amount / 20.0)
        )

    def _lens(self, size: tuple[int, int], n: int) -> tuple[Array, Array, float, float]:
        """R of a channel for images of a size: the resize, and the sums of k×k values over k where it begins so.

        No entry is negative, and the sums have norm 1: ρ is that of the resize.
        """
        side, k = self.models[n].side, self.models[n].sums
        down, across, rho, error = network.lens(size, side)
        down, across = (one.reshape(side // k, k, -1).sum(1) / math.sqrt(k) for one in (down, across))
        return down, across, rho, error + (k > 1) * network.gamma(k * k + 1) * math.sqrt(3 * side**2)

    def see(self, levels: Array) -> list[Array]:
        """Per channel, (3, h, w) of an image (H, W, 3) in levels."""
        planes = (levels / 255.0).transpose(2, 0, 1)
        lenses = [self.lens(levels.shape[:2], n) for n in range(len(self.models))]
        return [np.stack([one[0] @ plane @ one[1].T for plane in planes]) for one in lenses]

    def network(self, n: int, seen: Array) -> network.Network:
        """A representative on its way into a model: members have values in [0, 1] before sums, in [0, k] after."""
        return network.Network(seen.clip(0.0, self.models[n].sums), self.models[n].side * math.sqrt(3.0))

    def of_sizes(self, sizes: Sequence[tuple[int, int]]) -> tuple[Array, Array, list[float]]:
        """For members of these sizes (m, c) ρ and (m,) ε; per channel the largest rounding."""
        lenses = {size: [self.lens(size, n)[2:] for n in range(len(self.models))] for size in set(sizes)}
        rho = np.array([[one[0] for one in lenses[size]] for size in sizes])
        rounding = [max(one[n][1] for one in lenses.values()) for n in range(len(self.models))]
        return rho, np.array([self.budget(3 * height * width) for height, width in sizes]), rounding

    def cells(self) -> list[Cell]:
        """All of them, which together hold every member of what is claimed."""
        name, low, high = self.family["name"], self.family["low"], self.family["high"]
        need(len(low) == len(high) == len(self.family["parameters"]), "each parameter has a range")
        if name not in (*FINITE, *CONTINUOUS) or len(self.said["cells"]) > MOST_CELLS:
            network.unsupported(f"edits of family {name[:40]}, or more than {MOST_CELLS} cells")
        spans = CONTINUOUS.get(name, [(-math.inf, math.inf)])
        need(len(low) == len(spans) and all(map(float.__le__, low, high)), "a range has two ends")
        named = all(least <= a and b <= most for (least, most), a, b in zip(spans, low, high, strict=True))
        need(named, f"no edits by {name} go from {low} to {high}")
        return self.finite(low[0], high[0]) if name in FINITE else self.continuous(low, high)

    def finite(self, low: float, high: float) -> list[Cell]:
        """Every member is made, or cut out, and compared with the representative of its cell."""
        name, stated = self.family["name"], self.said["cells"]
        every = members(name, self.pixels.shape, low, high)
        held = [at for cell in stated for at in cell["members"]]
        same("members of the cells", sorted(held), list(range(len(every))))
        need(every and not any(cell["low"] or cell["high"] for cell in stated), "cells of members have no ends")
        of = np.empty(len(every), dtype=int)
        for number, cell in enumerate(stated):
            need(cell["members"], "a cell holds members")
            of[cell["members"]] = number
        made = [self.see(make(name, self.pixels, self.representative(cell["at"]), self.policy)) for cell in stated]
        seen = [np.stack([one[n] for one in made]) for n in range(len(self.models))]
        far, sizes = self.crops(every, seen, of) if name == "crop" else self.others(every, seen, of)
        rho, eps, rounding = self.of_sizes(sizes)
        r, networks = far + 3.0 * np.array(rounding), [[self.network(n, x) for n, x in enumerate(one)] for one in made]
        parts = [np.flatnonzero(of == number) for number in range(len(stated))]
        return [Cell(net, r[at], rho[at], eps[at], rounding) for net, at in zip(networks, parts, strict=True)]

    def representative(self, at: Sequence[int]) -> Sequence[int]:
        """The parameters of one, refused where no image of a reasonable size has them."""
        name = self.family["name"]
        one = (max(self.pixels.shape) if name in SCALED else 256,)
        most = {"crop": (1 << 20,) * 4, "downscale-jpeg": (10, 100)}.get(name, one)
        fits = len(at) == len(most) and all(0 <= value <= top for value, top in zip(at, most, strict=True))
        need(fits, f"{at} is no edit of {name}")
        return at

    def others(self, every: Sequence[Any], seen: Sequence[Array], of: Array) -> tuple[Array, list[tuple[int, int]]]:
        """(m, c) distances and the sizes of members that are made one by one; their pixels are those that are named."""
        name, digests = self.family["name"], self.family["pixels_sha256"]
        same("number of members", len(digests), len(every))
        far, sizes, total = np.empty((len(every), len(seen))), [], 0
        for at, parameters in enumerate(every):
            one = np.ascontiguousarray(make(name, self.pixels, parameters, self.policy))
            (height, width), total = one.shape[:2], total + one.size // 3
            if total > LARGEST:
                network.unsupported("the members of the family are too many to make")
            found = network.sha256(f"{height}x{width}x3:".encode() + one.tobytes())
            base.same_pixels(self.said, f"SHA-256 of the pixels of {name} {parameters}", digests[at], found)
            sizes.append((height, width))
            far[at] = [np.linalg.norm(mine - own[of[at]]) for mine, own in zip(self.see(one), seen, strict=True)]
        return far, sizes

    def crops(self, every: Sequence[Any], seen: Sequence[Array], of: Array) -> tuple[Array, list[tuple[int, int]]]:
        """The same for windows of the query: all that lie in the same columns are resized across at once."""
        need(not self.family["pixels_sha256"], "windows have the query's own pixels")
        rows, columns = (sorted({(one[n], one[n + 2]) for one in every}) for n in (0, 1))
        place = {(one[0], one[2], one[1], one[3]): at for at, one in enumerate(every)}
        far, planes = np.empty((len(every), len(seen))), (self.pixels / 255.0).transpose(0, 2, 1)
        for n, own in enumerate(seen):
            for start in range(0, len(columns), 64):
                block = columns[start : start + 64]
                wide = [planes[:, :, left : left + w] @ self.lens((w, w), n)[1].T for left, w in block]
                flat = np.stack(wide, 1).reshape(len(planes), -1)  # H, columns · 3 · w
                for top, h in rows:
                    down = self.lens((h, h), n)[0] @ flat[top : top + h]
                    crops = down.reshape(len(down), len(block), 3, -1).transpose(1, 2, 0, 3)
                    at = [place[(top, h, *column)] for column in block]
                    far[at, n] = np.sqrt(((crops - own[of[at]]) ** 2).sum((1, 2, 3)))
        return far, [(h, w) for _, _, h, w in every]

    def continuous(self, low: Sequence[float], high: Sequence[float]) -> list[Cell]:
        """Cells that cover the box of parameters; every member of one is within half of the middle, value by value."""
        name, stated, found = self.family["name"], self.said["cells"], []
        need(
            not self.family["pixels_sha256"] and not any(cell["at"] or cell["members"] for cell in stated), "no members"
        )
        for cell in stated:
            need(len(cell["low"]) == len(cell["high"]) == len(low), "a cell has two ends for each parameter")
            need(all(map(float.__le__, cell["low"], cell["high"])), "a cell goes from its lower to its upper end")
        boxes = np.array([[cell["low"], cell["high"]] for cell in stated])
        need(len(stated) and covers(boxes, low, high), "the cells do not cover the range")
        rho, eps, rounding = self.of_sizes([self.pixels.shape[:2]])
        for cell in stated:
            least, most = enclose(name, self.pixels, cell["low"], cell["high"])
            seen = [self.network(n, one) for n, one in enumerate(self.see((least + most) / 2.0))]
            far = [float(np.linalg.norm(one)) for one in self.see((most - least) / 2.0)]
            found.append(Cell(seen, np.array([far]) + 3.0 * np.array(rounding), rho, eps, rounding))
        return found


def covers(boxes: Array, low: Sequence[float], high: Sequence[float]) -> bool:
    """Whether closed boxes, (n, 2, d), tile another: each piece that their sides cut it into is in one of them."""
    ends = list(zip(low, high, strict=True))
    cuts = [np.unique(np.clip([*boxes[:, :, axis].ravel(), a, b], a, b)) for axis, (a, b) in enumerate(ends)]
    if math.prod(len(cut) for cut in cuts) > 10**6:
        network.unsupported("a cover of so many cells")
    middles = [(cut[:-1] + cut[1:]) / 2.0 if len(cut) > 1 else cut for cut in cuts]
    points = np.stack(np.meshgrid(*middles, indexing="ij"), -1).reshape(-1, len(cuts))
    held = np.zeros(len(points), dtype=int)
    for least, most in boxes:
        held += ((points >= least) & (points <= most)).all(1)
    beyond = [boxes[:, 0].min(0) - low, high - boxes[:, 1].max(0)]  # of two parameters cells may go on
    return bool((held == 1).all()) and (
        len(ends) > 1 or np.abs(beyond).max() <= network.NEAR * max(1.0, *map(abs, ends[0]))
    )


# -- the claim: at every representative every row is compared, and the claim reaches all members of its cell -----------


def check_ranges(said: Any, gallery: base.Gallery, pixels: Array) -> None:
    """One claim, in every cell."""
    claim, numbers = said["claim"], list(range(gallery.answering))
    what, item = claim["what"], claim["item"]
    need(
        what in CLAIMS and (item is None) == (what == "not-a-copy"),
        "what is claimed is copy, not-a-copy or first-place",
    )
    if gallery.pairs:
        network.unsupported("edits of a query whose views are compared, too")
    alone = "claims about edits speak of certified channels alone, as if no bank were negative"
    need(not gallery.banks and not gallery.companion, alone)
    same("tests", [[one["channel"], one["view"]] for one in said["probes"]], [[n, "original"] for n in numbers])
    target = None if item is None else gallery.item(item)
    same("number of channels", len(said["channels"]), len(numbers))
    models = [base.check_channel(said, gallery, number) for number in numbers]
    tests = [Test(said, gallery, number, target) for number in numbers]
    need(all(one.threshold for one in tests) or (what == "first-place" and len(tests) == 1), "there is no threshold")
    cover = Cover(said, pixels, models)
    for stated, cell in zip(said["cells"], cover.cells(), strict=True):
        for number, (model, net) in enumerate(zip(models, cell.seen, strict=True)):
            net.error = cell.rounding[number]
            model.see(net)
            tests[number].lipschitz, tests[number].grown = base.check_constant(said, gallery, number, net)
        own, rival, holds = stand(what, tests, cell)
        named = f"the cell at {stated['at'] or [stated['low'], stated['high']]}"
        need(holds.all(), f"{what} does not follow for every member of {named}")
        for name, found in (
            ("r", cell.r.max(0).tolist()),
            ("moved", cell.moved.max(0).tolist()),
            ("own", own),
            ("rival", rival),
        ):
            same(f"number of {name}", len(stated[name]), len(found))
            for one, other in zip(stated[name], found, strict=True):
                need((one is None) == (other is None), f"{name} of {named} is {other}, the proof says {one}")
                close(f"{name} of {named}", one or 0.0, other or 0.0, 1.0)
    words = sentence(said, gallery)
    same("sentence", claim["sentence"], words)
    radius, n = claim["radius"], pixels.size
    close("ε", radius["l2"], cover.budget(n))
    close("RMSE", radius["rmse"], 255.0 * cover.budget(n) / math.sqrt(n))
    need((radius["psnr"] is None) == (radius["l2"] == 0.0), "there is a PSNR where ε is not 0")
    if radius["psnr"] is not None:
        close("PSNR", radius["psnr"], -20.0 * math.log10(radius["l2"] / math.sqrt(n)), 1.0)


def sentence(said: Any, gallery: base.Gallery) -> str:
    """The claim in words."""
    claim, family = said["claim"], said["family"]
    ends = zip(family["low"], family["high"], strict=True)  # what the proof calls its program and numbers is testimony
    item, value = (claim["item"] or {}).get("id"), claim["eps"]["value"]
    near = {
        "rmse": f"whose RMSE from it (levels of 0..255) is at most {value!r}",
        "l2": f"whose l2 distance from it (values in 0..1) is at most {value!r}",
        "psnr": f"whose PSNR against it is at least {value!r} dB",
    }[claim["eps"]["unit"]]
    what = {
        "first-place": f"item {item} is in first place",
        "copy": f"the verdict is: a copy of item {item}",
        "not-a-copy": "the verdict is: not a copy of anything in the index",
    }[claim["what"]]
    return (
        f"For every edit of the query by {family['name']}, {', '.join(f'{a!r} to {b!r}' for a, b in ends)}, "
        f"and every image of the edited image's size {near}, {what}{gallery.words}."
    )


class Test:
    """A channel: its live rows, the threshold of each, and which are the item's."""

    def __init__(self, said: Any, gallery: base.Gallery, number: int, target: int | None) -> None:
        stated = said["channels"][number]
        self.number, self.threshold = number, stated["threshold"]
        self.lipschitz, self.grown = math.nan, math.nan  # known when a network has run
        self.cosine = stated["score"] == "cosine"
        self.rows, scope = gallery.every(number, gallery.live), gallery.scope(number, "original", self.threshold)
        self.limits = np.zeros(len(self.rows)) if scope.limits is None else scope.limits[gallery.live]
        mine = gallery.items[gallery.live] == target
        self.mine, self.others = np.flatnonzero(mine), np.flatnonzero(~mine)

    def probe(self, net: network.Network) -> base.Probe:
        """A representative here; distances are in resized units: L is the network's alone."""
        length, constants = float(network.lengths(net.x)), (self.lipschitz, self.grown, net.error)
        return base.Probe(self.number, "original", net.x, length, self.cosine, *constants, self.threshold)

    def signed(self, p: base.Probe, rows: Array, limits: Array) -> tuple[float, Array]:
        """The largest signed distance of some rows (T4, T5), to the last digits; and all, but for cancellation."""
        tau = limits[rows]
        if not self.cosine or len(rows) < 64:
            every = p.signed(self.rows[rows], tau)
            return float(every.max(initial=-math.inf)), every
        along = (self.rows @ p.z)[rows]
        across = np.sqrt(np.maximum(p.length**2 - along**2, 0.0))
        every = p.edge(along, across, tau)
        best = np.flatnonzero(every >= every.max() - 1e-6 * p.length)
        return float(p.signed(self.rows[rows[best]], tau[best]).max()), every


Stand = tuple[list[float | None], list[float | None], Array]


def stand(what: str, tests: Sequence[Test], cell: Cell) -> Stand:
    """What is known at a representative, and (m,) whether the claim reaches each member of its cell.

    Numbers are in resized units, per channel: the item's, and the nearest rival's.
    """
    probes = [test.probe(net) for test, net in zip(tests, cell.seen, strict=True)]
    # Of the constants proved here; and sums of squares, in whatever order numpy has them.
    moved = cell.moved * ([p.grown for p in probes] + network.NEAR * np.ones(len(probes)))
    allowed = (moved < [p.short - p.room for p in probes]).all(1)  # no channel refuses the image
    nothing: list[float | None] = [None] * len(tests)
    if what == "first-place" and len(tests) == 1:
        lead, sure = first_by_scores(tests[0], probes[0])
        return [lead], nothing, allowed & (moved[:, 0] < sure)
    if what == "first-place":
        own, rival, ahead = first_by_margins(tests, probes, cell.rho, moved)
        return _known(own), _known(rival), allowed & ahead
    some = [test.mine if what == "copy" else test.others for test in tests]
    found = [test.signed(p, rows, test.limits)[0] for test, p, rows in zip(tests, probes, some, strict=True)]
    off = [p.off(np.abs(one), test.limits.max(initial=0.0)) for p, test, one in zip(probes, tests, found, strict=True)]
    known = np.array([one / p.lipschitz for p, one in zip(probes, found, strict=True)])
    if what == "copy":
        return _known(known), nothing, allowed & (moved < known - off).any(1)
    return nothing, _known(known), allowed & (moved < -known - off).all(1)


def _known(values: Any) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def first_by_scores(test: Test, p: base.Probe) -> tuple[float, float]:
    """First place by the scores of one channel (T1, T3): the best of the item's rows against the worst other row.

    As it was computed, and with all rounding taken off.
    """
    rows, scores = test.rows[test.others], p.scores(test.rows[test.others])
    far = np.sqrt(np.maximum(2.0 - 2.0 * scores, 0.0)) if p.cosine else scores  # from z, or from its direction
    scale, best = (p.length if p.cosine else 1.0), (-math.inf, -math.inf)

    def ahead(row: Array, some: Array) -> tuple[float, float]:
        lead, width = p.leads(row, rows[some])
        sure = lead / p.lipschitz - p.leads_off(row, rows[some], width)
        return float(lead.min(initial=math.inf)) / p.lipschitz, float(sure.min(initial=math.inf))

    for row in test.rows[test.mine]:
        own, lead = float(p.scores(row[None])[0]), ahead(row, np.argsort(far)[:32])
        # Two rows are no farther apart than both are from z: a lead is at least half the difference.
        bound = 0.5 * scale * (far - (math.sqrt(max(0.0, 2.0 - 2.0 * own)) if p.cosine else own)) / p.lipschitz
        left = np.flatnonzero(bound <= lead[0] + 1e-6 * max(1.0, scale / p.lipschitz))  # for cancellation in ``far``
        best = max(best, min(lead, ahead(row, left)))
    return best


def first_by_margins(
    tests: Sequence[Test], probes: Sequence[base.Probe], rho: Array, reached: Array
) -> tuple[list[float], list[float], Array]:
    """T12 over T9: the item's margin at a member, against every row of every other item at its bound, or T1 there."""
    found, own, rival, off = [], [], [], []
    for test, p in zip(tests, probes, strict=True):
        tau = np.full(len(test.rows), p.threshold["value"])  # items are ranked by the channel's own threshold
        (best, mine), (worst, every) = (test.signed(p, rows, tau) for rows in (test.mine, test.others))
        own.append(best / p.lipschitz)
        rival.append(worst / p.lipschitz)
        off.append([float(p.off(abs(one), p.threshold["value"])) for one in (best, worst)])
        found.append((test.mine[np.argsort(-mine)[:8]], every / p.lipschitz))
    less, more = np.array(off).T
    level = ((np.array(own) - less - reached) / rho).max(1)  # (m,) the item's margin, in pixels of the member
    ahead = np.isfinite(level)
    for n, (test, p, (mine, every)) in enumerate(zip(tests, probes, found, strict=True)):
        moved, tau = reached[:, n], p.threshold["value"]
        ceiling = level * rho[:, n] - moved - more[n]
        behind = rival[n] < ceiling
        if behind.all() or not (p.cosine and 0.0 <= tau < 1.0):
            ahead &= behind
            continue
        room = 1e-6 * p.length / p.lipschitz  # for cancellation in ``every``
        some = np.flatnonzero(every >= ceiling[~behind].min() - room)
        order = some[np.argsort(-every[some])]
        rows, carriers = test.rows[test.others[order]], test.rows[mine]
        within = nearly(p, carriers, rows, tau)
        exact = np.flatnonzero(within <= float(moved[~behind].max()))  # of others it is enough that they are behind
        within[exact] = -math.inf
        for row in carriers:
            lead, width = p.leads(row, rows[exact])
            taken = p.leads_off(row, rows[exact], width)
            taken += p.room * 2.0 / (math.sqrt(1.0 - tau * tau) * np.maximum(width, 1e-12))
            sure = np.minimum(lead, network.summed(row * p.z)) / p.lipschitz - taken
            within[exact] = np.maximum(within[exact], sure)
        least = np.minimum.accumulate(np.append(math.inf, within))
        above = np.searchsorted(-(every[order] + room), -ceiling, side="right")  # rows that may reach the ceiling
        ahead &= behind | (moved < least[above])
    return own, rival, ahead


def nearly(p: base.Probe, carriers: Array, rows: Array, tau: float) -> Array:
    """(m,) lower bounds on the best lead of any carrier, by products of matrices: far off where rows are near."""
    width = np.sqrt(np.maximum(2.0 - 2.0 * rows @ carriers.T, 0.0))  # to a ten millionth, from a thousandth on
    front = carriers @ p.z
    lead = np.minimum((front - (rows @ p.z)[:, None]) / np.maximum(width, 1e-3), front) - 1e-5 * p.length
    taken = p.room * (2.0 + 3.0 / (math.sqrt(1.0 - tau * tau) * np.maximum(width, 1e-3)))
    sure = np.where(width > 1e-3, lead / p.lipschitz - taken, -math.inf)
    return sure.max(1, initial=-math.inf)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdict; 0 confirmed, 1 refuted, 2 unsupported."""
    return base.main(arguments, verify)


if __name__ == "__main__":
    sys.exit(main())
