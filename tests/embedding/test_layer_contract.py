"""What every layer keeps, trainable and shipped: constant, gradients, folding, rounding, no trust in broken numbers."""

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from retr.core.errors import ModelError
from retr.embedding.bounds import ALLOWED, prove
from retr.embedding.forward_error import ARITHMETIC
from retr.embedding.layers.absolute import Absolute
from retr.embedding.layers.aol_conv import AOLConv
from retr.embedding.layers.aol_dense import AOLDense
from retr.embedding.layers.base import ProvedLayer
from retr.embedding.layers.centre import Centre
from retr.embedding.layers.channel_pad import ChannelPad
from retr.embedding.layers.channel_truncate import ChannelTruncate
from retr.embedding.layers.cpl_conv import CPLConv
from retr.embedding.layers.cpl_dense import CPLDense
from retr.embedding.layers.flatten import Flatten
from retr.embedding.layers.l2_pool import L2Pool
from retr.embedding.layers.maxmin import MaxMin
from retr.embedding.layers.orthogonal_conv import OrthogonalConv
from retr.embedding.layers.orthogonal_dense import OrthogonalDense
from retr.embedding.layers.orthogonal_mix import OrthogonalMix
from retr.embedding.layers.pixel_unshuffle import PixelUnshuffle
from retr.embedding.layers.recentre import Translate
from retr.embedding.layers.shift import Shift
from retr.embedding.layers.sll_conv import SLLConv
from retr.embedding.layers.sll_dense import SLLDense
from retr.embedding.layers.sum_pool import SumPool
from retr.embedding.layers.truncate import Truncate

