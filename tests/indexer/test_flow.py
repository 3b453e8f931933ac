"""From images to rows: in order, in threads, on devices that may fail, and the same bits however the work is cut."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from retr.embedding.block_means import BlockMeans
from retr.embedding.contract import Embedder
from retr.embedding.registry import load_embedder
from retr.images.policy import DecodePolicy
from retr.images.views import view_set
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.devices import open_teams, spare_team
from retr.indexer.embed import AT_ONCE, bulk
from retr.indexer.flow import Batch, Flow
from retr.indexer.prepare import Prepared, Recipe, prepare
from retr.indexer.snapshot import require_current


class Told:
    """Who is told what the user should know."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, total: int, done: int = 0) -> None:
        """Nothing."""

    def advance(self, count: int = 1) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        self.notes.append(text)


class Device(Embedder):
    """Block means on a device of its own, which works for so many batches."""

    def __init__(self, device: str = "cuda:0", batches: int = 10**9) -> None:
        inner = BlockMeans(4)
        self.inner, self.left, self.taken = inner, batches, 0
        self.name, self.spec, self.digest = inner.name, inner.spec, inner.digest
        self.input_size, self.dim, self.score = inner.input_size, inner.dim, inner.score
        self.lipschitz, self.uncertified_because = inner.lipschitz, None
        self.device = device

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner.forward(x)

    def bulk(self, x: torch.Tensor) -> torch.Tensor:
        self.taken += 1
        if self.device != "cpu" and self.taken > self.left:
            raise RuntimeError("CUDA error: out of memory\nand much more")
        return self.inner.forward(x)

    def rounding(self, dtype: torch.dtype) -> None:
        del dtype


