"""T9: several channels. Ranking and radii against brute force over every row, and against attacks on pixels."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import plain
import pytest
import torch
from drawn import Quiet, draw
from PIL import Image
from plain import group_of, one_for_all, rank

from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.channel import Channel
from retr.retrieval.decide import decide
from retr.retrieval.engine import Engine
from retr.retrieval.index_source import IndexSource

ITEMS, VIEWS = 80, 3


def margin(z: np.ndarray, rows: np.ndarray, channel: Channel) -> np.ndarray:
    """T4/T5 as the theory page writes them, with angles, in 80-bit arithmetic; L = 1."""
    assert channel.threshold is not None
    tau = channel.threshold.value
    z, rows = z.astype(np.longdouble), rows.astype(np.longdouble)
    if channel.score == "euclidean":
        return tau - np.sqrt(((z - rows) ** 2).sum(1))
    length = np.sqrt(z @ z)
    away = np.sqrt(((z / length - rows) ** 2).sum(1))
    angle = 2 * np.arcsin(np.minimum(away / 2, 1))
    return length * np.sin(np.clip(np.arccos(np.longdouble(tau)) - angle, -np.pi / 2, np.pi / 2))


def leads(zs: list[np.ndarray], channels, live: np.ndarray, group: int, scans: list[np.ndarray]) -> np.ndarray:
    """How far the query must move, at least, before each item can be ahead of one.

    Each of its rows stays behind by T9, or, in the cosine channel, by T1 against one of the item's own rows.
    """
    items, first = channels[0].groups[live], channels[0].rows64(live).astype(np.longdouble)
    per_channel = [np.full(ITEMS, -np.inf, dtype=np.longdouble) for _ in scans]
    for best, scan in zip(per_channel, scans, strict=True):
        np.maximum.at(best, items, scan)
    best = np.maximum(*per_channel)
    z, covered = zs[0].astype(np.longdouble), (best[group] - scans[0]) / 2
    for own in np.flatnonzero(items == group):
        w = first[own] - first
        width = np.sqrt((w**2).sum(1))
        h = np.divide(w @ z, width, out=np.zeros_like(width), where=width > 0)
        covered = np.maximum(covered, np.minimum(h, first[own] @ z))
    least = (best[group] - per_channel[1]) / 2
    np.minimum.at(least, items, covered)
    return least


@pytest.fixture
def two(make_channel):
    """A cosine channel and a Euclidean one over the same items, three views each, one of them tombstoned."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(ITEMS), VIEWS)
    groups[6:9] = -1
    base = rng.standard_normal((ITEMS, 8)).repeat(VIEWS, 0)
    first = make_channel(base + 0.2 * rng.standard_normal(base.shape), groups=groups, threshold=0.8, parts=2)
    other = rng.standard_normal((ITEMS, 5)).repeat(VIEWS, 0) + 0.2 * rng.standard_normal((ITEMS * VIEWS, 5))
    return first, make_channel(other, "euclidean", groups=groups, threshold=0.7)


def queries(channels: tuple[Channel, Channel]) -> list[list[np.ndarray]]:
    """Per query an embedding in each channel: near the same row, near different ones, near the dead one, far."""
    rng = np.random.default_rng(1)
    rows = [channel.rows64(np.arange(ITEMS * VIEWS)) for channel in channels]
    places = [(30, 30, 0.1), (31, 100, 0.2), (7, 7, 0.05), (150, 151, 0.5), (10, 200, 2.0), (60, 60, 0.0)]
    return [
        [all_rows[i] + noise * rng.standard_normal(all_rows.shape[1]) for all_rows, i in zip(rows, at, strict=True)]
        for *at, noise in places
    ]


