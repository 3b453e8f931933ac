"""A real, tiny certified network on a tiny retrieval problem: a recipe for the tests of the loop, seconds long."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from retr.embedding.model_file import save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.sll_network import SLLArchitecture, SLLNetwork, sll_blueprint

ARCHITECTURE = SLLArchitecture(
    image=8, channels=6, convs=1, conv_inner=4, pools=1, pool=4, denses=1, dense_inner=16, dim=8
)
ITEMS = 24


class TinyRecipe:
    """Find a noisy picture again among 24: cross-entropy over inner products, with a queue of earlier rows."""

    name = "tiny"

    def __init__(self, *, seed: int = 0, size: int = 16, bad_steps: range = range(0)) -> None:
        self.seed, self.size, self.bad_steps = seed, size, bad_steps
        draw = torch.Generator().manual_seed(7)
        self.pictures = torch.rand(ITEMS, 3, 8, 8, generator=draw)
        self.held_out = (self.pictures + 0.2 * torch.randn(self.pictures.shape, generator=draw)).clamp(0, 1)
        self.network: nn.Module = SLLNetwork(ARCHITECTURE, generator=torch.Generator().manual_seed(seed))
        self.queue = torch.zeros(4, ARCHITECTURE.dim)

    def batch(self, step: int) -> dict[str, Tensor]:
        draw = torch.Generator().manual_seed(1000 * self.seed + step)
        items = torch.randperm(ITEMS, generator=draw)[: self.size]
        clean = self.pictures[items]
        noisy = (clean + 0.3 * torch.randn(clean.shape, generator=draw)).clamp(0, 1)
        return {"images": torch.cat([clean, noisy]), "poison": torch.tensor(float(step in self.bad_steps))}

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        rows, queries = functional.normalize(network(batch["images"]), dim=1).chunk(2)
        # The global generator: the loop must seed it anew at every step, or resumed runs would differ.
        logits = 10.0 * queries @ torch.cat([rows, self.queue]).T + 0.01 * torch.rand(1)
        loss = functional.cross_entropy(logits, torch.arange(len(queries)))
        self.queue = rows[:4].detach().clone()
        right = (logits.argmax(dim=1) == torch.arange(len(queries))).float().mean()
        return {"loss": loss / (1.0 - batch["poison"]), "right": right}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        rows = functional.normalize(network(self.pictures), dim=1)
        logits = 10.0 * functional.normalize(network(self.held_out), dim=1) @ rows.T
        return {"score": -float(functional.cross_entropy(logits, torch.arange(ITEMS)))}

    def state(self) -> dict[str, Tensor]:
        return {"queue": self.queue}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.queue = state["queue"].clone()

    def describe(self) -> dict[str, Any]:
        return {"size": self.size, "items": ITEMS}

    def export(self, network: nn.Module, path: Path, training_record: Mapping[str, Any]) -> None:
        assert isinstance(network, SLLNetwork)
        embedder = NetworkEmbedder(network.fold(), sll_blueprint(ARCHITECTURE, "cosine"), name="tiny", spec=str(path))
        save_model(embedder, path, {"purpose": "tests"}, training=training_record)


class Watcher:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.started: list[tuple[int, int]] = []
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.evaluations: list[int] = []
        self.notes: list[str] = []

    def start(self, total: int, done: int) -> None:
        self.started.append((total, done))

    def stepped(self, step: int, loss: float, images_per_second: float) -> None:
        self.steps.append(step)
        self.losses.append(loss)

    def evaluated(self, step: int, metrics: Mapping[str, float | None]) -> None:
        self.evaluations.append(step)

    def note(self, text: str) -> None:
        self.notes.append(text)
