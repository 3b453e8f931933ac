"""The checker on indexes that compare views of a query, and on those with rules: what a forger would try first."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from companion import write_companion
from drawn import Quiet
from planted import draw_pictures, save_pictures
from proved import found_in, proofs_from, save_small

from retr.certificates.statement import ProofObject
from retr.core.errors import UsageError
from retr.core.files import canonical_json, digest_json, sha256_file
from retr.images.query_views import parse_query_view
from retr.images.view_pairs import VIEW_CLASSES, rules_for
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.compact import compacted
from retr.indexer.history import compact_index
from retr.indexer.rules import check_rules
from retr.indexer.snapshot import SegmentInfo, Snapshot, commit, require_current
from retr.indexer.verify import verify_index
from retr.indexer.writer import Writer
from retr.retrieval.engine import Engine

COUNT, SIDE = 10, 20
Proofs = tuple[Path, list[ProofObject]]


def made_index(home: Path, **options: Any) -> Path:
    """Ten pictures; queries: the first, a mirror image, one in a frame, a half white one, an absent one, the sixth."""
    pictures = draw_pictures(COUNT + 1, side=SIDE)
    save_pictures(home / "corpus", pictures[:COUNT])
    framed = np.full((SIDE + 8, SIDE + 8, 3), 250, np.uint8)
    framed[4:-4, 4:-4] = pictures[2]
    half = pictures[3].copy()
    half[SIDE // 2 :] = 255
    save_pictures(home / "queries", [pictures[0], pictures[1][:, ::-1], framed, half, pictures[COUNT], pictures[5]])
    models = ("block-means:4", str(save_small(home / "small.safetensors")))
    build_index(str(home / "corpus"), home / "index", IndexOptions(models=models, workers=1, **options), Quiet())
    return home / "index"


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory) -> Proofs:
    home = tmp_path_factory.mktemp("viewed")
    made_index(home, views="light")
    return home, list(proofs_from(Engine.open(home / "index", device="cpu"), home / "queries"))


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Proofs:
    """Pictures 0 and 4 are allowed, and silence; 2 and 3 accept less far."""
    home = tmp_path_factory.mktemp("ruled")
    (home / "labels.csv").write_text(
        "path,bank\n" + "".join(f"corpus/{n:03d}.png,{'allowed' if n in (0, 4) else 'logos'}\n" for n in range(COUNT))
    )
    made_index(home, label_file=home / "labels.csv")
    with Writer(home / "index") as writer:
        writer.rule(check_rules(["bank=allowed"], {"path~*/00[23].png": 0.8}))
    return home, list(proofs_from(Engine.open(home / "index", device="cpu"), home / "queries"))


def of_kind(made: Proofs, kind: str, words: str = "") -> ProofObject:
    return next(one for one in made[1] if one.claim["kind"] == kind and words in one.claim["sentence"])


def verdicts(made: Proofs, folder: Path, index: Path | None = None) -> dict[str, str]:
    home, proofs = made
    return {
        one.name: ": ".join(filter(None, found_in(one.statement, folder, index or home / "index"))) for one in proofs
    }


@pytest.mark.parametrize("which", ["viewed", "ruled"])
def test_engine_and_checker_agree(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    made = request.getfixturevalue(which)
    found = verdicts(made, tmp_path)
    assert found == dict.fromkeys(found, "confirmed")
    assert {"first-place", "among-k", "copy", "not-a-copy"} == {one.claim["kind"] for one in made[1]}


def test_views_without_a_direction_are_no_probes(viewed: Proofs) -> None:
    """Of a query that is half white: what shows nothing is a rival in every rank, and leaves no *not a copy*."""
    counts = {len(one.predicate["probes"]) for one in viewed[1]}
    assert max(counts) == 40
    assert len(counts) > 1


def test_the_views_that_it_makes_are_the_engine_s() -> None:
    import torch

    from retr.certificates.verify_index import look

    draw = np.random.default_rng(0)
    names = {rule.query for rule in rules_for(VIEW_CLASSES["light"], ("block-means",))} | {"flip+quarter-left"}
    for height, width in ((1, 1), (7, 12), (33, 20), (101, 64)):
        pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
        planes = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
        for name in names:
            engine = parse_query_view(name).pick(planes)[0].numpy().transpose(1, 2, 0)
            assert np.array_equal(look(pixels, name), engine), (name, height, width)


# -- a forger, whose numbers fit together ------------------------------------------------------------------------------


def forged(proof: ProofObject, change: Callable[[Any], None]) -> Any:
    copy = json.loads(json.dumps(proof.statement))
    change(copy["predicate"])
    return copy


def with_radius(said: Any, l2: float) -> None:
    """Another radius, with its other units and its sentence."""
    claim, values = said["claim"], said["query"]["values"]
    rms = l2 / values**0.5
    claim["sentence"] = claim["sentence"].replace(repr(claim["radius"]["l2"]), repr(l2))
    claim["radius"] = {"l2": l2, "rmse": 255.0 * rms, "psnr": float(-20.0 * np.log10(rms))}


@pytest.mark.parametrize("factor", [0.5, 1.0 - 1e-4, 1.0 + 1e-6, 2.0])
@pytest.mark.parametrize("which", ["viewed", "ruled"])
def test_another_radius(which: str, factor: float, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    made = request.getfixturevalue(which)
    for kind in ("first-place", "among-k", "copy", "not-a-copy"):
        proof = of_kind(made, kind)
        other = forged(proof, lambda said: with_radius(said, said["claim"]["radius"]["l2"] * factor))
        found = found_in(other, tmp_path, made[0] / "index")
        assert (found.verdict, "radius" in found.why) == ("refuted", True), str(found)


def drop(said: Any, place: int) -> None:
    """One test of the query less."""
    del said["probes"][place]
    for rows in (said["target"], (said["rival"] or {"rows": []})["rows"]):
        rows[:] = [{**one, "probe": one["probe"] - (one["probe"] > place)} for one in rows if one["probe"] != place]
    said["carriers"] = [[n - (n > place), row] for n, row in said["carriers"] if n != place]
    said["claim"]["slack"] = max(
        (4.0 * one["forward_error"] + 1e-10 * one["z"]["norm"]) / one["lipschitz"] for one in said["probes"]
    )


def test_a_view_that_is_left_out(viewed: Proofs, tmp_path: Path) -> None:
    """A rank, or *not a copy*, proved by all tests but the one that would spoil it."""
    for kind in ("first-place", "not-a-copy"):
        proof = of_kind(viewed, kind)
        for place in (0, 1, 21, len(proof.predicate["probes"]) - 1):
            found = found_in(forged(proof, lambda said, place=place: drop(said, place)), tmp_path, viewed[0] / "index")
            assert found.verdict == "refuted", place


def test_a_smaller_norm_for_a_view(viewed: Proofs, tmp_path: Path) -> None:
    """ρ of the whole image for a cut of it, with all that follows: L, and a radius as much larger."""
    proof = of_kind(viewed, "copy")
    place = next(n for n, one in enumerate(proof.predicate["probes"]) if one["view"].startswith("crop"))
    whole = proof.predicate["probes"][0]["resize"]["value"]
    assert whole < proof.predicate["probes"][place]["resize"]["value"]

    def change(said: Any) -> None:
        probe = said["probes"][place]
        probe["lipschitz"] *= whole / probe["resize"]["value"]
        probe["resize"]["value"] = whole

    found = found_in(forged(proof, change), tmp_path, viewed[0] / "index")
    assert (found.verdict, "norm of the resize" in found.why) == ("refuted", True)


def test_a_row_that_a_view_never_meets(viewed: Proofs, tmp_path: Path) -> None:
    """A carrier of the right item, that the test is not compared with."""
    proof = of_kind(viewed, "first-place")
    row = proof.predicate["target"][0]["row"]
    views = [one["view"] for one in proof.predicate["probes"]]
    flip, carriers = views.index("flip"), proof.predicate["carriers"]
    unmet = next(n for n in range(row - row % 16, row - row % 16 + 16) if [flip, n] not in carriers and n % 16 != 0)

    def change(said: Any) -> None:
        said["carriers"].append([flip, unmet])

    found = found_in(forged(proof, change), tmp_path, viewed[0] / "index")
    assert (found.verdict, "compared there" in found.why) == ("refuted", True), str(found)


def resnapped(index: Path, target: Path, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
    """A copy of an index with another snapshot, whose digests all fit."""
    shutil.copytree(index, target, dirs_exist_ok=True)
    return commit(target, change(require_current(target)))


def renamed(said: Any, snapshot: Snapshot) -> None:
    """Let a proof speak of another snapshot."""
    body = {name: one for name, one in snapshot.as_json().items() if name not in ("id", "created")}
    said["index"] |= {"snapshot": snapshot.id, "sha256": digest_json(body)}


def test_a_pair_that_the_snapshot_does_not_allow(viewed: Proofs, tmp_path: Path) -> None:
    """The table of pairs is the snapshot's: of one with a pair less, or a part less, the same numbers are no proof."""

    def fewer(snapshot: Snapshot) -> Snapshot:
        return replace(snapshot, pairs=tuple(rule for rule in snapshot.pairs if rule.query != "flip"))

    def stricter(snapshot: Snapshot) -> Snapshot:
        return replace(snapshot, pairs=tuple(replace(rule, parts=(0.5, 0.5)) for rule in snapshot.pairs))

    proof = of_kind(viewed, "first-place")
    for name, change in (("fewer", fewer), ("stricter", stricter)):
        snapshot = resnapped(viewed[0] / "index", tmp_path / name, change)
        found = found_in(forged(proof, lambda said, one=snapshot: renamed(said, one)), tmp_path, tmp_path / name)
        assert found.verdict == "refuted", name
    edited = json.loads(json.dumps(proof.statement))
    file = viewed[0] / "index" / "snapshots" / f"{proof.predicate['index']['snapshot']}.json"
    body = json.loads(file.read_bytes())
    body["pairs"].append({**body["pairs"][0], "kind": "again"})
    shutil.copytree(viewed[0] / "index", tmp_path / "twice", dirs_exist_ok=True)
    digest = digest_json({name: one for name, one in body.items() if name not in ("id", "created")})
    (tmp_path / "twice" / "snapshots" / f"{digest[:16]}.json").write_bytes(canonical_json(body | {"id": digest[:16]}))
    edited["predicate"]["index"] |= {"snapshot": digest[:16], "sha256": digest}
    assert "two rules about one pair" in found_in(edited, tmp_path, tmp_path / "twice").why


