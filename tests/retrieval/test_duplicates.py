"""Groups of copies: the same in every order, nothing chained, links proved; and what becomes of the files."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn import Quiet, draw
from PIL import Image

from retr.core.errors import IntegrityError, UsageError
from retr.core.files import sha256_file
from retr.indexer import declared
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.declared import declared_of, joined
from retr.indexer.dismissed import read_dismissed
from retr.indexer.snapshot import require_current
from retr.indexer.verify import verify_index
from retr.indexer.writer import Writer
from retr.retrieval.duplicates import as_records, as_rows, find_duplicates
from retr.retrieval.engine import Engine
from retr.retrieval.grouping import Pair, pair_of, stars
from retr.retrieval.keeping import Plan, carry_out, check_plan, dismiss_files, kept_of, read_manifest
from retr.retrieval.links import Links

MODEL = ("block-means:8",)
NEAR = 0.99


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Eight pictures; the first with a byte copy, a pixel copy and a smaller one, the second with one in JPEG."""
    root = tmp_path_factory.mktemp("dupes") / "corpus"
    for number in range(8):
        draw(root / f"{number}.png", number)
    with Image.open(root / "0.png") as image:
        image = image.convert("RGB")
        image.save(root / "0-pixels.bmp")
        image.resize((image.width * 3 // 4, image.height * 3 // 4), Image.Resampling.LANCZOS).save(root / "0-small.png")
    shutil.copy(root / "0.png", root / "0-bytes.png")
    with Image.open(root / "1.png") as image:
        image.convert("RGB").save(root / "1-lossy.jpg", quality=90)
    return root


def built(paths: list[Path], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "list").write_text("\n".join(map(str, paths)))
    build_index(str(folder / "list"), folder / "index", IndexOptions(models=MODEL, segment_rows=3), Quiet())
    return folder / "index"


def opened(index: Path, **options) -> Engine:
    return Engine.open(index, device="cpu", threshold=NEAR, **options)


@pytest.fixture(scope="module")
def index(corpus, tmp_path_factory) -> Path:
    return built(sorted(corpus.iterdir()), tmp_path_factory.mktemp("index"))


def named(found) -> set[frozenset[str]]:
    return {frozenset(Path(member.path).name for member in group.members) for group in found.groups}


def test_groups_are_what_was_planted(index):
    found = find_duplicates(opened(index))
    assert named(found) == {
        frozenset({"0.png", "0-bytes.png", "0-pixels.bmp", "0-small.png"}),
        frozenset({"1.png", "1-lossy.jpg"}),
    }
    kinds = [one.kind for group in found.groups for one in group.members if one.role == "copy"]
    assert {"near", "same-pixels"} <= set(kinds) <= {"near", "same-pixels", "same-bytes"}
    assert len(kinds) == 4


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_insertion_changes_nothing(corpus, index, tmp_path, seed):
    paths = sorted(corpus.iterdir())
    random.Random(seed).shuffle(paths)
    one, other = find_duplicates(opened(index)), find_duplicates(opened(built(paths, tmp_path)))
    assert named(one) == named(other)
    centres = [[group.members[0].pixels_sha256 for group in found.groups] for found in (one, other)]
    assert centres[0] == centres[1]
    shares = [[round(m.share or 0.0, 12) for g in found.groups for m in g.members] for found in (one, other)]
    assert shares[0] == shares[1]


def chain(*pairs: tuple[int, int]) -> Links:
    left, right = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    return Links(left, right, np.full(len(pairs), 0.5), np.zeros(len(pairs), np.int64), np.full(len(pairs), 0.1))


KEYS = np.array([f"{number:064x}".encode() for number in range(9)], dtype="S64")


def test_nothing_is_chained():
    found = stars(chain((0, 1), (1, 2), (2, 3), (3, 4)), KEYS)
    assert [{star.centre, *star.members} for star in found] == [{0, 1, 2}, {3, 4}]


def test_dismissed_pairs_are_never_in_one_group():
    pairs: set[Pair] = {pair_of(bytes(KEYS[0]), bytes(KEYS[2]))}
    found = stars(chain((0, 1), (1, 2)), KEYS, pairs)
    assert [{star.centre, *star.members} for star in found] == [{0, 1}]
    assert stars(chain((0, 1)), KEYS, {pair_of(bytes(KEYS[1]), bytes(KEYS[0]))}) == []


def test_each_link_is_proved_and_no_change_within_it_ends_it(index):
    engine = opened(index)
    found = find_duplicates(engine, certify=True)
    copies = [one for group in found.groups for one in group.members if one.role == "copy"]
    assert all(one.radius is not None and one.radius.l2 > 0 for one in copies)
    group = found.groups[0]
    item = int(engine.gallery.table.numbers(np.array([group.members[0].pixels_sha256.encode()], dtype="S64"))[0])
    member = next(one for one in group.members if one.kind == "near")
    assert member.radius is not None
    with Image.open(member.path) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float64) / 255.0
    for seed in range(3):
        push = np.random.default_rng(seed).normal(size=pixels.shape)
        moved = np.clip(pixels + 0.99 * member.radius.l2 * push / np.linalg.norm(push), 0.0, 1.0)
        answer = engine.answer(moved, k=20)
        assert any(match.accepted for match in answer.matches if match.group == item)


def test_a_file_that_changed_or_went_has_no_radius(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "corpus")
    index = built(sorted((tmp_path / "corpus").iterdir()), tmp_path)
    (tmp_path / "corpus" / "1.png").unlink()
    draw(tmp_path / "corpus" / "1-lossy.jpg", 5)
    found = find_duplicates(opened(index), certify=True)
    [pair] = [group for group in found.groups if len(group.members) == 2]
    [copy] = [one for one in pair.members if one.role == "copy"]
    assert copy.radius is None
    assert "not-found" in str(copy.unproved) or "changed" in str(copy.unproved)


def test_against_another_index(corpus, index, tmp_path):
    references = built([corpus / "0.png", corpus / "5.png"], tmp_path)
    found = find_duplicates(opened(index), opened(references))
    assert named(found) == {frozenset({"0.png", "0-bytes.png", "0-pixels.bmp", "0-small.png"})}
    assert [one.role for one in found.groups[0].members].count("reference") == 1
    other = tmp_path / "other"
    build_index(str(corpus), other, IndexOptions(models=("block-means:4",)), Quiet())
    with pytest.raises(UsageError, match=r"block-means:8 and .* holds block-means:4"):
        find_duplicates(opened(index), opened(other))


def test_a_link_to_a_file_is_no_copy_of_it(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "corpus")
    os.symlink(tmp_path / "corpus" / "3.png", tmp_path / "corpus" / "3-link.png")
    os.link(tmp_path / "corpus" / "4.png", tmp_path / "corpus" / "4-link.png")
    index = built(sorted((tmp_path / "corpus").iterdir()), tmp_path)
    assert not any("link" in name for group in named(find_duplicates(opened(index))) for name in group)


def test_blank_images_with_the_same_pixels_are_one_group(tmp_path):
    for name, level in (("w.png", 255), ("w.bmp", 255), ("again/w.png", 255), ("g.png", 90)):
        (tmp_path / "c" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (level,) * 3).save(tmp_path / "c" / name)
    for number in range(2):
        draw(tmp_path / "c" / f"{number}.png", number)
    built(sorted(path for path in (tmp_path / "c").rglob("*.*") if path.is_file()), tmp_path)
    for certify in (False, True):
        [group] = find_duplicates(opened(tmp_path / "index"), certify=certify).groups
        assert [Path(one.path).name for one in group.members] == ["w.png", "w.bmp", "w.png"]
        assert [(one.role, one.kind) for one in group.members] == [
            ("centre", None),
            ("copy", "same-pixels"),
            ("copy", "same-bytes"),
        ]
        assert bool(group.members[1].unproved) == certify
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "c" / "w.bmp", tmp_path / "other" / "v.bmp")
    draw(tmp_path / "other" / "x.png", 30)
    built(sorted((tmp_path / "other").iterdir()), tmp_path / "other")
    [found] = find_duplicates(opened(tmp_path / "index"), opened(tmp_path / "other" / "index")).groups
    assert [(Path(one.path).name, one.role) for one in found.members] == [
        ("v.bmp", "reference"),
        ("w.png", "copy"),
        ("w.bmp", "copy"),
        ("w.png", "copy"),
    ]


