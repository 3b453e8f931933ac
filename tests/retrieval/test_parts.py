"""An index in several parts: the answers of the whole, and no certificate without one of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from drawn import Quiet, draw
from PIL import Image

from retr.indexer.build import IndexOptions, build_index
from retr.indexer.items import Items
from retr.indexer.vectors import RowStore
from retr.retrieval.calibrate import calibrate
from retr.retrieval.engine import Engine
from retr.retrieval.index_source import IndexSource
from retr.retrieval.source import NoAnswer


@pytest.fixture(scope="module", params=["one", "two", "local"])
def engine(request, tmp_path_factory) -> Engine:
    """Eighteen pictures with mirror images stored; three of them again, far away in another file."""
    root = tmp_path_factory.mktemp("parts")
    for number in range(18):
        draw(root / "corpus" / f"{number:02}.png", number)
    for number in (1, 5, 9):
        with Image.open(root / "corpus" / f"{number:02}.png") as image:
            image.save(root / "corpus" / f"z{number:02}.bmp")
    models = ("block-means:4",) if request.param == "one" else ("block-means:4", "block-means:8")
    build_index(str(root / "corpus"), root / "index", IndexOptions(models=models, views="flip"), Quiet())
    if request.param == "local":
        calibrate(root / "index", [str(draw(root / "absent" / f"{n}.png", 700 + n)) for n in range(39)], fpr=0.1)
    return Engine.open(root / "index")


def cut(engine: Engine, *places: int) -> tuple[IndexSource, ...]:
    """The index in parts that begin at these rows."""
    edges = (0, *places, len(engine.gallery.groups))
    return tuple(_part(engine, start, stop) for start, stop in pairwise(edges))


def _part(engine: Engine, start: int, stop: int) -> IndexSource:
    items = Items.of(engine.gallery.table.digests.slice(start, stop - start), engine.gallery.live[start:stop])
    channels = []
    for channel in engine.channels:
        rows = np.ascontiguousarray(channel.store.take(np.arange(start, stop)))
        store = RowStore((rows,), (0, stop - start), channel.store.dim, channel.score)
        gaps = None if channel.gaps is None else channel.gaps[start:stop]
        channels.append(replace(channel, store=store, groups=items.groups, gaps=gaps))
    return IndexSource(tuple(channels), items, start)


def images(engine: Engine) -> list[np.ndarray]:
    """Gallery pictures, their mirror images, mixtures, and one of nothing."""
    found = []
    for number in (1, 5, 7, 12):
        with Image.open(Path(engine.paths_of(number)[0])) as image:
            pixels = np.asarray(image.convert("RGB").resize((30, 24)), dtype=np.float64) / 255
        found += [pixels, pixels[:, ::-1].copy()]
    noise = np.random.default_rng(0).random((24, 30, 3))
    return [*found, 0.5 * (found[0] + found[2]), 0.7 * found[4] + 0.3 * noise, noise, np.full((9, 9, 3), 0.5)]


@pytest.mark.parametrize("places", [(20,), (13, 30), (0, 41)])
@pytest.mark.parametrize("k", [1, 30])
def test_the_answers_are_those_of_the_whole(engine, places, k):
    parted, seen = replace(engine, parts=cut(engine, *places)), set()
    budgets = [0.4] * len(images(engine))
    for certify in (True, False):
        whole = engine.answer_many(images(engine), k=k, certify=certify, eps_l2=budgets)
        assert parted.answer_many(images(engine), k=k, certify=certify, eps_l2=budgets) == whole
        seen |= {answer.verdict for answer in whole}
    assert len(seen) >= 2


class Silent(IndexSource):
    """A part that cannot be reached."""

    def answer(self, asks):
        raise NoAnswer


def test_without_a_part_the_certificate_is_withheld_and_says_so(engine):
    near, far = cut(engine, 20)
    parted = replace(engine, parts=(near, Silent(far.channels, far.items, far.start)))
    verdicts = set()
    for image, whole in zip(images(engine), engine.answer_many(images(engine), k=3, certify=True), strict=True):
        found = parted.answer(image, k=3, certify=True, eps_l2=0.01)
        assert found.certificate is found.copy is found.not_a_copy is found.eps is None
        assert all(match.top1 is match.topk is match.copy is None for match in found.matches)
        if not whole.matches:
            assert found.withheld == whole.withheld
            continue
        missing = f"{far.rows} of {near.rows + far.rows} rows were not scanned"
        assert found.withheld == f"{missing}: a part of the index is silent"
        assert (found.verdict, found.verdict_because) == ("undecided", found.withheld)
        # As it is, the query may be a copy of what was seen; of nothing it cannot be said to be a copy.
        plain = parted.answer(image, k=3)
        assert plain.point_verdict in ("copy", None)
        assert (plain.verdict, plain.verdict_because) in (("copy", None), ("undecided", found.withheld))
        assert (plain.verdict == "copy") == (plain.point_verdict == "copy")
        verdicts.add(plain.verdict)
    assert verdicts == {"copy", "undecided"}


def test_an_index_of_which_no_part_answers_is_undecided(engine):
    [whole] = cut(engine)
    found = replace(engine, parts=(Silent(whole.channels, whole.items),)).answer(images(engine)[0], certify=True)
    assert (found.matches, found.verdict, found.certificate) == ((), "undecided", None)
    assert found.withheld is not None
    assert "silent" in found.withheld
