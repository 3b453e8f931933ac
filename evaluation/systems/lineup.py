"""Which systems an audit puts side by side: from the words of a command line to opened systems.

| word | system |
|---|---|
| a folder | an index |
| `phash`, `dhash`, `pdq`, `pdq:40` | a perceptual hash of the items of the first index, and its threshold |
| what `--model` takes (`timm:resnet50`, `block-means:8`, …) | that embedder over the items of the first index |
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ...core.errors import ModelError, RetrError, UsageError
from ...core.files import write_atomically
from ...core.progress import Progress
from ...indexer.addresses import asked_name
from ...indexer.build import build_index
from ...indexer.options import IndexOptions
from ...retrieval.engine import Engine
from ..robustness.plan import AuditPlan
from ..robustness.showcase import word
from .hash_system import is_hash, open_hash
from .index_system import EngineSystem, Entrant, System, enter, gallery_items
from .retrieval_losses import TOP

Watch = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of a piece of work with this title."""

_FOLDER = "systems"


@dataclass(frozen=True)
class Lineup:
    """The systems of an audit.

    Attributes:
        entrants: attacked directly, each by itself.
        transfer: attacks are also made on this one and judged by the others; None for no transfers.
        left_out: (name, why) of systems whose package or weights are missing here.
    """

    entrants: tuple[Entrant, ...]
    transfer: Entrant | None = None
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def all(self) -> tuple[Entrant, ...]:
        """The entrants, and where transfers are made if that is none of them."""
        other = self.transfer is not None and self.transfer not in self.entrants
        return (*self.entrants, self.transfer) if other and self.transfer else self.entrants

    @property
    def judges(self) -> tuple[Entrant, ...]:
        """Those that judge transfers."""
        return tuple(entrant for entrant in self.entrants if self.transfer and entrant is not self.transfer)

    def holes(self) -> dict[str, int]:
        """Name of a system → how many of the first index's items it does not hold."""
        entrants = [entrant for entrant in self.all if entrant.numbers is not None]
        missing = {one.system.name: one.items - len(one.numbers or ()) for one in entrants}
        return {name: count for name, count in missing.items() if count}


def lone(engine: Engine) -> Lineup:
    """An index alone."""
    return Lineup((enter(EngineSystem(engine.path.resolve().name, engine), engine),))


def first_index(words: Sequence[str], usual: Path) -> Path:
    """The folder of the index that queries belong to: the first one named, else the usual one."""
    return next((Path(name) for name in words if _is_index(name)), usual)


def open_lineup(
    words: Sequence[str],
    base: Engine,
    *,
    transfer_from: str | None,
    folder: Path,
    device: str,
    watch: Watch,
) -> Lineup:
    """Open systems by name; embedders and hashes are indexed first.

    A system whose package or weights are missing here is left out, with the reason; one that does not exist, or where
    transfers are made, ends the run.

    Args:
        words: as in ``--systems``; none for the base alone.
        base: the opened first index.
        transfer_from: the system that transfers are made on; one of the words or another.
        folder: the audit's; indexes of embedders are kept in it.
        device: ``auto``, ``cpu`` or ``cuda``, for searches, indexing and attacks.
        watch: shows how far indexing is.

    Raises:
        UsageError: a word that names nothing, or a system twice.
        ModelError: not one can be opened, or not the one that transfers are made on.
        IndexStateError, IntegrityError: as the system's own opening raises.
    """
    named = list(words) or [str(base.path)]
    every = [*named, *([transfer_from] if transfer_from is not None and transfer_from not in named else [])]
    _check_words(every)
    opener = _Opener(base, folder, device, watch)
    opened: dict[str, Entrant] = {}
    missing: dict[str, str] = {}
    for name in every:
        try:
            opened[name] = enter(opener.open(name), base)
        except ModelError as error:
            if name == transfer_from or _is_index(name) or len(missing) == len(named) - 1:
                raise
            missing[name] = str(error)
    _check_names([entrant.system for entrant in opened.values()])
    entrants = tuple(opened[name] for name in named if name in opened)
    return Lineup(entrants, None if transfer_from is None else opened[transfer_from], tuple(missing.items()))


