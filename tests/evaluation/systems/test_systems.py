"""Systems side by side: the same queries and budgets, each by its own numbers, and attacks carried over."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from drawn import Quiet
from PIL import Image

from retr.attacks.media import as_pixels
from retr.attacks.registry import ATTACKS
from retr.core.errors import UsageError, WeightsUnavailable
from retr.core.types import UpperBound
from retr.evaluation.robustness import schedule
from retr.evaluation.robustness.attack_eval import run_attack_eval
from retr.evaluation.robustness.plan import AuditPlan
from retr.evaluation.robustness.records import FORMAT
from retr.evaluation.robustness.schedule import tasks
from retr.evaluation.systems import lineup as lineup_module
from retr.evaluation.systems.index_system import EngineSystem, enter, gallery_items
from retr.evaluation.systems.lineup import Lineup, check_words, first_index, lone, open_lineup
from retr.evaluation.systems.retrieval_losses import GOALS
from retr.images.decode import load
from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.engine import Engine

PLAN = AuditPlan(sample=3, edits=("resize",), attacks=("pgd-l2",), budgets=(40.0,), steps=4)


@pytest.fixture(scope="module")
def index(make_index):
    return make_index(14)


@pytest.fixture(scope="module")
def backwards(index, tmp_path_factory) -> Engine:
    """Another model over the same files, listed from the last to the first and without two of them."""
    _, corpus = index
    home = tmp_path_factory.mktemp("backwards")
    (home / "list").write_text("\n".join(str(path) for path in sorted(corpus.iterdir())[:1:-1]))
    build_index(str(home / "list"), home / "other", IndexOptions(models=("block-means:8",), workers=1), Quiet())
    return Engine.open(home / "other", device="cpu")


def rows(result):
    return FORMAT.read(result.records).table.to_pylist()


def lineup_of(engine, *others, transfer=None):
    systems = [enter(EngineSystem(name, one), engine) for name, one in others]
    made_on = next((entrant for entrant in systems if entrant.system.name == transfer), None)
    return Lineup((*lone(engine).entrants, *systems), made_on)


def test_items_are_numbered_by_place(index):
    engine, _ = index
    items = gallery_items(engine)
    assert len(items) == engine.gallery.items == 14
    for number, item in enumerate(items):
        answer = engine.answer(as_pixels(load(Path(item.path), policy=engine.policy).pixels))
        assert (answer.matches[0].group, answer.matches[0].id) == (number, item.id)


def test_systems_answer_the_same_queries_each_by_its_own_numbers(index, backwards, tmp_path):
    engine, _ = index
    plan = replace(PLAN, sample=None, goals=("evasion", "collision"), out=tmp_path / "a")
    lineup = lineup_of(engine, ("other", backwards))
    result = run_attack_eval(engine, plan, lineup=lineup)
    table = rows(result)
    by_system = {name: [r for r in table if r["system"] == name] for name in ("index", "other")}
    assert {r["system_kind"] for r in table} == {"index"}
    assert len({r["model_digest"] for r in table}) == len({r["snapshot"] for r in table}) == 2
    keys = [{(r["query"], r["edit"], r["query_sha256"]) for r in part} for part in by_system.values()]
    assert keys[0] == keys[1]
    assert lineup.holes() == {"other": 2}
    found = {r["query"]: r["clean_first"] for r in by_system["other"] if r["attack"] == "clean"}
    assert sum(found.values()) == 12, "two items are not in the other index, and found in no place of it"
    assert all(r["clean_first"] for r in by_system["index"])
    collided = {name: {r["attacked_item"] for r in part if r["success"] and r["goal"] == "collision"}
                for name, part in by_system.items()}  # fmt: skip
    assert collided["index"] & collided["other"], "the chosen item is the same where both hold it"
    assert result.summary.alarms == 0


def test_a_system_alone_has_the_records_it_has_beside_others(index, backwards, tmp_path):
    engine, _ = index
    alone = rows(run_attack_eval(engine, replace(PLAN, out=tmp_path / "a")))
    beside = rows(
        run_attack_eval(engine, replace(PLAN, out=tmp_path / "b"), lineup=lineup_of(engine, ("o", backwards)))
    )
    changing = ("run", "seconds")
    first = [{k: v for k, v in r.items() if k not in changing} for r in alone]
    assert first == [{k: v for k, v in r.items() if k not in changing} for r in beside if r["system"] == "index"]


def test_transfers_are_made_on_one_system_and_judged_by_the_others(index, backwards, tmp_path):
    engine, _ = index
    lineup = lineup_of(engine, ("other", backwards), transfer="other")
    progress = Quiet()
    plan = replace(PLAN, goals=("evasion", "embedding"), keep="all", out=tmp_path / "a")
    table = rows(run_attack_eval(engine, plan, lineup=lineup, progress=progress))
    carried = [r for r in table if r["source"] is not None]
    assert {(r["system"], r["source"]) for r in carried} == {("index", "other")}
    assert len(carried) == 3 * 2 * 2
    assert progress.done == progress.total == 3 * (2 + 2 + 2)
    for record in carried:
        kept = tmp_path / "a" / record["image"]
        pixels = np.load(kept) if record["medium"] == "float" else as_pixels(load(kept, policy=engine.policy).pixels)
        assert engine.answer(pixels).matches[0].id == record["attacked_item"]
    direct = {(r["query"], r["goal"]): r["gradients"] for r in table if r["system"] == "other" and r["gradients"]}
    for record in carried:
        assert record["gradients"] >= direct[record["query"], record["goal"]]
        assert record["gradients"] == 5, "what is made for others does not stop at the first success"


@dataclass(frozen=True)
class Fixed:
    """A system of the tester's: it finds what it is told to, and has no gradient."""

    engine: Engine
    name: str = "fixed"
    kind: str = "hash"
    certified: bool = False

    def items(self):
        return [item.id for item in gallery_items(self.engine)]

    def answer_many(self, images, *, k, certify=False):
        del certify
        answers = self.engine.answer_many(images, k=k)
        return [replace(a, matches=tuple(replace(m, top1=None, topk=None) for m in a.matches)) for a in answers]

    def target(self, aims, goal, *, sees):
        self.seen.append((goal, sees, len(aims)))  # type: ignore[attr-defined]
        return EngineSystem("x", self.engine).target(aims, goal, sees=sees)

    def describe(self):
        return {"model": "fixed", "model_digest": "0", "snapshot": "0", "policy_digest": self.engine.policy.digest}


