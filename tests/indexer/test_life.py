"""The life of an index: removal, sync, compaction, labels, snapshots, verification and repair."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn import Quiet, draw

from retr.core.errors import IndexStateError, IntegrityError, UsageError
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.export import export_rows
from retr.indexer.garbage import orphans
from retr.indexer.history import compact_index, list_snapshots, restore_snapshot
from retr.indexer.labels import Labels, parse_label, read_label_file
from retr.indexer.listing import list_items, parse_time
from retr.indexer.lock import HOLDER, Holder, writer_lock, writing_now
from retr.indexer.remove import remove_items
from retr.indexer.snapshot import find_snapshot, require_current
from retr.indexer.sync import plan_sync
from retr.indexer.verify import clear_index, repair_index, verify_index
from retr.indexer.where import parse_condition
from retr.indexer.writer import Writer
from retr.retrieval.engine import Engine

MODEL = ("block-means:4",)


def run(corpus: Path, index: Path, **options):
    return build_index(str(corpus), index, IndexOptions(models=MODEL, segment_rows=8, **options), Quiet())


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Twenty pictures in two folders, an index of three segments with flips, a local threshold and labels."""
    root = tmp_path_factory.mktemp("life")
    for number in range(20):
        draw(root / "corpus" / "ab"[number % 2] / f"{number:02}.png", number)
    run(root / "corpus", root / "index", views="flip", batch_size=4, labels=(("bank", "one"),), id_from="stem")
    return root


@pytest.fixture
def home(made, tmp_path) -> Path:
    """A copy, to change; the index names the files of the copy."""
    shutil.copytree(made / "corpus", tmp_path / "corpus")
    run(tmp_path / "corpus", tmp_path / "index", views="flip", batch_size=4, labels=(("bank", "one"),), id_from="stem")
    return tmp_path


def answers(index: Path, **options) -> list:
    """What an index says of three queries, but for names of snapshots."""
    engine = Engine.open(index, device="cpu", threshold=0.999, **options)
    pixels = [np.random.default_rng(seed).random((40, 50, 3)) for seed in range(2)]
    draw(index.parent / "query.png", 3)
    from retr.images.decode import load

    pixels.append(load(index.parent / "query.png", policy=engine.policy).pixels / 255.0)
    found = []
    for answer in engine.answer_many(pixels, k=5, certify=True):
        said = answer.as_json("q")
        for match in said["matches"]:
            match.pop("rank")
        found.append({key: said[key] for key in ("verdict", "copy", "not_a_copy", "matches", "certificate")})
    return found


def names(table) -> list[str]:
    return [Path(path).name for path in table["path"].to_pylist()]


class TestCompaction:
    def test_answers_stay_the_same_bit_for_bit(self, home):
        index = home / "index"
        remove_items(index, ["id=03", "id=10,11"])
        before = answers(index)
        assert len(require_current(index).segments) > 2
        done = compact_index(index)
        assert done.rows == (40, 34)
        assert len(require_current(index).segments) == done.segments[1] < done.segments[0]
        assert require_current(index).tombstones == {}
        assert answers(index) == before
        assert verify_index(index).problems == ()

    def test_an_index_that_is_compact_stays_as_it_is(self, home):
        index = home / "index"
        compact_index(index)
        compact_index(index)
        held = require_current(index)
        assert compact_index(index).snapshot == held.id

    def test_old_snapshots_stay_until_they_are_to_be_forgotten(self, home):
        index = home / "index"
        first = require_current(index).id
        remove_items(index, ["id=03"])
        assert compact_index(index).held > 0
        assert first in [one.id for one in list_snapshots(index)]
        assert len(names(list_items(index, find_snapshot(index, first)))) == 20
        done = compact_index(index, forget=True)
        assert first in done.forgotten
        assert done.freed > 0
        assert done.held == 0
        assert [one.id for one in list_snapshots(index)] == [require_current(index).id]
        assert orphans(index) == []
        assert verify_index(index).problems == ()

    def test_the_originals_of_duplicates_are_named_anew(self, home):
        index = home / "index"
        copy = home / "corpus" / "z.png"
        shutil.copy(home / "corpus" / "a" / "02.png", copy)
        run(home / "corpus", index)
        remove_items(index, [str(home / "corpus" / "a" / "02.png")])
        compact_index(index)
        table = list_items(index, require_current(index), [parse_condition("path~*/z.png")])
        assert table["duplicate_of"].to_pylist() == [None]

    def test_an_item_s_rows_are_never_parted(self, home):
        with Writer(home / "index", segment_rows=3) as writer:
            writer.compact()
        found = [segment.rows for segment in require_current(home / "index").segments]
        assert sum(found) == 40
        assert all(rows % 2 == 0 for rows in found)


