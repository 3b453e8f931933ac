"""Makes the weights in a model file trainable again: a run to start from, of a network of orthogonal convolutions.

    python docs/benchmarks/unfold_network.py embedding/weights/retr_s.safetensors RUN
    retr train copies PHOTOS -o RUN2 --set start=RUN --set depths=3,3,6

A model file holds folded kernels, and the parameters that made them are lost. They can be found again, up to the choice
of bases, which changes no number of the map. A kernel of k taps is M·Π[P, I−P], taken down and across by turns
(``layers.orthogonal_conv``); the last factor works across. With W what stands before it, the columns of taps are
K₀ = W₀P, K₁ = W₁P + W₀(I−P), K₂ = W₁(I−P): rows of the first lie in the range of P and those of the last in that of
I−P, which gives P, and W₀ = K₀P + K₁(I−P), W₁ = K₁P + K₂(I−P) is what stands before it. Projections are written as
orthogonal matrices without the eigenvalue −1, which Cayley's transform reaches. Prints how far the embeddings of noise
are off; a kernel that is no such product is refused.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from retr.core.errors import ModelError, RetrError
from retr.embedding.layers.orthogonal_conv import OrthogonalConv
from retr.embedding.layers.orthogonal_dense import OrthogonalDense
from retr.embedding.model_file import load_model
from retr.embedding.retr_network import RetrArchitecture, RetrNetwork
from retr.training.checkpoint import NAME, Progress, Trainee, save_checkpoint
from retr.training.recipe import Stateless

_LEAST = 1e-4
"""So near must the kernel that the parameters make be to the given one, in every number."""


@torch.no_grad()
def unfold(network: nn.Module, architecture: RetrArchitecture) -> RetrNetwork:
    """The trainable form of a folded network.

    Raises:
        ModelError: where it has other layers, or kernels that are no products.
    """
    if (architecture.layer, architecture.head, architecture.centring) != ("orthogonal", "orthogonal", "plain"):
        raise ModelError(f"only orthogonal layers with the origin at plain images can be unfolded, not {architecture}")
    trainable = RetrNetwork(architecture)
    for name, layer in trainable.body.named_modules():
        if isinstance(layer, OrthogonalConv):
            unfold_conv(network.get_submodule(name), layer)
        if isinstance(layer, OrthogonalDense):
            rows = network.get_submodule(name).get_buffer("weight")
            layer.weight.copy_(rows * layer.weight.norm(dim=1).mean())  # the size of entries that training begins with
            layer.bias.copy_(network.get_submodule(name).get_buffer("bias"))
    return trainable


@torch.no_grad()
def unfold_conv(folded: nn.Module, layer: OrthogonalConv) -> None:
    """Set the parameters of a layer so that it makes the kernel and the bias of its folded form.

    Args:
        folded: with a kernel (c, c, k, k), c even, and a bias (c,).
        layer: of that size.

    Raises:
        ModelError: where the kernel is no product of orthogonal taps.
    """
    kernel = folded.get_buffer("kernel")
    rest = kernel.double()
    for step in range(2 * (kernel.shape[-1] - 1), 0, -1):
        rest, projector = _peel(rest, across=step % 2 == 0)
        layer.skew[0, step] = _parameter(_basis(projector)).float()
    left, _, right = torch.linalg.svd(rest[:, :, 0, 0])
    layer.skew[0, 0] = _parameter(left @ right).float()
    layer.bias.copy_(folded.get_buffer("bias"))
    off = (layer.kernel(layer.skew) - kernel).abs().max().item()
    if not off < _LEAST:
        raise ModelError(f"a kernel is no product of orthogonal taps: what was found is off by {off:g}")


def _peel(kernel: Tensor, *, across: bool) -> tuple[Tensor, Tensor]:
    """What stands before the last factor, and its projection."""
    along = 3 if across else 2
    taps = kernel.unbind(along)  # (o, c, k) each
    first, last = (taps[end].transpose(1, 2).flatten(0, 1) for end in (0, -1))
    vectors = torch.linalg.eigh(first.T @ first - last.T @ last).eigenvectors
    half = vectors[:, len(vectors) // 2 :]  # of the positive values
    projector = half @ half.T
    outer = torch.eye(len(vectors), dtype=kernel.dtype) - projector
    before = [_right(low, projector) + _right(high, outer) for low, high in pairwise(taps)]
    return torch.stack(before, along), projector


def _right(taps: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("iju,jk->iku", taps, matrix)


def _basis(projector: Tensor) -> Tensor:
    """An orthogonal matrix whose first columns span the range; its diagonal blocks are positive semidefinite."""
    half, vectors = len(projector) // 2, torch.linalg.eigh(projector).eigenvectors
    return torch.cat((_turned(vectors[:, half:], slice(0, half)), _turned(vectors[:, :half], slice(half, None))), 1)


def _turned(columns: Tensor, block: slice) -> Tensor:
    """Columns in another basis of what they span, so that a block of rows is symmetric (polar form)."""
    left, _, right = torch.linalg.svd(columns[block])
    return columns @ right.T @ left.T


def _parameter(matrix: Tensor) -> Tensor:
    """The reverse of Cayley's transform."""
    one = torch.eye(len(matrix), dtype=matrix.dtype)
    return torch.linalg.solve(one + matrix, one - matrix) / 2


class _Nothing(Stateless):
    """A recipe that has gathered nothing."""


def main() -> None:
    """Write the checkpoint of a run of no step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("run", type=Path)
    given = parser.parse_args()
    try:
        print(f"off by {write_run(given.model, given.run):g} at most")
    except (RetrError, OSError) as error:
        parser.error(str(error))


def write_run(model: Path, run: Path) -> float:
    """Write a model file's trainable form as a run to start from; how far embeddings are off, largest number.

    Raises:
        ModelError: for a model that cannot be unfolded.
        RetrError: for a file that is none of ours, or damaged.
    """
    embedder = load_model(model)
    if embedder.blueprint.family != "retr":
        raise ModelError(f"{model} is of the family {embedder.blueprint.family}; only retr can be unfolded")
    network = unfold(embedder.network, RetrArchitecture.from_json(dict(embedder.blueprint.architecture))).eval()
    x = torch.rand(8, 3, *embedder.input_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        off = (network(x) - embedder.network(x)).abs().max().item()
    run.mkdir(parents=True, exist_ok=True)
    trainee = Trainee(network, network, torch.optim.AdamW(network.parameters()), _Nothing())  # pyright: ignore[reportArgumentType]
    save_checkpoint(run / NAME, trainee, Progress(), {"recipe": "unfolded", "options": {"model": embedder.digest}})
    return off


if __name__ == "__main__":
    main()