def test_row_names_of_another_index(viewed: Proofs, tmp_path: Path) -> None:
    """Rows that are said to be of other views: neither in place of the file, nor under a snapshot that names it."""
    home, _ = viewed
    proof = of_kind(viewed, "first-place")
    (segment,) = require_current(home / "index").segments
    shutil.copytree(home / "index", tmp_path / "index")
    file = tmp_path / "index" / "segments" / segment.id / "row-names.bin"
    table = json.loads(zlib.decompress(file.read_bytes()))
    table["items"] = [[path, views[::-1]] for path, views in table["items"]]
    file.write_bytes(zlib.compress(canonical_json(table)))
    found = found_in(proof.statement, tmp_path, tmp_path / "index")
    assert (found.verdict, "SHA-256" in found.why) == ("refuted", True)
    files = {**segment.files, "row-names.bin": sha256_file(file)}

    def change(snapshot: Snapshot) -> Snapshot:
        return replace(snapshot, segments=(SegmentInfo(segment.id, segment.rows, segment.items, 0, files),))

    snapshot = commit(tmp_path / "index", change(require_current(tmp_path / "index")))
    found = found_in(forged(proof, lambda said: renamed(said, snapshot)), tmp_path, tmp_path / "index")
    assert found.verdict == "refuted"
    faults = [fault.what for fault in verify_index(tmp_path / "index").problems]
    assert any("other views or paths than the catalog" in why for why in faults), faults


