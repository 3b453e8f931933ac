"""An overlay as it is asked for: ``overlay:logo.png@20,10:0..0.5``: a file, where its corner lies, how opaque."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from ...core.errors import ImageRejected, UsageError
from ..decode import decode, read_image_file
from ..policy import DecodePolicy
from .affine import overlay
from .family import Continuous, Pixels
from .words import read_range

_FORM = re.compile(r"(?P<path>.+)@(?P<left>-?\d+),(?P<top>-?\d+)(:(?P<range>.+))?")


def read_overlay(name: str, text: str):
    """(name, words) → what draws it over a query; the file is read when that is first needed.

    Raises:
        UsageError: for words of another form.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise UsageError(f"{name} takes a file, a place and a range like overlay:logo.png@20,10:0..0.5, got {text!r}")
    span = read_range(name, found["range"] or "0..0.5", least=0.0, most=1.0)
    place = (int(found["top"]), int(found["left"]))

    def build(pixels: Pixels, policy: DecodePolicy) -> Continuous:
        drawn, alpha = _picture(Path(found["path"]), policy)
        return overlay(pixels, drawn=drawn, alpha=alpha, place=place, span=span, name=name)

    return build


def _picture(path: Path, policy: DecodePolicy) -> tuple[Pixels, np.ndarray]:
    """Pixels and opacity of the overlay's file."""
    try:
        data = read_image_file(path, policy=policy)
        plain = decode(data, policy=policy).pixels
    except ImageRejected as why:
        raise UsageError(f"the overlay {path} cannot be read: {why}") from why
    with Image.open(path) as image:
        if not (image.has_transparency_data and image.format == "PNG"):
            return plain, np.ones(plain.shape[:2])
        both = np.asarray(image.convert("RGBA"))
    return both[..., :3], both[..., 3] / 255.0
