"""Families by name, as they are asked for: ``jpeg:30..95``, ``crop:95``, ``all``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ...core.errors import UsageError
from ..policy import DecodePolicy
from . import affine, blurred, brightness_contrast, colours, curves, encoded, geometry, moved
from .drawn_over import read_overlay
from .family import Continuous, Finite, Pixels
from .words import read_range, read_share, read_whole_range

Family = Finite | Continuous
Build = Callable[[Pixels, DecodePolicy], Family]


@dataclass(frozen=True, slots=True)
class AskedFamily:
    """A family and its range, before there is an image.

    Attributes:
        text: as asked for, with the range.
        on: the query's pixels and the index's decode policy → the family of that image.
    """

    text: str
    on: Build


def _real(make: Callable[..., Continuous], least: float, most: float, default: str) -> Entry:
    return Entry(default, lambda name, text: _ranged(make, read_range(name, text, least=least, most=most)))


def _ranged(make: Callable[..., Continuous], span: tuple[float, float]) -> Build:
    return lambda pixels, policy: make(pixels, span=span)  # noqa: ARG005 - only encoders need the policy


def _qualities(make: Callable[..., Finite], default: str, **options: str) -> Entry:
    def read(name: str, text: str) -> Build:
        return partial(make, qualities=read_whole_range(name, text, least=1, most=100), **options)

    return Entry(default, read)


def _whole(make: Callable[..., Finite], key: str, least: int, most: int, default: str) -> Entry:
    def read(name: str, text: str) -> Build:
        ends = read_whole_range(name, text, least=least, most=most)
        return lambda pixels, policy: make(pixels, **{key: ends})  # noqa: ARG005

    return Entry(default, read)


def _share(make: Callable[..., Finite], default: str, **options: object) -> Entry:
    """Of a percentage."""

    def read(name: str, text: str) -> Build:
        share = read_share(name, text, least=1.0)
        return lambda pixels, policy: make(pixels, share=share, **options)  # noqa: ARG005

    return Entry(default, read)


def _small_jpeg(name: str, text: str) -> Build:
    return partial(geometry.downscale_jpeg, share=read_share(name, text, least=10.0))


def _plain(make: Callable[..., Finite]) -> Entry:
    """Of no range."""

    def read(name: str, text: str) -> Build:
        if text:
            raise UsageError(f"{name} takes no range, got {text!r}")
        return lambda pixels, policy: make(pixels)  # noqa: ARG005

    return Entry("", read)


def _pair(make: Callable[..., Continuous], least: float, most: float, default: str) -> Entry:
    """Of two parameters: a range for each, or one for both."""

    def read(name: str, text: str) -> Build:
        ranges = [read_range(name, part, least=least, most=most) for part in text.split(",")]
        if len(ranges) > 2:
            raise UsageError(f"{name} has two parameters, got {len(ranges)} ranges")
        spans = (ranges[0], ranges[-1])
        return lambda pixels, policy: make(pixels, spans=spans)  # noqa: ARG005

    return Entry(default, read)


@dataclass(frozen=True, slots=True)
class Entry:
    """How a name is read: its default range, and (name, range) → what builds the family."""

    default: str
    read: Callable[[str, str], Build]


def _faded(colour: tuple[int, int, int], name: str) -> Callable[..., Continuous]:
    return partial(affine.fade, colour=colour, name=name)


FAMILIES: dict[str, Entry] = {
    "jpeg": _qualities(encoded.jpeg, "30..95", subsampling="4:2:0"),
    "jpeg-444": _qualities(encoded.jpeg, "30..95", subsampling="4:4:4"),
    "webp": _qualities(encoded.webp, "30..95"),
    "brightness": _real(affine.brightness, 0.0, 100.0, "0.67..1.5"),
    "contrast": _real(affine.contrast, 0.0, 100.0, "0.67..1.5"),
    "contrast-mean": _real(affine.contrast_mean, 0.0, 100.0, "0.67..1.5"),
    "gamma": _real(curves.gamma, 0.01, 100.0, "0.67..1.5"),
    "exposure": _real(curves.exposure, -10.0, 10.0, "-0.5..0.5"),
    "saturation": _real(affine.saturation, 0.0, 100.0, "0..2"),
    "fade-white": _real(_faded((255, 255, 255), "fade-white"), 0.0, 1.0, "0..0.3"),
    "fade-black": _real(_faded((0, 0, 0), "fade-black"), 0.0, 1.0, "0..0.3"),
    "brightness-contrast": _pair(brightness_contrast.brightness_contrast, 0.0, 100.0, "0.8..1.25"),
    "overlay": Entry("", read_overlay),
    "crop": _share(geometry.crops, "95"),
    "downscale": _share(geometry.downscale, "50", kernel="lanczos"),
    "downscale-bilinear": _share(geometry.downscale, "50", kernel="bilinear"),
    "downscale-box": _share(geometry.downscale, "50", kernel="box"),
    "rescale": _share(geometry.downscale, "50", kernel="lanczos", back=True),
    "downscale-jpeg": Entry("50", _small_jpeg),
    "flip": _plain(geometry.flip),
    "quarter-turns": _plain(geometry.quarter_turns),
    "bits": _whole(colours.bits, "depths", 1, 8, "4..8"),
    "palette": _whole(colours.palette, "colours", 2, 256, "32..256"),
    "rotation": _real(moved.rotation, -180.0, 180.0, "-2..2"),
    "blur": _real(blurred.blur, 0.0, blurred.WIDEST, "0..2"),
    "shift": _pair(moved.shift, -100.0, 100.0, "-1..1"),
}
"""Every family by name."""
ALL = ("jpeg", "brightness", "contrast", "gamma", "saturation", "downscale", "crop", "rotation")
"""What ``all`` means."""


def read_families(texts: Sequence[str]) -> list[AskedFamily]:
    """Families from words like ``jpeg:30..95``; a name alone takes its default range, ``all`` the usual ones.

    Raises:
        UsageError: for an unknown name or an impossible range.
    """
    wanted = [one for text in texts for one in (ALL if text.strip() == "all" else (text.strip(),))]
    found = [_read(text) for text in dict.fromkeys(wanted)]
    if not found:
        raise UsageError(f"no family of edits is named; choose all, {', '.join(FAMILIES)}")
    return found


def _read(text: str) -> AskedFamily:
    name, colon, rest = text.partition(":")
    entry = FAMILIES.get(name)
    if entry is None:
        raise UsageError(f"unknown family of edits {name!r}; choose all, {', '.join(FAMILIES)}")
    words = rest if colon else entry.default
    return AskedFamily(f"{name}:{words}" if words else name, entry.read(name, words))
