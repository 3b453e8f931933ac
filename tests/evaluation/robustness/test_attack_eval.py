from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from drawn import Quiet
from made_records import certified_first
from PIL import Image

from retr.attacks.media import as_pixels, measure
from retr.core.errors import UsageError
from retr.core.units import Radius
from retr.evaluation.robustness.attack_eval import OUT_OF_TIME, run_attack_eval
from retr.evaluation.robustness.plan import DEFAULT_EDITS, AuditPlan
from retr.evaluation.robustness.records import FORMAT
from retr.images.decode import load
from retr.retrieval.engine import Engine

CHANGING = {"run", "versions", "command", "seconds", "image"}


@pytest.fixture(scope="module")
def index(make_index):
    return make_index(12)


def rows(result):
    return FORMAT.read(result.records).table.to_pylist()


def stable(result):
    return [{k: v for k, v in row.items() if k not in CHANGING} for row in rows(result)]


def test_self_edits_at_budgets(index, tmp_path):
    engine, _ = index
    seen = Quiet()
    plan = AuditPlan(
        sample=4,
        edits=("identity", "jpeg", "crop"),
        attacks=("pgd-l2", "apgd-linf"),
        budgets=(1.0, 60.0),
        steps=5,
        out=tmp_path / "a",
        command="retr attack-eval",
    )
    result = run_attack_eval(engine, plan, progress=seen)
    summary, records = result.summary, rows(result)
    assert len(records) == 4 * 3 * (1 + 2 * 2 * 2)
    assert (summary.queries, summary.files, summary.alarms, result.skipped) == (12, 4, 0, {})
    assert seen.done == seen.total == 4 * 3 * 2 * 2
    low, high = summary.budgets
    assert (low.budget, high.budget) == (1.0, 60.0)
    for line in summary.budgets:
        assert certified_first(line) <= line.attacked.first.value <= line.clean.first.value <= line.clean.top10.value
    assert low.attacked.first.value > high.attacked.first.value == 0.0
    assert certified_first(high) == 0.0
    assert low.certificates > 0
    for row in records:
        if row["attack"] != "clean":
            assert (row["l2"] if row["norm"] == "l2" else row["linf"]) <= row["eps"]
            assert row["within_top1"] == (row["l2"] < row["radius_top1"])
            assert row["command"] == "retr attack-eval"
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["records.parquet", "run.json"]


def test_at_multiples_of_the_radius_nothing_falls_inside_and_much_outside(index, tmp_path):
    engine, _ = index
    plan = AuditPlan(
        sample=6,
        edits=("identity", "brightness"),
        attacks=("apgd-l2",),
        goals=("evasion", "verdict"),
        at_radius=(0.5, 0.99, 0.999, 1.5, 3.0),
        restarts=2,
        out=tmp_path / "a",
    )
    result = run_attack_eval(engine, plan)
    summary = result.summary
    assert summary.budgets == ()
    assert summary.alarms == 0
    inside, outside = summary.multiples[:3], summary.multiples[3:]
    for line in inside:
        assert line.success_float == line.success_png == 0.0
        assert line.certificates >= 2 * line.queries
    assert outside[1].success_float >= 0.9
    assert {line.goal for line in summary.attacks} == {"evasion", "verdict"}
    for row in rows(result):
        if row["goal"] in ("evasion", "verdict"):
            radius = row["radius_top1"] if row["goal"] == "evasion" else row["radius_verdict"]
            assert row["eps"] == pytest.approx(row["budget"] * radius)


class Boastful(Engine):
    """The real engine with a planted fault: every certified radius is said to be four times what is proved."""

    def answer_many(self, images, **options):
        return [self._boast(answer) for answer in super().answer_many(images, **options)]

    @staticmethod
    def _boast(answer):
        def larger(radius):
            return None if radius is None else Radius(4 * radius.l2, radius.values)

        matches = tuple(replace(m, top1=larger(m.top1), topk=larger(m.topk)) for m in answer.matches)
        return replace(answer, matches=matches, copy=larger(answer.copy), not_a_copy=larger(answer.not_a_copy))


