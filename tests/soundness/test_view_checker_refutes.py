"""Faults of views of a query and of companions, planted in the engine: the independent checker refutes the proofs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from companion import write_companion
from drawn import Quiet
from planted import Picture, draw_pictures, save_pictures, small_index
from proved import found_in, proofs_from

from retr.indexer.build import IndexOptions, build_index
from retr.retrieval import engine as engine_module
from retr.retrieval import index_source, leads, tiers
from retr.retrieval import probe as probes
from retr.retrieval.engine import Engine

Patch = pytest.MonkeyPatch
Plant = Callable[[Engine, Patch], Engine]


def file_of_faults(name: str) -> Any:
    """A file beside this one, as a module: tests are no package."""
    spec = importlib.util.spec_from_file_location(f"refuted_{name}", Path(__file__).with_name(f"test_{name}_faults.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VIEWS = file_of_faults("view")


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return draw_pictures(12)


@pytest.fixture(scope="module")
def viewed(pictures: list[Picture], tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return small_index(tmp_path_factory.mktemp("views"), pictures, views="light")


@pytest.fixture(scope="module")
def accompanied(pictures: list[Picture], tmp_path_factory: pytest.TempPathFactory) -> Engine:
    home = tmp_path_factory.mktemp("companion")
    save_pictures(home / "corpus", pictures)
    options = IndexOptions(models=("block-means:4",), companion=write_companion(home / "colours.pt"), workers=1)
    build_index(str(home / "corpus"), home / "index", options, Quiet())
    return Engine.open(home / "index", device="cpu")


def mixed(pictures: Sequence[Picture], share: float, *, mirrored: bool = False) -> list[np.ndarray]:
    """Each picture with some of the next one, or of its mirror image."""
    pairs = zip(pictures, [*pictures[1:], pictures[0]], strict=True)
    step = -1 if mirrored else 1
    return [(share * a + (1.0 - share) * b[:, ::step]).astype(np.uint8) for a, b in pairs]


def half_grey(pictures: Sequence[Picture]) -> list[np.ndarray]:
    return [np.concatenate([one[:8], np.full_like(one[8:], 128)]) for one in pictures[:4]]


def framed(pictures: Sequence[Picture]) -> list[np.ndarray]:
    return [np.pad(one, ((5, 5), (5, 5), (0, 0)), constant_values=0) for one in pictures[:3]]


def the_norm_of_the_whole_image_for_a_cut(engine: Engine, patch: Patch) -> Engine:
    (own,) = engine.channels
    return replace(
        engine, channels=(VIEWS.WithTheWholeImagesNorm(**{f.name: getattr(own, f.name) for f in fields(own)}),)
    )


def t1_where_one_view_decides(engine: Engine, patch: Patch) -> Engine:
    patch.setattr(leads, "_seen", VIEWS.only_where_it_decides)
    return engine


def stopping_at_the_first_view_that_accepts(engine: Engine, patch: Patch) -> Engine:
    patch.setattr(Engine, "embed", VIEWS.until_one_accepts)
    return engine


def a_flat_view_left_out_in_silence(engine: Engine, patch: Patch) -> Engine:
    patch.setattr(probes, "_blind", lambda hidden: None)
    return engine


def a_window_that_is_found_in_the_content(engine: Engine, patch: Patch) -> Engine:
    views = tuple(replace(view, pick=VIEWS.trimmed) if view.name == "flip" else view for view in engine.views)
    return replace(engine, views=views)


def the_bound_of_one_pair_class_for_another(engine: Engine, patch: Patch) -> Engine:
    return replace(engine, parts=(VIEWS.BoundOfAnother(engine.channels, engine.gallery.table, scopes=engine.scopes),))


def all_pairs_allowed(engine: Engine, patch: Patch) -> Engine:
    """Every view of the query meets every stored view, whatever the snapshot says."""
    names = {view for rule in engine.gallery.snapshot.pairs for view in rule.gallery}
    pairs = tuple(replace(rule, gallery=tuple(names)) for rule in engine.gallery.snapshot.pairs[:1])
    rest = tuple(replace(rule, gallery=tuple(names)) for rule in engine.gallery.snapshot.pairs if rule.query == "flip")
    scopes = engine_module.scopes_of(engine.channels, engine.gallery.catalog["view"], (*pairs, *rest))
    opened = replace(engine)
    vars(opened)["scopes"] = {name: scopes.get(name, own) for name, own in engine.scopes.items()}
    return opened


def an_offset_that_is_computed_from_the_query(engine: Engine, patch: Patch) -> Engine:
    part = VIEWS.MeasuredFromTheQuery(engine.channels, engine.gallery.table, scopes=engine.scopes)
    return replace(engine, parts=(part,))


CASES: list[tuple[Plant, Callable[[Sequence[Picture]], list[np.ndarray]], str]] = [
    (the_norm_of_the_whole_image_for_a_cut, lambda some: list(some[:2]), "norm of the resize"),
    (t1_where_one_view_decides, lambda some: mixed(some, 0.58, mirrored=True), "radius"),
    (stopping_at_the_first_view_that_accepts, lambda some: list(some[:2]), "not stated"),
    (a_flat_view_left_out_in_silence, half_grey, "radius"),
    (a_window_that_is_found_in_the_content, framed, ""),
    (the_bound_of_one_pair_class_for_another, lambda some: mixed(some, 0.6), ""),
    (all_pairs_allowed, lambda some: mixed(some, 0.7), ""),
    (an_offset_that_is_computed_from_the_query, lambda some: mixed(some, 0.8)[:5], ""),
]


@pytest.mark.parametrize(("plant", "queries", "why"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_planted_fault_of_views_is_refuted(
    plant: Plant,
    queries: Callable[[Sequence[Picture]], list[np.ndarray]],
    why: str,
    planted: bool,
    viewed: Engine,
    pictures: list[Picture],
    tmp_path: Path,
    monkeypatch: Patch,
) -> None:
    check(plant(viewed, monkeypatch) if planted else viewed, queries(pictures), why, tmp_path, planted)


def the_cap_of_the_first_tier_forgotten(patch: Patch) -> None:
    patch.setattr(tiers, "_of_first_tier", lambda item: replace(item, tier="certified"))


def a_rank_of_what_no_certified_channel_accepts(patch: Patch) -> None:
    patch.setattr(tiers, "_unproved", lambda item, tier: replace(item, tier=tier))


def not_a_copy_beside_a_companion(patch: Patch) -> None:
    tiered, first = tiers.tiered, "_first_tier"

    def with_a_proof(ranking: Any, voice: Any, k: int, *, probes: int) -> Any:
        found, spoken = tiered(ranking, voice, k, probes=probes)
        return replace(found, nothing=ranking.nothing, listed_nothing=ranking.listed_nothing), spoken

    patch.setattr(engine_module, "tiered", with_a_proof)
    patch.setattr(f"retr.retrieval.answering.{first}", lambda ranking: True)


def a_tie_that_the_companion_breaks(patch: Patch) -> None:
    """Of two items that the certified channel accepts the companion's first comes first."""
    tiered = tiers.tiered

    def by_the_companion(ranking: Any, voice: Any, k: int, *, probes: int) -> Any:
        own = ranking.items
        if len(own) > 1:
            second = replace(own[1], accepted=True, copy=own[0].copy, top1=own[0].top1, carriers=own[1].carriers)
            ranking = replace(ranking, items=(second, own[0], *own[2:]))
        return tiered(ranking, voice, k, probes=probes)

    patch.setattr(engine_module, "tiered", by_the_companion)


