"""The engine on small indexes of drawn pictures: answers, reasons for none, and attacks on what it certifies."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import Quiet, draw
from PIL import Image

from retr.core.errors import IntegrityError, UsageError
from retr.core.files import canonical_json
from retr.core.units import Radius
from retr.images.decode import load
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.row_lengths import check_rows
from retr.indexer.snapshot import commit, require_current
from retr.indexer.vectors import open_rows
from retr.retrieval.answer import Answer
from retr.retrieval.engine import Engine
from retr.retrieval.query import to_float


def build(corpus: Path, index: Path, **options) -> Engine:
    build_index(str(corpus), index, IndexOptions(models=options.pop("models", ("block-means:4",)), **options), Quiet())
    return Engine.open(index)


def pixels(engine: Engine, path: Path) -> np.ndarray:
    return to_float(load(path, policy=engine.policy))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Sixteen pictures; 01 again with the same pixels; 02 again with one value changed by one level."""
    root = tmp_path_factory.mktemp("engine") / "corpus"
    for number in range(16):
        draw(root / f"{number:02}.png", number)
    with Image.open(root / "01.png") as image:
        image.save(root / "01-same.bmp")
    with Image.open(root / "02.png") as image:
        near = np.asarray(image).copy()
    near[5, 5, 0] ^= 1
    Image.fromarray(near).save(root / "02-near.png")
    return root


@pytest.fixture(scope="module")
def engine(corpus) -> Engine:
    build(corpus, corpus.parent / "index")
    return Engine.open(corpus.parent / "index", threshold=0.95)


def l2(radius: Radius | None) -> float:
    assert radius is not None
    return radius.l2


def answer(engine: Engine, path: Path, **options) -> Answer:
    return engine.answer(pixels(engine, path), **{"certify": True, **options})


# -- answers ----------------------------------------------------------------------------------------------------------


def test_every_image_ranks_itself_first_with_a_positive_radius(engine, corpus):
    for path in sorted(corpus.iterdir()):
        found = answer(engine, path)
        first = found.matches[0]
        assert str(path) in (first.path, *first.duplicates)
        assert first.score == pytest.approx(1.0, abs=1e-9)
        assert l2(first.topk) >= l2(first.top1) > 0
        assert all(match.top1 is None and match.topk is not None for match in found.matches[1:])
        assert [match.rank for match in found.matches] == list(range(1, 11))
        assert [match.score for match in found.matches] == sorted((m.score for m in found.matches), reverse=True)
        assert found.certificate is not None
        assert found.certificate.rows_scanned == found.certificate.rows_total == 18
        assert 0 <= found.certificate.slack < 1e-9


def test_files_with_the_same_pixels_are_one_item_and_name_each_other(engine, corpus):
    found = answer(engine, corpus / "01.png", k=20)
    assert len(found.matches) == 17
    assert {found.matches[0].path, *found.matches[0].duplicates} == {
        str(corpus / "01.png"),
        str(corpus / "01-same.bmp"),
    }
    assert len({match.group for match in found.matches}) == 17


def test_a_near_duplicate_restricts_the_radius_and_is_named(engine, corpus):
    lone, close = answer(engine, corpus / "03.png"), answer(engine, corpus / "02.png")
    assert close.matches[0].path == str(corpus / "02.png")
    assert close.matches[1].path == str(corpus / "02-near.png")
    assert close.certificate is not None
    assert close.certificate.limited_by == close.matches[1].id
    assert l2(close.matches[0].top1) < 0.01 * l2(lone.matches[0].top1)


def test_a_batch_gives_the_answers_of_single_queries(engine, corpus):
    images = [pixels(engine, path) for path in sorted(corpus.iterdir())]
    images.append(np.full((9, 9, 3), 0.5))
    batch = engine.answer_many(images, k=4, certify=True, eps_l2=[0.1] * len(images))
    assert batch == [engine.answer(image, k=4, certify=True, eps_l2=0.1) for image in images]


def test_without_certify_the_ranking_is_the_same_and_nothing_is_proved(engine, corpus):
    plain, proved = answer(engine, corpus / "05.png", certify=False), answer(engine, corpus / "05.png")
    assert [match.id for match in plain.matches] == [match.id for match in proved.matches]
    assert plain.certificate is None
    assert plain.withheld is not None
    assert "not asked for" in plain.withheld
    assert all(match.top1 is match.topk is match.copy is None for match in plain.matches)


