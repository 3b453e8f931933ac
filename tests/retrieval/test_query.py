"""Query files in, answers out: order, bad files, units, batches."""

from __future__ import annotations

import math

import numpy as np
import pytest
from drawn import Quiet, draw
from PIL import Image

from retr.core.errors import UsageError
from retr.core.units import to_l2
from retr.indexer.build import IndexOptions, build_index
from retr.retrieval import query
from retr.retrieval.engine import Engine
from retr.retrieval.query import query_files


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    root = tmp_path_factory.mktemp("query")
    for number in range(8):
        draw(root / "corpus" / f"{number}.png", number)
    build_index(str(root / "corpus"), root / "index", IndexOptions(models=("block-means:4",)), Quiet())
    return Engine.open(root / "index")


@pytest.fixture
def mixed(engine, tmp_path) -> list[str]:
    """Good files and bad ones in turn."""
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not an image")
    corpus = engine.path.parent / "corpus"
    bad = [tmp_path / "empty.png", tmp_path / "nowhere.png", tmp_path / "text.jpg", tmp_path]
    return [str(path) for number, file in enumerate(bad) for path in (corpus / f"{number}.png", file)]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_answers_come_in_order_and_bad_files_stop_nothing(engine, mixed, batch_size):
    outcomes = list(query_files(engine, mixed, k=2, certify=True, eps=0.5, batch_size=batch_size))
    assert [outcome.path for outcome in outcomes] == mixed
    for number, outcome in enumerate(outcomes):
        if number % 2:
            assert outcome.answer is None
            assert outcome.refused is not None
        else:
            assert outcome.answer is not None
            assert outcome.answer.matches[0].path == outcome.path
            assert outcome.refused is None
    reasons = [outcome.refused.reason for outcome in outcomes if outcome.refused]
    assert len(set(reasons)) == 4
    assert reasons[0] == "zero-byte"
    again = query_files(engine, mixed, k=2, certify=True, eps=0.5)
    assert [outcome.answer for outcome in outcomes] == [outcome.answer for outcome in again]


def test_no_files_no_answers(engine):
    assert list(query_files(engine, [])) == []


def test_large_images_are_held_a_few_at_a_time(engine, mixed, monkeypatch):
    """Batches are cut by pixels, not only by number: 16 photographs of 50 megapixels would fill any memory."""
    sizes = []
    answer_many = Engine.answer_many

    def spy(self, images, **options):
        sizes.append([image.shape[0] * image.shape[1] for image in images])
        return answer_many(self, images, **options)

    monkeypatch.setattr(Engine, "answer_many", spy)
    monkeypatch.setattr(query, "BATCH_PIXELS", 2000)
    assert [o.path for o in query_files(engine, mixed)] == mixed
    assert len(sizes) > 1
    assert all(sum(batch[:-1]) < 2000 for batch in sizes)


def test_a_file_is_answered_as_its_pixels(engine, mixed):
    [outcome] = query_files(engine, mixed[:1], certify=True)
    with Image.open(mixed[0]) as image:
        pixels = np.asarray(image, dtype=np.float64) / 255
    assert outcome.answer == engine.answer(pixels, certify=True)


@pytest.mark.parametrize(
    ("eps", "unit", "expected"), [(2.0, "l2", 2.0), (2.0, "rmse", 2 / 255), (40.0, "psnr", 0.01), (0.0, "rmse", 0.0)]
)
def test_a_budget_is_turned_into_the_norm_of_each_image(engine, mixed, eps, unit, expected):
    for outcome in query_files(engine, mixed[::2], certify=True, eps=eps, unit=unit):
        answer = outcome.answer
        assert answer is not None
        assert answer.eps is not None
        values = 3 * answer.width * answer.height
        assert answer.eps.l2 == pytest.approx(expected if unit == "l2" else expected * math.sqrt(values))
        assert answer.eps.as_json()[unit] == eps  # the number that was given, not what became of it
        assert answer.eps.l2 == to_l2(eps, unit, values)


def test_a_bad_budget(engine, mixed):
    with pytest.raises(UsageError, match="budget"):
        list(query_files(engine, mixed, certify=True, eps=-1.0))
