"""Tar, zip, Parquet and URLs as sources: every image has an address, and what archives claim is not believed."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_files import encoded, photo
from drawn import Quiet, draw
from PIL import ImageOps

from retr.core.errors import ImageRejected, UsageError
from retr.images.policy import DecodePolicy
from retr.indexer import archive_parquet, archive_zip, places
from retr.indexer.addresses import absolute_text, asked_text, is_url, path_to_text, split_address, text_to_path
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.entries import is_there, load_named, read_named
from retr.indexer.held import read_held
from retr.indexer.info import list_rejects
from retr.indexer.options import IndexReport
from retr.indexer.remove import remove_items
from retr.indexer.snapshot import require_current
from retr.indexer.sources import list_entries, read_corpora, read_corpus
from retr.indexer.sync import plan_sync
from retr.indexer.verify import verify_index
from retr.retrieval.engine import Engine
from retr.retrieval.query import query_files

NOWHERE = Path("/nowhere")
POLICY = DecodePolicy()
PICTURES = {f"deep/{number}.png": encoded("PNG", photo(40 + number, 50)) for number in range(3)}
Files = Mapping[str, bytes]


def tar_of(path: Path, files: Files) -> Path:
    with tarfile.open(path, "w") as shard:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            shard.addfile(info, io.BytesIO(data))
    return path


def zip_of(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, data) in enumerate(files.items()):
            archive.writestr(name, data, zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED)
    return path


def parquet_of(path: Path, files: Files) -> Path:
    cells = [{"bytes": data, "path": name} for name, data in files.items()]
    table = pa.table({"image": cells, "label": list(range(len(cells)))})
    pq.write_table(table, path, row_group_size=2)
    return path


MAKERS: dict[str, Callable[[Path, Files], Path]] = {"tar": tar_of, "zip": zip_of, "parquet": parquet_of}


def run(source: str | Path | list[str], index: Path, **options: object) -> IndexReport:
    chosen = IndexOptions(models=("block-means:4",), workers=2, **options)  # pyright: ignore[reportArgumentType]
    report = build_index(source if isinstance(source, list) else str(source), index, chosen, Quiet())
    assert report.seen == report.indexed + report.skipped + report.rejected
    return report


def held(index: Path) -> list[str]:
    return read_held(index, require_current(index)).table["path"].to_pylist()


@pytest.fixture(params=MAKERS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    files = {**PICTURES, "deep/0.json": b"{}"} if request.param != "parquet" else PICTURES
    return MAKERS[request.param](tmp_path / f"pictures.{request.param}", files)


class TestEveryKind:
    def test_each_image_has_an_address_that_reads_its_bytes(self, archive, tmp_path):
        assert run(archive, tmp_path / "index").indexed == 3
        rows = held(tmp_path / "index")
        assert all(address.startswith(f"{archive}::") for address in rows)
        assert [read_named(address, POLICY) for address in rows] == list(PICTURES.values())
        assert verify_index(tmp_path / "index").problems == ()

    def test_a_query_reads_an_address_and_finds_it(self, archive, tmp_path, monkeypatch):
        run(archive, tmp_path / "index")
        monkeypatch.chdir(tmp_path)
        engine = Engine.open(tmp_path / "index", threshold=0.9)
        for address in held(tmp_path / "index"):
            named = address.removeprefix(f"{tmp_path}/")
            [found] = query_files(engine, [named], k=1)
            assert found.answer is not None
            assert found.answer.matches[0].path == address

    def test_what_is_unchanged_is_not_read_again(self, archive, tmp_path, monkeypatch):
        run(archive, tmp_path / "index")
        with monkeypatch.context() as patch:
            patch.setattr("retr.indexer.entries.read_member", lambda *_: pytest.fail("read again"))
            assert run(archive, tmp_path / "index").skipped == 3
        plan = plan_sync(str(archive), tmp_path / "index")
        assert (plan.added, plan.changed, plan.removed, plan.unchanged) == ((), (), (), 3)

    def test_what_leaves_the_archive_leaves_the_index(self, archive, tmp_path):
        draw(tmp_path / "other.png", 1)
        run([str(archive), str(tmp_path / "other.png")], tmp_path / "index")
        MAKERS[archive.suffix[1:]](archive, dict(list(PICTURES.items())[:2]))
        os.utime(archive, ns=(1, 1))
        assert len(plan_sync(str(archive), tmp_path / "index").removed) == 1
        report = run(archive, tmp_path / "index", prune=True)
        assert (report.pruned, report.skipped) == (1, 2)
        assert len(held(tmp_path / "index")) == 3

    def test_items_whose_archive_lost_them_are_missing(self, archive, tmp_path):
        run(archive, tmp_path / "index")
        MAKERS[archive.suffix[1:]](archive, dict(list(PICTURES.items())[:2]))
        os.utime(archive, ns=(1, 1))
        assert len(remove_items(tmp_path / "index", [], missing=True).paths) == 1
        first = held(tmp_path / "index")[0]
        remove_items(tmp_path / "index", [first])
        assert first not in held(tmp_path / "index")
        archive.unlink()
        assert not is_there(first)

    def test_labels_and_ids_go_by_the_name_in_the_archive(self, archive, tmp_path):
        from retr.indexer.labels import labels_of

        run(archive, tmp_path / "index", id_from="name", labels=(("bank", "x"),))
        index = tmp_path / "index"
        ids = [facts["id"] for facts in labels_of(index, require_current(index)).by_path.values()]
        assert sorted(ids) == (["0", "1", "2"] if archive.suffix == ".parquet" else ["0.png", "1.png", "2.png"])

    def test_a_list_may_name_archives_members_and_files(self, archive, tmp_path, monkeypatch):
        draw(tmp_path / "one.png", 1)
        member = next(iter(read_corpus(str(archive), exclude=NOWHERE).paths)).removeprefix(f"{tmp_path}/")
        lines = f"one.png\n{member}\n{archive.name}\n"
        (tmp_path / "list.txt").write_text(lines)
        corpus = read_corpus(str(tmp_path / "list.txt"), exclude=NOWHERE)
        assert (len(corpus.paths), corpus.repeated, corpus.root) == (4, 1, None)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(lines.encode())))
        assert read_corpus("-", exclude=NOWHERE).paths == corpus.paths

    def test_a_single_member_is_a_corpus(self, archive):
        first = read_corpus(str(archive), exclude=NOWHERE).paths[0]
        assert read_corpora([first, str(archive)], exclude=NOWHERE).seen == 4

    def test_an_archive_that_is_cut_is_a_reject_and_no_crash(self, archive, tmp_path):
        data = archive.read_bytes()
        for length in (0, 1, 100, 513, len(data) // 4):
            archive.write_bytes(data[:length])
            os.utime(archive, ns=(length, length))
            report = run(archive, tmp_path / f"index-{length}")
            assert report.indexed <= 3
            assert report.reasons["damaged-archive"] == 1

    def test_a_member_that_is_not_there(self, archive, tmp_path):
        with pytest.raises(ImageRejected, match="not-found: there is no archive"):
            read_named(f"{tmp_path}/none{archive.suffix}::deep/9.png", POLICY)
        with pytest.raises(ImageRejected, match="not-found"):
            read_named(f"{archive}::deep/9.png", POLICY)

    def test_flipped_bytes_crash_nothing(self, archive, tmp_path):
        data = bytearray(archive.read_bytes())
        trials = 6 if archive.suffix == ".parquet" else 150  # that is read in a process of its own
        for place in range(0, len(data), max(1, len(data) // trials)):
            changed = bytearray(data)
            changed[place] ^= 0xFF
            archive.write_bytes(changed)
            os.utime(archive, ns=(place + 7, place + 7))
            for address in read_corpus(str(archive), exclude=NOWHERE).paths:
                with suppress(ImageRejected):
                    load_named(address, POLICY)


class TestHostileTar:
    def rejects(self, path: Path, tmp_path: Path) -> dict[str, str]:
        run(path, tmp_path / "index")
        return {row["path"].split("::")[-1]: row["error"] for row in list_rejects(tmp_path / "index")}

    def test_names_links_and_doubles(self, tmp_path):
        path, data = tmp_path / "x.tar", PICTURES["deep/0.png"]
        with tarfile.open(path, "w") as shard:
            for name in ("good.png", "../out.png", "/etc/abs.png", "a/../../b.png", "twice.png", "./twice.png"):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                shard.addfile(info, io.BytesIO(data))
            for name, kind in (
                ("sym.png", tarfile.SYMTYPE),
                ("hard.png", tarfile.LNKTYPE),
                ("dev.png", tarfile.CHRTYPE),
            ):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, "/etc/passwd"
                shard.addfile(info)
        found = self.rejects(path, tmp_path)
        assert found == {
            "../out.png": "unsafe-name",
            "/etc/abs.png": "unsafe-name",
            "a/../../b.png": "unsafe-name",
            "twice.png": "ambiguous-name",
            "sym.png": "not-a-regular-file",
            "hard.png": "not-a-regular-file",
            "dev.png": "not-a-regular-file",
        }
        assert held(tmp_path / "index") == [f"{path}::good.png"]

    @pytest.mark.parametrize("size", [10**6, 2**33, -1])
    def test_sizes_that_cannot_be(self, tmp_path, size):
        path = tar_of(tmp_path / "x.tar", {"good.png": PICTURES["deep/0.png"], "big.png": b"x"})
        data = bytearray(path.read_bytes())
        at = data.index(b"big.png")
        info = tarfile.TarInfo("big.png")
        info.size = size
        data[at : at + 512] = info.tobuf(tarfile.GNU_FORMAT)
        path.write_bytes(data)
        assert set(self.rejects(path, tmp_path).values()) == {"damaged-archive"}
        assert held(tmp_path / "index") == [f"{path}::good.png"]

    def test_an_extended_header_of_terabytes_allocates_nothing(self, tmp_path):
        path = tmp_path / "x.tar"
        info = tarfile.TarInfo("pax")
        info.type, info.size = tarfile.XHDTYPE, 2**42
        path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
        assert set(self.rejects(path, tmp_path).values()) == {"damaged-archive"}

    def test_a_damaged_header_is_no_end(self, tmp_path):
        path = tar_of(tmp_path / "x.tar", PICTURES)
        data = bytearray(path.read_bytes())
        data[data.index(b"deep/1.png")] ^= 1
        path.write_bytes(data)
        assert self.rejects(path, tmp_path) == {str(path): "damaged-archive"}

    def test_names_that_are_no_text(self, tmp_path):
        path = tar_of(tmp_path / "x.tar", {os.fsdecode(b"J\xe4rvi.png"): PICTURES["deep/0.png"]})
        assert run(path, tmp_path / "index").indexed == 1
        [address] = held(tmp_path / "index")
        assert address.startswith("file:///")
        assert address.endswith("x.tar::J%E4rvi.png")
        named = f"{path}::{os.fsdecode(b'J' + bytes([0xE4]) + b'rvi.png')}"
        assert absolute_text(named) == address
        assert read_named(address, POLICY) == PICTURES["deep/0.png"]


class TestHostileZip:
    def test_a_bomb_gives_no_more_than_it_says(self, tmp_path):
        path = zip_of(tmp_path / "x.zip", {"a.png": b"", "bomb.png": bytes(50_000_000)})
        listed = read_corpus(str(path), exclude=NOWHERE)
        assert len(listed.paths) == 2
        with pytest.raises(ImageRejected, match="too-many-bytes"):
            read_named(f"{path}::bomb.png", DecodePolicy(max_bytes=1_000_000))
        data = bytearray(path.read_bytes())
        at = data.rindex(b"PK\1\2")
        data[at + 24 : at + 28] = struct.pack("<I", 1000)
        path.write_bytes(data)
        with pytest.raises(ImageRejected, match="not those that the directory tells of"):
            read_named(f"{path}::bomb.png", POLICY)

    def test_members_over_each_other(self, tmp_path):
        path = zip_of(tmp_path / "x.zip", {"a.png": PICTURES["deep/0.png"], "b.png": PICTURES["deep/1.png"]})
        data = bytearray(path.read_bytes())
        at = data.rindex(b"PK\1\2")
        data[at + 42 : at + 46] = struct.pack("<I", 0)
        path.write_bytes(data)
        run(path, tmp_path / "index")
        assert {row["error"] for row in list_rejects(tmp_path / "index")} == {"unreadable"}
        assert held(tmp_path / "index") == []

    def test_names_links_doubles_secrets_and_other_methods(self, tmp_path):
        path, data = tmp_path / "x.zip", PICTURES["deep/0.png"]
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("good.png", "../out.png", "C:\\x.png", "twice.png", "./twice.png"):
                archive.writestr(name, data)
            archive.writestr("lzma.png", data, zipfile.ZIP_LZMA)
            link = zipfile.ZipInfo("link.png")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
            archive.writestr("secret.png", data)
        content = bytearray(path.read_bytes())
        content[content.rindex(b"PK\1\2") + 8] |= 1
        path.write_bytes(content)
        run(path, tmp_path / "index")
        found = {row["path"].split("::")[-1]: row["error"] for row in list_rejects(tmp_path / "index")}
        assert found == {
            "../out.png": "unsafe-name",
            "C:\\x.png": "unsafe-name",
            "twice.png": "ambiguous-name",
            "lzma.png": "unreadable",
            "link.png": "not-a-regular-file",
            "secret.png": "unreadable",
        }
        assert held(tmp_path / "index") == [f"{path}::good.png"]

    def test_a_directory_larger_than_it_may_be(self, tmp_path, monkeypatch):
        path = zip_of(tmp_path / "x.zip", PICTURES)
        monkeypatch.setattr(archive_zip, "_DIRECTORY", 100)
        assert run(path, tmp_path / "index").reasons == {"damaged-archive": 1}

    def test_a_wrong_checksum(self, tmp_path):
        path = zip_of(tmp_path / "x.zip", {"a.png": PICTURES["deep/0.png"]})
        data = path.read_bytes()
        good = struct.pack("<I", zlib.crc32(PICTURES["deep/0.png"]))
        path.write_bytes(data.replace(good, b"\0\0\0\0"))
        assert run(path, tmp_path / "index").reasons == {"unreadable": 1}


class TestParquet:
    def test_binary_columns_null_rows_and_other_columns(self, tmp_path):
        data = PICTURES["deep/0.png"]
        none = {"bytes": None, "path": "gone.png"}
        table = pa.table(
            {"image": [none, {"bytes": data, "path": None}, None], "jpg": [data, None, b""], "x": [1, 2, 3]}
        )
        pq.write_table(table, tmp_path / "x.parquet")
        report = run(tmp_path / "x.parquet", tmp_path / "index")
        assert (report.indexed, report.reasons) == (2, {"not-found": 3, "zero-byte": 1})
        assert held(tmp_path / "index") == [f"{tmp_path}/x.parquet::image/1", f"{tmp_path}/x.parquet::jpg/0"]

    def test_no_column_of_images_is_said(self, tmp_path):
        pq.write_table(pa.table({"path": ["a"], "data": [b"x"]}), tmp_path / "x.parquet")
        run(tmp_path / "x.parquet", tmp_path / "index")
        assert "no column of images: path, data" in list_rejects(tmp_path / "index")[0]["detail"]

    def test_a_row_group_too_large_to_hold(self, tmp_path, monkeypatch):
        monkeypatch.setattr("retr.indexer.archive_parquet.GROUP", 10)
        path = parquet_of(tmp_path / "x.parquet", PICTURES)
        assert "fewer rows" in str(list_entries(path, exclude=NOWHERE)[0].attempt(POLICY))

    def test_a_file_that_kills_its_reader_is_a_reject(self, tmp_path, monkeypatch):
        path = parquet_of(tmp_path / "x.parquet", PICTURES)
        monkeypatch.setattr("retr.indexer.archive_parquet.SECONDS", 0.001)
        report = run(path, tmp_path / "index")
        assert report.reasons == {"damaged-archive": 1}
        assert "and no answer" in list_rejects(tmp_path / "index")[0]["detail"]

    def test_small_row_groups_are_read_together(self, tmp_path, monkeypatch):
        asked, real = [], archive_parquet._asked
        monkeypatch.setattr(archive_parquet, "_asked", lambda request: asked.append(request) or real(request))
        path = parquet_of(tmp_path / "x.parquet", PICTURES)
        assert [entry.read(POLICY) for entry in list_entries(path, exclude=NOWHERE)] == list(PICTURES.values())
        assert [one["do"] for one in asked] == ["list", "rows"]
        assert (asked[1]["first"], asked[1]["last"]) == (0, 1)


class TestAddresses:
    @pytest.mark.parametrize("name", ["a.tar::b.png", "b.zip::", "s3:/x", "x.parquet::image/1", "memory:/a"])
    def test_a_file_of_such_a_name_is_a_file(self, tmp_path, name, monkeypatch):
        draw(tmp_path / "drawn.png", 1)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        os.rename(tmp_path / "drawn.png", tmp_path / name)
        text = path_to_text(tmp_path / name)
        assert text_to_path(text) == tmp_path / name
        assert split_address(text) is None
        assert load_named(text, POLICY).width > 1
        monkeypatch.chdir(tmp_path)
        assert load_named(asked_text(name), POLICY).width > 1
        assert run(tmp_path, tmp_path / "index").indexed == 1

    def test_a_folder_s_archives_are_not_opened(self, tmp_path):
        zip_of(tmp_path / "c.zip", PICTURES)
        assert run(tmp_path, tmp_path / "index").reasons == {"not-an-image": 1}

    def test_urls_are_told_from_paths(self):
        assert [is_url(text) for text in ("s3://b/x", "/a/b", "file:///a", "C:/x", "gs://b")] == [
            True, False, False, False, True,
        ]  # fmt: skip


class TestUrls:
    @pytest.fixture
    def bucket(self):
        files = fsspec.filesystem("memory")
        files.store.clear()
        files.pseudo_dirs.clear()
        places._asked.cache_clear()
        for name, data in PICTURES.items():
            files.pipe_file(f"/bucket/{name}", data)
        files.pipe_file("/bucket/deep/.hidden.png", b"x")
        yield files
        files.store.clear()

    def test_a_folder_a_file_and_an_archive(self, bucket, tmp_path):
        assert run("memory://bucket", tmp_path / "index").indexed == 3
        assert run("memory://bucket", tmp_path / "index").skipped == 3
        path = zip_of(tmp_path / "x.zip", {"a.png": encoded("PNG", ImageOps.mirror(photo()))})
        bucket.pipe_file("/bucket/x.zip", path.read_bytes())
        assert run("memory://bucket/x.zip", tmp_path / "index").indexed == 1
        rows = held(tmp_path / "index")
        assert rows[-1] == "memory://bucket/x.zip::a.png"
        engine = Engine.open(tmp_path / "index", threshold=0.9)
        for address in rows:
            [found] = query_files(engine, [address], k=1)
            assert found.answer is not None
            assert found.answer.matches[0].path == address

    def test_what_is_gone_and_what_changed(self, bucket, tmp_path):
        run("memory://bucket", tmp_path / "index")
        bucket.rm("/bucket/deep/1.png")
        bucket.pipe_file("/bucket/deep/2.png", encoded("PNG", ImageOps.flip(photo())))
        plan = plan_sync("memory://bucket", tmp_path / "index")
        assert (len(plan.removed), len(plan.changed), plan.unchanged) == (1, 1, 1)
        report = run("memory://bucket", tmp_path / "index", prune=True)
        assert (report.pruned, report.replaced, report.skipped) == (1, 1, 1)

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("nosuch://x", "nosuch"),
            ("memory://nowhere/x.png", "cannot be listed"),
            ("simplecache::memory://bucket", "no such corpus"),
            ("memory://bucket::memory://x", "chain"),
        ],
    )
    def test_what_cannot_be_asked_is_said(self, bucket, tmp_path, url, says):
        with pytest.raises(UsageError, match=says):
            run(url, tmp_path / "index")

    def test_a_query_of_what_is_not_there_is_a_reject(self, bucket, tmp_path):
        run("memory://bucket", tmp_path / "index")
        engine = Engine.open(tmp_path / "index", threshold=0.9)
        reasons = [
            found.refused.reason
            for found in query_files(
                engine, ["memory://bucket/no.png", "nosuch://x/y.png", "memory://bucket/no.zip::a.png"]
            )
            if found.refused is not None
        ]
        assert reasons == ["not-found", "unreadable", "not-found"]
