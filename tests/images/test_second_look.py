"""What version 2 of the policy looks at again: drawings on nothing, later frames, JPEGs without their end."""

from __future__ import annotations

import io

import numpy as np
import pytest
from bad_files import encoded, photo
from PIL import Image, ImageDraw

from retr.core.errors import ImageRejected, UsageError
from retr.images import pixels as room
from retr.images.decode import DecodedImage, decode
from retr.images.orientation import UPRIGHT, turned
from retr.images.pixels import is_flat
from retr.images.policy import DecodePolicy

POLICY = DecodePolicy()
OLD = POLICY.under_rules(1)


def seen(data: bytes, policy: DecodePolicy = POLICY) -> np.ndarray:
    return decode(data, policy=policy).pixels


def drawing(colour: tuple[int, ...], size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A disc on nothing."""
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((15, 12, 45, 36), fill=colour)
    return image


def animation(format_name: str, frames: list[Image.Image], **options: object) -> bytes:
    if format_name in ("WEBP", "AVIF"):
        options = {"quality": 95, **options}
    return encoded(format_name, frames[0], save_all=True, append_images=frames[1:], duration=40, **options)


class TestBackgrounds:
    @pytest.mark.parametrize("format_name", ["PNG", "WEBP", "TIFF"])
    @pytest.mark.parametrize("level", [255, 250])
    def test_a_light_drawing_on_nothing_is_seen_on_the_other_background(self, format_name, level):
        options = {"lossless": True, "exact": True} if format_name == "WEBP" else {}
        image = drawing((level, level, level, 255))
        found = seen(encoded(format_name, image, **options))
        assert np.array_equal(found, np.asarray(image)[..., :3] * (np.asarray(image)[..., 3:] // 255))
        assert is_flat(seen(encoded(format_name, image, **options), OLD))

    def test_what_is_seen_on_the_first_stays_there(self):
        data = encoded("PNG", drawing((200, 30, 30, 255)))
        assert np.array_equal(seen(data), seen(data, OLD))
        assert seen(data)[0, 0].tolist() == [255, 255, 255]

    def test_what_neither_shows_stays_on_the_first(self):
        empty = encoded("PNG", Image.new("RGBA", (9, 7), (0, 0, 0, 0)))
        assert (seen(empty) == 255).all()
        assert (seen(encoded("PNG", Image.new("RGB", (9, 7), "white"))) == 255).all()

    def test_palettes_and_transparent_colours(self):
        grey = drawing((255, 255, 255, 255)).getchannel("A").point(lambda a: 255 if a else 254)
        assert is_flat(seen(encoded("PNG", grey, transparency=254), OLD))
        assert not is_flat(seen(encoded("PNG", grey, transparency=254)))

    def test_the_colour_is_the_policys(self):
        found = seen(encoded("PNG", drawing((255, 255, 255, 255))), DecodePolicy(other_background=(9, 8, 7)))
        assert found[0, 0].tolist() == [9, 8, 7]


class TestFrames:
    @pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG", "AVIF"])
    @pytest.mark.parametrize("first", ["black", "white"])
    def test_the_first_frame_that_shows_anything_stands_for_the_file(self, format_name, first):
        blank, still = Image.new("RGB", (64, 48), first), photo()
        data = animation(format_name, [blank, blank.copy(), still, photo(48, 64).rotate(180)])
        assert is_flat(seen(data, OLD))
        assert np.abs(seen(data).astype(int) - np.asarray(still)).mean() < 25

    def test_an_animation_of_nothing_is_its_first_frame(self):
        data = animation("GIF", [Image.new("L", (8, 8), level) for level in (3, 200, 90)])
        assert (seen(data) == 3).all()

    def test_few_frames_are_looked_at(self):
        blank = [Image.new("L", (8, 8), level) for level in range(0, 250, 10)]
        data = animation("GIF", [*blank, photo(8, 8)])
        assert not is_flat(seen(data))
        assert is_flat(seen(data, DecodePolicy(max_frames=20)))
        assert is_flat(seen(data, DecodePolicy(max_pixels=64 * 20)))

    def test_damage_behind_the_first_frame_does_no_harm(self):
        data = animation("GIF", [Image.new("L", (64, 48), 3), photo()])
        assert (seen(data[: len(data) // 2] + b";") == 3).all()

    def test_a_first_frame_that_shows_something_is_all_that_is_decoded(self, monkeypatch):
        data = animation("GIF", [photo(), photo().rotate(180)])
        monkeypatch.setattr("PIL.GifImagePlugin.GifImageFile.seek", None)
        assert not is_flat(seen(data))


class TestEndMarker:
    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}, {"grey": True}])
    @pytest.mark.parametrize("lacking", [1, 2])
    def test_only_the_end_is_lacking(self, options, lacking):
        image = photo().convert("L") if options.pop("grey", False) else photo()
        data = encoded("JPEG", image, **options)
        found = decode(data[:-lacking], policy=POLICY)
        assert (found.note, decode(data, policy=POLICY).note) == ("no-end-marker", None)
        assert np.array_equal(found.pixels, seen(data))
        with pytest.raises(ImageRejected, match="truncated"):
            decode(data[:-lacking], policy=OLD)

    def test_a_progressive_file_cut_between_two_scans_is_no_whole_one(self):
        data = encoded("JPEG", progressive=True)
        scans = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
        assert len(scans) > 3
        for at in scans[1:]:
            tables = data.rfind(b"\xff\xc4", 0, at)
            for cut in (at, tables):
                with pytest.raises(ImageRejected, match="truncated"):
                    decode(data[:cut], policy=POLICY)

    def test_a_grey_field_cut_anywhere_is_no_whole_one(self):
        data = encoded("JPEG", Image.new("L", (64, 64), 77))
        start = data.index(b"\xff\xda") + 10
        accepted = [cut for cut in range(start, len(data) - 2) if _accepted(data[:cut])]
        assert all(np.array_equal(seen(data[:cut]), seen(data)) for cut in accepted)
        assert all(cut >= len(data) - 3 for cut in accepted)


def _accepted(data: bytes) -> bool:
    try:
        return isinstance(decode(data, policy=POLICY), DecodedImage)
    except ImageRejected:
        return False


class TestVersions:
    def test_an_old_policy_keeps_its_fields_and_its_digest(self):
        kept = {
            "version": 1,
            "max_bytes": 134217728,
            "max_pixels": 100000000,
            "max_side": 65535,
            "max_profile_bytes": 4194304,
            "max_metadata_bytes": 16777216,
            "background": [255, 255, 255],
        }
        assert OLD.as_json() == kept
        assert DecodePolicy.from_json(kept) == OLD
        assert OLD.digest == "a367a1de2db15d042143551ade24f55acc9630ed053889f7379c2e5b99b3fa01"

    def test_fields_of_another_version_are_refused(self):
        with pytest.raises(UsageError):
            DecodePolicy(version=1, max_frames=3)
        with pytest.raises(UsageError):
            DecodePolicy.from_json({**POLICY.as_json(), "version": 1})


class TestStrips:
    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr", "LAB"])
    def test_strips_change_no_pixel(self, mode, monkeypatch):
        data = io.BytesIO()
        source = photo(37, 23)
        image = Image.fromarray(np.arange(37 * 23, dtype=np.uint16).reshape(37, 23) * 70) if mode == "I;16" else source
        image = image if mode == "I;16" else _in_mode(source, mode)
        image.save(data, "TIFF")
        whole = seen(data.getvalue())
        monkeypatch.setattr(room, "STRIP", 100)
        assert np.array_equal(seen(data.getvalue()), whole)

    @pytest.mark.parametrize("orientation", list(UPRIGHT))
    def test_turning_block_by_block(self, orientation, monkeypatch):
        monkeypatch.setattr("retr.images.orientation._AT_ONCE", 40)
        pixels = np.asarray(photo(37, 23))
        expected = np.asarray(photo(37, 23).transpose(UPRIGHT[orientation]))
        assert np.array_equal(turned(pixels, orientation), expected)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        from PIL import ImageCms

        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        made = ImageCms.applyTransform(image, ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
        assert made is not None
        return made
    if mode in ("LA", "RGBA"):
        whole = image.convert(mode)
        whole.putalpha(image.convert("L"))
        return whole
    return image.convert(mode)
