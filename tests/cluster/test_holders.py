"""Shards held by other processes answer as one process does, to the last bit, whatever becomes of some of them."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import Quiet, draw
from PIL import Image
from source_contract import SourceContract, images_of

from retr.cluster.crew import Crew, found, hired, states
from retr.cluster.manifest import Manifest
from retr.core.errors import ClusterError, IntegrityError
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.snapshot import Rule
from retr.indexer.writer import Writer
from retr.retrieval.answer import Answer
from retr.retrieval.calibrate import calibrate
from retr.retrieval.engine import Engine

pytest.importorskip("ray", reason="needs the extra cluster")
pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """An index of two segments with local thresholds; one picture is there twice, one removed, some are labelled."""
    root = tmp_path_factory.mktemp("held")
    for number in range(16):
        draw(root / "corpus" / f"{number:02}.png", number)
    with Image.open(root / "corpus" / "01.png") as image:
        image.save(root / "corpus" / "z01.bmp")
    options = IndexOptions(models=("block-means:4", "block-means:8"), views="flip", segment_rows=20, batch_size=8)
    build_index(str(root / "corpus"), root / "index", options, Quiet())
    with Writer(root / "index") as writer:
        writer.remove(paths=[str(root / "corpus" / "02.png")])
        writer.label([(str(root / "corpus" / f"{n:02}.png"), "bank", "b" if n % 2 else "a") for n in (0, 1, 3, 4)])
        writer.commit()
    calibrate(root / "index", [str(draw(root / "absent" / f"{n}.png", 700 + n)) for n in range(39)], fpr=0.1)
    return root / "index"


@pytest.fixture(scope="module")
def engine(home) -> Engine:
    return Engine.open(home)


@pytest.fixture(scope="module")
def crew(nodes, engine) -> Iterator[Crew]:
    with held(engine, (0, 7, 7, 30, len(engine.gallery.groups))) as crew:  # of unequal sizes, one of them empty
        yield crew


@contextmanager
def held(engine: Engine, edges: tuple[int, ...], **ways) -> Iterator[Crew]:
    with hired(engine.path, Manifest(engine.snapshot, edges), **ways) as crew:
        crew.hold(engine)
        yield crew


def answers(engine: Engine, k: int = 3) -> list[Answer]:
    pictures = images_of(engine, 4)
    for item in (0, 1, 5):
        with Image.open(engine.paths_of(item % engine.gallery.items)[0]) as image:
            pictures.append(images_of(engine, 1)[0] * 0.02 + 0.98 * _levels(image))
    return engine.answer_many(pictures, k=k, certify=True, eps_l2=[0.4] * len(pictures))


def _levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((30, 24))) / 255.0


class TestContract(SourceContract):
    @pytest.fixture
    def source(self, crew, engine):
        return crew.spread(engine).parts[0]


@pytest.mark.parametrize("k", [1, 40])
def test_answers_are_those_of_one_process(crew, engine, k):
    whole = answers(engine, k)
    assert answers(crew.spread(engine), k) == whole
    assert any(answer.certificate is not None for answer in whole)


def test_so_they_are_of_what_conditions_leave_and_of_negative_banks(crew, home, engine):
    for where in (["bank=a"], ["bank!=a"]):
        own = Engine.open(home, where=where)
        assert answers(crew.spread(own)) == answers(own)
    with Writer(home) as writer:
        ruled = writer.rule([Rule("bank=b")])
    try:
        own = Engine.open(home)
        with held(own, (0, 9, len(engine.gallery.groups))) as other:
            mine, theirs = answers(other.spread(own)), answers(own)
            assert mine == theirs
            assert any(answer.banks for answer in theirs)
            # Two snapshots at once: each query sees its own.
            assert (own.snapshot, engine.snapshot) == (ruled.id, crew.manifest.snapshot)
            assert answers(crew.spread(engine)) == answers(engine)
            with pytest.raises(ClusterError, match=f"holds snapshot {engine.snapshot}, and {own.snapshot} is asked"):
                crew.spread(own)
    finally:
        with Writer(home) as writer:
            writer.rule([])


def _process(crew: Crew, number: int) -> int:
    import ray

    state: Any = ray.get(crew.holders[number].state.remote())
    return state["pid"]


def test_a_process_that_is_killed_is_begun_anew_and_nothing_changes(crew, engine, capfd):
    spread, before = crew.spread(engine), _process(crew, 2)
    whole = answers(engine)
    os.kill(before, signal.SIGKILL)
    assert answers(spread) == whole
    assert _process(crew, 2) != before
    assert capfd.readouterr().out == ""  # which is for answers alone, and Ray would tell of the death there


def test_a_slow_shard_is_named_and_comes_back(crew, engine):
    process, whole = _process(crew, 3), answers(engine)
    hasty = replace(crew, deadline=1.0)
    os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(ClusterError, match=r"shard 3 \(rows 30 to 33\): no answer within 1 seconds"):
            answers(hasty.spread(engine))
        partial = answers(replace(hasty, allow_partial=True).spread(engine))
        missing = "4 of 32 rows were not scanned: shard 3 (rows 30 to 33) is silent"
        assert {answer.withheld for answer in partial} == {missing}
        assert {answer.certificate for answer in partial} == {None}
        assert all(answer.matches for answer in partial)
    finally:
        os.kill(process, signal.SIGCONT)
    began = time.monotonic()
    while hasty._is_late(3):
        assert time.monotonic() < began + 30
    assert answers(replace(hasty, deadline=60.0).spread(engine)) == whole


def test_a_node_that_is_lost_and_one_that_is_added(nodes, engine):
    import ray

    whole = answers(engine)
    added = nodes.add_node(num_cpus=1, object_store_memory=80_000_000, resources={"new": 1})
    with hired(engine.path, Manifest.even(engine.snapshot, len(engine.gallery.groups), 4)) as crew:
        crew.hold(engine)
        spread = crew.spread(engine)
        on_it = [n for n in range(4) if ray.get(crew.holders[n].node.remote()) == added.node_id]
        if not on_it:
            pytest.skip("Ray placed no shard on the node that was added")
        nodes.remove_node(added, allow_graceful=False)
        assert answers(spread) == whole


def test_others_find_what_is_held_and_a_shard_that_stays_away_withholds_what_it_must(nodes, home, engine):
    import ray

    assert found(engine.snapshot) is None
    with hired(home, Manifest.even(engine.snapshot, 34, 2), named=True):
        other = found(engine.snapshot, allow_partial=True)
        assert other is not None
        assert answers(other.spread(engine)) == answers(engine)
        assert [(one["shard"], one["rows"], one["error"]) for one in states()] == [(0, 17, None), (1, 17, None)]
        ray.kill(other.holders[1], no_restart=True)
        for answer in answers(other.spread(engine)):
            assert answer.withheld == "17 of 32 rows were not scanned: shard 1 (rows 17 to 33) is silent"
            assert answer.certificate is answer.copy is answer.not_a_copy is None
        with pytest.raises(ClusterError, match=r"not all of the index answers: shard 1 \(rows 17 to 33\)"):
            answers(replace(other, allow_partial=False).spread(engine))
    assert found(engine.snapshot) is None


def test_a_damaged_file_is_told_as_such(nodes, home, tmp_path):
    shutil.copytree(home, tmp_path / "copy")
    other = Engine.open(tmp_path / "copy")
    rows = next(tmp_path.glob("copy/segments/*/*.f32"))
    data = bytearray(rows.read_bytes())
    data[5] ^= 1
    rows.write_bytes(data)
    with (
        hired(other.path, Manifest.even(other.snapshot, 34, 2)) as crew,
        pytest.raises(IntegrityError, match=rows.name),
    ):
        crew.hold(other)
