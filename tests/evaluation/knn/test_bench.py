"""k-NN and retrieval by label: exact, certified below what attacks reach, and an alarm where a constant is wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import Killed, Quiet, Watcher, draw
from PIL import Image
from typer.testing import CliRunner

from retr.cli import app
from retr.core.errors import UsageError
from retr.core.types import Score, UpperBound
from retr.embedding.registry import load_embedder
from retr.evaluation.knn import bench as knn
from retr.evaluation.knn import search as knn_search
from retr.evaluation.knn.bench import run_knn
from retr.evaluation.knn.gallery import LabelledGallery
from retr.evaluation.knn.plan import Budget, KnnPlan
from retr.evaluation.knn.search import neighbours, vote_radius, winner
from retr.evaluation.knn.summary import summarise_knn
from retr.evaluation.knn.target import VoteTarget
from retr.indexer.vectors import RowStore
from retr.reports.knn_page import knn_page
from retr.reports.knn_table import knn_json, knn_rows, print_knn
from retr.retrieval.channel import Channel
from retr.retrieval.probe import Bounds

ONE = UpperBound(1.0, "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three labels, each a drawn picture five times over with noise on it."""
    root = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    for number, label in enumerate(("apple", "melon", "plum")):
        base = np.asarray(Image.open(draw(root.parent / f"{label}.png", number)).resize((16, 16)), dtype=np.float64)
        (root / label).mkdir()
        for copy in range(5):
            noisy = base + 6 * random.normal(size=(4, 4, 3)).repeat(4, axis=0).repeat(4, axis=1)
            Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(root / label / f"{copy}.png")
    return root


def plan(folder, **changes):
    given = {"model": "block-means:4", "k": 3, "split": 2, "rmse": (2.0, 80.0), "l2": (1.0,), "steps": 15, "workers": 1}
    return KnnPlan(gallery=folder, **(given | {"out": folder.parent / "runs"} | changes))


@pytest.fixture(scope="module")
def result(folder):
    return run_knn(plan(folder, attack=True), Quiet())


def test_a_run_that_was_killed_ends_as_one_in_peace(folder, result, tmp_path):
    asked = plan(folder, attack=True, batch=2, out=tmp_path)
    with pytest.raises(Killed):
        run_knn(asked, Watcher(4, of="queries"))
    (unfinished,) = tmp_path.iterdir()
    assert len(list((unfinished / "parts").iterdir())) == 1
    with pytest.raises(UsageError, match="another plan: steps was 15 and is 16"):
        run_knn(replace(asked, steps=16, resume=True), Quiet())
    resumed = run_knn(replace(asked, resume=True), Quiet())
    assert resumed.path.parent == unfinished
    peace = run_knn(replace(asked, out=tmp_path / "peace"), Quiet())
    assert bare(resumed) == bare(peace)
    assert summarise_knn(resumed) == summarise_knn(peace)
    assert not (unfinished / "parts").exists()


def bare(result):
    """The records without what no two runs share."""
    return result.records.table.drop_columns(["run", "seconds"]).to_pylist()


class TestFinished:
    @pytest.fixture
    def asked(self, folder, tmp_path):
        shutil.copytree(folder, tmp_path / "labelled")
        asked = plan(tmp_path / "labelled", out=tmp_path / "runs")
        run_knn(asked, Quiet())
        return replace(asked, resume=True)

    def test_it_is_told_again_and_nothing_is_embedded(self, asked, monkeypatch):
        monkeypatch.setattr(knn, "embed_gallery", None)
        again = run_knn(asked, Quiet())
        assert again.stored
        (only,) = asked.out.iterdir()
        assert again.path.parent == only
        assert summarise_knn(again).queries == 6

    def test_the_newest_of_its_plan_unless_one_is_unfinished(self, asked):
        other = run_knn(replace(asked, k=1), Quiet())
        assert not other.stored, "another plan is another run"
        with pytest.raises(Killed):
            run_knn(replace(asked, resume=False), Watcher(1, of="queries"))
        again = run_knn(asked, Quiet())
        assert not again.stored
        assert len(list(asked.out.iterdir())) == 3

    def test_other_images_are_no_longer_the_same_run(self, asked):
        draw(asked.gallery / "plum" / "0.png", 99)
        with pytest.raises(UsageError, match=r"its images changed since; begin a new run instead"):
            run_knn(asked, Quiet())

    def test_another_model_of_that_name_neither(self, asked, monkeypatch):
        model = load_embedder("block-means:2")
        monkeypatch.setattr(knn, "load_embedder", lambda spec: model)
        with pytest.raises(UsageError, match="its model changed since"):
            run_knn(asked, Quiet())


