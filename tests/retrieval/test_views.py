"""Several views of a query: one batch for each channel, and answers, radii and verdicts over all of them (T9, T10)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plain
import pytest
import torch
from drawn import Quiet, draw
from PIL import Image
from plain import group_of, one_for_all

from retr.core.errors import UsageError
from retr.embedding.block_means import BlockMeans
from retr.images.resize import resize_operator
from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.channel import ORIGINAL, QueryView
from retr.retrieval.engine import Engine
from retr.retrieval.probe import embed
from retr.retrieval.settle import settle

FLIP = QueryView("flip", lambda x: x.flip(-1))
LEFT = QueryView("left", lambda x: x[..., : max(1, x.shape[-1] // 2)])


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    root = tmp_path_factory.mktemp("views")
    for number in range(12):
        draw(root / "corpus" / f"{number:02}.png", number)
    build_index(str(root / "corpus"), root / "index", IndexOptions(models=("block-means:4", "block-means:8")), Quiet())
    return one_for_all(replace(Engine.open(root / "index"), views=(ORIGINAL, FLIP, LEFT)))


def picture(engine: Engine, number: int, mix: float) -> np.ndarray:
    """A gallery picture, mirrored and mixed with another, away from black and white."""
    parts = []
    for place in (number, (number + 5) % 12):
        with Image.open(engine.paths_of(place)[0]) as image:
            parts.append(np.asarray(image.resize((24, 20), Image.Resampling.BOX), dtype=np.float64) / 255)
    return 0.3 + 0.4 * ((1 - mix) * parts[0][:, ::-1] + mix * parts[1])


def test_the_views_of_a_query_are_embedded_in_one_batch(engine, monkeypatch):
    shapes = []

    def watched(self, x):
        shapes.append(tuple(x.shape))
        return forward(self, x)

    forward = BlockMeans.forward
    monkeypatch.setattr(BlockMeans, "forward", watched)
    image = picture(engine, 3, 0.2)
    query = embed(engine.channels, image, engine.views)
    assert shapes == [(3, 3, *channel.embedder.input_size) for channel in engine.channels]
    assert [probe.name for probe in query.probes] == [(c, v) for c in (0, 1) for v in ("original", "flip", "left")]
    for probe, one in zip(query.probes, query.embedded, strict=True):
        channel = engine.channels[probe.channel]
        seen = {"original": image, "flip": image[:, ::-1], "left": image[:, :12]}[probe.view]
        assert probe.z == pytest.approx(channel.embed_query(np.ascontiguousarray(seen)).z, abs=1e-12)
        assert one.resize == resize_operator(seen.shape[:2], channel.embedder.input_size).norm
        assert probe.proved.lipschitz == one.lipschitz


def margin(engine: Engine, image: np.ndarray) -> np.ndarray:
    """(items,) the largest T5 margin over channels and views, with angles."""
    best = np.full(engine.gallery.items, -np.inf)
    for probe in embed(engine.channels, image, engine.views).probes:
        channel = engine.channels[probe.channel]
        rows, length = channel.rows64(np.arange(channel.store.rows)), np.linalg.norm(probe.z)
        angle = np.arccos(probe.tau) - np.arccos(np.clip(rows @ probe.z / length, -1, 1))
        margins = length * np.sin(np.clip(angle, -np.pi / 2, np.pi / 2)) / probe.proved.lipschitz.value
        np.maximum.at(best, channel.groups, margins)
    return best


@pytest.mark.parametrize(("number", "mix"), [(2, 0.0), (5, 0.4), (9, 0.55), (11, 1.0)])
def test_every_view_counts_in_the_ranking_and_in_the_verdict(engine, number, mix):
    image = picture(engine, number, mix)
    best = margin(engine, image)
    found = engine.answer(image, k=5, certify=True)
    order = np.argsort(-best)
    assert [match.group for match in found.matches] == order[:5].tolist()
    assert [match.score for match in found.matches] == pytest.approx(best[order[:5]].tolist(), abs=1e-8)
    assert found.point_verdict == ("copy" if best.max() >= 0 else "not-a-copy")
    claimed = found.copy if best.max() >= 0 else found.not_a_copy
    assert claimed is not None
    assert claimed.l2 <= abs(best.max())
    cap = min(probe.proved.cap for probe in embed(engine.channels, image, engine.views).probes)
    assert claimed.l2 == pytest.approx(min(abs(best.max()), cap), abs=1e-7)
    first = found.matches[0].top1
    assert first is not None
    assert first.l2 >= (best[order[0]] - best[order[1]]) / 2 - 1e-9


@pytest.mark.parametrize(("number", "mix"), [(2, 0.1), (5, 0.4), (9, 0.5)])
def test_no_image_inside_the_radii_has_another_answer(engine, number, mix):
    image = picture(engine, number, mix)
    found = engine.answer(image, k=1, certify=True)
    first, rng = found.matches[0], np.random.default_rng(number)
    assert first.top1 is not None
    verdict = found.copy or found.not_a_copy
    assert verdict is not None
    rival = picture(engine, (number + 5) % 12, 0.0)
    for direction in (rival - image, image[:, ::-1] - image, *rng.standard_normal((4, *image.shape))):
        step = direction / np.linalg.norm(direction)
        near = engine.answer(np.clip(image + 0.999 * first.top1.l2 * step, 0, 1), k=1)
        assert near.matches[0].group == first.group
        near = engine.answer(np.clip(image + 0.999 * verdict.l2 * step, 0, 1), k=1)
        assert near.point_verdict == found.point_verdict


def test_several_views_without_a_threshold_rank_by_the_first_and_prove_nothing(tmp_path):
    draw(tmp_path / "corpus" / "only.png", 3)
    build_index(str(tmp_path / "corpus"), tmp_path / "index", IndexOptions(models=("block-means:4",)), Quiet())
    opened = Engine.open(tmp_path / "index")
    bare = tuple(replace(channel, threshold=None, gaps=None) for channel in opened.channels)
    engine = replace(opened, channels=bare, views=(ORIGINAL, FLIP))
    found = engine.answer(np.random.default_rng(0).random((16, 16, 3)), certify=True)
    assert len(found.matches) == 1
    assert found.certificate is found.matches[0].top1 is None
    assert found.withheld is not None
    assert "thresholds" in found.withheld


def test_views_of_one_channel_are_probes_as_those_of_several_are():
    rng = np.random.default_rng(4)
    channel = plain.make_channel(rng.standard_normal((60, 7)), threshold=0.7)
    rows = channel.rows64(np.arange(60))
    for one, other in ((3, 17), (40, 40), (8, 59)):
        zs = [rows[one] + 0.2 * rng.standard_normal(7), 2 * rows[other] + 0.5 * rng.standard_normal(7)]
        both = [plain.probe(channel, z, view=name) for z, name in zip(zs, ("original", "flip"), strict=True)]
        found = settle([plain.source_of([channel])], both, 60, certify=True)
        margins = np.full(60, -np.inf)
        for z in zs:
            length = np.linalg.norm(z)
            angle = np.arccos(0.7) - np.arccos(np.clip(rows @ z / length, -1, 1))
            margins = np.maximum(margins, length * np.sin(np.clip(angle, -np.pi / 2, np.pi / 2)))
        scores = {group_of(item): item.score for item in found.items}
        assert [scores[group] for group in range(60)] == pytest.approx(margins.tolist(), abs=1e-7)
        assert {item.probe for item in found.items} == {0, 1}
        assert torch.tensor([item.score for item in found.items]).diff().max() <= 0


def test_views_of_one_name_are_refused(engine):
    with pytest.raises(UsageError, match="told apart by their names"):
        replace(engine, views=(ORIGINAL, ORIGINAL)).answer(np.random.default_rng(0).random((9, 9, 3)))