class TestRemoval:
    def test_by_id_path_label_and_the_user_s_id(self, home, monkeypatch):
        index = home / "index"
        some = list_items(index, require_current(index))["id"].to_pylist()[0]
        monkeypatch.chdir(home)
        done = remove_items(index, [some, "corpus/b/03.png", "id=05,07", "09"])
        assert len(done.paths) == 5
        assert done.items == 15
        assert len(names(list_items(index, require_current(index)))) == 15

    def test_a_name_that_means_nothing_takes_nothing_out(self, home):
        index = home / "index"
        before = require_current(index).id
        with pytest.raises(UsageError, match="no item of the id, path or label 'bank=two'"):
            remove_items(index, ["09", "bank=two"])
        assert require_current(index).id == before

    def test_a_rehearsal_changes_nothing(self, home):
        index = home / "index"
        before = require_current(index).id
        assert len(remove_items(index, ["bank=one"], rehearse=True).paths) == 20
        assert require_current(index).id == before

    def test_missing_files_go_unless_they_are_most_of_it(self, home):
        index = home / "index"
        for path in list((home / "corpus" / "a").iterdir())[:3]:
            path.unlink()
        assert len(remove_items(index, [], missing=True).paths) == 3
        shutil.rmtree(home / "corpus")
        with pytest.raises(IndexStateError, match=r"17 of the 17 .*all_missing"):
            remove_items(index, [], missing=True)
        assert remove_items(index, [], all_missing=True).items == 0

    def test_the_labels_of_what_was_removed_go_with_it(self, home):
        index = home / "index"
        remove_items(index, ["id=03"])
        run(home / "corpus", index)
        table = list_items(index, require_current(index), [parse_condition("path~*/03.png")])
        assert table["label.bank"].to_pylist() == [None]


class TestSync:
    def test_the_plan_names_what_a_run_then_does(self, home):
        index, corpus = home / "index", home / "corpus"
        draw(corpus / "new.png", 77)
        draw(corpus / "a" / "00.png", 78)
        (corpus / "b" / "01.png").unlink()
        before = require_current(index).id
        plan = plan_sync(str(corpus), index)
        assert [list(map(os.path.basename, paths)) for paths in (plan.added, plan.changed, plan.removed)] == [
            ["new.png"],
            ["00.png"],
            ["01.png"],
        ]
        assert (plan.unchanged, plan.refused, require_current(index).id) == (18, False, before)
        report = run(corpus, index, prune=True)
        assert (report.indexed, report.replaced, report.pruned) == (2, 1, 1)
        again = plan_sync(str(corpus), index)
        assert (again.added, again.changed, again.removed) == ((), (), ())

    @pytest.mark.parametrize("kept", [0, 9])
    def test_a_folder_that_lost_most_is_refused(self, home, kept):
        for path in sorted((home / "corpus").rglob("*.png"))[kept:]:
            path.unlink()
        assert plan_sync(str(home / "corpus"), home / "index").refused
        with pytest.raises((IndexStateError, UsageError)):
            run(home / "corpus", home / "index", prune=True)


