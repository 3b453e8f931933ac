"""Train the head of ``efficientnet-lite0``: one matrix on pooled features, on photographs and our own edits.

    python docs/benchmarks/train_head.py features OUT [--photographs 12000] [--seconds S]
    python docs/benchmarks/train_head.py train OUT [--write]

``features`` puts pieces of 100 photographs of ``train`` into OUT, each as it is and in five edited versions (one to
three edits of ``retr bench-copies``, both tables, drawn by the photograph's number); run it again and it goes on.
``train`` maps them by one matrix, in the space of their first 640 principal axes: PCA whitening to begin with, then
InfoNCE and the entropy term of SSCD (Pizzi et al., CVPR 2022) on pairs of versions. Photographs of every tenth piece
are kept out; printed is how well edited ones among them are found and accepted. ``--write`` puts the head into the
package.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

sys.path.insert(0, str(Path(__file__).resolve().parent / "kinds"))
from photographs import decoded, folder, members  # pyright: ignore[reportMissingImports]
from PIL import Image, ImageFilter

from retr.embedding.lite0 import DIM, FEATURES, HEAD, SIDE, load_trunk, write_head
from retr.embedding.places import weights_folder
from retr.images.copy_edits import FAMILIES, MORE, find_family

PIECE, EDITED = 100, 5
DRAWN = {
    **dict.fromkeys(("crop", "crop-30", "tiny"), 4.0),
    **dict.fromkeys(
        ("blur", "smear", "downscale", "screenshot", "bar", "stickers", "caption", "border", "screen"), 2.0
    ),
    **dict.fromkeys(("rotation", "rotation-45", "text", "logo", "halftone", "picture-in-picture"), 1.5),
}
"""Families that are drawn more often than the others: they are what the published network lacks."""
OWN = ("tiny", "smear")
"""Edits that the benchmark does not have: a copy of 20 to 64 pixels, and a blur of 1.5 to 4 % of the short side."""
NAMES = [*(name for name in (*FAMILIES, *MORE) if name not in ("identity", "two")), *OWN]
CHANCES = np.array([DRAWN.get(name, 1.0) for name in NAMES])
TEMPERATURE, BATCH, AXES = 0.05, 512, 640


def edited_version(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to three edits, one after the other."""
    for _ in range(int(rng.choice([1, 2, 3], p=[0.55, 0.35, 0.1]))):
        pixels = once_edited(pixels, NAMES[int(rng.choice(len(NAMES), p=CHANCES / CHANCES.sum()))], rng)
        if min(pixels.shape[:2]) < 16:
            break
    return pixels


def once_edited(pixels: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    """By a family of the benchmark, or by one of :data:`OWN`."""
    picture = Image.fromarray(pixels)
    if name == "tiny":
        side = int(rng.integers(20, 65))
        picture.thumbnail((side, side))
        return np.asarray(picture)
    if name == "smear":
        return np.asarray(picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.015, 0.04) * min(picture.size))))
    family = find_family(name)
    return np.ascontiguousarray(family.apply(pixels, family.draw(rng)))


