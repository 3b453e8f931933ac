"""docs/benchmarks/dense_trial.py and measure_trial.py: what is compared begins as retr_s, folds, and is proved."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import retr
from retr.embedding.bounds import prove
from retr.embedding.registry import load_embedder

SCRIPTS = Path(retr.__file__).parent / "docs" / "benchmarks"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.delitem(sys.modules, "measuring", raising=False)  # the benchmark has another one of that name


@pytest.fixture
def networks() -> ModuleType:
    return importlib.import_module("trial_network")


def test_variants_begin_as_retr_s_and_fold_into_what_is_proved(networks: ModuleType) -> None:
    trial = networks.Trial(generator=torch.Generator().manual_seed(0)).eval()
    x = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = dict(zip(networks.VARIANTS, trial(x).chunk(3, 1), strict=True))
    for name in ("head", "deep"):
        torch.testing.assert_close(found[name], load_embedder("retr_s").forward(x), atol=1e-4, rtol=0)
    for name, embedded in found.items():
        folded = trial.fold(name)
        torch.testing.assert_close(folded(trial.trunk(x)), embedded, atol=1e-4, rtol=0)
    assert prove(trial.fold("dense"), input_shape=(256, 4, 4)).total.value <= 1.0


def test_every_variant_learns_and_the_convolutions_do_not(networks: ModuleType) -> None:
    trial = networks.Trial(generator=torch.Generator().manual_seed(0))
    trial(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))).square().sum().backward()
    assert not list(trial.trunk.parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trial.bodies.parameters())


def test_windows_of_some_images_keep_their_shape(networks: ModuleType) -> None:
    del networks
    windowed = importlib.import_module("dense_trial")._windowed
    pixels = torch.arange(96, dtype=torch.uint8)[None, :, None, None].expand(40, 96, 96, 3).contiguous()
    cut = windowed(pixels, torch.ones(40), torch.Generator().manual_seed(2))[0]
    changed = (cut != pixels).flatten(1).any(1)
    assert cut.shape == pixels.shape
    assert 4 < int(changed.sum()) < 25
    assert bool((pixels[0, :, 0, 0] == torch.arange(96)).all()), "the source is left alone"


def test_a_share_is_set_on_one_half_and_told_of_the_other() -> None:
    measure = importlib.import_module("measure_trial")
    scores = np.empty(2000, np.float32)
    scores[::2], scores[1::2] = np.linspace(0, 1, 1000), np.linspace(0.5, 1.5, 1000)
    edge, false = measure._share(scores)
    assert edge == pytest.approx(4 / 999)
    assert false == 0.0


def test_a_distance_into_a_cone_is_that_of_the_theorem() -> None:
    measure = importlib.import_module("measure_trial")
    z = np.array([[2.0, 0.0], [0.0, 3.0]])
    rows = np.array([[1.0, 0.0], [1.0, 0.0]])
    found = measure._inside(z, rows, np.array([np.pi / 6, np.pi / 3]))
    np.testing.assert_allclose(found, [1.0, 3 * np.sin(np.pi / 3 - np.pi / 2)])