class TestFiles:
    @pytest.fixture
    def home(self, corpus, tmp_path) -> Path:
        shutil.copytree(corpus, tmp_path / "corpus")
        for place, path in enumerate(sorted((tmp_path / "corpus").iterdir())):
            os.utime(path, (1e9 + place, 1e9 + place))
        built(sorted((tmp_path / "corpus").iterdir()), tmp_path)
        return tmp_path

    def groups(self, home):
        return find_duplicates(opened(home / "index")).groups

    @pytest.mark.parametrize(
        ("rule", "kept"),
        [("best", "0-pixels.bmp"), ("oldest", "0-bytes.png"), ("largest", "0-pixels.bmp"), ("shortest-path", "0.png")],
    )
    def test_which_one_stays(self, home, rule, kept):
        assert Path(kept_of(self.groups(home)[0], rule).path).name == kept

    def test_a_rehearsal_touches_nothing(self, home):
        before = sorted((home / "corpus").iterdir())
        fates = carry_out(self.groups(home), Plan("best", home / "out", rehearse=True))
        assert sum(fate.words.startswith("would be moved") for fate in fates.values()) == 4
        assert sorted((home / "corpus").iterdir()) == before
        assert not (home / "out").exists()

    def test_the_others_are_moved_and_the_manifest_says_from_where(self, home):
        carry_out(self.groups(home), Plan("shortest-path", home / "out"))
        assert len(list((home / "corpus").iterdir())) == 8
        moved = read_manifest(home / "out")
        assert {Path(line["from"]).name for line in moved} == {
            "0-bytes.png",
            "0-pixels.bmp",
            "0-small.png",
            "1-lossy.jpg",
        }
        for line in moved:
            assert Path(line["to"]).is_file()

    def test_a_name_that_is_taken_is_not_written_over(self, home):
        (home / "out").mkdir()
        (home / "out" / "1-lossy.jpg").write_bytes(b"mine")
        carry_out(self.groups(home), Plan("shortest-path", home / "out"))
        assert (home / "out" / "1-lossy.jpg").read_bytes() == b"mine"
        assert (home / "out" / "1-lossy-2.jpg").is_file()

    def test_a_file_that_changed_stays(self, home):
        groups = self.groups(home)
        draw(home / "corpus" / "1-lossy.jpg", 6)
        fates = carry_out(groups, Plan("shortest-path", home / "out"))
        [failed] = [fate for fate in fates.values() if fate.failed]
        assert "has changed since it was indexed" in failed.words
        assert (home / "corpus" / "1-lossy.jpg").is_file()

    def test_only_the_same_bytes_become_links(self, home):
        carry_out(self.groups(home), Plan("oldest", hardlink=True))
        one, other = home / "corpus" / "0.png", home / "corpus" / "0-bytes.png"
        assert one.samefile(other)
        assert not one.samefile(home / "corpus" / "0-pixels.bmp")

    @pytest.mark.parametrize("plan", [Plan("first"), Plan(None, Path("x")), Plan("best", Path("x"), hardlink=True)])
    def test_plans_that_cannot_be(self, plan):
        with pytest.raises(UsageError):
            check_plan(plan)

    def test_dismissed_pairs_are_remembered(self, home):
        assert dismiss_files(home / "index", [str(home / "corpus" / name) for name in ("1.png", "1-lossy.jpg")]) == 1
        assert dismiss_files(home / "index", [str(home / "corpus" / name) for name in ("1.png", "1-lossy.jpg")]) == 0
        found = find_duplicates(opened(home / "index"), dismissed=read_dismissed(home / "index"))
        assert all("1.png" not in group for group in named(found))
        with pytest.raises(UsageError, match="no item of the path"):
            dismiss_files(home / "index", ["nobody.png", "x.png"])
        with pytest.raises(UsageError, match="different pixels"):
            dismiss_files(home / "index", [str(home / "corpus" / name) for name in ("0.png", "0-bytes.png")])

    def test_decisions_that_are_others_than_were_made_are_refused(self, home):
        dismiss_files(home / "index", [str(home / "corpus" / "1.png"), str(home / "corpus" / "2.png")])
        file = home / "index" / "dismissed.parquet"
        table = pq.read_table(file)
        changed = table.set_column(0, "one", pa.array(["0" * 64]))
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), file)
        with pytest.raises(IntegrityError, match="other decisions than were made"):
            read_dismissed(home / "index")
        assert "dismissed.parquet" in [one.file for one in verify_index(home / "index").problems]
        pq.write_table(changed.replace_schema_metadata(None), file)  # as an older version wrote them
        assert len(read_dismissed(home / "index")) == 1
        no_text = pa.array([b"\xff" * 64]).view(pa.string())
        pq.write_table(changed.set_column(0, "one", no_text).replace_schema_metadata(None), file)
        with pytest.raises(IntegrityError, match="cannot be read"):
            read_dismissed(home / "index")

    def test_records_are_per_group_and_rows_per_file(self, home):
        found = find_duplicates(opened(home / "index"))
        records = as_records(found)
        assert (len(records), len(as_rows(records))) == (2, 6)


