"""What the loop asks of a recipe: data and loss of one kind of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn


class Recipe(Protocol):
    """One kind of training. It owns the data and the loss; the loop owns time, weights and files.

    ``losses`` may change the recipe's state (a queue of rows); everything else leaves it alone. Random numbers come
    from generators seeded by (seed, step), or from torch's global generator inside ``losses`` only, which the loop
    seeds anew at every step: then a run that was killed and resumed is the run that was not.
    """

    name: str
    network: nn.Module
    """The trainable network; its ``fold()`` gives the shipped one. Averaged weights live in a deep copy of it."""

    def batch(self, step: int) -> dict[str, Tensor]:
        """The batch of a step, on the CPU; a pure function of the seed and the step.

        Called on other threads, ahead of time, in any order. Images are 4-dimensional tensors; the loop counts them.
        """
        ...

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scalars; ``loss`` is minimised, the others are logged.

        Where ``loss`` is not finite, nothing may be kept for later steps: the step will be skipped.

        Args:
            network: maps images to float32 embeddings, whatever the precision inside. Call it once, on everything,
                so that several devices work too.
            batch: from :meth:`batch`, on the network's device.
        """
        ...

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Figures of the averaged network on images held out; ``score`` is maximised. The same for the same weights."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What ``losses`` has gathered and a resumed run needs; empty if nothing."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The reverse of :meth:`state`; tensors come on the CPU."""
        ...

    def describe(self) -> dict[str, Any]:
        """Options and data as plain JSON, for the training record; a resumed run must have the same.

        ``data`` holds ``ImageStore.describe()``, where the recipe has one.
        """
        ...

    def export(self, network: nn.Module, path: Path, training_record: Mapping[str, Any]) -> None:
        """Fold the averaged network and write the model file."""
        ...


class Stateless:
    """A recipe whose batches and targets are functions of the step: nothing is gathered, nothing is to be kept."""

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take back."""
        del state
