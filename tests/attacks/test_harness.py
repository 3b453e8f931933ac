import math

import numpy as np
import pytest
import torch
from PIL import Image

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


def budgets(name, n):
    """Too small, and large enough, for three levels more on average."""
    if name == "one-pixel":
        return [2.0, 8.0]
    level = math.sqrt(n) / 255 if ATTACKS[name].norm == "l2" else 1 / 255
    return [2.0 * level, (10.0 if name == "square-l2" else 4.0) * level]


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "stadv"])
def test_outcomes_are_saved_reloaded_measured_and_judged(name, tmp_path):
    images = photographs()
    eps = budgets(name, images[0].size)
    effort = Effort(steps=20, queries=2500 if ATTACKS[name].sees == "decision" else 1000)
    done = run_attack(
        ATTACKS[name], Brighter(images, 3.0), subjects(images, eps), judge_mean, effort=effort, folder=tmp_path,
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
        assert (floats.verdict > (as_pixels(image).mean() + 3 / 255)) == outcome.claimed
        for trial in outcome.trials:
            assert trial.distance.within(outcome.norm, budget)
        assert (outcome.gradients >= 1) == (ATTACKS[name].sees == "gradient")
        assert outcome.forwards >= outcome.gradients
        assert outcome.loss >= outcome.first_loss
        assert outcome.zero_gradients == 0
        assert outcome.restart == 0
        outcome.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_bent_image_has_no_ball_and_is_measured(tmp_path):
    images = photographs(1)
    (done,) = run_attack(
        ATTACKS["stadv"], Brighter(images, 3.0), subjects(images, [0.0]), judge_mean, effort=EFFORT, folder=tmp_path,
        policy=POLICY,
    )  # fmt: skip
    floats, png = done.trials
    assert floats.distance.l2 > 0
    assert floats.distance.within("none", 0.0)
    # Rounded and no more: half a level at most.
    assert np.abs(np.load(floats.path) - as_pixels(np.asarray(Image.open(png.path)))).max() <= 0.5 / 255 + 1e-12


def test_smallest_changes_are_not_blown_up_in_eight_bits(tmp_path):
    images = photographs(1)
    far = 40 * math.sqrt(images[0].size) / 255
    (done,) = run_attack(
        ATTACKS["fmn-l2"], Brighter(images, 3.0), subjects(images, [far]), judge_mean, effort=EFFORT, folder=tmp_path,
        policy=POLICY,
    )  # fmt: skip
    floats, png = done.trials
    assert floats.distance.rmse == pytest.approx(3.0, rel=0.02)
    assert 0.5 * floats.distance.l2 < png.distance.l2 <= floats.distance.l2


def test_attacks_see_no_more_than_they_say(tmp_path):
    seen = {}

    def spy(name):
        def run(target, x, *, seeds, **_):
            x = x.clone().requires_grad_(True)
            loss = target.loss(x, torch.arange(len(x)))
            seen[name] = (loss.requires_grad, loss.detach().tolist())
            best = Best(x.detach())
            best.see(torch.arange(len(x)), x.detach(), loss.detach())
            return best.result()

        return run

    images = photographs()
    for sees in ("gradient", "score", "decision"):
        run_attack(
            Attack(sees, "l2", sees, False, spy(sees), "none"), Brighter(images, 3.0), subjects(images, [1.0, 1.0]),
            judge_mean, effort=EFFORT, folder=tmp_path, policy=POLICY,
        )  # fmt: skip
    assert [seen[sees][0] for sees in ("gradient", "score", "decision")] == [True, False, False]
    assert seen["score"][1] == pytest.approx([-3 / 255] * 2)
    assert seen["decision"][1] == [-1.0, -1.0]


def test_decisions_may_begin_with_an_image_that_wins(tmp_path):
    images = photographs()
    white = np.full_like(images[0], 255)

    class Close:
        """Won near white, which no noise is."""

        def loss(self, x, samples):
            return x.flatten(1).mean(1) - 0.97

    far = math.sqrt(images[0].size)
    begun = [Subject(images[0], far, 0, "a", start=white), Subject(images[1], far, 1, "b")]
    done = run_attack(
        ATTACKS["hopskipjump-l2"], Close(), begun, judge_mean, effort=Effort(queries=150), folder=tmp_path,
        policy=POLICY,
    )  # fmt: skip
    assert [outcome.claimed for outcome in done] == [True, False]
    with pytest.raises(UsageError, match="one shape"):
        run_attack(
            ATTACKS["hopskipjump-l2"], Close(), [Subject(images[0], far, 0, "a", start=white[:-1])], judge_mean,
            effort=EFFORT, folder=tmp_path, policy=POLICY,
        )  # fmt: skip


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


def test_share_of_changed_pixels_on_the_papers_scale():
    clean = np.full((10, 10, 3), 0.5)
    other = clean.copy()
    other[0, 0, 1] += 0.0004  # not by 0.001 of [−1, 1]
    other[0, 1] -= 0.0006
    other[1, :5, 2] += 0.006
    other[2] += 0.02
    distance = measure(clean, other)
    assert (distance.changed_001, distance.changed_01, distance.changed_03) == (0.16, 0.15, 0.10)
    assert distance.pixels == 17
    assert distance.within("l0", 17)
    assert not distance.within("l0", 16)
    assert measure(clean, clean).changed_001 == 0


def test_values_an_attack_left_alone_stay_exactly_as_they_were(tmp_path):
    # 1/255 is no float32: an image that went through one would differ everywhere.
    images = photographs(1)
    (done,) = run_attack(
        ATTACKS["one-pixel"], Brighter(images, 3.0), subjects(images, [2.0]), judge_mean,
        effort=Effort(queries=50), folder=tmp_path, policy=POLICY, dtype=torch.float32,
    )  # fmt: skip
    assert 1 <= done.trials[0].distance.pixels <= 2


def test_png_is_lossless(tmp_path):
    image = photographs(1)[0]
    assert np.array_equal(save_png(tmp_path / "x.png", image, policy=POLICY), as_pixels(image))


def test_effort_is_checked():
    with pytest.raises(UsageError):
        Effort(steps=0)
    with pytest.raises(UsageError):
        Effort(restarts=0)
    with pytest.raises(UsageError):
        Effort(queries=0)
    effort = Effort(steps=7, queries=300)
    assert [effort.steps_of(ATTACKS[name]) for name in ("cw-l2", "square-l2", "hopskipjump-l2")] == [7, 300, 300]
