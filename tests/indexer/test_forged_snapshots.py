"""A snapshot with a right digest and content of the wrong kind: refused in one sentence, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from drawn import Quiet, draw

from retr.core.errors import IndexStateError, IntegrityError, RetrError
from retr.core.files import digest_json
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.info import describe_index
from retr.indexer.snapshot import parse_snapshot, read_current, require_current
from retr.retrieval.engine import Engine

WRONG: tuple[Any, ...] = (None, True, -3, 0.5, "../../etc", [], [7], {}, {"a": 1})


def test_a_file_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"x")
    with pytest.raises(IndexStateError, match="no index at"):
        require_current(tmp_path / "picture.png")


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("forged")
    for number in range(3):
        draw(root / "corpus" / f"{number}.png", number)
    build_index(str(root / "corpus"), root / "index", IndexOptions(models=("block-means:4",)), Quiet())
    return root / "index"


@pytest.fixture(scope="module")
def content(index) -> dict[str, Any]:
    return json.loads((index / "snapshots" / f"{(index / 'CURRENT').read_text().strip()}.json").read_text())


def forge(content: dict[str, Any]) -> dict[str, Any]:
    """With the id that belongs to it."""
    body = {key: value for key, value in content.items() if key not in ("id", "created")}
    return {**content, "id": digest_json(body)[:16]}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return copy


def test_of_the_wrong_types_everywhere(content):
    tried = refused = 0
    for path in places(content):
        if path == ("id",):
            continue
        for new in WRONG:
            tried += 1
            try:
                parse_snapshot(forge(changed(content, path, new)))
            except IntegrityError:
                refused += 1
    assert tried > 300
    assert refused > 0.6 * tried  # what the policy says is looked at by who uses it


@pytest.mark.parametrize(
    ("path", "new"),
    [
        (("channels", 0, "dim"), "48"),
        (("channels", 0, "dim"), 0),
        (("channels", 0, "model_file"), "../../etc/passwd"),
        (("channels", 0, "threshold", "value"), "0.9"),
        (("segments", 0, "rows"), 3.0),
        (("segments", 0, "rows"), -1),
        (("segments", 0, "id"), "../segments"),
        (("segments", 0, "files"), {"../../CURRENT": "0" * 64}),
        (("tombstones",), {"a": 3}),
        (("parent",), "../x"),
        (("channels",), {"a": 1}),
        (("policy",), []),
    ],
)
def test_each_is_refused(content, path, new):
    with pytest.raises(IntegrityError, match="damaged"):
        parse_snapshot(forge(changed(content, path, new)))


def test_a_forged_pointer_and_snapshot_end_in_one_sentence(index, content):
    kept = (index / "CURRENT").read_text()
    try:
        for path in places(content):
            for new in (None, [7], "x") if path != ("id",) else ():
                forged = forge(changed(content, path, new))
                file = index / "snapshots" / f"{forged['id']}.json"
                was_there = file.exists()
                file.write_text(json.dumps(forged))
                (index / "CURRENT").write_text(forged["id"])
                try:
                    read_current(index)
                    describe_index(index)
                    Engine.open(index, device="cpu")
                except RetrError:
                    pass
                if not was_there:
                    file.unlink()
    finally:
        (index / "CURRENT").write_text(kept)
        (index / "snapshots" / f"{content['id']}.json").write_text(json.dumps(content))
