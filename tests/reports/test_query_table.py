import io

from rich.console import Console

from retr.certificates.proof import Certificate
from retr.core.types import UpperBound
from retr.core.units import Radius
from retr.reports.query_table import print_answer, radius_text
from retr.retrieval.answer import Answer, Match

N = 3 * 100 * 80


def radius(l2):
    return Radius(l2, N)


def match(rank, **radii):
    return Match(rank, rank, f"id{rank}", f"/c/[bold]{rank}.png", "original", 0.9, 0.1, "block-means", **radii)


def answer(**changes):
    given = {
        "width": 100,
        "height": 80,
        "model": "block-means",
        "snapshot": "s1",
        "verdict": "copy",
        "point_verdict": "copy",
        "k": 2,
        "matches": (match(1, top1=radius(12.5), topk=radius(13.0), copy=radius(8.0)), match(2, topk=radius(0.0))),
        "eps": radius(1.0),
        "copy": radius(8.0),
        "certificate": Certificate(
            20, 20, UpperBound(1.0, "isometry"), UpperBound(0.25, "exact norm"), 1e-10, limited_by="id2"
        ),
        "thresholds": (
            {"channel": "block-means", "value": 0.9, "source": "leave-one-out", "upper95": None, "provisional": True},
        ),
    }
    return Answer(**(given | changes))


def printed(made):
    text = io.StringIO()
    print_answer(made, "query [1].png", Console(file=text, width=120))
    return text.getvalue()


def test_a_certified_answer_shows_radii_in_three_units_verdict_certificate_and_threshold():
    text = printed(answer())
    assert "query [1].png  100×80  model block-means  snapshot s1" in text
    assert "/c/[bold]1.png" in text  # file names are no markup
    for part in (f"{radius(12.5).rmse:.2f} RMSE", "12.5 ℓ2", f"{radius(12.5).psnr:.1f} dB", "in top 2"):
        assert part in text
    assert f"verdict: copy for every change up to RMSE {radius(1.0).rmse:.2f}/255 (ℓ2 1" in text
    assert "copy of something within" in text
    assert "certificate: exact, 20 of 20 rows; Lipschitz ≤ 1 (network) × 0.25 (resize); slack 1e-10 px" in text
    assert "limited by id2" in text
    assert "threshold of block-means: 0.9000 (leave-one-out), provisional" in text
    assert "withheld" not in text


def test_without_a_certificate_there_are_no_radius_columns_and_a_reason():
    bare = answer(
        matches=(match(1),), certificate=None, eps=None, copy=None, withheld="x is uncertified: foreign weights",
        verdict="uncertified", verdict_because="x is uncertified: foreign weights",
    )  # fmt: skip
    text = printed(bare)
    assert "stays first" not in text
    assert text.count("x is uncertified: foreign weights") == 1
    assert "certificate withheld: x is uncertified" in text


def test_undecided_says_why_and_not_a_copy_says_how_far():
    text = printed(
        answer(verdict="undecided", copy=None, not_a_copy=radius(0.5), verdict_because="proved only up to RMSE 0.3")
    )
    assert "verdict: undecided" in text
    assert "copy of nothing within" in text
    assert "because: proved only up to RMSE 0.3" in text


def test_nothing_matched():
    text = printed(answer(matches=(), certificate=None, withheld="the gallery is empty", thresholds=()))
    assert "certificate withheld: the gallery is empty" in text


def test_thresholds_of_every_source():
    calibrated = {"channel": "a", "value": 0.8, "source": "calibrated", "upper95": 0.0031, "provisional": False}
    given = {"channel": "b", "value": 0.7, "source": "given", "upper95": None, "provisional": False}
    text = printed(answer(thresholds=(calibrated, given, {"channel": "c", "value": None, "source": "none"})))
    assert "threshold of a: 0.8000 (calibrated), false-match rate at most 0.0031 (95 %)" in text
    old = printed(answer(thresholds=({**calibrated, "stale": True},)))
    assert "no longer holds" in old
    assert "at most" not in old
    assert "threshold of b: 0.7000 (given)\n" in text
    assert "threshold of c: none" in text


def test_a_local_threshold_is_named_and_so_is_the_match_that_accepts():
    local = {"channel": "a", "value": 0.8, "offset": 0.05, "source": "calibrated", "upper95": 0.0031}
    matches = tuple(match(rank, accepted=rank in (2, 3)) for rank in (1, 2, 3))
    text = printed(answer(thresholds=(local,), matches=matches)).replace("\n", " ")
    assert "threshold of a: local, +0.0500 and half of each row's gap (calibrated), false-match rate" in text
    assert "not of the first match, but of 2, 3" in text
    assert "of the first match" not in printed(answer(matches=(match(1, accepted=True), match(2, accepted=True))))
    assert "of one that is not listed here" in printed(answer(matches=(match(1, accepted=False),))).replace("\n", " ")


def test_radius_text():
    assert radius_text(None) == "–"
    assert radius_text(radius(0.0)).endswith("no change")
