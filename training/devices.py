"""The devices and processes of a run."""

from __future__ import annotations

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs

from ..core.errors import UsageError
from .plan import TrainPlan


def open_accelerator(plan: TrainPlan) -> Accelerator:
    """The devices of the plan.

    Raises:
        UsageError: where there is no GPU, or another number of processes than the plan expects.
    """
    if plan.accelerator == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device is there; use accelerator cpu, or auto")
    # Autocast is ours (step.Forward), so that the loss stays float32 and two runs in a process may differ.
    # A network may hold a parameter without effect (the q of the published SLL layers); DDP waits for it unless told.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    # Accelerate joins processes without a GPU only where it is told that the CPU is meant.
    cpu = plan.accelerator == "cpu" or (plan.devices > 1 and not torch.cuda.is_available())
    accelerator = Accelerator(cpu=cpu, mixed_precision="no", kwargs_handlers=[unused])
    if accelerator.num_processes != plan.devices:
        raise UsageError(
            f"{plan.devices} devices were asked for and {accelerator.num_processes} processes run; start one for each: "
            f"torchrun --nproc-per-node {plan.devices} -m retr train …"
        )
    return accelerator
