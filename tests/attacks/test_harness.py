import math

import numpy as np
import pytest
import torch

from retr.attacks.harness import Effort, Subject, run_attack
from retr.attacks.media import as_pixels, measure, save_png, to_bytes
from retr.attacks.registry import ATTACKS, Attack
from retr.attacks.result import Best
from retr.core.errors import UsageError
from retr.images.policy import DecodePolicy

POLICY = DecodePolicy()
EFFORT = Effort(steps=10)


class Brighter:
    """Won once the mean rises by more than ``need`` levels."""

    def __init__(self, clean, need):
        self.base = torch.stack([torch.tensor(as_pixels(c).mean()) for c in clean])
        self.need = need

    def loss(self, x, samples):
        return x.flatten(1).mean(1) - self.base[samples].to(x) - self.need / 255


def photographs(count=2, shape=(12, 10, 3)):
    return list(np.random.default_rng(0).integers(60, 190, (count, *shape), dtype=np.uint8))


def judge_mean(images):
    return [float(pixels.mean()) for pixels in images]


def subjects(images, eps):
    return [Subject(image, e, seed, f"s{seed}") for seed, (image, e) in enumerate(zip(images, eps, strict=True))]


@pytest.mark.parametrize("name", list(ATTACKS))
def test_outcomes_are_saved_reloaded_measured_and_judged(name, tmp_path):
    images = photographs()
    n = images[0].size
    eps = [2 * math.sqrt(n) / 255, 4 * math.sqrt(n) / 255] if name.endswith("l2") else [2 / 255, 4 / 255]
    done = run_attack(
        ATTACKS[name], Brighter(images, 3.0), subjects(images, eps), judge_mean, effort=EFFORT, folder=tmp_path,
        policy=POLICY,
    )  # fmt: skip
    assert [outcome.claimed for outcome in done] == [False, True]
    for outcome, image, budget in zip(done, images, eps, strict=True):
        floats, png = outcome.trials
        assert (floats.medium, png.medium) == ("float", "png")
        saved = np.load(floats.path)
        assert floats.verdict == saved.mean()
        assert floats.distance == measure(as_pixels(image), saved)
        assert png.verdict > as_pixels(image).mean()
        for trial in outcome.trials:
            assert trial.distance.within(outcome.norm, budget)
        assert outcome.gradients >= 1
        assert outcome.forwards >= outcome.gradients
        outcome.discard()
    assert list(tmp_path.iterdir()) == []


def test_an_attack_that_leaves_its_ball_is_projected_back(tmp_path):
    def cheat(target, x, *, eps, **_):
        best = Best(x)
        best.see(torch.arange(len(x)), x + 3.0, torch.ones(len(x), dtype=x.dtype))
        return best.result()

    images = photographs()
    eps = [0.1, 0.2]
    done = run_attack(
        Attack("cheat", "l2", "gradient", False, cheat, "none"), Brighter(images, 0.0), subjects(images, eps),
        judge_mean, effort=EFFORT, folder=tmp_path, policy=POLICY,
    )  # fmt: skip
    for outcome, budget in zip(done, eps, strict=True):
        assert 0.999 * budget < outcome.trials[0].distance.l2 <= budget


def test_images_of_different_shapes_are_refused(tmp_path):
    images = [*photographs(1), *photographs(1, (10, 12, 3))]
    with pytest.raises(UsageError, match="one shape"):
        run_attack(
            ATTACKS["pgd-l2"], Brighter(images, 0.0), subjects(images, [1, 1]), judge_mean, effort=EFFORT,
            folder=tmp_path, policy=POLICY,
        )  # fmt: skip


def test_distance_is_rounded_up_and_zero_only_for_equal_images():
    clean = as_pixels(photographs(1)[0])
    assert measure(clean, clean).l2 == 0
    assert measure(clean, clean).psnr is None
    other = np.clip(clean + np.random.default_rng(1).normal(0, 0.01, clean.shape), 0, 1)
    distance = measure(clean, other)
    exact = math.sqrt(math.fsum(float(v) ** 2 for v in (other - clean).ravel()))
    assert exact <= distance.l2 <= exact * (1 + 1e-12)
    assert distance.linf >= np.abs(other - clean).max()
    assert distance.rmse == pytest.approx(255 * exact / math.sqrt(clean.size))
    assert distance.psnr == pytest.approx(-20 * math.log10(distance.rmse / 255))


@pytest.mark.parametrize("level", [0.2, 0.7, 1.5, 6.0])
def test_eight_bit_image_keeps_the_budget_and_uses_it(level):
    image = photographs(1)[0]
    clean = as_pixels(image)
    noise = np.random.default_rng(2).normal(0, 1, clean.shape)
    eps = level * math.sqrt(clean.size) / 255
    rounded = to_bytes(image, clean + noise * eps / np.linalg.norm(noise), kind="l2", eps=eps)
    distance = measure(clean, as_pixels(rounded))
    assert distance.l2 <= eps
    assert distance.l2 >= 0.8 * eps


def test_png_is_lossless(tmp_path):
    image = photographs(1)[0]
    assert np.array_equal(save_png(tmp_path / "x.png", image, policy=POLICY), as_pixels(image))


def test_effort_is_checked():
    with pytest.raises(UsageError):
        Effort(steps=0)
