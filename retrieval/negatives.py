"""Images known to be absent, embedded once: what calibration looks at, kept in the index for the next time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from ..core.errors import ImageRejected
from ..core.files import canonical_json, digest_json, sha256_bytes, write_atomically
from ..core.parallel import in_order
from ..core.progress import Progress, begin
from ..images.decode import DecodedImage
from ..indexer.addresses import absolute_text, asked_text
from ..indexer.entries import load_named, stamp_of
from .channel import Float64, Pixels
from .engine import Engine

_KEY = "retr"
_DIGEST = "retr.sha256"
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Negative:
    """One image that no channel needs to see again.

    Attributes:
        zs: per test of the index (``Engine.tests``) (d,) float64, along the certified path; zeros where the channel
            refuses the view as flat.
        pixels_sha256: of its pixels.
    """

    zs: tuple[Float64, ...]
    pixels_sha256: str


@dataclass
class Negatives:
    """Those of a calibration, in order.

    Attributes:
        names: paths, or whatever names them; images: what they are.
        refused: files that hold no acceptable image; present: those whose very pixels the gallery holds.
    """

    names: list[str] = field(default_factory=list)
    images: list[Negative] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)

    def zs(self, test: int, dim: int) -> Float64:
        """(n, dim) embeddings for one test."""
        return np.stack([image.zs[test] for image in self.images]) if self.images else np.zeros((0, dim))

    def keep(self, which: np.ndarray) -> Negatives:
        """Some of them."""
        return Negatives([self.names[n] for n in which], [self.images[n] for n in which], self.refused, self.present)


def embed_negative(engine: Engine, pixels: Pixels, digest: str = "") -> Negative:
    """Embed one image for every test of an index: (H, W, 3), uint8 or float64 in [0, 1]."""
    found = {probe.name: probe.z for probe in engine.embed(pixels).probes if not probe.refused}
    blank = (np.zeros(engine.channels[number].store.dim) for number, _ in engine.tests)
    return Negative(tuple(found.get(name, zeros) for name, zeros in zip(engine.tests, blank, strict=True)), digest)


def read_negatives(engine: Engine, paths: Sequence[str], progress: Progress) -> Negatives:
    """Read and embed image files; those that were embedded before, and are unchanged, are not read again.

    What was embedded is kept in the index, also when this is interrupted.

    Args:
        engine: the opened index.
        paths: image files.
        progress: told of each.
    """
    shelf = Shelf(engine)
    found = Negatives()
    begin(progress, "reading negatives", len(paths))
    try:
        for path, negative in _each(engine, shelf, paths):
            if negative is None:
                found.refused.append(path)
            elif engine.gallery.table.holds(negative.pixels_sha256):
                found.present.append(path)
            else:
                found.names.append(path)
                found.images.append(negative)
            progress.advance()
    finally:
        shelf.write()
    return found


def _each(engine: Engine, shelf: Shelf, paths: Sequence[str]) -> Iterator[tuple[str, Negative | None]]:
    def ready(path: str) -> tuple[str, Negative | DecodedImage | None]:
        return path, shelf.find(path) or _load(engine, path)

    for path, one in in_order(ready, paths, workers=_WORKERS, name="decode"):
        if isinstance(one, DecodedImage):
            negative = embed_negative(engine, one.pixels, one.pixels_sha256)
            shelf.put(path, negative)
            yield path, negative
        else:
            yield path, one


def _load(engine: Engine, path: str) -> DecodedImage | None:
    try:
        return load_named(asked_text(path), engine.policy)
    except ImageRejected:
        return None


class Shelf:
    """Embedded negatives of an index by path, size and time of change; for these models and this decode policy only.

    It holds nothing that could not be made again: a file that is damaged or of other models is not believed, and one
    that cannot be written is done without.
    """

    def __init__(self, engine: Engine) -> None:
        snapshot = engine.gallery.snapshot
        key = [snapshot.policy_digest, *(channel.model_digest for channel in snapshot.channels)]
        if len(engine.tests) > len(engine.channels):
            key += [f"{number} {view}" for number, view in engine.tests]
        self._file = engine.path / "negatives" / f"{digest_json(key)[:16]}.safetensors"
        self._dims = [engine.channels[number].store.dim for number, _ in engine.tests]
        self._known = self._read()
        self._changed = False

    def find(self, path: str) -> Negative | None:
        """What is known of the file as it is now."""
        stamp, negative = self._known.get(_name(path), (None, None))
        return negative if stamp is not None and stamp == _stamp(path) else None

    def put(self, path: str, negative: Negative) -> None:
        """Keep one."""
        stamp = _stamp(path)
        if stamp is not None:
            self._known[_name(path)] = (stamp, negative)
            self._changed = True

    def write(self) -> None:
        """Write all of them, if there is one more than was read."""
        if not self._changed:
            return
        images = [negative for _, negative in self._known.values()]
        tensors = {f"z{k}": np.stack([one.zs[k] for one in images]) for k in range(len(self._dims))}
        lines = [[path, *stamp, one.pixels_sha256] for path, (stamp, one) in self._known.items()]
        self._file.parent.mkdir(exist_ok=True)
        header = {_KEY: canonical_json(lines).decode("utf-8", "surrogatepass"), _DIGEST: _digest(tensors, lines)}
        write_atomically(self._file, safetensors.numpy.save(tensors, metadata=header))

    def _read(self) -> dict[str, tuple[tuple[int, int], Negative]]:
        try:
            data = self._file.read_bytes()
            tensors = safetensors.numpy.load(data)
            lines = json.loads(_metadata(data)[_KEY])
            return self._parse(tensors, lines) if _metadata(data)[_DIGEST] == _digest(tensors, lines) else {}
        except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError):
            return {}

    def _parse(self, tensors: Mapping[str, Any], lines: list[Any]) -> dict[str, tuple[tuple[int, int], Negative]]:
        zs = [tensors[f"z{k}"] for k in range(len(self._dims))]
        if any(z.shape != (len(lines), dim) or z.dtype != np.float64 for z, dim in zip(zs, self._dims, strict=True)):
            return {}
        if not all(np.isfinite(z).all() for z in zs):
            return {}
        return {
            str(path): ((int(size), int(mtime)), Negative(tuple(z[n] for z in zs), str(digest)))
            for n, (path, size, mtime, digest) in enumerate(lines)
        }


def _digest(tensors: Mapping[str, Any], lines: list[Any]) -> str:
    """Of all that is kept."""
    return digest_json({"lines": lines, "tensors": {key: sha256_bytes(tensors[key].tobytes()) for key in tensors}})


def _metadata(data: bytes) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length])["__metadata__"]


def _name(path: str) -> str:
    return absolute_text(path)


def _stamp(path: str) -> tuple[int, int] | None:
    stamp = stamp_of(asked_text(path))
    return None if stamp is None else (stamp[0] or 0, stamp[1])
