"""``retr index`` on small corpora: what is stored, skipped, replaced, forgotten, refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn import Quiet, Stretches, draw

from retr.core.errors import IndexStateError, IntegrityError, UsageError
from retr.images.views import VIEW_SETS
from retr.indexer import filter_file
from retr.indexer.build import IndexOptions, IndexReport, build_index
from retr.indexer.gallery import open_gallery
from retr.indexer.held import read_held
from retr.indexer.history import compact_index
from retr.indexer.info import describe_index, list_rejects
from retr.indexer.integrity import check_content
from retr.indexer.snapshot import read_current, require_current


def run(corpus: Path | str, index: Path, **options) -> IndexReport:
    options = {"models": ("block-means:4",), **options}  # the default's network takes seconds to load
    report = build_index(str(corpus), index, IndexOptions(batch_size=4, **options), Quiet())
    assert report.seen == report.indexed + report.skipped + report.rejected
    return report


def gallery(index: Path):
    return open_gallery(index, require_current(index))


def held(index: Path) -> list[str]:
    """Paths of the live items."""
    return read_held(index, require_current(index)).table["path"].to_pylist()


def test_what_the_first_opening_would_wait_for_is_made_with_the_index(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("RETR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(filter_file, "LEAST", 4)
    index, kept = tmp_path / "index", tmp_path / "cache" / "filters"

    def nothing_is_left_to_make() -> int:
        with monkeypatch.context() as patch:
            patch.setattr(filter_file, "make_filter", None)
            assert all(one is not None for store in gallery(index).stores for one in store.filtered)
        return len(list(kept.iterdir()))

    run(corpus, index)
    first = nothing_is_left_to_make()
    for seed in range(6):
        draw(corpus / f"more-{seed}.png", 900 + seed)
    run(corpus, index)
    grown = nothing_is_left_to_make()
    compact_index(index)
    assert first < grown < nothing_is_left_to_make()


def test_every_image_is_stored_once_and_copies_are_one_item(corpus, tmp_path):
    report = run(corpus, tmp_path / "index")
    assert (report.seen, report.indexed, report.rows, report.items) == (22, 22, 22, 20)
    table = gallery(tmp_path / "index").catalog.to_pylist()
    by_name = {Path(row["path"]).name: row for row in table}
    assert by_name["same-bytes.png"]["duplicate_of"] == by_name["00.png"]["id"]
    assert by_name["same-pixels.bmp"]["duplicate_of"] == by_name["01.png"]["id"]
    assert sum(row["duplicate_of"] is not None for row in table) == 2
    assert [row["path"] for row in table] == sorted(row["path"] for row in table)
    assert by_name["03.png"]["format"] == "PNG"
    assert (by_name["03.png"]["width"], by_name["03.png"]["height"]) == (33, 40)


def test_stored_rows_are_unit_float32_of_the_embedder(corpus, tmp_path):
    run(corpus, tmp_path / "index")
    opened = gallery(tmp_path / "index")
    rows = opened.stores[0].take(np.arange(22))
    assert rows.dtype == np.float32
    assert np.abs(np.linalg.norm(rows.astype(np.float64), axis=1) - 1).max() < 1e-6


def test_a_second_run_embeds_nothing_and_changes_nothing(corpus, tmp_path):
    first = run(corpus, tmp_path / "index")
    again = run(corpus, tmp_path / "index")
    assert (again.indexed, again.skipped, again.snapshot) == (0, 22, first.snapshot)
    os.utime(corpus / "a" / "00.png")  # touched, not changed: read again, not stored again
    touched = run(corpus, tmp_path / "index")
    assert (touched.indexed, touched.skipped, touched.snapshot) == (0, 22, first.snapshot)


def test_an_index_is_not_begun_among_other_files(corpus, tmp_path):
    before = sorted(corpus.rglob("*"))
    with pytest.raises(UsageError, match=r"is no index and holds other files \('"):
        run(corpus, corpus)
    assert sorted(corpus.rglob("*")) == before
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / ".DS_Store").touch()
    run(corpus, tmp_path / "index")


def test_a_changed_file_replaces_its_old_content(corpus, tmp_path):
    run(corpus, tmp_path / "index")
    draw(corpus / "c" / "05.png", 500)
    report = run(corpus, tmp_path / "index")
    assert (report.indexed, report.replaced, report.rows) == (1, 1, 22)
    opened = gallery(tmp_path / "index")
    assert int((~opened.live).sum()) == 1
    live = [row["path"] for row, alive in zip(opened.catalog.to_pylist(), opened.live, strict=True) if alive]
    assert len(live) == len(set(live)) == 22
    # and back again: the first content returns as a new row beside its tombstone
    draw(corpus / "c" / "05.png", 5)
    back = run(corpus, tmp_path / "index")
    assert (back.indexed, back.replaced, back.rows) == (1, 1, 22)
    assert check_content(tmp_path / "index", require_current(tmp_path / "index"), everything=True).read > 0


def test_content_that_comes_back_is_live_again(tmp_path):
    """The same bytes with the same time, alone in their segment: the new rows must not inherit the old tombstones."""
    file = draw(tmp_path / "corpus" / "one.png", 1)
    for seed in (1, 2, 1):
        os.utime(draw(file, seed), ns=(10**18, 10**18 + seed))
        report = run(tmp_path / "corpus", tmp_path / "index")
        assert (report.indexed, report.rows, report.items) == (1, 1, 1)
    names = [segment.id for segment in require_current(tmp_path / "index").segments]
    assert len(set(names)) == 3
    assert check_content(tmp_path / "index", require_current(tmp_path / "index"), everything=True).read == 17


def test_new_files_are_added_and_gone_files_stay_until_pruned(corpus, tmp_path):
    run(corpus, tmp_path / "index")
    draw(corpus / "d" / "new.png", 77)
    (corpus / "a" / "03.png").unlink()
    report = run(corpus, tmp_path / "index")
    assert (report.seen, report.indexed, report.skipped, report.rows) == (22, 1, 21, 23)
    pruned = run(corpus, tmp_path / "index", prune=True)
    assert (pruned.pruned, pruned.rows) == (1, 22)


def test_two_corpora_share_one_index(corpus, tmp_path):
    run(corpus / "a", tmp_path / "index")
    run(corpus / "b", tmp_path / "index", prune=True)
    assert describe_index(tmp_path / "index")["rows"] == len([*(corpus / "a").iterdir(), *(corpus / "b").iterdir()])


@pytest.mark.parametrize("views", ["none", "flip", "light"])
def test_views_store_several_rows_per_item(corpus, tmp_path, views):
    report = run(corpus, tmp_path / "index", views=views)
    opened = gallery(tmp_path / "index")
    assert report.rows == 22 * len(VIEW_SETS[views])
    assert opened.catalog["view"].to_pylist()[: len(VIEW_SETS[views])] == [view.name for view in VIEW_SETS[views]]
    assert len(opened.originals()) == 22
    assert run(corpus, tmp_path / "index").indexed == 0  # the index knows its own views
    other = "none" if views != "none" else "flip"
    with pytest.raises(UsageError, match="views"):
        run(corpus, tmp_path / "index", views=other)


def test_several_channels_hold_aligned_rows(corpus, tmp_path):
    run(corpus, tmp_path / "index", models=("block-means", "block-means:8"))
    opened = gallery(tmp_path / "index")
    assert [(store.dim, store.rows) for store in opened.stores] == [(768, 22), (192, 22)]
    with pytest.raises(UsageError, match="block-means:8"):
        run(corpus, tmp_path / "index", models=("block-means",))


def test_rows_do_not_depend_on_workers_or_segment_size(corpus, tmp_path):
    run(corpus, tmp_path / "one", workers=1)
    run(corpus, tmp_path / "many", workers=5, segment_rows=6)
    one, many = gallery(tmp_path / "one"), gallery(tmp_path / "many")
    assert len(many.snapshot.segments) > 2
    assert one.catalog.drop_columns(["segment"]).equals(many.catalog.drop_columns(["segment"]))
    every = np.arange(22)
    assert (one.stores[0].take(every) == many.stores[0].take(every)).all()


def test_progress_goes_on_where_it_was_after_a_segment_is_sealed(corpus, tmp_path):
    told = Stretches()
    options = IndexOptions(models=("block-means:4",), batch_size=4, segment_rows=6)
    build_index(str(corpus), tmp_path / "index", options, told)
    own = [(total, through) for title, total, through in told.told if title == "indexing"]
    assert own == [(22, 8), (22, 16), (22, 22)]
    assert told.told[-1][0] == "measuring gaps between images"  # the last commit is no silent one
    assert all(total == through for title, total, through in told.told if title != "indexing")


def test_bad_files_are_refused_by_name_and_every_good_one_is_indexed(corpus, tmp_path, bad_files):
    folder, expected = bad_files
    assert len(expected) >= 25
    listed = [*sorted(map(str, corpus.rglob("*.*"))), *(str(folder / name) for name, _ in expected)]
    (tmp_path / "list.txt").write_text("\n".join(listed))
    report = run(tmp_path / "list.txt", tmp_path / "index")
    assert (report.seen, report.indexed, report.rejected) == (22 + len(expected), 22, len(expected))
    rejects = {Path(row["path"]).name: row["error"] for row in list_rejects(tmp_path / "index")}
    assert rejects == dict(expected)
    segment = require_current(tmp_path / "index").segments[0]
    stored = pq.read_table(tmp_path / "index" / "segments" / segment.id / "rejects.parquet")
    assert stored.num_rows == len(expected)
    again = run(tmp_path / "list.txt", tmp_path / "index")
    assert (again.snapshot, again.rejected) == (report.snapshot, len(expected))


def test_a_reject_that_was_mended_is_a_reject_no_more(corpus, tmp_path):
    (corpus / "bad.png").write_bytes(b"no image")
    run(corpus, tmp_path / "index")
    assert describe_index(tmp_path / "index")["rejects"] == 1
    draw(corpus / "bad.png", 90)
    run(corpus, tmp_path / "index")
    assert describe_index(tmp_path / "index")["rejects"] == 0


def test_a_corpus_that_lists_nothing_is_refused_unless_that_is_meant(tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "list.txt").write_text("\n\n")
    for name in ("none", "list.txt"):
        with pytest.raises(UsageError, match=r"lists no files"):
            run(tmp_path / name, tmp_path / "index")
    assert not (tmp_path / "index").exists()
    report = run(tmp_path / "none", tmp_path / "index", prune_all=True)
    assert (report.seen, report.rows, report.items) == (0, 0, 0)
    threshold = require_current(tmp_path / "index").channels[0].threshold
    assert threshold is not None
    assert threshold.source == "reference"


def test_the_index_inside_its_corpus_is_not_indexed(corpus):
    run(corpus, corpus / "retr-index")
    assert run(corpus, corpus / "retr-index").seen == 22


def test_bad_options_are_usage_errors(corpus, tmp_path):
    for options in ({"workers": 0}, {"views": "all"}, {"resume": True, "restart": True}, {"device": "tpu"}):
        with pytest.raises(UsageError):
            run(corpus, tmp_path / "index", **options)
    with pytest.raises(UsageError, match="no such corpus"):
        run(tmp_path / "nothing", tmp_path / "index")
    with pytest.raises(UsageError, match="is a file"):
        run(corpus, draw(tmp_path / "file.png", 1))


def test_damage_is_named(corpus, tmp_path):
    run(corpus, tmp_path / "index")
    index = tmp_path / "index"
    snapshot = require_current(index)
    rows = index / "segments" / snapshot.segments[0].id / "rows-0.f32"
    content = bytearray(rows.read_bytes())
    content[1000] ^= 1
    rows.write_bytes(content)
    for verify in (False, True):
        with pytest.raises(IntegrityError, match=r"rows-0\.f32 does not match"):
            describe_index(index, verify=verify)
    rows.write_bytes(content[:-4])
    with pytest.raises(IntegrityError, match=r"rows-0\.f32 does not match"):
        describe_index(index)
    rows.unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        describe_index(index)
    file = index / "snapshots" / f"{snapshot.id}.json"
    file.write_text(file.read_text().replace('"views":"none"', '"views":"flip"'))
    with pytest.raises(IntegrityError, match="altered"):
        read_current(index)
    other = run(corpus / "a", tmp_path / "other").snapshot
    shutil.copy(tmp_path / "other" / "snapshots" / f"{other}.json", file)
    with pytest.raises(IntegrityError, match="put in its place"):
        read_current(index)
    shutil.rmtree(index / "snapshots")
    with pytest.raises(IntegrityError, match="does not exist"):
        read_current(index)


def test_no_index_says_how_to_make_one(tmp_path):
    with pytest.raises(IndexStateError, match="retr index"):
        require_current(tmp_path)


class Interrupts(Quiet):
    """Progress during which somebody presses Ctrl-C, after so many batches."""

    def __init__(self, after: int) -> None:
        self.after = after

    def advance(self, count: int = 1) -> None:
        super().advance(count)
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("segment_rows", [6, 1000])
def test_a_corpus_that_shrinks_between_interruption_and_resume_still_adds_up(corpus, tmp_path, segment_rows):
    (corpus / "a" / "bad.jpg").write_bytes(b"no image")
    options = IndexOptions(batch_size=4, segment_rows=segment_rows, models=("block-means:4",))
    with pytest.raises(KeyboardInterrupt):
        build_index(str(corpus), tmp_path / "index", options, Interrupts(after=3))
    with pytest.raises(IndexStateError, match="--resume"):
        run(corpus, tmp_path / "index")
    for name in ("a/00.png", "a/bad.jpg", "c/20.png", "c/11.png"):
        (corpus / name).unlink(missing_ok=True)
    report = run(corpus, tmp_path / "index", resume=True, segment_rows=segment_rows)
    assert (report.seen, report.rejected) == (20, 0)
    assert report.recovered > 0


def test_a_file_that_went_bad_answers_no_more(corpus, tmp_path):
    """Its old rows stayed, and were named as a match for what the file no longer holds."""
    run(corpus, tmp_path / "index")
    (corpus / "c" / "05.png").write_bytes(b"")
    report = run(corpus, tmp_path / "index")
    assert (report.rejected, report.dropped, report.replaced, report.rows) == (1, 1, 0, 21)
    assert not any("05.png" in path for path in held(tmp_path / "index"))
    assert run(corpus, tmp_path / "index").dropped == 0
    draw(corpus / "c" / "05.png", 5)
    assert run(corpus, tmp_path / "index").rows == 22
    (corpus / "c" / "05.png").write_bytes(b"")  # the same reject as before, which is listed already
    assert (run(corpus, tmp_path / "index").dropped, describe_index(tmp_path / "index")["rejects"]) == (1, 1)


class TestForgetting:
    def test_an_empty_folder_forgets_nothing(self, corpus, tmp_path):
        before = run(corpus, tmp_path / "index").snapshot
        corpus.rename(tmp_path / "elsewhere")
        corpus.mkdir()
        for prune in (False, True):
            with pytest.raises(UsageError, match=r"lists no files.*nothing is forgotten"):
                run(corpus, tmp_path / "index", prune=prune)
        assert require_current(tmp_path / "index").id == before
        report = run(corpus, tmp_path / "index", prune_all=True)
        assert (report.pruned, report.rows) == (22, 0)

    def test_most_of_a_folder_goes_only_by_confirmation(self, corpus, tmp_path):
        run(corpus, tmp_path / "index")
        before = held(tmp_path / "index")
        for path in before[:12]:
            Path(path).unlink()
        with pytest.raises(IndexStateError, match="12 of the 22 images") as caught:
            run(corpus, tmp_path / "index", prune=True)
        assert all(repr(path) in str(caught.value) for path in before[:3])
        assert "prune_all (--prune-all)" in str(caught.value)
        assert held(tmp_path / "index") == before
        (corpus / "a" / "back.png").write_bytes(b"")  # nothing was done either, not even this
        assert describe_index(tmp_path / "index")["rejects"] == 0
        assert run(corpus, tmp_path / "index", prune_all=True).pruned == 12

    def test_half_of_a_folder_goes(self, corpus, tmp_path):
        run(corpus, tmp_path / "index")
        for path in held(tmp_path / "index")[:11]:
            Path(path).unlink()
        assert run(corpus, tmp_path / "index", prune=True).pruned == 11

    def test_only_the_folder_itself_counts(self, corpus, tmp_path):
        """Most of folder a is gone; that it is little of the index does not matter."""
        run(corpus, tmp_path / "index")
        for path in sorted((corpus / "a").iterdir())[1:]:
            path.unlink()
        with pytest.raises(IndexStateError, match="7 of the 8 images"):
            run(corpus / "a", tmp_path / "index", prune=True)
        assert run(corpus, tmp_path / "index", prune=True).pruned == 7

    def test_what_cannot_be_listed_is_not_gone(self, corpus, tmp_path, monkeypatch):
        run(corpus, tmp_path / "index")
        names = sorted(os.listdir(corpus / "a"))
        (corpus / "b" / "01.png").unlink()
        scan = os.scandir

        def refuse(path):
            if str(path) == str(corpus / "a"):
                raise PermissionError(13, "Permission denied", str(path))
            return scan(path)

        monkeypatch.setattr(os, "scandir", refuse)
        report = run(corpus, tmp_path / "index", prune=True)
        assert (report.pruned, report.rejected, report.rows) == (1, 1, 21)
        assert sum(f"{corpus}/a/" in path for path in held(tmp_path / "index")) == len(names)

    def test_a_name_that_is_not_utf8_is_forgotten_too(self, corpus, tmp_path):
        odd = draw(corpus / "a" / "odd.png", 30).rename(corpus / "a" / os.fsdecode(b"o\xe4d.png"))
        assert run(corpus, tmp_path / "index").rows == 23
        odd.unlink()
        assert run(corpus, tmp_path / "index", prune=True).pruned == 1


def test_resuming_with_other_options_says_what_differs(corpus, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build_index(
            str(corpus), tmp_path / "index", IndexOptions(batch_size=4, models=("block-means:4",)), Interrupts(after=2)
        )
    with pytest.raises(UsageError, match="views was 'none' and is now 'flip'"):
        run(corpus, tmp_path / "index", resume=True, views="flip")
    assert run(corpus, tmp_path / "index", restart=True, views="flip").recovered == 0
