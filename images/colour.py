"""Any pixel layout that a decoder hands over → 8-bit sRGB, without alpha."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from .policy import Colour, DecodePolicy

MODES = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB"}
    | {"I;16", "I;16L", "I;16B", "I;16N"}
)
"""Pillow modes with a stated range. 32-bit integers and floats have none, so nobody can say what is white in them."""
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262


def parted(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colour in a mode that a profile can describe, and alpha where there is any. Calls into Pillow only.

    Args:
        image: loaded, in one of :data:`MODES`.

    Returns:
        (L, RGB, CMYK, LAB or 16-bit grey image; mask of mode L or None), of the same size.
    """
    mode = image.mode
    if mode in {"LA", "La"}:
        grey = image.convert("LA")
        return grey.getchannel("L"), grey.getchannel("A")
    if mode in {"PA", "RGBA", "RGBa"} or ("transparency" in image.info and not mode.startswith("I;16")):
        rgba = image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    if mode in {"P", "RGBX", "YCbCr"}:
        return image.convert("RGB"), None
    return (image.convert("L") if mode == "1" else image), None


def to_srgb(
    part: Image.Image, base: Image.Image, alpha: Image.Image | None, *, source: Image.Image, policy: DecodePolicy
) -> tuple[Image.Image, Image.Image | None]:
    """Scale 16-bit grey and apply the colour profile.

    Args:
        part: some rows of the image as loaded, or all of them.
        base: colour part of :func:`parted`, of these rows.
        alpha: mask of :func:`parted`.
        source: the whole image; its profile and tags say what its numbers mean.
        policy: gives the cap on the profile's size.

    Returns:
        An RGB image of the part's size, the very object where it was plain RGB already; and what is transparent of it.
    """
    if base.mode.startswith("I;16"):
        base, alpha = _sixteen_bit(part, source)
    return _managed(base, source.info.get("icc_profile"), policy), alpha


def laid_on(rgb: Image.Image, alpha: Image.Image, background: Colour) -> Image.Image:
    """An RGB image over one colour, by its mask."""
    canvas = Image.new("RGB", rgb.size, background)
    canvas.paste(rgb, mask=alpha)
    return canvas


def _sixteen_bit(part: Image.Image, source: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """16-bit (or 12-bit TIFF) grey scaled to 8 bits, v·255/65535 rounded; Pillow's own conversion clips instead."""
    deep = np.asarray(part).astype(np.uint32)
    full = (1 << min(16, _tag(source, _TIFF_BITS, 16))) - 1
    grey = ((np.minimum(deep, full) * 255 + full // 2) // full).astype(np.uint8)
    if _tag(source, _TIFF_PHOTOMETRIC, 1) == 0:  # white is zero; Pillow inverts 8-bit images only
        grey = 255 - grey
    clear = source.info.get("transparency")
    alpha = Image.fromarray(np.where(deep == clear, 0, 255).astype(np.uint8)) if isinstance(clear, int) else None
    return Image.fromarray(grey), alpha


def _tag(image: Image.Image, tag: int, default: int) -> int:
    """First value of a TIFF tag; the default for other formats."""
    value = getattr(image, "tag_v2", {}).get(tag, default)
    first = value[0] if isinstance(value, tuple) else value
    return first if isinstance(first, int) and first >= 0 else default


def _managed(base: Image.Image, profile: object, policy: DecodePolicy) -> Image.Image:
    """Apply the embedded profile; without a usable one take the numbers as sRGB (CMYK: 1 − ink, by Pillow)."""
    transform = None
    if base.mode == "LAB":
        transform = lab_transform()
    elif isinstance(profile, bytes) and len(profile) <= policy.max_profile_bytes:
        transform = profile_transform(profile, base.mode)
    converted = None if transform is None else _applied(base, transform)
    if converted is not None:
        return converted
    return base if base.mode == "RGB" else base.convert("RGB")


def _applied(base: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image | None:
    try:
        return ImageCms.applyTransform(base, transform)
    except ImageCms.PyCMSError:
        return None


@lru_cache(maxsize=1)
def lab_transform() -> ImageCms.ImageCmsTransform:
    """CIE L*a*b* (D50) → sRGB."""
    return _built(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


@lru_cache(maxsize=16)
def profile_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from a profile to sRGB, or None for a profile that is broken or describes another colour space.

    Ignoring such a profile is what browsers do; which profiles are ignored depends on their bytes alone.
    Transforms are safe to share between threads (LittleCMS keeps no state in them while converting).
    """
    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space.strip()  # pyright: ignore[reportAttributeAccessIssue]
        return _built(opened, mode) if space == _PROFILE_SPACES.get(mode) else None
    except MemoryError:
        raise
    except Exception:  # whatever Pillow or LittleCMS says of a broken profile, it is broken
        return None


def _built(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    """Relative colorimetric with black point compensation: whites stay white and shadows keep their detail."""
    return ImageCms.buildTransform(
        source,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
