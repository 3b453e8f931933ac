"""Negative banks and reaches: what they do to verdicts, and that no claim is farther than the verdict holds."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import Quiet, draw

from retr.api.index import open as open_index
from retr.core.errors import IntegrityError, UsageError
from retr.core.units import Radius
from retr.images.decode import load
from retr.images.families.asked import read_families
from retr.images.policy import DecodePolicy
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.rules import check_rules, describe_rules
from retr.indexer.snapshot import SCHEMA_RULES, commit, require_current
from retr.indexer.writer import Writer
from retr.retrieval.answer import Answer
from retr.retrieval.engine import Engine
from retr.retrieval.query import query_files
from retr.retrieval.ranges.prove import prove_ranges
from retr.retrieval.silencing import Heard, silenced

BANKS = ("bank=allowed", "bank=other")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Twelve pictures, of which 4 and 5 (the very pixels of 0) are allowed and 6 is of the other bank."""
    root = tmp_path_factory.mktemp("banks")
    for number in range(12):
        draw(root / "corpus" / f"{number}.png", 0 if number == 5 else number)
    lines = ["path,bank", "corpus/4.png,allowed", "corpus/5.png,allowed", "corpus/6.png,other", "corpus/7.png,logos"]
    (root / "labels.csv").write_text("\n".join(lines))
    options = IndexOptions(models=("block-means", "block-means:8"), label_file=root / "labels.csv", workers=1)
    build_index(str(root / "corpus"), root / "index", options, Quiet())
    with Writer(root / "index") as writer:
        writer.rule(check_rules(BANKS, {}))
    return root


@pytest.fixture(scope="module")
def engine(home) -> Engine:
    return Engine.open(home / "index", device="cpu")


def pixels_of(home: Path, number: int) -> np.ndarray:
    return load(home / "corpus" / f"{number}.png", policy=DecodePolicy()).pixels


def asked(engine: Engine, pixels: np.ndarray, eps: float | None = None) -> Answer:
    return engine.answer(pixels, k=3, certify=True, eps_l2=eps)


class TestBanks:
    def test_a_copy_of_what_is_in_no_bank_is_one(self, home, engine):
        answer = asked(engine, pixels_of(home, 1), 0.5)
        assert (answer.verdict, answer.matches[0].path) == ("copy", str(home / "corpus" / "1.png"))
        banks = [(bank.where, bank.rows, bank.silences) for bank in answer.banks]
        assert banks == [(BANKS[0], 2, False), (BANKS[1], 1, False)]

    def test_a_copy_of_what_a_bank_holds_is_silenced_by_it(self, home, engine):
        answer = asked(engine, pixels_of(home, 6), 0.5)
        assert (answer.verdict, answer.point_verdict) == ("not-a-copy", "not-a-copy")
        said = answer.as_json("q")
        assert said["silenced_by"] == ["bank=other"]
        assert said["banks"][1]["path"] == str(home / "corpus" / "6.png")
        assert said["banks"][1]["radius"]["l2"] > 0
        assert str(home / "corpus" / "6.png") not in [match.path for match in answer.matches]

    def test_what_lies_here_and_in_a_bank_is_silenced(self, home, engine):
        answer = asked(engine, pixels_of(home, 0))
        assert answer.matches[0].path == str(home / "corpus" / "0.png")
        assert [match.accepted for match in answer.matches] == [False] * 3
        assert answer.matches[0].copy is None
        assert (answer.verdict, answer.copy) == ("not-a-copy", None)
        assert answer.not_a_copy is not None

    def test_as_if_there_were_no_banks(self, home):
        engine = Engine.open(home / "index", device="cpu", unsilenced=True)
        answer = asked(engine, pixels_of(home, 6))
        assert (answer.verdict, answer.banks) == ("copy", ())
        assert answer.matches[0].path == str(home / "corpus" / "6.png")
        assert open_index(home / "index", unsilenced=True).query(home / "corpus" / "6.png").verdict == "copy"
        assert open_index(home / "index").query(home / "corpus" / "6.png").verdict == "not-a-copy"

    def test_a_filter_leaves_the_banks_their_say(self, home):
        engine = Engine.open(home / "index", device="cpu", where=["path~*/0.png"])
        assert engine.gallery.items == 1
        assert asked(engine, pixels_of(home, 0)).as_json("q")["silenced_by"] == ["bank=allowed"]

    @pytest.mark.parametrize(("start", "end"), [(1, 6), (0, 2), (6, 1), (3, 9), (8, 5)])
    def test_no_claim_is_farther_than_the_verdict_holds(self, home, engine, start, end):
        """Along the line from one picture to another the verdict changes somewhere; never within the radius."""
        size = (40, 50)
        near, far = (_resized(pixels_of(home, number), size) for number in (start, end))
        answer = asked(engine, near)
        claimed = answer.copy or answer.not_a_copy
        assert claimed is not None
        length = float(np.linalg.norm(far - near))
        for part in (0.2, 0.6, 0.9, 0.999):
            step = min(1.0, part * claimed.l2 / length)
            moved = asked(engine, near + step * (far - near))
            assert moved.point_verdict == answer.point_verdict
            narrower = moved.copy or moved.not_a_copy
            assert narrower is not None
            # A radius is a distance to a border, or below one: it falls by no more than one moves.
            assert narrower.l2 <= claimed.l2 + step * length + 1e-6

    def test_radii_are_those_of_each_part(self, home, engine):
        pixels = pixels_of(home, 1)
        bare = replace(engine, banks=())
        answer, alone = asked(engine, pixels), asked(bare, pixels)
        outside = [asked(bank, pixels).not_a_copy for _, bank in engine.banks]
        assert alone.copy is not None
        assert answer.copy == min(
            [alone.copy, *(one for one in outside if one is not None)], key=lambda radius: radius.l2
        )
        assert answer.matches[0].top1 == alone.matches[0].top1

    def test_a_budget_beyond_the_radius_is_undecided(self, home, engine):
        radius = asked(engine, pixels_of(home, 6)).not_a_copy
        assert radius is not None
        answer = asked(engine, pixels_of(home, 6), radius.l2 * 1.001)
        assert answer.verdict == "undecided"
        assert "not-a-copy is proved only up to" in str(answer.verdict_because)


