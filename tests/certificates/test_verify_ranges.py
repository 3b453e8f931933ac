"""The checker of edits: every member and cell is its own, it agrees with the engine, and refutes what was edited."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from proved import edited, found_in, leaves, proofs_from, proved_index, save_small

from retr.certificates import verify_proof as base
from retr.certificates import verify_ranges as checker
from retr.certificates.statement import ProofObject, checker_json
from retr.core.errors import UsageError
from retr.images.families.asked import FAMILIES, read_families
from retr.images.families.family import Continuous, Finite
from retr.images.families.geometry import Crops
from retr.images.policy import DecodePolicy
from retr.retrieval.engine import Engine
from retr.retrieval.range_distances import parameters_of
from retr.retrieval.ranges.covers import MemberCover

POLICY = DecodePolicy()
NOISE = np.random.default_rng(5).integers(0, 256, (4, 6, 3), dtype=np.uint8)
PIXELS = np.asarray(Image.fromarray(NOISE).resize((26, 17), Image.Resampling.BICUBIC))
ASKED = {"overlay": "", "crop": "crop:70", "palette": "palette:30..33", "downscale-jpeg": "downscale-jpeg:95"}
EDITS = ("jpeg:88..95", "crop:92", "downscale:90", "brightness:0.9..1.1", "brightness-contrast:0.97..1.03", "flip")
WITNESSES = {"versions", "decoder", "method", "asked", "program", "parameters"}


def families() -> dict[str, Finite | Continuous]:
    """All that are known by name alone, of one image."""
    asked = [ASKED.get(name, name) for name in FAMILIES]
    return {one.name: one for one in (found.on(PIXELS, POLICY) for found in read_families([a for a in asked if a]))}


def test_it_makes_the_members_that_the_engine_makes() -> None:
    for name, family in families().items():
        if not isinstance(family, Finite):
            continue
        low, high = float(family.values.min()), float(family.values.max())
        own = checker.members(name, PIXELS.shape, low, high)
        assert len(own) == len(family), name
        places = np.arange(len(family))
        step = max(1, len(family) // 12)
        for place in places[::step].tolist():
            parameters = parameters_of(MemberCover(family, places, places), place)
            assert list(own[place]) == parameters, name
            made = checker.make(name, PIXELS, parameters, POLICY.as_json())
            np.testing.assert_array_equal(made, family.make(place), err_msg=f"{name} {parameters}")
        assert checker.FINITE.index(name) >= 0
        if isinstance(family, Crops):
            assert len({tuple(one) for one in own}) == len(own)


def test_its_cells_are_as_wide_as_the_engine_s() -> None:
    for name, family in families().items():
        if not isinstance(family, Continuous):
            assert name not in checker.CONTINUOUS
            continue
        low, high = zip(*family.span, strict=True)
        third = [a + (b - a) / 3.0 for a, b in zip(low, high, strict=True)]
        for first, last in ((low, high), (low, third), (third, third)):
            found = family.enclose(tuple(zip(first, last, strict=True)))
            least, most = checker.enclose(name, PIXELS, first, last)
            np.testing.assert_allclose(least, found.centre - found.half, atol=1e-9, err_msg=name)
            np.testing.assert_allclose(most, found.centre + found.half, atol=1e-9, err_msg=name)
        assert len(checker.CONTINUOUS[name]) == len(family.span)


@pytest.fixture(scope="module", params=["scores", "channels"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ProofObject]]:
    home = tmp_path_factory.mktemp(request.param)
    small = str(save_small(home / "small.safetensors"))
    models = ("block-means:4",) if request.param == "scores" else ("block-means:4", small)
    index = proved_index(home, models)
    for file in sorted((home / "queries").iterdir())[1:-1]:
        file.unlink()
    edits = (*EDITS, "rotation:-0.2..0.2", "shift:-0.05..0.05", "blur:0..0.4") if request.param == "scores" else EDITS
    engine = Engine.open(index, device="cpu")
    found = [one for one in proofs_from(engine, home / "queries", edits=edits) if one.claim["kind"] == "ranges"]
    return home, found


def test_engine_and_checker_agree(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    found = {
        proof.name: ": ".join(filter(None, found_in(proof.statement, tmp_path, home / "index"))) for proof in proofs
    }
    assert found == dict.fromkeys(found, "confirmed")
    assert {proof.claim["what"] for proof in proofs} >= {"not-a-copy", "first-place"}
    names = {proof.predicate["family"]["name"] for proof in proofs}
    assert names >= {"jpeg", "crop", "downscale", "brightness", "brightness-contrast"}
    assert ("blur" in names) == (len(proofs[0].predicate["channels"]) == 1)
    assert all(proof.predicate["checker"] == checker_json("verify_ranges.py") for proof in proofs)


def chosen(proofs: list[ProofObject]) -> list[ProofObject]:
    """One of members and one of cells, of different claims."""
    finite = next(one for one in proofs if one.predicate["family"]["name"] == "jpeg" and one.claim["what"] != "copy")
    cells = next(one for one in proofs if one.predicate["family"]["name"] == "brightness-contrast")
    return [finite, cells]


def changed(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * (1.0 + 1e-5) if value else 1e-3
    return ("b" if value[:1] == "a" else "a") + value[1:] if value else "a"


def test_any_edited_value_is_refuted(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    for proof in chosen(proofs):
        cells = len(proof.predicate["cells"])
        for path, value in leaves(proof.statement):
            if value is None or WITNESSES & set(path) or ("r" in path[-2:] and value < 1e-3):
                continue  # and r of a representative alone, which is rounding
            if path == ("predicate", "digest"):
                continue  # a careful forger's fits
            if path[1:2] == ("cells",) and path[2] not in (0, cells - 1):
                continue
            if len(proof.predicate["family"]["low"]) > 1 and {"low", "high"} & set(path) and "cells" in path:
                continue  # of two parameters cells may go on beyond the range: what is claimed is the same
            found = found_in(edited(proof.statement, path, changed), tmp_path, home / "index")
            assert found.verdict in ("refuted", "unsupported"), path
            exact = path[-1] in ("_type", "predicateType", "path", "version", "view", "kind", "name")
            assert found.verdict == "refuted" or exact or path[-2] == "checker", (path, str(found))


def forged(proof: ProofObject, change: Callable[[Any, Any], None]) -> Any:
    """What a careful forger writes: a change with the sentence that goes with it."""
    copy = json.loads(json.dumps(proof.statement))
    said = copy["predicate"]
    change(said, said["family"])
    family, claim = said["family"], said["claim"]
    old = proof.predicate["family"]
    pairs = zip(old["low"], old["high"], family["low"], family["high"], strict=True)
    for a, b, low, high in pairs:
        claim["sentence"] = claim["sentence"].replace(f"{a!r} to {b!r}", f"{low!r} to {high!r}")
    eps = proof.claim["eps"]["value"]
    claim["sentence"] = claim["sentence"].replace(f"at most {eps!r}", f"at most {claim['eps']['value']!r}")
    return copy


def test_words_of_the_proof_are_no_part_of_the_claim(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """What a forger calls the program, or its numbers, is not what is confirmed."""
    _, proofs = made
    for proof in chosen(proofs):

        def grander(said: Any, family: Any) -> None:
            family["program"], family["parameters"] = "every edit there is", ["anything"] * len(family["low"])

        assert "every edit there is" not in forged(proof, grander)["predicate"]["claim"]["sentence"]
        assert proof.predicate["family"]["program"] not in proof.claim["sentence"]


def test_a_larger_constant_ranks_otherwise_and_is_refuted(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """With several channels L says what is ranked: one that is larger proves less, of another item."""
    home, proofs = made
    for proof in chosen(proofs):

        def larger(said: Any, family: Any) -> None:
            said["channels"][0]["lipschitz"]["value"] = 300.0

        found = found_in(forged(proof, larger), tmp_path, home / "index")
        assert (found.verdict, "L of the network" in found.why) == ("refuted", True), str(found)


def test_a_constant_in_the_last_digits_gains_nothing(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """L stated as much too small as two programs may differ by, and ε as far as would follow from it."""
    home, proofs = made
    if len(proofs[0].predicate["channels"]) > 1:
        return  # an ε that one channel limits is needed
    told = 0
    for proof in proofs:
        side = "own" if proof.claim["what"] == "first-place" else "rival"
        cells, eps = proof.predicate["cells"], proof.claim["radius"]["l2"]
        if proof.claim["what"] == "copy" or proof.predicate["family"]["name"] != "flip":
            continue
        rho = [(cell["moved"][0] - cell["r"][0]) / eps for cell in cells]
        limits = [
            (abs(cell[side][0]) * (1.0 + 0.8e-9) - cell["r"][0]) / one for cell, one in zip(cells, rho, strict=True)
        ]
        factor = min(limits) / eps

        def further(said: Any, family: Any, side: str = side, factor: float = factor) -> None:
            said["channels"][0]["lipschitz"]["value"] *= 1.0 - 0.9e-9
            claim = said["claim"]
            claim["eps"]["value"] *= factor
            claim["radius"] = {name: value * factor for name, value in claim["radius"].items()}
            claim["radius"]["psnr"] = float(-20.0 * np.log10(claim["radius"]["rmse"] / 255.0))
            for cell in said["cells"]:
                cell["moved"] = [cell["r"][0] + factor * (cell["moved"][0] - cell["r"][0])]
                cell[side] = [cell[side][0] * (1.0 + 0.9e-9)]

        found = found_in(forged(proof, further), tmp_path, home / "index")
        assert (found.verdict, "does not follow" in found.why) == ("refuted", True), str(found)
        told += 1
    assert told


def test_no_channel_that_the_index_lacks(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made

    def another(said: Any, family: Any) -> None:
        said["channels"].append({**said["channels"][0], "name": "another"})

    found = found_in(forged(chosen(proofs)[0], another), tmp_path, home / "index")
    assert (found.verdict, "number of channels" in found.why) == ("refuted", True), str(found)


def test_a_threshold_is_given_to_one_channel_only(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """As the engine takes none for several."""
    home, proofs = made

    def wide(said: Any, family: Any) -> None:
        for channel in said["channels"]:
            channel["threshold"] = {"source": "given", "value": -0.99, "offset": None, "share": None, "gaps": None}

    found = found_in(forged(chosen(proofs)[1], wide), tmp_path, home / "index")
    several = len(chosen(proofs)[1].predicate["channels"]) > 1
    assert found.verdict == "refuted"
    assert not several or "index of one channel" in found.why, str(found)


def test_no_representative_is_larger_than_the_image(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """A forger's tenths of a side would otherwise cost a hundred times the memory."""
    home, proofs = made
    finite = chosen(proofs)[0]

    def enlarged(said: Any, family: Any) -> None:
        family["name"] = "downscale-jpeg"
        family["low"] = family["high"] = [100.0]
        said["cells"] = [{**said["cells"][0], "at": [100, 95], "members": list(range(66))}]

    found = found_in(forged(finite, enlarged), tmp_path, home / "index")
    assert (found.verdict, "is no edit of downscale-jpeg" in found.why) == ("refuted", True), str(found)


