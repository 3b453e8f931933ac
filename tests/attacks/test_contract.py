"""What every attack must keep, whatever it does."""

import pytest
import torch
from attack_problems import Linear, Moved, Quadratic, Scaled, problem

from retr.attacks.projections import size
from retr.attacks.registry import ATTACKS
from retr.attacks.target import limited

EVERY = list(ATTACKS)
SEEDS = [11, 12, 13]
STEPS = {"gradient": 8, "score": 60, "decision": 60}
SCALE_FREE = [name for name, attack in ATTACKS.items() if attack.sees == "gradient"]


def eps_of(name, value=0.5):
    return torch.full((3,), {"l2": value, "linf": 0.05, "l0": 4.0, "none": 0.0}[ATTACKS[name].norm])


def attack(name, target, x, *, eps=None, seeds=None, steps=None, **more):
    one = ATTACKS[name]
    eps = eps_of(name) if eps is None else eps
    steps = STEPS[one.sees] if steps is None else steps
    return one.run(limited(target, one.sees), x, eps=eps, steps=steps, seeds=seeds or SEEDS, **more)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EVERY)
def test_images_stay_in_ball_and_box_and_the_result_is_true(name, dtype):
    g, x = problem(dtype, middle=False)
    target = Linear(g, x, 3.0)
    result = attack(name, target, x)
    assert result.x_adv.dtype == dtype
    assert float(result.x_adv.min()) >= 0
    assert float(result.x_adv.max()) <= 1
    if ATTACKS[name].norm != "none":
        # Up to what projecting once more in float64, as the harness does, takes away.
        assert torch.all(size(result.x_adv.double() - x.double(), norm=ATTACKS[name].norm) <= eps_of(name) * (1 + 1e-6))
    seen = limited(target, ATTACKS[name].sees).loss(result.x_adv, torch.arange(3))
    torch.testing.assert_close(seen, result.loss)
    assert torch.equal(result.success, result.loss > 0)
    assert torch.all(result.gradients == 0) == (ATTACKS[name].sees != "gradient")


@pytest.mark.parametrize("name", EVERY)
def test_same_seed_same_image_in_any_batch(name):
    g, x = problem()
    # The second sample is won at once in one batch, and dropped: the others must not notice.
    first = attack(name, Linear(g, x, 1e3), x, restarts=2)
    easy = Linear(g, x, torch.tensor([1e3, -1e3, 1e3], dtype=torch.float64))
    other = attack(name, easy, x, restarts=2)
    turned = torch.tensor([2, 0])
    fewer = attack(name, Linear(g[turned], x[turned], 1e3), x[turned], eps=eps_of(name)[:2], seeds=[13, 11], restarts=2)
    assert torch.equal(first.x_adv[[0, 2]], other.x_adv[[0, 2]])
    torch.testing.assert_close(first.x_adv[[2, 0]], fewer.x_adv, rtol=0, atol=1e-12)
    assert torch.equal(first.forwards[[2, 0]], fewer.forwards)


@pytest.mark.parametrize(
    "name", [name for name in EVERY if name not in ("fgsm", "fmn-l2", "cw-l2", "stadv", "stadv-pgd")]
)
def test_another_seed_is_another_search(name):
    _, x = problem()
    a = attack(name, Quadratic(x, offset=-1.0), x, restarts=2)
    b = attack(name, Quadratic(x, offset=-1.0), x, restarts=2, seeds=[11, 12, 99])
    assert torch.equal(a.x_adv[:2], b.x_adv[:2])
    assert not torch.equal(a.x_adv[2], b.x_adv[2])


@pytest.mark.parametrize("name", EVERY)
def test_failure_returns_the_best_iterate_and_never_the_clean_image(name):
    # Every move away from the clean image loses.
    _, x = problem()
    target = Quadratic(x, offset=-1.0)
    result = attack(name, target, x, steps=None if ATTACKS[name].sees != "gradient" else 2)
    assert not result.success.any()
    assert torch.all((result.x_adv - x).flatten(1).norm(dim=1) > 0)


@pytest.mark.parametrize("name", EVERY)
def test_counts_are_what_the_target_was_asked(name):
    g, x = problem()
    target = Linear(g, x, 1.0)
    result = attack(name, target, x, restarts=2)
    assert int(result.forwards.sum()) == target.seen
    assert torch.all(result.gradients <= result.forwards)
    if ATTACKS[name].sees != "gradient":
        assert torch.all(result.forwards <= 2 * STEPS[ATTACKS[name].sees])


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("stadv", "one-pixel")])
def test_a_zero_gradient_at_the_clean_image_traps_nobody(name):
    # ‖f(x + δ) − f(x)‖ has gradient 0 at δ = 0, and only there.
    _, x = problem()
    eps = eps_of(name, value=1.0)
    reach = size(torch.full_like(x, 0.02), norm="l2")[0] if ATTACKS[name].norm == "linf" else 0.3
    result = attack(name, Moved(x, float(reach)), x, eps=eps, steps=None if ATTACKS[name].sees != "gradient" else 30)
    assert result.success.all()


@pytest.mark.parametrize("factor", [1e-7, 1e5])
@pytest.mark.parametrize("name", SCALE_FREE)
def test_the_scale_of_the_loss_does_not_matter(name, factor):
    # A difference of cosines is tiny, a difference of logits is not: the paper's constants would do nothing for one.
    g, x = problem()
    plain = attack(name, Linear(g, x, 2.0), x)
    scaled = attack(name, Scaled(Linear(g, x, 2.0), factor), x)
    torch.testing.assert_close(scaled.x_adv, plain.x_adv, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_an_image_that_wins_as_it_is_is_left_alone_by_minimal_attacks(name):
    g, x = problem()
    result = attack(name, Linear(g, x, -5.0), x)
    assert result.success.all()
    if ATTACKS[name].minimal and name != "fgsm":  # whose smallest step is a step
        assert torch.equal(result.x_adv, x)


@pytest.mark.parametrize("name", EVERY)
def test_the_registry_says_where_it_is_from(name):
    assert ATTACKS[name].name == name
    assert "arXiv" in ATTACKS[name].source


def test_score_and_decision_attacks_cannot_see_more():
    g, x = problem()
    target = Linear(g, x, 1.0)
    x = x.clone().requires_grad_(True)
    assert target.loss(x, torch.arange(3)).requires_grad
    score = limited(target, "score").loss(x, torch.arange(3))
    assert not score.requires_grad
    assert torch.equal(score, target.loss(x.detach(), torch.arange(3)))
    verdict = limited(target, "decision").loss(x, torch.arange(3))
    assert verdict.tolist() == [-1.0, -1.0, -1.0]
    assert limited(Linear(g, x.detach(), -1.0), "decision").loss(x, torch.arange(3)).tolist() == [1.0, 1.0, 1.0]
