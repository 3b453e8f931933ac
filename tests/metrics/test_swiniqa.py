"""SwinIQA with a file of random weights in its authors' layout, against its formulas window by window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from retr.core.errors import ModelError, UsageError
from retr.metrics.contract import Metric
from retr.metrics.registry import load_metric
from retr.metrics.swiniqa import CELLS, SIDE, STACKED, WIDTH, crops, enlarged, over_crops

Pair = tuple[Tensor, Tensor]
Tensors = dict[str, Tensor]
STAGES = ((96, 2, 3), (192, 2, 6), (384, 6, 12), (768, 2, 24))
"""Channels, blocks and heads of Swin-T."""
WINDOW, STEP = 7, 3


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    """Random tensors under the names that the authors' code gives them; the picture outweighs the biases."""
    generator = torch.Generator().manual_seed(3)
    found = {}
    for name, shape in _shapes().items():
        *_, owner, kind = name.split(".")
        scale = torch.Size(shape[1:]).numel() ** -0.5 if kind == "weight" and len(shape) > 1 else 0.1
        found[name] = scale * torch.randn(shape, generator=generator) + float("norm" in owner and kind == "weight")
    found["crossatten.to_patch_embedding.1.weight"] *= 30  # squared differences are small
    return found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, tensors: Tensors) -> Path:
    """As saved from several cards, beside heads that this metric does not use."""
    more = {"NR_head.0.weight": torch.zeros(10, STACKED), "comparer.0.weight": torch.zeros(32, 5, 1)}
    path = tmp_path_factory.mktemp("swiniqa") / "test_weights.pt"
    torch.save({"model": {f"module.{k}": v for k, v in (tensors | more).items()}, "epoch": 1}, path)
    return path


@pytest.fixture(scope="module")
def metric(file: Path) -> Metric:
    return load_metric(f"swiniqa:{file}")


def test_equals_its_formula_within_a_batch(metric: Metric, tensors: Tensors, pair: Pair) -> None:
    """The second row of two: were pairs to influence one another, it would differ."""
    ref, img = (x[:2] for x in pair)
    larger = [functional.interpolate(x[1:], size=(SIDE, SIDE), mode="bilinear")[0] for x in (ref, img)]
    distance = metric.distance(ref, img)
    assert torch.allclose(distance[1], _swiniqa(larger[0], larger[1], tensors), rtol=0, atol=2e-5)
    assert distance.diff().abs() > 1e-3


def test_stacks_what_every_stage_hands_on(metric: Metric, tensors: Tensors, pair: Pair) -> None:
    network: Any = metric._module
    x = enlarged(pair[1][:1])
    assert torch.allclose(network.features(x)[0], _stacked(x[0], tensors), rtol=1e-3, atol=1e-3)


def test_gradients_are_finite_also_between_an_image_and_itself(metric: Metric, pair: Pair) -> None:
    ref, img = (x[:1].double() for x in pair)
    images = torch.cat((img, ref)).requires_grad_(True)
    distance = metric.distance(torch.cat((ref, ref)), images)
    (gradient,) = torch.autograd.grad(distance.sum(), images)
    assert distance.dtype == torch.float64
    assert torch.isfinite(gradient).all()
    assert gradient[0].abs().max() > 0


def test_a_larger_image_is_the_mean_of_its_crops() -> None:
    images = torch.rand(2, 1, 3, SIDE, SIDE + 40, generator=torch.Generator().manual_seed(0))
    measured = over_crops(lambda ref, img: (ref - img).abs().mean((1, 2, 3)))(images[0], images[1])
    alone = [(images[0] - images[1])[..., cut].abs().mean() for cut in (slice(SIDE), slice(-SIDE, None))]
    assert torch.allclose(measured, torch.stack(alone).mean())
    assert alone[0] != alone[1]


@pytest.mark.parametrize(("height", "width", "count"), [(224, 224, 1), (225, 448, 4), (768, 500, 12)])
def test_crops_cover_every_pixel(height: int, width: int, count: int) -> None:
    seen = torch.zeros(1, 1, height, width)
    cut = list(crops(seen))
    for crop in cut:
        assert crop.shape == (1, 1, SIDE, SIDE)
        crop += 1  # a view of seen
    assert len(cut) == count
    assert seen.min() == 1