def test_a_system_need_only_keep_the_contract(index, tmp_path):
    engine, _ = index
    system = Fixed(engine)
    object.__setattr__(system, "seen", [])
    plan = replace(PLAN, goals=("evasion", "embedding"), out=tmp_path / "a")
    table = rows(run_attack_eval(engine, plan, lineup=Lineup((enter(system, engine),))))  # type: ignore[arg-type]
    assert {r["system"] for r in table} == {"fixed"}
    assert {r["goal"] for r in table} == {"clean", "evasion"}, "it has no embedding"
    assert {(goal, sees) for goal, sees, _ in system.seen} == {("evasion", "gradient")}  # type: ignore[attr-defined]
    plan = replace(PLAN, at_radius=(0.5,), out=tmp_path / "b")
    with pytest.raises(UsageError, match="fixed has none"):
        run_attack_eval(engine, plan, lineup=Lineup((enter(system, engine),)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Sworn(Fixed):
    """A system of the tester's that proves its answers, and is no engine."""

    kind: str = "index"
    certified: bool = True

    def answer_many(self, images, *, k, certify=False):
        return self.engine.answer_many(images, k=k, certify=certify)


def test_budgets_are_multiples_of_the_radius_of_whatever_certifies(index, tmp_path):
    engine, _ = index
    system = Sworn(engine)
    object.__setattr__(system, "seen", [])
    plan = replace(PLAN, at_radius=(0.5, 0.9), goals=("evasion", "rank10"), out=tmp_path / "a")
    table = rows(run_attack_eval(engine, plan, lineup=Lineup((enter(system, engine),))))  # type: ignore[arg-type]
    for record in table:
        if record["attack"] != "clean":
            name = "radius_top1" if record["goal"] == "evasion" else "radius_top10"
            assert record["eps"] == pytest.approx(record["budget"] * record[name])
            assert record["within_top10"] == (record["l2"] < record["radius_top10"])
    assert {record["budget"] for record in table} == {0.0, 0.5, 0.9}


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"goals": ("evasion", "embedding")}, "dhash:3 is a hash"), ({"at_radius": (0.5,)}, "dhash:3 has none")],
)
def test_what_a_hash_cannot_have_is_refused_before_anything_is_opened(changes, message):
    with pytest.raises(UsageError, match=message):
        check_words(["somewhere", "dhash:3"], replace(PLAN, **changes))
    check_words(["somewhere"], replace(PLAN, **changes))


