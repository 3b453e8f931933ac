"""Every format and pixel layout of the policy comes out as the right upright 8-bit sRGB."""

from __future__ import annotations

import hashlib
import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from retr.core.errors import UsageError
from retr.images.decode import decode, load
from retr.images.policy import DecodePolicy

POLICY = DecodePolicy()


def pixels(data: bytes, policy: DecodePolicy = POLICY) -> np.ndarray:
    return decode(data, policy=policy).pixels


def close(a: np.ndarray, b: np.ndarray, levels: float) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(int) - b.astype(int)).mean()) <= levels


def flat(colour, size=(6, 4), mode="RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def profile_bytes(space: Literal["sRGB", "LAB"] = "sRGB") -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


def swapped_profile() -> bytes:
    """An sRGB profile whose red and green primaries are exchanged: ignoring it cannot go unnoticed."""
    data = bytearray(profile_bytes())
    count = int.from_bytes(data[128:132])
    at = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = at[b"rXYZ"], at[b"gXYZ"]
    data[red + 4 : red + 12], data[green + 4 : green + 12] = data[green + 4 : green + 12], data[red + 4 : red + 12]
    return bytes(data)


class TestFormats:
    @pytest.mark.parametrize(
        ("format_name", "options", "levels"),
        [
            ("PNG", {}, 0),
            ("BMP", {}, 0),
            ("TIFF", {}, 0),
            ("TIFF", {"compression": "tiff_lzw"}, 0),
            ("TIFF", {"compression": "tiff_adobe_deflate"}, 0),
            ("TIFF", {"compression": "packbits"}, 0),
            ("TIFF", {"compression": "jpeg", "quality": 95}, 6),
            ("TIFF", {"big_tiff": True}, 0),
            ("WEBP", {"lossless": True}, 0),
            ("WEBP", {"quality": 95}, 8),
            ("AVIF", {"quality": 95}, 8),
            ("JPEG", {"quality": 97, "subsampling": 0}, 3),
            ("JPEG", {"quality": 97, "subsampling": 0, "progressive": True}, 3),
            ("GIF", {}, 25),
        ],
    )
    def test_pixels_survive(self, bad_file_module, encoded, format_name, options, levels):
        image = decode(encoded(format_name, **options), policy=POLICY)
        assert image.format == format_name
        assert (image.height, image.width) == (48, 64)
        assert close(image.pixels, np.asarray(bad_file_module.photo()), levels)

    def test_heif(self, bad_file_module):
        heif = pytest.importorskip("pillow_heif", reason="the heif extra is not installed")
        buffer = io.BytesIO()
        heif.from_pillow(bad_file_module.photo()).save(buffer, quality=95)
        image = decode(buffer.getvalue(), policy=POLICY)
        assert image.format == "HEIF"
        assert close(image.pixels, np.asarray(bad_file_module.photo()), 8)

    def test_the_record(self, encoded, tmp_path):
        data = encoded("PNG")
        (tmp_path / "a.png").write_bytes(data)
        image = load(tmp_path / "a.png", policy=POLICY)
        assert image.byte_count == len(data)
        assert image.bytes_sha256 == hashlib.sha256(data).hexdigest()
        assert not image.pixels.flags.writeable
        same = decode(encoded("BMP"), policy=POLICY)
        assert same.pixels_sha256 == image.pixels_sha256
        assert same.bytes_sha256 != image.bytes_sha256
        other_shape = decode(encoded("PNG", Image.fromarray(image.pixels.reshape(64, 48, 3))), policy=POLICY)
        assert other_shape.pixels_sha256 != image.pixels_sha256

    @pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
    def test_first_frame(self, encoded, format_name):
        frames = [flat((0, 0, 250)), flat((0, 250, 0))]
        data = encoded(format_name, flat((250, 0, 0)), save_all=True, append_images=frames)
        assert close(pixels(data), np.asarray(flat((250, 0, 0))), 6)


class TestModes:
    @pytest.mark.parametrize("format_name", ["PNG", "TIFF", "BMP", "GIF"])
    def test_one_bit(self, encoded, format_name):
        image = Image.new("1", (9, 5), 0)
        image.putpixel((3, 2), 1)
        expected = np.asarray(image.convert("RGB"))
        assert np.array_equal(pixels(encoded(format_name, image)), expected)

    @pytest.mark.parametrize("format_name", ["PNG", "TIFF", "BMP", "JPEG"])
    def test_grey(self, encoded, format_name):
        image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
        assert close(pixels(encoded(format_name, image)), np.asarray(image.convert("RGB")), 2)

    @pytest.mark.parametrize("format_name", ["PNG", "TIFF", "BMP", "GIF"])
    def test_palette(self, bad_file_module, encoded, format_name):
        image = bad_file_module.photo().quantize(32)
        assert np.array_equal(pixels(encoded(format_name, image)), np.asarray(image.convert("RGB")))

    @pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
    def test_sixteen_bit_grey_is_scaled_and_rounded(self, encoded, format_name):
        values = np.array([0, 1, 128, 129, 257, 256, 385, 386, 32768, 65406, 65407, 65535], dtype=np.uint16)
        image = Image.fromarray(values.reshape(3, 4))
        expected = np.floor(values.astype(float) * 255 / 65535 + 0.5).astype(np.uint8).reshape(3, 4)
        assert image.mode == "I;16"
        assert np.array_equal(pixels(encoded(format_name, image)), np.stack([expected] * 3, axis=-1))

    def test_sixteen_bit_white_is_zero(self, encoded):
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[262] = 0
        data = encoded("TIFF", Image.fromarray(np.array([[0, 65535]], dtype=np.uint16)), tiffinfo=info)
        data = data.replace(b"\x06\x01\x03\x00\x01\x00\x00\x00\x01", b"\x06\x01\x03\x00\x01\x00\x00\x00\x00")
        assert pixels(data)[0, :, 0].tolist() == [255, 0]

    def test_sixteen_bit_with_a_transparent_value(self, bad_file_module, encoded):
        data = encoded("PNG", Image.fromarray(np.array([[300, 65535]], dtype=np.uint16)))
        cut = data.index(b"IDAT") - 4
        data = data[:cut] + bad_file_module.png_chunk(b"tRNS", (300).to_bytes(2)) + data[cut:]
        assert pixels(data, DecodePolicy(background=(9, 8, 7))).tolist() == [[[9, 8, 7], [255, 255, 255]]]

    @pytest.mark.parametrize("format_name", ["JPEG", "TIFF"])
    @pytest.mark.parametrize(
        ("ink", "colour"),
        [((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))],
    )
    def test_cmyk(self, encoded, format_name, ink, colour):
        """JPEG stores CMYK inverted, as Adobe does, and YCCK comes back as CMYK."""
        data = encoded(format_name, flat(ink, mode="CMYK"))
        assert close(pixels(data), np.asarray(flat(colour)), 2)

    def test_ycck(self, encoded):
        """An Adobe JPEG that says transform 2 holds YCC of the complement of its (inverted) samples: of the inks."""
        data = bytearray(encoded("JPEG", flat((255, 0, 0, 0), mode="CMYK")))
        at = data.index(b"Adobe") + 11
        assert data[at] == 0
        data[at] = 2
        # Stored 0, 255, 255, 255 now mean Y = 0, Cb = Cr = 255, so inks (178, 0, 225) after clipping, and no black.
        assert close(pixels(bytes(data)), np.asarray(flat((255 - 178, 255, 255 - 225))), 6)

    def test_ycbcr_and_lab_tiff(self, bad_file_module, encoded):
        photo = bad_file_module.photo()
        assert close(pixels(encoded("TIFF", photo.convert("YCbCr"))), np.asarray(photo), 2)
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        in_lab = ImageCms.profileToProfile(photo, srgb, lab, outputMode="LAB")
        assert close(pixels(encoded("TIFF", in_lab)), np.asarray(photo), 3)


class TestAlpha:
    BACKGROUND = (10, 200, 90)
    POLICY = DecodePolicy(background=BACKGROUND)

    def expected(self, colour, alpha: int) -> list[int]:
        return [round((c * alpha + b * (255 - alpha)) / 255) for c, b in zip(colour, self.BACKGROUND, strict=True)]

    @pytest.mark.parametrize("alpha", [0, 1, 77, 128, 254, 255])
    @pytest.mark.parametrize(
        ("format_name", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})]
    )
    def test_rgba(self, encoded, format_name, options, alpha):
        data = encoded(format_name, flat((200, 30, 60, alpha), mode="RGBA"), **options)
        found = pixels(data, self.POLICY)[0, 0]
        assert np.abs(found.astype(int) - self.expected((200, 30, 60), alpha)).max() <= 1

    def test_avif(self, encoded):
        data = encoded("AVIF", flat((200, 30, 60, 0), mode="RGBA"))
        assert pixels(data, self.POLICY)[0, 0].tolist() == list(self.BACKGROUND)

    @pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
    def test_grey_with_alpha(self, encoded, format_name):
        found = pixels(encoded(format_name, flat((100, 51), mode="LA")), self.POLICY)[0, 0]
        assert np.abs(found.astype(int) - self.expected((100, 100, 100), 51)).max() <= 1

    @pytest.mark.parametrize("format_name", ["PNG", "GIF"])
    def test_transparent_palette_entry(self, encoded, format_name):
        image = Image.new("P", (2, 1))
        image.putpalette([250, 0, 0, 0, 0, 250])
        image.putpixel((1, 0), 1)
        found = pixels(encoded(format_name, image, transparency=0), self.POLICY)
        assert found.tolist() == [[list(self.BACKGROUND), [0, 0, 250]]]

    def test_palette_with_alpha_per_entry(self, encoded):
        image = Image.new("P", (2, 1))
        image.putpalette([250, 0, 0, 0, 0, 250])
        image.putpixel((1, 0), 1)
        found = pixels(encoded("PNG", image, transparency=bytes([51, 255])), self.POLICY)
        assert np.abs(found[0, 0].astype(int) - self.expected((250, 0, 0), 51)).max() <= 1
        assert found[0, 1].tolist() == [0, 0, 250]

    @pytest.mark.parametrize(("mode", "clear", "solid"), [("RGB", (1, 2, 3), (4, 5, 6)), ("L", 7, 9)])
    def test_transparent_colour(self, encoded, mode, clear, solid):
        image = Image.new(mode, (2, 1), solid)
        image.putpixel((0, 0), clear)
        found = pixels(encoded("PNG", image, transparency=clear), self.POLICY)
        assert found[0, 0].tolist() == list(self.BACKGROUND)
        assert found[0, 1].tolist() == list(solid if mode == "RGB" else (solid,) * 3)

    def test_default_background_is_white(self, encoded):
        assert pixels(encoded("PNG", flat((0, 0, 0, 0), mode="RGBA"))).min() == 255