class TestLabels:
    def test_they_outlive_a_change_of_the_content(self, home):
        index = home / "index"
        draw(home / "corpus" / "a" / "00.png", 78)
        run(home / "corpus", index)
        table = list_items(index, require_current(index), [parse_condition("id=00")])
        assert (names(table), table["label.bank"].to_pylist()) == (["00.png"], ["one"])

    def test_a_file_of_labels(self, home):
        index, file = home / "index", home / "corpus" / "labels.csv"
        file.write_text("path,bank,note\na/00.png,two,\u00e4 note\na/02.png,,\nnobody.png,three,\n")
        file.rename(home / "labels.csv")
        (home / "labels.csv").write_text((home / "labels.csv").read_text().replace("a/0", "corpus/a/0"))
        report = run(home / "corpus", index, label_file=home / "labels.csv")
        assert (report.labelled, report.strangers, report.indexed) == (1, 1, 0)
        table = list_items(index, require_current(index), [parse_condition("bank=two")])
        assert (names(table), table["label.note"].to_pylist()) == (["00.png"], ["\u00e4 note"])

    def test_the_same_labels_again_are_no_new_snapshot(self, home):
        before = require_current(home / "index").id
        run(home / "corpus", home / "index", labels=(("bank", "one"),))
        assert require_current(home / "index").id == before

    def test_an_empty_value_takes_it_away(self, home):
        run(home / "corpus", home / "index", labels=(("bank", ""),))
        assert "label.bank" not in list_items(home / "index", require_current(home / "index")).column_names

    def test_the_table_keeps_one_value_for_a_key(self):
        labels = Labels.none().with_rows([("a", "k", "1"), ("a", "k", "2"), ("b", "k", "1")])
        assert labels.rows() == [("a", "k", "2"), ("b", "k", "1")]
        assert labels.without(["a"]).rows() == [("b", "k", "1")]
        assert labels.paths_with("k", "2") == ["a"]

    @pytest.mark.parametrize("text", ["bank", "=x", "path=x", "a b=c"])
    def test_what_is_no_label(self, text):
        with pytest.raises(UsageError):
            parse_label(text)

    @pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "path,path\n", "path,a b\n", 'path,k\n"x', "\udcff"])
    def test_what_is_no_file_of_labels(self, tmp_path, content):
        (tmp_path / "l.csv").write_text(content, errors="surrogateescape")
        with pytest.raises(UsageError):
            read_label_file(tmp_path / "l.csv")


class TestFilteredGalleries:
    @pytest.mark.parametrize(
        ("condition", "kept"),
        [
            ("id=00,02,04", 3),
            ("path~*/b/*", 10),
            ("bank!=one", 0),
            ("id!=03", 19),
            ("id~0?", 10),
        ],
    )
    def test_conditions(self, made, condition, kept):
        engine = Engine.open(made / "index", device="cpu", where=[condition])
        assert (engine.gallery.items, engine.gallery.catalog.num_rows) == (kept, 2 * kept)

    def test_answers_are_those_of_an_index_of_these_files_alone(self, made, tmp_path):
        (tmp_path / "list").write_text("\n".join(map(str, sorted((made / "corpus" / "b").iterdir()))))
        build_index(str(tmp_path / "list"), tmp_path / "alone", IndexOptions(models=MODEL, views="flip"), Quiet())
        [all_of, only] = answers(made / "index"), answers(made / "index", where=["path~*/b/*"])
        assert only == answers(tmp_path / "alone")
        assert only != all_of
        assert only[2]["certificate"]["rows_total"] == only[2]["certificate"]["rows_scanned"] == 20

    def test_the_answer_names_the_conditions(self, made):
        engine = Engine.open(made / "index", device="cpu", where=["id=00"])
        answer = engine.answer(np.random.default_rng(0).random((40, 40, 3)))
        assert answer.as_json("q")["where"] == ["id=00"]

    def test_a_gallery_of_nothing_says_why(self, made):
        engine = Engine.open(made / "index", device="cpu", where=["bank=none"])
        answer = engine.answer(np.random.default_rng(0).random((40, 40, 3)), certify=True)
        assert answer.withheld == "the gallery holds nothing where bank=none"

    def test_several_must_all_hold(self, made):
        engine = Engine.open(made / "index", device="cpu", where=["path~*/b/*", "id=00,01"])
        assert engine.gallery.items == 1

    @pytest.mark.parametrize("text", ["bank", "", "=x", "bank one"])
    def test_what_is_no_condition(self, made, text):
        with pytest.raises(UsageError, match="a condition is"):
            Engine.open(made / "index", device="cpu", where=[text])


