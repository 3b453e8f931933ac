"""Measures what stands behind the convolutions of ``retr_s``: the shipped head and the variants of ``dense_trial.py``.

    python docs/benchmarks/measure_trial.py features OUT [--part plain|light|kinds ...]
    python docs/benchmarks/measure_trial.py report OUT RUN

``features`` keeps what the shared convolutions see of every picture in OUT (float32, once for all variants; run it
again and it goes on). ``report`` prints a table from RUN, which ``dense_trial.py`` wrote. Everything is float32 and
proves nothing: it compares. Nothing that is looked up was trained on.

A row accepts within a share of its gap, the angle to the nearest row of another item or of pictures that nobody trained
on (rows nearer than half of the latter are taken for copies). The share is set on half of the negatives at the rate
named, and what the other half makes of it is printed. *Accepted* counts the query's own item alone. Radii: T1 and T5.

``plain``: a query as it is among rows as they are. ``light``: the views and pair classes of ``--views light``.
``kinds``: one picture of each measuring kind is stored, other contents of its layout are looked up; each copy is false.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from trial_network import Trial
from trial_pictures import (
    CONTENTS,
    EACH,
    FEW,
    FEW_EACH,
    ITEMS,
    PARTS,
    QUERY_VIEWS,
    RULES,
    STORED_VIEWS,
    asked,
    features,
)

from retr.embedding.network import quickly
from retr.embedding.registry import load_embedder
from retr.images.copy_edits import FAMILIES
from retr.training.starts import averaged_weights

Rows = npt.NDArray[np.float32]
RATE, LEVELS, CERTAIN = 0.004, (0.0, 1.0, 3.0, 5.0), 0.5


class Measured:
    """The embeddings of one network, from the features in a folder.

    Args:
        out: the folder.
        tail: (n, 256, 4, 4) → (n, dim).
    """

    def __init__(self, out: Path, tail: nn.Module) -> None:
        self.out, self.tail = out, tail
        self.reference = np.concatenate([self.rows("reference"), self.rows("drawn")])

    def raw(self, name: str) -> npt.NDArray[np.float32]:
        """Embeddings of a part, not normalised."""
        kept = np.load(self.out / f"{name}.npy", mmap_mode="r")
        with torch.inference_mode():
            pieces = (torch.from_numpy(np.array(kept[at : at + 2048])) for at in range(0, len(kept), 2048))
            return np.concatenate([self.tail(piece.unflatten(1, (256, 4, 4))).numpy() for piece in pieces])

    def rows(self, name: str) -> npt.NDArray[np.float32]:
        """Unit rows."""
        return _normed(self.raw(name))

    def units(self, name: str) -> npt.NDArray[np.float32]:
        """Grey levels in a unit of ℓ2."""
        return np.load(self.out / f"{name}-units.npy")

    def gaps(self, rows: npt.NDArray[np.float32], whole: npt.NDArray[np.float32], own: npt.NDArray[np.int64]):
        """Angle from each row to the nearest other: of the reference pictures, or of another item as it is."""
        to_set = _angles(rows, self.reference).min(1)
        apart = _angles(rows, whole)
        apart[np.arange(len(rows)), own] = np.inf
        apart[apart < CERTAIN * to_set[:, None]] = np.inf
        return np.minimum(to_set, apart.min(1))

    def plain(self) -> dict[str, float]:
        """First places, verdicts and false matches, pictures as they are."""
        gallery, z, unit = self.rows("gallery"), self.raw("queries"), self.units("queries")
        gap = self.gaps(gallery, gallery, np.arange(len(gallery)))
        share, false = _share((_angles(self.rows("absent"), gallery) / gap).min(1))
        own = np.array([item for _, _, item in asked(EACH, ITEMS)])
        inside = _inside(z, gallery[own], share * gap[own]) * unit
        along = z @ gallery.T
        apart = np.sqrt(np.maximum(2 - 2 * gallery[own] @ gallery.T, 1e-6))
        lead = (along[np.arange(len(own)), own][:, None] - along) / apart
        lead[np.arange(len(own)), own] = np.inf
        radius = lead.min(1) * unit
        found = {f"first, certified at {level:g}": 100 * float((radius > level).mean()) for level in LEVELS[:3]}
        found |= {f"accepted, certified at {level:g}": 100 * float((inside > level).mean()) for level in LEVELS}
        accepted = (inside > 0).reshape(len(FAMILIES), EACH).mean(1)
        kinds = {f"family {name}": 100 * float(part) for name, part in zip(FAMILIES, accepted, strict=True)}
        return {**found, "false matches, %": false, **kinds, **self._same_layout(gallery, gap, share)}

    def _same_layout(self, gallery, gap, share: float) -> dict[str, float]:
        if not (self.out / "kinds.npy").exists():
            return {}
        rows = self.rows("kinds")
        one, rest = rows[::CONTENTS], np.delete(rows, np.s_[::CONTENTS], 0)
        both = np.concatenate([one, gallery])
        reach = share * np.concatenate([self.gaps(one, both, np.arange(len(one))), gap])
        return {"same layout taken for copies, %": 100 * float((_angles(rest, both) < reach).any(1).mean())}

    def light(self) -> dict[str, float]:
        """Verdicts and false matches through views and pair classes."""
        gallery = self.rows("light-gallery").reshape(FEW[0] + FEW[1], len(STORED_VIEWS), -1)
        whole, count = gallery[:, 0], len(gallery)
        own = np.repeat(np.arange(count), len(STORED_VIEWS))
        gap = self.gaps(gallery.reshape(len(own), -1), whole, own).reshape(count, -1)
        absent = _by_view(self.raw("light-absent"))
        scores = [
            (_angles(_normed(absent[:, q]), gallery[:, g]) / _reach(gap, g, part, least)).min(1)
            for q, g, part, least in _pairs()
        ]
        share, false = _share(np.min(scores, 0))
        item = np.array([one for _, _, one in asked(FEW_EACH, FEW[0])])
        z, unit = _by_view(self.raw("light-queries")), self.units("light-queries").reshape(-1, len(QUERY_VIEWS))
        inside = [
            _inside(z[:, q], gallery[item, g], share * _reach(gap, g, part, least)[item]) * unit[:, q]
            for q, g, part, least in _pairs()
        ]
        inside = np.max(inside, 0)
        found = {f"light: accepted, certified at {level:g}": 100 * float((inside > level).mean()) for level in LEVELS}
        return {**found, "light: false matches, %": false}


def _normed(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _by_view(rows):
    return rows.reshape(-1, len(QUERY_VIEWS), rows.shape[1])


def _pairs() -> list[tuple[int, int, float, float]]:
    """(view of the query, stored view, part, least gap)."""
    return [
        (QUERY_VIEWS.index(rule.query), STORED_VIEWS.index(name), rule.parts[0], rule.least[0])
        for rule in RULES
        for name in rule.gallery
    ]


def _reach(gap, view: int, part: float, least: float):
    """What a share is taken of; nothing where the unedited row lies too close to others."""
    return np.where(gap[:, 0] > least, part * gap[:, view], 1e-9)


def _angles(left, right):
    return np.arccos(np.clip(left @ right.T, -1.0, 1.0))


def _share(scores: npt.NDArray[np.float32]) -> tuple[float, float]:
    """The share at which the even negatives match at the rate, and the rate in % of the odd ones."""
    edge = float(np.sort(scores[::2])[math.floor(RATE * len(scores[::2]))])
    return edge, 100 * float((scores[1::2] < edge).mean())


def _inside(z, rows, reach):
    """T5: signed distance of each embedding to the cone of its row, in units of the embedding."""
    length = np.linalg.norm(z, axis=1)
    angle = np.arccos(np.clip((z * rows).sum(1) / np.maximum(length, 1e-9), -1.0, 1.0))
    return length * np.sin(np.minimum(reach, np.pi / 2) - angle)


def tails(run: Path) -> dict[str, nn.Module]:
    """The shipped head and the variants of a run as its checkpoint has them, averaged, in float32."""
    options, weights = averaged_weights(run)
    trial = Trial(options["variants"], generator=torch.Generator().manual_seed(0))
    trial.load_state_dict(weights)
    whole = load_embedder("retr_s").network  # pyright: ignore[reportAttributeAccessIssue]
    found: dict[str, nn.Module] = {"retr_s": nn.Sequential(*list(whole.children())[-2:])}
    return found | {name: trial.fold(name) for name in trial.bodies}


def cost(tail: nn.Module) -> dict[str, float]:
    """Processor time of an image behind the convolutions, and what its numbers take."""
    x, began = torch.rand(256, 256, 4, 4), time.process_time()
    with torch.inference_mode():
        for _ in range(4):
            quickly(tail, x)
        bulk, began, one = time.process_time() - began, time.process_time(), x[:1].double()
        wide = nn.Sequential(tail).double()
        began = time.process_time()
        for _ in range(20):
            wide(one)
        single = time.process_time() - began
    tail.float()
    bytes_ = 4 * sum(value.numel() for value in tail.state_dict().values())
    return {"ms an image, float32": bulk / 1.024, "ms a query, float64": single * 50, "MB": bytes_ / 1e6}


def report(out: Path, run: Path) -> None:
    """Print the table."""
    found = {}
    for name, tail in tails(run).items():
        one = Measured(out, tail)
        found[name] = one.plain() | (one.light() if (out / "light-absent.npy").exists() else {}) | cost(tail)
    print(f"| | {' | '.join(found)} |\n|---|{'---|' * len(found)}")
    for line in next(iter(found.values())):
        print(f"| {line} | {' | '.join(f'{values[line]:.1f}' for values in found.values())} |")


def main() -> None:
    """Make features, or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("features", "report"))
    parser.add_argument("out", type=Path)
    parser.add_argument("run", type=Path, nargs="?", default=Path("run"))
    parser.add_argument("--part", nargs="*", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.what == "features":
        features(given.out, given.part)
    else:
        report(given.out, given.run)


if __name__ == "__main__":
    main()