@pytest.fixture
def only_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices here are names: tensors stay where they are."""
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: self)


def flow(embedders: Sequence[Embedder], told: Told, *, workers: int = 2, batch_size: int = 8, **given) -> Flow[str]:
    sizes = tuple({one.input_size for one in embedders})
    recipe = Recipe(DecodePolicy(), view_set("flip"), sizes)
    teams = tuple((one,) for one in embedders)
    given.setdefault("prepare", lambda path: prepare(path, recipe))
    return Flow(
        recipe=recipe, teams=teams, workers=workers, batch_size=batch_size, spare=spare_team(teams[0], told), **given
    )


def files(corpus: Path) -> list[str]:
    (corpus / "d.txt").write_text("no image")
    return sorted(str(path) for path in corpus.rglob("*.*"))


def rows(batches: list[Batch]) -> np.ndarray:
    return np.concatenate([batch.embedded.vectors[0] for batch in batches])


@pytest.mark.parametrize(("workers", "batch_size"), [(1, 1), (2, 3), (3, 8), (2, 100)])
def test_images_keep_their_order_and_all_are_counted(corpus: Path, workers: int, batch_size: int):
    listed = files(corpus)
    batches = list(flow([BlockMeans(4)], Told(), workers=workers, batch_size=batch_size).batches(listed))
    assert sum(batch.images for batch in batches) == len(listed)
    assert all(batch.images <= batch_size for batch in batches)
    stored = [file.path for batch in batches for file, _ in batch.embedded.kept][::2]
    refused = [one.path for batch in batches for one in batch.refused]
    assert refused == [str(corpus / "d.txt")]
    assert sorted([*stored, *refused]) == listed
    assert stored == [path for path in listed if path not in refused]
    assert all(not file.inputs for batch in batches for file, _ in batch.embedded.kept)


def test_what_is_stored_already_is_not_embedded_again(corpus: Path):
    listed = files(corpus)
    same = lambda file: file.path.endswith(".bmp") or "/a/" in file.path  # noqa: E731
    batches = list(flow([BlockMeans(4)], Told(), unchanged=same).batches(listed))
    expected = sum(path.endswith(".bmp") or "/a/" in path for path in listed)
    assert sum(batch.unchanged for batch in batches) == expected
    assert sum(batch.images for batch in batches) == len(listed)


@pytest.mark.usefixtures("only_names")
def test_devices_take_turns(corpus: Path):
    team = [Device("cuda:0"), Device("cuda:1"), Device("cuda:2")]
    told = Told()
    found = rows(list(flow(team, told, batch_size=4).batches(files(corpus))))
    assert min(one.taken for one in team) >= 1
    assert told.notes == []
    assert (found == rows(list(flow([BlockMeans(4)], told).batches(files(corpus))))).all()


@pytest.mark.usefixtures("only_names")
def test_what_a_device_fails_on_is_embedded_on_the_processor_and_said_once(corpus: Path, monkeypatch):
    monkeypatch.setattr(Device, "to", lambda self, device: Device(str(device)))
    told = Told()
    found = rows(list(flow([Device(batches=1)], told, batch_size=3, workers=1).batches(files(corpus))))
    assert (found == rows(list(flow([BlockMeans(4)], told).batches(files(corpus))))).all()
    assert len(told.notes) == 1
    assert "CUDA error: out of memory" in told.notes[0]
    assert "processor" in told.notes[0]


def test_a_fault_of_the_processor_is_an_error(corpus: Path):
    broken = Device("cpu")
    broken.bulk = lambda x: (_ for _ in ()).throw(RuntimeError("no"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no"):
        list(flow([broken], Told()).batches(files(corpus)))


def test_threads_compute_alone_and_the_caller_as_before(corpus: Path):
    before, seen = torch.get_num_threads(), set()
    torch.set_num_threads(4)
    try:

        def look(path: str):
            seen.add((threading.current_thread().name.startswith("images"), torch.get_num_threads()))
            return prepare(path, recipe)

        recipe = Recipe(DecodePolicy(), view_set("flip"), (BlockMeans(4).input_size,))
        list(flow([BlockMeans(4)], Told(), workers=2, prepare=look).batches(files(corpus)))
        assert seen == {(True, 2)}
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_who_stops_listening_ends_the_work(corpus: Path):
    looked: list[str] = []

    def look(path: str) -> Prepared:
        looked.append(path)
        found = prepare(path, recipe)
        assert isinstance(found, Prepared)
        return found

    recipe = Recipe(DecodePolicy(), view_set("flip"), (BlockMeans(4).input_size,))
    many = [str(corpus / "a" / "00.png")] * 500
    batches = flow([BlockMeans(4)], Told(), batch_size=2, prepare=look).batches(many)
    next(batches)
    batches.close()
    assert len(looked) < 100
    assert not [one for one in threading.enumerate() if one.name.startswith("images")]


def test_a_row_has_the_same_bits_in_a_batch_of_any_size():
    embedder = load_embedder("retr_s")
    x = torch.rand(40, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    whole = bulk(embedder, x)
    assert (np.concatenate([bulk(embedder, x[:1]), bulk(embedder, x[1:4]), bulk(embedder, x[4:])]) == whole).all()
    assert bulk(BlockMeans(4), torch.rand(AT_ONCE + 1, 3, 16, 16)).shape == (AT_ONCE + 1, 48)


def test_an_index_is_the_same_however_the_work_is_cut(corpus: Path, tmp_path: Path):
    found = []
    for workers, batch_size in ((1, 64), (3, 5)):
        index = tmp_path / f"index-{workers}"
        build_index(str(corpus), index, IndexOptions(workers=workers, batch_size=batch_size), Told())
        found.append([segment.files for segment in require_current(index).segments])
    assert found[0] == found[1]


def test_a_device_that_is_not_there_is_left_out_with_a_word(corpus: Path, tmp_path: Path):
    index = tmp_path / "index"
    build_index(str(corpus), index, IndexOptions(models=("block-means:4",)), Told())
    told = Told()
    [team] = open_teams(index, require_current(index).channels, ["cuda:99"], told)
    assert [one.device for one in team] == ["cpu"]
    assert len(told.notes) == 1
    assert "cuda:99 cannot be used" in told.notes[0]
    both = open_teams(index, require_current(index).channels, ["cpu:0", "cuda:99", "cpu"], told)
    assert [team[0].device for team in both] == ["cpu:0", "cpu"]
