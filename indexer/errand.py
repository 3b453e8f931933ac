"""Rows made in another process: all that it needs is data, and what it gives are batches to store."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from ..core.progress import Silent
from ..images.decode import decode
from ..images.isolated import Decoder, decoder
from ..images.policy import DecodePolicy
from ..images.views import view_set
from .devices import Team, open_teams, spare_team
from .flow import Batch, Flow
from .options import IndexOptions, choose_devices, partly_seeing
from .places import Stamp
from .prepare import Recipe, prepare
from .snapshot import ChannelSpec, Snapshot


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image to be made rows of.

    Attributes:
        path: as the catalog will have it.
        stamp: what tells later whether it was changed; None where nothing does.
        stored: SHA-256 of the bytes that the index holds of it; None for nothing.
    """

    path: str
    stamp: Stamp | None
    stored: str | None = None


@dataclass(frozen=True)
class Errand:
    """How images of a run become rows, in whatever process: it must see the index folder and the images.

    Attributes:
        index: the folder; the models are in it.
        snapshot: that the run began with: channels, views, policy.
        options: of the run.
    """

    index: Path
    snapshot: Snapshot
    options: IndexOptions

    def rows(self, images: Sequence[Wanted]) -> list[Batch]:
        """Rows of some images, in their order, ``options.batch_size`` images at a time, on one thread.

        Raises:
            IntegrityError, ModelError: the models are not those of the index, or cannot be loaded here.
        """
        teams = _teams(self.index, self.snapshot.channels, tuple(choose_devices(self.options)))
        stamps, stored = {one.path: one.stamp for one in images}, {one.path: one.stored for one in images}
        with decoder(self.options.isolate, 1) as decode:
            recipe = recipe_of(self.snapshot, teams[0], decode)
            flow = Flow(
                partial(prepare, recipe=recipe, stamp=stamps.get),
                recipe,
                teams,
                1,
                self.options.batch_size,
                spare_team(teams[0], Silent()),
                lambda file: stored[file.path] == file.bytes_sha256,
            )
            with closing(flow.batches([one.path for one in images])) as batches:
                return list(batches)


Sent = Callable[[Errand, Sequence[Wanted]], Generator[Batch]]
"""What makes rows elsewhere: batches in the order of the images."""


def recipe_of(snapshot: Snapshot, team: Team, decode: Decoder = decode) -> Recipe:
    """What to do with every file of an index."""
    policy, views = DecodePolicy.from_json(dict(snapshot.policy)), view_set(snapshot.views)
    return Recipe.of(policy, views, [embedder.input_size for embedder in team], decode, partly_seeing(snapshot))


@lru_cache(maxsize=1)
def _teams(index: Path, channels: tuple[ChannelSpec, ...], devices: tuple[str, ...]) -> tuple[Team, ...]:
    """The models of an index; a process that makes rows of many parts loads them once."""
    return open_teams(index, channels, devices, Silent())
