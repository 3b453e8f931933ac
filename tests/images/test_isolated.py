"""Decoding in processes that are killed when they hang, crash or take too much."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from bad_files import bad_contents, encoded, photo

from retr.core.errors import ImageRejected, UsageError
from retr.images.decode import decode
from retr.images.isolated import IsolatedDecoder
from retr.images.policy import DecodePolicy

POLICY = DecodePolicy()
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")


@pytest.fixture(scope="module")
def decoder():
    with IsolatedDecoder(2) as made:
        yield made


def rejection(decoder: IsolatedDecoder, data: bytes, policy: DecodePolicy = POLICY) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decoder(data, policy=policy)
    return caught.value


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
def test_the_pixels_are_the_same(decoder, format_name):
    data = encoded(format_name)
    here, there = decode(data, policy=POLICY), decoder(data, policy=POLICY)
    assert np.array_equal(here.pixels, there.pixels)
    assert (here.format, here.byte_count, here.bytes_sha256) == (there.format, there.byte_count, there.bytes_sha256)
    assert here.pixels_sha256 == there.pixels_sha256
    assert not there.pixels.flags.writeable


def test_notes_and_policies_are_told(decoder):
    assert decoder(encoded("JPEG")[:-2], policy=POLICY).note == "no-end-marker"
    assert rejection(decoder, encoded("JPEG"), DecodePolicy(max_pixels=10)).reason == "decompression-bomb"
    assert rejection(decoder, encoded("JPEG")[:-2], POLICY.under_rules(1)).reason == "truncated"


def test_bad_files_are_rejected_alike(decoder):
    with ThreadPoolExecutor(4) as pool:
        files = list(bad_contents().values())
        found = list(pool.map(lambda one: rejection(decoder, one[0]).reason, files))
    assert found == [reason for _, reason in files]


def test_workers_that_began_before_they_were_needed_decode():
    with IsolatedDecoder(2) as decoder:
        decoder.begin()
        begun = decoder.processes
        assert len(begun) == 2
        assert decoder(encoded("PNG"), policy=POLICY).width == 64
        assert decoder.processes == begun


def test_a_worker_that_is_killed_is_named_and_replaced():
    with IsolatedDecoder(1) as decoder:
        decoder(encoded("PNG"), policy=POLICY)
        [first] = decoder.processes
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert decoder(encoded("PNG"), policy=POLICY).width == 64
        assert decoder.processes != [first]


def test_a_decoder_that_hangs_is_stopped():
    data = encoded("JPEG", photo(64, 64).resize((2400, 2400)), progressive=True, quality=30)
    with IsolatedDecoder(1, seconds=0.02) as decoder:
        found = rejection(decoder, data)
        assert (found.stage, found.reason, found.byte_count) == ("decode", "too-slow", len(data))
        assert decoder.processes == []
        assert decoder(encoded("PNG"), policy=POLICY).width == 64


def test_a_decoder_that_waits_is_stopped_by_the_clock(monkeypatch):
    monkeypatch.setattr("retr.images.isolated._WALL", 0.5)
    with IsolatedDecoder(1, seconds=2.0) as decoder:
        decoder(encoded("PNG"), policy=POLICY)
        os.kill(decoder.processes[0], signal.SIGSTOP)
        assert rejection(decoder, encoded("PNG")).reason == "too-slow"


def test_memory_is_limited():
    data = encoded("PNG", photo(16, 16).resize((2000, 2000)))
    with IsolatedDecoder(1, memory=10 * 2**20) as decoder:
        assert rejection(decoder, data).reason == "out-of-memory"
        assert decoder(encoded("PNG"), policy=POLICY).width == 64


class Lying:
    """A worker that answers what it likes."""

    def __init__(self, said: object, size: int) -> None:
        self.said, self.size = said, size

    def __call__(self, *_: object) -> tuple[object, bytearray]:
        return self.said, bytearray(self.size)


GOOD = {"height": 2, "width": 2, "format": "PNG", "note": None}


@pytest.mark.parametrize(
    ("said", "size"),
    [
        (GOOD, 11),
        ({**GOOD, "height": -2}, 12),
        ({**GOOD, "format": "<b>"}, 12),
        ({**GOOD, "note": "anything"}, 12),
        ({"height": 10**9, "width": 10**9, "format": "PNG", "note": None}, 12),
        ([], 0),
        (None, 0),
        ({}, 12),
    ],
)
def test_an_answer_that_makes_no_sense_is_not_believed(monkeypatch, said, size):
    monkeypatch.setattr("retr.images.isolated._Worker._ask", Lying(said, size))
    with IsolatedDecoder(1) as decoder:
        assert rejection(decoder, b"x").reason == "decoder-crashed"


@pytest.mark.parametrize("numbers", [{"workers": 0}, {"seconds": -1.0}, {"memory": 0}])
def test_impossible_limits_are_refused(numbers):
    with pytest.raises(UsageError):
        IsolatedDecoder(**numbers)