def test_nothing_is_left_where_no_image_can_be_used(tmp_path):
    for label in "ab":
        for number in range(2):
            (tmp_path / "l" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "l" / label / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match="no image"):
        run_knn(plan(tmp_path / "l", out=tmp_path / "runs", split=1), Quiet())
    assert not list((tmp_path / "runs").glob("*"))


def test_a_query_that_cannot_be_read_alone_leaves_empty_tables(folder, tmp_path, capsys):
    for label in ("apple", "plum"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "broken.png").write_bytes(b"no image")
    found = run_knn(plan(folder, queries=tmp_path, attack=True), Quiet())
    summary = summarise_knn(found)
    assert (summary.queries, summary.accuracy.of, summary.mean_average_precision) == (0, 0, 0.0)
    assert list(knn_rows(found)) == []
    print_knn(found, summary)
    assert "2 × not-an-image" in capsys.readouterr().out
    assert "<svg" not in knn_page(found, summary)


def test_certified_is_at_most_attacked_and_nothing_breaks(result):
    summary = summarise_knn(result)
    assert (summary.queries, summary.accuracy.value, summary.recall_first.value) == (6, 1.0, 1.0)
    assert summary.mean_average_precision == 1.0
    assert summary.alarms == 0
    small, large, pixels = summary.lines
    assert [str(line.budget) for line in summary.lines] == ["RMSE 2", "RMSE 80", "l2 255/255"]
    assert small.certified.value == 1.0
    for line in summary.lines:
        assert line.attacked is not None
        assert line.certified.value <= line.attacked.value
        assert line.certified.value <= line.first.value  # k = 3: a majority is more than the first place here
    assert large.attacked is not None
    assert large.attacked.value < 0.5
    assert pixels.among.value >= pixels.certified.value
    for row in knn_rows(result):
        fallen = [one["l2"] for one in row["attacked"] if one["fallen"]]
        assert all(l2 >= (row["radius"] or 0) for l2 in fallen)


def test_a_wrong_constant_is_caught(folder, monkeypatch):
    liar = load_embedder("block-means:4")
    liar.lipschitz = UpperBound(0.01, "planted")
    monkeypatch.setattr(knn, "load_embedder", lambda spec: liar)
    summary = summarise_knn(run_knn(plan(folder, attack=True, rmse=(80.0,), l2=()), Quiet()))
    assert summary.alarms > 0


def test_json_and_rows(result, capsys):
    summary = summarise_knn(result)
    body = json.loads(json.dumps(knn_json(result, summary), allow_nan=False))
    assert (body["schema"], body["stored"], body["queries"], body["alarms"]) == ("retr.knn/1", 9, 6, 0)
    assert body["labels"] == {"apple": 3, "melon": 3, "plum": 3}
    assert body["budgets"][0]["certified"]["value"] == 1.0
    rows = [json.loads(json.dumps(row, allow_nan=False)) for row in knn_rows(result)]
    assert [row["label"] for row in rows] == [row["predicted"] for row in rows]
    assert {one["fallen"] for row in rows for one in row["attacked"]} == {True, False}
    print_knn(result, summary)
    assert "certificates broken by an attack: 0" in capsys.readouterr().out


def test_an_uncertified_model_is_measured_and_proves_nothing(folder, monkeypatch):
    model = load_embedder("block-means:4")
    model.lipschitz, model.uncertified_because = None, "nobody proved it"
    monkeypatch.setattr(knn, "load_embedder", lambda spec: model)
    summary = summarise_knn(run_knn(plan(folder), Quiet()))
    assert summary.accuracy.value == 1.0
    assert [line.certified.value for line in summary.lines] == [0.0] * 3
    assert summary.lines[0].attacked is None
    assert list(summary.withheld) == ["block-means:4 is uncertified: nobody proved it"]


def test_a_flat_query_is_withheld_and_a_broken_file_left_out(folder, tmp_path):
    (tmp_path / "apple").mkdir()
    Image.new("RGB", (16, 16), (90, 90, 90)).save(tmp_path / "apple" / "flat.png")
    (tmp_path / "apple" / "broken.png").write_bytes(b"no image")
    found = run_knn(plan(folder, queries=tmp_path), Quiet())
    assert [(one.file, one.reason) for one in found.rejected] == [("apple/broken.png", "not-an-image")]
    (row,) = knn_rows(found)
    assert (row["predicted"], row["radius"]) == (None, None)
    assert "is flat to" in row["withheld"]
    assert summarise_knn(found).accuracy.value == 0.0