def test_crops_at_the_very_end_of_the_range_are_members() -> None:
    """A hundred times 57/100 falls short of 57 in floating point."""
    heights = {at[2] for at in checker.members("crop", (100, 20), 57.0, 100.0)}
    assert min(heights) == 57


def test_a_wider_range_does_not_follow(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    finite, cells = chosen(proofs)

    def lower(said: Any, family: Any) -> None:
        family["low"] = [family["low"][0] - 1.0]

    def longer(said: Any, family: Any) -> None:
        family["high"] = [end * 1.0001 for end in family["high"]]

    def stretched(said: Any, family: Any) -> None:
        longer(said, family)
        for cell in said["cells"]:
            cell["high"] = [
                max(a, b) if a == end else a for a, b, end in zip(cell["high"], family["high"], ends, strict=True)
            ]

    ends = cells.predicate["family"]["high"]
    cases = [
        (finite, lower, "members of the cells"),
        (cells, longer, "do not cover"),
        (cells, stretched, "of the cell at"),
    ]
    for proof, change, why in cases:
        found = found_in(forged(proof, change), tmp_path, home / "index")
        assert (found.verdict, why in found.why) == ("refuted", True), str(found)


def test_what_products_of_matrices_say_of_leads_is_never_too_much() -> None:
    """However near rows are to the item's: their leads are then computed one by one."""
    draw, tau = np.random.default_rng(0), 0.97
    near = 10.0 ** draw.uniform(-8.0, 0.0, (400, 1)) * draw.standard_normal((400, 48))
    rows = np.concatenate([draw.standard_normal((200, 48)), draw.standard_normal(48) + near])
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    z = 12.0 * rows[200] + 0.2 * draw.standard_normal(48)
    p = base.Probe(0, "original", z, float(np.linalg.norm(z)), True, 0.5, 1.0, 1e-8, None)
    carriers, rest = rows[200:208], np.concatenate([rows[:200], rows[208:]])
    best = np.full(len(rest), -np.inf)
    for row in carriers:
        lead, width = p.leads(row, rest)
        taken = p.leads_off(row, rest, width) + p.room * 2.0 / (np.sqrt(1.0 - tau * tau) * width)
        best = np.maximum(best, np.minimum(lead, row @ z) / p.lipschitz - taken)
    found = checker.nearly(p, carriers, rest, tau)
    assert (found <= best).all()
    assert (best - found)[:200].max() < 1e-3


@pytest.mark.parametrize("name", sorted(checker.CONTINUOUS))
def test_no_range_goes_farther_than_its_edits(name: str) -> None:
    """Beyond, a program in float64 is no longer the one that is meant: sine and cosine of 10¹² degrees are anything."""
    spans = checker.CONTINUOUS[name]
    words = ",".join(f"{least}..{most}" for least, most in spans)
    assert read_families([f"{name}:{words}"])
    with pytest.raises(UsageError):
        read_families([f"{name}:{','.join(f'{least}..{most + 0.01}' for least, most in spans)}"])
    inside, beyond = [most for _, most in spans], [most * 1.01 for _, most in spans]
    family = {"name": name, "parameters": ["?"] * len(spans), "pixels_sha256": []}
    for high in (beyond, [1e12] * len(spans)):
        said: Any = {"family": {**family, "low": inside, "high": high}, "cells": [], "decode": {"policy": {}}}

        def cells(said: Any = said) -> None:
            checker.Cover(said, PIXELS, []).cells()

        found = base.judge(cells)
        assert (found.verdict, "no edits by" in found.why) == ("refuted", True), str(found)


def test_a_larger_budget_does_not_follow(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    """Also where every number that states it is changed with it."""
    home, proofs = made
    for proof in chosen(proofs):

        def larger(said: Any, family: Any) -> None:
            claim = said["claim"]
            claim["eps"]["value"] *= 400.0
            claim["radius"] = {name: value * 400.0 for name, value in claim["radius"].items()}
            claim["radius"]["psnr"] = float(-20.0 * np.log10(claim["radius"]["rmse"] / 255.0))
            for cell in said["cells"]:
                pairs = zip(cell["r"], cell["moved"], strict=True)
                cell["moved"] = [r + 400.0 * (reached - r) for r, reached in pairs]

        found = found_in(forged(proof, larger), tmp_path, home / "index")
        assert (found.verdict, "does not follow" in found.why) == ("refuted", True), str(found)


def test_members_and_representatives_are_its_own(made: tuple[Path, list[ProofObject]], tmp_path: Path) -> None:
    home, proofs = made
    finite = chosen(proofs)[0]
    cell = finite.predicate["cells"][0]

    def fewer(said: Any, family: Any) -> None:
        said["cells"][0]["members"] = cell["members"][:-1]

    def twice(said: Any, family: Any) -> None:
        said["cells"].append(said["cells"][0])

    def another(said: Any, family: Any) -> None:
        said["cells"][0]["at"] = [5]

    def impossible(said: Any, family: Any) -> None:
        said["cells"][0]["at"] = [10**9]

    def encoder(said: Any, family: Any) -> None:
        family["pixels_sha256"][0] = "0" * 64

    def unknown(said: Any, family: Any) -> None:
        family["name"] = "hue"

    def none(said: Any, family: Any) -> None:
        said["cells"] = []

    for change in (fewer, twice, another, impossible, encoder, unknown, none):
        found = found_in(forged(finite, change), tmp_path, home / "index")
        assert found.verdict == ("unsupported" if change is unknown else "refuted"), (change.__name__, str(found))


def test_families_beyond_all_bounds_are_not_made() -> None:
    """Refused before anything is built of them."""

    def crops() -> None:
        checker.members("crop", (4000, 6000), 0.0, 100.0)

    assert base.judge(crops).verdict == "unsupported"
    for name, low, high in (("jpeg", -5.0, 1e9), ("jpeg", 30.5, 95.0), ("palette", 1.0, 300.0), ("flip", 1.0, 2.0)):

        def edits(name: str = name, low: float = low, high: float = high) -> None:
            checker.members(name, (20, 20), low, high)

        assert base.judge(edits).verdict == "refuted"
    many = np.repeat(np.array([[[0.0, 0.0], [1.0, 1.0]]]), 3, axis=0) + np.arange(3)[:, None, None]
    assert not checker.covers(many, (0.0, 0.0), (5.0, 5.0))


@pytest.mark.parametrize(
    ("boxes", "whole"),
    [
        ([[(0, 0), (1, 2)], [(1, 0), (2, 2)]], True),
        ([[(0, 0), (1, 2)], [(1.01, 0), (2, 2)]], False),
        ([[(0, 0), (2, 1)], [(0, 1), (1, 2)]], False),
        ([[(-1, -1), (3, 3)]], True),
        ([[(0, 0), (2, 1.5)], [(0, 1), (2, 2)]], False),
        ([[(0, 0), (1, 1)], [(1, 1), (2, 2)], [(0, 1), (1, 2)], [(1, 0), (2, 1)]], True),
        ([[(0, 0), (2, 1.999)]], False),
    ],
)
def test_gaps_of_a_cover_are_found(boxes: Any, whole: bool) -> None:
    assert checker.covers(np.array(boxes, dtype=float), (0.0, 0.0), (2.0, 2.0)) == whole


def test_as_a_script(made: tuple[Path, list[ProofObject]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, proofs = made
    file = proofs[0].write(tmp_path)
    assert checker.main([str(file), "--index", str(home / "index")]) == 0
    assert capsys.readouterr().out == "confirmed\n"
