"""Faults in proofs about edits (THEORY T12), planted in the code that proves; each is seen, and its control is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from planted import draw_pictures, embedded_by, small_index

from retr.certificates.edit_ranges import Moves, Rivals, stays_ahead
from retr.embedding.block_means import BlockMeans
from retr.images import resize as resizing
from retr.images.families import affine, asked, encoded
from retr.images.families.asked import read_families
from retr.images.families.brightness_contrast import brightness_contrast
from retr.images.families.family import Continuous, Enclosure, Finite, between, to_8_bits
from retr.images.policy import DecodePolicy
from retr.images.resize import resize_operator
from retr.retrieval.ranges import cover_cells, members, optics, standing
from retr.retrieval.ranges.claim import PARTS, Claim
from retr.retrieval.ranges.claiming import claim_of
from retr.retrieval.ranges.judge import Judge
from retr.retrieval.ranges.optics import Optics
from retr.retrieval.ranges.prove import prove_ranges

POLICY = DecodePolicy()
PICTURES = draw_pictures(8, side=24, coarse=7)
NOISE = np.asarray(
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((32, 24))
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """Two channels, which rank by margins."""
    one = embedded_by(small_index(tmp_path_factory.mktemp("f"), PICTURES), BlockMeans(4), threshold=0.93)
    return replace(one, channels=(*one.channels, *embedded_by(one, BlockMeans(2), threshold=0.97).channels))


@pytest.fixture(scope="module")
def eyes(engine) -> Optics:
    return Optics(engine.channels, engine.views)


def budget(values: int) -> float:
    return float(np.sqrt(values)) / 255.0


def claimed(engine, number: int):
    return claim_of(engine, engine.answer(PICTURES[number] / 255.0, k=3, certify=True))


def stand(engine, eyes, number: int, at: int):
    """What is known of the claim of one picture at another one."""
    judge = Judge(eyes, tuple(engine.sources), claimed(engine, number), eyes.norms([(24, 24)])[1])
    [found] = judge.stand(eyes.see_all([PICTURES[at]]), PARTS)
    return found


def unmoved(probes: int = 2) -> Moves:
    return Moves(np.zeros((1, probes)), np.ones((1, probes)), np.zeros(1))


def plant(planted: bool, monkeypatch, where, name: str, fault: Callable) -> None:
    """Put a fault in place of an attribute; it is given what was there."""
    if planted:
        true = getattr(where, name)
        monkeypatch.setattr(where, name, fault(true))


def distances_hold(family, eyes) -> bool:
    """Whether no member is farther from the first than is said, in any probe."""
    made, every = members.MadeMembers.of(family, eyes, budget), np.arange(len(family))
    said = made.moves(0, every).covered
    true = np.stack([np.linalg.norm(made.seen[at] - made.seen[at][0], axis=1) for at in eyes.of_probe], axis=1)
    return bool((said >= true - 1e-9).all())


def test_r_of_one_probe_for_all(planted, eyes, monkeypatch):
    """In block means of two a side everything moves least."""
    plant(
        planted,
        monkeypatch,
        members.Sizes,
        "moves",
        lambda true: (
            lambda self, found, among, of_probe: true(self, [min(found, key=np.sum)] * len(found), among, of_probe)
        ),
    )
    assert distances_hold(read_families(["bits:1..8"])[0].on(PICTURES[1], POLICY), eyes) != planted


def test_members_grouped_by_the_distance_to_a_neighbour(planted, eyes, monkeypatch):
    """Each is as far as it is from the one before it: a chain leads anywhere."""

    def fault(true):
        def moves(self, place, among, room=np.inf):
            steps = [true(self, int(max(0, at - 1)), np.array([at])).covered[0] for at in among]
            return replace(true(self, place, among, room), covered=np.array(steps))

        return moves

    plant(planted, monkeypatch, members.MadeMembers, "moves", fault)
    assert distances_hold(read_families(["bits:1..8"])[0].on(PICTURES[1], POLICY), eyes) != planted


def test_r_taken_from_i_and_not_added_to_j(planted, monkeypatch):
    """i leads by 1; both move by 0.7 in the same probe, so j may pass."""
    plant(
        planted,
        monkeypatch,
        Rivals,
        "stay_behind",
        lambda true: lambda self, ceiling, moved: true(self, ceiling + moved, moved),
    )
    rivals = [Rivals.of(np.array([1.0]), np.array([-np.inf]))]
    moves = Moves(np.array([[0.7]]), np.ones((1, 1)), np.zeros(1))
    assert stays_ahead(np.array([2.0]), rivals, moves, growth=0.0)[0] == planted


def test_only_the_best_probe_of_j(planted, engine, eyes, monkeypatch):
    """Every row of a rival is known in every probe, at least at its bound."""

    def fault(true):
        def first(evidence, key):
            found = true(evidence, key)
            best = max(range(len(found.rivals)), key=lambda at: found.rivals[at].margins.max())
            none = Rivals(np.zeros(0), np.zeros(0))
            return replace(found, rivals=tuple(one if at == best else none for at, one in enumerate(found.rivals)))

        return first

    plant(planted, monkeypatch, standing, "_first", fault)
    found = stand(engine, eyes, 1, 1).first
    assert found is not None
    assert all(len(one.margins) for one in found.rivals) != planted


def test_another_item_first_in_some_cells(planted, engine, eyes, monkeypatch):
    """At a picture of something else the claim is that this is first, not that anything is."""
    true = standing._first
    plant(
        planted,
        monkeypatch,
        standing,
        "_first",
        lambda _: lambda evidence, key: true(evidence, evidence[0].listed.keys[0]),
    )
    assert stand(engine, eyes, 1, 1).holds("first", unmoved())[0]
    assert stand(engine, eyes, 1, 2).holds("first", unmoved())[0] == planted


def test_a_margin_in_pixels_divided_by_rho_again(planted, engine, eyes, monkeypatch):
    """The distance to the edge of what is accepted is in resized units: no cosine can change by more than that."""
    plant(
        planted,
        monkeypatch,
        optics,
        "UpperBound",
        lambda true: lambda value, why: true(value * 0.4 if "representative" in why else value, why),
    )
    found = stand(engine, eyes, 1, 1)
    assert found.copy is not None
    rounding = eyes.norms([(24, 24)])[1]
    monkeypatch.undo()
    [probes] = eyes.embed(eyes.see_all([PICTURES[1]]), rounding)
    lengths = np.array([np.linalg.norm(probe.z) for probe in probes])
    angles = np.arccos([channel.threshold.value for channel in engine.channels])
    assert (found.copy > lengths * np.sin(angles)).any() == planted


def test_rho_and_n_of_the_query_for_smaller_members(planted, eyes, monkeypatch):
    plant(
        planted,
        monkeypatch,
        members.Sizes,
        "of",
        lambda true: staticmethod(
            lambda found, sizes, budget: true(found, np.broadcast_to(sizes.max(axis=0), sizes.shape), budget)
        ),
    )
    sizes = np.array([[64, 64], [32, 32]])
    found = members.Sizes.of(eyes, sizes, budget)
    assert (found.resize[1] < resize_operator((32, 32), (16, 16)).norm.value)[0] == planted
    assert (found.budget[1] == budget(3 * 64 * 64)) == planted


def test_gaps_between_cells(planted, engine, monkeypatch):
    """Every factor of a range that is called proved lies in a proved cell."""
    plant(
        planted,
        monkeypatch,
        cover_cells,
        "halves",
        lambda true: lambda cell, family: [((low, low + 0.8 * (high - low)),) for ((low, high),) in true(cell, family)],
    )
    kept = []
    plant(
        True,
        monkeypatch,
        cover_cells.CellCover,
        "search",
        lambda true: lambda self: kept.extend(found := true(self)) or found,
    )
    pixels = PICTURES[1]
    answer = engine.answer(pixels / 255.0, k=3, certify=True)
    proof = prove_ranges(engine, pixels, answer, read_families(["brightness:0.9..1.1"]), eps=0.25, unit="rmse")
    assert proof.families[0].verdict.whole
    cells = [piece.cell[0] for piece in kept if "verdict" in piece.proved]
    assert all(any(low <= at <= high for low, high in cells) for at in np.linspace(0.9, 1.1, 1001)) != planted


def test_the_signed_difference_in_r(planted, eyes, monkeypatch):
    """What gets darker and what gets brighter cancel in the resize."""

    def fault(true):
        def moves(self, enclosure):
            signs = np.where(enclosure.centre > 128.0, 1.0, -1.0)
            return true(self, replace(enclosure, half=enclosure.half * signs))

        return moves

    plant(planted, monkeypatch, cover_cells.CellCover, "_moves", fault)
    pixels = np.zeros((24, 24, 3), dtype=np.uint8)
    pixels[::2], pixels[1::2] = 100, 156
    family = read_families(["contrast:0..2"])[0].on(pixels, POLICY)
    assert isinstance(family, Continuous)
    sizes = members.Sizes.of(eyes, np.array([[24, 24]]), budget)
    cover = cover_cells.CellCover(family, eyes, Judge(eyes, (), Claim(None, None, None, None, None, {})), sizes, ())
    whole = family.enclose(family.span)
    said = cover._moves(whole).covered[0]
    dark = pixels.copy()
    dark[::2] = family.member((2.0,))[::2]  # one of the images between the ends
    centre, far = eyes.see(whole.centre), eyes.see(dark)
    true = np.array([np.linalg.norm(far[at] - centre[at]) for at in eyes.of_probe])
    assert (said < true - 1e-9).any() == planted


def by_ends(member) -> Callable[..., Continuous]:
    """A family whose members at the corners of a cell are taken for the extremes."""

    def build(pixels, *, spans) -> Continuous:
        def made(point):
            return member(pixels, point)

        def enclose(cell):
            grids = np.meshgrid(*cell, indexing="ij")
            corners = zip(*[grid.ravel() for grid in grids], strict=True)
            stack = np.stack([made(tuple(map(float, point))) for point in corners]).astype(np.float64)
            return between(stack.min(axis=0), stack.max(axis=0))

        return replace(brightness_contrast(pixels, spans=spans), enclose=enclose, member=made)

    return build


def contrasted(pixels, factor):
    return to_8_bits(128.0 + factor * (pixels.astype(float) - 128.0))


def then_saturation(pixels, point):
    made = contrasted(pixels, point[0]).astype(float)
    grey = made.mean(axis=2, keepdims=True)
    return to_8_bits(grey + point[1] * (made - grey))


def then_downscale(pixels, point):
    size = [max(1, round(side * min(1.0, point[1]))) for side in pixels.shape[1::-1]]
    small = Image.fromarray(contrasted(pixels, point[0])).resize(size, Image.Resampling.LANCZOS)
    return np.asarray(small.resize(pixels.shape[1::-1], Image.Resampling.NEAREST))


def then_jpeg(pixels, point):
    made = to_8_bits(point[0] * pixels.astype(float))
    return encoded.through(made, POLICY, format="JPEG", quality=int(1 + 30 * point[1]), subsampling="4:2:0")


def then_mean(pixels, point):
    made = to_8_bits(point[0] * pixels.astype(float)).astype(float)
    return to_8_bits(made.mean() + point[1] * (made - made.mean()))


def hue(pixels, point):
    hsv = np.asarray(Image.fromarray(pixels).convert("HSV")).copy()
    hsv[..., 0] = (hsv[..., 0].astype(int) + int(255.0 * point[0])) % 256
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("member", [then_saturation, then_downscale, then_jpeg, then_mean, hue])
def test_what_is_not_monotone_declared_so(planted, monkeypatch, member):
    """A member in the middle of a cell lies outside of what the cell's ends enclose."""
    if planted:
        entry = asked.FAMILIES["brightness-contrast"]
        monkeypatch.setitem(
            asked.FAMILIES,
            "brightness-contrast",
            replace(
                entry,
                read=lambda name, text: lambda pixels, policy: by_ends(member)(pixels, spans=((0.5, 2.0), (0.5, 2.0))),
            ),
        )
    family = read_families(["brightness-contrast:0.5..2"])[0].on(NOISE, POLICY)
    assert isinstance(family, Continuous)
    assert (leaves(family) > 0.4) == planted


