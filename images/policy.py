"""The decode policy: everything that decides which pixels a file becomes. Hashed into every index and certificate."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

from ..core.errors import UsageError
from ..core.files import digest_json

POLICY_VERSION = 2
"""Raised whenever the meaning of a field, or a conversion that no field names, changes."""
KNOWN_VERSIONS = (1, 2)
"""Versions whose rules are still followed: an index keeps the one that it was made with (decision 0031)."""
PILLOW_PIXEL_LIMIT = 178_956_970
"""Pillow refuses more pixels than this by itself, so a larger cap could not be kept."""


Colour = tuple[int, int, int]


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
        other_background: the colour instead, where the first leaves nothing to be seen (version 2).
        max_frames: most frames of an animation that are looked at for one that is not flat (version 2).
    """

    version: int = POLICY_VERSION
    max_bytes: int = 128 * 2**20
    max_pixels: int = 100_000_000
    max_side: int = 65_535
    max_profile_bytes: int = 4 * 2**20
    max_metadata_bytes: int = 16 * 2**20
    background: Colour = (255, 255, 255)
    other_background: Colour = (0, 0, 0)
    max_frames: int = 64

    def __post_init__(self) -> None:
        if self.version not in KNOWN_VERSIONS:
            known = " and ".join(map(str, KNOWN_VERSIONS))
            raise UsageError(f"decode policy version {self.version} is not known here; this retr has {known}")
        for name in _COUNTS:
            _check_count(name, getattr(self, name))
        if self.max_pixels > PILLOW_PIXEL_LIMIT:
            raise UsageError(f"max_pixels is at most {PILLOW_PIXEL_LIMIT} (Pillow's own limit), got {self.max_pixels}")
        for name in _COLOURS:
            _check_colour(name, getattr(self, name))
        if self.version == 1 and (self.other_background, self.max_frames) != ((0, 0, 0), 64):
            raise UsageError("version 1 of the decode policy has one background and one frame")

    @property
    def looks_further(self) -> bool:
        """Whether what shows nothing is looked at again: on another background, in a later frame (version 2)."""
        return self.version >= 2

    def under_rules(self, version: int) -> Self:
        """The same limits under the rules of a version, with that version's defaults for what it does not have."""
        fresh = {} if version >= 2 else {"other_background": (0, 0, 0), "max_frames": 64}
        return replace(self, version=version, **fresh)

    def as_json(self) -> dict[str, Any]:
        """The policy as plain JSON values; one of version 1 has the fields and the digest that it always had."""
        known = _fields_of(self.version)
        return {name: list(v) if name in _COLOURS else v for name, v in asdict(self).items() if name in known}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Rebuild a policy from :meth:`as_json`.

        Raises:
            UsageError: for a missing, unknown or impossible field: a policy half understood is another policy.
        """
        version = value.get("version", POLICY_VERSION) if isinstance(value, dict) else POLICY_VERSION
        known = _fields_of(version)
        if not isinstance(value, dict) or set(value) != known:
            raise UsageError(f"a decode policy has exactly the fields {', '.join(sorted(known))}; got {value!r}")
        colours = {name: tuple(v) if isinstance(v := value[name], list | tuple) else v for name in known & _COLOURS}
        return cls(**{**value, **colours})

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the canonical JSON."""
        return digest_json(self.as_json())


_COUNTS = ("max_bytes", "max_pixels", "max_side", "max_profile_bytes", "max_metadata_bytes", "max_frames")
_COLOURS = frozenset({"background", "other_background"})
_SINCE_2 = frozenset({"other_background", "max_frames"})


def _fields_of(version: object) -> set[str]:
    """Names of the fields that a policy of some version has."""
    names = {field.name for field in fields(DecodePolicy)}
    return names - _SINCE_2 if version == 1 else names


def _check_colour(name: str, value: object) -> None:
    """Refuse anything but three levels."""
    if not (isinstance(value, tuple) and len(value) == 3 and all(type(c) is int and 0 <= c <= 255 for c in value)):
        raise UsageError(f"{name} must be three integers from 0 to 255, got {value!r}")


def _check_count(name: str, value: object) -> None:
    """Refuse anything but a positive integer."""
    if type(value) is not int or value < 1:
        raise UsageError(f"{name} must be a positive integer, got {value!r}")
