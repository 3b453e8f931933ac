"""Parts of the copy benchmark against values worked out by hand."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from drawn import draw

from retr.core.errors import UsageError
from retr.core.parallel import in_order
from retr.core.statistics import wilson
from retr.evaluation.copies.queries import Item, choose_items
from retr.evaluation.copies.summary import average_precision
from retr.evaluation.shared.images import halves, listing_digest
from retr.images.policy import DecodePolicy
from retr.indexer.addresses import member_of, own_name
from retr.indexer.entries import Entry
from retr.indexer.sources import list_entries

POLICY = DecodePolicy()


class TestShards:
    @pytest.fixture
    def shard(self, tmp_path: Path) -> Path:
        """b.png, deep/a.PNG and b.json."""
        path = tmp_path / "shards" / "000.tar"
        path.parent.mkdir()
        with tarfile.open(path, "w") as tar:
            for name, seed in (("b.png", 1), ("deep/a.PNG", 2)):
                tar.add(draw(tmp_path / f"{seed}.png", seed), arcname=name)
            text = tarfile.TarInfo("b.json")
            text.size = 2
            tar.addfile(text, io.BytesIO(b"{}"))
        return path

    def test_members_are_the_files_they_were(self, shard: Path, tmp_path: Path) -> None:
        entries = list_entries(shard, exclude=tmp_path / "none")
        assert [member_of(entry.name) for entry in entries] == [
            "b.png",
            "deep/a.PNG",
        ]
        for entry, seed in zip(entries, (1, 2), strict=True):
            file = Entry(str(tmp_path / f"{seed}.png"), 0, 0)
            assert np.array_equal(entry.load(POLICY).pixels, file.load(POLICY).pixels)
            assert entry.load(POLICY).bytes_sha256 == file.load(POLICY).bytes_sha256

    def test_a_folder_of_shards_and_files(self, shard: Path, tmp_path: Path) -> None:
        draw(shard.parent / "c.png", 3)
        names = [own_name(entry.name) for entry in list_entries(shard.parent, exclude=tmp_path / "none")]
        assert names == ["b.png", "a.PNG", "c.png"]

    def test_a_cut_shard_gives_a_reject_and_no_crash(self, shard: Path, tmp_path: Path) -> None:
        entries = list_entries(shard, exclude=tmp_path / "none")
        shard.write_bytes(shard.read_bytes()[: tarfile.BLOCKSIZE + 40])
        assert "damaged-archive" in str(entries[0].attempt(POLICY))

    def test_a_compressed_shard_is_refused(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "x.tar", "w:gz") as tar:
            tar.add(draw(tmp_path / "1.png", 1), arcname="1.png")
        with pytest.raises(UsageError, match="uncompressed tar shard"):
            list_entries(tmp_path / "x.tar", exclude=tmp_path / "none")

    def test_nothing_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="holds no images"):
            list_entries(tmp_path, exclude=tmp_path / "none")

    def test_the_digest_of_a_listing_changes_with_a_file(self, tmp_path: Path) -> None:
        draw(tmp_path / "c" / "1.png", 1)
        before = listing_digest(list_entries(tmp_path / "c", exclude=tmp_path / "none"))
        assert before == listing_digest(list_entries(tmp_path / "c", exclude=tmp_path / "none"))
        (tmp_path / "c" / "1.png").write_bytes(b"other")
        assert before != listing_digest(list_entries(tmp_path / "c", exclude=tmp_path / "none"))


class TestHalves:
    @pytest.mark.parametrize("count", [0, 1, 2, 9, 100])
    def test_they_part_everything_in_order(self, count: int) -> None:
        first, second = halves(range(count), seed=1, purpose="x")
        assert sorted(first + second) == list(range(count))
        assert (first, second) == (sorted(first), sorted(second))
        assert len(second) - len(first) == count % 2

    def test_they_depend_on_seed_and_purpose(self) -> None:
        base = halves(range(100), seed=1, purpose="x")
        assert base == halves(range(100), seed=1, purpose="x")
        assert base != halves(range(100), seed=2, purpose="x")
        assert base != halves(range(100), seed=1, purpose="y")


def test_work_in_threads_keeps_the_order() -> None:
    assert list(in_order(lambda n: n * n, range(100), workers=3)) == [n * n for n in range(100)]


class TestSample:
    ITEMS = tuple(
        Item(Entry(f"/g/{folder}/{n:03d}.png", 1, 1), f"{folder}{n}")
        for folder, count in (("a", 60), ("b", 30), ("c", 10))
        for n in range(count)
    )

    @pytest.mark.parametrize(("count", "shares"), [(10, (6, 3, 1)), (50, (30, 15, 5)), (99, None), (1, None)])
    def test_folders_in_proportion(self, count: int, shares: tuple[int, ...] | None) -> None:
        chosen = choose_items(self.ITEMS, count, family="jpeg", seed=0)
        assert len({item.pixels_sha256 for item in chosen}) == count
        found = tuple(sum(item.pixels_sha256[0] == folder for item in chosen) for folder in "abc")
        assert shares is None or found == shares

    def test_all_of_them(self) -> None:
        assert choose_items(self.ITEMS, None, family="jpeg", seed=0) == list(self.ITEMS)
        assert choose_items(self.ITEMS, 1000, family="jpeg", seed=0) == list(self.ITEMS)

    def test_by_seed_and_family(self) -> None:
        base = choose_items(self.ITEMS, 10, family="jpeg", seed=0)
        assert base == choose_items(self.ITEMS, 10, family="jpeg", seed=0)
        assert base != choose_items(self.ITEMS, 10, family="jpeg", seed=1)
        assert base != choose_items(self.ITEMS, 10, family="blur", seed=0)


class TestAveragePrecision:
    @pytest.mark.parametrize(
        ("correct", "confidence", "positives", "expected"),
        [
            ([1, 1, 0], [3, 2, 1], 2, 1.0),
            ([0, 1, 1], [3, 2, 1], 2, (1 / 2 + 2 / 3) / 2),
            ([1, 0, 1], [3, 2, 1], 4, (1 + 2 / 3) / 4),
            ([1, 0, 0, 1], [1, 1, 1, 0], 2, (1 / 3 + 2 / 4) / 2),
            ([0, 0], [2, 1], 1, 0.0),
            ([1, 0], [-np.inf, -np.inf], 1, 0.5),
        ],
    )
    def test_by_hand(self, correct: list[int], confidence: list[float], positives: int, expected: float) -> None:
        rows = np.asarray(correct, dtype=np.bool_), np.asarray(confidence, dtype=np.float64)
        assert average_precision(*rows, positives) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("share", "n", "low", "high"),
    [(0.5, 10, 0.2366, 0.7634), (0.0, 20, 0.0, 0.1611), (1.0, 20, 0.8389, 1.0), (0.81, 263, 0.7584, 0.8529)],
)
def test_wilson_against_published_values(share: float, n: int, low: float, high: float) -> None:
    assert wilson(share, n) == pytest.approx((low, high), abs=2e-3)
