"""The one writer: what a library does with an index, in one session or in several, and what it leaves when killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from drawn import draw

from retr.core.errors import ImageRejected, IndexStateError, IntegrityError, UsageError
from retr.embedding.block_means import BlockMeans
from retr.images.policy import DecodePolicy
from retr.images.views import VIEW_SETS
from retr.indexer import Writer
from retr.indexer.embed import Embedded, embed_batch
from retr.indexer.gallery import open_gallery
from retr.indexer.info import list_rejects
from retr.indexer.integrity import check_content
from retr.indexer.lock import writer_lock
from retr.indexer.options import IndexOptions, template
from retr.indexer.prepare import Prepared, Recipe, Refused, prepare
from retr.indexer.snapshot import Snapshot, Threshold, read_current, require_current

EMBEDDER = BlockMeans(4)


def start() -> Snapshot:
    return template(None, IndexOptions(models=("block-means:4",)))


def embedded(*paths: Path, views: str = "none") -> tuple[Embedded, list[Refused]]:
    recipe = Recipe(DecodePolicy(), VIEW_SETS[views], (EMBEDDER.input_size,))
    found = [prepare(str(path), recipe) for path in paths]
    refused = [one for one in found if isinstance(one, Refused)]
    return embed_batch([one for one in found if isinstance(one, Prepared)], (EMBEDDER,), recipe), refused


def pictures(folder: Path, *seeds: int) -> list[Path]:
    return [draw(folder / f"{seed}.png", seed) for seed in seeds]


def live(index: Path) -> list[tuple[str, str]]:
    opened = open_gallery(index, require_current(index))
    rows = opened.catalog.to_pylist()
    return [(Path(row["path"]).name, row["view"]) for row, alive in zip(rows, opened.live, strict=True) if alive]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Three pictures in one session."""
    with Writer(tmp_path / "index", create=start()) as writer:
        assert writer.append(*embedded(*pictures(tmp_path, 1, 2, 3))).items == 3
        writer.commit()
    return tmp_path / "index"


def test_a_second_session_appends(index, tmp_path):
    first = require_current(index)
    with Writer(index) as writer:
        assert writer.held.table["path"].to_pylist() == [str(tmp_path / f"{seed}.png") for seed in (1, 2, 3)]
        writer.append(*embedded(*pictures(tmp_path, 4, 5)))
        assert require_current(index).id == first.id  # nothing is there before the commit
        done = writer.commit()
        assert (writer.held.rows, writer.held.items) == (5, 5)
    assert (done.parent, len(done.segments)) == (first.id, 2)
    assert [name for name, _ in live(index)] == ["1.png", "2.png", "3.png", "4.png", "5.png"]
    assert not (index / "staging").exists()
    assert not (index / "run.json").exists()
    assert check_content(index, done, everything=True).complete


def test_images_may_have_other_views_than_those_before(index, tmp_path):
    with Writer(index) as writer:
        writer.append(*embedded(*pictures(tmp_path, 4), views="flip"))
        writer.commit()
        assert (writer.held.rows, writer.held.items) == (5, 4)
    assert live(index)[3:] == [("4.png", "original"), ("4.png", "flip")]


def test_removing_by_path_and_by_id(index, tmp_path):
    with Writer(index) as writer:
        [second] = writer.held.located([str(tmp_path / "2.png")]).tolist()
        assert writer.remove(ids=[writer.held.at(second)["id"]]) == 1
        assert writer.remove(paths=[str(tmp_path / "2.png"), str(tmp_path / "3.png")]) == 1  # one of them is new
        assert len(live(index)) == 3
        done = writer.commit()
        assert writer.held.table["path"].to_pylist() == [str(tmp_path / "1.png")]
    assert live(index) == [("1.png", "original")]
    assert sum(map(len, done.tombstones.values())) == 2
    with Writer(index) as writer:
        assert writer.commit() == done  # nothing has changed: no new snapshot
        writer.append(*embedded(tmp_path / "2.png"))
        writer.commit()
    assert [name for name, _ in live(index)] == ["1.png", "2.png"]


def test_what_is_not_there_cannot_be_removed(index, tmp_path):
    with Writer(index) as writer:
        for wrong in ({"ids": ["0" * 16]}, {"paths": [str(tmp_path / "1.png"), "/nothing"]}):
            with pytest.raises(UsageError, match=r"1 of [12] items are not in the index by their (id|path)"):
                writer.remove(**wrong)
        assert writer.commit().parent is None
    assert len(live(index)) == 3


def test_a_path_that_comes_again_replaces_what_it_held(index, tmp_path):
    """In another session, and within one: the last content counts."""
    with Writer(index) as writer:
        writer.append(*embedded(draw(tmp_path / "1.png", 10)))
        writer.append(*embedded(draw(tmp_path / "1.png", 11)))
        writer.commit()
        assert writer.replaced == 2
        assert writer.held.rows == 3
        expected = embedded(tmp_path / "1.png")[0].vectors[0]
    opened = open_gallery(index, require_current(index))
    assert opened.live.tolist() == [False, True, True, False, True]
    assert (opened.stores[0].take(np.asarray([4])) == expected).all()


def test_a_file_that_went_bad_loses_what_was_stored_of_it(index, tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "2.png").unlink()  # not there now: nothing says that its content has changed
    with Writer(index) as writer:
        stored = writer.append(*embedded(tmp_path / "1.png", tmp_path / "2.png"))
        assert [row["error"] for row in stored.rejects] == ["zero-byte", "not-found"]
        writer.commit()
        assert writer.dropped == 1
    assert [name for name, _ in live(index)] == ["2.png", "3.png"]
    assert [row["error"] for row in list_rejects(index)] == ["zero-byte"]