def test_edits_of_an_index_with_views_have_no_proof(viewed: Proofs) -> None:
    engine = Engine.open(viewed[0] / "index", device="cpu")
    with pytest.raises(UsageError, match="proofs of edits speak of the query itself"):
        list(proofs_from(engine, viewed[0] / "queries", edits=["brightness:0.99..1.01"]))


# -- rules -------------------------------------------------------------------------------------------------------------


def test_a_bank_that_is_left_unheard(ruled: Proofs, tmp_path: Path) -> None:
    """What the index answers with its banks, and as if there were none, are two claims; neither proof serves both."""
    home, _ = ruled
    engine = Engine.open(home / "index", device="cpu", unsilenced=True)
    proofs = list(proofs_from(engine, home / "queries"))
    found = verdicts((home, proofs), tmp_path)
    assert found == dict.fromkeys(found, "confirmed")
    copy = next(one for one in proofs if one.claim["kind"] == "copy" and one.claim["item"])
    assert copy.claim["sentence"].endswith(", as if no bank were negative.")
    silent = of_kind(ruled, "not-a-copy")
    assert silent.predicate["query"]["path"] == copy.predicate["query"]["path"]

    def silencing(said: Any) -> None:
        said["index"] |= {"unsilenced": False, "rows_total": COUNT - 2, "rows_scanned": COUNT - 2}
        words = ", with 2 rows of negative banks silencing"
        said["claim"]["sentence"] = said["claim"]["sentence"].replace(", as if no bank were negative", words)

    assert found_in(forged(copy, silencing), tmp_path, home / "index").verdict == "refuted"
    something = next(one for one in proofs if one.claim["kind"] == "copy" and not one.claim["item"])
    found = found_in(forged(something, silencing), tmp_path, home / "index")
    assert (found.verdict, "radius" in found.why) == ("refuted", True), str(found)


