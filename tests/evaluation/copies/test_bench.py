"""The copy benchmark end to end on drawn images: counts, monotony, reuse, baselines, and what must be noticed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn import Killed, Quiet, Watcher
from PIL import Image
from rich.console import Console

from retr.attacks.media import Bytes, as_pixels
from retr.core.errors import IntegrityError, UsageError, WeightsUnavailable
from retr.core.units import Radius
from retr.embedding.model_file import load_model, save_model
from retr.evaluation.copies import asking, bench, queries
from retr.evaluation.copies import index as copy_index
from retr.evaluation.copies.bench import CopyResult, run_copy_bench
from retr.evaluation.copies.plan import CopyPlan
from retr.evaluation.copies.records import FORMAT, SCHEMA
from retr.evaluation.copies.summary import summarise
from retr.evaluation.systems import baselines
from retr.evaluation.systems.hash_system import HashSpec, HashSystem
from retr.evaluation.systems.hash_target import Hashed
from retr.evaluation.systems.index_system import EngineSystem, Item
from retr.images.policy import DecodePolicy
from retr.reports.copy_table import copy_json, copy_rows, family_tables, print_copies
from retr.retrieval.answer import Answer, Match
from retr.training.students import parse_student

FAMILIES = ("identity", "jpeg", "flip", "two")
ITEMS, DISTRACTORS = 14, 24


def draw(path: Path, seed: int) -> Path:
    coarse = np.random.default_rng(seed).integers(30, 226, (5, 4, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize((36, 44), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gallery/{a,b}: 14 items, one of them stored twice; distractors/: a shard of 20, 4 files, and no image."""
    home = tmp_path_factory.mktemp("copies")
    for seed in range(ITEMS):
        draw(home / "gallery" / ("a" if seed < 10 else "b") / f"{seed:02d}.png", seed)
    shutil.copy(home / "gallery" / "a" / "03.png", home / "gallery" / "b" / "again.png")
    (home / "gallery" / "notes.txt").write_text("no image")
    loose = [draw(home / "loose" / f"{seed}.png", seed) for seed in range(100, 120)]
    (home / "distractors").mkdir()
    with tarfile.open(home / "distractors" / "000.tar", "w") as shard:
        for path in loose:
            shard.add(path, arcname=path.name)
        shard.add(home / "gallery" / "notes.txt", arcname="100.txt")
    for seed in range(120, 124):
        draw(home / "distractors" / f"{seed}.png", seed)
    return home


@pytest.fixture(scope="module")
def plan(home: Path) -> CopyPlan:
    source = home / "distractors"
    return CopyPlan(
        gallery=str(home / "gallery"),
        distractors=(source,),
        negatives=source,
        models=("block-means",),
        families=FAMILIES,
        fpr=0.2,
        workers=1,
        out=home / "out",
        device="cpu",
        command="retr bench-copies",
    )


@pytest.fixture(scope="module")
def result(plan: CopyPlan) -> CopyResult:
    return run_copy_bench(plan, Quiet())


def table_of(result: CopyResult) -> list[dict[str, Any]]:
    return FORMAT.read(result.path).table.to_pylist()