class TestSnapshots:
    def test_an_earlier_one_answers_as_it_did(self, home):
        index = home / "index"
        first, before = require_current(index).id, answers(index)
        remove_items(index, ["id=03"])
        assert answers(index) != before
        assert answers(index, snapshot=first[:9]) == before
        restore_snapshot(index, first)
        assert (require_current(index).id, answers(index)) == (first, before)

    def test_one_that_is_not_there(self, home):
        with pytest.raises(UsageError, match="no snapshot of id 'ffff'"):
            Engine.open(home / "index", snapshot="ffff")
        with pytest.raises(UsageError, match="no snapshot of id ''"):
            find_snapshot(home / "index", "")


class TestListing:
    def test_times(self, made):
        snapshot = require_current(made / "index")
        one = sorted((made / "corpus").rglob("*.png"))[0]
        os.utime(one, (1.7e9, 1.7e9))
        run(made / "corpus", made / "index")
        assert len(list_items(made / "index", snapshot, since=parse_time("2026-01-01"))) in (19, 20)
        with pytest.raises(UsageError, match="2026-11-29"):
            parse_time("yesterday")

    def test_export_reads_back(self, home):
        index, snapshot = home / "index", require_current(home / "index")
        assert export_rows(index, snapshot, home / "out.parquet").rows == 40
        table = pq.read_table(home / "out.parquet")
        rows = np.stack(table["row.block-means:4"].to_numpy())
        assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)
        assert set(table["label.bank"].to_pylist()) == {"one"}
        export_rows(index, snapshot, home / "out.faiss", conditions=[parse_condition("id=03")])
        import faiss

        found = faiss.read_index(str(home / "out.faiss"))
        assert (found.ntotal, pq.read_table(home / "out.faiss.parquet").num_rows) == (2, 2)
        export_rows(index, snapshot, home / "out.csv")
        assert (home / "out.csv").read_text().count("\n") == 41
        for wrong in ("out.csv", "out.txt"):
            with pytest.raises(UsageError):
                export_rows(index, snapshot, home / wrong)


