"""``retr calibrate``: the conformal threshold, its bound, and where it is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import Quiet, Stretches, draw
from PIL import Image
from plain import one_threshold

from retr.core.errors import IndexStateError, UsageError
from retr.images.decode import load
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.info import describe_index
from retr.indexer.snapshot import require_current
from retr.indexer.staging import begin
from retr.retrieval.calibrate import calibrate
from retr.retrieval.conformal import set_thresholds, upper95
from retr.retrieval.engine import Engine
from retr.retrieval.nearness import best_scores
from retr.retrieval.probe import embed
from retr.retrieval.query import query_files, to_float


@pytest.mark.parametrize(
    ("n", "fpr", "place"),
    [(9, 0.1, 9), (19, 0.1, 18), (999, 1e-3, 999), (9, 0.3, 7), (3, 0.3, 3), (100, 0.05, 96), (1999, 1e-3, 1998)],
)
def test_the_threshold_lies_just_beyond_the_conformal_order_statistic(n, fpr, place):
    scores = np.random.default_rng(0).permutation(np.linspace(-0.5, 0.9, n))
    found = one_threshold(scores, cosine=True, fpr=fpr)
    assert found.value == np.nextafter(np.sort(scores)[place - 1], 1)
    assert (scores >= found.value).sum() == n - place
    assert (found.source, found.samples, found.fpr) == ("calibrated", n, fpr)
    assert found.upper95 == upper95(n - place, n)
    distances = 1 - scores
    far = one_threshold(distances, cosine=False, fpr=fpr)
    assert far.value == np.nextafter(np.sort(distances)[n - place], 0)
    assert (distances <= far.value).sum() == n - place


def test_tied_negatives_are_all_rejected_and_bounded_no_better_than_distinct_ones():
    scores = np.r_[np.linspace(0, 0.1, 15), np.full(5, 0.5)]
    tied = one_threshold(scores, cosine=True, fpr=0.2)  # the 17th of 20
    assert (scores >= tied.value).sum() == 0
    assert tied.upper95 == upper95(3, 20)


def together(scores, fpr, channels):
    return set_thresholds(np.stack([scores] * channels, axis=1), cosine=[True] * channels, fpr=fpr)


@pytest.mark.parametrize(
    ("n", "fpr", "channels", "needed", "possible"),
    [(8, 0.1, 1, 9, "0.12"), (998, 1e-3, 1, 999, "0.0011"), (30, 0.05, 2, 39, "0.065"), (0, 0.5, 1, 1, None)],
)
def test_too_few_negatives_say_how_many_are_needed_and_what_they_do_support(n, fpr, channels, needed, possible):
    scores = np.linspace(0, 0.9, n)
    with pytest.raises(UsageError, match=f"at least {needed} are needed") as caught:
        together(scores, fpr, channels)
    together(np.linspace(0, 0.9, needed), fpr, channels)
    if possible is None:
        assert "a rate of" not in str(caught.value)
    else:
        assert f"a rate of {possible} or more" in str(caught.value)
        together(scores, float(possible), channels)


@pytest.mark.parametrize(("scores", "cosine"), [([0.2, 1.0], True), ([0.7, 0.0], False)])
def test_a_negative_that_is_a_stored_row_cannot_be_told_apart(scores, cosine):
    with pytest.raises(UsageError, match=r"1 of 2 negatives .* copies"):
        one_threshold(np.array(scores), cosine=cosine, fpr=0.4)


@pytest.mark.parametrize(
    ("matched", "n", "expected"),
    [  # one-sided 95 % limits, as scipy.stats.beta.ppf(0.95, x + 1, n − x) gives them
        (0, 10, 0.2588655508930522),
        (1, 10, 0.39416330243650466),
        (2, 20, 0.28261852488586087),
        (5, 10, 0.7775588989918706),
        (9, 10, 0.9948838031081763),
        (0, 1000, 0.002991249545095295),
        (1, 999, 0.004739724429367857),
        (10, 10, 1.0),
    ],
)
def test_clopper_pearson_against_the_beta_quantile(matched, n, expected):
    assert upper95(matched, n) == pytest.approx(expected, rel=1e-9)


def test_clopper_pearson_in_closed_form():
    for n in (1, 7, 300):
        assert upper95(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-9)
        assert upper95(n - 1, n) == pytest.approx(0.95 ** (1 / n), rel=1e-9)


def test_the_bound_holds_on_drawn_negatives():
    """Both promises, in a world where the rate of a threshold is known: scores uniform on [0, 1]."""
    rng = np.random.default_rng(0)
    found = [one_threshold(rng.random(99), cosine=True, fpr=0.05) for _ in range(2000)]
    rates = np.array([1 - threshold.value for threshold in found])
    limits = np.array([threshold.upper95 for threshold in found])
    assert rates.mean() == pytest.approx(0.05, abs=0.002)
    assert 0.93 <= (rates <= limits).mean() <= 0.97


# -- on an index ------------------------------------------------------------------------------------------------------


def best_score(engine, image):
    [probe] = embed(engine.channels, to_float(image)).probes
    return best_scores(engine.sources[0], [probe])[0]


@pytest.fixture
def corpus(tmp_path):
    for number in range(10):
        draw(tmp_path / "corpus" / f"{number}.png", number)
    return tmp_path / "corpus"


@pytest.fixture
def index(corpus, tmp_path):
    build_index(str(corpus), tmp_path / "index", IndexOptions(models=("block-means:4",)), Quiet())
    return tmp_path / "index"


def absent(folder, count: int) -> list[str]:
    return [str(draw(folder / f"{number}.png", 1000 + number)) for number in range(count)]


def test_a_calibrated_threshold_is_used_by_the_next_query_and_survives_indexing(corpus, index, tmp_path):
    before = require_current(index)
    paths = absent(tmp_path / "absent", 20)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    told = Stretches()
    found = calibrate(index, [*paths, str(bad), str(corpus / "3.png")], fpr=0.1, progress=told)
    assert (found.negatives, found.refused, found.present) == (20, 1, (str(corpus / "3.png"),))
    compared = ("comparing negatives with one another", 0, 0), ("comparing negatives: block-means:4", 20, 20)
    assert told.told == [("reading negatives", 22, 22), *compared]
    [(name, threshold)] = found.thresholds
    assert name == "block-means:4"
    assert found.snapshot != before.id
    assert require_current(index).id == found.snapshot
    assert require_current(index).parent == before.id
    engine = Engine.open(index)
    assert engine.channels[0].threshold == threshold
    scores = sorted(best_score(engine, load(Path(path), policy=engine.policy)) for path in paths)
    verdicts = [outcome.answer.point_verdict for outcome in query_files(engine, paths) if outcome.answer]
    assert verdicts.count("copy") <= 1
    assert (threshold.source, threshold.samples, threshold.upper95) == ("calibrated", 20, upper95(1, 20))
    for_all = calibrate(index, paths, fpr=0.1, local=False).thresholds[0][1]
    assert for_all.value == np.nextafter(scores[18], 1)  # ⌈0.9·21⌉ = 19
    engine = Engine.open(index)
    verdicts = [outcome.answer.point_verdict for outcome in query_files(engine, paths) if outcome.answer]
    assert (verdicts.count("copy"), verdicts.count("not-a-copy")) == (1, 19)
    calibrate(index, paths, fpr=0.1)
    draw(corpus / "new.png", 500)
    build_index(str(corpus), index, IndexOptions(), Quiet())
    # It still serves, but its bound was for the gallery without the new image.
    now = Engine.open(index).channels[0].threshold
    assert now is not None
    assert now == replace(threshold, stale=True, gaps=now.gaps, neighbours=now.neighbours)
    assert describe_index(index)["channels"][0]["threshold"]["stale"]


def test_two_channels_keep_the_rate_of_their_union(corpus, tmp_path):
    index = tmp_path / "two"
    build_index(str(corpus), index, IndexOptions(models=("block-means:4", "block-means:8")), Quiet())
    paths = absent(tmp_path / "absent", 39)
    found = calibrate(index, paths, fpr=0.1)
    assert [threshold.fpr for _, threshold in found.thresholds] == [0.1, 0.1]
    assert {threshold.upper95 for _, threshold in found.thresholds} == {upper95(3, 39)}
    answers = [outcome.answer for outcome in query_files(Engine.open(index), paths)]
    assert sum(answer is not None and answer.point_verdict == "copy" for answer in answers) <= 3
    with pytest.raises(UsageError, match="shares are one number above 0 for each of the 2 channels, got 1"):
        calibrate(index, paths, fpr=0.1, shares=(1,))
    with pytest.raises(UsageError, match="shares are one number above 0"):  # and not first that these are too few
        calibrate(index, paths[:3], fpr=0.001, shares=(0, 0))


def test_the_best_score_is_that_of_a_scan(index, tmp_path):
    engine = Engine.open(index)
    channel = engine.channels[0]
    rows = channel.rows64(np.arange(10))
    for path in absent(tmp_path / "absent", 5):
        image = load(Path(path), policy=engine.policy)
        z = channel.embed_query(to_float(image)).z
        assert best_score(engine, image) == pytest.approx((rows @ z).max() / np.linalg.norm(z), abs=1e-14)


def test_a_flat_negative_matches_nothing(index, tmp_path):
    Image.new("RGB", (20, 20), (9, 90, 200)).save(tmp_path / "flat.png")
    engine = Engine.open(index)
    assert best_score(engine, load(tmp_path / "flat.png", policy=engine.policy)) == -1.0


def test_pixels_that_were_removed_from_the_gallery_are_absent(corpus, index, tmp_path):
    old = tmp_path / "old.png"
    old.write_bytes((corpus / "3.png").read_bytes())
    draw(corpus / "3.png", 77)
    build_index(str(corpus), index, IndexOptions(), Quiet())
    found = calibrate(index, [str(old), *absent(tmp_path / "absent", 9)], fpr=0.1)
    assert (found.negatives, found.present) == (10, ())


def test_what_cannot_be_calibrated(corpus, index, tmp_path):
    paths = absent(tmp_path / "absent", 9)
    for fpr in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match=r"^fpr must lie between 0 and 1"):
            calibrate(index, paths, fpr=fpr)
    before = require_current(index)
    with pytest.raises(UsageError, match="at least 99 are needed"):
        calibrate(index, paths, fpr=0.01)
    with pytest.raises(IndexStateError, match="no index"):
        calibrate(tmp_path / "nowhere", paths, fpr=0.1)
    (tmp_path / "none").mkdir()
    build_index(str(tmp_path / "none"), tmp_path / "empty", IndexOptions(prune_all=True), Quiet())
    with pytest.raises(IndexStateError, match="holds no images"):
        calibrate(tmp_path / "empty", paths, fpr=0.1)
    begin(index / "staging", {"parent": before.id}, [48]).close()
    with pytest.raises(IndexStateError, match="--resume"):
        calibrate(index, paths, fpr=0.1)
    assert require_current(index).id == before.id
