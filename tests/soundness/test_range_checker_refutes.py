"""Faults in proofs about edits (``test_range_faults.py``), planted in an engine: the independent checker refutes them.

The search of the engine runs with the fault, and writes the proofs of what it then believes. The control, the same
search without one, is confirmed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from proved import found_in, proofs_from, proved_index

from retr.certificates.edit_ranges import Moves, Rivals, stays_ahead
from retr.certificates.verify_proof import Finding
from retr.core.units import Unit
from retr.images.families import affine, brightness_contrast, encoded
from retr.images.families.asked import FAMILIES, Entry
from retr.images.families.family import Enclosure, Finite, between, to_8_bits
from retr.retrieval.engine import Engine
from retr.retrieval.ranges import cover_cells, members, standing
from retr.retrieval.ranges.members import Sizes

Patch = pytest.MonkeyPatch


def file_of_faults(name: str) -> Any:
    """A file beside this one, as a module: tests are no package."""
    spec = importlib.util.spec_from_file_location(f"edits_{name}", Path(__file__).with_name(f"test_{name}_faults.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RANGES = file_of_faults("range")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of two channels and one stored query; one that is not stored is beside it."""
    found = tmp_path_factory.mktemp("edits")
    proved_index(found, ("block-means:2", "block-means:4"))
    for file in sorted((found / "queries").iterdir())[1:-1]:
        file.unlink()
    return found


Asked = tuple[str, float, Unit]
"""A family of edits, and the change on top."""


def findings(home: Path, asked: Asked, folder: Path) -> list[Finding]:
    family, eps, unit = asked
    engine = Engine.open(home / "index", device="cpu")
    proofs = list(proofs_from(engine, home / "queries", edits=[family], eps=eps, unit=unit))
    about = [proof for proof in proofs if proof.claim["kind"] == "ranges"]
    return [found_in(proof.statement, folder, home / "index") for proof in about]


# -- what a member can be ---------------------------------------------------------------------------------------------


def enclosed(change: Callable[[Enclosure], Enclosure]) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(affine, "between", lambda low, high: change(between(low, high)))


def nothing_between(found: Enclosure) -> Enclosure:
    return replace(found, half=found.half * 0.0)


def half_a_level_inward(found: Enclosure) -> Enclosure:
    return replace(found, half=np.maximum(found.half - 0.5, 0.0))


def signed(found: Enclosure) -> Enclosure:
    half = found.half.copy()
    half[::2] *= -1.0
    return replace(found, half=half)


def a_mean_of_the_edited_image(patch: Patch) -> None:
    """Brightness first, then contrast about the mean of what came out, taken for extreme at the ends."""

    def made(pixels: Any, *, span: Any) -> Any:
        sound = affine.affine("contrast-mean", "as named", pixels, base=np.full(3, 100.0), span=span)

        def member(point: Any) -> Any:
            bright = to_8_bits(1.1 * pixels.astype(float)).astype(float)
            return to_8_bits(bright.mean() + point[0] * (bright - bright.mean()))

        def enclose(cell: Any) -> Enclosure:
            ends = np.stack([member((end,)) for end in cell[0]]).astype(float)
            return between(ends.min(axis=0), ends.max(axis=0))

        return replace(sound, member=member, enclose=enclose)

    entry = FAMILIES["contrast-mean"]
    patch.setitem(
        FAMILIES, "contrast-mean", Entry(entry.default, lambda name, text: lambda p, _: made(p, span=(0.9, 1.1)))
    )


def only_two_corners(patch: Patch) -> None:
    """A second parameter whose direction depends on the first: two corners are not the extremes."""
    values = np.arange(256.0)

    def bounds(cell: Any) -> Any:
        ends = [
            to_8_bits(128.0 + factor * (to_8_bits(bright * values) - 128.0))
            for bright, factor in zip(*cell, strict=True)
        ]
        return np.minimum(*ends).astype(float), np.maximum(*ends).astype(float)

    patch.setattr(brightness_contrast, "_bounds", bounds)


