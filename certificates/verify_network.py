"""What an image is to a channel of an index: a resize and a network, each with its constant (T8) and its rounding.

The lowest of four files that check proofs of retr by themselves: verify_network.py, verify_index.py, verify_proof.py,
verify_ranges.py. They lie in one folder, and need Python, numpy and Pillow. T8 is a theorem of docs/theory.md.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

UNIT = 2.0**-53  # unit roundoff of float64
NEAR = 1e-9  # relative room where two programs compute one float64 number in two ways
LARGEST_SIDE, LARGEST_COUNT, LARGEST_FILE = 4096, 1 << 16, 4 << 30  # image of a network; its numbers; bytes
Array = Any  # a numpy array
LAYERS = ("orthogonal", "aol", "sll", "cpl")


class Stop(Exception):  # noqa: N818 - a verdict: refuted or unsupported, and why
    """Ends a check."""


def refute(why: str) -> NoReturn:
    """End with *refuted*."""
    raise Stop("refuted", why)


def unsupported(why: str) -> NoReturn:
    """End with *unsupported*."""
    raise Stop("unsupported", why)


def need(holds: Any, why: str) -> None:
    """End with *refuted* unless something holds."""
    if not holds:
        refute(why)


def same(what: str, stated: Any, found: Any) -> None:
    """Refute unless both are one value."""
    equal = type(stated) is type(found) and stated == found
    need(equal, f"{what} is {str(found)[:80]}, the proof says {str(stated)[:80]}")


def close(what: str, stated: float, found: float, scale: float = 0.0) -> None:
    """Refute unless both are one number, up to the rounding of numbers as large as ``scale``."""
    need(abs(stated - found) <= NEAR * max(abs(found), scale), f"{what} is {found!r}, the proof says {stated!r}")


def canonical(value: Any) -> str:
    """SHA-256 of the one spelling that a JSON value has."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256(text.encode())


def sha256(data: Any) -> str:
    """In hex digits."""
    return hashlib.sha256(data).hexdigest()


def gamma(n: float) -> float:
    """γ_n: the relative error of n float64 roundings (Higham, ASNA, §3.1)."""
    return n * UNIT / (1.0 - n * UNIT)


def summed(terms: Array) -> Array:
    """(…,) sums of (…, d) terms, which are overwritten: a tree, in which each passes ⌈log₂ d⌉ roundings."""
    while (count := terms.shape[-1]) > 1:
        half = (count + 1) // 2
        terms[..., : count - half] += terms[..., half:]
        terms = terms[..., :half]
    return terms[..., 0]


def lengths(vectors: Array) -> Array:
    """(…,) norms of (…, d), within γ of ½·log₂ d + 2 roundings."""
    return np.sqrt(summed(vectors * vectors))


@functools.cache
def axis(source: int, target: int) -> tuple[Array, float, float]:
    """The resize along one axis, an antialiased triangle: its matrix, a bound on its norm, its rounding.

    Collatz and Wielandt: the spectral radius of a non-negative G is at most max (G·v)/v, for any v > 0.
    """
    scale = source / target
    far = np.abs(np.arange(source) + 0.5 - (np.arange(target)[:, None] + 0.5) * scale) / max(scale, 1.0)
    a = np.maximum(0.0, 1.0 - far)
    a = a / a.sum(1, keepdims=True)
    short = a if target <= source else a.T
    v = np.maximum(np.abs(np.linalg.eigh(short @ short.T)[1][:, -1]), 1e-10)
    norm = math.sqrt(float(((short @ (short.T @ v)) / v).max())) * (1.0 + gamma(source + target))
    return a, norm, gamma(int((a > 0).sum(1).max()))


def symmetric_norm(matrix: Array, error: float) -> float:
    """An upper bound on ‖A‖ of a symmetric matrix that is known up to ``error``.

    With A ≈ V·Λ·Vᵀ as computed, ‖A‖ ≤ max|λ|·‖V‖² + ‖A − V·Λ·Vᵀ‖, whatever the eigenvalue routine returned.
    """
    (values, vectors), n, size = np.linalg.eigh(matrix), len(matrix), float(np.linalg.norm(matrix))
    rest = float(np.linalg.norm(matrix - (vectors * values) @ vectors.T)) + 4 * gamma(2 * n) * n * size
    skew = float(np.linalg.norm(vectors.T @ vectors - np.eye(n))) + gamma(n) * n
    return (float(np.abs(values).max()) * (1.0 + skew) + rest + error) * (1.0 + 1e-13)


