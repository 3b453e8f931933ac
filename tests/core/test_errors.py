"""Errors of images travel between processes."""

from __future__ import annotations

import copy
import pickle

from retr.core.errors import ImageRejected


def test_a_rejected_image_is_the_same_in_another_process() -> None:
    why = ImageRejected(stage="decode", reason="truncated", detail="the file ends early", byte_count=7)
    for other in (pickle.loads(pickle.dumps(why)), copy.copy(why)):
        assert (other.stage, other.reason, other.detail, other.byte_count) == (
            "decode",
            "truncated",
            "the file ends early",
            7,
        )
        assert str(other) == str(why)
