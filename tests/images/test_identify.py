"""Formats that look alike are told apart."""

import io
import struct

import pytest
from PIL import Image

from retr.core.errors import ImageRejected
from retr.images.identify import identify

CURSOR = struct.pack("<HHH", 0, 2, 1) + bytes((16, 16, 0, 0)) + struct.pack("<HHII", 1, 1, 40, 22)


def said(data: bytes) -> str:
    with pytest.raises(ImageRejected) as caught:
        identify(data)
    return f"{caught.value.reason}: {caught.value.detail.split()[0]}"


def tga(mode: str, **options) -> bytes:
    data = io.BytesIO()
    Image.linear_gradient("L").resize((30, 20)).convert(mode).save(data, "TGA", **options)
    return data.getvalue()


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("compression", [None, "tga_rle"])
def test_a_tga_is_called_tga(mode, compression):
    data = tga(mode, compression=compression)
    assert said(data) == said(data.removesuffix(b"TRUEVISION-XFILE.\0")) == "unsupported-format: TGA"


def test_a_cursor_is_called_cur():
    assert said(CURSOR) == "unsupported-format: CUR"


@pytest.mark.parametrize("data", [b"\0\0\2", bytes(18), b"\0\0\2" + bytes(9) + b"\1\0\1\0\x07\0", b"one line\n" * 3])
def test_what_has_no_header_of_any_format_is_no_image(data):
    assert said(data).startswith("not-an-image")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"import retr", '"import r"'), (b"PK\3\4 text", "50 4b 03 04 20 74 65 78"), (b"'", '"\'"')],
)
def test_the_first_bytes_are_told_plainly(data: bytes, words: str) -> None:
    with pytest.raises(ImageRejected) as refused:
        identify(data)
    assert refused.value.detail == f"the first bytes, {words}, begin no image format"
