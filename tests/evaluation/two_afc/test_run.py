"""The 2AFC benchmark on triplets made of drawn photographs: what its records say is what lies on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from drawn import Killed, Watcher
from small_two_afc import SHORT, SIDE, small_run

from retr.attacks.media import as_pixels, measure
from retr.core.errors import IntegrityError, UsageError
from retr.core.types import UpperBound
from retr.datasets.triplets import Triplet
from retr.embedding.registry import load_embedder
from retr.evaluation.two_afc import run as two_afc_run
from retr.evaluation.two_afc.data import Choice
from retr.evaluation.two_afc.metric import System
from retr.evaluation.two_afc.records import FORMAT
from retr.evaluation.two_afc.run import TwoAFCResult
from retr.evaluation.two_afc.settings import Levels, settings_of
from retr.evaluation.two_afc.shift import shifts_of
from retr.evaluation.two_afc.targets import Attacked, target_of
from retr.metrics.contract import Metric
from retr.metrics.registry import load_metric

BLOCKS = "retr:block-means:16"
Run = Callable[..., TwoAFCResult]


def numpy_l1(ref: torch.Tensor, img: torch.Tensor) -> np.ndarray:
    """A metric of another framework, without a gradient."""
    return np.abs(ref.detach().numpy() - img.detach().numpy()).mean(axis=(1, 2, 3))


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return partial(small_run, drawn, tmp_path_factory.mktemp)


@pytest.fixture(scope="module")
def attacked(run: Run) -> TwoAFCResult:
    """Two metrics under an attack of each kind, all images kept."""
    return run(
        metrics=("l2", BLOCKS),
        attacks=("fgsm", "pgd", "one-pixel", "stadv-50", "reverse-pgd", "apgd-l2", "fmn-l2", "embedding"),
        keep="all",
    )


def rows_of(result: TwoAFCResult, **wanted: Any) -> list[dict[str, Any]]:
    return [
        row for row in result.records.table.to_pylist() if all(row[name] == value for name, value in wanted.items())
    ]


def planes(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(as_pixels(image) if image.dtype == np.uint8 else image).permute(2, 0, 1)[None]


def test_clean_rows_are_what_the_metric_says(run: Run, triplets: tuple[Triplet[Any], ...]) -> None:
    result = run(metrics=("l2", "ssim"))
    assert len(result.records.table) == 8
    for name in ("l2", "ssim"):
        metric = load_metric(name)
        for row, triplet in zip(rows_of(result, system=name), triplets, strict=True):
            left, right = (float(metric.distance(planes(triplet.reference), planes(x))) for x in triplet.images[1:])
            assert (row["clean_left"], row["clean_right"]) == pytest.approx((left, right), rel=1e-9)
            assert row["agrees"] == ((right < left) == (triplet.preference == 1.0))
            assert (row["query"], row["side"], row["votes"]) == (triplet.name, SIDE, None)


def test_every_record_speaks_of_its_saved_image(attacked: TwoAFCResult, triplets: tuple[Triplet[Any], ...]) -> None:
    clean = {one.name: one for one in triplets}
    checked = 0
    for row in rows_of(attacked, system="l2"):
        if row["attack"] == "clean":
            assert row["image"] is None
            continue
        images = list(clean[row["query"]].images)
        near_is_right = row["clean_right"] < row["clean_left"]
        near, far = (2, 1) if near_is_right else (1, 2)
        place = {"reference": 0, "preferred": near, "other": far}[row["moves"]]
        moved = np.load(attacked.folder / row["image"])
        distance = measure(as_pixels(images[place]), moved)
        assert (distance.l2, distance.linf, distance.rmse) == (row["l2"], row["linf"], row["rmse"])
        images[place] = moved
        reference, left, right = (planes(image) for image in images)
        metric = load_metric("l2")
        found = float(metric.distance(reference, left)), float(metric.distance(reference, right))
        assert (row["left"], row["right"]) == pytest.approx(found, rel=1e-9)
        assert row["flipped"] == ((found[1] < found[0]) != near_is_right)
        checked += 1
    assert checked == 4 * 8  # seven settings, APGD at two radii; ℓ2 has no embedding


def test_budgets_are_kept_and_the_papers_scale_is_halved(attacked: TwoAFCResult) -> None:
    for row in rows_of(attacked, attack="pgd-linf", system="l2"):
        assert row["eps"] == 0.015
        assert row["linf"] <= 0.015
        assert "eps 0.03 alpha 0.001 x30" in row["setting"]
    for row in rows_of(attacked, attack="apgd-l2"):
        assert row["l2"] <= row["eps"]
    for row in rows_of(attacked, attack="one-pixel"):
        assert row["changed_001"] <= 1 / SIDE**2


def test_smallest_sizes_of_minimal_attacks(attacked: TwoAFCResult) -> None:
    step = 0.025 / SHORT.radii
    winners = [row for row in rows_of(attacked, attack="fgsm") if row["flipped"]]
    assert winners
    for row in winners:
        tried = row["smallest_eps"] / step
        assert tried == pytest.approx(round(tried))
        assert row["smallest_eps"] - step < row["linf"] <= row["smallest_eps"]
    for row in rows_of(attacked, attack="fmn-l2"):
        assert row["smallest_eps"] == (row["l2"] if row["flipped"] else None)
    assert all(row["smallest_eps"] is None for row in rows_of(attacked, attack="apgd-l2"))


def test_a_euclidean_flip_takes_what_geometry_says(run: Run, triplets: tuple[Triplet[Any], ...]) -> None:
    """The reference must cross the plane midway between its candidates, and FMN finds the shortest way there."""
    result = run(attacks=("fmn-l2",), moves=("reference",), levels=replace(SHORT, l2=(8.0,), steps=60))
    for row, triplet in zip(rows_of(result, attack="fmn-l2"), triplets, strict=True):
        x, left, right = (as_pixels(image).ravel() for image in triplet.images)
        needed = abs(((x - left) ** 2).sum() - ((x - right) ** 2).sum()) / (2 * np.linalg.norm(left - right))
        assert row["flipped"]
        assert needed <= row["l2"]
        assert row["l2"] < 1.3 * needed


def test_certificates_hold_under_attack(attacked: TwoAFCResult) -> None:
    rows = rows_of(attacked, system=BLOCKS)
    assert attacked.alarms == 0
    assert len(rows) == 4 * 11
    assert any(row["flipped"] for row in rows)
    assert all(row["certified"] and row["radius_sound"] > 0 for row in rows)
    assert not any(row["flipped"] and row["l2"] < row["radius_sound"] for row in rows if row["moves"] == "reference")
    assert all(row["radius_sound"] is None and not row["certified"] for row in rows_of(attacked, system="l2"))


def test_certificates_are_attacked_at_their_edge(run: Run) -> None:
    """Each with a ball of its own, all but as large as the radius."""
    result = run(metrics=("l2", BLOCKS), attacks=("apgd-radius",))
    rows = rows_of(result, attack="apgd-radius")
    assert {row["system"] for row in rows} == {BLOCKS}
    assert len(rows) == 4
    assert all(0.9 * row["radius_sound"] < row["l2"] < row["radius_sound"] for row in rows)
    assert not any(row["flipped"] or row["alarm"] for row in rows)
    assert all(row["eps"] is None for row in rows)
    assert [one["why"] for one in result.records.facts["left_out"]] == ["no certificate"]


def test_embeddings_move_no_further_than_proved(attacked: TwoAFCResult) -> None:
    rows = rows_of(attacked, goal="embedding")
    assert {row["system"] for row in rows} == {BLOCKS}
    assert len(rows) == 4 * 2
    for row in rows:
        assert 0 < row["shift"] <= row["shift_limit"]
        # Block means have constant 1, and an attack finds a change that they keep most of.
        assert row["shift"] > 0.5 * row["shift_limit"]
    assert {one["why"] for one in attacked.records.facts["left_out"]} == {"no embedder"}


def test_a_wrong_constant_is_an_alarm(triplets: tuple[Triplet[Any], ...]) -> None:
    embedder = load_embedder("block-means")
    images = [as_pixels(one.reference) for one in triplets]
    changed = [1.0 - image for image in images]
    sizes = [measure(a, b).l2 for a, b in zip(images, changed, strict=True)]
    assert not any(one.broken for one in shifts_of(embedder, images, changed, sizes))
    embedder.lipschitz = UpperBound(0.01, "a lie")
    assert all(one.broken for one in shifts_of(embedder, images, changed, sizes))


def test_a_wrong_certificate_is_an_alarm(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Radii a hundred times too large are broken by PGD; the same radii against ℓ2's own rows stay away."""
    real = two_afc_run.certify_triplets

    def lie(*images: Any, **told: Any) -> Any:
        proved = real(*images, **told)
        return replace(proved, radius_sound=100.0 * proved.radius_sound, radius_all=100.0 * proved.radius_all)

    monkeypatch.setattr(two_afc_run, "certify_triplets", lie)
    told = {"metrics": (BLOCKS,), "levels": replace(SHORT, l2=(3.0,)), "attacks": ("apgd-l2",)}
    for moves in ("reference", "preferred", "all"):
        result = run(**told, moves=(moves,))
        broken = [row for row in rows_of(result, attack="apgd-l2") if row["alarm"]]
        assert result.alarms == len(broken) > 0
        assert all(row["flipped"] and (result.folder / row["image"]).is_file() for row in broken)


