"""Targets of attack whose optimum is known, and a small classifier."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

SHAPE = (3, 8, 8)


class Linear:
    """loss_i = <g_i, x − x0> − offset (one, or one per sample); counts what it is asked."""

    def __init__(self, g, x0, offset):
        self.g, self.x0, self.offset, self.seen = g, x0, offset, 0

    def loss(self, x, samples):
        self.seen += len(x)
        offset = self.offset[samples] if isinstance(self.offset, Tensor) else self.offset
        return (self.g[samples].to(x) * (x - self.x0[samples].to(x))).flatten(1).sum(1) - offset


class Quadratic:
    """loss = offset − ‖x − peak‖²."""

    def __init__(self, peak, offset=0.0):
        self.peak, self.offset = peak, offset

    def loss(self, x, samples):
        return self.offset - ((x - self.peak[samples].to(x)) ** 2).flatten(1).sum(1)


class Saddle:
    """loss = max(0, <g, x − x0>)² − offset: the gradient at the clean image is zero."""

    def __init__(self, g, x0, offset):
        self.g, self.x0, self.offset = g, x0, offset

    def loss(self, x, samples):
        along = (self.g * (x - self.x0[samples])).flatten(1).sum(1)
        return along.clamp(min=0.0) ** 2 - self.offset


class Moved:
    """loss = ‖x − x0‖ − offset: the gradient at the clean image is zero, and only there."""

    def __init__(self, x0, offset):
        self.x0, self.offset = x0, offset

    def loss(self, x, samples):
        return torch.linalg.vector_norm((x - self.x0[samples].to(x)).flatten(1), dim=1) - self.offset


class Scaled:
    """Another target's loss, times a factor."""

    def __init__(self, target, factor):
        self.target, self.factor = target, factor

    def loss(self, x, samples):
        return self.factor * self.target.loss(x, samples)


def problem(dtype=torch.float64, middle=True):
    """Gradients and clean images of three samples; away from the box, or on its corners."""
    generator = torch.Generator().manual_seed(1)
    g = torch.randn(3, *SHAPE, generator=generator, dtype=dtype)
    x = torch.rand(3, *SHAPE, generator=generator, dtype=dtype)
    return g, 0.45 + 0.1 * x if middle else x.round()


def best_in_ball_and_box(g, x, eps, norm):
    """max <g, δ> by bisection on the multiplier: an independent solver."""
    low, high = -x, 1 - x
    if norm == "linf":
        return float((g * torch.where(g > 0, high.clamp(max=eps), low.clamp(min=-eps))).sum())
    small, large = 0.0, 1e6
    for _ in range(200):
        s = (small + large) / 2
        delta = torch.minimum(torch.maximum(s * g, low), high)
        small, large = (s, large) if float(delta.norm()) <= eps else (small, s)
    return float((g * torch.minimum(torch.maximum(small * g, low), high)).sum())


def smallest_in_box(g, x, need):
    """min ‖δ‖ with <g, δ> ≥ need inside the box, by the same bisection."""
    low, high = -x, 1 - x
    small, large = 0.0, 1e6
    for _ in range(200):
        s = (small + large) / 2
        delta = torch.minimum(torch.maximum(s * g, low), high)
        small, large = (s, large) if float((g * delta).sum()) < need else (small, s)
    return float(torch.minimum(torch.maximum(large * g, low), high).norm())


class Margin:
    """Loss of a classifier: the best other logit minus the label's. Two classes are enough for it."""

    def __init__(self, net, labels):
        self.net, self.labels = net, labels

    def loss(self, x, samples):
        logits = self.net(x)
        own = nn.functional.one_hot(self.labels[samples], logits.shape[1]).bool()
        return logits.masked_fill(own, -torch.inf).amax(1) - logits[own]


class CrossEntropy:
    """Cross-entropy less a constant, so that it is never won; keeps what it was shown."""

    def __init__(self, net, labels):
        self.net, self.labels, self.shown = net, labels, []

    def loss(self, x, samples):
        self.shown.append(x.detach().clone())
        return nn.functional.cross_entropy(self.net(x), self.labels[samples], reduction="none") - 1e3


@functools.cache
def classifier(classes: int = 4) -> tuple[nn.Module, Tensor, Tensor]:
    """A network of float32 trained for a second on blurred noise: it, and 16 images that it gets right."""
    generator = torch.Generator().manual_seed(classes)
    prototypes = torch.rand(classes, 3, 4, 4, generator=generator)
    labels = torch.randint(classes, (256,), generator=generator)
    noise = 0.35 * torch.randn(256, 3, 16, 16, generator=generator)
    images = (nn.functional.interpolate(prototypes[labels], size=16) + noise).clamp(0, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 12, 5, stride=2), nn.ELU(), nn.Conv2d(12, 16, 3), nn.ELU(), nn.Flatten(),
            nn.Linear(16 * 16, classes),
        )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    net.eval().requires_grad_(False)
    right = torch.nonzero(net(images).argmax(1) == labels).flatten()[:16]
    return net, images[right], labels[right]