def made(seed, count=60, labels=4, score: Score = "cosine"):
    """A gallery of random rows of block-means:2, 12 numbers each, and a query embedding among them."""
    random = np.random.default_rng(seed)
    embedder = load_embedder("block-means:2")
    embedder.score = score
    rows = random.normal(size=(count, 12)).astype(np.float32)
    rows = (rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)).astype(np.float32)
    groups = random.integers(0, labels, count)
    store = RowStore((rows,), (0, count), 12, score)
    channel = Channel("test", embedder, store, groups, None)
    names = tuple(str(number) for number in range(count))
    return LabelledGallery(channel, tuple("abcdefgh"[:labels]), names, ()), random.normal(size=12)


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 5])
def test_rows_that_are_not_listed_change_no_radius(score, k, monkeypatch):
    proof_of_all = {}
    for listed in (10_000, 2):
        monkeypatch.setattr(knn_search, "LISTED", listed)
        for seed in range(12):
            gallery, z = made(seed, score=score, labels=2)
            found, proof = neighbours(gallery, z), Bounds(ONE, 1e-12, 10.0)
            radii = [vote_radius(found, proof, k), *(found.radius(label, proof, k=k, needed=1) for label in (0, 1))]
            assert proof_of_all.setdefault(seed, radii) == radii
    assert sum(radii[0] > 0 for radii in proof_of_all.values()) > 6


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_the_ranking_is_that_of_plain_distances(score):
    gallery, z = made(3, score=score)
    distances = np.linalg.norm((z / np.linalg.norm(z) if score == "cosine" else z) - gallery.rows, axis=1)
    assert neighbours(gallery, z).order.tolist() == np.argsort(distances).tolist()


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_loss_is_positive_where_another_label_wins(k):
    """Always where it is positive; and wherever the winner has fewer votes than another label, it is positive."""
    gallery, _ = made(5, labels=3)
    x = torch.rand(64, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    before = [0] * len(x)
    losses = VoteTarget(gallery, before, k).loss(x, torch.arange(len(x)))
    for loss, z in zip(losses, gallery.channel.embed(x).numpy(), strict=True):
        found = neighbours(gallery, z)
        votes = np.bincount(found.labels[:k], minlength=3)
        if loss > 0:
            assert found.vote(k)[0] != 0
        if votes[1:].max() > votes[0]:
            assert loss > 0
    assert 5 < int((losses > 0).sum()) < 60


def test_a_label_of_many_rows_still_leaves_a_slope():
    """However many rows of the winner are nearest, rivals are among those that the loss looks at."""
    gallery, _ = made(7, count=300, labels=2)
    gallery.channel.groups[:250] = 0
    x = torch.rand(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    losses = VoteTarget(gallery, [0] * 4, 3).loss(x, torch.arange(4))
    (slope,) = torch.autograd.grad(losses.sum(), x)
    assert (losses.abs() < 10).all()
    assert (slope.flatten(1).norm(dim=1) > 0).all()


def test_the_loss_has_the_gradient_of_its_margin():
    gallery, _ = made(6, count=20, labels=2)
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    target, samples = VoteTarget(gallery, [0, 1], 3), torch.arange(2)
    (slope,) = torch.autograd.grad(target.loss(x, samples).sum(), x)
    step = 1e-6 * slope / slope.norm()
    rise = target.loss(x.detach() + step, samples) - target.loss(x.detach() - step, samples)
    assert float(rise.sum()) == pytest.approx(2e-6 * float(slope.norm()), rel=1e-6)


def test_votes_and_average_precision_by_hand():
    assert winner([2, 1, 1, 2, 3]) == (2, 2)
    assert winner([4, 1, 1]) == (1, 2)
    gallery, z = made(1, count=5, labels=2)
    found = neighbours(gallery, z)
    found = type(found)(gallery, z, found.order, np.array([0, 1, 0, 0, 1]))
    assert found.average_precision(0) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert found.average_precision(7) == 0.0


def test_budgets_and_refusals(folder):
    assert str(Budget("l2", 36 / 255)) == "l2 36/255"
    assert Budget("rmse", 255.0).l2(100) == pytest.approx(10.0)
    for changes, message in (
        ({"k": 0}, "k must be at least 1"),
        ({"rmse": (0.0,)}, "rmse takes different numbers above 0"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
    ):
        with pytest.raises(UsageError, match=message):
            plan(folder, **changes)
    with pytest.raises(UsageError, match="no more than 5 images"):
        run_knn(plan(folder, split=5), Quiet())


def test_the_command_line(folder, tmp_path):
    words = ["bench-knn", str(folder), "--model", "block-means:4", "--k", "1", "--split", "1", "--limit", "2"]
    words += ["--workers", "1", "--rmse", "1", "--l2", "36/255", "-o", str(tmp_path / "runs"), "--format"]
    outcome = CliRunner().invoke(app, [*words, "json"])
    assert outcome.exit_code == 0
    body = json.loads(outcome.stdout)
    assert (body["queries"], body["attack"], [one["unit"] for one in body["budgets"]]) == (2, None, ["rmse", "l2"])
    outcome = CliRunner().invoke(app, [*words, "jsonl", "--resume"])
    assert len(outcome.stdout.splitlines()) == 2
    assert "finished before; told again from" in outcome.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 1