def test_a_run_that_was_killed_ends_as_one_in_peace(
    plan: CopyPlan, result: CopyResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SEARCH_BATCH", 5)
    before = {path.parent for path in plan.out.glob("*/run.json")}
    with pytest.raises(Killed):
        run_copy_bench(plan, Watcher(12, of="queries"))
    (unfinished,) = {path.parent for path in plan.out.glob("*/run.json")} - before
    assert len(list((unfinished / "parts").iterdir())) == 3
    progress = Watcher(of="queries")
    resumed = run_copy_bench(replace(plan, resume=True), progress)
    assert resumed.path.parent == unfinished
    own = ("run", "seconds")
    bare = [[{k: v for k, v in row.items() if k not in own} for row in table_of(one)] for one in (resumed, result)]
    assert bare[0] == bare[1]
    asked = len({(row["query"], row["edit"]) for row in table_of(result)})
    assert (progress.before, progress.counted) == (15, asked - 15)


class TestFinished:
    """A run that is resumed when nothing is left to do is told again."""

    @pytest.fixture
    def asked(self, plan: CopyPlan, home: Path, tmp_path: Path) -> CopyPlan:
        shutil.copytree(home / "gallery" / "a", tmp_path / "gallery")
        changes = {"gallery": str(tmp_path / "gallery"), "families": ("jpeg",), "out": tmp_path / "runs"}
        asked = replace(plan, **changes, negatives=None, distractors=())
        run_copy_bench(asked, Quiet())
        return replace(asked, resume=True)

    def test_from_its_records(self, asked: CopyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bench, "open_index", None)
        again = run_copy_bench(asked, Quiet())
        assert again.stored
        assert [file.parent for file in asked.out.glob("*/run.json")] == [again.path.parent]
        assert again.index.is_dir()
        assert set(again.seconds) == {"index", "thresholds and baselines", "queries"}
        assert len(copy_rows(again)) == 3

    def test_other_images_or_models_are_no_longer_the_same_run(
        self, asked: CopyPlan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not run_copy_bench(replace(asked, models=("block-means:2",)), Quiet()).stored
        with monkeypatch.context() as other:
            other.setattr(bench, "digests_of", lambda _: ["0"])
            with pytest.raises(UsageError, match="its models changed since; begin a new run instead"):
                run_copy_bench(asked, Quiet())
        draw(Path(asked.gallery) / "00.png", 99)
        with pytest.raises(UsageError, match="its images changed since"):
            run_copy_bench(asked, Quiet())


class TestCounts:
    def test_every_item_under_every_family_and_half_of_the_negatives(self, result: CopyResult) -> None:
        rows = table_of(result)
        assert len(rows) == ITEMS * len(FAMILIES) + 6
        assert {f.family: f.queries for f in result.summary.systems[0].families} == dict.fromkeys(FAMILIES, ITEMS)
        assert {row["edit"] for row in rows} == {*FAMILIES, "none"}

    def test_what_is_stored(self, result: CopyResult) -> None:
        stored = result.summary.systems[0].stored
        assert (stored["items"], stored["gallery_rows"], stored["rows"]) == (ITEMS, ITEMS + 1, ITEMS + 1 + 12)
        assert stored["rejected"] == 1
        assert stored["bytes_per_item"] == pytest.approx((ITEMS + 1) * 768 * 4 / ITEMS)

    def test_negatives_are_halved_twice(self, result: CopyResult) -> None:
        assert result.summary.negatives == {"setting": 6, "measuring": 6, "present": 0, "refused": 0, "known_copies": 0}
        threshold = result.summary.systems[0].stored["thresholds"][0]
        assert (threshold["source"], threshold["samples"]) == ("calibrated", 6)
        negatives = {row["query"] for row in table_of(result) if row["edit"] == "none"}
        first = {row["first_path"] for row in table_of(result)}
        assert negatives
        assert not negatives & first

    def test_thresholds_are_local_unless_told_otherwise(
        self, plan: CopyPlan, result: CopyResult, tmp_path: Path
    ) -> None:
        (threshold,) = result.summary.systems[0].stored["thresholds"]
        assert threshold["gaps"] is not None
        plain = run_copy_bench(replace(plan, thresholds="global", families=("jpeg",), out=tmp_path), Quiet())
        (other,) = plain.summary.systems[0].stored["thresholds"]
        assert other["gaps"] is None
        assert (threshold["share"] is None, other["share"] is None) == (False, True)
        assert plain.summary.plan["thresholds"] == "global"
        with pytest.raises(UsageError, match="thresholds are local, global or reference, not 'none'"):
            replace(plan, thresholds="none")

    def test_thresholds_may_be_those_of_the_index_as_it_comes(self, plan: CopyPlan, tmp_path: Path) -> None:
        asked = replace(plan, thresholds="reference", fpr=1e-9, families=("identity",), out=tmp_path)
        found = run_copy_bench(replace(asked, baselines=("phash",)), Quiet())
        own, hashed = found.summary.systems
        (threshold,) = own.stored["thresholds"]
        assert (threshold["source"], threshold["offset"], threshold["share"] is None) == ("reference", None, False)
        assert own.mean.verdict == 1.0
        assert hashed.mean.verdict is None  # a hash has no threshold before it is calibrated
        assert (found.summary.negatives["setting"], found.summary.negatives["measuring"]) == (0, 12)
        assert own.negatives is not None
        assert own.negatives.queries == 12
        titles = [str(table.title) for table in family_tables(found.summary)]
        assert titles[1].endswith("at the thresholds of the index as it comes")

    def test_numbers_are_those_of_the_records(self, result: CopyResult) -> None:
        rows = [row for row in table_of(result) if row["edit"] == "two"]
        line = next(f for f in result.summary.systems[0].families if f.family == "two")
        found = [row for row in rows if row["rank"] == 1]
        assert line.scores.recall == len(found) / ITEMS
        assert line.scores.certified[2] == sum(row["rmse_top1"] >= 2.0 for row in found) / ITEMS
        accepted = [row for row in found if row["accepted"]]
        assert line.scores.verdict == len(accepted) / ITEMS
        assert line.scores.verdict_certified is not None
        assert line.scores.verdict_certified[1] == sum(row["rmse_verdict"] >= 1.0 for row in accepted) / ITEMS

    def test_the_mean_counts_families_alike_and_the_worst_is_the_least(self, result: CopyResult) -> None:
        line = result.summary.systems[0]
        recalls = [f.scores.recall for f in line.families]
        assert line.mean.recall == pytest.approx(np.mean(recalls))
        assert line.worst.recall == min(recalls)
        assert line.worst_families[0] == "flip"
        assert line.interval[0] < line.mean.recall < line.interval[1]


class TestLaws:
    def test_the_identity_is_always_found(self, result: CopyResult) -> None:
        line = result.summary.systems[0].families[0]
        assert line.family == "identity"
        assert line.scores.recall == 1.0
        assert line.scores.verdict == 1.0

    def test_certified_falls_with_the_budget_and_never_exceeds_clean(self, result: CopyResult) -> None:
        for family in result.summary.systems[0].families:
            scores = family.scores
            assert scores.verdict is not None
            assert scores.verdict_certified is not None
            for chain in ((scores.recall, *scores.certified), (scores.verdict, *scores.verdict_certified)):
                assert list(chain) == sorted(chain, reverse=True)
            assert scores.verdict <= scores.recall

    def test_claims_were_recomputed_by_brute_force(self, result: CopyResult) -> None:
        line = result.summary.systems[0]
        assert 0 < line.checked <= asking.CHECKS
        assert result.summary.refuted == 0

    def test_a_query_answered_alone_gets_the_recorded_radius(self, result: CopyResult) -> None:
        from retr.retrieval.engine import Engine

        row = next(row for row in table_of(result) if row["edit"] == "identity")
        pixels = np.asarray(Image.open(row["query"]).convert("RGB")).astype(np.float64) / 255.0
        answer = Engine.open(result.index, device="cpu").answer(pixels, k=1, certify=True)
        assert answer.matches[0].top1 is not None
        assert answer.matches[0].top1.l2 == row["radius_top1"]
        assert answer.matches[0].copy is not None
        assert answer.matches[0].copy.l2 == row["radius_verdict"]


class TestSeedsAndReuse:
    def test_the_same_plan_gives_the_same_records_on_the_kept_index(self, plan: CopyPlan, result: CopyResult) -> None:
        progress = Watcher()
        again = run_copy_bench(plan, progress)
        assert progress.said == ["reading negatives", "queries"]
        assert again.index == result.index
        volatile = {"run", "seconds"}
        first, second = (
            [{k: v for k, v in r.items() if k not in volatile} for r in table_of(x)] for x in (result, again)
        )
        assert first == second

    def test_another_seed_draws_other_edits_and_other_halves(self, plan: CopyPlan, result: CopyResult) -> None:
        other = run_copy_bench(replace(plan, seed=1, families=("jpeg",)), Quiet())
        quality = [[r["parameters"] for r in table_of(x) if r["edit"] == "jpeg"] for x in (result, other)]
        assert quality[0] != quality[1]
        assert other.index != result.index

    def test_fewer_queries_are_drawn_from_every_folder(self, plan: CopyPlan) -> None:
        drawn = run_copy_bench(replace(plan, queries=7, families=("identity", "jpeg")), Quiet())
        rows = [row for row in table_of(drawn) if row["edit"] == "jpeg"]
        assert len(rows) == 7
        assert sum("/gallery/a/" in row["query"] for row in rows) == 5
        others = [row for row in table_of(drawn) if row["edit"] == "identity"]
        assert {row["query"] for row in rows} != {row["query"] for row in others}

    def test_an_unfinished_index_is_made_anew(self, plan: CopyPlan, result: CopyResult) -> None:
        (result.index / "benchmark.json").unlink()
        progress = Watcher()
        run_copy_bench(replace(plan, families=("identity",), queries=2), progress)
        assert "indexing" in progress.said


class TestSeveral:
    def test_views_are_stored_for_the_gallery_alone(self, plan: CopyPlan, result: CopyResult) -> None:
        flipped = run_copy_bench(replace(plan, views="flip", families=("flip",)), Quiet())
        line = flipped.summary.systems[0]
        assert line.mean.recall == 1.0 > result.summary.systems[0].worst.recall
        assert line.stored["rows"] == 2 * (ITEMS + 1) + 12
        assert line.stored["bytes_per_item"] == 2 * result.summary.systems[0].stored["bytes_per_item"]
        same = run_copy_bench(replace(plan, views="flip", distractor_views="same", families=("flip",)), Quiet())
        assert same.summary.systems[0].stored["rows"] == 2 * (ITEMS + 1 + 12)

    def test_two_channels_and_a_foreign_baseline(self, plan: CopyPlan) -> None:
        several = replace(
            plan,
            models=("block-means", "block-means:8"),
            baselines=("block-means", "timm:test_resnet#random"),
            families=("identity", "two"),
            queries=4,
            fpr=0.4,
        )
        result = run_copy_bench(several, Quiet())
        both, one, foreign = result.summary.systems
        assert both.system == "block-means+block-means:8"
        assert (both.certified, one.certified, foreign.certified) == (True, True, False)
        assert result.summary.refuted == 0
        assert both.checked > 0
        assert foreign.mean.certified == (0.0,) * 5
        assert foreign.families[0].scores.recall == 1.0
        assert foreign.mean.verdict is not None

    def test_smaller_rows(self, plan: CopyPlan, result: CopyResult) -> None:
        small = run_copy_bench(replace(plan, rows="int8", families=("identity", "jpeg")), Quiet())
        line, full = small.summary.systems[0], result.summary.systems[0]
        assert line.stored["bytes_per_item"] == full.stored["bytes_per_item"] / 4
        assert line.families[0].scores.recall == 1.0
        assert line.checked > 0 == line.refuted

    def test_without_negatives_there_are_no_verdicts(self, plan: CopyPlan) -> None:
        result = run_copy_bench(replace(plan, negatives=None, families=("jpeg",)), Quiet())
        line = result.summary.systems[0]
        assert (line.mean.verdict, line.mean.uap, line.negatives) == (None, None, None)
        assert line.mean.certified[0] > 0
        assert line.stored["rows"] == ITEMS + 1 + DISTRACTORS


@pytest.mark.usefixtures("kept_proofs")
class TestBaselines:
    def test_two_runs_of_one_architecture_are_told_apart(self, plan: CopyPlan, tmp_path: Path) -> None:
        student = parse_student("retr_s:image=16,widths=16+32,depths=1+1,dim=16")
        files = [str(tmp_path / f"{seed}.safetensors") for seed in range(3)]
        for seed, file in zip((0, 1, 0), files, strict=True):
            save_model(student.shipped(student.network(seed), "cosine"), Path(file), {}, training={})
        result = run_copy_bench(
            replace(plan, models=(files[0],), baselines=(files[1],), families=("identity",)), Quiet()
        )
        names = [f"{load_model(Path(f)).name}@{load_model(Path(f)).digest[:6]}" for f in files[:2]]
        assert [line.system for line in result.summary.systems] == names
        assert {row["model"] for row in table_of(result)} == set(names)
        twice = replace(plan, models=(files[0],), baselines=(files[2],), families=("identity",))
        with pytest.raises(UsageError, match="given twice"):
            run_copy_bench(twice, Quiet())

    def test_two_runs_of_one_architecture_are_two_channels(self, plan: CopyPlan, tmp_path: Path) -> None:
        student = parse_student("retr_s:image=16,widths=16+32,depths=1+1,dim=16")
        files = [str(tmp_path / f"{seed}.safetensors") for seed in range(2)]
        for seed, file in enumerate(files):
            save_model(student.shipped(student.network(seed), "cosine"), Path(file), {}, training={})
        result = run_copy_bench(replace(plan, models=tuple(files), families=("identity",), fpr=0.4), Quiet())
        names = [f"{load_model(Path(f)).name}@{load_model(Path(f)).digest[:6]}" for f in files]
        assert [line.system for line in result.summary.systems] == ["+".join(names)]
        assert [one["channel"] for one in result.summary.systems[0].stored["thresholds"]] == names

    @pytest.mark.parametrize("name", list(baselines.HASHES))
    def test_hashes_find_what_is_hardly_changed(self, plan: CopyPlan, name: str) -> None:
        pytest.importorskip(baselines.HASHES[name].package, reason="an optional package: pip install 'retr[baselines]'")
        result = run_copy_bench(replace(plan, baselines=(name,), families=("identity", "flip")), Quiet())
        line = result.summary.systems[1]
        assert line.families[0].scores.recall == 1.0
        assert line.families[1].scores.recall < 0.6
        assert line.mean.certified == (0.0,) * 5
        assert line.stored["bytes_per_item"] == baselines.HASHES[name].bits / 8
        assert line.stored["rows"] == ITEMS + 1 + 12
        assert line.checked == 0

    def test_the_nearest_is_by_hamming_distance_and_ties_go_to_the_first_row(self) -> None:
        def bits(pixels: Bytes) -> np.ndarray:
            return np.unpackbits(pixels[0, :8, 0]).astype(np.bool_)

        words = [[0] * 8, [255] * 8, [15] + [0] * 7, [240] + [0] * 7]
        rows = np.stack([baselines.pack(np.unpackbits(np.array(w, dtype=np.uint8)).astype(np.bool_)) for w in words])
        chosen = baselines.Hash("test", 64, bits, "numpy")
        spec, catalog = HashSpec("test", -1, given=False), tuple(Item(name, name, name) for name in "abcd")
        system = HashSystem(spec, Hashed(chosen, rows, -1), catalog, DecodePolicy())
        query = np.zeros((1, 8, 3), dtype=np.uint8)
        query[0, 0] = 0b11111111
        answer = system.answer_many([as_pixels(query)], k=1)[0]
        assert (system.pixels_of(answer.matches[0].group), answer.matches[0].score) == ("c", -4.0)
        assert (answer.point_verdict, system.has_verdicts) == ("not-a-copy", False)
        query[0, 0] = 0b11111110
        assert system.answer_many([as_pixels(query)], k=1)[0].matches[0].path == "d"
        negatives = [np.full((1, 8, 3), level, dtype=np.uint8) for level in (0b111, 0b1, 0b11, 0b11111)]
        assert system.calibrate([negatives], fpr=0.5).threshold == 15  # distances 8, 16, 24, 24: below the second
        with pytest.raises(UsageError, match="4 negatives cannot support"):
            system.calibrate([negatives], fpr=0.1)

    def test_a_baseline_that_cannot_be_had_is_left_out_with_the_reason(
        self, plan: CopyPlan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def absent(pixels: Bytes) -> np.ndarray:
            raise ImportError("No module named 'pdqhash'")

        describe = copy_index.describe_channel

        def described(spec: str, **told: Any) -> Any:
            if spec not in plan.models:
                raise WeightsUnavailable(f"{spec}: its weights are not here")
            return describe(spec, **told)

        monkeypatch.setitem(baselines.HASHES, "pdq", baselines.Hash("pdq", 256, absent, "pdqhash"))
        monkeypatch.setattr(copy_index, "describe_channel", described)
        chosen = replace(plan, baselines=("pdq", "timm:resnet50"), families=("identity",))
        result = run_copy_bench(chosen, Quiet())
        assert [line.system for line in result.summary.systems] == ["block-means"]
        assert set(result.absent) == {"pdq", "timm:resnet50"}
        needed = "pdq needs pdqhash: pip install 'retr[baselines]' (No module named 'pdqhash')"
        assert result.skipped == {needed: 1, "timm:resnet50: its weights are not here": 1}
        with pytest.raises(WeightsUnavailable, match="timm:resnet50"):
            run_copy_bench(replace(plan, models=("timm:resnet50",), families=("identity",)), Quiet())


def plant(monkeypatch: pytest.MonkeyPatch, fault: Callable[[EngineSystem, Match], Match]) -> None:
    """Change the matches of every answer of an index."""
    honest = EngineSystem.answer_many

    def boasting(self: EngineSystem, images: Any, **told: Any) -> list[Answer]:
        answers = honest(self, images, **told)
        return [replace(one, matches=tuple(fault(self, match) for match in one.matches)) for one in answers]

    monkeypatch.setattr(EngineSystem, "answer_many", boasting)


class TestFaults:
    """What is wrong must be noticed."""

    @pytest.mark.parametrize("models", [("block-means",), ("block-means", "block-means:8")])
    @pytest.mark.parametrize("factor", [1.0, 1.01, 3.0])
    def test_a_planted_radius_is_refuted(
        self, plan: CopyPlan, monkeypatch: pytest.MonkeyPatch, factor: float, models: tuple[str, ...]
    ) -> None:
        def larger(radius: Radius | None) -> Radius | None:
            return None if radius is None else Radius(radius.l2 * factor, radius.values)

        plant(monkeypatch, lambda _, match: replace(match, top1=larger(match.top1)))
        views = "flip" if len(models) > 1 else "none"
        chosen = replace(plan, models=models, views=views, fpr=0.4, families=("identity", "flip"))
        assert (run_copy_bench(chosen, Quiet()).summary.refuted > 0) == (factor > 1.0)

    def test_a_planted_verdict_radius_is_refuted(self, plan: CopyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
        def larger(radius: Radius | None) -> Radius | None:
            return None if radius is None else Radius(1.02 * radius.l2 + 0.001, radius.values)

        plant(monkeypatch, lambda _, match: replace(match, copy=larger(match.copy)))
        assert run_copy_bench(replace(plan, families=("jpeg",)), Quiet()).summary.refuted > 0

    def test_another_first_item_is_refuted(self, plan: CopyPlan, monkeypatch: pytest.MonkeyPatch) -> None:
        plant(monkeypatch, lambda system, match: replace(match, group=len(system.items()) - 1))
        assert run_copy_bench(replace(plan, families=("jpeg",)), Quiet()).summary.refuted > 0

    @pytest.mark.parametrize(
        ("column", "value"), [("rmse_top1", 99.0), ("rank", 1), ("accepted", True), ("edit", "jpeg")]
    )
    def test_an_edited_record_is_refused(self, result: CopyResult, tmp_path: Path, column: str, value: object) -> None:
        table = pq.read_table(result.path)
        place = next(i for i, v in enumerate(table[column].to_pylist()) if v != value)
        changed = [value if i == place else v for i, v in enumerate(table[column].to_pylist())]
        index = table.schema.get_field_index(column)
        edited = table.set_column(index, table.schema.field(column), pa.array(changed, table.schema.field(column).type))
        pq.write_table(edited.replace_schema_metadata(table.schema.metadata), tmp_path / "edited.parquet")
        with pytest.raises(IntegrityError, match="was changed after it was written"):
            FORMAT.read(tmp_path / "edited.parquet")

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"rmse_top1": 99.0}, "radius_top1 and rmse_top1 are not the same"),
            ({"radius_top1": 1e6, "rmse_top1": 1e6}, "longer than any two images are apart"),
            ({"radius_verdict": None}, "one unit only"),
            ({"rank": None}, "its rank, against the first item"),
            ({"withheld": "no proof"}, "where the certificate is withheld"),
            ({"accepted": None}, "without a verdict"),
        ],
    )
    def test_a_record_that_contradicts_itself_is_refused(
        self, result: CopyResult, tmp_path: Path, changes: dict[str, object], why: str
    ) -> None:
        records = FORMAT.read(result.path)
        rows = records.table.to_pylist()
        FORMAT.write(tmp_path / "r.parquet", FORMAT.table([{**rows[0], **changes}, *rows[1:]]), records.facts)
        with pytest.raises(IntegrityError, match=f"record 0 contradicts itself: .*{why}"):
            FORMAT.read(tmp_path / "r.parquet")

    def test_other_files_are_no_records(self, tmp_path: Path) -> None:
        (tmp_path / "a.parquet").write_bytes(b"no parquet")
        with pytest.raises(IntegrityError, match="cannot be read"):
            FORMAT.read(tmp_path / "a.parquet")
        pq.write_table(pa.table({"a": [1]}), tmp_path / "b.parquet")
        with pytest.raises(IntegrityError, match="holds no records"):
            FORMAT.read(tmp_path / "b.parquet")


