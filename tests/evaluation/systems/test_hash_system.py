"""Hashes as systems of an audit, over the items of a real index."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from scenes import scene

from retr.attacks.harness import Effort, Subject, run_attack
from retr.attacks.media import as_pixels
from retr.attacks.registry import ATTACKS
from retr.attacks.target import Sees
from retr.core.errors import ModelError, UsageError
from retr.evaluation.systems import baselines
from retr.evaluation.systems.baselines import HASHES
from retr.evaluation.systems.hash_system import HashSystem, is_hash, open_hash, read_spec
from retr.evaluation.systems.hash_target import HashTarget
from retr.evaluation.systems.index_system import Item, System, gallery_items
from retr.evaluation.systems.retrieval_target import Aim
from retr.images.decode import load
from retr.images.policy import DecodePolicy
from retr.indexer.addresses import path_to_text

POLICY = DecodePolicy()
COUNT = 10


def write(folder: Path, images: list[np.ndarray]) -> list[Item]:
    items = []
    for number, image in enumerate(images):
        path = folder / f"{number:02d}.png"
        Image.fromarray(image).save(path)
        items.append(Item(f"id{number}", path_to_text(path), load(path, policy=POLICY).pixels_sha256))
    return items


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    return write(tmp_path_factory.mktemp("items"), [scene(seed, (48, 60)) for seed in range(COUNT)])


def opened(spec: str, items: list[Item]) -> HashSystem:
    pytest.importorskip(HASHES[read_spec(spec).hash].package, reason="optional: pip install 'retr[baselines]'")
    return open_hash(spec, items, policy=POLICY)


class TestSpec:
    def test_usual_thresholds(self) -> None:
        found = {spec: (read_spec(spec).threshold, read_spec(spec).text) for spec in HASHES}
        assert found == {"phash": (10, "phash"), "dhash": (10, "dhash"), "pdq": (31, "pdq")}

    def test_a_given_threshold(self) -> None:
        spec = read_spec("pdq:40")
        assert (spec.hash, spec.threshold, spec.given, spec.text) == ("pdq", 40, True, "pdq:40")
        assert read_spec("dhash:0").threshold == 0

    @pytest.mark.parametrize("spec", ["phash:", "phash:-1", "phash:64", "pdq:256", "dhash:1.5", "dhash:²", "ahash"])
    def test_nonsense_is_refused(self, spec: str) -> None:
        with pytest.raises(UsageError, match=r"a threshold of|no hash is called"):
            read_spec(spec)

    def test_names(self) -> None:
        assert [is_hash(text) for text in ("pdq", "phash:3", "timm:resnet50", "block-means:8")] == [
            True,
            True,
            False,
            False,
        ]


@pytest.mark.parametrize("name", list(HASHES))
class TestAnswers:
    def test_it_is_a_system(self, name: str, items: list[Item]) -> None:
        system: System = opened(name, items)
        assert (system.name, system.kind, system.certified) == (name, "hash", False)
        assert list(system.items()) == [item.id for item in items]
        facts = system.describe()
        assert facts["model"] == name
        assert facts["policy_digest"] == POLICY.digest
        assert len(facts["snapshot"]) == 16
        assert facts["threshold"] == f"{read_spec(name).threshold} of {HASHES[name].bits} bits"
        assert opened(name, items[:-1]).describe()["snapshot"] != facts["snapshot"]

    def test_every_item_finds_itself_and_nothing_is_certified(self, name: str, items: list[Item]) -> None:
        system = opened(name, items)
        queries = [as_pixels(load(Path(item.path), policy=POLICY).pixels) for item in items]
        for number, answer in enumerate(system.answer_many(queries, k=3, certify=True)):
            first = answer.matches[0]
            assert (first.group, first.id, first.distance, first.rank) == (number, f"id{number}", 0.0, 1)
            assert (answer.width, answer.height, len(answer.matches)) == (60, 48, 3)
            assert (answer.verdict, answer.point_verdict) == ("uncertified", "copy")
            assert answer.certificate is answer.copy is answer.not_a_copy is answer.eps is None
            assert answer.withheld == answer.verdict_because == f"{name} is uncertified: a hash has no proved radius"
            assert all(match.top1 is match.topk is match.copy is None for match in answer.matches)
            assert answer.thresholds[0]["source"] == "usual"
            assert answer.as_json("q")["matches"][0]["score"] == 0.0

    def test_order_is_by_hamming_distance_then_item_number(self, name: str, items: list[Item]) -> None:
        system = opened(name, [*items, items[0]])  # the last one has the hash of the first
        query = scene(77, (50, 50))
        bits = HASHES[name].apply(query)
        rows = [HASHES[name].apply(load(Path(item.path), policy=POLICY).pixels) for item in [*items, items[0]]]
        found = [int((bits != row).sum()) for row in rows]
        answer = system.answer_many([as_pixels(query)], k=99)[0]
        assert [(m.distance, m.group) for m in answer.matches] == sorted(zip(map(float, found), range(11), strict=True))
        assert [m.score for m in answer.matches] == [-m.distance for m in answer.matches]

    def test_the_threshold_is_inclusive(self, name: str, items: list[Item]) -> None:
        query = as_pixels(scene(77, (50, 50)))
        nearest = int(opened(name, items).answer_many([query], k=1)[0].matches[0].distance)
        verdicts = [
            opened(f"{name}:{nearest + more}", items).answer_many([query], k=1)[0].point_verdict for more in (-1, 0)
        ]
        assert verdicts == ["not-a-copy", "copy"]

    def test_a_float_image_is_answered_as_the_nearest_8_bit_image(self, name: str, items: list[Item]) -> None:
        system, image = opened(name, items), scene(3, (48, 60))
        off = np.random.default_rng(0).uniform(-0.49, 0.49, image.shape) / 255.0
        exact, near = system.answer_many([as_pixels(image), np.clip(as_pixels(image) + off, 0.0, 1.0)], k=COUNT)
        assert near == exact

    def test_attacked_through_the_harness_its_own_answers_say_lost(
        self, name: str, items: list[Item], tmp_path: Path
    ) -> None:
        """Saved, loaded, measured and judged, as float and as PNG: a copy is lost within RMSE 3."""
        system, images = opened(name, items), [scene(seed, (48, 60)) for seed in range(4)]
        eps = 3.0 / 255.0 * images[0].size ** 0.5
        outcomes = run_attack(
            ATTACKS["apgd-l2"],
            system.target([Aim(i, copy=True) for i in range(4)], "verdict", sees="gradient"),
            [Subject(image, eps, seed=i, stem=str(i)) for i, image in enumerate(images)],
            lambda pixels: system.answer_many(pixels, k=1),
            effort=Effort(steps=30),
            folder=tmp_path,
            policy=POLICY,
        )
        assert sum(outcome.claimed for outcome in outcomes) >= 3
        for medium in (0, 1):
            trials = [outcome.trials[medium] for outcome in outcomes]
            assert all(trial.distance.rmse <= 3.0 for trial in trials)
            assert sum(trial.verdict.point_verdict == "not-a-copy" for trial in trials) >= 3


def test_an_index_and_its_hash_number_items_alike(make_index) -> None:  # type: ignore[no-untyped-def]
    engine, _ = make_index(8, models=("block-means",))
    gallery = gallery_items(engine)
    system = open_hash("dhash", gallery, policy=engine.policy, workers=2)
    queries = [as_pixels(load(Path(item.path), policy=engine.policy).pixels) for item in gallery]
    ours, theirs = engine.answer_many(queries, k=1), system.answer_many(queries, k=1)
    assert [a.matches[0].group for a in ours] == [a.matches[0].group for a in theirs] == list(range(8))
    assert [a.matches[0].id for a in ours] == [a.matches[0].id for a in theirs]


def test_what_an_attack_may_see_decides_its_target(items: list[Item]) -> None:
    system = opened("dhash", items)
    x = torch.from_numpy(as_pixels(scene(0, (48, 60))).transpose(2, 0, 1).copy())[None].requires_grad_(True)
    aims, none = [Aim(0, copy=True)], torch.tensor([0])
    assert isinstance(system.target(aims, "verdict", sees="gradient"), HashTarget)
    differentiable = {s: system.target(aims, "verdict", sees=s).loss(x, none).requires_grad for s in get_args(Sees)}
    assert differentiable == {"gradient": True, "score": False, "decision": False}
    assert float(system.target(aims, "verdict", sees="score").loss(x, none)) == -10.5


class TestRefusals:
    def test_files_that_are_gone_or_changed(self, tmp_path: Path) -> None:
        items = write(tmp_path, [scene(seed, (20, 20)) for seed in range(6)])
        Path(items[1].path).unlink()
        Image.fromarray(scene(99, (20, 20))).save(items[4].path)
        with pytest.raises(
            UsageError, match=r"cannot hash 2 of 6 items: .*01\.png: not-found; .*04\.png: changed since"
        ):
            open_hash("phash", items, policy=POLICY)
        for item in items:
            Path(item.path).unlink(missing_ok=True)
        with pytest.raises(UsageError, match=r"6 of 6 items.* and 3 more"):
            open_hash("phash", items, policy=POLICY)

    def test_an_empty_gallery(self) -> None:
        with pytest.raises(UsageError, match="the index is empty"):
            open_hash("phash", [], policy=POLICY)

    def test_a_missing_package_is_named(self, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
        def absent(pixels: np.ndarray) -> np.ndarray:
            raise ImportError("No module named 'pdqhash'")

        monkeypatch.setitem(baselines.HASHES, "pdq", baselines.Hash("pdq", 256, absent, "pdqhash"))
        with pytest.raises(ModelError, match=r"pdq needs pdqhash: pip install 'retr\[baselines\]'"):
            open_hash("pdq", items, policy=POLICY)

    @pytest.mark.parametrize(
        "query", [np.zeros((4, 4)), np.zeros((4, 4, 4)), np.full((4, 4, 3), 1.01), np.full((4, 4, 3), np.nan)]
    )
    def test_bad_queries(self, query: np.ndarray, items: list[Item]) -> None:
        with pytest.raises(UsageError, match=r"a query is|pixels of a query"):
            opened("dhash", items).answer_many([query], k=1)

    def test_a_bad_k(self, items: list[Item]) -> None:
        with pytest.raises(UsageError, match="k must be at least 1, got 0"):
            opened("dhash", items).answer_many([], k=0)
