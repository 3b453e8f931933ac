"""Every planted fault that makes a radius too large is refuted by the independent checker too, and the control is not.

Each engine below has one fault of this folder's other files and writes the proofs of its own answers. The checker knows
the index and the image only.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import Claimed, draw_pictures, save_pictures, small_index
from proved import found_in, proofs_from, save_small
from torch.nn import functional

from retr.core.types import UpperBound
from retr.embedding.contract import Embedder
from retr.embedding.layers import linear, sll_conv
from retr.embedding.layers.linear import LinearDense
from retr.embedding.network import NetworkEmbedder
from retr.retrieval import decide_one as decide_module
from retr.retrieval.engine import Engine


def file_of_faults(name: str) -> Any:
    """A file beside this one, as a module: tests are no package."""
    spec = importlib.util.spec_from_file_location(f"proved_{name}", Path(__file__).with_name(f"test_{name}_faults.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


IN_EMBEDDING, IN_RETRIEVAL, IN_ROUNDING, IN_GAPS = map(file_of_faults, ("embedding", "retrieval", "rounding", "gap"))
Patch = pytest.MonkeyPatch
Plant = Callable[[Engine, Patch], Engine]


def embedder_of(engine: Engine) -> Embedder:
    (channel,) = engine.channels
    return channel.embedder


def with_embedder(engine: Engine, embedder: Embedder) -> Engine:
    (channel,) = engine.channels
    return replace(engine, channels=(replace(channel, embedder=embedder),))


def times(engine: Engine, factor: float) -> Engine:
    """The same map under a smaller constant."""
    inner = embedder_of(engine)
    rounding = inner.rounding(torch.float64)
    assert inner.lipschitz is not None
    assert rounding is not None
    claim = UpperBound(inner.lipschitz.value * factor, "as stated")
    return with_embedder(engine, Claimed(inner.forward, claim, input_size=inner.input_size, rounding=rounding.value))


def a_constant_one_in_a_thousand_too_small(engine: Engine, patch: Patch) -> Engine:
    return times(engine, 0.999)


def a_kernel_bounded_before_it_is_rounded(engine: Engine, patch: Patch) -> Engine:
    return times(engine, 1.0 - 3e-8)


def power_iteration_for_a_bound(engine: Engine, patch: Patch) -> Engine:
    inner = embedder_of(engine)
    assert isinstance(inner, NetworkEmbedder)
    patch.setattr(linear, "dense_bound", IN_EMBEDDING.power_iteration)
    fooled = NetworkEmbedder(inner.network, inner.blueprint, name=inner.name, spec=inner.spec)
    assert fooled.lipschitz is not None
    return with_embedder(engine, fooled)


def mapped(engine: Engine, change: Callable[[torch.Tensor], torch.Tensor]) -> Engine:
    """Another map than the model's, under the model's constant."""
    inner = embedder_of(engine)
    rounding = inner.rounding(torch.float64)
    assert inner.lipschitz is not None
    assert rounding is not None
    options = {"input_size": inner.input_size, "rounding": rounding.value}
    return with_embedder(engine, Claimed(lambda x: change(inner.forward(x)), inner.lipschitz, **options))


def normalised_to_the_sphere(engine: Engine, patch: Patch) -> Engine:
    return mapped(engine, lambda z: functional.normalize(z, dim=1))


def a_bias_where_the_norm_is_small(engine: Engine, patch: Patch) -> Engine:
    return mapped(engine, lambda z: functional.normalize(z + 2.0 / z.shape[1] ** 0.5, dim=1))


def batch_norm_left_unfolded(engine: Engine, patch: Patch) -> Engine:
    return mapped(engine, lambda z: z / 0.2)


def tf32_products(engine: Engine, patch: Patch) -> Engine:
    patch.setattr(LinearDense, "forward", IN_ROUNDING.tf32_product)
    return engine


def without_resize(engine: Engine, patch: Patch) -> Engine:
    (channel,) = engine.channels
    forgetful = IN_RETRIEVAL.WithoutResize(**{one.name: getattr(channel, one.name) for one in fields(channel)})
    return replace(engine, channels=(forgetful,))


def an_approximate_index(engine: Engine, patch: Patch) -> Engine:
    (channel,) = engine.channels
    store = channel.store
    parts = IN_RETRIEVAL.Partitioned(store.parts, store.starts, store.dim, store.score)
    return replace(engine, channels=(replace(channel, store=parts),))


def a_shortlist_too_short(engine: Engine, patch: Patch) -> Engine:
    return replace(engine, parts=(IN_RETRIEVAL.FourAndNoMore(engine.channels, engine.gallery.table),))


def a_tie_given_infinite_radius(engine: Engine, patch: Patch) -> Engine:
    patch.setattr(decide_module, "pair_radii", IN_RETRIEVAL.positive_margins_only)
    return engine


def a_threshold_that_moves_with_the_query(engine: Engine, patch: Patch) -> Engine:
    return replace(engine, parts=(IN_GAPS.MeasuredFromTheQuery(engine.channels, engine.gallery.table),))


def abs_missing_in_a_residual_block(engine: Engine, patch: Patch) -> Engine:
    """The model file has the fault, and the engine that reads it as well (:func:`test_a_planted_fault_is_refuted`)."""
    return engine


def blended(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    pairs = zip(pictures[:20], pictures[20:40], strict=True)
    return [(0.6 * a + 0.4 * b).astype(np.uint8) for a, b in pairs]


NETWORK, MEANS, RESIDUAL = "network", "block-means:4", "residual"
CASES: list[tuple[Plant, str, str]] = [
    (a_constant_one_in_a_thousand_too_small, MEANS, "prove only L"),
    (a_kernel_bounded_before_it_is_rounded, NETWORK, "prove only L"),
    (power_iteration_for_a_bound, NETWORK, "prove only L"),
    (normalised_to_the_sphere, MEANS, "embedding of the query"),
    (a_bias_where_the_norm_is_small, MEANS, "embedding of the query"),
    (batch_norm_left_unfolded, MEANS, "embedding of the query"),
    (tf32_products, NETWORK, "embedding of the query"),
    (without_resize, "block-means", "norm of the resize"),
    (an_approximate_index, MEANS, ""),
    (a_shortlist_too_short, MEANS, ""),
    (a_tie_given_infinite_radius, MEANS, ""),
    (a_threshold_that_moves_with_the_query, MEANS, ""),
    (abs_missing_in_a_residual_block, RESIDUAL, "prove only L"),
]


@pytest.mark.parametrize(("plant", "model", "why"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_planted_fault_is_refuted(
    plant: Plant, model: str, why: str, planted: bool, tmp_path: Path, monkeypatch: Patch
) -> None:
    pictures = draw_pictures(40, side=12 if plant is without_resize else 16)
    queries = blended(pictures)[:6]
    if plant is a_shortlist_too_short:
        pictures = pictures[:6]
    if plant is a_tie_given_infinite_radius:
        left = pictures[0]
        pictures = [left, left[:, ::-1], *pictures[1:4]]
        queries = [((left.astype(np.float64) + left[:, ::-1]) / 2).astype(np.uint8), pictures[2]]
    if plant is abs_missing_in_a_residual_block and planted:
        monkeypatch.setattr(sll_conv, "conv_rows", IN_EMBEDDING.rows_without_abs)
    layer = {NETWORK: "orthogonal", RESIDUAL: "sll"}.get(model)
    spec = model if layer is None else str(save_small(tmp_path / "small.safetensors", layer=layer))
    engine = small_index(tmp_path, pictures, model=spec, views="light/1" if plant is a_shortlist_too_short else "none")
    save_pictures(tmp_path / "queries", queries)
    engine = plant(engine, monkeypatch) if planted else engine
    proofs = list(proofs_from(engine, tmp_path / "queries"))
    found = [found_in(proof.statement, tmp_path, tmp_path / "index") for proof in proofs]
    refuted = [one for one in found if one.verdict == "refuted"]
    assert found
    assert {one.verdict for one in found} <= {"confirmed", "refuted"}
    assert bool(refuted) == planted, found
    assert all(why in one.why for one in refuted), refuted


def test_a_network_that_the_checker_does_not_know_is_never_confirmed(tmp_path: Path) -> None:
    """Channels that are shifted between pixels: their proofs are *unsupported*."""
    engine = small_index(
        tmp_path, draw_pictures(6, side=16), model=str(save_small(tmp_path / "small.safetensors", layer="mix"))
    )
    save_pictures(tmp_path / "queries", draw_pictures(2, side=16))
    found = {
        found_in(p.statement, tmp_path, tmp_path / "index").verdict for p in proofs_from(engine, tmp_path / "queries")
    }
    assert found == {"unsupported"}
