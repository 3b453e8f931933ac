"""retr.check: what the engine claims is confirmed, and what it does not is refuted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retr
from retr.core.errors import IndexStateError, UsageError
from retr.core.units import Radius


@pytest.fixture(params=["my-index", "one-channel", "views"])
def index(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> retr.Index:
    if request.param == "my-index":
        return retr.open("my-index")
    options = {"one-channel": {"models": ["block-means"]}, "views": {"models": ["block-means"], "views": "flip"}}
    return retr.build("corpus", tmp_path / "index", **options[request.param])


def queries() -> list[Image.Image]:
    own = Image.open("img.png").convert("RGB")
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return [own, own.resize((own.width // 2, own.height // 2)), Image.fromarray(noise)]


def test_what_the_engine_claims_is_confirmed(index: retr.Index) -> None:
    for image in queries():
        for k in (1, 3):
            answer = index.query(image, k=k, certify=True)
            found = retr.check(answer, index, image)
            assert found.confirmed, found
            said = [claim.words for claim in found.claims]
            assert sum("stays among the first" in words for words in said) == k
            assert sum("stays first" in words for words in said) == 1
            assert ("a copy" in said) != ("not a copy" in said)


def test_a_claim_that_is_larger_is_refuted(index: retr.Index) -> None:
    image = queries()[0]
    answer = index.query(image, k=2, certify=True)
    first, copy = answer.matches[0], answer.copy
    assert first.top1 is not None
    assert first.topk is not None
    assert copy is not None
    larger = {
        "stays first": replace(first, top1=Radius(1.3 * first.top1.l2 + 0.1, first.top1.values)),
        "among the first 2": replace(first, topk=Radius(2.0 * first.topk.l2 + 0.1, first.topk.values)),
    }
    for words, match in larger.items():
        found = retr.check(replace(answer, matches=(match, *answer.matches[1:])), index, image)
        assert not found.confirmed
        assert any(words in claim.words for claim in found.refuted)
        assert "refuted" in repr(found)
    found = retr.check(replace(answer, copy=Radius(4.0 * copy.l2 + 0.1, copy.values)), index, image)
    assert [claim.words for claim in found.refuted] == ["a copy"]


def test_the_answer_to_another_image_is_refuted(index: retr.Index) -> None:
    image, *_ = queries()
    other = Image.fromarray(np.full((image.height, image.width, 3), 90, np.uint8) + np.asarray(image) // 4)
    assert retr.check(index.query(image, certify=True), index, other).refuted


def test_what_cannot_be_checked_is_said(index: retr.Index) -> None:
    image = queries()[0]
    answer = index.query(image, certify=True)
    with pytest.raises(UsageError, match="no certificate to check"):
        retr.check(index.query(image), index, image)
    with pytest.raises(IndexStateError, match="is of snapshot 0123"):
        retr.check(replace(answer, snapshot="0123"), index, image)
    with pytest.raises(UsageError, match="is of an image of"):
        retr.check(answer, index, image.resize((20, 30)))


def test_proofs_of_edits(home: Path) -> None:
    """A budget of a whole number is one of the same number, and arrays have no file."""
    index = retr.open("my-index")
    answer = index.query("img.png", k=1, certify=True, against="jpeg:94..95", eps=1)
    proofs = {proof.claim["kind"]: proof for proof in index.prove(answer, "img.png")}
    assert retr.check(proofs["ranges"], index).verdict == "confirmed"
    bare = index.prove(answer, Image.open("img.png").convert("RGB"))[-1]
    assert bare.claim["kind"] == "ranges"
    assert retr.check(bare, index).verdict == "unsupported"
    assert retr.check(bare, index, "img.png").verdict == "confirmed"