def test_all_three_move_within_one_ball(run: Run, triplets: tuple[Triplet[Any], ...]) -> None:
    result = run(attacks=("apgd-l2", "stadv-50"), moves=("all",), keep="all")
    rows = rows_of(result, moves="all")
    assert {row["attack"] for row in rows} == {"apgd-l2"}  # three images would flow into one another
    clean = {one.name: one for one in triplets}
    for row in rows:
        triplet = clean[row["query"]]
        images = np.split(np.load(result.folder / row["image"]), 3)
        near_is_right = row["clean_right"] < row["clean_left"]
        reference, near, far = images
        sizes = [
            measure(as_pixels(before), after).l2
            for before, after in zip(
                (
                    triplet.reference,
                    *((triplet.right, triplet.left) if near_is_right else (triplet.left, triplet.right)),
                ),
                images,
                strict=True,
            )
        ]
        assert row["l2"] == max(sizes)
        assert np.linalg.norm(sizes) <= row["eps"] * (1 + 1e-9)
        found = [float(load_metric("l2").distance(planes(reference), planes(image))) for image in (near, far)]
        ours = (row["right"], row["left"]) if near_is_right else (row["left"], row["right"])
        assert ours == pytest.approx(tuple(found), rel=1e-9)


def test_transfers_are_judged_by_metrics_that_order_alike(run: Run) -> None:
    keys = ("transfer-pgd-10", "transfer-stadv-pgd-5")
    result = run(metrics=("l2", BLOCKS), attacks=keys, transfer_from="ssim")
    clean = {(row["system"], row["query"]): row for row in rows_of(result, attack="clean")}
    assert {metric for metric, _ in clean} == {"l2", BLOCKS, "ssim"}

    def order(metric: str, triplet: str) -> bool:
        row = clean[metric, triplet]
        return row["clean_left"] < row["clean_right"]

    own = [row for row in rows_of(result, source=None) if row["attack"] != "clean"]
    assert {row["system"] for row in own} == {"ssim"}
    assert len(own) == 2 * 4
    assert all(row["steps"] == row["gradients"] - 1 for row in own if row["attack"] == "pgd-linf")  # to its end
    judged = rows_of(result, source="ssim")
    expected = sum(
        order(metric, triplet) == order("ssim", triplet) for metric, triplet in clean if metric != "ssim" for _ in keys
    )
    assert len(judged) == expected > 0
    assert all(row["gradients"] == row["forwards"] == row["seconds"] == 0 for row in judged)


