"""Files that must be rejected, each by its name, without a crash, a warning or a wait."""

from __future__ import annotations

import io
import os
import socket
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from retr.core.errors import ImageRejected, UsageError
from retr.images import decode as decode_module
from retr.images.decode import DecodedImage, decode, load
from retr.images.policy import DecodePolicy
from retr.images.quiet import quiet

POLICY = DecodePolicy()


def reasons_documented() -> dict[str, str]:
    """reason → stage, from the table in the module's docstring."""
    rows = [line.split("|") for line in (decode_module.__doc__ or "").splitlines() if line.startswith("| `")]
    return {row[1].strip(" `"): row[2].strip() for row in rows}


def rejection(data: bytes, policy: DecodePolicy = POLICY) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode(data, policy=policy)
    return caught.value


class TestBadFiles:
    def test_each_is_rejected_with_its_reason(self, bad_files):
        directory, listed = bad_files
        documented = reasons_documented()
        assert len(listed) >= 28
        found = {}
        for name, _ in listed:
            with pytest.raises(ImageRejected) as caught:
                load(directory / name, policy=POLICY)
            found[name] = caught.value.reason
            assert documented[caught.value.reason] == caught.value.stage
            assert caught.value.detail
        assert found == dict(listed)

    def test_many_threads_reject_alike_and_raise_no_warning(self, bad_files):
        directory, listed = bad_files

        def reason(name: str) -> str:
            with pytest.raises(ImageRejected) as caught:
                load(directory / name, policy=POLICY)
            return caught.value.reason

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(reason, [name for name, _ in listed] * 3))
        assert found == [expected for _, expected in listed] * 3

    def test_nothing_is_printed(self, bad_files, capfd):
        directory, listed = bad_files
        for name, _ in listed:
            with pytest.raises(ImageRejected):
                load(directory / name, policy=POLICY)
        assert capfd.readouterr() == ("", "")

    def test_strangers_are_accepted(self, good_strangers):
        directory, names = good_strangers
        assert {name: load(directory / name, policy=POLICY).pixels.ndim for name in names} == dict.fromkeys(names, 3)

    def test_size_is_reported(self, bad_files):
        directory, _ = bad_files
        for name in ("cut.png", "bomb.png", "text.jpg", "sparse.jpg", "empty.jpg"):
            with pytest.raises(ImageRejected) as caught:
                load(directory / name, policy=POLICY)
            assert caught.value.byte_count == (directory / name).stat().st_size


class TestFileSystem:
    def test_a_missing_file_is_not_found(self, tmp_path):
        with pytest.raises(ImageRejected) as caught:
            load(tmp_path / "gone.jpg", policy=POLICY)
        assert (caught.value.stage, caught.value.reason) == ("read", "not-found")

    def test_parent_is_a_file(self, tmp_path):
        (tmp_path / "file").write_bytes(b"x")
        with pytest.raises(ImageRejected) as caught:
            load(tmp_path / "file" / "photo.jpg", policy=POLICY)
        assert caught.value.reason == "not-found"

    def test_socket_and_device(self, tmp_path):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "s.jpg"))
            for path in (tmp_path / "s.jpg", Path("/dev/null"), Path("/dev/zero")):
                with pytest.raises(ImageRejected) as caught:
                    load(path, policy=POLICY)
                assert caught.value.reason == "not-a-regular-file"

    def test_impossible_names(self, tmp_path):
        for name in ("a\0b.jpg", "x" * 5000 + ".jpg"):
            with pytest.raises(ImageRejected) as caught:
                load(tmp_path / name, policy=POLICY)
            assert caught.value.reason == "unreadable"

    def test_a_fifo_swapped_in_after_the_first_look_does_not_hang(self, tmp_path, encoded, monkeypatch):
        regular, pipe = tmp_path / "regular.jpg", tmp_path / "pipe.jpg"
        regular.write_bytes(encoded("JPEG"))
        os.mkfifo(pipe)
        status = os.stat(regular)
        monkeypatch.setattr(decode_module.os, "stat", lambda path: status)
        with pytest.raises(ImageRejected) as caught:
            load(pipe, policy=POLICY)
        assert caught.value.reason == "not-a-regular-file"

    def test_a_file_deleted_after_the_first_look_has_vanished(self, tmp_path, encoded, monkeypatch):
        regular = tmp_path / "regular.jpg"
        regular.write_bytes(encoded("JPEG"))
        status = os.stat(regular)
        monkeypatch.setattr(decode_module.os, "stat", lambda path: status)
        with pytest.raises(ImageRejected) as caught:
            load(tmp_path / "deleted.jpg", policy=POLICY)
        assert caught.value.reason == "vanished"

    def test_an_unopened_file_is_never_read(self, tmp_path, monkeypatch):
        path = tmp_path / "big.jpg"
        path.write_bytes(bytes(2000))
        monkeypatch.setattr(decode_module.os, "open", lambda *_: pytest.fail("opened"))
        with pytest.raises(ImageRejected) as caught:
            load(path, policy=DecodePolicy(max_bytes=1999))
        assert caught.value.reason == "too-many-bytes"