STEPS = 1000
IMAGE = (4, 4, 4)
LARGER = (4, 6, 6)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Case:
    """One layer: how it is built, and the shape of an input.

    ``parameters`` are those whose gradients are checked; a CPL's step does not follow its weight outside training.
    """

    build: Callable[[], nn.Module]
    shape: tuple[int, ...] = IMAGE
    parameters: tuple[str, ...] = field(default=())

    def layer(self) -> nn.Module:
        """The layer with all its numbers away from zero, also the biases."""
        layer = self.build().eval()
        with torch.no_grad():
            for number, value in enumerate(layer.parameters()):
                value.add_(0.1 * torch.randn(value.shape, generator=random(number)))
        return layer

    def folded(self) -> ProvedLayer:
        return copy.deepcopy(self._folded())

    @functools.cache  # noqa: B019 - the cases live as long as the module
    def _folded(self) -> ProvedLayer:
        layer = self.layer()
        fold = getattr(layer, "fold", None)
        shipped = layer if fold is None else fold()
        assert isinstance(shipped, ProvedLayer)
        return shipped

    def input(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.randn(1, *self.shape, generator=random(seed), dtype=torch.float64).to(dtype)


def conv(kind: type, *, outputs: int = 4, size: int = 3, **options) -> Case:
    def build() -> nn.Module:
        return kind(IMAGE[0], outputs, size=size, generator=random(1), **options)

    shape = IMAGE if size < 5 else LARGER
    return Case(build, shape, ("kernel", "bias") if kind is AOLConv else ("skew", "bias"))


CONVS: dict[str, dict] = {
    "zeros": {},
    "circular": {"padding": "circular"},
    "fewer": {"outputs": 2},
    "more": {"outputs": 6, "padding": "circular"},
    "even": {"size": 2},
    "even-circular": {"size": 4, "padding": "circular"},
    "wide": {"size": 5},
    "one-tap": {"size": 1},
    "groups": {"groups": 2},
    "stride": {"size": 4, "stride": 2},
    "stride-circular": {"size": 2, "stride": 2, "padding": "circular", "outputs": 6},
    "stride-groups": {"size": 2, "stride": 2, "groups": 2},
}

WEIGHTED: dict[str, Case] = {
    "orthogonal-mix": Case(lambda: OrthogonalMix(4, generator=random()), parameters=("skew", "bias")),
    "aol-dense": Case(lambda: AOLDense(12, 5, generator=random()), (12,), ("weight", "bias")),
    "orthogonal-dense": Case(lambda: OrthogonalDense(12, 5, generator=random()), (12,), ("weight", "bias")),
    "aol-dense-tall": Case(lambda: AOLDense(5, 12, generator=random()), (5,), ("weight", "bias")),
    **{f"aol-conv-{name}": conv(AOLConv, **options) for name, options in CONVS.items()},
    "aol-conv-odd-stride": conv(AOLConv, size=3, stride=2),
    **{f"orthogonal-conv-{name}": conv(OrthogonalConv, **options) for name, options in CONVS.items()},
    "sll-conv": Case(lambda: SLLConv(4, 3, generator=random()), parameters=("kernel", "bias", "q")),
    "sll-conv-published": Case(
        lambda: SLLConv(4, 3, q_form="published", generator=random()), parameters=("kernel", "bias")
    ),
    "sll-dense": Case(lambda: SLLDense(8, 5, generator=random()), (8,), ("weight", "bias", "q")),
    "cpl-conv": Case(lambda: CPLConv(4, 3, generator=random()), parameters=("bias",)),
    "cpl-conv-wide": Case(lambda: CPLConv(4, 6, size=5, generator=random()), LARGER, ("bias",)),
    "cpl-dense": Case(lambda: CPLDense(8, 5, generator=random()), (8,), ("bias",)),
}
PLAIN: dict[str, Case] = {
    "absolute": Case(Absolute),
    "centre": Case(Centre),
    "channel-pad": Case(lambda: ChannelPad(6)),
    "channel-truncate": Case(lambda: ChannelTruncate(3)),
    "flatten": Case(Flatten),
    "l2-pool": Case(lambda: L2Pool(3), LARGER),
    "maxmin": Case(MaxMin),
    "pixel-unshuffle": Case(lambda: PixelUnshuffle(2)),
    "shift": Case(Shift),
    "shift-two-of-five": Case(lambda: Shift(2), (5, 4, 4)),
    "sum-pool": Case(lambda: SumPool(2)),
    "translate": Case(lambda: Translate(torch.tensor([0.5, -1.0, 2.0, 0.0]))),
    "translate-vector": Case(lambda: Translate(torch.linspace(-1, 1, 8)), (8,)),
    "truncate": Case(lambda: Truncate(3), (8,)),
}
CASES = {**PLAIN, **WEIGHTED}


def jacobian(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    rows = torch.autograd.functional.jacobian(layer, x)
    assert isinstance(rows, torch.Tensor)
    return rows.reshape(-1, x.numel())


def norm(matrix: torch.Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, 2))


def power_iteration(matrix: torch.Tensor) -> float:
    """The norm of a matrix, from below."""
    gram, v = matrix.T @ matrix, torch.randn(matrix.shape[1], generator=random(7), dtype=torch.float64)
    for _ in range(STEPS):
        v = gram @ (v / v.norm().clamp_min(1e-300))
    return float(v.norm().sqrt())


def _double(module, args, output):
    return 2 * output


@pytest.fixture(params=CASES, ids=str)
def case(request) -> Case:
    return CASES[request.param]


@pytest.fixture(params=WEIGHTED, ids=str)
def weighted(request) -> Case:
    return WEIGHTED[request.param]


def test_every_allowed_layer_is_here():
    assert {type(case.folded()) for case in CASES.values()} == set(ALLOWED)


class TestEveryLayer:
    def test_the_shipped_jacobian_has_norm_at_most_1(self, case):
        layer = case.folded()
        for seed in range(2):
            assert norm(jacobian(layer, case.input(seed))) <= 1 + 1e-9

    def test_the_proved_bound_is_not_below_power_iteration(self, case):
        layer = case.folded()
        found = power_iteration(jacobian(layer, case.input(3)))
        assert found <= layer.claim(case.shape).bound.value * (1 + 1e-12)
        assert layer.claim(case.shape).bound.value <= 1.0

    def test_distances_do_not_grow(self, case):
        layer, x, y = case.folded(), case.input(4), case.input(5)
        assert float((layer(x) - layer(y)).norm()) <= float((x - y).norm()) * (1 + 1e-9)

    def test_the_claimed_shape_and_offset_hold(self, case):
        layer = case.folded()
        claim = layer.claim(case.shape)
        assert tuple(layer(case.input())[0].shape) == claim.output
        at_zero = float(layer(torch.zeros(1, *case.shape, dtype=torch.float64)).norm())
        assert at_zero <= claim.offset
        assert claim.offset == 0 or at_zero > 0

    def test_the_forward_error_is_below_its_bound(self, case):
        layer = case.folded()
        claim = layer.claim(case.shape)
        for seed in range(3):
            x = case.input(seed, torch.float32)
            error = float((layer(x).double() - layer(x.double())).norm())
            size = float(x.double().norm()) * (1 + 1e-12)
            assert error <= sum(claim.errors[dtype](size) for dtype in ARITHMETIC)

    def test_the_quick_way_is_the_same_map(self, case):
        layer, x = case.folded(), torch.cat([case.input(seed, torch.float32) for seed in range(3)])
        assert torch.allclose(layer.quick(x), layer(x), atol=1e-5, rtol=1e-5)

    def test_gradients_are_right(self, case):
        layer = case.layer().double()
        inputs = [case.input(1).requires_grad_(True)]
        inputs += [layer.get_parameter(name).detach().requires_grad_(True) for name in case.parameters]

        def run(x, *values):
            return torch.func.functional_call(layer, dict(zip(case.parameters, values, strict=True)), (x,))

        assert torch.autograd.gradcheck(run, tuple(inputs), fast_mode=True)

    def test_the_walk_takes_it_and_denies_it_with_a_hook(self, case):
        network = nn.Sequential(case.folded())
        assert prove(network, input_shape=case.shape).total.value <= 1.0
        network[0].register_forward_hook(_double)
        with pytest.raises(ModelError, match="hooks"):
            prove(network, input_shape=case.shape)

    def test_the_walk_names_an_unknown_module_behind_it(self, case):
        with pytest.raises(ModelError, match="GELU at 1 has no proved"):
            prove(nn.Sequential(case.folded(), nn.GELU()), input_shape=case.shape)

    def test_a_shape_that_does_not_fit_is_refused(self, case):
        layer = case.folded()
        if isinstance(layer, Absolute | Flatten):
            pytest.skip("takes any shape")
        with pytest.raises(ModelError):
            layer.claim((1, 1, 1, 1))
        if isinstance(layer, MaxMin):
            with pytest.raises(ModelError, match="pairs"):
                layer.claim((3, 4, 4))


class TestWeights:
    def test_the_trainable_jacobian_has_norm_at_most_1(self, weighted):
        layer = weighted.layer().double()
        for seed in range(2):
            assert norm(jacobian(layer, weighted.input(seed))) <= 1 + 1e-9

    def test_folded_is_unfolded(self, weighted):
        layer, x = weighted.layer(), weighted.input(2, torch.float32)
        folded = layer.fold()  # type: ignore[operator]
        assert torch.allclose(layer(x), folded(x), atol=1e-5, rtol=1e-5)

    def test_the_trainable_form_must_be_folded_first(self, weighted):
        with pytest.raises(ModelError, match="fold it first"):
            prove(nn.Sequential(weighted.layer()), input_shape=weighted.shape)

    @pytest.mark.parametrize("factor", [1.001, 3.0])
    def test_scaled_numbers_are_bounded_not_believed(self, weighted, factor):
        layer = weighted.folded()
        layer.get_buffer("weight" if hasattr(layer, "weight") else "kernel").mul_(factor)
        layer.get_buffer("bias").fill_(100.0)  # every relu passes, so the Jacobian shows the worst
        bound, found = layer.claim(weighted.shape).bound.value, norm(jacobian(layer, weighted.input(1)))
        assert found <= bound * (1 + 1e-12)
        assert bound > 1.0 or found <= 1.0

    def test_numbers_that_are_not_finite_are_refused(self, weighted):
        layer = weighted.folded()
        name = "weight" if hasattr(layer, "weight") else "kernel"
        layer.get_buffer(name)[(0,) * layer.get_buffer(name).ndim] = float("nan")
        with pytest.raises(ModelError, match="not finite"):
            layer.claim(weighted.shape)

    def test_it_trains_in_mixed_precision(self, weighted):
        layer, x = weighted.layer().train(), weighted.input(2, torch.float32)
        exact = layer(x).detach()
        if hasattr(layer, "probe"):
            for _ in range(200):  # power iteration has to settle before two passes can be compared
                exact = layer(x).detach()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer(x)
        y.float().square().sum().backward()
        assert torch.allclose(y.float(), exact, atol=0.1)
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in layer.parameters() if p.ndim > 1)

    def test_the_seed_fixes_the_start(self, weighted):
        first, second = weighted.build().state_dict(), weighted.build().state_dict()
        assert all(torch.equal(first[name], second[name]) for name in first)
