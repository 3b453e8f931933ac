from dataclasses import replace

import numpy as np
import pytest
import torch

from retr.attacks.media import as_pixels
from retr.evaluation.systems.attacked_resize import resize_for_attack
from retr.evaluation.systems.retrieval_target import Aim, ManyGoals, RetrievalTarget
from retr.images.decode import load
from retr.images.resize import resize_operator


@pytest.fixture(scope="module")
def index(make_index):
    engine, corpus = make_index(12)
    images = [load(path, policy=engine.policy).pixels for path in sorted(corpus.iterdir())[:4]]
    return engine, images


def planes(images, dtype=torch.float64):
    return torch.stack([torch.from_numpy(as_pixels(i).transpose(2, 0, 1).copy()) for i in images]).to(dtype)


def answers(engine, x, certify=True):
    pixels = [np.ascontiguousarray(one.permute(1, 2, 0).double().numpy()) for one in x]
    return engine.answer_many(pixels, k=10, certify=certify)


def moved(images, amount, seed=0):
    noise = torch.randn((len(images), 3, 4, 4), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    blocks = torch.nn.functional.interpolate(noise, size=images[0].shape[:2])
    return (planes(images) + amount * blocks).clamp(0, 1)


def test_evasion_loss_of_a_clean_query_is_minus_its_certified_radius(index):
    engine, images = index
    x = planes(images)
    clean = answers(engine, x)
    target = RetrievalTarget(engine.channels, [Aim(a.matches[0].group) for a in clean], "evasion")
    loss = target.loss(x, torch.arange(len(x)))
    assert loss.tolist() == pytest.approx([-a.matches[0].top1.l2 for a in clean], rel=1e-6)


def with_local_thresholds(engine):
    """Every row with a threshold of its own, wide or narrow, by gaps that are drawn."""
    rng, channels = np.random.default_rng(0), []
    for channel in engine.channels:
        threshold = replace(channel.threshold, offset=0.02, gaps="0" * 64)
        gaps = rng.uniform(0.0, 0.8, channel.store.rows).astype(np.float32)
        channels.append(replace(channel, threshold=threshold, gaps=gaps))
    return replace(engine, channels=tuple(channels))


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("channels", ["index", "two_channels"])
def test_verdict_loss_is_minus_the_certified_radius_of_the_verdict(request, channels, local):
    engine, images = request.getfixturevalue(channels)
    engine = with_local_thresholds(engine) if local else engine
    for x in (planes(images), moved(images, 0.3)):
        clean = answers(engine, x)
        aims = [Aim(a.matches[0].group, copy=a.point_verdict == "copy") for a in clean]
        loss = RetrievalTarget(engine.channels, aims, "verdict").loss(x, torch.arange(len(x)))
        radii = [(a.copy or a.not_a_copy).l2 for a in clean]
        if channels == "index":
            assert loss.tolist() == pytest.approx([-r for r in radii], rel=1e-5)
        else:  # where the other channel sees a flat image the query is refused: a radius ends there
            assert all(-one >= r * (1 - 1e-6) > 0 for one, r in zip(loss.tolist(), radii, strict=True))
    assert any(not aim.copy for aim in aims), "the moved images must include one that is not a copy"


@pytest.fixture(scope="module")
def two_channels(make_index):
    engine, corpus = make_index(12, models=("block-means", "block-means:4"))
    return engine, [load(path, policy=engine.policy).pixels for path in sorted(corpus.iterdir())[:4]]


@pytest.mark.parametrize("goal", ["evasion", "collision"])
@pytest.mark.parametrize("channels", ["index", "two_channels"])
def test_loss_is_positive_exactly_where_the_engine_sees_success(request, channels, goal):
    engine, images = request.getfixturevalue(channels)
    aims = [Aim(a.matches[0].group, chosen=(a.matches[0].group + 1) % 12) for a in answers(engine, planes(images))]
    if goal == "evasion":
        aims = [Aim(aim.item) for aim in aims]
    wins = 0
    for seed in range(12):
        x = moved(images, 0.4, seed)
        loss = RetrievalTarget(engine.channels, aims, goal).loss(x, torch.arange(len(x)))
        first = [a.matches[0].group for a in answers(engine, x, certify=False)]
        won = [f != a.item if goal == "evasion" else f == a.chosen for f, a in zip(first, aims, strict=True)]
        assert (loss > 0).tolist() == won
        wins += sum(won)
    assert 0 < wins < 12 * len(images)


def test_samples_say_which_aim_a_row_belongs_to(index):
    engine, images = index
    x = planes(images)
    aims = [Aim(a.matches[0].group) for a in answers(engine, x)]
    whole = RetrievalTarget(engine.channels, aims, "evasion").loss(x, torch.arange(4))
    part = RetrievalTarget(engine.channels, aims, "evasion").loss(x[[3, 1]], torch.tensor([3, 1]))
    torch.testing.assert_close(part, whole[[3, 1]])


def test_gradient_raises_the_loss_and_float32_stays_on_the_safe_side(index):
    engine, images = index
    x = planes(images)
    aims = [Aim(a.matches[0].group) for a in answers(engine, x)]
    target = RetrievalTarget(engine.channels, aims, "evasion")
    probe = x.clone().requires_grad_(True)
    loss = target.loss(probe, torch.arange(4))
    (gradient,) = torch.autograd.grad(loss.sum(), probe)
    step = 1e-3 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    assert torch.all(target.loss(x + step, torch.arange(4)) > loss)
    single = RetrievalTarget(engine.channels, aims, "evasion").loss(x.float(), torch.arange(4))
    assert single.dtype == torch.float32
    assert torch.all(single < loss)
    torch.testing.assert_close(single.double(), loss, rtol=1e-3, atol=1e-3)


def test_rivals_are_looked_up_again_as_the_image_moves(index):
    engine, images = index
    start, goal = planes(images[:1]), planes(images[1:2])
    item, other = (answers(engine, x)[0].matches[0].group for x in (start, goal))
    frozen = RetrievalTarget(engine.channels, [Aim(item)], "evasion", rivals=2, refresh=1000)
    fresh = RetrievalTarget(engine.channels, [Aim(item)], "evasion", rivals=2, refresh=1)
    sample = torch.arange(1)
    for target in (frozen, fresh):
        target.loss(start, sample)
    truth = RetrievalTarget(engine.channels, [Aim(item)], "evasion").loss(goal, sample)
    assert item != other
    assert float(fresh.loss(goal, sample)) == pytest.approx(float(truth))
    assert float(frozen.loss(goal, sample)) < float(truth)


def test_views_of_an_item_defend_it_together(make_index):
    engine, corpus = make_index(6, views="flip")
    images = [load(path, policy=engine.policy).pixels for path in sorted(corpus.iterdir())[:3]]
    x = planes(images).flip(-1)
    clean = answers(engine, x)
    aims = [Aim(a.matches[0].group) for a in clean]
    loss = RetrievalTarget(engine.channels, aims, "evasion").loss(x, torch.arange(3))
    # T3: the engine's radius fixes one view, the loss lets each rival be beaten by any of them.
    assert all(-float(v) >= a.matches[0].top1.l2 * (1 - 1e-6) for v, a in zip(loss, clean, strict=True))
    assert torch.all(loss < 0)


def rank10_is_won_exactly(engine, images, *, seeds):
    """The loss is positive where the engine no longer has the item among the first ten, which happens now and then."""
    aims, wins = [Aim(a.matches[0].group) for a in answers(engine, planes(images))], 0
    for seed in range(seeds):
        x = moved(images, 1.0, seed)
        loss = RetrievalTarget(engine.channels, aims, "rank10").loss(x, torch.arange(len(x)))
        found = [[match.group for match in a.matches] for a in answers(engine, x, certify=False)]
        won = [aim.item not in groups for aim, groups in zip(aims, found, strict=True)]
        assert (loss > 0).tolist() == won
        wins += sum(won)
    assert 0 < wins < seeds * len(images)


@pytest.mark.parametrize("channels", ["index", "two_channels"])
def test_rank10_is_won_exactly_where_the_item_leaves_the_first_ten(request, channels):
    rank10_is_won_exactly(*request.getfixturevalue(channels), seeds=12)


def test_views_of_a_rival_count_once_among_the_first_ten(make_index):
    engine, corpus = make_index(12, views="flip")
    images = [load(path, policy=engine.policy).pixels for path in sorted(corpus.iterdir())[:3]]
    rank10_is_won_exactly(engine, images, seeds=8)


@pytest.mark.parametrize("channels", ["index", "two_channels"])
def test_embedding_loss_is_how_far_it_moved_in_pixels_beyond_the_budget(request, channels):
    engine, images = request.getfixturevalue(channels)
    x, reach = moved(images, 0.05), 1.5
    aims = [Aim(0, image=image, reach=reach) for image in images]
    loss = RetrievalTarget(engine.channels, aims, "embedding").loss(x, torch.arange(4))
    for value, clean, after in zip(loss.tolist(), planes(images), x, strict=True):
        pairs = [[one.permute(1, 2, 0).numpy().copy() for one in (clean, after)]] * len(engine.channels)
        moves = []
        for channel, (before, later) in zip(engine.channels, pairs, strict=True):
            z0, z1 = channel.embed_query(before), channel.embed_query(later)
            moves.append(np.linalg.norm(z1.z - z0.z) / z0.lipschitz.value)
        assert value == pytest.approx(max(moves) - reach, rel=1e-6)
        assert value < float((after - clean).norm()) - reach, "no embedding moves farther than its constant allows"


@pytest.mark.parametrize(("source", "target"), [((40, 33), (16, 16)), ((9, 12), (16, 16)), ((64, 31), (8, 24))])
def test_the_gradient_of_the_resize_is_its_transpose(source, target):
    operator = resize_operator(source, target)
    x, g = torch.rand(2, 3, *source, dtype=torch.float64), torch.rand(2, 3, *target, dtype=torch.float64)
    x.requires_grad_(True)
    ours = resize_for_attack(operator, x)
    assert torch.equal(ours, operator.apply(x))
    for made, right in zip(*(torch.autograd.grad(y, x, g) for y in (ours, operator.apply(x))), strict=True):
        assert torch.allclose(made, right, rtol=1e-12, atol=1e-15)


def test_rows_kept_for_the_next_step_are_those_of_its_samples(index):
    """Samples leave a batch and lists grow old: a target that has seen much says what a fresh one says."""
    engine, images = index
    x = planes(images)
    aims = [Aim(a.matches[0].group) for a in answers(engine, x)]
    seasoned = RetrievalTarget(engine.channels, aims, "evasion", refresh=2)
    for samples in ([0, 1, 2, 3], [0, 1, 2, 3], [1, 3], [3, 1], [1, 3, 1], [2], [0, 1, 2, 3]):
        chosen = torch.tensor(samples)
        fresh = RetrievalTarget(engine.channels, aims, "evasion")
        assert torch.equal(seasoned.loss(x[chosen], chosen), fresh.loss(x[chosen], chosen))


def test_several_goals_in_one_batch_are_each_asked_alone(two_channels):
    engine, images = two_channels
    x = planes([images[0], images[1], images[0], images[2], images[3]])
    clean = answers(engine, x)
    first = [a.matches[0].group for a in clean]
    goals = ("evasion", "verdict", "rank10", "evasion", "verdict")
    aims = [Aim(item, copy=a.point_verdict == "copy") for item, a in zip(first, clean, strict=True)]
    kinds = list(dict.fromkeys(goals))

    def apart(goal):
        own = [aim for aim, wanted in zip(aims, goals, strict=True) if wanted == goal]
        return RetrievalTarget(engine.channels, own, goal)

    together = ManyGoals([apart(goal) for goal in kinds], [kinds.index(goal) for goal in goals])
    for samples in ([0, 1, 2, 3, 4], [4, 2, 0], [3]):
        losses = together.loss(x[samples], torch.tensor(samples))
        for loss, sample in zip(losses, samples, strict=True):
            alone = RetrievalTarget(engine.channels, [aims[sample]], goals[sample])
            assert float(loss) == pytest.approx(float(alone.loss(x[[sample]], torch.tensor([0]))), abs=1e-9)