class TestFeatures:
    """A metric that gives features: what does not move is encoded once, and the distance stays what it is."""

    @staticmethod
    def halves(calls: list[int]) -> Metric:
        def features(x: torch.Tensor) -> torch.Tensor:
            calls.append(len(x))
            return x[..., ::2].flatten(1)

        def measure(ref: torch.Tensor, img: torch.Tensor) -> torch.Tensor:
            return (ref[..., ::2] - img[..., ::2]).square().sum((1, 2, 3))

        return Metric(load_metric("l2").facts, measure, features=features)

    @pytest.mark.parametrize(("moves", "images"), [("reference", 1), ("preferred", 1), ("other", 1), ("all", 3)])
    def test_a_step_encodes_what_moves(self, triplets: tuple[Triplet[Any], ...], moves: Any, images: int) -> None:
        calls: list[int] = []
        system = System(self.halves(calls), None, None, "cpu", "cpu")
        few = triplets[:3]
        attacked = Attacked(few, np.array([True, False, True]))
        (setting,) = settings_of(["pgd"], Levels())
        target = target_of(system, setting, moves, attacked)
        x = torch.cat([planes(attacked.moved(place, moves)) for place in range(3)]).float()
        samples = torch.arange(3)
        calls.clear()
        loss = target.loss(x, samples)
        assert calls == [3] * images
        plain = replace(system, metric=Metric(system.metric.facts, system.metric._measure))
        assert torch.allclose(loss, target_of(plain, setting, moves, attacked).loss(x, samples), rtol=1e-5)

    def test_large_features_are_not_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        system = System(self.halves([]), None, None, "cpu", "cpu")
        x = torch.zeros(4, 3, 8, 8)
        assert system.comparer(x).encode(x).shape == (4, 3 * 8 * 4)
        monkeypatch.setattr("retr.evaluation.two_afc.metric._KEPT_VALUES", 3 * 4 * 3 * 8 * 4 - 1)
        assert system.comparer(x).encode(x).shape == x.shape

    @pytest.mark.parametrize("name", ["st-lpips-alex", "st-lpips-vgg"])
    def test_features_of_st_lpips_are_its_distance(self, name: str) -> None:
        pytest.importorskip("stlpips_pytorch")
        metric = load_metric(name)
        assert metric.features is not None
        ref, img = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        squares = (metric.features(ref) - metric.features(img)).square().sum(1)
        assert torch.allclose(squares, metric.distance(ref, img), rtol=1e-5)