def matrix_norm(matrix: Array) -> float:
    """An upper bound on the largest singular value, by the Gram matrix of the shorter side."""
    a = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    return math.sqrt(symmetric_norm(a @ a.T, gamma(a.shape[1]) * float(np.linalg.norm(a)) ** 2))


def correlations(kernel: Array) -> Array:
    """(m, m) upper bounds on Σ over shifts of |the correlations of a kernel's output channels| (T8)."""
    m, k = len(kernel), kernel.shape[-1]
    total, wide = 0.0, np.pad(kernel, ((0, 0), (0, 0), (0, k - 1), (k - 1, k - 1)))
    for down, right in [(d, r) for d in range(k) for r in range(1 - k, k) if d or r >= 0]:
        moved = wide[:, :, down : down + k, k - 1 + right : 2 * k - 1 + right]
        one = np.abs(moved.reshape(m, -1) @ kernel.reshape(m, -1).T)
        total = total + (one + one.T if down or right else one)
    lengths = np.linalg.norm(kernel.reshape(m, -1), axis=1)
    return total + (2 * k - 1) ** 2 * gamma(kernel[0].size) * np.outer(lengths, lengths)


def conv_norm(kernel: Array) -> float:
    """An upper bound on ‖K‖, zero-padded, on images of any size: the smaller of two bounds of T8.

    ‖K‖² ≤ ‖Σ over shifts of |correlations of its channels|‖ (arXiv 2208.03160, best rescaled); and the norm of its
    symbol on a grid of N×N frequencies, divided by cos(π(k−1)/N) for what lies between.
    """
    m, k = min(kernel.shape[:2]), kernel.shape[-1]
    kernel = kernel if len(kernel) == m else kernel.transpose(1, 0, 2, 3)
    if k == 1:
        return matrix_norm(kernel[:, :, 0, 0])
    bound = math.sqrt(symmetric_norm(correlations(kernel), 0.0))
    sizes = [size for size in (64, 32, 16) if size > 4 * (k - 1) and size**2 * m**3 <= 10**8]
    if bound <= 1.0 or not sizes:
        return bound
    size = sizes[0]
    symbol = np.fft.fft2(kernel, (size, size)).transpose(2, 3, 0, 1)
    top = float(np.linalg.norm(symbol, 2, axis=(2, 3)).max()) * (1.0 + NEAR)
    return min(bound, top / math.cos(math.pi * (k - 1) / size))