class TestDeclared:
    def test_copies_no_longer_zero_the_radius_of_rank(self, corpus, tmp_path):
        index = built(sorted(corpus.iterdir()), tmp_path)
        with Image.open(corpus / "1.png") as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float64) / 255.0
        before = opened(index).answer(pixels, certify=True)
        found = find_duplicates(opened(index))
        with Writer(index) as writer:
            groups = [[one.pixels_sha256 for one in group.members] for group in found.groups]
            writer.declare(joined(declared_of(index, writer.snapshot), groups))
        engine = opened(index)
        after = engine.answer(pixels, certify=True)
        assert engine.gallery.items == 8
        assert before.matches[0].top1 is not None
        assert after.matches[0].top1 is not None
        assert after.matches[0].top1.l2 > 4 * before.matches[0].top1.l2
        assert after.matches[0].copy.l2 >= before.matches[0].copy.l2  # type: ignore[union-attr]
        with Writer(index) as writer:
            writer.declare({})
        assert opened(index).answer(pixels, certify=True).matches[0].top1 == before.matches[0].top1
        assert require_current(index).declared is None

    def test_a_table_of_an_earlier_version_is_read(self, corpus, tmp_path):
        """It was Parquet, named by its SHA-256 as well."""
        index = built(sorted(corpus.iterdir()), tmp_path)
        pair = {"a" * 64: "b" * 64}
        table = pa.Table.from_pydict({"pixels_sha256": list(pair), "item": list(pair.values())}, schema=declared.SCHEMA)
        (index / "declared").mkdir()
        pq.write_table(table, index / "declared" / "new.parquet")
        digest = sha256_file(index / "declared" / "new.parquet")
        (index / "declared" / "new.parquet").rename(index / "declared" / f"{digest}.parquet")
        snapshot = replace(require_current(index), declared=digest)
        assert declared_of(index, snapshot) == pair
        (index / "declared" / f"{digest}.parquet").write_bytes(b"PAR1")
        with pytest.raises(IntegrityError, match="does not match"):
            declared_of(index, snapshot)

    def test_a_table_that_maps_no_digests_is_refused(self, corpus, tmp_path):
        index = built(sorted(corpus.iterdir()), tmp_path)
        digest = declared.write_declared(index, {"a": "b"})
        with pytest.raises(IntegrityError, match="digests of pixels"):
            declared_of(index, replace(require_current(index), declared=digest))

    def test_groups_that_share_a_picture_become_one(self):
        known = joined({}, [["c", "b"], ["e", "d"]])
        assert known == {"c": "b", "e": "d"}
        assert joined(known, [["c", "d"]]) == {"c": "b", "d": "b", "e": "b"}
        assert joined(known, [["a", "c"]]) == {"b": "a", "c": "a", "e": "d"}