class TestCaps:
    @pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
    def test_pixels_are_counted_before_any_is_decoded(self, encoded, format_name, monkeypatch):
        data = encoded(format_name)
        assert decode(data, policy=DecodePolicy(max_pixels=48 * 64)).pixels.shape == (48, 64, 3)
        monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
        assert rejection(data, DecodePolicy(max_pixels=48 * 64 - 1)).reason == "too-many-pixels"
        assert rejection(data, DecodePolicy(max_side=63)).reason == "too-many-pixels"

    def test_bytes(self, encoded):
        data = encoded("PNG")
        assert decode(data, policy=DecodePolicy(max_bytes=len(data))).byte_count == len(data)
        assert rejection(data, DecodePolicy(max_bytes=len(data) - 1)).reason == "too-many-bytes"

    def test_metadata(self, encoded):
        data = encoded("JPEG", comment=b"c" * 3000)
        assert rejection(data, DecodePolicy(max_metadata_bytes=2000)).reason == "too-much-metadata"
        assert decode(data, policy=POLICY).width == 64

    def test_gif_comments(self, encoded):
        data = encoded("GIF")
        at = 13 + (3 << ((data[10] & 7) + 1))
        block = b"!\xfe" + b"\x01c" * 70_000 + b"\0"
        assert rejection(data[:at] + block + data[at:]).reason == "too-much-metadata"

    def test_out_of_memory_is_a_rejection(self, encoded, monkeypatch):
        def starve(self):
            raise MemoryError

        monkeypatch.setattr(ImageFile.ImageFile, "load", starve)
        assert rejection(encoded("BMP")).reason == "out-of-memory"

    def test_truncated_images_cannot_be_let_in(self, encoded, monkeypatch):
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        with pytest.raises(UsageError, match="LOAD_TRUNCATED_IMAGES"):
            decode(encoded("JPEG"), policy=POLICY)

    def test_heif_without_the_extra(self, bad_file_module, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
        for brands in ((b"heic", b"mif1"), (b"mif1", b"heic")):
            assert rejection(bad_file_module.ftyp(*brands)).reason == "needs-heif-extra"


class TestTruncation:
    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}])
    def test_no_jpeg_prefix_that_lacks_data_is_accepted(self, encoded, options):
        data = encoded("JPEG", **options)
        cuts = [*range(3, len(data) - 40, 37), *range(len(data) - 40, len(data) - 3)]
        assert {rejection(data[:cut]).reason for cut in cuts} == {"truncated"}

    @pytest.mark.parametrize("format_name", ["PNG", "WEBP", "BMP", "TIFF", "AVIF"])
    def test_no_prefix_is_accepted(self, encoded, format_name):
        data = encoded(format_name)
        reasons = {rejection(data[:cut]).reason for cut in [*range(16, len(data), 61), len(data) - 1]}
        assert reasons <= {"truncated", "corrupt"}
        assert "truncated" in reasons


class TestQuiet:
    def test_silences_its_own_thread_only(self):
        def shout() -> bool:
            try:
                warnings.warn("loud", UserWarning, stacklevel=1)
            except UserWarning:
                return True
            return False

        with warnings.catch_warnings(), ThreadPoolExecutor(1) as pool:
            warnings.simplefilter("error")
            with quiet():
                assert not shout()
                assert pool.submit(shout).result()
                with quiet():
                    assert not shout()
                assert not shout()
            assert shout()

    def test_a_warning_of_pillow_does_not_escape(self, encoded):
        """Without the silence this file raises: the test would notice if Pillow stopped warning."""
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\xff\0\0\0\x10\0\0\0\0\0\0\0"
        data = encoded("JPEG", exif=exif)
        with pytest.warns(UserWarning, match="EXIF|Tag data"):
            Image.open(io.BytesIO(data)).getexif()
        assert decode(data, policy=POLICY).height == 48


FUZZED = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "TIFF-LZW", "JPEG-CMYK", "PNG-P", "HEIF")


def fuzz_seed(module, name: str) -> bytes:
    """A small valid file to damage."""
    small = module.photo(12, 16)
    if name == "TIFF-LZW":
        return module.encoded("TIFF", small, compression="tiff_lzw")
    if name == "JPEG-CMYK":
        return module.encoded("JPEG", small.convert("CMYK"))
    if name == "PNG-P":
        return module.encoded("PNG", small.quantize(16), transparency=3)
    if name == "HEIF":
        heif = pytest.importorskip("pillow_heif", reason="the heif extra is not installed")
        buffer = io.BytesIO()
        heif.from_pillow(small).save(buffer)
        return buffer.getvalue()
    return module.encoded(name, small)


def outcome_of(data: bytes) -> DecodedImage | ImageRejected:
    """Either of the two things that may happen; anything else fails the test by itself."""
    try:
        return decode(data, policy=DecodePolicy(max_pixels=1_000_000))
    except ImageRejected as rejected:
        return rejected


@pytest.mark.parametrize("name", FUZZED)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_damage_never_raises_anything_else(bad_file_module, name, draw):
    data = bytearray(fuzz_seed(bad_file_module, name))
    for at, value in draw.draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=8)):
        data[at] = value
    cut = draw.draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    inserted = draw.draw(st.binary(max_size=6))
    where = draw.draw(st.integers(0, cut))
    damaged = bytes(data[:where]) + inserted + bytes(data[where:cut])
    outcome = outcome_of(damaged)
    if isinstance(outcome, ImageRejected):
        assert outcome.stage == reasons_documented()[outcome.reason]
        assert outcome.byte_count == len(damaged)
    else:
        assert outcome.pixels.dtype == "uint8"
        assert outcome.pixels.shape == (outcome.height, outcome.width, 3)