def test_the_verdict_at_a_budget(engine, corpus):
    for path, word in ((corpus / "05.png", "copy"), (draw(corpus.parent / "absent" / "a.png", 900), "not-a-copy")):
        image = pixels(engine, path)
        free = engine.answer(image, certify=True)
        assert (free.verdict, free.point_verdict) == (word, word)
        radius = l2(free.copy if word == "copy" else free.not_a_copy)
        assert (free.not_a_copy if word == "copy" else free.copy) is None
        inside = engine.answer(image, certify=True, eps_l2=np.nextafter(radius, 0))
        assert (inside.verdict, inside.verdict_because) == (word, None)
        outside = engine.answer(image, certify=True, eps_l2=radius)
        assert (outside.verdict, outside.point_verdict) == ("undecided", word)
        assert outside.verdict_because is not None
        assert "RMSE" in outside.verdict_because


def test_a_given_threshold_replaces_the_stored_one(engine, corpus):
    image = pixels(engine, corpus / "05.png")
    strict = Engine.open(engine.path, threshold=1.0).answer(image, certify=True)
    loose = Engine.open(engine.path, threshold=-1.0).answer(image, certify=True)
    assert strict.thresholds[0]["source"] == loose.thresholds[0]["source"] == "given"
    assert loose.verdict == "copy"
    assert strict.copy is None
    for bad in (1.5, float("nan")):
        with pytest.raises(UsageError, match="threshold"):
            Engine.open(engine.path, threshold=bad)


def test_stored_views_find_a_mirrored_query(corpus, tmp_path):
    flipped = tmp_path / "flipped.png"
    with Image.open(corpus / "07.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(flipped)
    plain, views = build(corpus, tmp_path / "plain"), build(corpus, tmp_path / "views", views="flip")
    assert answer(plain, flipped).matches[0].score < 0.999
    found = answer(views, flipped)
    first = found.matches[0]
    assert (Path(first.path).name, first.view) == ("07.png", "flip")
    assert first.score == pytest.approx(1.0, abs=1e-9)
    assert l2(first.top1) > 0


# -- JSON -------------------------------------------------------------------------------------------------------------

QUERY_KEYS = {
    *("schema", "query", "width", "height", "model", "snapshot", "verdict", "matches", "certificate", "withheld"),
    *(
        "point_verdict",
        "verdict_because",
        "eps",
        "copy",
        "not_a_copy",
        "k",
        "thresholds",
        "seconds",
        "against",
        "where",
        "banks",
        "silenced_by",
        "companion",
    ),
}
MATCH_KEYS = {
    *("rank", "id", "path", "score", "distance", "top1", "topk", "copy"),
    *("view", "query_view", "channel", "accepted", "duplicates", "tier", "proved"),
}
CERTIFICATE_KEYS = {"exact", "rows_scanned", "rows_total", "lipschitz", "methods", "slack", "limited_by"}


def test_the_json_of_an_answer(engine, corpus):
    body = json.loads(json.dumps(answer(engine, corpus / "05.png", eps_l2=0.5).as_json("a.png"), allow_nan=False))
    assert set(body) == QUERY_KEYS
    assert (body["schema"], body["query"], body["width"], body["height"]) == ("retr.query/1", "a.png", 35, 40)
    assert body["snapshot"] == engine.snapshot
    assert all(set(match) == MATCH_KEYS for match in body["matches"])
    assert set(body["matches"][0]["top1"]) == set(body["matches"][0]["copy"]) == {"l2", "rmse", "psnr"}
    assert set(body["certificate"]) == CERTIFICATE_KEYS
    assert body["certificate"]["exact"] is True
    assert {"network", "resize"} <= set(body["certificate"]["lipschitz"])
    assert body["withheld"] is None
    radius = body["matches"][0]["top1"]
    assert radius["rmse"] == pytest.approx(255 * radius["l2"] / np.sqrt(3 * 35 * 40))
    assert radius["psnr"] == pytest.approx(20 * np.log10(255 / radius["rmse"]))


# -- queries and galleries at the edge --------------------------------------------------------------------------------


def test_a_flat_query_is_refused_by_name(engine):
    found = engine.answer(np.full((20, 30, 3), 0.3), k=5, certify=True, eps_l2=1.0)
    assert (found.verdict, found.matches, found.certificate, found.k) == ("undecided", (), None, 5)
    assert found.withheld is not None
    assert "is flat to" in found.withheld
    assert found.verdict_because == found.withheld
    json.dumps(found.as_json("flat.png"), allow_nan=False)


def test_a_single_pixel_is_flat(engine):
    found = engine.answer(np.array([[[0.9, 0.1, 0.4]]]), certify=True)
    assert found.withheld is not None
    assert "is flat to" in found.withheld


def test_a_two_pixel_query_is_answered(engine):
    found = engine.answer(np.array([[[0.9, 0.1, 0.4], [0.1, 0.2, 0.9]]]), certify=True)
    assert len(found.matches) == 10
    assert l2(found.matches[0].top1) > 0


def test_a_gallery_of_one_item(corpus, tmp_path):
    draw(tmp_path / "one" / "only.png", 3)
    engine = build(tmp_path / "one", tmp_path / "index")
    found = answer(engine, corpus / "04.png", eps_l2=0.1)
    assert len(found.matches) == 1
    # Nothing can overtake it: what is left is that the query keeps a direction, and that images have edges.
    z = engine.channels[0].embed_query(pixels(engine, corpus / "04.png"))
    assert z.lipschitz is not None
    most = min(float(np.linalg.norm(z.z)) / z.lipschitz.value, np.sqrt(3 * found.width * found.height))
    assert l2(found.matches[0].top1) == pytest.approx(most, rel=1e-6)
    assert l2(found.matches[0].top1) < most
    assert found.certificate is not None
    assert found.certificate.limited_by is None
    assert (found.verdict, found.copy) == ("not-a-copy", None)  # the reference set says how near others come


def test_an_empty_gallery(corpus, tmp_path):
    (tmp_path / "none").mkdir()
    engine = build(tmp_path / "none", tmp_path / "index", prune_all=True)
    found = answer(engine, corpus / "04.png", eps_l2=0.1)
    assert (found.matches, found.certificate, found.withheld) == ((), None, "the gallery is empty")


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4)),
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((0, 4, 3)),
        np.full((4, 4, 3), 1.1),
        np.full((4, 4, 3), np.nan),
    ],
)
def test_arrays_that_are_no_query(engine, image):
    with pytest.raises(UsageError):
        engine.answer(image)