def features(out: Path, photographs: int, seconds: float) -> None:
    """Pool what the trunk sees of every version of the photographs."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    trunk, began = load_trunk().eval(), time.monotonic()
    order = np.random.default_rng(5).permutation(40060)[:photographs]
    wanted = set(order.tolist())
    held = {n: data for n, (_, data) in enumerate(members(folder().parent / "train")) if n in wanted}
    for start in range(0, photographs, PIECE):
        file = out / f"{start:06}.npz"
        if file.exists():
            continue
        if time.monotonic() - began > seconds:
            sys.exit(f"stopped after {seconds:g} s: run it again")
        numbers = [int(n) for n in order[start : start + PIECE] if int(n) in held]
        versions = []
        for n in numbers:
            own, rng = decoded(held[n]), np.random.default_rng([9, n])
            versions += [own, *(edited_version(own, rng) for _ in range(EDITED))]
        found = torch.cat([pooled(trunk, versions[at : at + 16]) for at in range(0, len(versions), 16)])
        np.savez(file, F=found.half().numpy().reshape(len(numbers), 1 + EDITED, FEATURES), ids=numbers)
        print(f"{time.monotonic() - began:7.0f} s {file.name}", flush=True)


def pooled(trunk: torch.nn.Module, pictures: list[np.ndarray]) -> Tensor:
    """(n, features) of (H, W, 3) uint8 pictures."""
    small = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for one in pictures]
    x = torch.from_numpy(np.stack(small).transpose(0, 3, 1, 2).astype(np.float32, order="C"))
    with torch.inference_mode():
        return trunk((x - 127.0) / 128.0)


def train(out: Path, *, steps: int, entropy: float, rate: float, write: bool) -> None:
    """Train, print what the kept out photographs say, and maybe write."""
    torch.set_num_threads(1)
    parts = [torch.from_numpy(np.load(piece)["F"]) for piece in sorted(out.glob("*.npz"))]
    apart, own = torch.cat(parts[::10]), torch.cat([part for number, part in enumerate(parts) if number % 10])
    mean, scale = own[:, 0].float().mean(0), 1.0 / (own[:, 0].float().std(0) + 1e-3)
    axes, spread = principal((own[:5000, :2].float().flatten(0, 1) - mean) * scale)
    own, apart = (torch.cat([(x.float() - mean) * scale @ axes.T for x in one.split(500)]) for one in (own, apart))
    matrix = torch.eye(AXES)[:DIM] / spread[:DIM, None] ** 0.8
    report("whitened", apart, matrix)
    matrix = fitted(own, matrix, steps=steps, entropy=entropy, rate=rate, apart=apart)
    if write:
        notes = {"photographs": len(own), "versions": 1 + EDITED, "steps": steps, "entropy": entropy, "rate": rate}
        file = weights_folder() / HEAD
        digest = write_head(file, {"mean": mean, "scale": scale, "matrix": matrix @ axes}, notes)
        print(f"{file.name}: {file.stat().st_size} bytes, SHA-256 {digest}")


def principal(x: Tensor) -> tuple[Tensor, Tensor]:
    """The first axes of (n, features), and how far the features spread along each."""
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    return vectors.flip(1)[:, :AXES].T, values.flip(0)[:AXES].sqrt()


def fitted(own: Tensor, start: Tensor, *, steps: int, entropy: float, rate: float, apart: Tensor) -> Tensor:
    """The matrix after so many steps of AdamW."""
    generator = torch.Generator().manual_seed(0)
    size = start.norm(dim=1).mean()
    matrix = (start / size).clone().requires_grad_(True)
    optimiser = torch.optim.AdamW([matrix], lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.05)
    for step in range(1, steps + 1):
        rows = torch.randperm(len(own), generator=generator)[:BATCH]
        first = torch.randint(0, own.shape[1], (len(rows),), generator=generator)
        other = (first + torch.randint(1, own.shape[1], (len(rows),), generator=generator)) % own.shape[1]
        first[: len(rows) // 2] = 0  # half of the pairs hold the photograph itself, as an index does
        other[: len(rows) // 2] = torch.randint(1, own.shape[1], (len(rows) // 2,), generator=generator)
        seen = torch.cat([own[rows, first], own[rows, other]])
        z = normalize(torch.nn.functional.dropout(seen, 0.1) @ matrix.T)
        loss = contrast(z, entropy)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 500 == 0 or step == steps:
            report(f"step {step}, loss {loss.item():.3f}", apart, matrix.detach())
    return matrix.detach()


def contrast(z: Tensor, entropy: float) -> Tensor:
    """InfoNCE over 2b rows, of which i and i + b are one picture, and the entropy of how near the others come."""
    count = len(z) // 2
    likeness = z @ z.T
    itself = torch.eye(len(z), dtype=torch.bool)
    partner = torch.roll(itself, count, 1)
    logits = likeness.masked_fill(itself, -torch.inf) / TEMPERATURE
    info = torch.nn.functional.cross_entropy(logits, torch.arange(len(z)).roll(count))
    nearest = likeness.masked_fill(itself | partner, -2.0).max(1).values
    return info - entropy * torch.log((2.0 - 2.0 * nearest).clamp(min=1e-4).sqrt()).mean()


def report(name: str, apart: Tensor, matrix: Tensor) -> None:
    """First places, and acceptance at one false match in 200, of edited photographs among half of those kept out."""
    half = len(apart) // 2
    z = normalize(apart @ matrix.T, dim=2)
    gallery, queries, absent = z[:half, 0], z[:half, 1:].reshape(-1, z.shape[2]), z[half:].reshape(-1, z.shape[2])
    others = (gallery @ gallery.T - 2.0 * torch.eye(half)).max(1).values
    gap = torch.acos(others.clamp(-1.0, 1.0))
    far, none = (torch.acos((one @ gallery.T).clamp(-1.0, 1.0)) / gap for one in (queries, absent))
    edge = none.min(1).values.quantile(0.005)
    own = torch.arange(half).repeat_interleave(apart.shape[1] - 1)
    first = ((queries @ gallery.T).argmax(1) == own).float().mean()
    accepted = (far[torch.arange(len(own)), own] < edge).float().mean()
    print(f"{name}: first {100 * first:.1f} %, accepted {100 * accepted:.1f} % (edge {edge:.2f} of a gap)", flush=True)


def main() -> None:
    """Make features, or train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("features", "train"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--photographs", type=int, default=12_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--entropy", type=float, default=0.3)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.part == "features":
        features(given.out, given.photographs, given.seconds)
    else:
        train(given.out, steps=given.steps, entropy=given.entropy, rate=given.rate, write=given.write)


if __name__ == "__main__":
    main()
