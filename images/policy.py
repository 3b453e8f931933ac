"""The decode policy: everything that decides which pixels a file becomes. Hashed into every index and certificate."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Self

from ..core.errors import UsageError
from ..core.files import digest_json

POLICY_VERSION = 1
"""Raised whenever the meaning of a field, or a conversion that no field names, changes."""
PILLOW_PIXEL_LIMIT = 178_956_970
"""Pillow refuses more pixels than this by itself, so a larger cap could not be kept."""


@dataclass(frozen=True)
class DecodePolicy:
    """Caps and conversions of :func:`retr.images.decode.decode`; two equal policies give equal pixels.

    Attributes:
        version: the rules in ``docs/decode-policy.md`` that the numbers below complete.
        max_bytes: largest file, in bytes.
        max_pixels: largest width × height, as the header states it.
        max_side: largest width or height.
        max_profile_bytes: a larger ICC profile is ignored, like a broken one.
        max_metadata_bytes: most bytes of metadata (text, EXIF, tags, comments) that a file may ask us to walk through.
        background: sRGB colour, 0–255, that transparent pixels are composited over.
    """

    version: int = POLICY_VERSION
    max_bytes: int = 128 * 2**20
    max_pixels: int = 100_000_000
    max_side: int = 65_535
    max_profile_bytes: int = 4 * 2**20
    max_metadata_bytes: int = 16 * 2**20
    background: tuple[int, int, int] = (255, 255, 255)

    def __post_init__(self) -> None:
        if self.version != POLICY_VERSION:
            raise UsageError(f"decode policy version {self.version} is not known here; this retr has {POLICY_VERSION}")
        for name in ("max_bytes", "max_pixels", "max_side", "max_profile_bytes", "max_metadata_bytes"):
            _check_count(name, getattr(self, name))
        if self.max_pixels > PILLOW_PIXEL_LIMIT:
            raise UsageError(f"max_pixels is at most {PILLOW_PIXEL_LIMIT} (Pillow's own limit), got {self.max_pixels}")
        if len(self.background) != 3 or not all(type(c) is int and 0 <= c <= 255 for c in self.background):
            raise UsageError(f"background must be three integers from 0 to 255, got {self.background!r}")

    def as_json(self) -> dict[str, Any]:
        """The policy as plain JSON values."""
        return {**asdict(self), "background": list(self.background)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Rebuild a policy from :meth:`as_json`.

        Raises:
            UsageError: for a missing, unknown or impossible field: a policy half understood is another policy.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(value, dict) or set(value) != known:
            raise UsageError(f"a decode policy has exactly the fields {', '.join(sorted(known))}; got {value!r}")
        try:
            background = tuple(value["background"])
        except TypeError:
            raise UsageError(f"background must be three integers, got {value['background']!r}") from None
        return cls(**{**value, "background": background})

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the canonical JSON."""
        return digest_json(self.as_json())


def _check_count(name: str, value: object) -> None:
    """Refuse anything but a positive integer."""
    if type(value) is not int or value < 1:
        raise UsageError(f"{name} must be a positive integer, got {value!r}")