def test_a_rule_that_is_forgotten(ruled: Proofs, tmp_path: Path) -> None:
    """The engine that forgets one claims what the checker, who reads the snapshot, does not find."""
    home, _ = ruled
    for change in (
        lambda engine: replace(engine, banks=()),
        lambda engine: replace(engine, channels=tuple(replace(one, factors=None) for one in engine.channels)),
    ):
        engine = change(Engine.open(home / "index", device="cpu"))
        proofs = list(proofs_from(engine, home / "queries"))
        found = [found_in(one.statement, tmp_path, home / "index").verdict for one in proofs]
        assert "refuted" in found


def test_labels_are_the_snapshot_s(ruled: Proofs, tmp_path: Path) -> None:
    home, proofs = ruled
    shutil.copytree(home / "index", tmp_path / "index")
    (file,) = (tmp_path / "index" / "labels").iterdir()
    rows = json.loads(file.read_bytes())
    file.write_bytes(canonical_json([[path, key, "logos"] for path, key, _ in rows]))
    found = found_in(proofs[0].statement, tmp_path, tmp_path / "index")
    assert (found.verdict, "SHA-256 of the table of labels" in found.why) == ("refuted", True)
    file.unlink()
    assert found_in(proofs[0].statement, tmp_path, tmp_path / "index").verdict == "unsupported"


@pytest.mark.parametrize(
    "condition",
    ["bank=allowed", "bank!=allowed", "bank~l*", "path~*/00[1-3].png", "id~*", "other=1", "bank=allowed,logos"],
)
def test_conditions_mean_what_they_mean_to_the_engine(condition: str, ruled: Proofs) -> None:
    from retr.certificates.verify_index import Gallery

    home, proofs = ruled
    gallery = Gallery(json.loads(json.dumps(proofs[0].predicate)), home / "index")
    engine = Engine.open(home / "index", device="cpu", where=[condition], unsilenced=True)
    assert engine.rows is not None
    assert np.flatnonzero(gallery.holds(condition)).tolist() == engine.rows.tolist()


# -- companions --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["none", "light"])
def accompanied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Proofs:
    home = tmp_path_factory.mktemp("accompanied")
    made_index(home, views=request.param, companion=write_companion(home / "colours.pt"))
    return home, list(proofs_from(Engine.open(home / "index", device="cpu"), home / "queries"))


def test_beside_a_companion_ranks_end_where_acceptance_does(accompanied: Proofs, tmp_path: Path) -> None:
    home, proofs = accompanied
    found = verdicts(accompanied, tmp_path)
    assert found == dict.fromkeys(found, "confirmed")
    assert {"first-place", "among-k", "copy"} == {one.claim["kind"] for one in proofs}
    assert all(one.claim["sentence"].endswith(", whatever the companion says.") for one in proofs)
    alone = list(proofs_from(Engine.open(home / "index", device="cpu", certified_only=True), home / "queries"))
    found = verdicts((home, alone), tmp_path)
    assert found == dict.fromkeys(found, "confirmed")
    assert "not-a-copy" in {one.claim["kind"] for one in alone}


