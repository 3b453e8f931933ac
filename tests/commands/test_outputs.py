"""Places to write to are looked at before the work, and an answer is printed whatever becomes of its proofs."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import one_line

from retr.certificates.statement import ProofObject
from retr.commands.outputs import check_file
from retr.core.errors import UsageError
from retr.core.files import write_atomically


@pytest.fixture
def asked(corpus, index) -> list[object]:
    return ["query", corpus / "03.png", "-i", index, "-k", 2]


def test_proofs_go_into_a_folder(retr, asked, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("own")
    for place in (tmp_path / "file", tmp_path / "file" / "proofs"):
        line = one_line(retr(*asked, "--proof", place), 2)
        assert f"{tmp_path / 'file'} is a file; --proof writes proofs into a folder" in line
    assert (tmp_path / "file").read_text() == "own"


@pytest.mark.parametrize("inside", [".", "proofs"])
def test_nothing_is_written_into_the_index(retr, asked, index, tmp_path, inside: str) -> None:
    before = sorted(index.rglob("*"))
    (tmp_path / "link").symlink_to(index)
    for home in (index, tmp_path / "link"):
        assert "lies in the index" in one_line(retr(*asked, "--proof", home / inside), 2)
    assert "lies in the index" in one_line(retr(*asked, "--html", index / "page.html"), 2)
    assert "lies in the index" in one_line(retr("dupes", index, "--html", index / "page.html"), 2)
    assert sorted(index.rglob("*")) == before


def test_a_device_is_not_replaced_by_a_file(retr, asked, tmp_path: Path) -> None:
    """A rename would do that, for everybody, where the user may."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, Path("/dev/stdout"), Path("/dev/null")):
        assert "is a device, and a file is to be written" in one_line(retr(*asked, "--html", place), 1)
        with pytest.raises(OSError, match="is a device"):
            write_atomically(place, b"page")
    assert pipe.is_fifo()


def test_a_page_is_no_folder_of_a_run_and_lies_in_none_that_nobody_makes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    check_file(run / "page.html", made=run)
    with pytest.raises(UsageError, match="is the folder of the run"):
        check_file(run, made=run)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        check_file(run / "pages" / "page.html", made=run)


def test_a_key_is_looked_at_before_the_work(retr, asked, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("bad")
    done = retr(*asked, "--proof", tmp_path / "proofs", "--sign-key", key)
    assert "is no private key in PEM" in one_line(done, 2)
    assert not (tmp_path / "proofs").exists()


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_an_answer_whose_proofs_cannot_be_written_is_printed(retr, asked, corpus, tmp_path, monkeypatch, form) -> None:
    def full(_: ProofObject, folder: Path) -> Path:
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(ProofObject, "write", full)
    bare = retr(*asked, corpus / "05.png", "--certify", "--format", form)
    done = retr(*asked, corpus / "05.png", "--proof", tmp_path / "proofs", "--format", form)
    assert done.code == 1
    assert len(done.out.splitlines()) == len(bare.out.splitlines())
    assert "03.png" in done.out.decode()
    assert "05.png" in done.out.decode()
    assert done.err.endswith(f"retr: {tmp_path / 'proofs'}: No space left on device\n")


def test_a_missing_folder_is_told_before_the_work(retr, corpus, index, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Path("no") / "page.html"
    words = [
        ["query", corpus / "03.png", "-i", index, "--format", "jsonl", "--html", page],
        ["query", corpus / "03.png", "-i", index, "--against", "jpeg:90..95", "--page", page],
        ["query", corpus / "03.png", "--server", "http://127.0.0.1:1", "--html", page],
        ["dupes", index, "--html", page],
        ["calibrate", index, corpus, "--html", page],
        ["attack-eval", "-i", index, "--sample", 1, "--quick", "--page", page],
        ["bench-copies", corpus, "--page", page],
        ["bench-2afc", "--data", "synthetic", "--metric", "l2", "--page", page],
        ["bench-knn", corpus, "--page", page],
    ]
    for each in words:
        line = one_line(retr(*each), 1)
        assert line == "retr: no: there is no such folder to write to\n", each
    assert not list(tmp_path.iterdir())


def test_a_page_in_a_folder_that_the_run_makes(retr, corpus, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = one_line(retr("bench-knn", corpus / "none", "-o", "run", "--page", "run/page.html"), 2)
    assert "none" in line


LISTS = [["list"], ["dupes"], ["info", "--rejects"], ["info", "--presumed"], ["info", "--crowded"]]
FIRST = {"list": "id,path,bytes_sha256,", "dupes": "schema,group,diameter,index,id,path,", "info": "path,"}


@pytest.mark.parametrize("words", LISTS)
def test_a_list_of_nothing_has_its_columns(retr, index, tmp_path, words) -> None:
    command, *options = words
    narrowed = ["--where", "path=nowhere"] if command in ("list", "dupes") else []
    [header] = retr(command, index, *options, *narrowed, "--format", "csv").out.decode().splitlines()
    assert header.startswith(FIRST[command])
    assert retr(command, index, *options, *narrowed, "--format", "json").out == b"[]\n"
    assert retr(command, index, *options, *narrowed, "--format", "parquet").code == 0


def test_groups_of_nothing_have_the_types_of_some(retr, index, corpus, tmp_path) -> None:
    shutil.copy(corpus / "03.png", corpus / "again.png")
    home = tmp_path / "twice"
    retr("index", corpus, "-o", home)
    full, none = (
        pq.read_schema(io.BytesIO(retr("dupes", home, *words, "--format", "parquet").out))
        for words in ([], ["--where", "path=nowhere"])
    )
    assert none.names == full.names
    told = [field for field in full if not pa.types.is_null(field.type)]
    assert len(told) > 12
    assert [none.field(field.name).type for field in told] == [field.type for field in told]


def test_columns_are_those_of_a_list_of_something(retr, index, corpus) -> None:
    full = retr("list", index, "--format", "csv").out.decode().splitlines()
    none = retr("list", index, "--where", "path=nowhere", "--format", "csv").out.decode().splitlines()
    assert (len(full), full[0]) == (13, none[0])