@pytest.mark.parametrize("first", [1, 4, 30, 1000])
@pytest.mark.parametrize("k", [1, 5, 79, 200])
def test_ranking_radii_and_verdict_are_those_of_a_scan_of_every_row(two, first, k):
    live = np.flatnonzero(two[0].groups >= 0)
    items, tighter = two[0].groups[live], []
    for zs in queries(two):
        scans = [margin(z, channel.rows64(live), channel) for z, channel in zip(zs, two, strict=True)]
        best = np.full(ITEMS, -np.inf, dtype=np.longdouble)
        np.maximum.at(best, items, np.maximum(*scans))
        order = np.lexsort((np.arange(ITEMS), -best))[: ITEMS - 1]  # far items tie: the apex is nearest to them all
        found = rank(two, zs, k, first=first)
        assert [group_of(item) for item in found.items] == order[:k].tolist()
        cap = 1e9
        for place, item in enumerate(found.items):
            group = group_of(item)
            ahead = np.sort((best[group] - np.delete(best[order], place)) / 2)
            exact = min(max(float(ahead[k - 1]), 0.0), cap) if k <= len(ahead) else cap
            if place == 0:  # what stays first stays among the first k
                exact = max(exact, float(leads(zs, two, live, group, scans)[order[1:]].min()))
            assert item.topk is not None
            assert item.score == pytest.approx(float(best[group]), abs=1e-9)
            assert item.topk == pytest.approx(exact, abs=1e-9)
            assert item.topk <= exact
            assert (item.top1 is None) == (place > 0)
        rivals = leads(zs, two, live, int(order[0]), scans)[order[1:]]
        lead = float(rivals.min())
        assert found.items[0].limited_by == VIEWS * order[1:][rivals.argmin()]
        tighter.append(lead > 1.01 * float(best[order[0]] - best[order[1]]) / 2)
        top1, raw = found.items[0].top1, found.items[0].raw_top1
        assert top1 is not None
        assert raw is not None
        assert lead - 1e-9 <= top1 <= lead
        assert raw == pytest.approx(lead, abs=1e-9)
        deepest = float(np.max(best))
        assert found.point_verdict == ("copy" if deepest >= 0 else "not-a-copy")
        assert found.copy == pytest.approx(max(deepest, 0), abs=1e-9)
        assert found.nothing == pytest.approx(max(-deepest, 0), abs=1e-9)
    assert any(tighter)


def test_the_ranking_is_the_same_without_radii(two):
    for zs in queries(two):
        bare, proved = (rank(two, zs, 7, first=2, certify=certify) for certify in (False, True))
        assert [item.row for item in bare.items] == [item.row for item in proved.items]
        assert bare.point_verdict == proved.point_verdict
        assert bare.items[0].top1 is bare.copy is None


@pytest.mark.parametrize("k", [1, 4])
def test_of_items_that_do_not_come_first_only_what_is_listed_is_looked_at(two, monkeypatch, k):
    """With many views the rest would be nearly all rows: a second, where a tenth of one is enough."""
    left_out = 0

    def watched(evidence, **options):
        nonlocal left_out
        found = decide(evidence, **options)
        first = {item.key for item in found.ranking.items}
        for seen in evidence if first else ():
            beside = ~np.isin(seen.own.ids, seen.listed.ids)
            assert set(seen.own.keys[beside].tolist()) <= first
            known = np.r_[seen.listed.ids, seen.own.ids[beside]]
            left_out += int(np.isin(two[0].groups, two[0].groups[known]).sum()) - len(known)
        return found

    monkeypatch.setattr(plain, "decide", watched)
    for zs in queries(two):
        rank(two, zs, k, first=30)
    assert left_out > 0


def test_only_channels_that_must_look_farther_do(two, monkeypatch):
    """A channel that is far enough already is left alone, and no channel looks as far as a fixed step would take it."""
    steps, ask = [], IndexSource.answer

    def watched(self, asks):
        steps.extend((one.probe.score, one.within) for one in asks if one.within)
        return ask(self, asks)

    alone, short_steps = 0, 0
    for zs, counts in itertools.product(queries(two), ((2, 120), (120, 2), (2, 2))):
        unseen = [plain.look(channel, z, count).unseen for channel, z, count in zip(two, zs, counts, strict=True)]
        steps.clear()
        with monkeypatch.context() as patch:
            patch.setattr(IndexSource, "answer", watched)
            rank(two, zs, 1, first=counts)
        for channel, far in zip(two, unseen, strict=True):
            taken = [distance for score, distance in steps if score == channel.score]
            alone += len(steps) > 0 and not taken
            short_steps += any(distance < 1.05 * far - 1e-9 for distance in taken)
            assert taken == sorted(taken)
            assert all(distance > far for distance in taken)
    assert alone
    assert short_steps


# -- two block means, attacked in pixels ------------------------------------------------------------------------------