def test_every_goal_spares_a_hash_the_embedding():
    check_words(["dhash"], replace(PLAN, goals=GOALS))


def test_how_far_an_embedding_goes_is_held_against_the_proved_constant(index, tmp_path):
    engine, _ = index
    plan = replace(PLAN, goals=("embedding",), attacks=("apgd-l2",), budgets=(2.0, 8.0), steps=10)
    honest = [r for r in rows(run_attack_eval(engine, replace(plan, out=tmp_path / "a"))) if r["goal"] == "embedding"]
    shares = [r["embedding_shift"] / r["embedding_limit"] for r in honest if r["medium"] == "float"]
    assert all(0.9 < share <= 1.0 for share in shares), "block means are linear: the attack gets to its limit"
    assert not any(r["alarm"] or r["success"] or r["claimed"] for r in honest)
    lying = engine.channels[0].embedder.__class__()
    lying.lipschitz = UpperBound(0.5, "planted")
    planted = replace(engine, channels=(replace(engine.channels[0], embedder=lying),))
    caught = [r for r in rows(run_attack_eval(planted, replace(plan, out=tmp_path / "b"))) if r["goal"] == "embedding"]
    assert all("lipschitz" in r["alarm_kind"] and r["success"] for r in caught if r["medium"] == "float")
    assert any(r["claimed"] for r in caught)


def test_out_of_the_first_ten(index, tmp_path):
    engine, _ = index
    plan = replace(PLAN, goals=("rank10",), attacks=("apgd-l2",), budgets=(3.0, 90.0), steps=40, out=tmp_path / "a")
    table = [r for r in rows(run_attack_eval(engine, plan)) if r["goal"] == "rank10"]
    assert not any(r["success"] for r in table if r["budget"] == 3.0)
    assert any(r["success"] for r in table if r["budget"] == 90.0)
    for record in table:
        assert record["success"] == (not record["attacked_top10"])


def test_rank10_needs_more_than_ten_items(make_index, tmp_path):
    engine, _ = make_index(10)
    with pytest.raises(UsageError, match="leave out rank10"):
        run_attack_eval(engine, replace(PLAN, goals=("rank10",), out=tmp_path / "a"))


def test_attacks_that_look_for_the_smallest_change_run_once(index, monkeypatch):
    engine, _ = index
    smallest = replace(ATTACKS["pgd-l2"], name="least", minimal=True)
    free = replace(ATTACKS["pgd-l2"], name="free", norm="none")
    blind = replace(ATTACKS["pgd-l2"], name="blind", sees="decision")
    made = {"pgd-l2": ATTACKS["pgd-l2"], "least": smallest, "free": free, "blind": blind}
    monkeypatch.setattr(schedule, "ATTACKS", made)
    plan = object.__new__(AuditPlan)  # the names are the tester's
    fields = {**PLAN.__dict__, "attacks": tuple(made), "goals": ("evasion", "embedding"), "budgets": (40.0, 30.0)}
    for name, value in {**fields, "unit": "psnr"}.items():
        object.__setattr__(plan, name, value)
    planned = [(t.goal, t.attack.name, t.level) for t in tasks(plan, lone(engine).entrants[0].system)]
    assert planned == [
        ("evasion", "pgd-l2", 40.0),
        ("evasion", "pgd-l2", 30.0),
        ("evasion", "least", 30.0),
        ("evasion", "free", 30.0),
        ("evasion", "blind", 40.0),
        ("evasion", "blind", 30.0),
        ("embedding", "pgd-l2", 40.0),
        ("embedding", "pgd-l2", 30.0),
        ("embedding", "free", 30.0),
    ]


def test_strangers_are_attacked_and_counted_apart(index, tmp_path):
    engine, corpus = index
    other = tmp_path / "stranger.png"
    pixels = np.random.default_rng(5).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((40, 32), Image.Resampling.BICUBIC).save(other)
    plan = replace(
        PLAN, sample=2, negatives=(str(other), str(corpus / "003.png")), goals=("verdict",), out=tmp_path / "a"
    )
    result = run_attack_eval(engine, plan)
    table = rows(result)
    assert result.skipped == {"a negative that the index holds": 1}
    strangers = [r for r in table if r["stranger"]]
    assert {r["query"] for r in strangers} == {str(other)}
    assert {r["clean_verdict"] for r in strangers} == {"not-a-copy"}
    assert not any(r["clean_first"] or r["attacked_first"] for r in strangers)
    assert result.summary.systems[0].strangers == 1