@dataclass(frozen=True)
class _Opener:
    base: Engine
    folder: Path
    device: str
    watch: Watch

    def open(self, name: str) -> System:
        if is_hash(name):
            return self._hash(name)
        return self._index(Path(name)) if _is_index(name) else self._embedder(name)

    def _index(self, path: Path) -> System:
        same = path.resolve() == self.base.path.resolve()
        engine = self.base if same else Engine.open(path, device=self.device, unsilenced=True)
        return EngineSystem(path.resolve().name, engine, device=attack_device(self.device))

    def _embedder(self, spec: str) -> System:
        home = self.folder / _FOLDER
        home.mkdir(parents=True, exist_ok=True)
        listing = home / "items"
        paths = [os.fsencode(asked_name(item.path)) for item in gallery_items(self.base)]
        write_atomically(listing, b"\0".join(paths) + b"\0")
        options = IndexOptions(models=(spec,), policy=self.base.policy, resume=True, device=self.device)
        try:
            with self.watch(f"indexing for {spec}") as progress:
                build_index(str(listing), home / word(spec), options, progress)
        except RetrError:
            listing.unlink()
            _remove_empty(home, self.folder)
            raise
        engine = Engine.open(home / word(spec), device=self.device)
        return EngineSystem(spec, engine, kind="embedder", device=attack_device(self.device))

    def _hash(self, spec: str) -> System:
        items = gallery_items(self.base)
        with self.watch(f"hashing for {spec}") as progress:
            progress.start(len(items), 0)
            step = partial(progress.advance, 1)
            return open_hash(spec, items, policy=self.base.policy, workers=os.cpu_count() or 2, advance=step)


def attack_device(device: str) -> str:
    """Where attacks run: on a GPU where ``--device cuda`` asks for it. One step of an attack is little work."""
    return "cuda" if device == "cuda" and torch.cuda.is_available() else "cpu"


def _remove_empty(*folders: Path) -> None:
    """A system that cannot be opened leaves nothing behind."""
    for folder in folders:
        if not any(folder.iterdir()):
            folder.rmdir()


def _is_index(name: str) -> bool:
    return not is_hash(name) and Path(name).is_dir()


def _check_words(words: Sequence[str]) -> None:
    if len(set(words)) < len(words):
        raise UsageError(f"a system is named twice: {', '.join(words)}")


def _check_names(systems: Sequence[System]) -> None:
    names = [word(system.name) for system in systems]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two systems are called {name!r} in records; rename one of the folders")


def check_lineup(lineup: Lineup, plan: AuditPlan) -> None:
    """Make sure that every system can give what a plan asks for.

    Raises:
        UsageError: naming the system and what it lacks.
    """
    for entrant in lineup.all:
        _check_system(entrant.system, plan)
    if lineup.transfer is not None and not lineup.judges:
        raise UsageError("a transfer is judged by other systems than the one it is made on; name one of them too")
    policies = {entrant.system.describe()["policy_digest"] for entrant in lineup.all}
    if len(policies) > 1:
        raise UsageError("these systems decode images differently (index them under one decode policy)")


def _check_system(system: System, plan: AuditPlan) -> None:
    items = len(system.items())
    if items < 2:
        raise UsageError(f"an audit needs an index of at least two items, and {system.name} holds {items}")
    if "rank10" in plan.goals and items <= TOP:
        raise UsageError(
            f"nothing leaves the first {TOP} of {system.name}, which holds {items} items: leave out rank10"
        )
    if plan.at_radius and not system.certified:
        reason = system.engine.why_uncertified() if isinstance(system, EngineSystem) else f"{system.name} has none"
        raise UsageError(f"at_radius needs certified radii, and {reason}")
    if isinstance(system, EngineSystem):
        _check_engine(system.name, system.engine, plan)


def check_words(words: Sequence[str], plan: AuditPlan) -> None:
    """Refuse what the names of systems already tell, before minutes go into opening them.

    Raises:
        UsageError: a hash for which the plan has nothing to do, or what needs more than a hash has.
    """
    for name in filter(is_hash, words):
        if plan.at_radius:
            raise UsageError(f"at_radius needs certified radii, and {name} has none")
        if "embedding" in plan.goals and not plan.every_goal:
            raise UsageError(f"{name} is a hash and has no embedding to move: leave out the goal embedding, or {name}")


def _check_engine(name: str, engine: Engine, plan: AuditPlan) -> None:
    if ("verdict" in plan.goals or len(engine.channels) > 1) and any(c.threshold is None for c in engine.channels):
        raise UsageError(f"the verdict needs a threshold, and {name} has none; see retr calibrate")