@pytest.mark.parametrize("reason", ["needs-heif-extra", "out-of-memory"])
def test_a_reject_that_says_nothing_about_the_file_drops_nothing(index, tmp_path, reason):
    refused = Refused(str(tmp_path / "1.png"), ImageRejected(stage="identify", reason=reason, detail="here and now"))
    with Writer(index) as writer:
        writer.append(embedded()[0], [refused])
        writer.commit()
        assert writer.dropped == 0
    assert len(live(index)) == 3


def test_duplicates_are_known_across_sessions(index, tmp_path):
    (tmp_path / "again.png").write_bytes((tmp_path / "2.png").read_bytes())
    with Writer(index) as writer:
        writer.append(*embedded(tmp_path / "again.png"))
        writer.commit()
        assert (writer.held.rows, writer.held.items) == (4, 3)
    rows = open_gallery(index, require_current(index)).catalog.to_pylist()
    assert rows[3]["duplicate_of"] == rows[1]["id"]
    with Writer(index) as writer:  # the first of them goes: a third copy is one of the second
        writer.remove(ids=[rows[1]["id"]])
        (tmp_path / "third.png").write_bytes((tmp_path / "again.png").read_bytes())
        writer.append(*embedded(tmp_path / "third.png"))
        writer.commit()
    rows = open_gallery(index, require_current(index)).catalog.to_pylist()
    assert rows[4]["duplicate_of"] == rows[3]["id"]


def test_thresholds_are_set_on_the_rows_they_were_measured_on(index, tmp_path):
    before = require_current(index).id
    threshold = Threshold(0.5, "calibrated", 0.01, 100, upper95=0.02)
    with Writer(index) as writer:
        done = writer.set_thresholds([threshold], on=before)
        assert (done.parent, done.channels[0].threshold) == (before, threshold)
        with pytest.raises(IndexStateError, match="no longer at"):
            writer.set_thresholds([threshold], on=before)
        writer.append(*embedded(*pictures(tmp_path, 4)))
        for change in (lambda: writer.set_thresholds([threshold], on=done.id), lambda: writer.restore(before)):
            with pytest.raises(IndexStateError, match="commit what was appended"):
                change()
        stale = writer.commit().channels[0].threshold
        assert stale is not None
        assert (stale.value, stale.stale) == (0.5, True)
        writer.restore(before)
        assert writer.held.rows == 3
    assert require_current(index).id == before


def test_what_was_not_committed_waits_for_the_next_session(index, tmp_path):
    with Writer(index) as writer:
        writer.append(*embedded(*pictures(tmp_path, 4)))
    with pytest.raises(IndexStateError, match=r"unfinished run.*resume.*restart"), Writer(index):
        pass
    with Writer(index, resume=True) as writer:
        assert [row["path"] for row in writer.staged[0]] == [str(tmp_path / "4.png")]
        writer.append(*embedded(*pictures(tmp_path, 5)))
        writer.commit()
    assert len(live(index)) == 5
    with Writer(index) as writer:
        writer.append(*embedded(*pictures(tmp_path, 6)))
    with Writer(index, restart=True) as writer:
        writer.append(*embedded(*pictures(tmp_path, 7)))
        writer.commit()
    assert [name for name, _ in live(index)][5:] == ["7.png"]


@pytest.mark.parametrize("file", ["staging/plan.json", "run.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7"])
def test_a_damaged_unfinished_run_can_be_dropped(index, tmp_path, file, content):
    with Writer(index) as writer:
        writer.append(*embedded(*pictures(tmp_path, 4)))
    (index / file).write_bytes(content)
    for resume in (False, True):
        with pytest.raises((IndexStateError, UsageError), match="restart"), Writer(index, resume=resume):
            pass
    with Writer(index, restart=True) as writer:
        writer.append(*embedded(*pictures(tmp_path, 5)))
        writer.commit()
    assert [name for name, _ in live(index)][3:] == ["5.png"]


def test_full_segments_are_committed_on_the_way(tmp_path):
    with Writer(tmp_path / "index", create=start(), segment_rows=2) as writer:
        for seed in range(5):
            writer.append(*embedded(*pictures(tmp_path, seed)))
        names, rejects = writer.sealed()
        assert (len(names), rejects) == (2, [])
        assert require_current(tmp_path / "index").rows == 4
        assert [segment.rows for segment in writer.commit().segments] == [2, 2, 1]


def test_an_index_must_be_there_or_be_described(tmp_path):
    with pytest.raises(IndexStateError, match="no index at"), Writer(tmp_path / "index"):
        pass
    assert not (tmp_path / "index").exists()
    with Writer(tmp_path / "index", create=start()) as writer:
        empty = writer.commit()
    assert (empty.rows, read_current(tmp_path / "index")) == (0, empty)


def test_a_damaged_index_is_not_written_to(index):
    [segment] = require_current(index).segments
    (index / "segments" / segment.id / "catalog.parquet").write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match=r"catalog\.parquet does not match"), Writer(index):
        pass


# -- the lock ---------------------------------------------------------------------------------------------------------


def test_a_second_writer_is_told_at_once(index):
    began = time.monotonic()
    with Writer(index), pytest.raises(IndexStateError, match=f"another process is writing {index}"), Writer(index):
        pass
    assert time.monotonic() - began < 5
    with Writer(index) as writer:  # and the lock is free again
        writer.commit()


HOLD = """
import sys, time; from pathlib import Path; from retr.indexer.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_writer_leaves_no_lock(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            with pytest.raises(IndexStateError, match="another process"), writer_lock(tmp_path):
                pass
        finally:
            child.kill()
    with writer_lock(tmp_path):
        pass
    assert (tmp_path / "lock").exists()  # a file that means nothing by itself