def what_the_companion_names_is_no_rival(patch: Patch) -> None:
    """m_j = −∞ of every other item."""
    answer = index_source.IndexSource.answer

    def alone(self: Any, asks: Any) -> Any:
        found = answer(self, asks)
        return [None if one is None else replace(one, listed=one.listed.take(FIRST), unseen=np.inf) for one in found]

    patch.setattr(index_source.IndexSource, "answer", alone)


FIRST = np.arange(1)


def a_copy_that_a_companion_proves(patch: Patch) -> None:
    tiered = tiers.tiered

    def proved(ranking: Any, voice: Any, k: int, *, probes: int) -> Any:
        found, spoken = tiered(ranking, voice, k, probes=probes)
        return (replace(found, copy=6.0) if spoken.names and ranking.certified else found), spoken

    patch.setattr(engine_module, "tiered", proved)
    patch.setattr("retr.retrieval.answering._first_tier", lambda ranking: True)


@pytest.mark.parametrize(
    "plant",
    [
        *(the_cap_of_the_first_tier_forgotten, a_rank_of_what_no_certified_channel_accepts),
        *(not_a_copy_beside_a_companion, a_tie_that_the_companion_breaks, what_the_companion_names_is_no_rival),
        a_copy_that_a_companion_proves,
    ],
)
def test_a_planted_fault_of_companions_is_refuted(
    plant: Callable[[Patch], None],
    planted: bool,
    accompanied: Engine,
    pictures: list[Picture],
    tmp_path: Path,
    monkeypatch: Patch,
) -> None:
    if planted:
        plant(monkeypatch)
    if plant is what_the_companion_names_is_no_rival:  # a wide threshold: what limits a rank is its rival
        accompanied = Engine.open(accompanied.path, device="cpu", threshold=0.2)
    rolled = [np.roll(one, (8, 5), (0, 1)) for one in pictures[:2]]  # which the companion alone names
    queries = [*pictures[:2], *mixed(pictures, 0.6)[:3], *draw_pictures(14)[-2:], *rolled]
    check(accompanied, queries, "", tmp_path, planted)


def check(engine: Engine, queries: Sequence[np.ndarray], why: str, folder: Path, planted: bool) -> None:
    save_pictures(folder / "queries", queries)
    proofs = list(proofs_from(engine, folder / "queries"))
    found = [found_in(proof.statement, folder, engine.path) for proof in proofs]
    refuted = [one for one in found if one.verdict == "refuted"]
    assert found
    assert {one.verdict for one in found} <= {"confirmed", "refuted"}
    assert bool(refuted) == planted, found
    assert all(why in one.why for one in refuted), refuted