def negatives(**counted: int) -> dict[str, int]:
    """What a summary says of the negatives."""
    return dict.fromkeys(("setting", "measuring", "present", "refused", "known_copies"), 0) | counted


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"gallery": "-"}, "more than once"),
            ({"gallery": "nowhere"}, "no such corpus"),
            ({"families": ("melt",)}, "no edit family is called 'melt'"),
            ({"families": ()}, "families needs"),
            ({"queries": 0}, "queries must be at least 1"),
            ({"epsilons": ()}, "epsilons takes different numbers"),
            ({"epsilons": (2.0, 1.0)}, "epsilons must rise, got 2, 1"),
            ({"fpr": 1.5}, "fpr must lie"),
            ({"fpr": 1e-3}, "12 negatives; a false-match rate of 0.001 over 1 channel.* needs 1998"),
            ({"views": "all"}, "unknown view set 'all'"),
            ({"distractor_views": "all"}, "unknown view set 'all' for distractors; choose none, flip, .*same"),
            ({"rows": "int3"}, "int3"),
            ({"baselines": ("block-means",)}, "block-means is the model itself"),
            ({"models": ("nonsense",)}, "unknown model 'nonsense'"),
            ({"workers": 0}, "workers must be at least 1"),
            ({"seed": -1}, "seed must be at least 0"),
            ({"known_copies": Path("pairs.csv"), "negatives": None}, "known_copies is about negatives"),
            ({"known_copies": Path("nowhere.csv")}, "nowhere.csv cannot be read"),
            ({"measuring": Path("x"), "negatives": None}, "images apart from those that set thresholds"),
            ({"measuring": Path("x"), "thresholds": "reference"}, "images apart from those that set thresholds"),
        ],
    )
    def test_it_is_named(self, plan: CopyPlan, change: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            run_copy_bench(replace(plan, **change), Quiet())

    def test_a_gallery_of_shards_or_around_the_output(self, plan: CopyPlan, home: Path) -> None:
        with pytest.raises(UsageError, match=r"000\.tar is an archive"):
            run_copy_bench(replace(plan, gallery=str(home / "distractors")), Quiet())
        with pytest.raises(UsageError, match="lies inside the gallery"):
            replace(plan, out=home / "gallery" / "out")

    def test_a_shard_that_is_none(self, plan: CopyPlan, tmp_path: Path) -> None:
        (tmp_path / "bad.tar").write_bytes(b"x" * 600)
        with pytest.raises(UsageError, match="cannot be read as an uncompressed tar shard"):
            run_copy_bench(replace(plan, distractors=(tmp_path / "bad.tar",)), Quiet())

    def test_negatives_that_are_stored_are_left_out(self, plan: CopyPlan, home: Path, tmp_path: Path) -> None:
        shutil.copytree(home / "loose", tmp_path / "absent")
        shutil.copy(home / "gallery" / "a" / "00.png", tmp_path / "absent")
        (tmp_path / "absent" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        change = replace(plan, distractors=(), negatives=tmp_path / "absent", families=("identity",))
        result = run_copy_bench(change, Quiet())
        assert result.summary.negatives == negatives(setting=10, measuring=10, present=1, refused=1)

    def test_negatives_with_a_known_copy_in_the_gallery_are_left_out(self, plan: CopyPlan, home: Path) -> None:
        listed = home / "pairs.csv"
        first, second = "loose/100.png", "loose/101.png"
        listed.write_text(f"image,copy_of,relation\na/00.png,{first},flipped\n{second},elsewhere/9.png,same\n")
        change = replace(plan, distractors=(), negatives=home / "loose", known_copies=listed, families=("identity",))
        result = run_copy_bench(change, Quiet())
        assert result.summary.negatives == negatives(setting=9, measuring=10, known_copies=1)
        assert not [row for row in table_of(result) if row["query"].endswith(first)]
        assert result.summary.plan["known_copies"] == str(listed)

    def test_negatives_that_only_measure(self, plan: CopyPlan, home: Path, tmp_path: Path) -> None:
        """All of the others set thresholds, so half as many are enough; one of theirs measures nothing."""
        apart = tmp_path / "apart"
        for seed in range(120, 124):
            draw(apart / f"{seed}.png", seed)
        shutil.copy(home / "loose" / "100.png", apart)
        changes = {"distractors": (), "negatives": home / "loose", "families": ("identity",), "fpr": 0.048}
        few = replace(plan, **changes)
        with pytest.raises(UsageError, match=r"gives 20 negatives; .* needs 40, half of them to set the thresholds"):
            run_copy_bench(few, Quiet())
        with pytest.raises(UsageError, match=r"needs 21, all of them to set the thresholds"):
            run_copy_bench(replace(few, measuring=apart, fpr=0.047), Quiet())
        result = run_copy_bench(replace(few, measuring=apart), Quiet())
        assert result.summary.negatives == negatives(setting=20, measuring=4, present=1)
        measured = {Path(row["query"]).name for row in table_of(result) if row["edit"] == "none"}
        assert measured == {f"{seed}.png" for seed in range(120, 124)}
        with pytest.raises(UsageError, match="cannot measure: it is stored or sets thresholds"):
            replace(few, measuring=home / "loose")
        with pytest.raises(UsageError, match="cannot measure: it is stored or sets thresholds"):
            replace(few, measuring=home / "loose" / "inside")
        only = tmp_path / "only"
        only.mkdir()
        shutil.copy(home / "loose" / "100.png", only)
        with pytest.raises(UsageError, match="has no image to measure with"):
            run_copy_bench(replace(few, measuring=only, out=tmp_path / "none"), Quiet())


class TestReport:
    def test_the_tables_name_every_family_and_every_system(self, result: CopyResult) -> None:
        console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        print_copies(result, console)
        text = console.export_text()
        console.file.close()
        assert all(name in text for name in (*FAMILIES, "mean", "worst", "block-means", "0 claims refuted"))
        negatives = [line for line in text.split("Copies of nothing")[1].splitlines() if "block-means" in line]
        assert [cell.strip() for cell in negatives[0].split("│")][2] == "6"

    def test_json_and_rows(self, result: CopyResult) -> None:
        body = json.loads(json.dumps(copy_json(result), allow_nan=False))
        assert body["schema"] == "retr.copies/1"
        rows = copy_rows(result)
        assert [row["family"] for row in rows] == [*FAMILIES, "mean", "worst"]
        assert rows[0]["recall"] == 1.0
        assert {"certified_0.5", "verdict_certified_5", "bytes_per_item", "uap"} <= rows[0].keys()

    def test_the_summary_is_made_of_the_records_alone(self, result: CopyResult) -> None:
        assert summarise(FORMAT.read(result.path)).as_json() == result.summary.as_json()


def test_the_schema_says_what_every_column_is() -> None:
    assert all(field.metadata[b"meaning"] for field in SCHEMA)
    assert importlib.util.find_spec("imagehash") is not None  # part of dev


def test_edits_with_proof_have_a_column_for_each_family(plan: CopyPlan, tmp_path: Path) -> None:
    asked = replace(plan, out=tmp_path, queries=2, families=("identity", "jpeg"), against=("jpeg:90..95",), on_top=0.5)
    found = run_copy_bench(asked, Quiet())
    assert found.edits is not None
    assert {(line.edit, line.family) for line in found.edits.by_edit} >= {("identity", "jpeg:90..95")}
    console = Console(record=True, width=120)
    print_copies(found, console)
    assert "Edits with proof" in console.export_text()
    assert copy_json(found)["edits_with_proof"]["lines"]
    assert "against" in asked.as_json()
    assert "against" not in plan.as_json()
    with pytest.raises(UsageError, match="unknown family"):
        replace(plan, against=("hue",))