def test_a_planted_lie_raises_alarms_and_its_images_are_kept(index, tmp_path):
    honest, _ = index
    engine = Boastful(honest.path, honest.gallery, honest.channels, honest.policy)
    plan = AuditPlan(sample=3, edits=("identity",), attacks=("apgd-l2",), at_radius=(0.9,), out=tmp_path / "a")
    result = run_attack_eval(engine, plan)
    assert result.summary.alarms > 0
    alarmed = [row for row in rows(result) if row["alarm"]]
    assert len(alarmed) == result.summary.alarms
    assert {"float", "png"} == {row["medium"] for row in alarmed}
    for row in alarmed:
        assert row["success"]
        assert "top1" in row["alarm_kind"]
        kept = tmp_path / "a" / row["image"]
        clean = as_pixels(load(row["query"], policy=engine.policy).pixels)
        pixels = np.load(kept) if row["medium"] == "float" else as_pixels(load(kept, policy=engine.policy).pixels)
        assert measure(clean, pixels).l2 == row["l2"]
        assert engine.answer(pixels).matches[0].id == row["attacked_item"]


@pytest.mark.parametrize(("keep", "images"), [("none", 0), ("all", 2 * 3)])
def test_what_is_kept(index, tmp_path, keep, images):
    engine, _ = index
    plan = AuditPlan(
        sample=2, edits=("identity",), attacks=("pgd-linf",), budgets=(1.0,), steps=2, keep=keep, out=tmp_path / "a"
    )
    result = run_attack_eval(engine, plan)
    files = [p for p in (tmp_path / "a").rglob("*") if p.is_file() and p.name not in ("records.parquet", "run.json")]
    assert len(files) == images
    assert {str(p.relative_to(tmp_path / "a")) for p in files} == {
        r[column] for r in rows(result) for column in ("image", "clean_image") if r["image"]
    }


def test_same_seed_same_records(index, tmp_path):
    engine, _ = index
    plan = AuditPlan(sample=3, edits=("noise",), budgets=(2.0,), steps=4, seed=5, out=tmp_path / "a")
    first = run_attack_eval(engine, plan)
    second = run_attack_eval(engine, replace(plan, out=tmp_path / "b"))
    other = run_attack_eval(engine, replace(plan, seed=6, out=tmp_path / "c"))
    assert stable(first) == stable(second)
    assert stable(first) != stable(other)
    with pytest.raises(UsageError, match="already holds"):
        run_attack_eval(engine, plan)


def test_given_queries_by_name_and_by_table(index, tmp_path):
    engine, corpus = index
    folder = tmp_path / "queries"
    folder.mkdir()
    for name, source in (("003.webp", "003.png"), ("004.jpg", "004.png"), ("stranger.png", "005.png")):
        Image.open(corpus / source).convert("RGB").save(folder / name)
    (folder / "006.png").write_bytes(b"no image")
    queries = tuple(str(p) for p in sorted(folder.iterdir()))
    plan = AuditPlan(queries=queries, attacks=("pgd-l2",), budgets=(0.5,), steps=1, out=tmp_path / "a")
    by_name = run_attack_eval(engine, plan)
    assert by_name.summary.files == 2
    assert by_name.summary.clean1 == 1.0
    assert by_name.skipped == {"not-an-image": 1, "no item is named 'stranger'": 1}
    table = tmp_path / "pairs.csv"
    table.write_text("query,truth\nstranger.png,005.png\n003.webp,004.png\n")
    by_table = run_attack_eval(engine, replace(plan, truth=table, out=tmp_path / "b"))
    assert by_table.summary.files == 2
    assert by_table.summary.clean1 == 0.5
    assert [row["edit"] for row in rows(by_table)] == ["identity"] * 6


