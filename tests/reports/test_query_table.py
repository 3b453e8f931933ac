import io
import os

from rich.console import Console

from retr.certificates.proof import Certificate
from retr.core.errors import ImageRejected
from retr.core.types import UpperBound
from retr.core.units import Radius
from retr.reports.numbers import radius_inline, radius_lines
from retr.reports.query_table import print_answer, print_refusal, verdict_words
from retr.retrieval.answer import Answer, Match
from retr.retrieval.answering import NOT_ASKED

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
        "thresholds": ({"channel": "block-means", "value": 0.9, "source": "leave-one-out", "upper95": None},),
    }
    return Answer(**(given | changes))


def printed(made, query="query [1].png", **options):
    text = io.StringIO()
    print_answer(made, query, Console(file=text, width=120), **options)
    return text.getvalue()


def words(**changes):
    return verdict_words(answer(**changes))


def test_the_name_and_the_verdict_stand_first():
    lines = printed(answer(), asked="RMSE 0.0352").splitlines()
    assert lines[0] == "query [1].png"
    proved = f"copy of /c/[bold]1.png, proved for every change up to {radius_inline(radius(8.0))}"
    assert lines[1] == f"verdict: {proved}; asked for: RMSE 0.0352"


def test_a_certified_answer_shows_radii_in_three_units_certificate_and_threshold():
    text = printed(answer())
    assert "/c/[bold]1.png" in text  # file names are no markup
    for part in (*radius_lines(radius(12.5)).splitlines(), "in top 2"):
        assert part in text
    assert "certificate: exact, 20 of 20 rows; Lipschitz ≤ 1 (network) × 0.25 (resize); slack 1.1e-10 px" in text
    assert "limited by id2" in text
    assert "threshold of block-means: 0.9000 (leave-one-out): an older version set it" in text
    assert "query: 100×80 pixels; model block-means; snapshot s1" in text
    assert "withheld" not in text


def test_without_a_certificate_there_are_no_radius_columns_and_a_reason():
    bare = answer(
        matches=(match(1, accepted=True),), certificate=None, eps=None, copy=None,
        withheld="x is uncertified: foreign weights", verdict="uncertified",
        verdict_because="x is uncertified: foreign weights",
    )  # fmt: skip
    text = printed(bare)
    assert "stays first" not in text
    assert "verdict: uncertified because x is uncertified: foreign weights; as it is: copy of /c/[bold]1.png" in text
    assert "certificate withheld: x is uncertified" in text


def test_a_verdict_that_was_not_proved_says_so():
    plain = {"certificate": None, "eps": None, "copy": None, "withheld": "not asked for (--certify)"}
    said = words(**plain, matches=(match(1, accepted=False), match(2, accepted=True)))
    assert said == "copy of /c/[bold]2.png, by the threshold alone; how far it holds is proved with --certify"
    assert words(**plain, matches=(match(1, accepted=False),)).startswith("copy of an item that is not listed here, by")
    away = words(**plain, verdict="not-a-copy", point_verdict="not-a-copy")
    assert away.startswith("not a copy of anything in the index, by the threshold alone")


def test_what_was_not_asked_for_is_not_withheld():
    text = printed(answer(certificate=None, eps=None, copy=None, withheld=NOT_ASKED, matches=(match(1),)))
    assert "withheld" not in text


def test_a_name_that_is_not_utf8_is_shown_by_its_bytes():
    odd = Match(1, 1, "id1", "file:///c/J%E4rvi.png", "original", 0.9, 0.1, "x", copy=radius(2.0), accepted=True)
    text = printed(answer(matches=(odd,)), os.fsdecode(b"J\xe4rvi.png"))
    assert text.splitlines()[0] == r"J\xe4rvi.png"
    assert r"copy of /c/J\xe4rvi.png" in text
    assert "file://" not in text


def test_undecided_says_why_and_what_it_looks_like():
    said = words(verdict="undecided", verdict_because="proved only up to RMSE 0.3", matches=(match(1, accepted=True),))
    assert said == "undecided because proved only up to RMSE 0.3; as it is: copy of /c/[bold]1.png"
    none = words(verdict="undecided", point_verdict=None, verdict_because="no threshold")
    assert none == "undecided because no threshold"


def test_not_a_copy_says_how_far():
    said = words(verdict="not-a-copy", point_verdict="not-a-copy", copy=None, not_a_copy=radius(0.5))
    assert said == f"not a copy of anything in the index, proved for every change up to {radius_inline(radius(0.5))}"


