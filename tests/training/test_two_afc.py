"""2AFC: the hinges against hand values, certified judgements between bound and attack, the recipe end to end."""

from __future__ import annotations

import csv
import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import draw
from PIL import Image
from tiny_recipe import Watcher

import retr
from retr.certificates.pairs import reference_moves
from retr.core.errors import UsageError
from retr.core.types import UpperBound
from retr.core.units import to_l2
from retr.datasets.layouts import load_triplets
from retr.embedding.model_file import load_model, read_header
from retr.training.context import RunContext
from retr.training.loop import run_training
from retr.training.plan import TrainPlan
from retr.training.recipes import build_recipe, plan_and_options
from retr.training.students import parse_student
from retr.training.two_afc import TwoAFCOptions, TwoAFCRecipe, build_two_afc
from retr.training.two_afc_certify import Judgements, figures, judge
from retr.training.two_afc_loss import cosine_difference, half_space_distance, hinge

TINY = "retr_s:image=16,widths=16+32,depths=1+1,dim=16"
COLUMNS = ["id", "left_vote", "right_vote", "votes", "split", "prompt", "is_imagenet", "ref_path", "left_path"]
COLUMNS += ["right_path"]


def rows(*values: list[float]) -> torch.Tensor:
    return torch.tensor(list(values))


class TestLosses:
    def test_the_half_space_distance_by_hand(self) -> None:
        # Candidates along the axes: the judgement turns on the diagonal, whatever their lengths.
        h = half_space_distance(
            rows([1.0, 4.0], [3.0, 1.0]), rows([2.0, 0.0], [2.0, 0.0]), rows([0.0, 5.0], [0.0, 1.0])
        )
        assert h.tolist() == pytest.approx([3 / math.sqrt(2), -2 / math.sqrt(2)])

    def test_it_is_the_distance_that_t6_certifies(self) -> None:
        draw_ = np.random.default_rng(0)
        z, left, right = draw_.normal(size=(3, 8))
        left, right = left / np.linalg.norm(left), right / np.linalg.norm(right)
        h = float(half_space_distance(*(torch.from_numpy(x)[None] for x in (z, left, right))))
        prey, other = (right, left) if h > 0 else (left, right)
        exact = UpperBound(1.0, "by construction")
        radius = reference_moves(z, prey, other, score="cosine", lipschitz=exact, forward_error=0.0)
        assert radius == pytest.approx(abs(h), rel=1e-12)
        assert radius <= abs(h)

    def test_one_candidate_twice_is_a_distance_of_zero_with_a_finite_gradient(self) -> None:
        z = rows([1.0, 2.0]).requires_grad_()
        h = half_space_distance(z, rows([1.0, 1.0]), rows([2.0, 2.0]))
        h.sum().backward()
        assert float(h.detach()) == 0.0
        assert z.grad is not None
        assert torch.isfinite(z.grad).all()

    def test_the_published_difference_by_hand_does_not_see_lengths(self) -> None:
        d = cosine_difference(rows([3.0, 4.0]), rows([1.0, 0.0]), rows([0.0, 1.0]))
        assert float(d) == pytest.approx(0.2)
        assert float(cosine_difference(rows([30.0, 40.0]), rows([2.0, 0.0]), rows([0.0, 9.0]))) == pytest.approx(0.2)

    def test_the_hinge_by_hand(self) -> None:
        value, preference = torch.tensor([2.0, 0.5, 0.5, 7.0]), torch.tensor([1.0, 1.0, 0.25, 0.5])
        # Terms max(0, 1 − y·v): 0, 0.5, 1.5, and a tie that counts nothing.
        assert float(hinge(value, preference, margin=1.0, weighted=False)) == pytest.approx((0 + 0.5 + 1.5) / 3)
        assert float(hinge(value, preference, margin=1.0, weighted=True)) == pytest.approx((0.5 + 0.5 * 1.5) / 2.5)
        assert float(hinge(torch.ones(2), torch.full((2,), 0.5), margin=1.0, weighted=True)) == 0.0

    def test_gradients(self) -> None:
        draw_ = torch.Generator().manual_seed(2)
        z, left, right = torch.randn(3, 4, 5, dtype=torch.float64, generator=draw_)
        preference = torch.tensor([0.0, 1.0, 0.2, 0.9], dtype=torch.float64)
        for value in (half_space_distance, cosine_difference):
            leaves = tuple(x.clone().requires_grad_() for x in (z, left, right))
            assert torch.autograd.gradcheck(
                lambda *x, value=value: hinge(value(*x), preference, margin=9.0, weighted=True), leaves
            )