UNDO = {  # what a viewer does for each EXIF orientation
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize(
        ("format_name", "options", "levels"),
        [
            ("PNG", {}, 0),
            ("JPEG", {"quality": 97, "subsampling": 0}, 3),
            ("WEBP", {"lossless": True}, 0),
            ("TIFF", {}, 0),
            ("TIFF", {"compression": "tiff_lzw"}, 0),
            ("AVIF", {"quality": 95}, 8),
        ],
    )
    def test_all_eight(self, bad_file_module, encoded, orientation, format_name, options, levels):
        photo = bad_file_module.photo()
        exif = Image.Exif()
        exif[0x0112] = orientation
        found = decode(encoded(format_name, photo, exif=exif, **options), policy=POLICY)
        expected = UNDO[orientation](np.asarray(photo))
        assert (found.height, found.width) == expected.shape[:2]
        assert close(found.pixels, expected, levels)

    @pytest.mark.parametrize("orientation", [1, 3, 6])
    def test_heif(self, bad_file_module, orientation):
        heif = pytest.importorskip("pillow_heif", reason="the heif extra is not installed")
        photo = bad_file_module.photo()
        exif = Image.Exif()
        exif[0x0112] = orientation
        buffer = io.BytesIO()
        heif.from_pillow(photo).save(buffer, quality=95, exif=exif.tobytes())
        assert close(pixels(buffer.getvalue()), UNDO[orientation](np.asarray(photo)), 8)

    @pytest.mark.parametrize("value", [0, 9, 65535])
    def test_nonsense_is_upright(self, bad_file_module, encoded, value):
        exif = Image.Exif()
        exif[0x0112] = value
        assert np.array_equal(pixels(encoded("PNG", exif=exif)), np.asarray(bad_file_module.photo()))

    @pytest.mark.parametrize("order", ["big", "little"])
    def test_both_byte_orders(self, bad_file_module, encoded, order):
        magic = b"II*\0" if order == "little" else b"MM\0*"
        numbers = [(8, 4), (1, 2), (0x0112, 2), (3, 2), (1, 4), (3, 2), (0, 2), (0, 4)]
        exif = b"Exif\0\0" + magic + b"".join(n.to_bytes(size, order) for n, size in numbers)
        assert np.array_equal(pixels(encoded("PNG", exif=exif)), np.asarray(bad_file_module.photo())[::-1, ::-1])


class TestProfiles:
    def test_srgb_changes_nothing(self, bad_file_module, encoded):
        assert close(pixels(encoded("PNG", icc_profile=profile_bytes())), np.asarray(bad_file_module.photo()), 0.6)

    @pytest.mark.parametrize("format_name", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
    def test_a_profile_is_applied(self, encoded, format_name):
        options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 97, "subsampling": 0}}.get(format_name, {})
        data = encoded(format_name, flat((220, 40, 40)), icc_profile=swapped_profile(), **options)
        assert close(pixels(data), np.asarray(flat((40, 220, 40))), 3)

    def test_colour_is_converted_before_alpha_is_composited(self, encoded):
        data = encoded("PNG", flat((220, 40, 40, 128), mode="RGBA"), icc_profile=swapped_profile())
        found = pixels(data, DecodePolicy(background=(0, 0, 0)))
        assert close(found, np.asarray(flat((20, 110, 20))), 2)

    def test_palette_images_have_rgb_profiles(self, encoded):
        data = encoded("PNG", flat((220, 40, 40)).quantize(4), icc_profile=swapped_profile())
        assert close(pixels(data), np.asarray(flat((40, 220, 40))), 3)

    @pytest.mark.parametrize(
        "profile",
        [b"junk" * 50, profile_bytes()[:100], profile_bytes("LAB"), b"\0" * 128],
        ids=["junk", "cut", "lab", "zeros"],  # a profile holds the time of day
    )
    def test_broken_or_foreign_profiles_are_ignored(self, bad_file_module, encoded, profile):
        assert np.array_equal(pixels(encoded("PNG", icc_profile=profile)), np.asarray(bad_file_module.photo()))

    def test_a_profile_over_the_cap_is_ignored(self, encoded):
        data = encoded("PNG", flat((220, 40, 40)), icc_profile=swapped_profile())
        found = pixels(data, DecodePolicy(max_profile_bytes=100))
        assert np.array_equal(found, np.asarray(flat((220, 40, 40))))