@pytest.mark.parametrize(("size", "larger"), [((1, 3), (224, 672)), ((300, 200), (336, 224)), ((224, 300), (224, 300))])
def test_only_small_images_are_enlarged_and_keep_their_proportions(
    size: tuple[int, int], larger: tuple[int, int]
) -> None:
    assert enlarged(torch.zeros(1, 3, *size)).shape[2:] == larger


def test_its_spec_names_the_file(metric: Metric, file: Path) -> None:
    assert metric.spec == f"swiniqa:{file.resolve()}"


def test_another_file_is_refused(tmp_path: Path) -> None:
    torch.save({"head.0.weight": torch.zeros(10, WIDTH), "head.2.weight": torch.zeros(2, 10)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match=r"other.pt lacks crossatten.pos_embedding, swin_extractor.* and \d+ more"):
        load_metric(f"swiniqa:{tmp_path / 'other.pt'}")
    with pytest.raises(UsageError, match="swiniqa:FILE"):
        load_metric("swiniqa")


def _shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor of the authors' network that the metric uses."""
    shapes: dict[str, tuple[int, ...]] = {"swin_extractor.patch_embed.proj.weight": (96, 3, 4, 4)}
    shapes |= {"swin_extractor.patch_embed.proj.bias": (96,)} | _norm("swin_extractor.patch_embed.norm", 96)
    for stage, (width, depth, heads) in enumerate(STAGES):
        name = f"swin_extractor.layers.{stage}"
        for block in range(depth):
            shapes |= _block_shapes(f"{name}.blocks.{block}", width, heads)
        if stage < 3:
            shapes |= {f"{name}.downsample.reduction.weight": (2 * width, 4 * width)}
            shapes |= _norm(f"{name}.downsample.norm", 4 * width)
    shapes |= _norm("swin_extractor.norm", 768) | {"crossatten.pos_embedding": (1, CELLS**2 + 1, WIDTH)}
    shapes |= _linear("crossatten.to_patch_embedding.1", WIDTH, STACKED)
    for layer in range(3):
        shapes |= _norm(f"crossatten.transformer.layers.0.{layer}.norm", WIDTH)
    for layer in range(2):
        name = f"crossatten.transformer.layers.0.{layer}.fn"
        shapes |= {f"{name}.to_qkv.weight": (3 * WIDTH, WIDTH)} | _linear(f"{name}.to_out.0", WIDTH, WIDTH)
    name = "crossatten.transformer.layers.0.2.fn.net"
    shapes |= _linear(f"{name}.0", 128, WIDTH) | _linear(f"{name}.3", WIDTH, 128)
    return shapes | _linear("head.0", 10, WIDTH) | _linear("head.2", 1, 10)


def _block_shapes(name: str, width: int, heads: int) -> dict[str, tuple[int, ...]]:
    shapes = _norm(f"{name}.norm1", width) | _norm(f"{name}.norm2", width)
    shapes |= _linear(f"{name}.attn.qkv", 3 * width, width) | _linear(f"{name}.attn.proj", width, width)
    shapes |= _linear(f"{name}.mlp.fc1", 4 * width, width) | _linear(f"{name}.mlp.fc2", width, 4 * width)
    return shapes | {f"{name}.attn.relative_position_bias_table": ((2 * WINDOW - 1) ** 2, heads)}


def _linear(name: str, out: int, before: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, before), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _swiniqa(ref: Tensor, img: Tensor, t: Tensors) -> Tensor:
    """The score of one crop (3, 224, 224) against its reference, step by step."""
    seen, given = _stacked(ref, t), _stacked(img, t)
    places = t["crossatten.pos_embedding"][0, : CELLS**2]
    x = _apply((given - seen) ** 2, t, "crossatten.to_patch_embedding.1") + places
    asking = _apply(seen, t, "crossatten.to_patch_embedding.1") + places
    x = x + _heads(x, x, t, "crossatten.transformer.layers.0.0")
    x = x + _heads(asking, x, t, "crossatten.transformer.layers.0.1")
    hidden = _apply(
        _normed(x, t, "crossatten.transformer.layers.0.2.norm"), t, "crossatten.transformer.layers.0.2.fn.net.0"
    )
    x = x + _apply(functional.gelu(hidden), t, "crossatten.transformer.layers.0.2.fn.net.3")
    return torch.sigmoid(_apply(_apply(x.mean(0), t, "head.0").relu(), t, "head.2"))[0]


def _heads(asking: Tensor, answering: Tensor, t: Tensors, name: str) -> Tensor:
    """Eight heads one after the other: queries of one, keys and values of the other."""
    weight = t[f"{name}.fn.to_qkv.weight"]
    queries = _normed(asking, t, f"{name}.norm") @ weight[:WIDTH].T
    keys, values = (_normed(answering, t, f"{name}.norm") @ weight[i * WIDTH : (i + 1) * WIDTH].T for i in (1, 2))
    cut = [slice(64 * head, 64 * head + 64) for head in range(8)]
    parts = [torch.softmax(queries[:, c] @ keys[:, c].T / 8, dim=1) @ values[:, c] for c in cut]
    return _apply(torch.cat(parts, dim=1), t, f"{name}.fn.to_out.0")


def _stacked(x: Tensor, t: Tensors) -> Tensor:
    """(3, 224, 224) → (784, 2112)."""
    name = "swin_extractor.patch_embed"
    h = functional.conv2d(x, t[f"{name}.proj.weight"], t[f"{name}.proj.bias"], stride=4).permute(1, 2, 0)
    h = _normed(h, t, f"{name}.norm")  # 56 56 96
    handed_on = []
    for stage, (_, depth, heads) in enumerate(STAGES):
        for block in range(depth):
            step = STEP if block % 2 and len(h) > WINDOW else 0
            h = _block(h, heads, step, t, f"swin_extractor.layers.{stage}.blocks.{block}")
        if stage < 3:
            h = torch.cat((h[::2, ::2], h[1::2, ::2], h[::2, 1::2], h[1::2, 1::2]), dim=2)
            h = _normed(h, t, f"swin_extractor.layers.{stage}.downsample.norm")
            h = h @ t[f"swin_extractor.layers.{stage}.downsample.reduction.weight"].T
        handed_on.append(functional.interpolate(h.permute(2, 0, 1)[None], size=(CELLS, CELLS), mode="bilinear")[0])
    return torch.cat(handed_on).flatten(1).T


def _block(h: Tensor, heads: int, step: int, t: Tensors, name: str) -> Tensor:
    """Attention inside windows of 7 × 7 that begin ``step`` later and wrap; wrapped places see only their like."""
    side, width = h.shape[1:]
    asked = _apply(_normed(h, t, f"{name}.norm1"), t, f"{name}.attn.qkv").reshape(side**2, 3, heads, -1)
    places = torch.arange(WINDOW).repeat_interleave(WINDOW), torch.arange(WINDOW).repeat(WINDOW)
    apart = [p[:, None] - p[None, :] + WINDOW - 1 for p in places]
    bias = t[f"{name}.attn.relative_position_bias_table"][apart[0] * (2 * WINDOW - 1) + apart[1]].permute(2, 0, 1)
    mixed = torch.zeros(side**2, width, dtype=h.dtype)
    for top in range(step, side + step, WINDOW):
        for left in range(step, side + step, WINDOW):
            y, x = places[0] + top, places[1] + left
            index = (y % side) * side + x % side
            kind = 2 * (y >= side).long() + (x >= side).long()
            queries, keys, values = asked[index].permute(1, 2, 0, 3)
            weights = queries @ keys.mT / keys.shape[2] ** 0.5 + bias
            weights = weights.masked_fill(kind[:, None] != kind[None, :], -torch.inf).softmax(dim=2)
            mixed[index] = (weights @ values).transpose(0, 1).flatten(1)
    h = h + _apply(mixed, t, f"{name}.attn.proj").reshape(side, side, width)
    hidden = functional.gelu(_apply(_normed(h, t, f"{name}.norm2"), t, f"{name}.mlp.fc1"))
    return h + _apply(hidden, t, f"{name}.mlp.fc2")


def _apply(x: Tensor, t: Tensors, name: str) -> Tensor:
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]


def _normed(x: Tensor, t: Tensors, name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    spread = torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5)
    return centred / spread * t[f"{name}.weight"] + t[f"{name}.bias"]