class Network:
    """An image on its way through layers; product of their constants, bounds on ‖computed − exact‖ and on the norm."""

    def __init__(self, x: Array, size: float) -> None:
        self.x, self.lipschitz, self.error, self.size = x, 1.0, 0.0, size

    def step(self, x: Array, bound: float, slope: float, shift: float = 0.0, offset: float = 0.0) -> None:
        """A layer with a constant, that errs by slope·‖input‖ + shift, and takes 0 to a vector of norm offset."""
        self.error = bound * self.error + slope * (self.size + self.error) + shift
        self.size, self.x, self.lipschitz = offset + bound * self.size, x, self.lipschitz * bound

    def centre(self, terms: int) -> None:
        """The mean of every channel removed: an orthogonal projection."""
        self.step(self.x - self.x.mean((1, 2), keepdims=True), 1.0, gamma(terms) + UNIT * (1.0 + gamma(terms)))

    def pool(self, k: int) -> None:
        """Sums of k×k blocks over k: orthonormal rows."""
        c, h, w = self.x.shape
        self.step(self.x.reshape(c, h // k, k, w // k, k).sum((2, 4)) / k, 1.0, gamma(k * k))

    def unshuffle(self, r: int) -> None:
        """Blocks of r×r pixels to channels: an isometry."""
        c, h, w = self.x.shape
        self.x = self.x.reshape(c, h // r, r, w // r, r).transpose(0, 2, 4, 1, 3).reshape(c * r * r, h // r, w // r)

    def affine(self, matrix: Array, bias: Array, bound: float) -> None:
        """A dense layer (m, n) or a zero-padded convolution (o, c, k, k), and a bias; |error| ≤ γ·(|A|·|x| + |b|)."""
        x = convolved(self.x, matrix) if matrix.ndim == 4 else matrix @ self.x
        over, shape = tuple(range(2, matrix.ndim)), (-1,) + (1,) * (x.ndim - 1)
        sums = np.abs(matrix).sum((1, *over)).max() * np.abs(matrix).sum((0, *over)).max()
        offset, g = math.sqrt(x.size / len(bias)) * float(np.linalg.norm(bias)), gamma(matrix[0].size + 1)
        self.step(x + bias.reshape(shape), bound, g * math.sqrt(sums), g * offset, offset)


class Model:
    """A channel's model: every tensor is hashed and every layer's constant proved once, for all images that follow."""

    def __init__(self, index: Path, channel: Any) -> None:
        kind, _, blocks = channel["spec"].partition(":")
        if channel["model_file"] is None:
            if kind != "block-means":
                unsupported(f"the model {channel['spec']} is no file of the index")
            self.side, self.sums, self.blocks, self.a, self.t = 4 * int(blocks), 4, "means", {}, {}
            self.digest = canonical({"family": "block-means", "version": 1, "blocks": int(blocks), "pixels": 4})
            need(self.side <= LARGEST_SIDE, f"no network takes images of {self.side} pixels")
            return
        file = index / channel["model_file"]
        need(file.is_file() and file.stat().st_size <= LARGEST_FILE, f"{file} is no file, or too large for a model")
        data = file.read_bytes()
        begin = 8 + int.from_bytes(data[:8], "little")
        table, digests, self.t = json.loads(data[8:begin]), {}, {}
        head = json.loads(table.pop("__metadata__")["retr"])
        for name, one in table.items():
            raw = data[begin + one["data_offsets"][0] : begin + one["data_offsets"][1]]
            same("type of a tensor", one["dtype"], "F32")
            self.t[name] = np.frombuffer(raw, "<f4").reshape(one["shape"]).astype(np.float64)
            digests[name] = {"dtype": "float32", "shape": one["shape"], "sha256": sha256(raw)}
        blueprint = {name: head[name] for name in ("family", "architecture", "input_size", "score")}
        self.digest = canonical({"blueprint": blueprint, "tensors": digests})
        self.a, self.sums, (self.side, width) = head["architecture"], 1, head["input_size"]
        same("score", channel["score"], head["score"])
        counts = [n for value in self.a.values() for n in (value if isinstance(value, list) else [value])]
        need(all(isinstance(n, str) or 0 <= n <= LARGEST_COUNT for n in counts), "no network has such numbers")
        known = {"layer": LAYERS, "activation": ("maxmin", "abs"), "centring": ("plain", "none", "homogeneous")}
        if head["family"] == "sll":  # all of it is residual blocks
            self.blocks = "sll"
        elif head["family"] == "retr" and all(self.a[name] in names for name, names in known.items()):
            self.blocks = "residual" if self.a["layer"] in ("sll", "cpl") else "plain"
        else:
            unsupported(f"networks of family {head['family']} with {self.a}")
        need(self.side == width <= LARGEST_SIDE, f"no network takes images of {self.side} × {width} pixels")
        layers = [name.rpartition(".")[0] for name in self.t if name.endswith((".kernel", ".weight"))]
        self.bounds = {layer: self.bound(layer) for layer in layers}

    def kernel(self, layer: str) -> Array:
        """The matrix of a layer; that of a residual block, if dense, as a convolution of one pixel."""
        kernel = self.t[f"{layer}.kernel"] if f"{layer}.kernel" in self.t else self.t[f"{layer}.weight"]
        return kernel[:, :, None, None] if kernel.ndim == 2 and self.blocks == "sll" else kernel

    def bound(self, layer: str) -> float:
        """Of a layer the norm of its matrix; of a residual block η, by how much the largest D·t exceeds 1.

        There t bounds W·Wᵀ, by dominance under the positive witness q or by the square of its norm (T8).
        """
        kernel = self.kernel(layer)
        if layer == "head" or self.blocks == "plain":
            return conv_norm(kernel) if kernel.ndim == 4 else matrix_norm(kernel)
        if f"{layer}.step" in self.t:  # CPL: D is one number
            t, d = np.array([conv_norm(kernel) ** 2]), self.t[f"{layer}.step"]
        else:
            q, d = self.t[f"{layer}.scale"], self.t[f"{layer}.diagonal"]
            need((q > 0.0).all(), "the witness of a residual block is positive")
            t = (correlations(kernel) @ q) / q * (1.0 + gamma(len(q) + 4))
        need((d >= 0.0).all() and kernel.shape[-1] % 2, "the theorem of residual blocks needs D ≥ 0 and an odd kernel")
        return max(0.0, float((d * t).max()) * (1.0 + 4.0 * UNIT) - 1.0)

    def block(self, net: Network, layer: str) -> None:
        """A layer and its activation, sorted pairs or absolute values; or a residual block, which holds its own.

        That is x − 2·Wᵀ·D·relu(W·x + b), whose errors are pairs (slope, shift), in the norms that D gives.
        """
        kernel, bias, bound = self.kernel(layer), self.t[f"{layer}.bias"], self.bounds[layer]
        if self.blocks == "plain":
            net.affine(kernel, bias, bound)
            top, low = np.split(net.x, 2) if self.a["activation"] == "maxmin" else (net.x, -net.x)
            net.x = np.concatenate([np.maximum(top, low), np.minimum(top, low)])[: len(bias)]
            return
        stated = f"{layer}.step" if f"{layer}.step" in self.t else f"{layer}.diagonal"
        d = np.broadcast_to(self.t[stated], len(kernel))
        root, tall, repeated = np.sqrt(d), (-1, 1, 1), math.sqrt(net.x[0].size)
        inside = d.reshape(tall) * np.maximum(convolved(net.x, kernel) + bias.reshape(tall), 0.0)
        x = net.x - 2.0 * convolved(inside, kernel.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
        w, columns = math.sqrt(1.0 + bound), float((root[:, None] * np.abs(kernel).sum((2, 3))).sum(0).max())
        c = math.sqrt(float((root * np.abs(kernel).sum((1, 2, 3))).max()) * columns)
        exact = np.array([w, repeated * float(np.linalg.norm(root * bias))])
        of_a = gamma(kernel[0].size + 1) * np.array([c, exact[1]])
        of_s = of_a + UNIT * (exact + of_a)
        product = gamma(kernel[:, 0].size) * c * (exact + of_s)
        result = np.array([1.0, 0.0]) + 2.0 * w * (exact + of_s) + 2.0 * product
        slope, shift = 2.0 * (w * of_s + product) + UNIT * result
        offset = 2.0 * w * repeated * float(np.linalg.norm(root * np.maximum(bias, 0.0)))
        net.step(x, 1.0 + 2.0 * bound, float(slope), float(shift), offset)

    def see(self, net: Network) -> Network:
        """An image of the model's size, or the sums of its blocks, on its way through all layers."""
        a, t = self.a, self.t
        if self.blocks == "means":
            if net.x.shape[1] == self.side:
                net.pool(self.sums)
            net.centre(net.x[0].size + 2)
            net.x = net.x.reshape(-1)
            return net
        if self.blocks == "sll":
            net.x = np.pad(net.x, ((0, a["channels"] - len(net.x)), (0, 0), (0, 0)))
            for block in range(a["convs"]):
                self.block(net, f"convs.{block}")
            for _ in range(a["pools"]):
                net.pool(a["pool"])
            net.x = net.x.reshape(-1, 1, 1)
            for block in range(a["denses"]):
                self.block(net, f"linear.{block + 1}")
            net.x = net.x.ravel()[: a["dim"]]
            return net
        net.centre(net.x[0].size + 1)
        net.unshuffle(a["patch"])
        for stage, (channels, depth) in enumerate(zip(a["widths"], a["depths"], strict=True)):
            if stage:
                net.unshuffle(2)
            net.x = np.pad(net.x, ((0, max(0, channels - len(net.x))), (0, 0), (0, 0)))[:channels]
            for block in range(depth):
                self.block(net, f"stage{stage}.block{block}.layer")
        net.x = net.x.reshape(-1)
        net.affine(t["head.weight"], t["head.bias"], self.bounds["head"])
        return net


def convolved(x: Array, kernel: Array) -> Array:
    """A convolution (o, c, k, k), zero-padded so that the size stays."""
    (_, h, w), k = x.shape, kernel.shape[-1]
    before, taps = (k - 1) // 2, [(u, v) for u in range(k) for v in range(k)]
    wide = np.pad(x, ((0, 0), (before, k - 1 - before), (before, k - 1 - before)))
    parts = (kernel[:, :, u, v] @ wide[:, u : u + h, v : v + w].reshape(-1, h * w) for u, v in taps)
    return sum(parts, np.zeros(())).reshape(-1, h, w)


def lens(shape: Sequence[int], side: int) -> tuple[Array, Array, float, float]:
    """Both matrices of the resize of images of a size, ρ, and a bound on its rounding."""
    (down, rho, first), (across, other, second) = (axis(source, side) for source in shape[:2])
    mass = float(down.sum(1).max() * across.sum(1).max())
    return down, across, rho * other, (first + second + first * second) * mass * math.sqrt(3 * side**2)


def resized(pixels: Array, side: int) -> tuple[Network, float]:
    """An image as it comes before a network, and ρ."""
    down, across, rho, error = lens(pixels.shape, side)
    net = Network(
        np.stack([down @ plane @ across.T for plane in (pixels / 255.0).transpose(2, 0, 1)]).clip(0.0, 1.0),
        side * math.sqrt(3.0),
    )
    net.error = error
    return net, rho
