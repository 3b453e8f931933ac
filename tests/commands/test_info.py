"""``retr info``."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import one_line
from drawn import draw
from PIL import Image

from retr.reports.life_tables import _named


def test_info_verifies(retr, corpus, tmp_path):
    assert retr("index", corpus, "-o", tmp_path / "index", "--model", "block-means:4").code == 0
    facts = retr("info", tmp_path / "index", "--verify", "--format", "json")
    assert facts.code == 0
    assert (facts.json["schema"], facts.json["items"], facts.json["rows"]) == ("retr.info/1", 12, 12)
    assert "match their SHA-256" in facts.json["verified"]
    [rows] = (tmp_path / "index" / "segments").glob("*/rows-0.f32")
    data = bytearray(rows.read_bytes())
    data[40] ^= 1
    rows.write_bytes(data)
    assert "does not match its SHA-256" in one_line(retr("info", tmp_path / "index", "--verify"), 5)


@pytest.mark.parametrize("kind", ["crowded", "presumed", "rejects"])
def test_a_list_of_nothing_is_one_line(retr, index, kind):
    [line] = retr("info", index, f"--{kind}").out.decode().splitlines()
    assert line.startswith("none: no ")


def test_the_index_is_named_by_place_or_by_option(retr, index, tmp_path, monkeypatch):
    monkeypatch.setenv("RETR_INDEX", str(tmp_path / "other"))
    by_place, by_option = retr("info", index, "--format", "json"), retr("info", "-i", index, "--format", "json")
    assert by_place.json == by_option.json
    assert by_option.json["index"] == str(index)
    assert "one index at a time" in one_line(retr("info", index, "-i", tmp_path), 2)


def test_csv_has_no_json_in_its_cells(retr, index):
    [row] = retr("info", index, "--format", "csv").rows
    assert row["channels.0.name"] == "block-means:4"
    assert row["channels.0.threshold.source"] == "reference"
    assert not [cell for cell in row.values() if cell[:1] in ("{", "[")]


def test_a_picture_saved_twice_is_counted_and_the_command_that_lists_it_is_the_one_named(retr, tmp_path):
    for seed in range(6):
        draw(tmp_path / "corpus" / f"{seed}.png", seed)
    Image.open(tmp_path / "corpus" / "3.png").save(tmp_path / "corpus" / "again.jpg", quality=98)
    home = tmp_path / "my index"
    done = retr("index", tmp_path / "corpus", "-o", home, "--model", "block-means")
    seem = "2 items in 1 group seem to be copies of one another"
    assert f"{seem}; list them with: retr info '{home}' --presumed" in done.err
    rows = retr("info", home, "--presumed", "--format", "csv").rows
    listed = {Path(row["path"]).name for row in rows}
    assert listed == {"3.png", "again.jpg"}


@pytest.fixture
def crowded(tmp_path) -> Path:
    """An index of a few pictures, one of which is nearly another one."""
    for seed in range(5):
        draw(tmp_path / "corpus" / f"{seed}.png", seed)
    one, other = (Image.open(tmp_path / "corpus" / f"{seed}.png") for seed in (3, 4))
    Image.blend(one, other.resize(one.size), 0.35).save(tmp_path / "corpus" / "near.png")
    return tmp_path / "corpus"


def test_items_that_another_limits_are_counted_listed_and_can_be_made_one(retr, tmp_path, crowded):
    home = tmp_path / "index"
    words = "1 item accepts only very near queries, because another item is nearly the same"
    done = retr("index", crowded, "-o", home, "--model", "block-means:4")
    assert f"{words}; list them with: retr info {home} --crowded" in done.err
    assert "1 item by another that is nearly the same" in done.out.decode()
    assert f"{words}; they may be in no group: retr info {home} --crowded" in retr("dupes", home).err
    listed = retr("info", home, "--crowded", "--format", "json")
    assert f"retr dupes {home} --same FILE --same NEAR" in listed.err
    rows = listed.json
    assert [(Path(row["path"]).name, Path(row["near"]).name) for row in rows] == [("3.png", "near.png")]
    assert 0.4 < rows[0]["gap"] / rows[0]["reference"] < 0.6
    [match] = retr("query", crowded / "3.png", "-i", home, "-k", 1, "--explain", "--format", "json").only["matches"]
    assert (match["explained"]["crowded"], match["explained"]["unit"]) == (True, "rad")
    assert "are they one picture? retr dupes --same" in " ".join(
        retr("query", crowded / "3.png", "-i", home, "-k", 1, "--explain").out.decode().split()
    )
    both = (crowded / "3.png", crowded / "near.png")
    page = tmp_path / "dupes.html"
    retr("dupes", home, "--html", page)
    assert all(f"dupes {home} {way} {both[0]} {way} {both[1]}" in page.read_text() for way in ("--same", "--dismiss"))
    retr("dupes", home, *(f"--dismiss={file}" for file in both))
    assert "accepts only" not in retr("dupes", home, "--html", page).err
    assert "one picture" not in page.read_text()
    assert "two files at least" in one_line(retr("dupes", home, "--same", crowded / "3.png"), 2)
    retr("dupes", home, "--same", crowded / "3.png", "--same", crowded / "near.png")
    assert retr("info", home, "--crowded", "--format", "json").json == []
    assert retr("info", home, "--format", "json").json["crowded"] == 0
    assert "declared one item" in one_line(retr("dupes", home, *(f"--dismiss={file}" for file in both)), 2)
    [match] = retr("query", crowded / "3.png", "-i", home, "-k", 1, "--explain", "--format", "json").only["matches"]
    assert match["explained"]["gap"] == match["explained"]["reference"]
    assert "one list at a time" in one_line(retr("info", home, "--crowded", "--presumed"), 2)


def test_files_whose_names_cannot_be_copied_from_a_page_go_by_their_ids(retr, tmp_path, crowded):
    home, page, odd = tmp_path / "index", tmp_path / "dupes.html", crowded / "a\tb\nc.png"
    (crowded / "near.png").rename(odd)
    retr("index", crowded, "-o", home, "--model", "block-means:4")
    [row] = retr("info", home, "--crowded", "--format", "json").json
    retr("dupes", home, "--html", page)
    command = f"dupes {home} --same {crowded / '3.png'} --same {row['near_id']}"
    assert command in page.read_text()
    assert dict(_named("would go", [str(odd)])) == {"would go": str(odd).replace("\t", "\\x09").replace("\n", "\\x0a")}
    assert retr(*command.split()).code == 0
    assert retr("info", home, "--crowded", "--format", "json").json == []