def a_missing_quality(patch: Patch) -> None:
    make = encoded.jpeg

    def without(*arguments: Any, **options: Any) -> Finite:
        found = make(*arguments, **options)
        left = np.delete(np.arange(len(found)), 3)
        return replace(
            found, values=found.values[left], sizes=found.sizes[left], make=lambda at: found.make(int(left[at]))
        )

    patch.setitem(
        FAMILIES,
        "jpeg",
        Entry("", lambda name, text: lambda p, d: without(p, d, qualities=(80, 95), subsampling="4:2:0")),
    )


def draft_mode(patch: Patch) -> None:
    through = encoded.through

    def halved(*arguments: Any, **options: Any) -> Any:
        found = through(*arguments, **options)
        return np.asarray(Image.fromarray(found).reduce(2).resize((found.shape[1], found.shape[0])))

    patch.setattr(encoded, "through", halved)


# -- what stands for it -----------------------------------------------------------------------------------------------


def gaps_between_cells(patch: Patch) -> None:
    halves = cover_cells.halves

    def apart(cell: Any, family: Any) -> Any:
        first, second = halves(cell, family)
        (low, high), *rest = first
        return [((low, high - 0.01 * (high - low)), *rest), second]

    patch.setattr(cover_cells, "halves", apart)


def a_chain_of_neighbours(patch: Patch) -> None:
    radius = members.cover_radius
    patch.setattr(members, "cover_radius", lambda *a, **options: np.minimum(radius(*a, **options), 0.02))


def r_of_one_channel_for_all(patch: Patch) -> None:
    moves = Sizes.moves
    patch.setattr(
        Sizes, "moves", lambda self, far, among, of: moves(self, [np.minimum.reduce(far)] * len(far), among, of)
    )


def rho_of_the_query_for_a_smaller_member(patch: Patch) -> None:
    of = Sizes.of
    patch.setattr(
        Sizes, "of", staticmethod(lambda optics, sizes, budget: of(optics, np.maximum(sizes, sizes[0]), budget))
    )


def a_margin_divided_by_rho_again(patch: Patch) -> None:
    copy = standing._copy
    patch.setattr(standing, "_copy", lambda *arguments: 3.0 * copy(*arguments))


def behind(change: Callable[[list[Rivals], Moves], list[Rivals]]) -> Callable[[Patch], None]:
    def faulty(own: Any, rivals: Any, moves: Moves, *, growth: float) -> Any:
        return stays_ahead(own, change(list(rivals), moves), moves, growth=growth)

    return lambda patch: patch.setattr(standing, "stays_ahead", faulty)


def not_added_to_rivals(rivals: list[Rivals], moves: Moves) -> list[Rivals]:
    far = float(moves.reached[np.isfinite(moves.reached)].max())
    return [replace(one, margins=one.margins - far) for one in rivals]


def only_one_channel(rivals: list[Rivals], moves: Moves) -> list[Rivals]:
    return [*(Rivals.of(np.zeros(0), np.zeros(0)) for _ in rivals[1:]), rivals[-1]]


def another_item_first_in_some_cells(patch: Patch) -> None:
    first = standing._first
    patch.setattr(standing, "_first", lambda evidence, key: first(evidence, evidence[0].listed.keys[0]))


def of_two_steps(member: Callable[..., Any]) -> Callable[[Patch], None]:
    """A second step that mixes values, and the members at the corners taken for the extremes."""
    build = RANGES.by_ends(member)
    entry = Entry("", lambda name, text: lambda pixels, policy: build(pixels, spans=((0.8, 1.2), (0.8, 1.2))))
    return lambda patch: patch.setitem(FAMILIES, "brightness-contrast", entry)


def not_moved_outward(low: Any, high: Any) -> Enclosure:
    return Enclosure((low + high) * 0.5, (high - low) * 0.4)


