"""ONNX files as foreign embedders, run by onnxruntime on the CPU: uncertified, and without gradients.

Needs the package ``onnxruntime`` (the extra ``onnx``).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..core.errors import ModelError
from ..core.files import digest_json, sha256_file
from .foreign import Foreign, ForeignEmbedder


class Session(nn.Module):
    """An ONNX graph: (b, 3, h, w) float32 → its first output, flattened. One image at a time where b is fixed to 1."""

    def __init__(self, session: Any, path: Path) -> None:
        super().__init__()
        self._session, self._path = session, path
        taken = session.get_inputs()
        if len(taken) != 1 or taken[0].type != "tensor(float)" or len(taken[0].shape) != 4:
            said = ", ".join(f"{one.name} {one.type} {one.shape}" for one in taken)
            raise ModelError(f"{path} must take one float32 tensor (images, 3, height, width); it takes {said}")
        self._name, self.shape = taken[0].name, list(taken[0].shape)

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch."""
        images = x.detach().to("cpu", torch.float32).contiguous().numpy()
        step = 1 if self.shape[0] == 1 else max(1, len(images))
        parts = [self._run(images[at : at + step]) for at in range(0, len(images), step)]
        return torch.from_numpy(np.concatenate(parts)).to(x.device)

    def _run(self, images: np.ndarray) -> np.ndarray:
        try:
            found = np.asarray(self._session.run(None, {self._name: images})[0], dtype=np.float32)
        except Exception as error:  # onnxruntime's exceptions have no common class that is public
            raise ModelError(f"{self._path} cannot be run: {str(error).splitlines()[0][:200]}") from None
        return found.reshape(len(images), -1)


def load_onnx(file: str, *, input_size: tuple[int, int] | None = None) -> ForeignEmbedder:
    """An ONNX file taking (b, 3, h, w) float32 in [0, 1]; it normalises inside if it needs to. Cosine score.

    Args:
        file: its path.
        input_size: (height, width) to resize images to; None where the file itself says it.

    Raises:
        ModelError: where the package or the file is missing, or it does not embed.
    """
    path = Path(file)
    if not path.is_file():
        what = "a directory" if path.is_dir() else "not there"
        raise ModelError(f"ONNX file {path} is {what}")
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise ModelError(f"{path} is no ONNX file that can be run: {str(error).splitlines()[0][:200]}") from None
    module = Session(session, path)
    height, width = input_size or _said_size(module.shape, path)
    spec = f"onnx:{path.resolve()}@{height}x{width}"
    digest = digest_json({"family": "onnx", "file": sha256_file(path), "input_size": [height, width]})
    why = f"{path.name} is a foreign program: no Lipschitz constant is proved for it"
    zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return ForeignEmbedder(Foreign(module, path.stem, spec, (height, width), zero, one, why, digest))


def _said_size(shape: list[Any], path: Path) -> tuple[int, int]:
    height, width = shape[2:]
    if not (isinstance(height, int) and isinstance(width, int)):
        raise ModelError(f"{path} takes images of any size: say which, as in onnx:{path}@224x224")
    return height, width


def _runtime() -> ModuleType:
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise ModelError(f"onnx: models need the extra: pip install 'retr[onnx]' ({error})") from None
