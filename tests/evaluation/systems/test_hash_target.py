"""Hashes under attack: the hash's own word, and how well its relaxation leads."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scenes import scene

from retr.attacks.apgd import apgd
from retr.attacks.hopskipjump import hopskipjump
from retr.attacks.media import as_pixels, measure
from retr.attacks.pgd import pgd
from retr.attacks.square import square
from retr.attacks.target import Sees, limited, loss_and_gradient
from retr.core.errors import UsageError
from retr.evaluation.systems import hash_target
from retr.evaluation.systems.baselines import HASHES, Hash, pack
from retr.evaluation.systems.hash_system import THRESHOLDS
from retr.evaluation.systems.hash_target import GOALS, Hashed, HashTarget, to_levels
from retr.evaluation.systems.retrieval_target import Aim

SIZE = (48, 60)
VALUES = 3 * SIZE[0] * SIZE[1]
SCENES = [scene(seed, SIZE) for seed in range(24)]


def gallery(name: str, threshold: int | None = None) -> Hashed:
    package = HASHES[name].package
    pytest.importorskip(package, reason="an optional package: pip install 'retr[baselines]'")
    words = np.stack([pack(HASHES[name].apply(image)) for image in SCENES])
    return Hashed(HASHES[name], words, THRESHOLDS[name] if threshold is None else threshold)


def planes(images: list[np.ndarray]) -> torch.Tensor:
    return torch.stack([torch.from_numpy(as_pixels(image).transpose(2, 0, 1).copy()) for image in images])


def moved(count: int, amount: float, seed: int) -> torch.Tensor:
    """The first scenes mixed with others: some are still nearest to themselves, some are not."""
    weights = np.clip(amount * np.random.default_rng(seed).random(count), 0.0, 1.0)
    mixed = [(1 - w) * as_pixels(SCENES[i]) + w * as_pixels(SCENES[-1 - i]) for i, w in enumerate(weights)]
    return torch.stack([torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in mixed])


def radius(rmse: float, count: int) -> torch.Tensor:
    return torch.full((count,), rmse / 255.0 * VALUES**0.5, dtype=torch.float64)


def distances(hashed: Hashed, x: torch.Tensor) -> np.ndarray:
    """(b, items), by unpacked bits of the image rounded to 8 bits."""
    images = np.rint(255.0 * x.permute(0, 2, 3, 1).double().numpy()).astype(np.uint8)
    rows = hashed.rows(np.arange(len(hashed.words)))
    return np.array([[(hashed.hash.apply(np.ascontiguousarray(i)) != row).sum() for row in rows] for i in images])


def reached(goal: str, aim: Aim, found: np.ndarray, threshold: int) -> bool:
    order = np.lexsort((np.arange(len(found)), found)).tolist()
    if goal == "verdict":
        return bool(found.min() <= threshold) != aim.copy
    if goal == "collision":
        return order[0] == aim.chosen
    return order.index(aim.item) >= {"evasion": 1, "rank10": 10}[goal]


class TestRounding:
    def test_an_8_bit_image_comes_back(self) -> None:
        every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
        assert np.array_equal(to_levels(as_pixels(every)), every)
        assert np.array_equal(to_levels(as_pixels(every).astype(np.float32)), every)

    def test_the_nearest_level_and_halves_to_the_even_one(self) -> None:
        levels = np.array([0.0, 0.49, 0.51, 1.5, 2.5, 254.51, 255.0])
        assert to_levels(levels / 255.0).tolist() == [0, 0, 1, 2, 2, 255, 255]

    @pytest.mark.parametrize("name", ["phash", "dhash"])
    def test_changes_below_half_a_level_are_not_seen_and_larger_ones_are_whole(self, name: str) -> None:
        """What a hash sees can be twice as far away as what was sent, and no more."""
        target = HashTarget(gallery(name), [Aim(0, copy=True)], "evasion", gradient=True)
        x, none = planes(SCENES[:1]), torch.tensor([0])
        signs = torch.from_numpy(np.random.default_rng(0).choice([-1.0, 1.0], x.shape))
        inside = torch.where((x > 0.1) & (x < 0.9), signs, 0.0)
        faint, strong = x + 0.49 / 255.0 * inside, x + 0.51 / 255.0 * inside
        assert torch.equal(target.loss(faint, none), target.loss(x, none))
        assert torch.equal(target.loss(strong, none), target.loss(x + inside / 255.0, none))
        sent, seen = (measure(as_pixels(SCENES[0]), last(y)) for y in (strong, as_planes(to_levels(last(strong)))))
        assert 1.9 < seen.rmse / sent.rmse < 2.0


def last(x: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(x[0].permute(1, 2, 0).numpy())


def as_planes(image: np.ndarray) -> torch.Tensor:
    return planes([image])


@pytest.mark.parametrize("goal", list(GOALS))
@pytest.mark.parametrize("name", list(HASHES))
class TestMargins:
    def aims(self, goal: str, count: int) -> list[Aim]:
        return [Aim(i, chosen=len(SCENES) - 1 - i, copy=i % 2 == 0) for i in range(count)]

    def test_positive_exactly_where_the_hash_says_so(self, name: str, goal: str) -> None:
        """In bits and in pixels, for float images; halves of a bit settle ties."""
        hashed, aims, count = gallery(name, {"pdq": 60}.get(name)), self.aims(goal, 8), 8
        bits, pixels = (HashTarget(hashed, aims, goal, gradient=g) for g in (False, True))
        wins = 0
        for seed in range(4):
            x = moved(count, 1.5, seed)
            won = [reached(goal, aim, d, hashed.threshold) for aim, d in zip(aims, distances(hashed, x), strict=True)]
            margins = bits.loss(x, torch.arange(count))
            assert (margins > 0).tolist() == won
            assert (margins % 1.0 == 0.5).all()
            assert (pixels.loss(x, torch.arange(count)) > 0).tolist() == won
            assert (pixels.loss(x.float(), torch.arange(count)) > 0).tolist() == (
                bits.loss(x.float(), torch.arange(count)) > 0
            ).tolist()
            wins += sum(won)
        assert 0 < wins < 4 * count

    def test_samples_say_which_aim_a_row_belongs_to(self, name: str, goal: str) -> None:
        x = moved(5, 0.5, 0)
        for gradient in (False, True):
            target = HashTarget(gallery(name), self.aims(goal, 5), goal, gradient=gradient)
            whole = target.loss(x, torch.arange(5))
            assert torch.equal(target.loss(x[[3, 1]], torch.tensor([3, 1])), whole[[3, 1]])

    def test_only_the_gradient_target_has_a_gradient_and_it_leads_upwards(self, name: str, goal: str) -> None:
        hashed, aims, x = gallery(name), self.aims(goal, 6), planes(SCENES[:6])
        blind = HashTarget(hashed, aims, goal, gradient=False).loss(x.clone().requires_grad_(True), torch.arange(6))
        assert not blind.requires_grad
        target = HashTarget(hashed, aims, goal, gradient=True)
        loss, gradient = loss_and_gradient(target, x, torch.arange(6))
        norms = gradient.flatten(1).norm(dim=1)
        assert (norms > 0.5).all()  # pixels per pixel
        ahead = (x + 2.0 * gradient / norms[:, None, None, None]).clamp(0.0, 1.0)
        after = target.loss(ahead, torch.arange(6))
        assert (after > loss).sum() >= 5


def test_the_margin_in_bits_is_the_distance_to_the_best_rival_and_to_the_threshold() -> None:
    hashed, x = gallery("phash"), planes(SCENES[:4])
    found = distances(hashed, x)
    assert (np.diag(found) == 0).all()
    evasion = HashTarget(hashed, [Aim(i) for i in range(4)], "evasion", gradient=False).loss(x, torch.arange(4))
    rivals = [-(np.delete(found[i], i) + np.where(np.arange(23) < i, -0.5, 0.5)).min() for i in range(4)]
    assert evasion.tolist() == rivals
    verdict = HashTarget(hashed, [Aim(i, copy=True) for i in range(4)], "verdict", gradient=False)
    assert verdict.loss(x, torch.arange(4)).tolist() == [-10.5] * 4


def test_an_equal_hash_wins_ties_only_with_the_lower_number() -> None:
    hashed = gallery("phash")
    twins = Hashed(hashed.hash, hashed.words[[0, 1, 1, 2]], 10)
    x = planes(SCENES[1:2])
    for own, margin in ((1, -0.5), (2, 0.5)):
        bits = HashTarget(twins, [Aim(own)], "evasion", gradient=False).loss(x, torch.tensor([0]))
        assert bits.tolist() == [margin]
    # The twin of higher number cannot win, whatever the image: the others are what there is to reach.
    loss, gradient = loss_and_gradient(HashTarget(twins, [Aim(1)], "evasion", gradient=True), x, torch.tensor([0]))
    assert -np.inf < float(loss) < 0
    assert float(gradient.norm()) > 0
    alone = Hashed(hashed.hash, hashed.words[:1], 10)
    assert HashTarget(alone, [Aim(0)], "evasion", gradient=True).loss(x, torch.tensor([0])).tolist() == [-np.inf]


def test_the_margin_in_pixels_is_the_cheapest_set_of_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against every subset of bits, for a hash whose bits are independent."""
    monkeypatch.setattr(hash_target, "_SAFETY", 1e-7)
    rng = np.random.default_rng(0)
    signs = np.zeros(2, dtype=np.int64)
    for _ in range(40):
        depths = torch.from_numpy(rng.standard_normal(8))
        bits, row, own = (depths > 0).numpy(), rng.random(8) > 0.5, rng.random(8) > 0.5
        if (row == own).all():
            continue
        relaxed = hash_target.relaxation("dhash", (8, 9))
        margin = (bits != own).sum() - (bits != row).sum() - 0.5
        enough = int(((row != own).sum() + 0.5) // 2) + 1
        duel = hash_target._Duels(np.array([margin]), row[None], own[None], np.array([enough]))
        assert float(duel.in_pixels(depths, relaxed)[0]) == pytest.approx(
            exhaustive(depths.numpy(), row, own), abs=1e-4
        )
        signs += [margin < 0, margin > 0]
    assert (signs > 5).all()


def exhaustive(depths: np.ndarray, row: np.ndarray, own: np.ndarray) -> float:
    """Distance from the depths to the nearest point where the winner changes; positive while the row wins."""

    def lead(bits: np.ndarray) -> float:
        return (bits != own).sum() - (bits != row).sum() - 0.5

    bits, best = depths > 0, np.inf
    for size in range(len(depths) + 1):
        for turned in combinations(range(len(depths)), size):
            other = bits.copy()
            other[list(turned)] ^= True
            if (lead(other) > 0) != (lead(bits) > 0):
                best = min(best, float(np.linalg.norm(depths[list(turned)])))
    return best if lead(bits) > 0 else -best


@pytest.mark.parametrize("name", list(HASHES))
class TestAttacks:
    """A copy is lost within RMSE 3, by the word of the hash on the image rounded to 8 bits."""

    COUNT = 6

    def lost(self, hashed: Hashed, x: torch.Tensor) -> int:
        return int((distances(hashed, x).min(axis=1) > hashed.threshold).sum())

    def target(self, hashed: Hashed, sees: Sees) -> HashTarget:
        aims = [Aim(i, copy=True) for i in range(self.COUNT)]
        return HashTarget(hashed, aims, "verdict", gradient=sees == "gradient")

    def test_the_surrogate_gradient_loses_copies_that_noise_does_not(self, name: str) -> None:
        hashed, x, eps = gallery(name), planes(SCENES[: self.COUNT]), radius(3.0, self.COUNT)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        noise *= (eps / noise.flatten(1).norm(dim=1))[:, None, None, None]
        assert self.lost(hashed, (x + noise).clamp(0.0, 1.0)) == 0
        for attack in (pgd, apgd):
            result = attack(
                self.target(hashed, "gradient"), x, norm="l2", eps=eps, steps=30, seeds=list(range(self.COUNT))
            )
            assert (result.x_adv - x).flatten(1).norm(dim=1).le(eps).all()
            assert self.lost(hashed, result.x_adv) == int(result.success.sum()) >= 5

    def test_the_first_place_is_lost_too(self, name: str) -> None:
        hashed, x = gallery(name), planes(SCENES[: self.COUNT])
        target = HashTarget(hashed, [Aim(i) for i in range(self.COUNT)], "evasion", gradient=True)
        result = apgd(target, x, norm="l2", eps=radius(8.0, 6), steps=30, seeds=list(range(6)))
        first = distances(hashed, result.x_adv).argmin(axis=1) != np.arange(6)
        assert first.tolist() == result.success.tolist()
        assert first.sum() >= 5

    def test_scores_or_decisions_are_enough_at_larger_budgets(self, name: str) -> None:
        hashed, x = gallery(name), planes(SCENES[: self.COUNT])
        shown, seeds = limited(self.target(hashed, "score"), "score"), list(range(self.COUNT))
        score = square(shown, x, norm="l2", eps=radius(24.0, self.COUNT), steps=200, seeds=seeds)
        assert self.lost(hashed, score.x_adv) == int(score.success.sum()) >= 2
        shown = limited(self.target(hashed, "decision"), "decision")
        assert shown.loss(x, torch.arange(self.COUNT)).tolist() == [-1.0] * self.COUNT
        decision = hopskipjump(shown, x, eps=radius(48.0, self.COUNT), steps=100, seeds=seeds)
        assert self.lost(hashed, decision.x_adv) == int(decision.success.sum()) >= 2


def test_what_cannot_be_attacked_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be attacked for the goal 'embedding'"):
        HashTarget(gallery("phash"), [Aim(0)], "embedding", gradient=False)
    other = Hashed(Hash("mine", 64, HASHES["phash"].apply, "imagehash"), gallery("phash").words, 10)
    with pytest.raises(UsageError, match="no relaxation of the hash 'mine'"):
        HashTarget(other, [Aim(0)], "evasion", gradient=True)
    assert HashTarget(other, [Aim(0)], "evasion", gradient=False).loss(planes(SCENES[:1]), torch.tensor([0])) < 0