class TestWithheld:
    def answer(self, verdict: str, **other: object) -> Answer:
        return Answer(9, 9, "m", "s", "undecided", verdict, 1, (), **other)  # pyright: ignore[reportArgumentType]

    def test_a_bank_that_proves_nothing_leaves_no_radius(self):
        own = self.answer("copy", copy=Radius(3.0, 243), certificate=object())
        found = silenced(own, [Heard("bank=x", 1, self.answer("not-a-copy"))], eps=1.0, asked=None, refused=False)
        assert (found.copy, found.verdict) == (None, "undecided")

    def test_a_bank_without_a_verdict_withholds_copy(self):
        own = self.answer("copy", copy=Radius(3.0, 243), certificate=object())
        heard = Heard("bank=x", 1, replace(self.answer("copy"), point_verdict=None, verdict_because="no threshold"))
        found = silenced(own, [heard], eps=None, asked=None, refused=False)
        assert (found.verdict, found.point_verdict, found.copy) == ("undecided", None, None)
        assert "bank=x gives no verdict: no threshold" in str(found.verdict_because)

    def test_a_budget_without_a_proof_leaves_no_verdict(self):
        """Also where a bank accepts: nobody knows how far."""
        own = self.answer("not-a-copy", withheld="the gallery is empty")
        found = silenced(own, [Heard("bank=x", 1, self.answer("copy"))], eps=1.0, asked=None, refused=False)
        assert (found.verdict, found.point_verdict) == ("undecided", "not-a-copy")
        assert found.verdict_because == "the gallery is empty"

    def test_a_bank_of_blank_images_leaves_other_queries_alone(self):
        own = self.answer("copy", copy=Radius(3.0, 243), certificate=object())
        blank = Heard("bank=x", 0, replace(self.answer("copy"), point_verdict=None))
        found = silenced(own, [blank], eps=1.0, asked=None, refused=False)
        assert (found.verdict, found.copy) == ("copy", Radius(3.0, 243))
        assert [bank.where for bank in found.banks] == ["bank=x"]
        phantom = Heard("bank=x", 0, self.answer("copy"))  # of a query without pixels, a black one stands in
        assert silenced(own, [phantom], eps=None, asked=None, refused=False).point_verdict == "copy"

    def test_what_is_looked_up_by_pixels_is_silenced_by_pixels(self):
        own, other = self.answer("copy"), replace(self.answer("copy"), point_verdict=None)
        assert silenced(own, [Heard("b=x", 1, other)], eps=None, asked=None, refused=True).point_verdict == "copy"
        found = silenced(own, [Heard("b=x", 1, self.answer("copy"))], eps=None, asked=None, refused=True)
        assert (found.verdict, found.not_a_copy) == ("not-a-copy", None)

    def test_proofs_and_edits_say_why_they_are_not_given(self, home, engine):
        [outcome] = query_files(engine, [str(home / "corpus" / "1.png")], certify=True, eps=1.0)
        assert outcome.answer is not None
        with pytest.raises(UsageError, match="negative banks have a say"):
            prove_ranges(
                engine, pixels_of(home, 1), outcome.answer, read_families(["brightness"]), eps=1.0, unit="rmse"
            )