SOME: Asked = ("jpeg:60..95", 1.0, "rmse")
CASES: list[tuple[str, Callable[[Patch], None], Asked, str]] = [
    ("an enclosure of nothing", enclosed(nothing_between), ("fade-black:0..0.2", 0.1, "rmse"), ""),
    ("half a level inward", enclosed(half_a_level_inward), ("brightness:0.8..1.2", 0.1, "rmse"), ""),
    ("a signed difference", enclosed(signed), ("contrast:0.8..1.2", 0.1, "rmse"), ""),
    ("the mean of the edited image", a_mean_of_the_edited_image, ("contrast-mean:0.9..1.1", 0.1, "rmse"), "r of"),
    ("two of four corners", only_two_corners, ("brightness-contrast:0.97..1.03", 0.1, "rmse"), "r of"),
    ("then saturation", of_two_steps(RANGES.then_saturation), ("brightness-contrast:0.8..1.2", 0.1, "rmse"), ""),
    ("then a smaller size", of_two_steps(RANGES.then_downscale), ("brightness-contrast:0.8..1.2", 0.1, "rmse"), ""),
    ("then JPEG", of_two_steps(RANGES.then_jpeg), ("brightness-contrast:0.8..1.2", 0.1, "rmse"), ""),
    (
        "bounds not moved outward",
        lambda patch: patch.setattr(affine, "between", not_moved_outward),
        ("brightness:0.9..1.1", 0.1, "rmse"),
        "r of",
    ),
    ("a missing quality", a_missing_quality, ("jpeg:80..95", 0.1, "rmse"), "members of the cells"),
    ("draft mode", draft_mode, ("jpeg:90..95", 0.1, "rmse"), "SHA-256 of the pixels"),
    ("gaps between cells", gaps_between_cells, ("brightness:0.8..1.2", 0.1, "rmse"), "do not cover"),
    ("a chain of neighbours", a_chain_of_neighbours, ("jpeg:5..95", 1.0, "rmse"), "does not follow"),
    ("r of one channel for all", r_of_one_channel_for_all, ("jpeg:60..95", 13.0, "rmse"), "does not follow"),
    ("ρ of the query for all", rho_of_the_query_for_a_smaller_member, ("downscale:20", 0.5, "l2"), "does not follow"),
    (
        "a margin divided by ρ again",
        a_margin_divided_by_rho_again,
        ("jpeg:60..95", 13.0, "rmse"),
        "copy does not follow",
    ),
    ("r not added to rivals", behind(not_added_to_rivals), SOME, "first-place does not follow"),
    ("another item first in some cells", another_item_first_in_some_cells, ("flip", 0.1, "rmse"), "first-place"),
    ("only one channel of rivals", behind(only_one_channel), ("jpeg:60..95", 8.2, "rmse"), "first-place does not"),
]


@pytest.mark.parametrize(("plant", "asked", "why"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_planted_fault_is_refuted(
    plant: Callable[[Patch], None], asked: Asked, why: str, home: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    plant(monkeypatch)
    found = findings(home, asked, tmp_path)
    assert {one.verdict for one in found} <= {"confirmed", "refuted"}, found
    assert any(one.verdict == "refuted" and why in one.why for one in found), found


@pytest.mark.parametrize("asked", sorted({case[2] for case in CASES}), ids=str)
def test_without_a_fault_all_is_confirmed(asked: Asked, home: Path, tmp_path: Path) -> None:
    found = findings(home, asked, tmp_path)
    assert found
    assert {one.verdict for one in found} == {"confirmed"}, found


def test_a_family_of_another_name_is_never_confirmed(home: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    """Hue, taken for monotone: the checker knows no such edits."""
    build = FAMILIES["brightness"].read("brightness", "0.9..1.1")
    hue = Entry("", lambda name, text: lambda pixels, policy: replace(build(pixels, policy), name="hue"))
    monkeypatch.setitem(FAMILIES, "hue", hue)
    assert {one.verdict for one in findings(home, ("hue", 0.1, "rmse"), tmp_path)} == {"unsupported"}
