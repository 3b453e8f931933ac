"""Trains more capacity behind the convolutions of ``retr_s``, which stay as they are in its model file.

    python docs/benchmarks/dense_trial.py SOURCE WORK [--variants head deep] [--steps 400] [--resume]

SOURCE holds the training photographs, WORK is scratch space: decoded images, look-alikes and drawn kinds are put into
it once. Three variants see the same batches and the same features, so that only what stands behind them differs:

| variant | trained |
|---|---|
| `head` | the head, 4,096 → 256: the control |
| `dense` | a neck 4,096 → 512, two orthogonal layers 512 → 512 with MaxMin, the head 512 → 256 |
| `deep` | three more blocks of the last stage, orthogonal 3×3 on 4×4×256 with MaxMin, and the head |

They begin as ``retr_s``, ``dense`` nearly so. Beside the edits of the recipe ``copies``, a third of the pairs are
windows of an item (those that stored views are), an eighth of a batch are drawn kinds in groups of one kind, met by
rescans, and half of the rest photographs in groups of look-alikes. ε rises and the temperature falls along the run.
Prints recall of 400 images held out; ``measure_trial.py`` measures.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from trial_network import VARIANTS, Trial

from retr.embedding.retr_network import RETR_S
from retr.images.kinds import KINDS, OF_LARGE_SETS, draw_kind
from retr.images.light_views import LIGHT
from retr.images.views import window
from retr.training.copies_edits import EditChances, edit_batch, to_input
from retr.training.copies_evaluation import evaluate_copies
from retr.training.copies_loss import copies_loss
from retr.training.copies_recipe import CopiesOptions, CopiesRecipe
from retr.training.data import open_store
from retr.training.hard_groups import HardGroups, find_neighbours
from retr.training.loop import run_training
from retr.training.plan import TrainPlan
from retr.training.report import Unwatched

EPSILON, TEMPERATURE = (4.0, 5.0), (1.0, 0.7)
"""At the first and at the last step, in grey levels."""
KIND_SHARE, WINDOW_SHARE, HARD_SHARE = 1 / 8, 0.35, 0.5
EACH, FIRST, VERSIONS = 60, 100_000, 4
"""Pictures of a kind, the number of the first one (reference sets hold the small numbers), and versions of each."""
WINDOWS = [*(name for name in LIGHT.split() if name.startswith("crop")), "crop-90x90-at-50x50", "crop-80x80-at-50x50"]
KIND_CHANCES = EditChances(
    crop=0.1, frame=0.1, rotation=0, flip=0, blur=0.1, cover=0.15, colour=0.4, grey=0.2, noise=0.1
)


class TrialRecipe(CopiesRecipe):
    """The recipe ``copies`` with this network, windows and drawn kinds.

    Args:
        variants: of the network.
        store: the photographs.
        work: where look-alikes and kinds are kept.
        batch, steps, seed: of the plan.
    """

    def __init__(self, variants: Sequence[str], store: Any, work: Path, *, batch: int, steps: int, seed: int) -> None:
        super().__init__(CopiesOptions(threshold_weight=0.7), store, batch=batch, seed=seed, holdout=400)
        self.variants, self.steps = tuple(variants), steps
        self.network: nn.Module = Trial(variants, generator=torch.Generator().manual_seed(seed))
        self._groups = HardGroups(self._rows, _look_alikes(store, self._rows, work), 4, HARD_SHARE)
        self._kinds = _kinds(work)

    def batch(self, step: int) -> dict[str, Tensor]:
        """Photographs, some as windows, and drawn kinds with their rescans."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        kinds, side = round(self._size * KIND_SHARE), self.options.image
        chosen = self._groups.draw(self._size - kinds, generator)
        pixels, aspect = _windowed(self._pixels(chosen), self._aspect[chosen], generator)
        drawn, scans = self._draw_kinds(kinds, generator)
        ones = torch.ones(len(drawn))
        queries = edit_batch(pixels, aspect, side=side, generator=generator)
        others = edit_batch(scans, ones, side=side, generator=generator, chances=KIND_CHANCES)
        items = to_input(torch.cat((pixels, drawn)), side)
        return {"queries": torch.cat((queries, others)), "items": items, "done": torch.tensor(step / self.steps)}

    def losses(self, network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The loss of the recipe, at the ε and temperature of the step."""
        done = float(batch["done"])
        epsilon, temperature = (low + done * (high - low) for low, high in (EPSILON, TEMPERATURE))
        margins = replace(self.options.margins, epsilon=epsilon, temperature=temperature)
        embedded = network(torch.cat((batch["queries"], batch["items"]))).split(self.options.dim, 1)
        found = {"loss": torch.zeros(())}
        for name, rows in zip(self.variants, embedded, strict=True):
            queries, items = rows.chunk(2)
            result = copies_loss(queries, items, items[:0].detach(), margins)
            found |= {f"{name}_loss": result.loss.detach(), f"{name}_certified": result.certified}
            found["loss"] = found["loss"] + result.loss
        return found

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """As the recipe does, for every variant; the score is that of the last one."""
        held, found = replace(self._held, others=self._held.others[:2000]), {}
        for number, name in enumerate(self.variants):
            one = _Quick(network, number)
            found = evaluate_copies(one, held, self.options.margins, side=self.options.image)
            print(name, ", ".join(f"{key} {value:.1f}" for key, value in found.items()), flush=True)
        return found

    def describe(self) -> dict[str, Any]:
        """Also the variants and the steps."""
        return {**super().describe(), "variants": list(self.variants), "steps": self.steps}

    def export(self, network: nn.Module, path: Path, training_record: Mapping[str, Any]) -> None:
        """The folded numbers of each variant; no model file, for a variant may be of no family."""
        del training_record
        assert isinstance(network, Trial)
        folded = {
            f"{name}.{key}": value for name in network.bodies for key, value in network.fold(name).state_dict().items()
        }
        safetensors.torch.save_file({key: value.contiguous() for key, value in folded.items()}, path)

    def _draw_kinds(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Groups of four of one kind, and a rescan of each."""
        kind = torch.randint(len(self._kinds), (count // 4,), generator=generator).repeat_interleave(4)
        number = torch.cat([torch.randperm(EACH, generator=generator)[:4] for _ in range(count // 4)])
        version = torch.randint(1, VERSIONS, (count,), generator=generator)
        return self._kinds[kind, number, 0], self._kinds[kind, number, version]


class _Quick(nn.Module):
    """One variant in bfloat16; its embeddings come out in float32."""

    def __init__(self, network: nn.Module, number: int) -> None:
        super().__init__()
        self.network, self.number = network, number

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.network(x).float().split(RETR_S.dim, 1)[self.number]


def _windowed(pixels: Tensor, aspect: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Some of the images (b, s, s, 3) become windows of themselves, at the same size."""
    pixels, aspect, side = pixels.clone(), aspect.clone(), pixels.shape[1]
    chosen = torch.nonzero(torch.rand(len(pixels), generator=generator) < WINDOW_SHARE).flatten().tolist()
    names = torch.randint(len(WINDOWS), (len(chosen),), generator=generator).tolist()
    for row, name in zip(chosen, names, strict=True):
        keep, place = (tuple(int(n) / 100 for n in part.split("x")) for part in WINDOWS[name][5:].split("-at-"))
        rows, columns = window((side, side), keep=keep, place=place)  # pyright: ignore[reportArgumentType]
        piece = Image.fromarray(pixels[row, rows, columns].numpy())
        pixels[row] = torch.from_numpy(np.array(piece.resize((side, side), Image.Resampling.BILINEAR)))
        aspect[row] *= keep[1] / keep[0]
    return pixels, aspect


def _look_alikes(store: Any, rows: Tensor, work: Path) -> Tensor:
    """Neighbours under ``retr_s``, kept."""
    file = work / "neighbours.npy"
    if not file.exists():
        network = Trial(generator=torch.Generator().manual_seed(0)).eval()
        np.save(file, find_neighbours(_Quick(network, 0), store, rows, side=64).numpy())
    return torch.from_numpy(np.load(file))


def _kinds(work: Path) -> Tensor:
    """(kinds, EACH, VERSIONS, 96, 96, 3) uint8: each picture and rescans of it, kept."""
    file = work / "kinds.npy"
    if not file.exists():
        names = [name for name in KINDS if name not in OF_LARGE_SETS]
        rng = np.random.default_rng(7)
        drawn = [[_versions(draw_kind(name, FIRST + n), rng) for n in range(EACH)] for name in names]
        np.save(file, np.array(drawn))
    return torch.from_numpy(np.load(file))


def _versions(pixels: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    own = Image.fromarray(pixels)
    return np.stack([np.asarray(one.resize((96, 96))) for one in (own, *(_rescan(own, rng) for _ in range(3)))])


def _rescan(own: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turned by up to 2°, blurred, lit unevenly, half the size in half of the cases, and a JPEG."""
    paper = own.resize((max(1, own.width // 100), max(1, own.height // 100))).getpixel((0, 0))
    image = own.rotate(rng.uniform(-2, 2), Image.Resampling.BILINEAR, fillcolor=paper)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))
    left, right = rng.uniform(0.8, 1.05, 2)
    light = np.linspace(left, right, image.width)[None, :, None]
    image = Image.fromarray((np.asarray(image) * light).clip(0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        image = image.resize((max(32, image.width // 2), max(32, image.height // 2)))
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(30, 90)))
    return Image.open(buffer).convert("RGB")


class _Told(Unwatched):
    """Prints."""

    def stepped(self, step: int, loss: float, images_per_second: float) -> None:
        print(f"step {step}, loss {loss:.3f}, {images_per_second:.0f} images/s", flush=True)


def main() -> None:
    """Train the variants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    store = open_store((given.source,), side=96, cache=given.work, workers=1)
    plan = TrainPlan(
        steps=given.steps, batch=given.batch, lr=given.lr, warmup=20, ema=0.99, clip=0.0, precision="bf16",
        accelerator="cpu", evaluate_every=0, checkpoint_every=25, log_every=5,
    )  # fmt: skip
    recipe = TrialRecipe(given.variants, store, given.work, batch=given.batch, steps=given.steps, seed=0)
    folder = given.work / f"run-{given.steps}"
    run_training(recipe, plan, folder=folder, resume=given.resume, observer=_Told())


if __name__ == "__main__":
    main()
