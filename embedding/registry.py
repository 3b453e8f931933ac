"""From the words a user writes to an embedder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..core.errors import UsageError
from ..core.types import Score
from .block_means import BlockMeans
from .contract import Embedder
from .foreign import RANDOM_SUFFIX, load_timm, load_torchscript
from .foreign_dreamsim import INPUT_SIZE as DREAMSIM_SIZE
from .foreign_dreamsim import load_dreamsim
from .foreign_onnx import load_onnx
from .foreign_open_clip import load_open_clip
from .lite0 import DIM as HEAD_DIM
from .lite0 import NAME as LITE0
from .lite0 import SIDE, load_lite0
from .model_file import SUFFIX, load_model
from .network import NetworkEmbedder
from .packaged import load_packaged, packaged_file
from .retr_network import RETR_S
from .sll_network import LIPSIM_SMALL, SLLNetwork, sll_blueprint

FORMS = (
    "block-means[:S]",
    "retr_s",
    "lipsim:random[:SEED]",
    f"FILE{SUFFIX} (or file:PATH)",
    "timm:NAME[#random]",
    "open_clip:NAME/TAG",
    "dreamsim[:KIND]",
    "torchscript:FILE[@HxW]",
    "onnx:FILE[@HxW]",
    "efficientnet-lite0",
)
"""Every form a spec can take."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One line of ``retr models list``.

    Attributes:
        name: the form of its spec.
        certified: whether its answers carry radii.
        needs: what it needs to be there, in words.
        input_size: (height, width), None where it depends on the model.
        dim: length of the embedding, None where it depends on the model.
        score: how embeddings are compared, None where it depends on the model.
    """

    name: str
    certified: bool
    needs: str
    input_size: tuple[int, int] | None
    dim: int | None
    score: Score | None


def load_embedder(spec: str, *, pretrained: bool = True, device: str = "cpu") -> Embedder:
    """Build the embedder that a spec names; its ``spec`` attribute rebuilds it.

    Args:
        spec: one of FORMS.
        pretrained: for ``timm:`` and ``open_clip:``: fetch weights, or draw random ones of a fixed seed.
        device: where its weights go.

    Raises:
        UsageError: for a spec that names nothing, with the forms there are.
        ModelError: where the model is missing, unreadable or does not embed.
        WeightsUnavailable: where weights must be fetched and cannot be.
        IntegrityError: where a model file differs from its digest.
    """
    kind, _, rest = spec.partition(":")
    if kind in _LOADERS:
        return _LOADERS[kind](rest, pretrained).to(device)
    if spec.endswith(SUFFIX):
        return load_model(Path(spec)).to(device)
    raise UsageError(f"unknown model {spec!r}; choose {', '.join(FORMS)}{_path_hint(spec)}")


def list_models() -> list[ModelInfo]:
    """Every kind of model, certified ones first."""
    default, lipsim, small = BlockMeans(), LIPSIM_SMALL, RETR_S
    shipped = "nothing" if packaged_file("retr_s") else "weights, which this build of retr comes without"
    return [
        ModelInfo(FORMS[0], True, "nothing", default.input_size, default.dim, default.score),
        ModelInfo(FORMS[1], True, shipped, (small.image, small.image), small.dim, "cosine"),
        ModelInfo(
            FORMS[2], True, "nothing: untrained weights, for audits", (lipsim.image, lipsim.image), lipsim.dim, "cosine"
        ),
        ModelInfo(FORMS[3], True, "a model file, by training or `retr models convert`", None, None, None),
        ModelInfo(FORMS[4], False, "weights from the hub, or #random", None, None, "cosine"),
        ModelInfo(FORMS[5], False, "the extra open_clip; weights from the hub", None, None, "cosine"),
        ModelInfo(FORMS[6], False, "the extra dreamsim; weights from its site", DREAMSIM_SIZE, None, "cosine"),
        ModelInfo(FORMS[7], False, "a TorchScript file", None, None, "cosine"),
        ModelInfo(FORMS[8], False, "the extra onnx; an ONNX file", None, None, "cosine"),
        ModelInfo(FORMS[9], False, "the extra companion, which brings its weights", (SIDE, SIDE), HEAD_DIM, "cosine"),
    ]


def lipsim_random(seed: int) -> NetworkEmbedder:
    """The LipSim network with random weights: the proofs hold, the embedding knows nothing. For audits and tests."""
    network = SLLNetwork(LIPSIM_SMALL, generator=torch.Generator().manual_seed(seed))
    spec = f"lipsim:random:{seed}"
    return NetworkEmbedder(network.fold(), sll_blueprint(LIPSIM_SMALL, "cosine"), name=spec, spec=spec)


def _block_means(rest: str, pretrained: bool) -> Embedder:
    del pretrained  # it has no weights
    return BlockMeans(_number(rest, "block-means:S", "a number of blocks per side")) if rest else BlockMeans()


def _retr_s(rest: str, pretrained: bool) -> Embedder:
    del pretrained  # its weights come with the package
    if rest:
        raise UsageError(f"retr_s takes nothing after its name, got {rest!r}; a model file of yours is given by path")
    return load_packaged("retr_s")


def _lipsim(rest: str, pretrained: bool) -> Embedder:
    del pretrained  # it says itself that it is random
    weights, _, seed = rest.partition(":")
    if weights != "random":
        hint = "convert a checkpoint with `retr models convert` and give the file"
        raise UsageError(f"unknown weights {rest!r} for lipsim; choose lipsim:random[:SEED], or {hint}")
    return lipsim_random(_number(seed, "lipsim:random:SEED", "a seed") if seed else 0)


def _file(rest: str, pretrained: bool) -> Embedder:
    del pretrained  # a model file holds its weights
    if not rest:
        raise UsageError("file: needs the path of a model file")
    return load_model(Path(rest))


def _timm(rest: str, pretrained: bool) -> Embedder:
    if not rest.removesuffix(RANDOM_SUFFIX):
        raise UsageError("timm: needs a model name, for example timm:resnet18")
    return load_timm(rest.removesuffix(RANDOM_SUFFIX), pretrained=pretrained and not rest.endswith(RANDOM_SUFFIX))


def _open_clip(rest: str, pretrained: bool) -> Embedder:
    name = rest.removesuffix(RANDOM_SUFFIX)
    if not name:
        raise UsageError("open_clip: needs a model and its weights, for example open_clip:ViT-B-32/laion2b_s34b_b79k")
    return load_open_clip(name, pretrained=pretrained and not rest.endswith(RANDOM_SUFFIX))


def _dreamsim(rest: str, pretrained: bool) -> Embedder:
    return load_dreamsim(rest, pretrained=pretrained)


def _torchscript(rest: str, pretrained: bool) -> Embedder:
    del pretrained  # a TorchScript file holds its weights
    file, size = _sized("torchscript", rest, "model.pt")
    return load_torchscript(file) if size is None else load_torchscript(file, input_size=size)


def _onnx(rest: str, pretrained: bool) -> Embedder:
    del pretrained  # an ONNX file holds its weights
    file, size = _sized("onnx", rest, "model.onnx")
    return load_onnx(file, input_size=size)


def _sized(kind: str, rest: str, example: str) -> tuple[str, tuple[int, int] | None]:
    """The file and the input size of ``FILE[@HxW]``."""
    if not rest:
        raise UsageError(f"{kind}: needs the path of a file, for example {kind}:{example}@224x224")
    sized = re.fullmatch(r"(.+)@(\d+)x(\d+)", rest)
    if sized is None:
        return rest, None
    size = (int(sized[2]), int(sized[3]))
    if min(size) < 1:
        raise UsageError(f"{kind}: an input size must be positive, got {size[0]}x{size[1]}")
    return sized[1], size


def _lite0(rest: str, pretrained: bool) -> Embedder:
    del pretrained  # its weights come with its packages
    if rest:
        raise UsageError(f"{LITE0} takes nothing after its name, got {rest!r}")
    return load_lite0()


_LOADERS: dict[str, Callable[[str, bool], Embedder]] = {
    "block-means": _block_means,
    "retr_s": _retr_s,
    "lipsim": _lipsim,
    "file": _file,
    "timm": _timm,
    "open_clip": _open_clip,
    "dreamsim": _dreamsim,
    "torchscript": _torchscript,
    "onnx": _onnx,
    LITE0: _lite0,
}


def _number(text: str, form: str, what: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise UsageError(f"{text!r} is not {what}; write {form}")
    return int(text)


def _path_hint(spec: str) -> str:
    path = Path(spec)
    if path.is_dir():
        return f"; {spec} is a directory, give the model file inside it"
    return f"; a model file ends in {SUFFIX}, or is written file:{spec}" if path.is_file() else ""
