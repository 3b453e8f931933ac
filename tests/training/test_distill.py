"""Distillation: the losses against hand values, the jitter, the teacher's targets, and the recipe from end to end."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import draw
from tiny_recipe import Watcher
from torch.nn import functional

import retr
from retr.core.errors import IntegrityError, ModelError, UsageError
from retr.embedding.model_file import load_model, read_header
from retr.embedding.registry import load_embedder
from retr.training.context import RunContext
from retr.training.data import open_store
from retr.training.distill import DistillOptions, DistillRecipe, build_distill
from retr.training.distill_jitter import JITTERS, Jitter, jittered
from retr.training.distill_loss import relative_losses, rmse, rmse_losses
from retr.training.epochs import Epochs
from retr.training.loop import run_training
from retr.training.plan import TrainPlan
from retr.training.recipes import build_recipe, plan_and_options
from retr.training.starts import load_start, read_start
from retr.training.students import parse_student, student_from_json
from retr.training.teacher import Teacher, load_teacher, orthogonal_projection, stored_targets

TINY = "retr_s:layer=mix,image=16,widths=16+32,depths=1+1,dim=16"


class TestLosses:
    def test_rmse_by_hand(self) -> None:
        student, target = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 4.0]])
        losses = rmse_losses(student, target)
        assert float(losses["clean"]) == pytest.approx(math.sqrt(2.0))
        assert float(losses["jittered"]) == pytest.approx(math.sqrt(12.5))
        assert float(losses["loss"]) == pytest.approx(math.sqrt(2.0) + math.sqrt(12.5))

    def test_rmse_at_its_minimum_has_a_gradient_of_zero_not_nan(self) -> None:
        same = torch.ones(2, 3, requires_grad=True)
        rmse(same, torch.ones(2, 3)).backward()
        assert same.grad is not None
        assert torch.equal(same.grad, torch.zeros(2, 3))

    def test_relative_by_hand(self) -> None:
        # Points of a line at 0, 1, 3 have distances 1, 3, 2; at 0, 1, 2 they are 1, 2, 1.
        student, target = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0], [1.0], [2.0]])
        losses = relative_losses(student, target)
        assert float(losses["scale"]) == pytest.approx(9 / 14)
        assert float(losses["loss"]) == pytest.approx(1 - 81 / (14 * 6))

    def test_relative_knows_no_scale_shift_or_rotation(self) -> None:
        points = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
        turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))[0]
        losses = relative_losses(0.1 * points @ turn + 3.0, points)
        assert float(losses["loss"]) == pytest.approx(0.0, abs=1e-5)
        assert float(losses["scale"]) == pytest.approx(10.0, rel=1e-4)

    @pytest.mark.parametrize("loss", [rmse_losses, relative_losses])
    def test_gradients(self, loss: object) -> None:
        draw_ = torch.Generator().manual_seed(2)
        student = torch.randn(4, 3, dtype=torch.float64, generator=draw_, requires_grad=True)
        target = torch.randn(4, 3, dtype=torch.float64, generator=draw_)
        assert torch.autograd.gradcheck(lambda x: loss(x, target)["loss"], student)  # type: ignore[operator]


class TestJitter:
    IMAGES = torch.randint(0, 256, (4, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))

    @pytest.mark.parametrize("name", JITTERS)
    def test_it_is_a_function_of_its_generator(self, name: str) -> None:
        before = torch.random.get_rng_state()
        first, again, other = (
            jittered(self.IMAGES, JITTERS[name], rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
        )
        assert first.dtype == torch.uint8
        assert first.shape == self.IMAGES.shape
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert torch.equal(torch.random.get_rng_state(), before)

    def test_each_part_does_what_it_says(self) -> None:
        still = Jitter(coloured=0.0, grey=0.0, flipped=0.0)
        rng = np.random.default_rng(0)
        assert torch.equal(jittered(self.IMAGES, still, rng=rng), self.IMAGES)
        flipped = jittered(self.IMAGES, Jitter(coloured=0.0, grey=0.0, flipped=1.0), rng=rng)
        assert torch.equal(flipped, self.IMAGES.flip(-1))
        grey = jittered(self.IMAGES, Jitter(coloured=0.0, grey=1.0, flipped=0.0), rng=rng)
        assert torch.equal(grey[:, 0], grey[:, 2])
        light = Jitter(contrast=0.0, saturation=0.0, hue=0.0, coloured=1.0, grey=0.0, flipped=0.0)
        changed = jittered(torch.full((8, 3, 4, 4), 100, dtype=torch.uint8), light, rng=rng)
        levels = changed[:, 0, 0, 0].int()
        assert levels.min() >= 60
        assert levels.max() <= 140
        assert len(set(levels.tolist())) > 4
        moved = jittered(self.IMAGES, Jitter(coloured=0.0, grey=0.0, flipped=0.0, degrees=10.0), rng=rng)
        assert not torch.equal(moved, self.IMAGES)


class TestTeacher:
    def test_a_projection_down_keeps_squared_lengths_on_average(self) -> None:
        matrix = orthogonal_projection(64, 16, seed=5)
        assert matrix is not None
        assert torch.allclose(matrix @ matrix.T, 4.0 * torch.eye(16), atol=1e-5)
        points = torch.randn(2000, 64, generator=torch.Generator().manual_seed(0))
        assert float((points @ matrix.T).square().sum() / points.square().sum()) == pytest.approx(1.0, abs=0.05)

    def test_a_projection_up_keeps_distances_exactly_and_the_same_size_is_left_alone(self) -> None:
        matrix = orthogonal_projection(5, 16, seed=5)
        assert matrix is not None
        assert torch.allclose(matrix.T @ matrix, torch.eye(5), atol=1e-6)
        assert orthogonal_projection(7, 7, seed=5) is None
        assert torch.equal(matrix, orthogonal_projection(5, 16, seed=5))  # type: ignore[arg-type]
        assert not torch.equal(matrix, orthogonal_projection(5, 16, seed=6))  # type: ignore[arg-type]

    def test_targets_are_the_teachers_embeddings_at_its_size_and_the_wanted_length(self) -> None:
        embedder = load_embedder("block-means:4")
        images = torch.randint(0, 256, (3, 3, *embedder.input_size), dtype=torch.uint8)
        rows = embedder.forward(images.float() / 255)
        raw = Teacher(embedder, dim=embedder.dim, length=0.0, seed=0).targets(images)
        assert torch.allclose(raw, rows, atol=1e-6)
        unit = Teacher(embedder, dim=embedder.dim, length=3.0, seed=0).targets(images)
        assert torch.allclose(unit, 3.0 * functional.normalize(rows, dim=1), atol=1e-5)
        assert Teacher(embedder, dim=9, length=1.0, seed=0).targets(images).shape == (3, 9)
        with pytest.raises(UsageError, match="length must be finite"):
            Teacher(embedder, dim=9, length=-1.0, seed=0)

    def test_stored_targets_are_made_once_and_follow_teacher_and_images(self, tmp_path: Path) -> None:
        for seed in range(3):
            draw(tmp_path / "images" / f"{seed}.png", seed)
        store = open_store([tmp_path / "images"], side=16, cache=tmp_path / "cache", workers=1)
        teacher = load_teacher("block-means:4", pretrained=True, dim=8, length=1.0, seed=0)
        rows = stored_targets(teacher, store, folder=tmp_path, device="cpu")
        images = torch.from_numpy(store.pixels.transpose(0, 3, 1, 2).copy())
        assert np.array_equal(rows, teacher.targets(images).numpy())
        assert len(list(tmp_path.glob("targets-*.npy"))) == 1
        stored_targets(teacher, store, folder=tmp_path, device="cpu")
        assert len(list(tmp_path.glob("targets-*.npy"))) == 1
        other = load_teacher("block-means:4", pretrained=True, dim=8, length=2.0, seed=0)
        stored_targets(other, store, folder=tmp_path, device="cpu")
        assert len(list(tmp_path.glob("targets-*.npy"))) == 2


class TestStudents:
    def test_a_name_may_change_numbers(self) -> None:
        student = parse_student(TINY)
        assert (student.side, student.dim) == (16, 16)
        assert student.as_json()["architecture"]["widths"] == [16, 32]
        assert student_from_json(student.as_json()) == student
        assert parse_student("lipsim_small:dim=100").as_json()["family"] == "sll"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("resnet18", "unknown student 'resnet18'; choose retr_s"),
            ("retr_s:colour=2", "changes nothing of retr_s; write KEY=VALUE"),
            ("retr_s:dim", "KEY=VALUE"),
            ("retr_s:dim=big", "no whole number"),
            ("retr_s:image=30", "cannot be divided"),
        ],
    )
    def test_other_words_are_refused(self, text: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            parse_student(text)

    def test_the_shipped_student_is_proved_and_the_same_map(self) -> None:
        for text in (TINY, "lipsim_small:image=16,channels=6,convs=1,pools=1,denses=1,dense_inner=8,dim=8"):
            student = parse_student(text)
            network = student.network(3)
            embedder = student.shipped(network, "cosine")
            x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
            assert torch.allclose(embedder.forward(x), network(x), atol=1e-5)
            assert embedder.lipschitz is not None
            assert embedder.lipschitz.value <= 1 + 1e-4
            assert all(
                torch.equal(a, b) for a, b in zip(network.parameters(), student.network(3).parameters(), strict=True)
            )


def test_an_epoch_sees_every_row_once_and_another_order_next_time() -> None:
    epochs = Epochs(np.arange(10, 17), batch=3, seed=1)
    first, second = (np.concatenate([epochs.at(2 * epoch), epochs.at(2 * epoch + 1)]) for epoch in (0, 1))
    assert len(set(first.tolist())) == len(set(second.tolist())) == 6
    assert not np.array_equal(first, second)
    assert np.array_equal(Epochs(np.arange(10, 17), batch=3, seed=1).at(3), epochs.at(3))
    with pytest.raises(UsageError, match="lower batch"):
        Epochs(np.arange(2), batch=3, seed=1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(48):
        draw(folder / f"{seed}.png", seed)
    return folder


def recipe(pictures: Path, cache: Path, steps: int = 40, **options: object) -> tuple[DistillRecipe, TrainPlan]:
    plan = TrainPlan(steps=steps, batch=8, lr=1e-2, warmup=2, ema=0.9, evaluate_every=0, log_every=5, accelerator="cpu")
    context = RunContext(sources=(pictures,), cache=cache, workers=1, plan=plan, holdout=8)
    given = {"teacher": "block-means:4", "student": TINY, "side": 32, **options}
    return build_distill(DistillOptions(**given), context), plan  # type: ignore[arg-type]


class TestRecipe:
    @pytest.mark.parametrize("loss", ["rmse", "relative"])
    def test_it_lowers_its_loss_and_ships_a_proved_model(self, pictures: Path, tmp_path: Path, loss: str) -> None:
        built, plan = recipe(pictures, tmp_path / "cache", steps=120, loss=loss)
        before = built.evaluate(built.network.eval())
        report = run_training(built, plan, folder=tmp_path / "run", resume=False, observer=Watcher())
        assert report.metrics["score"] is not None
        assert -report.metrics["score"] < 0.92 * -before["score"]
        embedder = load_model(tmp_path / "run" / "best.safetensors")
        assert embedder.lipschitz is not None
        header = read_header(tmp_path / "run" / "best.safetensors")
        assert header["training"]["options"]["teacher"]["spec"] == "block-means:4"
        assert header["training"]["options"]["loss"] == loss

    def test_batches_are_functions_of_the_step(self, pictures: Path, tmp_path: Path) -> None:
        (first, _), (second, _) = recipe(pictures, tmp_path), recipe(pictures, tmp_path)
        first.batch(4)
        one, two = first.batch(3), second.batch(3)
        assert set(one) == {"clean", "jittered", "targets"}
        assert all(torch.equal(one[name], two[name]) for name in one)
        assert not torch.equal(first.batch(4)["clean"], one["clean"])

    def test_targets_are_the_same_stored_or_not(self, pictures: Path, tmp_path: Path) -> None:
        (stored, _), (fresh, _) = recipe(pictures, tmp_path), recipe(pictures, tmp_path, teacher_cache=0.0)
        assert "targets" not in fresh.batch(0)
        first, second = (r.losses(r.network, r.batch(0))["loss"] for r in (stored, fresh))
        assert torch.allclose(first, second, atol=1e-6)

    def test_a_run_starts_from_another_ones_averaged_weights(self, pictures: Path, tmp_path: Path) -> None:
        built, plan = recipe(pictures, tmp_path / "cache", steps=3)
        run_training(built, plan, folder=tmp_path / "run", resume=False, observer=Watcher())
        then, _ = recipe(pictures, tmp_path / "cache", start=tmp_path / "run", student="")
        assert then.student == built.student
        x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        expected = load_model(tmp_path / "run" / "last.safetensors").forward(x)
        assert torch.allclose(then.network(x), expected, atol=1e-5)
        weights = read_start(tmp_path / "run")[1]
        with pytest.raises(UsageError, match="are of another network"):
            load_start(parse_student("retr_s:image=16,widths=8,depths=1,dim=4").network(0), weights, tmp_path)
        with pytest.raises(UsageError, match="is not there"):
            read_start(tmp_path / "nowhere")
        with pytest.raises(IntegrityError, match=r"is no retr\.checkpoint/1"):
            read_start(tmp_path / "run" / "last.safetensors")

    def test_the_command_line_reaches_every_option(self, pictures: Path, tmp_path: Path) -> None:
        words = {"teacher": "block-means:4", "student": TINY, "loss": "relative", "jitter": "affine", "side": "32"}
        words |= {"teacher_length": "0", "teacher_cache": "0", "pretrained": "no", "score": "euclidean", "batch": "8"}
        plan, options = plan_and_options("distill", words)
        assert (options.loss, options.jitter, options.teacher_length, options.pretrained) == (
            "relative",
            "affine",
            0,
            False,
        )
        context = RunContext(sources=(pictures,), cache=tmp_path, workers=1, plan=plan)
        assert build_recipe("distill", options, context).name == "distill"

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"teacher": ""}, UsageError, "distill needs a teacher"),
            ({"teacher": "nonsense"}, UsageError, "unknown model 'nonsense'"),
            ({"teacher": "dreamsim:nonsense"}, ModelError, "dreamsim has no kind"),
            ({"teacher_cache": -1.0}, UsageError, "GiB of at least 0"),
            ({"side": -1}, UsageError, "side is a number of pixels"),
        ],
    )
    def test_options_that_cannot_be_are_refused(
        self, pictures: Path, tmp_path: Path, options: dict[str, object], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            recipe(pictures, tmp_path, **options)  # type: ignore[arg-type]


def test_the_page_names_every_option() -> None:
    page = (Path(retr.__file__).parent / "docs" / "train-distill.md").read_text()
    assert [f.name for f in fields(DistillOptions) if f"`{f.name}`" not in page] == []