def leaves(family: Continuous) -> float:
    """By how many levels a member leaves the enclosure of the range."""
    found, worst = family.enclose(family.span), 0.0
    grids = np.meshgrid(*[np.linspace(low, high, 9) for low, high in family.span], indexing="ij")
    for point in zip(*[grid.ravel() for grid in grids], strict=True):
        away = np.abs(family.member(tuple(map(float, point))).astype(float) - found.centre) - found.half
        worst = max(worst, float(away.max()))
    return worst


def test_a_program_that_truncates_where_its_bounds_round(planted, monkeypatch):
    plant(
        planted, monkeypatch, affine, "to_8_bits", lambda true: lambda levels: np.clip(levels, 0, 255).astype(np.uint8)
    )
    family = read_families(["fade-black:0..1"])[0].on(PICTURES[1], POLICY)
    assert isinstance(family, Continuous)
    narrow = replace(family, span=((0.3, 0.3),))
    assert (leaves(narrow) > 0.4) == planted


def test_bounds_that_are_not_moved_outward(planted, monkeypatch):
    """Curves whose ends are off by their last digits round to another level than a member between them."""

    def fault(true):
        return lambda low, high: Enclosure((low + high) * 0.5, (high - low) * 0.4)

    plant(planted, monkeypatch, affine, "between", fault)
    family = read_families(["brightness:0.9..1.1"])[0].on(PICTURES[1], POLICY)
    assert isinstance(family, Continuous)
    assert (leaves(family) > 0.4) == planted


