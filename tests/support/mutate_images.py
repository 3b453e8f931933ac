"""Image files made worse: seeds that the tests draw, and changes that a hostile or a broken writer would make.

``mutants(count, seed)`` yields the same files for the same numbers, on any machine with the same encoders.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Literal

import numpy as np
from bad_files import bmp, encoded, ftyp, gif_header, photo, png, png_chunk, tiff, tiff_image, webp_canvas
from PIL import Image

Change = Callable[[bytes, np.random.Generator], bytes]
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Where programs that count in 8, 16 or 32 bits, with or without a sign, go wrong."""


@cache
def seeds() -> dict[str, bytes]:
    """Small good files of every format, and of the layouts that have code of their own."""
    picture, grey = photo(40, 56), photo(40, 56).convert("L")
    frames = [photo(24, 32).rotate(90 * turn) for turn in range(4)]
    alpha = picture.convert("RGBA")
    alpha.putalpha(grey)
    made = {
        "jpeg": encoded("JPEG", picture),
        "jpeg-progressive": encoded("JPEG", picture, progressive=True),
        "jpeg-cmyk": encoded("JPEG", picture.convert("CMYK")),
        "jpeg-restarts": encoded("JPEG", picture, restart_marker_blocks=2),
        "jpeg-exif": encoded("JPEG", picture, exif=deep_exif(3), icc_profile=deep_profile(4)),
        "png": encoded("PNG", picture),
        "png-alpha": encoded("PNG", alpha),
        "png-palette": encoded("PNG", picture.quantize(16), transparency=3),
        "png-16": encoded("PNG", Image.fromarray(np.arange(40 * 56, dtype=np.uint16).reshape(40, 56) * 29)),
        "png-animated": encoded("PNG", frames[0], save_all=True, append_images=frames[1:]),
        "gif": encoded("GIF", picture),
        "gif-animated": encoded("GIF", frames[0], save_all=True, append_images=frames[1:]),
        "gif-blank-first": encoded("GIF", grey.point(lambda _: 0), save_all=True, append_images=[grey]),
        "webp": encoded("WEBP", picture),
        "webp-lossless": encoded("WEBP", alpha, lossless=True),
        "webp-animated": encoded("WEBP", frames[0], save_all=True, append_images=frames[1:]),
        "avif": encoded("AVIF", picture),
        "bmp": encoded("BMP", picture),
        "bmp-palette": encoded("BMP", picture.quantize(16)),
        "tiff": encoded("TIFF", picture),
        "tiff-cmyk": encoded("TIFF", picture.convert("CMYK")),
        "tiff-16": encoded("TIFF", Image.fromarray(np.arange(40 * 56, dtype=np.uint16).reshape(40, 56))),
        "tiff-big": encoded("TIFF", picture, big_tiff=True),
        "tiff-pages": encoded("TIFF", frames[0], save_all=True, append_images=frames[1:]),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        made[f"tiff-{compression}"] = encoded("TIFF", picture, compression=compression)
    made["tiff-group4"] = encoded("TIFF", grey.convert("1"), compression="group4")
    return made


def mutants(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of mutated files: a seed changed once, or up to four times over.

    Args:
        count: how many.
        seed: of the draw.
    """
    files, changes = list(seeds().items()), list(CHANGES.items())
    for number in range(count):
        random = np.random.default_rng([seed, number])
        name, data = files[int(random.integers(len(files)))]
        steps = [changes[int(random.integers(len(changes)))] for _ in range(int(random.integers(1, 5)))]
        for step, change in steps:
            name, data = f"{name}+{step}", change(data, random)
        yield f"{number:06d}-{name}", data[:_LONGEST]


_LONGEST = 4 * 2**20


def _place(data: bytes, random: np.random.Generator, width: int = 1) -> int:
    """Somewhere in the data; as often as not near the beginning, where the headers are."""
    most = max(1, len(data) - width)
    return int(random.integers(min(most, 96) if random.random() < 0.5 else most))


def flip_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """Up to eight bytes become others."""
    changed = bytearray(data or b"\0")
    for _ in range(int(random.integers(1, 9))):
        changed[_place(data, random)] = int(random.integers(256))
    return bytes(changed)


def cut(data: bytes, random: np.random.Generator) -> bytes:
    """The end is missing."""
    return data[: _place(data, random)]


def drop(data: bytes, random: np.random.Generator) -> bytes:
    """A piece is missing."""
    at = _place(data, random)
    return data[:at] + data[at + int(random.integers(1, 64)) :]


def repeat(data: bytes, random: np.random.Generator) -> bytes:
    """A piece is there very often."""
    at, size = _place(data, random), int(random.integers(1, 200))
    return data[:at] + data[at : at + size] * int(random.integers(2, 400)) + data[at:]


def number(data: bytes, random: np.random.Generator) -> bytes:
    """A field of 1, 2, 4 or 8 bytes becomes a number that programs stumble over."""
    width = int(random.choice([1, 2, 4, 8]))
    order: Literal["little", "big"] = "big" if random.integers(2) else "little"
    value = int(random.choice(NUMBERS)) % (1 << 8 * width)
    at = _place(data, random, width)
    return data[:at] + value.to_bytes(width, order) + data[at + width :]


def other_tail(data: bytes, random: np.random.Generator) -> bytes:
    """The head of this file and the tail of another one."""
    other = list(seeds().values())[int(random.integers(len(seeds())))]
    return data[: _place(data, random)] + other[_place(other, random) :]


def other_head(data: bytes, random: np.random.Generator) -> bytes:
    """The first bytes of another format."""
    other = list(seeds().values())[int(random.integers(len(seeds())))]
    size = int(random.integers(2, 64))
    return other[:size] + data[size:]


def huge_size(data: bytes, random: np.random.Generator) -> bytes:
    """A header that declares far more pixels than the file can hold, of the file's format where it has a simple one."""
    sides = [int(side) for side in random.choice([1, 255, 9_999, 10_000, 65_535, 1 << 20, (1 << 31) - 1], 2)]
    if data.startswith(b"\x89PNG"):
        return _with_checksum(data[:16] + struct.pack(">II", *sides) + data[24:])
    if data.startswith(b"\xff\xd8") and (at := _frame_header(data)):
        return data[:at] + struct.pack(">HH", *(side & 0xFFFF for side in sides)) + data[at + 4 :]
    if data.startswith(b"BM"):
        return data[:18] + struct.pack("<ii", *sides) + data[26:]
    made = (gif_header, webp_canvas, _huge_tiff, _huge_png, lambda w, h: bmp(w, h, bytes(500)))
    return made[int(random.integers(len(made)))](*(min(side, 65_535) or 1 for side in sides))


def _huge_tiff(width: int, height: int) -> bytes:
    return tiff([*tiff_image(width=width, height=height), (322, 4, 1, width), (323, 4, 1, height)])


def _huge_png(width: int, height: int) -> bytes:
    return png(width, height, zlib.compress(bytes(10_000_000)))


def _with_checksum(data: bytes) -> bytes:
    return data[:29] + struct.pack(">I", zlib.crc32(data[12:29])) + data[33:]


def _frame_header(data: bytes) -> int:
    """Where a JPEG states its height; 0 for nowhere."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return at + 5 if at >= 0 else 0


def deep_profile(tags: int) -> bytes:
    """An ICC profile with very many tags that all point at one another."""
    head = struct.pack(">I4sI4s4s4s", 128 + 4 + 12 * tags, b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    body = head.ljust(36, b"\0") + b"acsp"
    table = b"".join(struct.pack(">4sII", b"A2B0", 128 + 12 * (tag % 7), 0xFFFFFF0) for tag in range(tags))
    return body.ljust(128, b"\0") + struct.pack(">I", tags) + table


def deep_exif(depth: int) -> bytes:
    """An EXIF block of directories that lead to one another, the last to the first."""
    links = [8 + 18 * ((place + 1) % depth) for place in range(depth)]
    chain = b"".join(struct.pack("<HHHII", 1, 0x8769, 4, 1, link) + struct.pack("<I", link) for link in links)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + chain


def metadata(data: bytes, random: np.random.Generator) -> bytes:
    """Deep or large metadata, where the format has a simple place for it."""
    blocks = (deep_exif(int(random.integers(1, 3000))), deep_profile(int(random.integers(1, 5000))))
    if data.startswith(b"\x89PNG"):
        profile = b"x\0\0" + zlib.compress(blocks[1] * int(random.integers(1, 60)))
        kinds = (png_chunk(b"eXIf", blocks[0][6:]), png_chunk(b"iCCP", profile), png_chunk(b"zTXt", profile))
        return data[:33] + kinds[int(random.integers(3))] + data[33:]
    if data.startswith(b"\xff\xd8"):
        marker, body = ((b"\xff\xe1", blocks[0]), (b"\xff\xe2", b"ICC_PROFILE\0\1\1" + blocks[1]))[
            int(random.integers(2))
        ]
        body = body[:65_000]
        return data[:2] + (marker + struct.pack(">H", len(body) + 2) + body) * int(random.integers(1, 20)) + data[2:]
    if data.startswith(b"GIF"):
        return data[:13] + b"\x21\xfe" + b"\xff" + bytes(255) * int(random.integers(1, 300)) + b"\0" + data[13:]
    return data + blocks[int(random.integers(2))]


def endless(data: bytes, random: np.random.Generator) -> bytes:
    """An animation of very many frames that show nothing."""
    side, count = int(random.choice([1, 64, 1000])), int(random.integers(50, 3000))
    frame = b"\x21\xf9\4\0\1\0\0\0," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\2\2\x4c\1\0"
    blank = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6) + frame * count + b";"
    animated = data.startswith(b"GIF") and random.random() < 0.5
    return data[:-1] + frame * count + b";" if animated else blank


def directories(data: bytes, random: np.random.Generator) -> bytes:
    """A TIFF with odd tags: unknown compressions and depths, tiles, strips beyond the end, directories in a ring."""
    entries = {entry[0]: entry for entry in tiff_image()}
    for tag in random.choice([254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 322, 323, 324, 330, 339], 4):
        kind = int(random.integers(1, 19))
        entries[int(tag)] = (int(tag), kind, int(random.choice([1, 2, 3, 0xFFFF])), int(random.choice(NUMBERS)))
    made = tiff(sorted(entries.values()))
    ring = struct.pack("<I", 8) if random.random() < 0.5 else bytes(4)
    return made[:-4] + ring + data[: int(random.integers(0, 5000))]


def archive(data: bytes, random: np.random.Generator) -> bytes:
    """A zip around the file, behind it, or full of nothing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("../../escape.jpg", data)
        made.writestr("zeros.png", bytes(int(random.integers(1, 2_000_000))))
    return buffer.getvalue() if random.random() < 0.5 else data + buffer.getvalue()


def boxes(data: bytes, random: np.random.Generator) -> bytes:
    """Boxes of an ISO media file in one another, with sizes that lie."""
    inner = b"meta" + bytes(4)
    for _ in range(int(random.integers(1, 2000))):
        inner = struct.pack(">I", int(random.choice([len(inner) + 4, *NUMBERS[:10]])) & 0xFFFFFFFF) + inner[:60_000]
        inner = b"meta" + inner
    return ftyp((b"avif", b"heic", b"mif1")[int(random.integers(3))], b"mif1", b"avif") + inner + data


CHANGES: dict[str, Change] = {
    "flip": flip_bytes,
    "cut": cut,
    "drop": drop,
    "repeat": repeat,
    "number": number,
    "tail": other_tail,
    "head": other_head,
    "size": huge_size,
    "metadata": metadata,
    "endless": endless,
    "directories": directories,
    "archive": archive,
    "boxes": boxes,
}
