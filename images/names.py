"""Which names are those of images, where a folder or an archive holds other things too."""

from __future__ import annotations

from pathlib import PurePath

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
"""Endings of image files; what a file holds is told by its bytes when it is decoded."""


def is_image_name(name: str | PurePath) -> bool:
    """Whether a file is an image by its name; dot files (``._1.png`` of macOS) are not."""
    path = PurePath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