class TestPolicy:
    def test_json_round_trip(self):
        policy = DecodePolicy(max_bytes=5, background=(1, 2, 3))
        assert DecodePolicy.from_json(policy.as_json()) == policy
        assert DecodePolicy.from_json(policy.as_json()).digest == policy.digest

    def test_every_field_is_in_the_digest(self):
        changes = {
            "max_bytes": 7,
            "max_pixels": 7,
            "max_side": 7,
            "max_profile_bytes": 7,
            "max_metadata_bytes": 7,
            "background": (0, 0, 0),
            "other_background": (1, 1, 1),
            "max_frames": 7,
        }
        assert set(changes) | {"version"} == set(POLICY.as_json())
        digests = {DecodePolicy(**{name: value}).digest for name, value in changes.items()}
        assert len(digests | {POLICY.digest}) == len(changes) + 1

    @pytest.mark.parametrize(
        "change",
        [
            {"version": 3},
            {"version": 1},
            {"version": [2]},
            {"max_frames": 0},
            {"other_background": [0, 0, -1]},
            {"max_bytes": 0},
            {"max_side": 1.5},
            {"max_pixels": True},
            {"max_pixels": 10**9},
            {"background": (0, 0, 256)},
            {"background": [0, 0]},
            {"background": 3},
            {"unknown": 1},
        ],
    )
    def test_impossible_policies_are_refused(self, change):
        with pytest.raises(UsageError):
            DecodePolicy.from_json({**POLICY.as_json(), **change})


class TestSpeed:
    def test_threads_agree_with_one_another(self, bad_file_module, encoded):
        data = [encoded("JPEG", bad_file_module.photo(40 + i, 60), icc_profile=swapped_profile()) for i in range(12)]
        alone = [decode(item, policy=POLICY).pixels_sha256 for item in data]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda item: decode(item, policy=POLICY).pixels_sha256, data * 4))
        assert together == alone * 4

    @pytest.mark.alone
    def test_a_plain_jpeg_costs_little_more_than_pillow(self, bad_file_module, encoded):
        data = encoded("JPEG", bad_file_module.photo(375, 500), quality=88)

        def seconds(function) -> float:
            def once() -> float:
                start = time.thread_time()  # what else the machine does is no time of ours
                function()
                return time.thread_time() - start

            return min(once() for _ in range(30))

        pillow = seconds(lambda: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
        assert seconds(lambda: decode(data, policy=POLICY)) < 2 * pillow + 0.002
