"""The models of an index: kept inside it where they are files, and checked whenever they are loaded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..core.errors import IntegrityError, ModelError
from ..core.files import write_atomically
from ..embedding.contract import Embedder
from ..embedding.packaged import NAMES, packaged_file
from ..embedding.registry import load_embedder
from .row_codes import find_code
from .snapshot import ChannelSpec


def describe_channel(spec: str, pretrained: bool, *, rows: str = "float32") -> ChannelSpec:
    """The channel that an embedder spec makes, without a threshold; the model is loaded to learn what it is.

    Args:
        spec: one of ``embedding.registry.FORMS``.
        pretrained: whether foreign backbones fetch their published weights.
        rows: how its rows are stored: a key of ``row_codes.ROW_CODES``.

    Raises:
        UsageError, ModelError, IntegrityError: as ``embedding.registry.load_embedder``; rows that do not suit it.
    """
    embedder = load_embedder(spec, pretrained=pretrained)
    return ChannelSpec(
        name=embedder.name,
        spec=embedder.spec,
        pretrained=pretrained,
        model_digest=embedder.digest,
        model_file=None,
        certified=embedder.lipschitz is not None,
        lipschitz=embedder.lipschitz.value if embedder.lipschitz else None,
        score=embedder.score,
        dim=embedder.dim,
        rows=find_code(rows, embedder.score).name,
    )


def told_apart(channels: Sequence[ChannelSpec]) -> tuple[ChannelSpec, ...]:
    """The channels; models of one name, such as two training runs, also bear the first digits of their digests."""
    often = Counter(channel.name for channel in channels)
    return tuple(
        replace(channel, name=f"{channel.name}@{channel.model_digest[:6]}") if often[channel.name] > 1 else channel
        for channel in channels
    )


def keep_model(index: Path, channel: ChannelSpec) -> ChannelSpec:
    """Copy a model that is a file into the index, so that the index can be moved and queried alone.

    Packaged weights too: another release of the package may bring others.
    """
    kind, name, size = _file_of(channel.spec)
    source = (packaged_file(channel.spec) or Path()) if channel.spec in NAMES else Path(name)
    if not source.is_file():
        return channel
    target = index / "models" / f"{channel.model_digest[:16]}{source.suffix}"
    target.parent.mkdir(exist_ok=True)
    if not target.exists():
        write_atomically(target, source.read_bytes())
    spec = channel.spec if channel.spec in NAMES else f"{kind}{source.name}{size}"
    return replace(channel, spec=spec, model_file=f"models/{target.name}")


def open_model(index: Path, channel: ChannelSpec, *, device: str = "cpu") -> Embedder:
    """Load a channel's model and make sure it is the one its rows were made with.

    Raises:
        IntegrityError: it is another one, or its copy in the index is missing or damaged.
        ModelError: it cannot be built here.
    """
    spec = channel.spec
    if channel.model_file is not None:
        kind, _, size = _file_of(spec)
        stored = index / channel.model_file
        if not stored.is_file():
            raise IntegrityError(f"{stored} is missing: the model of channel {channel.name}")
        spec = f"{kind or 'file:'}{stored}{size}"
    embedder = _load(spec, channel, device)
    if embedder.digest != channel.model_digest:
        raise IntegrityError(
            f"{channel.name} is not the model this index was built with: its digest is {embedder.digest[:16]}, "
            f"the index says {channel.model_digest[:16]}; index again, or restore the model"
        )
    return embedder


def _load(spec: str, channel: ChannelSpec, device: str) -> Embedder:
    try:
        return load_embedder(spec, pretrained=channel.pretrained, device=device)
    except ModelError as error:
        if channel.model_file is None:
            raise
        raise IntegrityError(f"the copy of its model that the index keeps is damaged: {error}") from error


def _file_of(spec: str) -> tuple[str, str, str]:
    """(prefix, file name, size suffix) of a spec that names a file; an empty file name for the others."""
    kind = next((kind for kind in ("torchscript:", "onnx:") if spec.startswith(kind)), None)
    if kind is not None:
        sized = re.fullmatch(r"(.+?)(@\d+x\d+)?", spec.removeprefix(kind))
        return (kind, sized[1], sized[2] or "") if sized else ("", "", "")
    if spec.startswith("file:"):
        return "file:", spec.removeprefix("file:"), ""
    return ("", spec, "") if spec.endswith(".safetensors") else ("", "", "")
