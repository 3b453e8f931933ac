"""The independent checker: it agrees with the engine, refutes whatever was edited, and survives every file."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import Quiet
from PIL import Image
from planted import draw_pictures, save_pictures
from proved import COUNT, edited, found_in, leaves, proofs_from, proved_index, resealed, save_lipsim, save_small

from retr.certificates import verify_network, verify_proof, verify_ranges
from retr.certificates.statement import ProofObject
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.declared import joined
from retr.indexer.rules import check_rules
from retr.indexer.snapshot import require_current
from retr.indexer.writer import Writer
from retr.retrieval.calibrate import calibrate
from retr.retrieval.engine import Engine

FILE = Path(str(verify_proof.__file__))
WITNESSES = {"versions", "decoder", "method"}
"""Words about how a proof came to be; they claim nothing that could be recomputed (docs/proofs.md)."""


@pytest.fixture(scope="module", params=["scores", "network", "channels", "views", "local", "pairs", "rules"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ProofObject]]:
    home = tmp_path_factory.mktemp(request.param)
    small = str(save_small(home / "small.safetensors"))
    models = {"scores": ("block-means:4",), "network": (small,)}.get(request.param, ("block-means:4", small))
    index = proved_index(home, models, views={"views": "light/1", "pairs": "light"}.get(request.param, "none"))
    if request.param == "rules":
        with Writer(index) as writer:
            writer.rule(check_rules(["path~*/01?.png"], {"path~*/00[0-4].png": 0.9}))
    if request.param == "local":
        calibrate(index, save_pictures(home / "absent", draw_pictures(COUNT + 14, side=20)[-12:]), fpr=0.2)
    return home, list(proofs_from(Engine.open(index, device="cpu"), home / "queries"))


def kinds(proofs: list[ProofObject]) -> dict[str, ProofObject]:
    return {proof.claim["kind"]: proof for proof in proofs}


def test_engine_and_checker_agree(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    found = {
        proof.name: ": ".join(filter(None, found_in(proof.statement, tmp_path, home / "index"))) for proof in proofs
    }
    assert found == dict.fromkeys(found, "confirmed")
    assert {"first-place", "among-k"} <= set(kinds(proofs))
    assert {"copy", "not-a-copy"} & set(kinds(proofs))
    assert all(proof.claim["tight"] for proof in proofs)


def changed(value: Any) -> Any:
    """Another value of the same type, as near as an edit that matters."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * (1.0 + 1e-5) if value else 1e-3
    return ("b" if value[:1] == "a" else "a") + value[1:] if value else "a"


