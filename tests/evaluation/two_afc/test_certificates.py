"""Certified 2AFC on pictures: below what an attack needs, in three forms, with the resize counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retr.core.errors import ModelError, UsageError
from retr.embedding.registry import load_embedder
from retr.evaluation.two_afc.certificates import certify_triplets
from retr.images.resize import resize_operator
from retr.metrics.embedders import FACTS, embedder_metric
from retr.training.students import parse_student

TINY = "retr_s:image=16,widths=16+32,depths=1+1,dim=16"


def tiny(score):
    student = parse_student(TINY)
    return student.shipped(student.network(0), score)


MODELS = {
    "block-means": lambda: load_embedder("block-means:4"),
    "network, cosine": lambda: tiny("cosine"),
    "network, euclidean": lambda: tiny("euclidean"),
}


def as_metric(embedder):
    return embedder_metric(embedder, FACTS, spec="retr:test")


def pictures(count: int, side: int, seed: int = 0) -> np.ndarray:
    """(3, n, S, S, 3) uint8: blocks of colour; the left candidate is the reference with noise, the right with more."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(40, 216, size=(count, 4, 4, 3))
    reference = coarse.repeat(side // 4, axis=1).repeat(side // 4, axis=2)
    noise = draw.normal(size=(2, count, 4, 4, 3)).repeat(side // 4, axis=2).repeat(side // 4, axis=3)
    left, right = reference + 10 * noise[0], reference + 25 * noise[1]
    return np.clip(np.stack([reference, left, right]), 0, 255).astype(np.uint8)


def planes(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255.0


@pytest.fixture(scope="module", params=MODELS)
def embedder(request):
    return MODELS[request.param]()


def attack(metric, images, moves, size, sign):
    """Least lead of the nearer candidate that sign-less gradient steps find while each mover stays within ``size``."""
    clean = [planes(part) for part in images]
    moved = [torch.zeros_like(part) for part in clean]
    radius = torch.from_numpy(size)[:, None, None, None]
    best = torch.full((len(size),), torch.inf, dtype=torch.float64)
    for number in range(25):
        leaves = [m.detach().requires_grad_() for m in moved]
        now = [(c + m).clamp(0, 1) if who in moves else c for who, (c, m) in enumerate(zip(clean, leaves, strict=True))]
        lead = (metric.distance(now[0], now[1]) - metric.distance(now[0], now[2])) * sign
        best = torch.minimum(best, lead.detach())
        slopes = torch.autograd.grad(lead.sum(), [leaves[who] for who in moves])
        for who, slope in zip(moves, slopes, strict=True):
            length = slope.flatten(1).norm(dim=1).clamp(min=1e-30)[:, None, None, None]
            step = leaves[who].detach() - 2.0 / (1 + number) * radius * slope / length
            step = (clean[who] + step).clamp(0, 1) - clean[who]
            excess = (step.flatten(1).norm(dim=1)[:, None, None, None] / radius).clamp(min=1.0)
            moved[who] = step / excess
    return best.numpy()


MOVES = {"radius_sound": [(0,)], "radius_one": [(1,), (2,)], "radius_all": [(0, 1, 2)]}


@pytest.mark.parametrize("form", MOVES)
def test_an_attack_on_the_metric_stays_outside(embedder, form):
    images = pictures(6, 24)
    found = certify_triplets(embedder, *images)
    metric = as_metric(embedder)
    sign = torch.from_numpy(found.chosen.astype(np.float64))
    radius = getattr(found, form)
    assert (found.chosen != 0).all()
    assert (radius > 0).all()
    for moves in MOVES[form]:
        assert (attack(metric, images, moves, radius * (1 - 1e-9), sign) > 0).all()
    if "block-means" in embedder.name and form == "radius_sound":
        assert (attack(metric, images, (0,), 1.3 * radius, sign) <= 0).any()


def test_choices_are_the_metrics(embedder):
    images = pictures(8, 16, seed=4)
    metric = as_metric(embedder)
    lead = metric.distance(planes(images[0]), planes(images[1])) - metric.distance(planes(images[0]), planes(images[2]))
    assert certify_triplets(embedder, *images).chosen.tolist() == lead.sign().tolist()


def test_forms_are_ordered(embedder):
    found = certify_triplets(embedder, *pictures(8, 16))
    assert (found.radius_all <= found.radius_sound).all()
    assert (found.radius_all <= found.radius_one).all()
    assert found.withheld == (None,) * 8


def test_the_published_form_is_of_cosine_models_only():
    euclidean = certify_triplets(tiny("euclidean"), *pictures(3, 16))
    assert np.isnan(euclidean.radius_published).all()
    assert not euclidean.published_holds.any()
    assert "cosine" in (euclidean.published_withheld or "")


@pytest.mark.parametrize("contrast", [1, 100])
def test_published_is_sound_over_the_length_and_flagged(contrast):
    """Images of a hundredth of the contrast have embeddings shorter than 1: there the paper's figure is no proof."""
    model, images = load_embedder("block-means:4"), pictures(3, 16)
    images = 0.5 + (images / 255.0 - 0.5) / contrast
    found = certify_triplets(model, *images)
    x = torch.from_numpy(images[0]).permute(0, 3, 1, 2)
    lengths = model.forward(x).norm(dim=1).numpy()
    assert found.published_withheld is None
    assert found.radius_published * lengths == pytest.approx(found.radius_sound, rel=1e-9)
    room = lengths - found.lipschitz.value * found.radius_published
    assert found.published_holds.tolist() == (room >= 1).tolist()
    assert found.published_holds.all() == (contrast == 1)
    assert (found.radius_published > found.radius_sound).all() == (contrast == 100)


def test_the_resize_counts():
    """Shrinking by two has norm ½: a radius in pixels of the larger image is twice as large."""
    model, images = load_embedder("block-means:4"), pictures(4, 32)
    small = certify_triplets(model, *images)
    large = certify_triplets(model, *images.repeat(2, axis=2).repeat(2, axis=3))
    operator = resize_operator((64, 64), model.input_size)
    assert large.lipschitz.value == pytest.approx(1.0 * operator.norm.value)
    assert large.values == 4 * small.values
    assert large.radius_sound / small.radius_sound == pytest.approx(np.full(4, 2.0), rel=0.2)


def test_floats_and_bytes_agree_and_the_batch_does_not_matter(embedder):
    images = pictures(5, 16)
    one, other = certify_triplets(embedder, *images), certify_triplets(embedder, *(images / 255.0), batch=2)
    assert one.radius_all == pytest.approx(other.radius_all, rel=1e-6)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_flat_image_is_withheld_with_the_reason(which):
    images = pictures(2, 16)
    images[which, 1] = 90
    found = certify_triplets(load_embedder("block-means:4"), *images)
    assert found.withheld[0] is None
    assert f"the {('reference', 'left', 'right')[which]} image is flat" in (found.withheld[1] or "")
    assert found.chosen[1] == 0
    assert np.isnan([found.radius_sound[1], found.radius_all[1], found.radius_published[1]]).all()
    assert not found.published_holds[1]
    assert np.isfinite([found.radius_sound[0], found.radius_all[0], found.radius_published[0]]).all()


def test_what_cannot_be_certified_is_refused():
    images = pictures(1, 16)
    unproved = tiny("cosine")
    unproved.lipschitz, unproved.uncertified_because = None, "a layer that nobody knows"
    with pytest.raises(ModelError, match="certifies nothing: a layer that nobody knows"):
        certify_triplets(unproved, *images)
    with pytest.raises(UsageError, match="of one shape"):
        certify_triplets(load_embedder("block-means:4"), images[0], images[1], images[2, :, :8])
    with pytest.raises(UsageError, match="lie in"):
        certify_triplets(load_embedder("block-means:4"), *(images.astype(np.float64)))
