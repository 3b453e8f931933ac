"""Indexes of the first release open, answer, grow, shrink and are calibrated, without a step of migration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drawn import Quiet, draw
from older import OFFSET, POLICY, VALUE, as_first_release

from retr.core.errors import IntegrityError
from retr.indexer.build import build_index
from retr.indexer.options import IndexOptions, IndexReport
from retr.indexer.remove import remove_items
from retr.indexer.snapshot import Threshold, require_current
from retr.indexer.verify import verify_index
from retr.retrieval.answer import Answer
from retr.retrieval.calibrate import calibrate
from retr.retrieval.engine import Engine
from retr.retrieval.query import query_files

SET_OF_ITS_OWN = "block-means:4"
"""A model that the package brings no reference set for: one is drawn."""


@pytest.fixture(params=["block-means", SET_OF_ITS_OWN])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A dozen pictures in an index that this version has just made, under the old decode policy."""
    for seed in range(12):
        draw(tmp_path / "corpus" / f"{seed:02}.png", seed)
    add(tmp_path / "index", models=(request.param,), policy=POLICY)
    return tmp_path / "index"


def add(index: Path, **options) -> IndexReport:
    return build_index(str(index.parent / "corpus"), index, IndexOptions(**options), Quiet())


def asked(index: Path, *names: str) -> list[Answer]:
    paths = [str(index.parent / "corpus" / name) for name in names]
    return [outcome.answer for outcome in query_files(Engine.open(index), paths, certify=True) if outcome.answer]


def threshold(index: Path) -> Threshold:
    (channel,) = require_current(index).channels
    assert channel.threshold is not None
    return channel.threshold


def written(index: Path) -> dict[str, Any]:
    return json.loads((index / "snapshots" / f"{require_current(index).id}.json").read_bytes())


def absent(index: Path) -> list[str]:
    return [str(draw(index.parent / "absent" / f"{seed}.png", 1000 + seed)) for seed in range(20)]


@pytest.mark.parametrize(("local", "schema"), [(False, "retr.index/1"), (True, "retr.index/3")])
def test_it_answers_as_it_did(index: Path, local: bool, schema: str) -> None:
    before = asked(index, "03.png", "07.png")
    as_first_release(index, local=local)
    assert written(index)["schema"] == schema
    assert not {"share", "reference", "neighbours"} & set(written(index)["channels"][0]["threshold"])
    assert verify_index(index).problems == ()
    after = asked(index, "03.png", "07.png")
    for old, new in zip(before, after, strict=True):
        assert [match.path for match in new.matches] == [match.path for match in old.matches]
        assert [match.score for match in new.matches] == [match.score for match in old.matches]
        assert new.verdict == "copy"
        assert new.matches[0].top1 == old.matches[0].top1  # first place has nothing to do with thresholds
    assert require_current(index).policy_digest == POLICY.digest


@pytest.mark.parametrize("local", [False, True])
def test_the_next_commit_renews_its_thresholds_as_if_it_had_been_made_today(index: Path, local: bool) -> None:
    draw(index.parent / "corpus" / "new.png", 500)
    add(index)
    today = threshold(index)
    remove_items(index, [str(index.parent / "corpus" / "new.png")])
    without = threshold(index)
    as_first_release(index, local=local)
    report = add(index)
    assert (report.indexed, report.skipped) == (1, 12)
    renewed = threshold(index)
    assert (renewed.share, renewed.reference) == (today.share, today.reference)
    assert written(index)["schema"] == "retr.index/6"
    assert (renewed.source, renewed.stale, renewed.offset) == (
        ("calibrated", True, OFFSET) if local else ("reference", False, None)
    )
    assert asked(index, "new.png")[0].verdict == "copy"
    remove_items(index, [str(index.parent / "corpus" / "new.png")])
    assert threshold(index).share == without.share
    assert verify_index(index).problems == ()


@pytest.mark.parametrize("local", [False, True])
def test_it_is_calibrated_anew(index: Path, local: bool) -> None:
    wanted = calibrate(index, absent(index), fpr=0.1).thresholds[0][1]
    as_first_release(index, local=local)
    assert threshold(index).value == VALUE
    found = calibrate(index, absent(index), fpr=0.1).thresholds[0][1]
    assert found == wanted  # gaps, neighbours and all: the digests of their files are in it
    assert asked(index, "03.png")[0].verdict == "copy"


def test_a_reference_set_that_is_missing_is_drawn_again_and_a_foreign_one_is_named(index: Path) -> None:
    as_first_release(index, local=True)
    calibrate(index, absent(index), fpr=0.1)
    kept, before = list((index / "references").glob("*")), threshold(index)
    if require_current(index).channels[0].spec != SET_OF_ITS_OWN:
        assert kept == []  # the package brings it
        return
    (file,) = kept
    whole = file.read_bytes()
    file.unlink()
    calibrate(index, absent(index), fpr=0.1)
    assert (file.read_bytes(), threshold(index)) == (whole, before)
    file.write_bytes(whole[:-1])
    with pytest.raises(
        IntegrityError, match=f"{file.name} is no reference set that .*; remove it, and it is drawn again"
    ):
        calibrate(index, absent(index), fpr=0.1)
    assert asked(index, "03.png")[0].verdict == "copy"  # nobody needs the set to answer