def test_bad_numbers_are_refused(engine):
    image = np.zeros((4, 4, 3))
    for bad in ({"k": 0}, {"eps_l2": -1.0}, {"eps_l2": float("nan")}):
        with pytest.raises(UsageError):
            engine.answer(image, **bad)
    with pytest.raises(UsageError, match="budgets"):
        engine.answer_many([image], eps_l2=[0.1, 0.2])


# -- models and damage ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> str:
    """A foreign program: two strided sums."""
    path = tmp_path_factory.mktemp("script") / "tiny.pt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..* is deprecated")
        module = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
        torch.jit.save(torch.jit.trace(module, torch.rand(1, 3, 16, 16)), str(path))
    return f"torchscript:{path}@16x16"


def test_an_uncertified_model_answers_without_radii_and_says_why(corpus, script, tmp_path):
    engine = build(corpus, tmp_path / "index", models=(script,))
    found = answer(engine, corpus / "05.png", eps_l2=0.1)
    assert found.matches[0].path == str(corpus / "05.png")
    assert found.verdict == "uncertified"
    assert found.point_verdict is not None
    assert found.withheld is not None
    assert "foreign program" in found.withheld
    assert found.certificate is found.copy is found.not_a_copy is found.eps is None
    assert all(match.top1 is match.topk is match.copy is None for match in found.matches)


def test_another_model_than_the_index_was_built_with(corpus, engine, tmp_path):
    snapshot = require_current(engine.path)
    other = replace(snapshot.channels[0], model_digest="0" * 64)
    index = tmp_path / "index"
    build(corpus, index)
    commit(index, replace(require_current(index), channels=(other,), created=""))
    with pytest.raises(IntegrityError, match="not the model"):
        Engine.open(index)


def test_the_models_own_copy_is_part_of_the_index(corpus, script, tmp_path):
    index = tmp_path / "index"
    build(corpus, index, models=(script,))
    [copy] = (index / "models").iterdir()
    copy.write_bytes(b"not a program")
    with pytest.raises(IntegrityError):
        Engine.open(index)
    copy.unlink()
    with pytest.raises(IntegrityError):
        Engine.open(index)


@pytest.mark.parametrize("damage", ["shrink", "nan", "cut"])
def test_rows_that_no_certificate_holds_for_are_refused(corpus, tmp_path, damage):
    index = tmp_path / "index"
    build(corpus, index)
    [file] = (index / "segments").glob("*/rows-0.f32")
    rows = np.fromfile(file, dtype="<f4").reshape(18, 48)
    if damage == "shrink":
        rows[7] *= np.float32(1 - 1e-6)  # too short to be seen by eye, long enough to hide from a float32 search
    elif damage == "nan":
        rows[7, 3] = np.nan
    file.write_bytes(rows.tobytes() if damage != "cut" else rows[:-1].tobytes())
    with pytest.raises(IntegrityError, match="does not match its SHA-256"):
        Engine.open(index)
    with pytest.raises(IntegrityError, match="row 7" if damage != "cut" else "bytes"):  # whoever wrote the digests too
        check_rows(open_rows([(file, 18)], dim=48, score="cosine"), "block-means")