def test_an_item_is_named_no_farther_than_it_is_proved():
    """Copy of *something* may be proved farther than copy of any one item, and alone reach the budget."""
    matches = (match(1, copy=radius(2.0)), match(2, copy=radius(3.0)))
    said = words(matches=matches, copy=radius(8.0))
    assert said == (
        f"copy of /c/[bold]2.png, proved for every change up to {radius_inline(radius(3.0))}; "
        f"of something in the index for every change up to {radius_inline(radius(8.0))}"
    )
    far = words(matches=matches, copy=radius(8.0), eps=radius(5.0))
    assert far == f"copy of something in the index, proved for every change up to {radius_inline(radius(8.0))}"
    assert words(matches=(match(1),), copy=radius(8.0), eps=radius(5.0)) == far


def test_scores_are_explained():
    assert "score: cosine of the angle between the embeddings; 1 is the same" in printed(answer())
    near = Match(1, 1, "id1", "/c/1.png", "original", -0.25, 0.25, "x")
    assert "score: minus the distance between the embeddings" in printed(answer(matches=(near,)))
    two = tuple({"channel": name, "value": 0.9, "source": "given"} for name in "ab")
    assert "score: how far (ℓ2, in pixels) the query is inside" in printed(answer(thresholds=two))
    half = (two[0], {"channel": "b", "value": None, "source": "none"})
    assert "score: cosine" in printed(answer(thresholds=half))
    assert "score" not in printed(answer(matches=()))


def test_names_are_shown_with_every_character_in_sight():
    odd = Match(1, 1, "id1", "/c/e\x1b[31mred\n.png", "original", 0.9, 0.1, "x", copy=radius(2.0), accepted=True)
    text = printed(answer(matches=(odd,)), "q\x1b.png")
    assert "\x1b" not in text
    assert text.splitlines()[0] == r"q\x1b.png"
    assert r"copy of /c/e\x1b[31mred\x0a.png" in text


def test_an_input_without_an_answer_has_its_place():
    text = io.StringIO()
    why = ImageRejected(stage="read", reason="not-found", detail="No such file or directory")
    print_refusal(why, "no\x1b.png", Console(file=text, width=120))
    assert text.getvalue() == "no\\x1b.png\nno answer: not-found: No such file or directory\n"


def test_nothing_matched():
    text = printed(answer(matches=(), certificate=None, withheld="the gallery is empty", thresholds=()))
    assert "certificate withheld: the gallery is empty" in text


def test_thresholds_of_every_source():
    calibrated = {"channel": "a", "value": 0.8, "source": "calibrated", "upper95": 0.0031}
    given = {"channel": "b", "value": 0.7, "source": "given", "upper95": None}
    text = printed(answer(thresholds=(calibrated, given, {"channel": "c", "value": None, "source": "none"})))
    assert "threshold of a: 0.8000 (calibrated), false-match rate at most 0.0031 (95 %)" in text
    measured = printed(answer(thresholds=({**calibrated, "source": "reference"},)))
    assert "measured at most 0.0031 (95 %)" in measured
    old = printed(answer(thresholds=({**calibrated, "stale": True},)))
    assert "no longer holds" in old
    assert "at most" not in old
    assert "threshold of b: 0.7000 (given)\n" in text
    assert "threshold of c: none" in text


def test_a_local_threshold_is_named():
    local = {"channel": "a", "value": 0.8, "offset": 0.05, "source": "calibrated", "upper95": 0.0031}
    text = " ".join(printed(answer(thresholds=(local,))).split())
    assert "of a: nearer than half of the way to its nearest unrelated neighbour plus 0.0500 (calibrated)" in text
    text = printed(answer(thresholds=({**local, "share": 0.62},))).replace("\n", " ")
    both = "nearer than 0.62 of the way to its nearest unrelated neighbour, and nearer than half of the way to it"
    assert f"{both} plus 0.0500" in text
    assert f"{both} less 0.0500" in printed(answer(thresholds=({**local, "share": 0.62, "offset": -0.05},))).replace(
        "\n", " "
    )
    bare = {"channel": "a", "value": 0.8, "share": 0.62, "offset": None, "source": "reference", "upper95": None}
    assert "rate not measured for these channels" in printed(answer(thresholds=(bare,))).replace("\n", " ")


def test_a_name_is_no_emoji_and_no_markup():
    odd = Match(1, 1, ":dog:", "/c/:dog:[red]x.png", "original", 0.9, 0.1, "x", accepted=True)
    text = printed(answer(matches=(odd,), model=":cat:"), ":bear:[b].png")
    assert text.splitlines()[0] == ":bear:[b].png"
    assert text.count(":dog:[red]x.png") == 1
    assert "model :cat:" in text
    stream = io.StringIO()
    print_refusal(
        ImageRejected(stage="decode", reason="truncated", detail=":pig:"), ":fox:", Console(file=stream, width=120)
    )
    assert ":fox:" in stream.getvalue()
    assert ":pig:" in stream.getvalue()