class TestReach:
    @pytest.mark.parametrize("threshold", [None, 0.9])
    def test_rows_accept_so_many_times_as_far(self, home, tmp_path, threshold):
        index = _copied(
            home / "index", tmp_path, {"bank=logos": 0.5, "path~*/8.png": 1.5}, models=threshold is not None
        )
        usual = Engine.open(index, device="cpu", threshold=threshold, snapshot=_before(index))
        ruled = Engine.open(index, device="cpu", threshold=threshold)
        paths = ruled.gallery.catalog["path"].to_pylist()
        factors = [0.5 if path.endswith("/7.png") else 1.5 if path.endswith("/8.png") else 1.0 for path in paths]
        for one, other in zip(usual.channels, ruled.channels, strict=True):
            ids = np.arange(len(paths))
            before = np.arccos(one.limits(ids))
            assert np.allclose(np.arccos(other.limits(ids)), np.array(factors) * before, rtol=1e-9)
            assert other.is_local
            assert other.widest == pytest.approx(other.limits(ids).min())

    def test_verdicts_and_radii_follow(self, home, tmp_path):
        index = _copied(home / "index", tmp_path, {"bank=logos": 0.5})
        pixels = pixels_of(home, 7)
        narrow, usual = (
            asked(Engine.open(index, device="cpu", snapshot=one, unsilenced=True), pixels)
            for one in (None, _before(index))
        )
        assert narrow.copy is not None
        assert usual.copy is not None
        assert narrow.copy.l2 < 0.8 * usual.copy.l2
        noise = np.random.default_rng(0).standard_normal(pixels.shape)
        moved = np.clip(pixels / 255 + 0.99 * narrow.copy.l2 * noise / np.linalg.norm(noise), 0, 1)
        assert asked(Engine.open(index, device="cpu", unsilenced=True), moved).point_verdict == "copy"

    def test_a_rate_says_nothing_of_rows_that_accept_more(self, home, tmp_path):
        rates = []
        for number, factor in enumerate((1.5, 0.5)):
            index = _copied(home / "index", tmp_path / str(number), {"bank=logos": factor}, models=True)
            threshold = Engine.open(index, device="cpu").channels[0].threshold
            assert threshold is not None
            rates.append(threshold.fpr)
        assert rates[0] is None
        assert rates[1] is not None


class TestRules:
    def test_they_are_of_the_snapshot_and_outlive_changes(self, home, tmp_path):
        index = _copied(home / "index", tmp_path, {"bank=logos": 0.5})
        draw(tmp_path / "new.png", 40)
        build_index(str(tmp_path / "new.png"), index, IndexOptions(labels=(("bank", "allowed"),), workers=1), Quiet())
        snapshot = require_current(index)
        assert snapshot.as_json()["schema"] == SCHEMA_RULES
        facts = [(one.kind, one.where, one.files) for one in describe_rules(index, snapshot)]
        assert facts == [("negative", BANKS[0], 3), ("negative", BANKS[1], 1), ("reach", "bank=logos", 1)]
        assert asked(Engine.open(index, device="cpu"), pixels_of(home, 6)).verdict == "not-a-copy"

    def test_no_rules_are_no_trace(self, home, tmp_path):
        index = _copied(home / "index", tmp_path, {})
        with Writer(index) as writer:
            writer.rule(())
        assert "rules" not in require_current(index).as_json()
        assert Engine.open(index, device="cpu").banks == ()

    @pytest.mark.parametrize(
        ("negative", "reach", "says"),
        [
            (["bank"], {}, "a condition is"),
            (["bank=a"], {"bank=a": 0.5}, "two rules"),
            ([], {"bank=a": 0.0}, "a reach is"),
            ([], {"bank=a": 2.5}, "a reach is"),
            ([], {"bank=a": float("nan")}, "a reach is"),
        ],
    )
    def test_what_is_no_rule(self, negative, reach, says):
        with pytest.raises(UsageError, match=says):
            check_rules(negative, reach)

    def test_a_forged_rule_is_refused(self, home, tmp_path):
        index = _copied(home / "index", tmp_path, {})
        snapshot = require_current(index)
        commit(index, replace(snapshot, rules=(replace(snapshot.rules[0], where="no condition"),)))
        with pytest.raises(IntegrityError, match="a rule that is none"):
            Engine.open(index, device="cpu")
        commit(index, replace(snapshot, rules=(replace(snapshot.rules[0], reach=-1.0),)))
        with pytest.raises(IntegrityError, match="reach"):
            require_current(index)


def _resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize(size), dtype=np.float64) / 255.0


def _copied(index: Path, folder: Path, reach: dict[str, float], *, models: bool = False) -> Path:
    """A copy of the index, or (for one threshold) one of a single channel, with rules of reach besides."""
    target = folder / "copied"
    if models:
        corpus = index.parent / "corpus"
        options = IndexOptions(models=("block-means",), label_file=index.parent / "labels.csv", workers=1)
        build_index(str(corpus), target, options, Quiet())
    else:
        shutil.copytree(index, target)
    with Writer(target) as writer:
        writer.rule(check_rules(() if models else BANKS, reach))
    return target


def _before(index: Path) -> str | None:
    return require_current(index).parent
