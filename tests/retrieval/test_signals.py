"""An index asked for a signal says what it says of the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from planted import draw_pictures
from proved import proved_index, save_small

from retr.indexer.snapshot import Threshold
from retr.retrieval.engine import Engine
from retr.retrieval.signals import layout_of, query_of


def test_every_channel_has_its_say(tmp_path):
    """Also where the first accepts nothing; ranks are by margins, which the size of the image scales alike."""
    models = ("block-means:4", str(save_small(tmp_path / "small.safetensors")))
    engine = Engine.open(proved_index(tmp_path, models), device="cpu")
    layout, verdicts = layout_of(engine.channels), []
    for number, picture in enumerate(draw_pictures(12, side=20)):
        noise = np.random.default_rng(number).normal(0.0, 8.0 * number, picture.shape)
        seen = np.clip(picture + noise, 0, 255).astype(np.uint8)
        image = engine.answer(seen, k=3)
        signal = layout.text([channel.embed_query(seen).z for channel in engine.channels])
        asked = engine.answer_query(query_of(engine.channels, layout.read(signal)), k=3)
        assert asked.certificate is None
        assert asked.point_verdict == image.point_verdict
        assert [match.id for match in asked.matches] == [match.id for match in image.matches]
        verdicts.append(asked.point_verdict)
    assert set(verdicts) == {"copy", "not-a-copy"}


def test_what_only_the_second_channel_finds(tmp_path):
    """A channel whose threshold accepts nothing leaves the verdict to the other one."""
    models = ("block-means:4", str(save_small(tmp_path / "small.safetensors")))
    engine = Engine.open(proved_index(tmp_path, models), device="cpu")
    deaf, hearing = engine.channels
    channels = (
        replace(deaf, threshold=Threshold(1.0, "given", None, 0), gaps=None),
        replace(hearing, threshold=Threshold(0.5, "given", None, 0), gaps=None),
    )
    engine = replace(engine, channels=channels)
    picture = np.clip(draw_pictures(1, side=20)[0].astype(int) + 3, 0, 255).astype(np.uint8)
    layout = layout_of(channels)
    signal = layout.text([channel.embed_query(picture).z for channel in channels])
    asked = engine.answer_query(query_of(channels, layout.read(signal)))
    assert (asked.point_verdict, engine.answer(picture).point_verdict) == ("copy", "copy")
    assert asked.matches[0].accepted