SIDE = 32


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    root = tmp_path_factory.mktemp("channels")
    for number in range(30):
        draw(root / "corpus" / f"{number:02}.png", number)
    options = IndexOptions(models=("block-means:16", "block-means:8"))
    build_index(str(root / "corpus"), root / "index", options, Quiet())
    return Engine.open(root / "index")


def picture(engine: Engine, number: int, mix: float) -> np.ndarray:
    """A gallery picture at 32×32 with softened contrast, mixed with another."""
    parts = []
    for place in (number, (number + 7) % 30):
        with Image.open(Path(engine.paths_of(place)[0])) as image:
            parts.append(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64) / 255)
    return 0.3 + 0.4 * ((1 - mix) * parts[0] + mix * parts[1])


def margins(engine: Engine, x: torch.Tensor, item: int) -> torch.Tensor:
    """m_item at one image (3, H, W), differentiable."""
    height, width = x.shape[1:]
    found = []
    for channel in engine.channels:
        assert channel.threshold is not None
        z = channel.embed(x[None])[0]
        rows = torch.from_numpy(channel.rows64(np.flatnonzero(channel.groups == item)))
        tau = channel.threshold.value
        along = rows @ z
        across = (z - along[:, None] * rows).norm(dim=1)
        lipschitz = channel.embed_query(np.zeros((height, width, 3))).lipschitz
        assert lipschitz is not None
        found.append(((1 - tau**2) ** 0.5 * along - tau * across) / lipschitz.value)
    return torch.cat(found).max()


def push(engine: Engine, image: np.ndarray, item: int, rival: int, length: float) -> np.ndarray:
    """The image after gradient steps of m_rival − m_item on the sphere of the given length around it."""
    start = torch.from_numpy(image.transpose(2, 0, 1).copy())
    x = start.clone()
    for _ in range(12):
        x.requires_grad_(True)
        lead = margins(engine, x, rival) - margins(engine, x, item)
        (gradient,) = torch.autograd.grad(lead, x)
        with torch.no_grad():
            change = x - start + length * gradient / gradient.norm()
            x = (start + change * (length / change.norm())).clamp(0, 1)
    return x.detach().numpy().transpose(1, 2, 0)


@pytest.mark.parametrize(("number", "mix"), [(3, 0.0), (8, 0.3), (12, 0.45), (20, 0.5)])
def test_attacks_inside_the_radius_fail_and_beyond_it_succeed(engine, number, mix):
    image = picture(engine, number, mix)
    found = engine.answer(image, k=3, certify=True)
    first, certificate = found.matches[0], found.certificate
    assert first.top1 is not None
    assert certificate is not None
    assert certificate.limited_by is not None
    rival = int(engine.gallery.groups[engine.gallery.catalog["id"].to_pylist().index(certificate.limited_by)])
    inside = push(engine, image, first.group, rival, 0.999 * first.top1.l2)
    assert np.linalg.norm(inside - image) < first.top1.l2
    assert engine.answer(inside, k=1).matches[0].group == first.group
    rng = np.random.default_rng(number)
    for _ in range(5):
        noise = rng.standard_normal(image.shape)
        near = np.clip(image + 0.999 * first.top1.l2 * noise / np.linalg.norm(noise), 0, 1)
        assert engine.answer(near, k=1).matches[0].group == first.group
    beyond = push(engine, image, first.group, rival, 4 * first.top1.l2)
    assert engine.answer(beyond, k=1).matches[0].group != first.group


@pytest.mark.parametrize("number", [3, 8])
def test_the_union_accepts_until_the_last_channel_is_left(engine, number):
    engine = one_for_all(engine)
    image = picture(engine, number, 0.05)
    found = engine.answer(image, k=1, certify=True)
    assert found.point_verdict == "copy"
    assert found.copy is not None
    assert found.matches[0].copy is not None
    assert found.matches[0].copy.l2 == pytest.approx(found.copy.l2, rel=1e-12)
    alone = max(float(margins(engine, torch.from_numpy(image.transpose(2, 0, 1).copy()), found.matches[0].group)), 0.0)
    assert found.copy.l2 == pytest.approx(alone, abs=1e-9)
    grey = image.mean(axis=(0, 1), keepdims=True)
    towards_grey = grey - image
    inside = image + towards_grey * min(1.0, 0.999 * found.copy.l2 / float(np.linalg.norm(towards_grey)))
    assert engine.answer(inside, k=1).point_verdict == "copy"
