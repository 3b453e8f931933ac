"""One update: forward, backward, clip, AdamW, average. The arithmetic of training, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ..core.errors import ModelError
from .batches import Batch
from .plan import Precision, TrainPlan
from .recipe import Recipe
from .schedule import AveragedNetwork, learning_rate

_AUTOCAST: Mapping[Precision, torch.dtype | None] = {"32": None, "tf32": None, "bf16": torch.bfloat16}


class Forward(nn.Module):
    """The network in the precision of the plan; its embeddings come out in float32, so the loss is float32.

    Args:
        network: the trainable network.
        precision: of its arithmetic.
    """

    def __init__(self, network: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.network, self.dtype = network, _AUTOCAST[precision]

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch."""
        with torch.autocast(x.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            embedded = self.network(x)
        return embedded.float()


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step gave.

    Attributes:
        losses: the recipe's scalars, detached.
        norm: of the whole gradient before clipping.
        rate: learning rate.
        finite: whether loss and gradient were; where not, no weight was touched.
    """

    losses: dict[str, Tensor]
    norm: Tensor
    rate: float
    finite: bool


@dataclass(frozen=True, slots=True)
class Stepper:
    """What an update needs.

    Attributes:
        accelerator: devices and processes.
        recipe: the loss.
        forward: the network as prepared for the devices.
        optimizer: AdamW over the parameters of the recipe's network.
        average: the running average of its weights.
        plan: the numbers.
    """

    accelerator: Accelerator
    recipe: Recipe
    forward: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedNetwork
    plan: TrainPlan

    def __call__(self, step: int, batch: Batch) -> StepResult:
        """Update the weights with the batch of a step (0 is the first)."""
        plan = self.plan
        torch.manual_seed(step_seed(plan.seed, step, self.accelerator.process_index))
        rate = learning_rate(step, peak=plan.lr, warmup=plan.warmup, steps=plan.steps)
        batch = {name: value.to(self.accelerator.device, non_blocking=True) for name, value in batch.items()}
        with products_in(plan.precision):
            losses = self._losses(batch)
            self.accelerator.backward(losses["loss"])
        norm = nn.utils.clip_grad_norm_(self.recipe.network.parameters(), plan.clip or torch.inf)
        finite = self._all_finite(losses["loss"], norm)
        if finite:
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            self.average.update(self.recipe.network, step)
        self.optimizer.zero_grad(set_to_none=True)
        return StepResult({name: value.detach() for name, value in losses.items()}, norm.detach(), rate, finite)

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        losses = self.recipe.losses(self.forward, batch)
        if "loss" not in losses or losses["loss"].ndim:
            raise ModelError(f"recipe {self.recipe.name} must give a scalar named loss, got {', '.join(losses)}")
        return losses

    def _all_finite(self, loss: Tensor, norm: Tensor) -> bool:
        """On every device: all of them must take the same step."""
        finite = (loss.detach().isfinite() & norm.isfinite()).float()
        return bool(self.accelerator.reduce(finite, reduction="mean") == 1.0)


def adamw(network: nn.Module, plan: TrainPlan) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, arXiv 1711.05101); biases and other vectors do not decay."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    if not parameters:
        raise ModelError("the network has no parameter to train")
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    # fused: one kernel for each parameter instead of a dozen; the same formula.
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=plan.lr, fused=True)


def step_seed(seed: int, step: int, process: int = 0) -> int:
    """A 63-bit seed for a step of a process, by multiplicative mixing; the same on every machine."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + process * 0x94D049BB133111EB) % 2**64
    return (mixed ^ (mixed >> 31)) % 2**63


@contextmanager
def products_in(precision: Precision) -> Iterator[None]:
    """TF32 products where the plan allows them, and only inside; proofs and evaluation need plain float32."""
    before = torch.get_float32_matmul_precision()
    if precision == "tf32":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