class TestVerification:
    def test_a_flipped_byte_in_any_file_is_named(self, home):
        index = home / "index"
        for file in sorted(path for path in index.rglob("*") if path.is_file() and path.name != "lock"):
            data = file.read_bytes()
            for place in {0, len(data) // 2, len(data) - 1}:
                file.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
                found = verify_index(index)
                assert found.problems, (file, place)
            file.write_bytes(data)
        assert verify_index(index).problems == ()

    def test_a_damaged_segment_is_dropped_and_its_files_come_again(self, home):
        index = home / "index"
        [file, *_] = sorted((index / "segments").glob("*/rows-0.f32"))
        file.write_bytes(file.read_bytes()[:-1] + b"\xff")
        with pytest.raises(IntegrityError):
            Engine.open(index)
        dropped = repair_index(index)
        lost = [path for one in dropped for path in one.paths]
        assert 0 < len(lost) < 20
        assert verify_index(index).problems == ()
        assert run(home / "corpus", index).indexed == len(lost)
        assert len(names(list_items(index, require_current(index)))) == 20
        assert verify_index(index).problems == ()

    def test_a_segment_that_is_missing(self, home):
        index = home / "index"
        shutil.rmtree(sorted((index / "segments").iterdir())[0])
        found = verify_index(index)
        assert {one.what.partition(":")[0] for one in found.problems} >= {"it cannot be read"}
        repair_index(index)
        assert verify_index(index).problems == ()

    def test_a_damaged_pointer_is_set_to_the_newest_whole_snapshot(self, home):
        index = home / "index"
        held = require_current(index).id
        (index / "CURRENT").write_text("rubbish")
        assert verify_index(index).snapshot is None
        repair_index(index)
        assert require_current(index).id == held

    def test_damaged_labels_go_and_nothing_else(self, home):
        index = home / "index"
        [file] = (index / "labels").iterdir()
        file.write_bytes(b"x")
        assert [one.told for one in verify_index(index).problems if one.told] == ["labels"]
        repair_index(index)
        assert verify_index(index).problems == ()
        assert len(names(list_items(index, require_current(index)))) == 20

    def test_items_under_wrong_names_are_seen_though_digests_are_right(self, home):
        """As a writer with a fault, or a forger, would leave them."""
        from dataclasses import replace

        from retr.core.files import sha256_file
        from retr.indexer.catalog import read_catalog, write_catalog
        from retr.indexer.snapshot import commit

        index, snapshot = home / "index", require_current(home / "index")
        segment = snapshot.segments[0]
        file = index / "segments" / segment.id / "catalog.parquet"
        table = read_catalog(file)
        paths = [f"{path}x" for path in table["path"].to_pylist()]
        write_catalog(file, table.set_column(1, table.schema.field("path"), [paths]))
        forged = replace(segment, files={**segment.files, "catalog.parquet": sha256_file(file)})
        commit(index, replace(snapshot, segments=(forged, *snapshot.segments[1:]), created=""))
        assert any("is not named by its path and content" in one.what for one in verify_index(index).problems)

    def test_a_model_of_another_digest_is_named(self, home, tmp_path_factory):
        from toy_model import save_toy

        folder = tmp_path_factory.mktemp("models")
        save_toy(folder / "toy.safetensors", seed=1)
        index = folder / "index"
        build_index(str(home / "corpus"), index, IndexOptions(models=(str(folder / "toy.safetensors"),)), Quiet())
        [kept] = (index / "models").iterdir()
        shutil.copy(save_toy(folder / "other.safetensors", seed=2), kept)
        found = verify_index(index)
        assert any("is not the model this index was built with" in one.what for one in found.problems)
        assert not any(one.repairable for one in found.problems)


class TestLeftovers:
    def test_what_nothing_names_is_cleared(self, home):
        index = home / "index"
        (index / "segments" / "0123456789abcdef").mkdir()
        (index / "segments" / ".sealing").mkdir()
        (index / "segments" / ".sealing" / "rows-0.f32").write_bytes(bytes(100))
        (index / "snapshots" / ".x.json.7.tmp").write_bytes(b"half")
        (index / "labels" / f"{'0' * 64}.parquet").write_bytes(b"old")
        assert len(orphans(index)) == 4
        assert verify_index(index).problems == ()
        assert sum(one.bytes for one in clear_index(index)) == 107
        assert (orphans(index), verify_index(index).problems) == ([], ())

    def test_nothing_is_cleared_where_a_snapshot_is_damaged(self, home):
        index = home / "index"
        first = require_current(index).id
        remove_items(index, ["id=03"])
        (index / "snapshots" / f"{first}.json").write_text("{}")
        with pytest.raises(IntegrityError, match="repair first"):
            clear_index(index)
        repair_index(index)
        assert clear_index(index) is not None
        assert verify_index(index).problems == ()


class TestTheLock:
    def test_the_holder_is_named_with_its_age(self, tmp_path):
        with writer_lock(tmp_path):
            holder = writing_now(tmp_path)
            assert holder is not None
            assert holder.pid == os.getpid()
            with pytest.raises(IndexStateError, match=rf"\(process {os.getpid()}, for \d+ s\)"), writer_lock(tmp_path):
                pass
        assert writing_now(tmp_path) is None

    def test_the_note_of_a_dead_process_holds_nobody_up(self, tmp_path):
        note = {"pid": 2**22 + 1, "host": socket.gethostname(), "since": time.time() - 7000}
        (tmp_path / HOLDER).write_text(json.dumps(note))
        assert writing_now(tmp_path) is None
        with writer_lock(tmp_path):
            assert writing_now(tmp_path) is not None

    def test_a_first_run_that_is_alive_is_no_unfinished_one(self, tmp_path):
        (tmp_path / "staging").mkdir()
        with writer_lock(tmp_path), pytest.raises(IndexStateError, match=f"being written .* by process {os.getpid()}"):
            require_current(tmp_path)
        with pytest.raises(IndexStateError, match="--resume"):
            require_current(tmp_path)

    @pytest.mark.parametrize("content", ["", "[]", '{"pid":"x"}', '{"pid":1e999}'])
    def test_a_damaged_note_is_none(self, tmp_path, content):
        (tmp_path / HOLDER).write_text(content)
        assert writing_now(tmp_path) is None

    @pytest.mark.parametrize(("age", "words"), [(5, "5 s"), (200, "3 min"), (8000, "2 h"), (200_000, "2 days")])
    def test_ages(self, age, words):
        assert str(Holder(7, socket.gethostname(), time.time() - age)) == f"process 7, for {words}"
        assert str(Holder(7, "elsewhere", time.time() - age)) == f"process 7 on elsewhere, for {words}"
