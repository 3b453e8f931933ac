"""Files of weights that users give: found, read as tensors only, and compared with what a network needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..core.errors import ModelError, UsageError
from ..embedding.checkpoint_file import read_checkpoint


def require_file(text: str, *, form: str) -> Path:
    """The path after a metric's name.

    Raises:
        UsageError: where none is given.
        ModelError: where it is not a file.
    """
    if not text:
        raise UsageError(f"{form.partition(':')[0]} needs a file of weights: {form}")
    path = Path(text).expanduser()
    if not path.is_file():
        what = "a directory" if path.is_dir() else "not there"
        raise ModelError(f"{form}: {path} is {what}")
    return path.resolve()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a torch checkpoint (weights only: nothing in it is run).

    A checkpoint may hold them under ``state_dict``, ``model`` or ``params``, and each name may begin with ``module.``.

    Raises:
        ModelError: where the file is neither, or holds no tensors by name.
    """
    try:
        content: Any = load_file(path) if path.suffix == ".safetensors" else read_checkpoint(path)
    except (RuntimeError, ValueError, OSError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"{path} is not a file of weights that can be read safely: {reason}") from None
    for key in ("state_dict", "model", "params"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = _tensors_of(content)
    if not tensors:
        raise ModelError(f"{path} holds no tensors by name, but {type(content).__name__}")
    return tensors


def require_tensors(path: Path, wanted: Iterable[str], fitting: Mapping[str, Tensor]) -> None:
    """Check that every wanted tensor is there in its shape.

    Raises:
        ModelError: naming the first ones that are not.
    """
    lacking = [key for key in wanted if key not in fitting]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise ModelError(f"{path} lacks {', '.join(lacking[:3])}{more} in the shape that the network needs")


def fill(network: nn.Module, path: Path, tensors: Mapping[str, Tensor] | None = None) -> None:
    """Load a file into a network whose every tensor it must hold.

    Args:
        network: to fill.
        path: the file, named in errors.
        tensors: its tensors under the network's names; read from the file by default.

    Raises:
        ModelError: where one is missing or of another shape.
    """
    own = network.state_dict()
    given = read_tensors(path) if tensors is None else tensors
    fitting = {key: value for key, value in given.items() if key in own and own[key].shape == value.shape}
    require_tensors(path, own, fitting)
    network.load_state_dict(fitting)


def _tensors_of(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    named = {str(key).removeprefix("module."): value for key, value in content.items()}
    return {key: value for key, value in named.items() if isinstance(value, Tensor)}
