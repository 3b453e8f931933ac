"""An index in slices that answer together: to the last bit what one process says, and what is lost is named."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from drawn import Quiet, draw
from PIL import Image
from source_contract import SourceContract, images_of

from retr.indexer.build import IndexOptions, build_index
from retr.indexer.writer import Writer
from retr.retrieval import settle
from retr.retrieval.calibrate import calibrate
from retr.retrieval.engine import Engine
from retr.retrieval.index_source import IndexSource
from retr.retrieval.joined import Joined, Reply
from retr.retrieval.slices import slice_of
from retr.retrieval.source import Ask

KINDS = {
    "one": (("block-means:4",), "flip"),
    "two": (("block-means:4", "block-means:8"), "flip"),
    "views": (("block-means:4", "block-means:8"), "light/1"),
}


@pytest.fixture(scope="module", params=KINDS)
def engine(request, tmp_path_factory) -> Engine:
    """Pictures in several segments, some of them twice, some removed; local thresholds."""
    root, (models, views) = tmp_path_factory.mktemp("joined"), KINDS[request.param]
    for number in range(18):
        draw(root / "corpus" / f"{number:02}.png", number)
    for number in (1, 5, 9):
        with Image.open(root / "corpus" / f"{number:02}.png") as image:
            image.save(root / "corpus" / f"z{number:02}.bmp")
    build_index(
        str(root / "corpus"),
        root / "index",
        IndexOptions(models=models, views=views, segment_rows=16, batch_size=4),
        Quiet(),
    )
    with Writer(root / "index") as writer:
        writer.remove(paths=[str(root / "corpus" / f"{n:02}.png") for n in (2, 9)])
        writer.commit()
    if request.param != "one":
        calibrate(root / "index", [str(draw(root / "absent" / f"{n}.png", 700 + n)) for n in range(39)], fpr=0.1)
    return Engine.open(root / "index")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few rows are proposed at first that sources are asked again."""
    monkeypatch.setattr(settle, "SHORTLIST", 2)
    monkeypatch.setattr(settle, "SHORTLIST_OF_MANY", 2)


def slices(engine: Engine, parts: int) -> list[IndexSource]:
    """The index in slices that were sent as bytes; most of them begin within a segment."""
    edges = np.linspace(0, len(engine.gallery.groups), parts + 1).astype(int)
    sent = [pickle.loads(pickle.dumps(slice_of(engine, int(a), int(b)))) for a, b in pairwise(edges)]
    return [one.open(engine.path, engine.gallery.snapshot) for one in sent]


def together(engine: Engine, sources: Sequence[IndexSource], silent: Callable[[int], bool] = lambda _: False) -> Joined:
    def ask(asks: Sequence[Ask]) -> list[Reply | None]:
        return [None if silent(number) else source.answer(asks) for number, source in enumerate(sources)]

    names = tuple(f"slice {number}" for number in range(len(sources)))
    return Joined(engine.gallery.table, names, tuple(source.rows for source in sources), ask)


class TestContract(SourceContract):
    @pytest.fixture(params=[1, 3, 50])
    def source(self, engine, request) -> Joined:
        return together(engine, slices(engine, request.param))


class TestContractOfOneProcess(SourceContract):
    @pytest.fixture
    def source(self, whole) -> IndexSource:
        return whole


@pytest.mark.parametrize("parts", [2, 5])
def test_answers_are_those_of_one_process(engine, parts):
    parted, pictures = replace(engine, parts=(together(engine, slices(engine, parts)),)), images_of(engine)
    for path in (0, 3, 5):
        with Image.open(Path(engine.paths_of(path)[0])) as image:
            pictures.append(np.asarray(image.convert("RGB")) / 255.0)
    for k in (1, 40):
        budgets = [0.4] * len(pictures)
        whole = engine.answer_many(pictures, k=k, certify=True, eps_l2=budgets)
        assert parted.answer_many(pictures, k=k, certify=True, eps_l2=budgets) == whole
        assert any(answer.certificate is not None for answer in whole)


def test_a_silent_slice_is_named_and_nothing_is_proved(engine):
    sources = slices(engine, 3)
    source = together(engine, sources, silent=lambda number: number == 1)
    pictures = images_of(engine)
    for answer in replace(engine, parts=(source,)).answer_many(pictures, k=3, certify=True, eps_l2=[0.1] * 6):
        missing = f"{sources[1].rows} of {source.rows} rows were not scanned: slice 1 is silent"
        assert answer.withheld == answer.verdict_because == missing
        assert answer.certificate is answer.copy is answer.not_a_copy is None
        assert answer.matches
        assert all(match.top1 is match.topk is match.copy is None for match in answer.matches)


def test_where_all_are_silent_the_source_is(engine):
    source = together(engine, slices(engine, 2), silent=lambda _: True)
    answer = replace(engine, parts=(source,)).answer(images_of(engine)[0], k=3, certify=True)
    assert (answer.matches, answer.certificate) == ((), None)
    assert answer.withheld is not None
    assert "silent" in answer.withheld


def test_a_slice_that_falls_silent_on_the_way_proves_nothing(engine):
    sources, asked = slices(engine, 3), [0]

    def silent(number: int) -> bool:
        asked[0] += 1
        return number == 1 and asked[0] > len(sources)

    parted = replace(engine, parts=(together(engine, sources, silent),))
    whole = engine.answer_many(images_of(engine), k=1, certify=True)
    found = parted.answer_many(images_of(engine), k=1, certify=True)
    assert any(answer.certificate is None for answer in found)
    for mine, theirs in zip(found, whole, strict=True):
        assert mine.certificate is None or mine == theirs


def test_parts_that_are_not_all_of_the_index_are_refused(engine):
    with pytest.raises(ValueError, match="no index"):
        together(engine, slices(engine, 3)[:2])
