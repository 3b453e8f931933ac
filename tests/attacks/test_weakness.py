"""Attacks that did not really try are flagged; those that did, or won, are not."""

import pytest
import torch
from attack_problems import Linear, Moved, problem

from retr.attacks.registry import ATTACKS
from retr.attacks.target import limited
from retr.attacks.weakness import weaknesses


def signs(name, target, x, eps=0.5, steps=20):
    one = ATTACKS[name]
    result = one.run(limited(target, one.sees), x, eps=torch.full((3,), eps), steps=steps, seeds=[1, 2, 3])
    return [weaknesses(result, i, sees=one.sees) for i in range(3)]


class Rounded:
    """A loss that sees 8-bit images: its gradient is zero everywhere."""

    def __init__(self, target):
        self.target = target

    def loss(self, x, samples):
        return self.target.loss((x * 255).round() / 255, samples)


class Detached:
    """A loss that has no gradient at all."""

    def __init__(self, target):
        self.target = target

    def loss(self, x, samples):
        return self.target.loss(x.detach(), samples)


class Constant:
    def loss(self, x, samples):
        return 0.0 * x.flatten(1).sum(1) - 1.0


@pytest.mark.parametrize("name", ["apgd-l2", "pgd-l2", "mi-fgsm-l2", "fmn-l2", "cw-l2"])
@pytest.mark.parametrize("shell", [Rounded, Detached])
def test_gradients_that_are_zero_are_flagged(name, shell):
    g, x = problem()
    for flags in signs(name, shell(Linear(g, x, 1e3)), x):
        assert "zero-gradient" in flags


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.sees != "decision"])
def test_a_loss_that_never_rises_is_flagged(name):
    _, x = problem()
    eps = 3.0 if ATTACKS[name].norm == "l0" else 0.5
    for flags in signs(name, Constant(), x, eps=eps):
        assert "flat-loss" in flags


@pytest.mark.parametrize("name", list(ATTACKS))
def test_an_honest_failure_and_a_win_are_not_flagged(name):
    g, x = problem()
    eps = {"l0": 3.0, "linf": 0.05}.get(ATTACKS[name].norm, 0.5)
    assert signs(name, Linear(g, x, 10.0), x, eps=eps, steps=60) == [(), (), ()]
    assert signs(name, Linear(g, x, 0.05), x, eps=eps, steps=60) == [(), (), ()]


def test_a_win_in_spite_of_zero_gradients_is_a_win():
    _, x = problem()
    assert signs("fgsm", Moved(x, 1.0), x, eps=0.5) == [(), (), ()]


def test_decisions_have_no_loss_to_raise():
    g, x = problem()
    assert signs("hopskipjump-l2", Linear(g, x, 1e3), x, steps=60) == [(), (), ()]