class TestJudging:
    def judged(self, count: int = 6) -> tuple[Judgements, torch.Tensor]:
        student = parse_student(TINY)
        draw_ = torch.Generator().manual_seed(1)
        images = torch.randint(0, 256, (3 * count, 3, 16, 16), dtype=torch.uint8, generator=draw_)
        self.embedder = student.shipped(student.network(0), "cosine")
        return judge(self.embedder, images, np.linspace(0, 1, count, dtype=np.float32)), images

    def test_a_certificate_lies_below_what_an_attack_needs(self) -> None:
        judged, images = self.judged()
        z, left, right = images.double().div(255).chunk(3)
        units = [torch.nn.functional.normalize(self.embedder.forward(x), dim=1) for x in (left, right)]
        difference = (units[1] - units[0]) / (units[1] - units[0]).norm(dim=1, keepdim=True)
        attacked = z.clone().requires_grad_()
        start = (self.embedder.forward(z) * difference).sum(1)
        h = start
        for _ in range(200):
            h = (self.embedder.forward(attacked) * difference).sum(1)
            (gradient,) = torch.autograd.grad((h * start.sign()).sum(), attacked)
            going = ((h * start.sign()) > 0).view(-1, 1, 1, 1)
            step = 0.02 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            attacked = (attacked - step * going).detach().requires_grad_()
        turned = ((h * start.sign()) <= 0).numpy()
        spent = 255 * (attacked - z).flatten(1).norm(dim=1).detach().numpy() / math.sqrt(3 * 16 * 16)
        assert turned.any()
        assert (judged.radii > 0).all()
        assert (judged.radii[turned] <= spent[turned]).all()
        assert (judged.chosen == start.sign().numpy()).all()

    def test_the_published_radius_is_ours_divided_by_the_length(self) -> None:
        judged, images = self.judged()
        lengths = self.embedder.forward(images[:6].double() / 255).norm(dim=1).numpy()
        assert np.allclose(judged.published * lengths, judged.radii, rtol=1e-9)

    def test_a_flat_reference_judges_nothing(self) -> None:
        self.judged()
        images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
        network = parse_student(TINY).network(0)
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.zeros_(parameter)
        images[0] = 90
        judged = judge(parse_student(TINY).shipped(network, "cosine"), images, np.ones(1, dtype=np.float32))
        assert (judged.chosen[0], judged.radii[0], judged.accuracy()) == (0.0, 0.0, 0.0)

    def test_figures_by_hand(self) -> None:
        judged = Judgements(
            preference=np.array([1.0, 0.2, 0.5, 1.0]),
            chosen=np.array([1.0, 1.0, -1.0, 1.0]),
            radii=np.array([2.0, 3.0, 9.0, 0.4]),
            published=np.array([4.0, 3.0, 9.0, 0.1]),
        )
        named = figures(judged, (0.5, 3.0), published=True)
        assert named["accuracy"] == pytest.approx(2 / 3)
        assert named["two_afc_score"] == pytest.approx((1 + 0.2 + 0.5 + 1) / 4)
        assert [named["certified_at_0.5"], named["certified_at_3"]] == pytest.approx([1 / 3, 0])
        assert named["published_certified_at_3"] == pytest.approx(1 / 3)
        assert not any("published" in name for name in figures(judged, (0.5,), published=False))


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn triplets: one candidate is the reference with noise, the other a picture of its own."""
    folder = tmp_path_factory.mktemp("nights")
    table = []
    draw_ = np.random.default_rng(0)
    for number in range(60):
        name = f"{number:03d}.png"
        reference = np.asarray(Image.open(draw(folder / "ref" / name, number)))
        noisy = np.clip(reference + draw_.normal(0, 12, reference.shape), 0, 255).astype(np.uint8)
        right = int(draw_.integers(2))
        near, far = ("right", "left") if right else ("left", "right")
        for side in (near, far):
            (folder / side).mkdir(exist_ok=True)
        Image.fromarray(noisy).save(folder / near / name)
        draw(folder / far / name, 1000 + number)
        split = "train" if number < 40 else "val"
        table.append([number, 1 - right, right, 6, split, "", True, f"ref/{name}", f"left/{name}", f"right/{name}"])
    with (folder / "data.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([COLUMNS, *table])
    return folder


def recipe(nights: Path, cache: Path, *, steps: int = 60, **options: object) -> tuple[TwoAFCRecipe, TrainPlan]:
    plan = TrainPlan(steps=steps, batch=8, lr=3e-3, warmup=2, ema=0.9, evaluate_every=0, log_every=5, accelerator="cpu")
    context = RunContext(sources=(nights,), cache=cache, workers=1, plan=plan)
    given = {"student": TINY, "margin": 8.0, **options}
    return build_two_afc(TwoAFCOptions(**given), context), plan  # type: ignore[arg-type]


class TestRecipe:
    def test_it_lowers_its_loss_raises_its_certificate_and_ships_a_model(self, nights: Path, tmp_path: Path) -> None:
        built, plan = recipe(nights, tmp_path / "cache", eps=(5.0, 1.0))
        before, watcher = built.evaluate(built.network), Watcher()
        report = run_training(built, plan, folder=tmp_path / "run", resume=False, observer=watcher)
        assert watcher.losses[-1] < 0.7 * watcher.losses[0]
        assert report.metrics["score"] == report.metrics["certified_at_5"]
        assert (report.metrics["score"] or 0) > before["score"]
        assert (report.metrics["accuracy"] or 0) >= (report.metrics["certified_at_1"] or 0) >= before["score"]
        assert load_model(tmp_path / "run" / "best.safetensors").lipschitz is not None
        header = read_header(tmp_path / "run" / "best.safetensors")
        assert header["training"]["options"]["data"]["triplets"] == 40
        assert header["card"]["certificate"].startswith("T1")

    def test_the_published_form_is_trained_and_labelled(self, nights: Path, tmp_path: Path) -> None:
        assert recipe(nights, tmp_path / "cache", published=True, margin=None)[0].margin == 0.2
        built, plan = recipe(nights, tmp_path / "cache", published=True, margin=1.5)
        watcher = Watcher()
        report = run_training(built, plan, folder=tmp_path / "run", resume=False, observer=watcher)
        assert watcher.losses[5] < 0.5 * watcher.losses[0]
        assert report.metrics["score"] == report.metrics["accuracy"]
        assert "published_certified_at_0.5" in report.metrics
        assert "paper" in read_header(tmp_path / "run" / "best.safetensors")["card"]["certificate"]

    def test_batches_are_functions_of_the_step(self, nights: Path, tmp_path: Path) -> None:
        (first, _), (second, _) = recipe(nights, tmp_path), recipe(nights, tmp_path)
        first.batch(7)
        one, two = first.batch(2), second.batch(2)
        assert one["images"].shape == (24, 3, 16, 16)
        assert all(torch.equal(one[name], two[name]) for name in one)

    def test_images_stand_where_their_triplet_says(self, nights: Path, tmp_path: Path) -> None:
        built, _ = recipe(nights, tmp_path)
        which = np.array([3, 11])
        pixels = built.train.pixels(which)
        triplets = load_triplets(nights, split="train").triplets
        for place, path in enumerate(triplets[i].files[part] for part in range(3) for i in which):
            expected = np.asarray(Image.open(path).resize((16, 16), Image.Resampling.BILINEAR))
            assert np.array_equal(pixels[place], expected)

    def test_the_margin_is_counted_in_levels(self, nights: Path, tmp_path: Path) -> None:
        assert recipe(nights, tmp_path, margin=2.0)[0].margin == pytest.approx(to_l2(2.0, "rmse", 3 * 16 * 16))
        assert recipe(nights, tmp_path, margin=0.2, published=True)[0].margin == 0.2

    def test_a_triplet_with_a_broken_image_is_left_out_and_counted(self, nights: Path, tmp_path: Path) -> None:
        copy = tmp_path / "broken"
        for path in nights.rglob("*.*"):
            target = copy / path.relative_to(nights)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        (copy / "left" / "004.png").write_bytes(b"no image")
        (copy / "right" / "007.png").unlink()
        built, _ = recipe(copy, tmp_path / "cache")
        described = built.train.describe()
        assert described["triplets"] == 38
        assert described["rejected"] == {"missing-file": 1, "undecodable": 1}
        assert described["seen"] == 38 + 2 + sum(described["skipped"].values())

    def test_bapps_trains_too(self, tmp_path: Path) -> None:
        for split in ("train", "val"):
            base = tmp_path / "2afc" / split / "cnn"
            (base / "judge").mkdir(parents=True)
            for number in range(8):
                for part, shift in {"ref": 0, "p0": 1, "p1": 2}.items():
                    draw(base / part / f"{number:06d}.png", 10 * number + shift + len(split))
                np.save(base / "judge" / f"{number:06d}.npy", np.array([number / 7], dtype=np.float32))
        built, plan = recipe(tmp_path, tmp_path / "cache", steps=2, kinds=("cnn",))
        assert built.train.describe()["layout"] == "bapps"
        assert not np.array_equal(built.train.stored, built.held_out.stored)
        report = run_training(built, plan, folder=tmp_path / "run", resume=False, observer=Watcher())
        assert report.steps == 2

    def test_a_layout_may_be_named_in_the_source(self, nights: Path, tmp_path: Path) -> None:
        built, _ = recipe(Path(f"nights:{nights}"), tmp_path)
        assert (built.train.describe()["layout"], len(built.train)) == ("nights", 40)
        with pytest.raises(UsageError, match="no BAPPS data set"):
            recipe(Path(f"bapps:{nights}"), tmp_path)

    def test_the_command_line_reaches_every_option(self, nights: Path, tmp_path: Path) -> None:
        words = {"published": True, "margin": "0.2", "student": TINY, "layout": "nights", "train_split": "val"}
        words |= {"val_split": "train", "min_votes": "1", "eps": "0.5,2", "kinds": "", "batch": "4"}
        plan, options = plan_and_options("2afc", words)
        assert (options.published, options.margin, options.eps, options.kinds) == (True, 0.2, (0.5, 2.0), ())
        context = RunContext(sources=(nights,), cache=tmp_path, workers=1, plan=plan, holdout=5)
        built = build_recipe("2afc", options, context)
        assert built.describe()["judged"] == 5

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"margin": -1.0}, "margin must be finite"),
            ({"eps": ()}, "eps takes finite RMSE levels"),
            ({"eps": (math.nan,)}, "eps takes finite RMSE levels"),
            ({"student": "resnet"}, "unknown student"),
            ({"layout": "bapps"}, "no BAPPS data set"),
            ({"train_split": "all"}, "no split 'all'"),
            ({"min_votes": 7}, "no usable triplet in train: 40 × few-votes"),
            ({"made": 0}, "made is the number of triplets"),
        ],
    )
    def test_options_that_cannot_be_are_refused(
        self, nights: Path, tmp_path: Path, options: dict[str, object], message: str
    ) -> None:
        with pytest.raises(UsageError, match=message):
            recipe(nights, tmp_path, **options)  # type: ignore[arg-type]

    def test_two_sources_are_one_too_many(self, nights: Path, tmp_path: Path) -> None:
        plan = TrainPlan(steps=1, batch=1)
        context = RunContext(sources=(nights, nights), cache=tmp_path, workers=1, plan=plan)
        with pytest.raises(UsageError, match="one data set; 2 sources"):
            build_two_afc(TwoAFCOptions(student=TINY), context)


def test_the_page_names_every_option() -> None:
    page = (Path(retr.__file__).parent / "docs" / "train-2afc.md").read_text()
    assert [f.name for f in fields(TwoAFCOptions) if f"`{f.name}`" not in page] == []
