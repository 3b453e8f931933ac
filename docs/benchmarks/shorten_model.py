"""A model file with fewer numbers an image: the embedding turned onto its principal directions, the first of them kept.

    python docs/benchmarks/shorten_model.py MODEL PHOTOS --dim 128 -o retr_s-128.safetensors

The directions are those of the unit embeddings of PHOTOS (folders or tar shards with photographs; --sample of them,
drawn by a fixed seed). They are orthonormal, so two shorter embeddings are at most as far apart as the longer ones; the
head is stored as one matrix, and its bound is proved again from the numbers in the file, as for any model.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from choose_views import embed, pixels_of, read_images

from retr.core.errors import RetrError, UsageError
from retr.embedding.contract import Embedder
from retr.embedding.layers.linear import LinearDense, ship_dense
from retr.embedding.model_file import file_spec, save_model
from retr.embedding.network import NetworkEmbedder
from retr.embedding.registry import load_embedder


def main() -> None:
    """Embed, find the directions, write the shorter model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--dim", type=int, required=True)
    parser.add_argument("--sample", type=int, default=4000)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    try:
        print(json.dumps(shorten(args.model, args.photos, args.sample, args.dim, args.output)))
    except (RetrError, OSError) as error:
        parser.error(str(error))


def shorten(spec: str, photos: Sequence[Path], sample: int, dim: int, output: Path) -> dict[str, Any]:
    """Write the shorter model of a spec; returns what it is, and how much it keeps."""
    embedder = load_embedder(spec)
    encoded = [image for source in photos for image in read_images(source)]
    chosen = np.random.default_rng(0).permutation(len(encoded))[: max(sample, 0)]
    if not chosen.size:
        raise UsageError(f"no photograph to take directions from: {len(encoded)} found, --sample {sample}")
    rows = embed((pixels_of(encoded[k]) for k in chosen), [embedder])[0]
    basis, kept = directions(torch.from_numpy(rows), dim)
    short = shortened(embedder, basis, output)
    card = {"name": short.name, "from": embedder.name, "dim": dim, "directions_from_images": len(rows)}
    header = save_model(short, output, card)
    return {**card, "kept": kept, "lipschitz": header["lipschitz"]["value"]}


def directions(rows: torch.Tensor, dim: int) -> tuple[torch.Tensor, float]:
    """Orthonormal directions, (dim, d) float64, and the share of the squared length that they keep.

    Args:
        rows: (n, d) embeddings.
        dim: how many to keep, at most d.

    Raises:
        UsageError: for a dim that is no size of a shorter embedding.
    """
    if not 1 <= dim <= rows.shape[1]:
        raise UsageError(f"--dim is 1 to {rows.shape[1]}, got {dim}")
    unit = torch.nn.functional.normalize(rows.double(), dim=1)
    values, vectors = torch.linalg.eigh(unit.T @ unit)  # ascending
    return vectors.T.flip(0)[:dim], float(values.flip(0)[:dim].sum() / values.sum())


def shortened(embedder: Embedder, basis: torch.Tensor, path: Path) -> NetworkEmbedder:
    """The network with its head turned onto the directions.

    Args:
        embedder: one whose network ends in a dense layer, and whose blueprint states ``dim``.
        basis: (dim, d) orthonormal rows.
        path: where it will be stored; its stem is its name.

    Raises:
        UsageError: for any other embedder.
    """
    head = embedder.network[-1] if isinstance(embedder, NetworkEmbedder) else None  # pyright: ignore[reportIndexIssue]
    if not isinstance(embedder, NetworkEmbedder) or not isinstance(head, LinearDense):
        raise UsageError("only a network that ends in a dense layer can be shortened; retr_s and its kind do")
    network = copy.deepcopy(embedder.network)
    # The bias is rounded after it was turned: a constant moves no distance.
    network[-1] = ship_dense(basis @ head.weight.double(), basis @ head.bias.double())  # pyright: ignore[reportIndexIssue]
    architecture = {**embedder.blueprint.architecture, "dim": len(basis)}
    blueprint = replace(embedder.blueprint, architecture=architecture)
    return NetworkEmbedder(network, blueprint, name=path.stem, spec=file_spec(path))


if __name__ == "__main__":
    main()
