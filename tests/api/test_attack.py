"""``retr.attack`` on models of all kinds: the budget holds, what is won is won, and what is proved is not broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import retr
from retr.attacks.media import measure
from retr.core.errors import UsageError


def pooled() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())


@pytest.fixture
def images() -> Tensor:
    levels = torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    return levels / 255.0


def test_a_brought_model_is_turned_over(images: Tensor) -> None:
    found = retr.attack(pooled(), images, references=images, eps=60, steps=30)
    assert [one.success for one in found] == [True] * 3
    shelf = pooled()(images.double())
    for row, one in enumerate(found):
        x = torch.from_numpy(one.exact.pixels).permute(2, 0, 1)[None]
        near = torch.cosine_similarity(pooled()(x), shelf)
        assert int(near.argmax()) != row
        assert one.exact.distance == measure(one.clean / 255.0, one.exact.pixels)
        assert one.exact.distance.rmse <= 60
        assert np.array_equal(one.clean, (images[row].permute(1, 2, 0) * 255).round().numpy().astype(np.uint8))


def test_nothing_is_won_within_nothing(images: Tensor) -> None:
    for one in retr.attack(pooled(), images, references=images, eps=0, steps=3):
        assert one.success is False
        assert one.exact.distance.l2 == 0.0


def test_a_loss_of_ones_own_knows_its_rows(images: Tensor) -> None:
    seen: set[int] = set()

    def loss(z: Tensor, rows: Tensor) -> Tensor:
        seen.update(rows.tolist())
        return z[:, 0] - (0.5 + 10.0 * (rows == 1))  # row 1 cannot win

    found = retr.attack(pooled(), images, loss=loss, attack="apgd-linf", eps=0.6, unit="linf", steps=10, batch_size=2)
    assert [one.success for one in found] == [True, False, True]
    assert seen == {0, 1, 2}
    assert all(one.exact.distance.linf <= 0.6 and one.norm == "linf" for one in found)


def test_a_function_of_images_of_several_sizes(home: Path) -> None:
    shelf = ["corpus/000.jpg", "corpus/001.png"]
    target = pooled()
    found = retr.attack(lambda x: target(x), shelf, references=shelf, eps=1, steps=2, out="found")
    assert [one.name for one in found] == shelf
    for one in found:
        assert one.png.path is not None
        assert np.array_equal(retr.api.images.read_image(one.png.path).pixels, one.png.pixels)


def test_a_proof_is_not_broken_and_a_drift_is_no_win(images: Tensor) -> None:
    ours = retr.attack(retr.load_model("block-means:4"), images, eps=5, steps=20)
    assert [one.success for one in ours] == [False] * 3
    assert all(one.exact.loss > -1.0 for one in ours)  # it comes near what the proof allows
    theirs = retr.attack(pooled(), images, eps=5, steps=5)
    assert [one.success for one in theirs] == [None] * 3
    assert all(one.exact.loss > 0.01 for one in theirs)


def test_a_broken_proof_would_be_seen(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = retr.load_model("block-means:4")
    honest = model.bound(16, 16)
    assert honest is not None
    too_small = type(honest)(honest.value / 2, "a lie")
    monkeypatch.setattr(retr.Model, "bound", lambda self, h, w: too_small)
    assert [one.success for one in retr.attack(model, images, eps=5, steps=20)] == [True] * 3


def test_a_module_is_put_into_evaluation_mode(images: Tensor) -> None:
    torch.manual_seed(0)
    target = nn.Sequential(nn.BatchNorm2d(3), pooled())
    before = {name: value.clone() for name, value in target.state_dict().items()}
    retr.attack(target, images, references=images, eps=1, steps=2)
    assert not target.training
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"attack": "magic"}, "no attack is called 'magic'"),
        ({"eps": -1}, "got -1 rmse"),
        ({"unit": "linf"}, "held to l2"),
        ({"unit": "pt"}, "unknown unit"),
        ({"references": torch.zeros(1, 3, 4, 4)}, "where there are two, got 1"),
        ({"score": "cosine"}, "there are none"),
        ({"loss": lambda z, rows: z, "score": "cosine"}, "leave out references and score"),
        ({"loss": lambda z, rows: z}, "one number for each image"),
        ({"attack": "fgsm"}, "yes or no"),
        ({"dtype": torch.float16}, "float16"),
        ({"batch_size": 0}, "batch_size"),
        ({"steps": 0}, "≥ 1 step"),
    ],
)
def test_what_cannot_be_is_refused(images: Tensor, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        retr.attack(pooled(), images, **options)
    assert "--" not in str(caught.value)


def test_a_target_that_gives_no_embedding_is_refused(images: Tensor) -> None:
    with pytest.raises(UsageError, match="gives embeddings"):
        retr.attack(nn.Identity(), images)


def test_an_index_is_audited_instead(home: Path, images: Tensor) -> None:
    with pytest.raises(UsageError, match=r"retr\.audit"):
        retr.attack(retr.open("my-index"), images)  # type: ignore[arg-type]


def test_what_people_see(images: Tensor) -> None:
    (one, *_) = retr.attack(pooled(), images, references=images, eps=60, steps=30)
    assert repr(one).startswith("Attacked('row 0 of the batch': apgd-l2 within l2 ")
    assert ": won at ℓ2 " in repr(one)
