"""Views as attacks go through them: windows are looked for once, and nobody embeds what has no say in the goal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from companion import write_companion
from drawn import Quiet, draw

from retr.evaluation.systems import attacked_views
from retr.evaluation.systems.attacked_views import embed_tests, seen_size
from retr.evaluation.systems.retrieval_target import Aim, ManyGoals, RetrievalTarget
from retr.images.found_views import parse_look
from retr.indexer.build import build_index
from retr.indexer.options import IndexOptions
from retr.retrieval.engine import Engine

LOOKS = ("original", "flip", "found-trim", "found-trim+flip", "found-panel-1", "found-panel-2")


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    root = tmp_path_factory.mktemp("attacked")
    for number in range(6):
        draw(root / "corpus" / f"{number:02}.png", number)
    spec = write_companion(root / "colours.pt")
    options = IndexOptions(models=("block-means:4",), companion=spec, looks=True, views="none", workers=1)
    build_index(str(root / "corpus"), root / "index", options, Quiet())
    return Engine.open(root / "index", device="cpu")


@pytest.fixture(scope="module")
def framed() -> torch.Tensor:
    """(4, 3, 40, 48): two with the same frame, one with another, one without."""
    x = torch.from_numpy(np.random.default_rng(5).random((4, 3, 40, 48)))
    for place, edge in ((0, 6), (1, 6), (2, 9)):
        x[place, :, :edge] = x[place, :, -edge:] = 0.75
    return x


def test_windows_of_a_batch_are_those_of_each_image_alone_and_so_are_their_gradients(engine, framed, monkeypatch):
    looked: list[int] = []
    found = attacked_views.windows_in
    monkeypatch.setattr(attacked_views, "windows_in", lambda x: looked.append(len(x)) or found(x))
    channel = engine.channels[0]
    tests = [(channel, parse_look(name)) for name in LOOKS]
    x = framed.clone().requires_grad_()
    together = embed_tests(tests, x)
    assert looked == [1] * len(x)  # once an image, however many views
    [made] = torch.autograd.grad(torch.cat(together, 1).square().sum(), x)
    y = framed.clone().requires_grad_()
    alone = [torch.cat([channel.embed(view.pick(y[n : n + 1])) for n in range(len(y))]) for _, view in tests]
    [right] = torch.autograd.grad(torch.cat(alone, 1).square().sum(), y)
    for one, other in zip(together, alone, strict=True):
        assert torch.allclose(one, other, rtol=0.0, atol=1e-12)
    assert torch.allclose(made, right, rtol=1e-9, atol=1e-12)


def test_a_companion_sees_only_the_images_of_goals_in_which_it_has_a_say(engine, framed, monkeypatch):
    images = [np.ascontiguousarray(one.permute(1, 2, 0).numpy()) for one in framed]
    clean = engine.answer_many(images)
    aims = [Aim(one.matches[0].group, copy=one.point_verdict == "copy") for one in clean]
    views = {view.name: view for view in (*engine.views, *engine.looks)}
    names = [*engine.tests, *engine.companion_tests]
    channels = [engine.scope(name).channel for name in names]
    seen: dict[str, int] = {}
    embed = attacked_views._embed
    monkeypatch.setattr(
        attacked_views,
        "_embed",
        lambda channel, x: seen.update({channel.name: max(seen.get(channel.name, 0), len(x))}) or embed(channel, x),
    )

    def target(goal, own):
        asked = [views[view] for _, view in names]
        return RetrievalTarget(channels, own, goal, views=asked, companions=len(engine.companion_tests))

    goals = ("evasion", "verdict", "evasion", "rank10")
    kinds = list(dict.fromkeys(goals))
    both = [target(goal, [aim for aim, one in zip(aims, goals, strict=True) if one == goal]) for goal in kinds]
    losses = ManyGoals(both, [kinds.index(goal) for goal in goals]).loss(framed, torch.arange(4))
    assert seen == {channels[0].name: 4, channels[-1].name: 1}
    for place, (goal, loss) in enumerate(zip(goals, losses, strict=True)):
        alone = target(goal, [aims[place]]).loss(framed[[place]], torch.tensor([0]))
        assert float(loss) == pytest.approx(float(alone), abs=1e-6)


@pytest.mark.parametrize("name", ["original", "quarter-left", "crop-50x100-at-100x50+flip"])
def test_the_size_of_a_view_is_that_of_what_it_picks(name):
    view = parse_look(name)
    assert seen_size(view, 31, 45) == tuple(view.pick(torch.zeros(1, 3, 31, 45)).shape[-2:])
    assert seen_size(parse_look("found-trim"), 31, 45) == (31, 45)