# -- from words to systems ----------------------------------------------------------------------------------------


@pytest.fixture
def opened(index, tmp_path):
    engine, _ = index
    return partial(
        open_lineup,
        base=engine,
        transfer_from=None,
        folder=tmp_path / "audit",
        device="cpu",
        watch=lambda title: nullcontext(Quiet()),
    )


def test_an_embedder_holds_the_items_of_the_first_index(index, opened):
    engine, _ = index
    lineup = opened([str(engine.path), "block-means:4"], transfer_from="block-means:6")
    assert [e.system.kind for e in lineup.all] == ["index", "embedder", "embedder"]
    assert [e.system.name for e in lineup.judges] == ["index", "block-means:4"]
    assert lineup.holes() == {}
    for entrant in lineup.all:
        assert [entrant.number(item) for item in range(14)] == list(range(14))
    assert opened([str(engine.path), "block-means:4"]).all[1].system.engine.snapshot  # a second time: taken as it is


def test_a_hash_takes_part(index, opened, tmp_path):
    engine, _ = index
    lineup = opened([str(engine.path), "dhash:3"])
    plan = replace(PLAN, sample=2, goals=("evasion", "verdict"), budgets=(3.0,), out=tmp_path / "audit")
    table = [r for r in rows(run_attack_eval(engine, plan, lineup=lineup)) if r["system"] == "dhash:3"]
    assert {(r["system_kind"], r["model"]) for r in table} == {("hash", "dhash")}
    assert all(r["clean_first"] and r["radius_top1"] is None for r in table)
    assert any(r["success"] for r in table)


def test_a_system_whose_weights_are_missing_is_left_out_with_the_reason(index, opened, monkeypatch, tmp_path):
    engine, _ = index

    def missing(*_):
        raise WeightsUnavailable("no weights here")

    monkeypatch.setattr(lineup_module, "build_index", missing)
    lineup = opened([str(engine.path), "timm:resnet50", "dhash"])
    assert [entrant.system.name for entrant in lineup.entrants] == ["index", "dhash"]
    plan = replace(PLAN, sample=1, out=tmp_path / "audit")
    result = run_attack_eval(engine, plan, lineup=lineup)
    assert result.skipped_paths == (("timm:resnet50", "no weights here"),)
    assert [line.name for line in result.summary.systems] == ["index", "dhash"]
    for words, transfer in ((["timm:resnet50"], None), ([str(engine.path), "dhash"], "timm:resnet50")):
        with pytest.raises(WeightsUnavailable, match="no weights here"):
            opened(words, transfer_from=transfer)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["block-means:4", "block-means:4"], "named twice"),
        (["no-such-model"], "unknown model"),
    ],
)
def test_words_that_name_no_system(opened, words, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        opened(words)
    assert not (tmp_path / "audit").exists(), "nothing is left of what could not be opened"


def test_two_folders_of_one_name_cannot_be_told_apart(index, opened, tmp_path):
    engine, _ = index
    (tmp_path / "index").symlink_to(engine.path)
    build_index(str(index[1]), tmp_path / "b" / "index", IndexOptions(models=("block-means",), workers=1), Quiet())
    with pytest.raises(UsageError, match="rename one"):
        opened([str(engine.path), str(tmp_path / "b" / "index")])


def test_the_first_folder_named_is_where_queries_belong(index, tmp_path):
    engine, _ = index
    assert first_index(["phash", str(engine.path)], Path("usual")) == engine.path
    assert first_index(["phash", "timm:resnet18"], Path("usual")) == Path("usual")


def test_a_transfer_needs_a_judge(index, tmp_path):
    engine, _ = index
    entrant = lone(engine).entrants[0]
    with pytest.raises(UsageError, match="judged by other systems"):
        run_attack_eval(engine, replace(PLAN, out=tmp_path / "a"), lineup=Lineup((entrant,), entrant))


def test_unlike_decoding_is_refused(index, backwards, tmp_path):
    engine, _ = index
    other = replace(backwards, policy=replace(backwards.policy, max_pixels=1_000_000))
    with pytest.raises(UsageError, match="one decode policy"):
        run_attack_eval(engine, replace(PLAN, out=tmp_path / "a"), lineup=lineup_of(engine, ("other", other)))