def test_what_is_proved_without_a_companion_is_not_proved_beside_it(accompanied: Proofs, tmp_path: Path) -> None:
    """*Not a copy*; and a rank of what no certified channel accepts."""
    home, _ = accompanied

    def beside(said: Any) -> None:
        said["index"]["certified_only"] = False
        words = said["claim"]["sentence"]
        said["claim"]["sentence"] = words.replace("by the certified channels alone", "whatever the companion says")

    alone = list(proofs_from(Engine.open(home / "index", device="cpu", certified_only=True), home / "queries"))
    absent = next(one for one in alone if one.claim["kind"] == "not-a-copy").predicate["query"]["path"]
    asked = [one for one in alone if one.predicate["query"]["path"] == absent]
    assert {one.claim["kind"] for one in asked} >= {"not-a-copy", "first-place"}
    for proof in asked:
        found = found_in(forged(proof, beside), tmp_path, home / "index")
        assert (found.verdict, "radius" in found.why) == ("refuted", True), str(found)


def test_a_channel_is_no_companion_by_a_word(accompanied: Proofs, tmp_path: Path) -> None:
    """A snapshot that calls a certified channel, or one in between, a companion."""
    home, proofs = accompanied
    file = home / "index" / "snapshots" / f"{proofs[0].predicate['index']['snapshot']}.json"
    for roles in (["companion", None, "companion"], [None, "companion", "companion"], [None, None, "other"]):
        body = json.loads(file.read_bytes())
        for channel, role in zip(body["channels"], roles, strict=True):
            channel.pop("role", None)
            channel |= {} if role is None else {"role": role}
        digest = digest_json({name: one for name, one in body.items() if name not in ("id", "created")})
        shutil.copytree(home / "index", tmp_path / "index", dirs_exist_ok=True)
        target = tmp_path / "index" / "snapshots" / f"{digest[:16]}.json"
        target.write_bytes(canonical_json(body | {"id": digest[:16]}))
        other = forged(proofs[0], lambda said, d=digest: said["index"].update(snapshot=d[:16], sha256=d))
        assert found_in(other, tmp_path, tmp_path / "index").verdict in ("refuted", "unsupported"), roles


# -- indexes of before -------------------------------------------------------------------------------------------------


def without_names(index: Path) -> None:
    """As a version before wrote it: no names of rows, labels as a table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from retr.indexer.labels import SCHEMA, labels_of

    now = require_current(index)
    segments = []
    for segment in now.segments:
        (index / "segments" / segment.id / "row-names.bin").unlink()
        files = {name: digest for name, digest in segment.files.items() if name != "row-names.bin"}
        segments.append(replace(segment, files=files))
    file = index / "labels" / "table.parquet"
    pq.write_table(pa.Table.from_batches(labels_of(index, now).table.to_batches(), SCHEMA), file)
    digest = sha256_file(file)
    file.rename(file.with_name(f"{digest}.parquet"))
    commit(index, replace(now, segments=tuple(segments), labels=digest))


def test_an_index_of_before_is_brought_up_to_date(ruled: Proofs, tmp_path: Path) -> None:
    home, _ = ruled
    shutil.copytree(home / "index", tmp_path / "index")
    without_names(tmp_path / "index")
    with pytest.raises(UsageError, match=r"of an older version.*retr compact"):
        list(proofs_from(Engine.open(tmp_path / "index", device="cpu"), home / "queries"))
    before = require_current(tmp_path / "index")
    compact_index(tmp_path / "index")
    after = require_current(tmp_path / "index")
    assert (after.rows, after.id != before.id) == (before.rows, True)
    proofs = list(proofs_from(Engine.open(tmp_path / "index", device="cpu"), home / "queries"))
    found = verdicts((home, proofs), tmp_path, tmp_path / "index")
    assert found == dict.fromkeys(found, "confirmed")
    with Writer(tmp_path / "index") as writer:  # and once is enough
        assert compacted(tmp_path / "index", after, writer.held, segment_rows=10**6) is after