def test_an_altered_snapshot_is_refused(corpus, tmp_path):
    index = tmp_path / "index"
    build(corpus, index)
    [file] = (index / "snapshots").iterdir()
    data = json.loads(file.read_bytes())
    data["channels"][0]["threshold"]["value"] = 0.1
    file.write_bytes(canonical_json(data))
    with pytest.raises(IntegrityError, match="altered"):
        Engine.open(index)


# -- attacks: block means are linear, so the nearest image that changes the answer is known in closed form ------------


def jacobian(engine: Engine, height: int, width: int) -> np.ndarray:
    """f as a matrix, (d, 3·H·W)."""
    basis = torch.eye(3 * height * width, dtype=torch.float64).reshape(-1, 3, height, width)
    return engine.channels[0].embed(basis).numpy().T


def soft(height: int, width: int, seed: int) -> np.ndarray:
    """A picture that is not in the gallery, away from black and white."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(64, 192, (4, 4, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64) / 255


def to_image(vector: np.ndarray, height: int, width: int) -> np.ndarray:
    return vector.reshape(3, height, width).transpose(1, 2, 0)


# At the input size the resize is the identity and the bound is attained; elsewhere ρ exceeds what smooth rows see.
@pytest.mark.parametrize(("height", "width", "attained"), [(16, 16, 1.0001), (24, 20, 1.15), (11, 13, 1.15)])
def test_the_top1_radius_holds_inside_and_breaks_just_outside(engine, height, width, attained):
    for seed in range(3):
        image = soft(height, width, seed)
        found = engine.answer(image, k=3, certify=True)
        first, certificate = found.matches[0], found.certificate
        radius = l2(first.top1)
        assert certificate is not None
        matrix, channel = jacobian(engine, height, width), engine.channels[0]
        names = engine.gallery.catalog["id"].to_pylist()
        own, rival = channel.rows64(np.array([names.index(first.id), names.index(certificate.limited_by)]))
        normal = matrix.T @ (own - rival)
        lead = channel.embed_query(image).z @ (own - rival)
        change = to_image(-normal * lead / (normal @ normal), height, width)
        shortest = float(np.linalg.norm(change))
        assert radius < shortest <= attained * radius
        assert changed_first(engine, image + change * (0.9999 * radius / shortest)) == first.id
        assert changed_first(engine, image + change * (1 + 1e-9)) == certificate.limited_by


def changed_first(engine: Engine, image: np.ndarray) -> str:
    assert image.min() >= 0
    assert image.max() <= 1
    return engine.answer(image, k=1).matches[0].id


@pytest.mark.parametrize("mix", [0.1, 1.0])
def test_the_verdict_radius_holds_inside_and_breaks_just_outside(engine, corpus, mix):
    """A picture of the gallery at its input size, mixed with another: inside the cone for 0.1, outside for 1."""
    small = np.asarray(Image.open(corpus / "05.png").resize((16, 16), Image.Resampling.BOX), dtype=np.float64) / 255
    image = 0.3 + 0.4 * ((1 - mix) * small + mix * soft(16, 16, 8))
    found = engine.answer(image, k=1, certify=True)
    radius = l2(found.copy if found.point_verdict == "copy" else found.not_a_copy)
    assert found.point_verdict == ("copy" if mix < 0.5 else "not-a-copy")
    channel = engine.channels[0]
    assert channel.threshold is not None
    z, tau = channel.embed_query(image).z, channel.threshold.value
    rows = channel.rows64(np.arange(18))
    row = rows[(rows @ z).argmax()]
    across = z - (z @ row) * row
    inwards = np.sqrt(1 - tau**2) * row - tau * across / np.linalg.norm(across)  # T5: the gradient of the distance
    sign = -1 if found.point_verdict == "copy" else 1
    change = to_image(jacobian(engine, 16, 16).T @ (sign * inwards), 16, 16)
    assert np.linalg.norm(change) == pytest.approx(1, abs=1e-6)
    inside = engine.answer(image + change * radius * (1 - 1e-6), k=1)
    outside = engine.answer(image + change * radius * (1 + 1e-5), k=1)
    assert inside.point_verdict == found.point_verdict != outside.point_verdict


def test_a_query_near_flat_keeps_its_answer_inside_the_radius(engine):
    """The radius ends before the engine would refuse the query as flat."""
    image = 0.5 + 1e-9 * (soft(16, 16, 3) - 0.4)
    found = engine.answer(image, k=30, certify=True)
    channel = engine.channels[0]
    z = channel.embed_query(image).z
    last = l2(found.matches[-1].topk)
    towards_flat = to_image(jacobian(engine, 16, 16).T @ (-z / np.linalg.norm(z)), 16, 16)
    assert engine.answer(image + towards_flat * last * 0.999, k=30).matches
    assert not engine.answer(image + towards_flat * float(np.linalg.norm(z)), k=30).matches