def test_a_resize_with_negative_weights(planted, monkeypatch):
    """|R V x| ≤ R V |x| needs none, and so does the norm, which refuses them."""

    def fault(true):
        def bicubic(source, target):
            scale = source / target
            away = np.abs(np.arange(source) + 0.5 - (np.arange(target)[:, None] + 0.5) * scale) / max(scale, 1.0)
            near, far = 1.5 * away**3 - 2.5 * away**2 + 1.0, -0.5 * away**3 + 2.5 * away**2 - 4.0 * away + 2.0
            weights = np.where(away <= 1.0, near, np.where(away < 2.0, far, 0.0))
            return weights / weights.sum(axis=1, keepdims=True)

        return bicubic

    plant(planted, monkeypatch, resizing, "_triangle_weights", fault)
    if planted:
        with pytest.raises(ValueError, match="non-negative"):
            _ = resizing.resize_axis.__wrapped__(40, 8).norm
    else:
        assert resizing.resize_axis.__wrapped__(40, 8).norm.value <= 1.0


def test_a_missing_quality(planted, monkeypatch):
    """Every whole quality is a member, each with a file of its own."""
    plant(
        planted,
        monkeypatch,
        encoded,
        "Finite",
        lambda true: lambda **fields: true(**{**fields, "values": np.delete(fields["values"], 7)}),
    )
    family = read_families(["jpeg:30..60"])[0].on(PICTURES[1], POLICY)
    assert isinstance(family, Finite)
    assert (sorted(family.values) == list(range(30, 61))) != planted


def test_representatives_in_draft_mode(planted, monkeypatch):
    """A decoder that halves while it reads shows another image than the one that is decided on."""

    def fault(true):
        def draft(data, *, policy):
            found = true(data, policy=policy)
            small = Image.fromarray(found.pixels).reduce(2).resize(found.pixels.shape[1::-1])
            return replace(found, pixels=np.asarray(small))

        return draft

    made = read_families(["jpeg:60..60"])[0].on(PICTURES[1], POLICY).make(0)  # type: ignore[union-attr]
    plant(planted, monkeypatch, encoded, "decode", fault)
    shown = read_families(["jpeg:60..60"])[0].on(PICTURES[1], POLICY).make(0)  # type: ignore[union-attr]
    assert np.array_equal(made, shown) != planted