def test_a_metric_without_gradient_gets_black_box_attacks_only(run: Run) -> None:
    spec = f"python:{__name__}.numpy_l1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, __name__, SimpleNamespace(numpy_l1=numpy_l1))
        result = run(metrics=(spec,), attacks=("pgd", "square-linf", "one-pixel", "embedding"))
    assert {row["attack"] for row in rows_of(result)} == {"clean", "square-linf", "one-pixel"}
    reasons = {one["why"] for one in result.records.facts["left_out"]}
    assert reasons == {"no embedder", "not differentiable: black-box attacks only"}


def test_the_same_seed_gives_the_same_records_and_a_resumed_run_too(run: Run, tmp_path: Path) -> None:
    told = {"attacks": ("square-linf",), "batch_size": 1, "choice": Choice(side=SIDE, limit=3, seed=5)}
    whole = run(**told)

    with pytest.raises(Killed):
        run(Watcher(4), **told, out=tmp_path / "out")
    with pytest.raises(UsageError, match="resume it"):
        run(**told, out=tmp_path / "out")
    with pytest.raises(UsageError, match="another plan"):
        run(**{**told, "attacks": ("square-l2",)}, out=tmp_path / "out", resume=True)
    parts = list((tmp_path / "out" / "parts").iterdir())
    assert 0 < len(parts) < 3
    resumed = run(**told, out=tmp_path / "out", resume=True)
    own = ["run", "command", "seconds"]
    assert resumed.records.table.drop(own) == whole.records.table.drop(own)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["records.parquet", "run.json"]
    with pytest.raises(UsageError, match="already holds the records"):
        run(**told, out=tmp_path / "out")
    steps = replace(SHORT, steps=SHORT.steps + 1)
    with pytest.raises(UsageError, match=rf"another plan: levels.steps was {SHORT.steps} and is {steps.steps}$"):
        run(**{**told, "levels": steps}, out=tmp_path / "out", resume=True)
    again = run(**told, out=tmp_path / "out", resume=True)
    assert again.records.table == resumed.records.table
    assert (resumed.stored, again.stored) == (False, True)


def test_another_seed_gives_another_attack(run: Run) -> None:
    told = {"attacks": ("square-linf",), "choice": Choice(side=SIDE, limit=1)}
    first, second = (rows_of(run(**told), attack="square-linf")[0] for _ in range(2))
    assert (first["left"], first["right"]) == (second["left"], second["right"])
    other = rows_of(run(**{**told, "choice": Choice(side=SIDE, limit=1, seed=1)}), attack="square-linf")[0]
    assert other["attack_seed"] != first["attack_seed"]


def test_png_is_judged_too(run: Run) -> None:
    """A change of less than half a level is gone in 8 bits."""
    tiny = replace(SHORT, linf=(0.001,))
    result = run(attacks=("apgd-linf",), levels=tiny, medium="png")
    rows = rows_of(result, attack="apgd-linf")
    assert all(row["l2"] == 0 and row["psnr"] is None and not row["flipped"] and not row["flipped_png"] for row in rows)
    assert {row["medium"] for row in rows} == {"png"}


def test_unreadable_triplets_are_named_and_the_rest_goes_on(drawn: Path, run: Run, tmp_path: Path) -> None:
    for path in drawn.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = run(data=(f"synthetic:{tmp_path}",), choice=Choice(side=SIDE, limit=8, kinds=("blur",)))
    assert len(result.records.table) == 7
    ((name, why),) = result.rejected
    assert name == f"synthetic:{tmp_path}"
    assert "0.png" in why


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("flipped", True, "flipped"),
        ("agrees", None, "agrees"),
        ("l2", 1.0, "a change without an attack"),
        ("alarm", True, "an alarm without an attack"),
        ("image", "x.png", "image without an attack"),
    ],
)
def test_records_that_contradict_themselves_are_refused(
    attacked: TwoAFCResult, column: str, value: Any, said: str
) -> None:
    table = attacked.records.table
    FORMAT.check(table)
    place = table.schema.get_field_index(column)
    values = table[column].to_pylist()
    values[0] = not values[0] if value is None else value
    changed = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
    with pytest.raises(IntegrityError, match=f"record 0 contradicts itself: {said}"):
        FORMAT.check(changed)


def test_records_of_another_kind_are_refused(attacked: TwoAFCResult, tmp_path: Path) -> None:
    assert FORMAT.read(attacked.path).facts["plan"]["attacks"]
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(IntegrityError, match="holds no records"):
        FORMAT.read(other)
    other.write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match="cannot be read"):
        FORMAT.read(other)