def test_an_edit_shows_in_the_digest(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """Whatever it is of; a careful forger makes the digest anew, which is what the other tests are about."""
    home, proofs = made
    statement = kinds(proofs)["first-place"].statement
    assert resealed(statement) == statement
    paths = [path for path, value in leaves(statement) if value is not None and path[0] != "_type"]
    for path in [*paths[:40], *paths[-20:]]:
        found = found_in(edited(statement, path, changed), tmp_path, home / "index", seal=False)
        assert (found.verdict, "digest of the proof" in found.why) == ("refuted", True), path


def walked(proof: ProofObject) -> list[tuple[Any, ...]]:
    """Paths of what is edited: of each kind of field, as of a norm of a z, every one, but a few of forty views."""
    kinds_of_fields: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for path, value in leaves(proof.statement):
        testimony = WITNESSES & set(path) or path == ("predicate", "digest") or path[-2:] == ("checker", "name")
        # Any rows of the item will do for carriers from which the radius follows: the claim stays true.
        several = "carriers" in path and len(proof.statement["predicate"]["carriers"]) > 1
        if value is not None and not testimony and not several:
            kinds_of_fields.setdefault(tuple("…" if isinstance(one, int) else one for one in path), []).append(path)
    many, draw = len(proof.predicate["probes"]) > 2, random.Random(proof.name)
    some = [draw.sample(paths, 1) if many and len(paths) > 1 else paths for paths in kinds_of_fields.values()]
    return [path for paths in some for path in paths]


def test_any_edited_value_is_refuted(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    for proof in kinds(proofs).values():
        for path in walked(proof):
            found = found_in(edited(proof.statement, path, changed), tmp_path, home / "index")
            assert found.verdict in ("refuted", "unsupported"), path
            exact = path[-1] in ("_type", "predicateType", "path", "version", "view", "kind") or path[-2] == "checker"
            assert found.verdict == "refuted" or exact, (path, str(found))


def consistent(proof: ProofObject, factor: float) -> dict[str, Any]:
    """What a careful forger writes: another radius, with its other units and its sentence."""
    old, new = proof.claim["radius"]["l2"], proof.claim["radius"]["l2"] * factor
    copy = json.loads(json.dumps(proof.statement))
    claim, values = copy["predicate"]["claim"], copy["predicate"]["query"]["values"]
    rms = new / values**0.5
    claim["radius"] = {"l2": new, "rmse": 255.0 * rms, "psnr": float(-20.0 * np.log10(rms))}
    claim["sentence"] = claim["sentence"].replace(repr(old), repr(new))
    return copy


@pytest.mark.parametrize("factor", [0.5, 1.0 - 1e-5, 1.0 + 1e-7, 2.0])
def test_a_radius_edited_with_all_that_depends_on_it_is_refuted(
    made: tuple[Path, list[ProofObject]], tmp_path: Path, factor: float
) -> None:
    home, proofs = made
    for proof in kinds(proofs).values():
        found = found_in(consistent(proof, factor), tmp_path, home / "index")
        assert (found.verdict, "radius" in found.why) == ("refuted", True), str(found)


def test_a_constant_in_the_last_digits_gains_nothing(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """L stated as much too small as two programs may differ by: no radius is confirmed but by the checker's own L."""
    home, proofs = made
    told = 0
    for proof in kinds(proofs).values():
        rounding = max(4.0 * one["forward_error"] / one["lipschitz"] for one in proof.predicate["probes"])
        if 0.8e-9 * proof.claim["radius"]["l2"] < rounding:
            continue  # what would be gained is less than rounding took
        other = consistent(proof, 1.0 + 0.8e-9)
        for probe in other["predicate"]["probes"]:
            probe["lipschitz"] *= 1.0 - 0.9e-9
        other["predicate"]["claim"]["slack"] *= 1.0 + 0.9e-9
        found = found_in(other, tmp_path, home / "index")
        assert (found.verdict, "the radius is at most" in found.why) == ("refuted", True), str(found)
        told += 1
    assert told or len(proofs[0].predicate["channels"]) > 1


def test_rounding_of_the_channel_that_decides_is_taken_off(
    made: tuple[Path, list[ProofObject]], tmp_path: Path
) -> None:
    """And not that of the channel which rounds least. (Of ranks the engine takes off more where T1 carries them.)"""
    home, proofs = made
    for proof in (one for kind, one in kinds(proofs).items() if kind in ("copy", "not-a-copy")):
        largest = max(one["forward_error"] / one["lipschitz"] for one in proof.predicate["probes"])
        other = consistent(proof, 1.0 + largest / proof.claim["radius"]["l2"])
        found = found_in(other, tmp_path, home / "index")
        assert (found.verdict, "the radius is at most" in found.why) == ("refuted", True), str(found)


GIVEN = ", at a threshold of {!r} given in place of the index's own"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ProofObject]]:
    """Proofs of an engine that was opened with a threshold of its own."""
    home = tmp_path_factory.mktemp("given")
    index = proved_index(home, ("block-means:4",))
    return home, list(proofs_from(Engine.open(index, device="cpu", threshold=0.97), home / "queries"))


def test_a_threshold_that_was_given_is_named(given: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = given
    assert all(GIVEN.format(0.97) in proof.claim["sentence"] for proof in proofs)
    assert {found_in(proof.statement, tmp_path, home / "index").verdict for proof in proofs} == {"confirmed"}
    for proof in proofs:
        silent = edited(
            proof.statement, ("predicate", "claim", "sentence"), lambda words: words.replace(GIVEN.format(0.97), "")
        )
        assert "sentence" in found_in(silent, tmp_path, home / "index").why


@pytest.mark.parametrize("value", [1.5, -1.5, 1.0 + 1e-9, 10**400])
def test_a_threshold_that_no_row_has_proves_nothing(
    given: tuple[Path, list[ProofObject]], tmp_path: Path, value: float
) -> None:
    """The square root of a negative number is no radius, and no comparison with it holds."""
    home, proofs = given
    copy = json.loads(json.dumps(kinds(proofs)["not-a-copy"].statement))
    said, probe = copy["predicate"], copy["predicate"]["probes"][0]
    error, norm = probe["forward_error"], probe["z"]["norm"]
    said["channels"][0]["threshold"]["value"] = value
    said |= {"carriers": [], "target": [], "rival": None}
    far = said["query"]["values"] ** 0.5
    radius = min(far, (norm - max(1e-9, error)) / probe["lipschitz"])
    old, units = said["claim"]["radius"]["l2"], {"rmse": 255.0 * radius / far, "psnr": -20.0 * np.log10(radius / far)}
    words = said["claim"]["sentence"].replace(repr(old), repr(radius)).replace("0.97", repr(value))
    words = words.replace("not a copy of anything in the index", "a copy")
    said["claim"] |= {"kind": "copy", "tight": True, "radius": {"l2": radius, **units}, "sentence": words}
    assert found_in(copy, tmp_path, home / "index").verdict == "refuted"


@pytest.mark.parametrize("name", ["offset", "share"])
def test_a_given_threshold_is_one_for_all_rows(
    given: tuple[Path, list[ProofObject]], tmp_path: Path, name: str
) -> None:
    home, proofs = given
    other = edited(proofs[0].statement, ("predicate", "channels", 0, "threshold", name), lambda _: 0.5)
    found = found_in(other, tmp_path, home / "index")
    assert (found.verdict, "one for all rows" in found.why) == ("refuted", True), str(found)


def test_words_of_a_condition_are_quoted(given: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """What somebody asked with does not read as part of what is proved."""
    home, _ = given
    words = "path!=x (that is: of everything), whatever the companion says\nFor every image"
    engine = Engine.open(home / "index", device="cpu", where=[words])
    for proof in proofs_from(engine, home / "queries"):
        assert f"where {json.dumps(words)}" in proof.claim["sentence"]
        assert "\n" not in proof.claim["sentence"]
        assert found_in(proof.statement, tmp_path, home / "index").verdict == "confirmed"


def test_another_image_is_refuted(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    pixels = np.array(Image.open(proofs[0].predicate["query"]["path"]))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(tmp_path / "other.png")
    found = found_in(proofs[0].statement, tmp_path, home / "index", tmp_path / "other.png")
    assert "SHA-256 of the query's file" in found.why
    bare = json.loads(json.dumps(proofs[0].statement))
    bare["subject"] = bare["subject"][1:]
    bare["predicate"]["query"]["bytes_sha256"] = None
    assert found_in(bare, tmp_path, home / "index").verdict == "confirmed"
    found = found_in(bare, tmp_path, home / "index", tmp_path / "other.png")
    assert "SHA-256 of the query's pixels" in found.why


def test_every_changed_file_of_the_index_is_refuted(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    read = ("rows-0", "rows-1", "row-keys", "snapshots", "models", "gaps")
    read += ("row-names",) if {"pairs", "rules"} & set(require_current(home / "index").as_json()) else ()
    for file in sorted((home / "index").rglob("*")):
        if not file.is_file() or not any(word in str(file.relative_to(home)) for word in read):
            continue
        shutil.rmtree(tmp_path / "index", ignore_errors=True)
        shutil.copytree(home / "index", tmp_path / "index")
        copy = tmp_path / "index" / file.relative_to(home / "index")
        if copy.parent.name == "snapshots" and copy.stem != proofs[0].predicate["index"]["snapshot"]:
            continue
        if copy.parent.name == "gaps" and copy.stem not in json.dumps(proofs[0].predicate["channels"]):
            continue
        data = bytearray(copy.read_bytes())
        data[-3 if copy.suffix == ".json" else len(data) // 2] ^= 1
        copy.write_bytes(data)
        found = found_in(proofs[0].statement, tmp_path, tmp_path / "index")
        assert found.verdict == "refuted", (file, str(found))
        copy.unlink()
        assert found_in(proofs[0].statement, tmp_path, tmp_path / "index").verdict in ("refuted", "unsupported")


def test_no_mutated_file_crashes_it_or_is_confirmed(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    source, random_ = proofs[0].as_bytes(), random.Random(0)
    for _ in range(60):
        data = bytearray(source)
        for _ in range(random_.choice((1, 1, 3, 30))):
            at = random_.randrange(len(data))
            data[at : at + random_.choice((0, 1, 1, 9))] = random_.choice(
                (b"", b"\x00", b"9", b"{", b"[", b'"', b"\xff", b"NaN", b"1e999", bytes([random_.randrange(256)]))
            )
        (tmp_path / "proof.json").write_bytes(data)
        found = verify_proof.verify(tmp_path / "proof.json", home / "index")
        same = _parsed(bytes(data)) == json.loads(source)
        witness = found.verdict == "confirmed" and not same
        assert not witness or _differ_in_words_only(bytes(data), source)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _differ_in_words_only(data: bytes, source: bytes) -> bool:
    own, other = dict(leaves(_parsed(data))), dict(leaves(json.loads(source)))
    differing = [path for path in {*own, *other} if own.get(path) != other.get(path)]
    return all(
        WITNESSES & set(path) or path[-2:] == ("checker", "name") or _near(own, other, path) for path in differing
    )


def _near(own: dict[Any, Any], other: dict[Any, Any], path: Any) -> bool:
    """Last digits of a number, within the room that two programs need."""
    a, b = own.get(path), other.get(path)
    return isinstance(a, float) and isinstance(b, float) and abs(a - b) <= 1e-6 * max(abs(b), 1.0)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "7", "null", '{"_type": NaN}', "[" * 100_000, '{"a":' * 50_000, "\ufeff{}"),
        *('{"_type": 1' + "0" * 6000 + "}", '{"_type": "x", "_type": "x"}', '"\\ud800"'),
        '{"_type": "https://in-toto.io/Statement/v1"}',
    ],
)
def test_what_is_no_proof_is_never_confirmed(text: str, tmp_path: Path) -> None:
    (tmp_path / "proof.json").write_text(text, encoding="utf-8")
    assert verify_proof.verify(tmp_path / "proof.json", tmp_path).verdict in ("refuted", "unsupported")


def test_sizes_types_and_missing_files(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    assert verify_proof.verify(tmp_path / "none.json", home / "index").verdict == "refuted"
    (tmp_path / "large.json").write_bytes(b" " * (verify_proof.MOST_BYTES + 1))
    assert "bytes" in verify_proof.verify(tmp_path / "large.json", home / "index").why
    statement = proofs[0].statement
    other = edited(statement, ("predicate", "claim", "kind"), lambda _: "range-of-edits")
    assert found_in(other, tmp_path, home / "index").verdict == "unsupported"
    assert found_in(statement, tmp_path, tmp_path / "nowhere").verdict == "unsupported"
    assert found_in(statement, tmp_path, home / "index", tmp_path / "nowhere").verdict == "unsupported"
    for name in set(statement["predicate"]) - {"digest"}:
        copy = json.loads(json.dumps(statement))
        del copy["predicate"][name]
        assert found_in(copy, tmp_path, home / "index").verdict == "refuted"
    more = json.loads(json.dumps(statement))
    more["predicate"]["claim"]["note"] = "and more"
    assert found_in(more, tmp_path, home / "index").verdict == "refuted"


def test_what_is_no_file_is_not_waited_for(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """Pipes, devices and links to them, in place of the proof, the image and every file of the index."""
    home, proofs = made
    statement = proofs[0].statement
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero", "."):
        assert verify_proof.verify(tmp_path / name, home / "index").verdict == "refuted"
        assert found_in(statement, tmp_path, home / "index", tmp_path / name).verdict == "unsupported"
        assert found_in(statement, tmp_path, tmp_path / name).verdict == "unsupported"
    for pattern in ("snapshots/*", "segments/*/row*", "models/*"):
        for file in (home / "index").glob(pattern):
            shutil.rmtree(tmp_path / "index", ignore_errors=True)
            shutil.copytree(home / "index", tmp_path / "index")
            copy = tmp_path / "index" / file.relative_to(home / "index")
            copy.unlink()
            os.mkfifo(copy)
            found = found_in(statement, tmp_path, tmp_path / "index")
            read = copy.name.startswith(("rows-", "row-keys")) or copy.parent.name == "models"
            assert found.verdict in ("refuted", "unsupported") or not read, file


def test_numbers_beyond_all_bounds_cost_nothing(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    statement = kinds(proofs)["among-k"].statement
    claim = ("predicate", "claim", "k")
    for k in (10**9, 10**15):
        assert found_in(edited(statement, claim, lambda _, k=k: k), tmp_path, home / "index").verdict == "refuted"
    for field in ("rows_total", "rows_scanned"):
        huge = edited(statement, ("predicate", "index", field), lambda _: 10**15)
        assert found_in(huge, tmp_path, home / "index").verdict == "refuted"


@pytest.mark.parametrize(
    "change",
    [
        {"widths": [10**12, 8]},
        {"depths": [10**12, 1]},
        {"patch": 0},
        {"patch": -4},
        {"widths": "many"},
        {"layer": "unknown"},
        {"activation": None},
    ],
    ids=str,
)
def test_a_model_of_hostile_numbers(change: dict[str, Any], tmp_path: Path) -> None:
    """A file whose header and snapshot agree, made to exhaust whoever reads it."""
    file = save_small(tmp_path / "models" / "m.safetensors")
    data = file.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:end])
    head = json.loads(table["__metadata__"]["retr"])
    head["architecture"] |= change
    table["__metadata__"]["retr"] = json.dumps(head)
    for shape in (None, [10**9, 10**9], [-1]):
        if shape is not None:
            table["head.weight"]["shape"] = shape
        text = json.dumps(table).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + data[end:])
        channel = {"spec": "m", "model_file": "models/m.safetensors", "score": "cosine"}

        def see(channel: dict[str, Any] = channel) -> None:
            model = verify_network.Model(tmp_path, channel)
            model.see(verify_network.Network(np.zeros((3, model.side, model.side)), 1.0))

        assert verify_proof.judge(see).verdict in ("refuted", "unsupported")
    file.write_bytes((2**63).to_bytes(8, "little") + data[8:])
    assert verify_proof.judge(see).verdict == "refuted"


def test_a_proof_for_another_checker_says_so(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    other = edited(proofs[0].statement, ("predicate", "checker", "sha256"), lambda _: "0" * 64)
    found = found_in(other, tmp_path, home / "index")
    assert (found.verdict, "names checker" in found.why) == ("unsupported", True)
    assert verify_proof.verify(tmp_path / "proof.json", home / "index", any_checker=True).verdict == "confirmed"


def test_a_row_of_another_item_cannot_carry_a_claim(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    proof = kinds(proofs)["first-place"]
    rival = proof.predicate["rival"]["rows"][0]["row"]
    copy = json.loads(json.dumps(proof.statement))
    copy["predicate"]["carriers"] = [[0, rival]]
    assert "no row of the item" in found_in(copy, tmp_path, home / "index").why


def test_z_is_held_against_the_network(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    copy = json.loads(json.dumps(proofs[0].statement))
    part = copy["predicate"]["probes"][0]["z"]
    z = np.frombuffer(base64.b64decode(part["float64"]), "<f8").copy()
    z[0] += 1e-6
    part["float64"] = base64.b64encode(z.tobytes()).decode()
    part["sha256"] = verify_proof.sha256(z.tobytes())
    assert "embedding of the query" in found_in(copy, tmp_path, home / "index").why


def test_a_part_of_an_index(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """The rows that fulfil a condition are a gallery of their own; which they are the checker finds out by itself."""
    home, _ = made
    engine = Engine.open(home / "index", device="cpu", where=["path~*/00[0-7].png"])
    proofs = list(proofs_from(engine, home / "queries"))
    assert {"first-place", "among-k"} <= set(kinds(proofs))
    for proof in proofs:
        assert str(found_in(proof.statement, tmp_path, home / "index").verdict) == "confirmed", proof.name
        assert 'rows where "path~*/00[0-7].png"' in proof.claim["sentence"]
    where = ("predicate", "index", "where")
    for path, change in (
        (where, lambda _: []),
        (where, lambda one: [*one, "path~*"]),
        ((*where, 0), lambda _: "path~*"),
        ((*where, 0), lambda _: "no condition"),
        (("predicate", "index", "unsilenced"), lambda _: True),
    ):
        assert found_in(edited(proofs[0].statement, path, change), tmp_path, home / "index").verdict == "refuted"


def test_pictures_that_were_declared_to_be_one_item(tmp_path: Path) -> None:
    """Two copies that differ by a level tie nearly; as one item they have a rank, and k counts them once."""
    pictures = draw_pictures(8, side=20)
    near = [pictures[0], np.minimum(pictures[0], 254) + 1]
    save_pictures(tmp_path / "corpus", [*near, *pictures[1:]])
    save_pictures(tmp_path / "queries", [pictures[0], pictures[2]])
    options = IndexOptions(models=("block-means:4",), views="none", workers=1)
    build_index(str(tmp_path / "corpus"), tmp_path / "index", options, Quiet())
    digests = [verify_proof.sha256(b"20x20x3:" + one.astype(np.uint8).tobytes()) for one in near]
    with Writer(tmp_path / "index") as writer:
        writer.declare(joined({}, [digests]))
    engine = Engine.open(tmp_path / "index", device="cpu")
    assert engine.gallery.items == 8
    proofs = list(proofs_from(engine, tmp_path / "queries", edits=["brightness:0.98..1.02"]))
    assert {"first-place", "among-k", "ranges"} <= set(kinds(proofs))
    found = {one.name: ": ".join(filter(None, found_in(one.statement, tmp_path, tmp_path / "index"))) for one in proofs}
    assert found == dict.fromkeys(found, "confirmed")
    (file,) = (tmp_path / "index" / "declared").iterdir()
    table = json.loads(file.read_bytes())
    assert sorted([*table, *table.values()]) == sorted(digests)
    file.write_text("{}")
    assert found_in(proofs[0].statement, tmp_path, tmp_path / "index").verdict == "refuted"
    file.unlink()
    assert found_in(proofs[0].statement, tmp_path, tmp_path / "index").verdict == "unsupported"


@pytest.mark.parametrize("layer", ["sll", "cpl", "lipsim"])
def test_networks_of_residual_blocks(layer: str, tmp_path: Path) -> None:
    """In the shipped family, and in that of the published LipSim, whose dense layers are residual too."""
    file = tmp_path / "small.safetensors"
    spec = save_lipsim(file) if layer == "lipsim" else save_small(file, layer=layer)
    index = proved_index(tmp_path, (str(spec),))
    proofs = list(proofs_from(Engine.open(index, device="cpu"), tmp_path / "queries"))
    assert {"first-place", "among-k"} <= set(kinds(proofs))
    found = {proof.name: ": ".join(filter(None, found_in(proof.statement, tmp_path, index))) for proof in proofs}
    assert found == dict.fromkeys(found, "confirmed")


@pytest.mark.parametrize("name", verify_ranges.FILES)
def test_it_stands_alone(name: str) -> None:
    """numpy, Pillow, the standard library and the files beside it; no other room; and short enough to be read."""
    text = FILE.with_name(name).read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text)))
    names = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    beside = {alias.name for node in froms if node.level == 1 and node.module is None for alias in node.names}
    assert all(node.level == 0 or (node.level == 1 and node.module is None) for node in froms)
    names |= {str(node.module).split(".")[0] for node in froms if node.level == 0} | beside
    below = {one.removesuffix(".py") for one in verify_ranges.FILES[: verify_ranges.FILES.index(name)]}
    assert names <= {"numpy", "PIL", *sys.stdlib_module_names, *below}
    assert "__import__" not in text
    assert "importlib" not in text
    assert len([line for line in text.splitlines() if line.strip()]) <= 600


def test_it_runs_where_nothing_of_retr_is(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """The files alone, in another folder, by a Python that is told of no other."""
    home, proofs = made
    for name in verify_ranges.FILES:
        shutil.copy(FILE.with_name(name), tmp_path / name)
    file = proofs[0].write(tmp_path)
    for name in verify_ranges.FILES[2:]:
        command = [sys.executable, "-E", str(tmp_path / name), str(file), "--index", str(home / "index")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "confirmed\n", ""), done
    joined = b"".join((tmp_path / name).read_bytes() for name in verify_proof.FILES)
    assert proofs[0].predicate["checker"] == {"name": "verify_proof.py", "sha256": hashlib.sha256(joined).hexdigest()}


def test_as_a_script(made: tuple[Path, list[ProofObject]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, proofs = made
    file = proofs[0].write(tmp_path)
    image = str(proofs[0].predicate["query"]["path"])
    assert verify_proof.main([str(file), "--index", str(home / "index"), "--image", image]) == 0
    assert capsys.readouterr().out == "confirmed\n"
    (tmp_path / "bad.json").write_text("{}")
    assert verify_proof.main([str(tmp_path / "bad.json"), "--index", str(home / "index")]) == 1
    assert capsys.readouterr().out.startswith("refuted: ")