def test_vanished_and_changed_files_are_counted(make_index, tmp_path):
    engine, corpus = make_index(4)
    (corpus / "000.png").unlink()
    Image.open(corpus / "002.png").convert("RGB").save(corpus / "001.png")
    plan = AuditPlan(sample=None, edits=("jpeg",), attacks=("pgd-l2",), budgets=(1.0,), steps=1, out=tmp_path / "a")
    progress = Quiet()
    result = run_attack_eval(engine, plan, progress=progress)
    assert result.summary.files == 2
    assert sum(result.skipped.values()) == 2
    assert result.skipped["changed since it was indexed"] == 1
    assert str(corpus / "000.png") in dict(result.skipped_paths)
    assert progress.done == progress.total


def test_the_time_limit_leaves_out_and_says_so(index, tmp_path):
    engine, _ = index
    plan = AuditPlan(sample=4, edits=("identity",), attacks=("pgd-l2",), budgets=(1.0,), out=tmp_path / "a")
    with pytest.raises(UsageError, match=OUT_OF_TIME):
        run_attack_eval(engine, replace(plan, seconds=1e-9))


def test_flat_query_counts_as_lost_and_is_not_attacked(index, tmp_path):
    engine, _ = index
    flat = tmp_path / "000.png"
    Image.new("RGB", (30, 30), (90, 90, 90)).save(flat)
    plan = AuditPlan(queries=(str(flat),), attacks=("pgd-l2",), budgets=(1.0,), steps=1, out=tmp_path / "a")
    result = run_attack_eval(engine, plan)
    (record,) = rows(result)
    assert not record["clean_first"]
    assert record["radius_top1"] is None
    assert result.summary.radius is None


def test_collision_with_a_chosen_item(index, tmp_path):
    engine, _ = index
    plan = AuditPlan(
        sample=3,
        edits=("identity",),
        attacks=("apgd-l2",),
        goals=("collision",),
        budgets=(1.0, 80.0),
        steps=40,
        out=tmp_path / "a",
    )
    small, large = run_attack_eval(engine, plan).summary.attacks
    assert small.success_float == 0.0
    assert large.success_float > 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budgets": ()}, "budgets"),
        ({"budgets": (1.0, -1.0)}, "above 0"),
        ({"budgets": (1.0, 1.0)}, "different numbers"),
        ({"attacks": ("nope",)}, "apgd-l2"),
        ({"attacks": ()}, "at least one"),
        ({"edits": ("nope",)}, "jpeg"),
        ({"goals": ("nope",)}, "evasion"),
        ({"keep": "some"}, "alarms"),
        ({"sample": 0}, "sample"),
        ({"steps": 0}, "step"),
        ({"seconds": 0.0}, "time limit"),
        ({"seed": -1}, "seed"),
    ],
)
def test_plans_are_checked(change, message):
    with pytest.raises(UsageError, match=message):
        AuditPlan(**change)


def test_truth_needs_queries(tmp_path):
    with pytest.raises(UsageError, match="query files"):
        AuditPlan(truth=tmp_path / "pairs.csv")


def test_default_edits():
    assert AuditPlan().chosen_edits == DEFAULT_EDITS
    assert AuditPlan(queries=("q.png",)).chosen_edits == ("identity",)


def test_an_index_of_one_item_cannot_be_audited(make_index, tmp_path):
    engine, _ = make_index(1)
    with pytest.raises(UsageError, match="two items"):
        run_attack_eval(engine, AuditPlan(out=tmp_path / "a"))


def test_multiples_of_a_radius_need_a_certified_model(index, tmp_path):
    engine, _ = index
    bare = copy(engine.channels[0].embedder)
    bare.lipschitz, bare.uncertified_because = None, "planted"
    engine = replace(engine, channels=(replace(engine.channels[0], embedder=bare),))
    with pytest.raises(UsageError, match="planted"):
        run_attack_eval(engine, AuditPlan(at_radius=(0.5,), out=tmp_path / "a"))
    plan = AuditPlan(sample=2, attacks=("pgd-l2",), budgets=(3.0,), steps=2, out=tmp_path / "b")
    summary = run_attack_eval(engine, plan).summary
    assert summary.radius is None
    assert summary.certificates == summary.alarms == 0
    assert certified_first(summary.budgets[0]) == 0.0
