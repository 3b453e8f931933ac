"""The engine against brute force in extended precision, on galleries with planted near-duplicates."""

from __future__ import annotations

import faiss
import numpy as np
import plain
import pytest
import torch
from plain import group_of, rank

from retr.retrieval import decide_one as decide_module
from retr.retrieval.settle import settle_all

DIM = 768
SLACK = 1e-7
"""A certified radius lies below the exact one by what rounding could do to the decision. With rows 1e-6 apart and
queries of length 7 that is up to 1e-7; between rows that are not near-duplicates it is below 1e-12."""


def planted_gallery(rows: int, seed: int = 0) -> np.ndarray:
    """Random rows; of every 50, three are near-duplicates of the row before them: 1e-4, 1e-6 and 0 apart."""
    rng = np.random.default_rng(seed)
    gallery = rng.standard_normal((rows, DIM)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    for start in range(10, rows - 4, 50):
        for offset, apart in enumerate((1e-4, 1e-6, 0.0), start=1):
            direction = rng.standard_normal(DIM)
            gallery[start + offset] = gallery[start] + apart * direction / np.linalg.norm(direction)
    return gallery


def brute_force(rows: np.ndarray, z: np.ndarray, k: int, *, cosine: bool = True):
    """Ranking and radii by definition over every row; 80-bit arithmetic where rows are close, no shortlist, no slack.

    Args:
        rows: (m, d) float64, the numbers that define the gallery.
    """
    score = (rows @ z if cosine else 2 * (rows @ z) - (rows**2).sum(1) - z @ z).astype(np.longdouble)
    near = np.argsort(-score)[:100]  # every planted near-duplicate of a row near the top is among them
    fine, long_z = rows[near].astype(np.longdouble), z.astype(np.longdouble)
    score[near] = fine @ long_z if cosine else -((fine - long_z) ** 2).sum(1)
    order = np.lexsort((np.arange(len(rows)), -score))
    lengths = np.ones(len(rows)) if cosine else (rows**2).sum(1)
    results = []
    for place in order[: min(k, 3)]:
        width = np.sqrt(np.maximum(lengths + lengths[place] - 2 * (rows @ rows[place]), 0)).astype(np.longdouble)
        width[near] = np.sqrt(((fine - fine[near == place]) ** 2).sum(1))
        lead = (score[place] - score) / (1 if cosine else 2)
        h = np.divide(lead, width, out=np.zeros_like(lead), where=width > 0)
        h = np.delete(h, place)
        results.append((max(float(h.min()), 0.0), max(float(np.partition(h, k - 1)[k - 1]), 0.0)))
    return order[:k].tolist(), results


def all_rows(channel) -> np.ndarray:
    return channel.rows64(np.arange(channel.store.rows))


def queries(gallery: np.ndarray, count: int, seed: int = 1) -> np.ndarray:
    """Near planted rows, near lone rows, and far from everything."""
    rng = np.random.default_rng(seed)
    picks = [10, 11, 12, 13, 60, 62, 30, 31]
    near = [
        gallery[p % len(gallery)] + s * rng.standard_normal(DIM) / DIM**0.5 for p in picks for s in (0.0, 1e-3, 0.5)
    ]
    far = list(rng.standard_normal((count, DIM)))
    return np.asarray([*near, *far][:count], dtype=np.float64) * 7.0


@pytest.fixture(params=[1, 2])
def threads(request):
    faiss.omp_set_num_threads(request.param)
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    faiss.omp_set_num_threads(2)
    torch.set_num_threads(before)


def positive(radius: float | None) -> float:
    assert radius
    return radius


def assert_same(ranking, expected, k: int) -> None:
    order, radii = expected
    assert [item.row for item in ranking.items] == order
    for item, (_, topk) in zip(ranking.items, radii, strict=False):
        assert topk - SLACK <= item.topk <= topk
    first, (top1, _) = ranking.items[0], radii[0]
    assert first.raw_top1 == pytest.approx(top1, abs=1e-9)
    assert top1 - SLACK <= first.top1 <= top1
    assert all(item.top1 is None for item in ranking.items[1:])


@pytest.fixture(scope="module")
def twenty_thousand(new_channel):
    """A large gallery in three segments, queries to it, and what brute force says of each; computed once."""
    channel = new_channel(planted_gallery(20_000), parts=3)
    rows = all_rows(channel)
    zs = queries(np.concatenate(channel.store.parts), 26)[::4]
    return channel, zs, [brute_force(rows, z, 10) for z in zs]


def test_twenty_thousand_rows_cosine(twenty_thousand, threads):
    channel, zs, expected = twenty_thousand
    source, probes = plain.source_of([channel]), [[plain.probe(channel, z)] for z in zs]
    for z, ranking, truth in zip(zs, settle_all([source], probes, 10, certify=True), expected, strict=True):
        assert_same(ranking, truth, 10)
        assert rank(channel, z, 10) == ranking


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@pytest.mark.parametrize(("first", "k"), [(1, 1), (2, 1), (1, 5), (6, 5), (9, 5), (128, 5)])
def test_any_first_shortlist_is_widened_to_the_same_answer(make_channel, score, first, k):
    gallery = planted_gallery(1500)
    channel = make_channel(gallery, score, threshold=0.5)
    rows = all_rows(channel)
    for z in queries(gallery, 40)[::3]:
        z = z / 7.0 if score == "euclidean" else z
        truth = brute_force(rows, z, k, cosine=score == "cosine")
        assert_same(rank(channel, z, k, first=first), truth, k)
        assert [item.row for item in rank(channel, z, k, first=first, certify=False).items] == truth[0]


def test_exact_duplicates_tie_and_certify_nothing_unless_declared_one_item(make_channel):
    gallery = planted_gallery(300)
    z = gallery[13].astype(np.float64)
    lone = make_channel(gallery)
    tied = rank(lone, z, 3, first=128)
    assert [item.row for item in tied.items[:2]] == [10, 13]
    assert tied.items[0].top1 == 0.0
    groups = np.arange(300)
    groups[[11, 12, 13]] = 10
    joined = make_channel(gallery, groups=groups)
    one = rank(joined, z, 3, first=128)
    assert group_of(one.items[0]) == 10
    assert positive(one.items[0].top1) > 0.1


def test_tombstoned_rows_are_neither_found_nor_rivals(make_channel):
    gallery = planted_gallery(300)
    groups = np.arange(300)
    groups[[10, 11, 12]] = -1
    channel = make_channel(gallery, groups=groups)
    z = gallery[10].astype(np.float64)
    found = rank(channel, z, 3, first=16)
    assert found.items[0].row == 13
    assert positive(found.items[0].top1) > 0.1


def test_the_radius_is_attained_in_embedding_space(make_channel):
    """Just inside it the first item stays, just outside some direction dethrones it: the bound is tight for L = 1."""
    gallery = planted_gallery(400)
    channel = make_channel(gallery)
    rng = np.random.default_rng(3)
    z = 5.0 * (gallery[30] + 0.4 * rng.standard_normal(DIM) / DIM**0.5).astype(np.float64)
    item = rank(channel, z, 5, first=128).items[0]
    rows = channel.rows64(np.arange(400))
    limit, radius = rows[item.limited_by], positive(item.top1)
    normal = (limit - rows[item.row]) / np.linalg.norm(limit - rows[item.row])
    inside, outside = z + 0.999999 * radius * normal, z + 1.000001 * radius * normal
    assert (rows @ inside).argmax() == item.row
    assert (rows @ outside).argmax() == item.limited_by


def test_verdict_radii_match_the_cone_and_the_ball(make_channel):
    gallery = planted_gallery(500)
    rng = np.random.default_rng(4)
    for score, tau in (("cosine", 0.6), ("euclidean", 0.8)):
        channel = make_channel(gallery, score, threshold=tau)
        for mix in (0.1, 0.5, 3.0):
            z = gallery[30].astype(np.float64) + mix * rng.standard_normal(DIM) / DIM**0.5
            found = rank(channel, z, 5, first=64)
            rows = channel.rows64(np.arange(500))
            if score == "cosine":
                length = np.linalg.norm(z)
                best = np.arccos(np.clip((rows @ z).max() / length, -1, 1))
                signed = length * np.sin(np.clip(np.arccos(tau) - best, -np.pi / 2, np.pi / 2))
            else:
                signed = tau - np.linalg.norm(rows - z, axis=1).min()
            assert found.copy == pytest.approx(max(signed, 0.0), abs=1e-9)
            assert found.nothing == pytest.approx(max(-signed, 0.0), abs=1e-9)
            assert found.point_verdict == ("copy" if signed >= 0 else "not-a-copy")


def test_several_views_keep_the_best_view_and_never_rival_themselves(make_channel):
    rng = np.random.default_rng(5)
    gallery = planted_gallery(600)
    groups = np.repeat(np.arange(200), 3)
    channel = make_channel(gallery, groups=groups)
    z = gallery[301].astype(np.float64) + 0.2 * rng.standard_normal(DIM) / DIM**0.5
    found = rank(channel, z, 5, first=128).items[0]
    rows = channel.rows64(np.arange(600))
    assert (group_of(found), found.row) == (100, 301)
    others = rows[groups != 100]
    best = max(
        ((rows[v] - others) @ z / np.linalg.norm(rows[v] - others, axis=1)).min() for v in np.flatnonzero(groups == 100)
    )
    assert found.top1 == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_rows_left_out_of_a_radius_never_decide_it(make_channel, monkeypatch, score):
    """The same radii, bit for bit, as with every listed row considered."""
    gallery = planted_gallery(900)
    channel = make_channel(gallery, score, groups=np.repeat(np.arange(300), 3), threshold=0.5)
    zs = queries(gallery, 26)[::3] / (7.0 if score == "euclidean" else 1.0)
    quick = [rank(channel, z, 5, first=600) for z in zs]
    monkeypatch.setattr(
        decide_module, "contenders", lambda seen, groups, own, k: [groups != groups[views[0]] for views in own]
    )
    assert quick == [rank(channel, z, 5, first=600) for z in zs]


def test_a_gallery_of_one_row_many_times(make_channel):
    gallery = np.tile(planted_gallery(20)[:1], (300, 1))
    channel = make_channel(gallery)
    z = gallery[0].astype(np.float64) + 0.1
    found = rank(channel, z, 5, first=16)
    assert [item.row for item in found.items] == [0, 1, 2, 3, 4]
    assert [item.topk for item in found.items] == [0.0] * 5
    assert found.items[0].top1 == 0.0


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_an_item_with_more_rows_than_the_shortlist_hides_nobody(make_channel, score):
    rng = np.random.default_rng(6)
    gallery = planted_gallery(320)
    gallery[:300] = gallery[0] + 1e-3 * rng.standard_normal((300, DIM)) / DIM**0.5
    groups = np.r_[np.zeros(300, dtype=np.int64), np.arange(1, 21)]
    channel = make_channel(gallery, score, groups=groups, threshold=0.5)
    rows, z = all_rows(channel), gallery[0].astype(np.float64)
    for k in (1, 3, 50):
        found = rank(channel, z, k, first=16)
        near = rows @ z if score == "cosine" else -((rows - z) ** 2).sum(1)
        others = 300 + np.argsort(-near[300:])
        assert [group_of(item) for item in found.items] == [0, *groups[others]][:k]
        assert positive(found.items[0].top1) > 0.5
        assert found.items[0].limited_by != 0
