"""Embedders as metrics: the distance of two embeddings, for any model that ``load_embedder`` builds."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ..core.errors import UsageError
from ..embedding.contract import Embedder
from ..embedding.registry import load_embedder
from ..images.resize import resize_operator
from .contract import Facts, Metric
from .packages import absent

FACTS = Facts(
    name="retr",
    title="retr:MODEL",
    source="cosine score: 1 − cos ∠(f(ref), f(img)); Euclidean score: ‖f(ref) − f(img)‖; resized as for an index",
    licence="the model's",
    weights="as `retr models list` says for MODEL",
)

NAMED: dict[str, tuple[str, str, str, str, str]] = {
    "clip": ("CLIP", "open_clip:ViT-B-32/openai", "arXiv 2103.00020", "MIT", "timm/vit_base_patch32_clip_224.openai"),
    "open-clip": (
        "OpenCLIP",
        "open_clip:ViT-B-32/laion2b_s34b_b79k",
        "arXiv 2212.07143",
        "MIT",
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    ),
    "dino": (
        "DINO",
        "timm:vit_base_patch16_224.dino",
        "arXiv 2104.14294",
        "Apache-2.0",
        "timm/vit_base_patch16_224.dino",
    ),
    "dinov2": (
        "DINOv2",
        "timm:vit_base_patch14_dinov2.lvd142m",
        "arXiv 2304.07193",
        "Apache-2.0",
        "timm/vit_base_patch14_dinov2.lvd142m",
    ),
    "dreamsim": ("DreamSim", "dreamsim", "arXiv 2306.09344", "MIT", ""),
}
"""Per name: title, model, paper, licence of its weights, and the hub's folder that holds them."""

ZERO_LENGTH = 1e-12
"""An embedding shorter than this has no direction: its distance to any other is 1, and to its like 0."""


def named_facts(name: str) -> Facts:
    """What is known of a metric of NAMED."""
    title, model, paper, licence, _ = NAMED[name]
    return replace(
        FACTS,
        name=name,
        title=title,
        source=f"{paper}; as retr:{model}",
        highest=2.0,
        licence=licence,
        weights="DreamSim's site, fetched by its package once" if name == "dreamsim" else "the hub, fetched once",
    )


def load_named(name: str) -> Metric:
    """A metric of NAMED.

    Raises:
        ModelError: where its package is absent.
        WeightsUnavailable: where its weights cannot be fetched.
    """
    embedder = load_embedder(NAMED[name][1])
    return embedder_metric(embedder, replace(named_facts(name), input_size=embedder.input_size), spec=name)


def load_retr(rest: str) -> Metric:
    """The metric ``retr:MODEL``, for every model that ``retr models list`` shows.

    Raises:
        UsageError: where no model is named, or an unknown one.
        ModelError: where it cannot be built.
        WeightsUnavailable: where its weights cannot be fetched.
    """
    if not rest:
        raise UsageError("retr: needs a model, for example retr:block-means; see: retr models list")
    embedder = load_embedder(rest)
    highest = 2.0 if embedder.score == "cosine" else float("inf")
    why = f"{FACTS.source}; model {embedder.name}"
    facts = replace(
        FACTS,
        name=f"retr:{embedder.spec}",
        title=embedder.name,
        source=why,
        highest=highest,
        input_size=embedder.input_size,
    )
    return embedder_metric(embedder, facts, spec=facts.name)


def embedder_metric(embedder: Embedder, facts: Facts, *, spec: str) -> Metric:
    """The distance of embeddings, by the embedder's own score."""

    def measure(ref: Tensor, img: Tensor) -> Tensor:
        resize = resize_operator((ref.shape[2], ref.shape[3]), embedder.input_size)
        first, second = embedder.forward(resize.apply(ref)), embedder.forward(resize.apply(img))
        if embedder.score == "euclidean":
            return _length((first - second) ** 2)
        return cosine_distance(first, second)

    return Metric(facts, measure, spec=spec, module=embedder)


def cosine_distance(first: Tensor, second: Tensor) -> Tensor:
    """1 − cosine of the angle between rows, (b, d) twice → (b,); two rows of no length are alike."""
    lengths = _length(first**2), _length(second**2)
    empty = (lengths[0] < ZERO_LENGTH) & (lengths[1] < ZERO_LENGTH)
    units = [row / length.clamp(min=ZERO_LENGTH)[:, None] for row, length in zip((first, second), lengths, strict=True)]
    return (1 - (units[0] * units[1]).sum(1)).masked_fill(empty, 0.0)


def named_missing(name: str) -> str | None:
    """Why a metric of NAMED does not run now, or None. Imports no model package."""
    extra = NAMED[name][1].partition(":")[0]  # timm always comes with retr
    return (absent(extra, extra=extra) if extra != "timm" else None) or _unfetched(name)


def _unfetched(name: str) -> str | None:
    repository = NAMED[name][4]
    hub = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser() / "hub"
    hub = Path(os.environ.get("HF_HUB_CACHE", hub))
    folder = hub / f"models--{repository.replace('/', '--')}"
    if name == "dreamsim":
        import torch

        folder = Path(torch.hub.get_dir()) / "dreamsim"
    weights = [path for path in folder.glob("**/*") if path.suffix in {".safetensors", ".bin", ".pth", ".pt", ".ckpt"}]
    return None if weights else f"its weights, fetched at first use to {folder}"


def _length(squares: Tensor) -> Tensor:
    """Root of the sum over the last axis, with slope 0 (not NaN) at 0."""
    total = squares.sum(1)
    zero = total == 0
    return total.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)
