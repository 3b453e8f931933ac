"""Every number of a proof as it is printed, read back: no radius above what is proved, no PSNR floor below, no budget
other than the one that was given. Through all tables, pages and charts, by exact rationals."""

from __future__ import annotations

import contextlib
import io
import os
import re
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction
from html import unescape
from pathlib import Path
from typing import Any
from unittest.mock import patch

import made_records
import made_reports
import made_triplets
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_records import VALUES, table
from rich.console import Console

from retr.core.units import Radius
from retr.evaluation.knn.summary import summarise_knn
from retr.evaluation.robustness.summary import summarise
from retr.evaluation.two_afc.summary import summarise_triplets
from retr.reports.attack_table import print_audit
from retr.reports.audit_page import audit_page
from retr.reports.copy_table import print_copies
from retr.reports.index_table import print_info
from retr.reports.knn_table import print_knn
from retr.reports.model_table import print_model, print_proof
from retr.reports.numbers import radius_inline, radius_lines
from retr.reports.two_afc_page import two_afc_page
from retr.reports.two_afc_table import print_two_afc

radii = st.floats(1e-6, 50.0)
budgets = st.floats(1e-3, 40.0) | st.sampled_from([0.0352, 1.0, 1 / 3, 36 / 255])
few = settings(max_examples=10, deadline=None)
NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"


@dataclass(frozen=True)
class Result:
    """What ``print_audit`` and ``print_two_afc`` are given."""

    summary: Any = None
    records: Any = None
    run: str = "r1"
    path: Path = Path("records.parquet")
    skipped: dict[str, int] = field(default_factory=dict)
    skipped_paths: tuple[tuple[str, str], ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    seconds: float = 1.0


def drawn(show: Any, *what: Any, width: int = 140) -> str:
    out = io.StringIO()
    show(*what, Console(file=out, width=width))
    return " ".join(re.sub("[│┃\n]+", " ", out.getvalue()).split())


def written(show: Any, *what: Any) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), patch.dict(os.environ, COLUMNS="200"):
        show(*what)
    return " ".join(re.sub("[│┃\n]+", " ", out.getvalue()).split())


def numbers(text: str, *around: str) -> list[Fraction]:
    """All numbers that stand where the pattern has its @; there is at least one."""
    found = [Fraction(one) for form in around for one in re.findall(form.replace("@", NUMBER), text)]
    assert found, f"nothing like {around} in {text}"
    return found


def is_proved_rmse(shown: Fraction, l2: float, values: int = VALUES) -> bool:
    return shown**2 * values <= 255**2 * Fraction(l2) ** 2


def is_proved_psnr(shown: Fraction, l2: float, values: int = VALUES) -> bool:
    """Shown ≥ −20·log10(ℓ2/√n), by powers in 60 digits."""
    context = Context(prec=60)
    decibels = context.divide(Decimal(shown.numerator), Decimal(shown.denominator))
    power = context.power(10, context.divide(decibels, 10))
    return power >= context.divide(values, context.multiply(Decimal(l2), Decimal(l2))) * Decimal("0.99999999999999999")


@given(radii, st.integers(1, 10**8))
@example(3.2, 24_000)
def test_a_radius_in_words(l2: float, values: int) -> None:
    radius = Radius(l2, values)
    lines, sentence = radius_lines(radius), radius_inline(radius)
    for rmse in numbers(lines, "^@ RMSE") + numbers(sentence, "^RMSE @/255"):
        assert is_proved_rmse(rmse, l2, values)
    for norm in numbers(lines, "\n@ ℓ2") + numbers(sentence, "ℓ2 @"):
        assert norm <= Fraction(l2)
    for text in re.findall(r"(-?[\d.]+(?:e-?\d+)?) dB", f"{lines} {sentence}"):
        assert is_proved_psnr(Fraction(text), l2, values)


def audit(l2: float, budget: float, unit: str = "rmse", *, system: str = "index", **changes: Any) -> tuple[Any, Any]:
    """Summary and records of two queries with this radius, attacked once at this budget."""
    proved = {"radius_top1": l2, "radius_verdict": l2, "radius_top10": l2}
    rows = []
    for query in ("a.jpg", "b.jpg"):
        own = {**proved, "query": query, "system": system}
        rows += [made_records.clean(**own), made_records.trial(1.0, **own, budget=budget, unit=unit, **changes)]
    records = table(*rows)
    return summarise(records), records


@given(radii, budgets)
@example(2.5 * made_records.PER_RMSE, 0.0352)
@few
def test_the_table_of_an_audit(l2: float, budget: float) -> None:
    summary, _ = audit(l2, budget)
    text = drawn(print_audit, Result(summary))
    spread = " ".join(["@"] * 6)
    rows = re.findall(f"(?:first place|verdict) 2 {spread} @ @ ".replace("@", NUMBER), text)
    assert len(rows) == 2
    for *rmse, norm, psnr in rows:
        assert all(is_proved_rmse(Fraction(one), l2) for one in rmse)
        assert Fraction(norm) <= Fraction(l2)
        assert is_proved_psnr(Fraction(psnr), l2)
    assert all(is_proved_rmse(one, l2) for one in numbers(text, r"%(?: \(0–66\))? @ └[─┴]*┘ Goal"))
    assert float(numbers(text, "certified at RMSE @;")[0]) == budget


@given(radii, budgets)
@example(2.5 * made_records.PER_RMSE, 0.0352)
@few
def test_the_page_of_an_audit(l2: float, budget: float) -> None:
    summary, records = audit(l2, budget, image="gone.npy", alarm=True, alarm_kind="top1")
    text = audit_page(summary, records, root=Path("/nowhere"), thumbnail=lambda *_: None)
    words = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", text.replace("\u00a0", " "))))
    spread = " ".join(["@"] * 6)
    rows = re.findall(f"first place 2 {spread} @ @ ".replace("@", NUMBER), words)
    *rmse, norm, psnr = (Fraction(one) for one in rows[0])
    rmse += numbers(words, "@ median certified radius", "half of them @–", "Median @ over 2 queries", r"\d+ from @ to")
    rmse += numbers(words, r"clean attacked certified median radius .*? @ Gallery")
    assert [one for one in rmse if not is_proved_rmse(one, l2)] == []
    assert norm <= Fraction(l2)
    assert is_proved_psnr(psnr, l2)
    assert all(one <= Fraction(l2) for one in numbers(words, "certified ℓ2 radius @"))
    assert all(one <= Fraction(l2) for one in numbers(words, r"float first place \S+ @ gone"))
    named = numbers(words, "at RMSE @ ", r"attacked and certified at RMSE @; ", "given RMSE @ ", "At RMSE @: clean")
    assert {float(one) for one in named} == {budget}


@pytest.mark.parametrize(("unit", "form"), [("psnr", "@ dB"), ("l2", "ℓ2 @"), ("radius", "@ × radius")])
@given(budget=budgets)
@few
def test_budgets_in_other_units(unit: str, form: str, budget: float) -> None:
    summary, records = audit(1.0, budget, unit, image="gone.npy")
    page = audit_page(summary, records, root=Path("/nowhere"), thumbnail=lambda *_: None)
    given_as = re.findall("given</dt><dd>([^<]*)<", page.replace("\u00a0", " "))
    assert {float(one) for text in given_as for one in numbers(text, form)} == {budget}
    table_text = drawn(print_audit, Result(summary), width=200)
    assert budget in {float(one) for one in numbers(table_text, form, r"└[─┴]*┘ .*? @ 2 0\.0 %", "┩ @ 2 0.0 %")}


@given(radii, budgets)
@example(0.703, 0.0352)
@few
def test_the_page_and_the_table_of_a_2afc_benchmark(l2: float, eps: float) -> None:
    records = made_triplets.records(made_triplets.clean(radius_sound=l2, radius_published=l2, radius_all=l2))
    summary = summarise_triplets(records, epsilons=(eps,))
    page = two_afc_page(summary, records)
    cells = [
        re.findall(r"<td[^>]*>([^<]*)", row)
        for row in re.findall(r"<tr><td class=\"words\">(?:sound|published|all three).*", page)
    ]
    assert len(cells) == 3
    assert all(Fraction(row[3]) <= Fraction(l2) for row in cells)
    [head] = re.findall(r"natural</th><th scope=\"col\">([^<]*)", page)
    assert (float(Fraction(head)) if "/" in head else float(head)) == eps
    rows = re.findall(
        rf"(?:sound|published|move) [\d.]+ % [\d.]+ % {NUMBER} 0 ",
        drawn(print_two_afc, Result(summary, records), summary),
    )
    assert len(rows) == 3
    assert all(Fraction(one) <= Fraction(l2) for one in rows)


@given(radii, budgets)
@example(1.25, 0.0352)
@few
def test_the_table_of_a_knn_benchmark(l2: float, budget: float) -> None:
    result = made_reports.knn(l2, (budget,))
    text = written(print_knn, result, summarise_knn(result))
    assert all(is_proved_rmse(one, l2, 30_000) for one in numbers(text, "right votes: RMSE @"))
    assert float(numbers(text, "RMSE @ ")[0]) == budget


@given(st.lists(budgets, min_size=3, max_size=3, unique=True).map(sorted))
@few
def test_the_tables_of_a_copy_benchmark(epsilons: list[float]) -> None:
    text = drawn(print_copies, made_reports.Copies(0.9999, tuple(epsilons)), width=200)
    assert [float(one) for one in re.findall(rf"family n clean {NUMBER} {NUMBER} {NUMBER} µAP", text)[0]] == epsilons
    sizes = re.findall(rf"negatives copies share {NUMBER} {NUMBER} {NUMBER} ", text)
    assert [float(one) for one in sizes[0]] == epsilons
    assert "100.0" not in text  # 9,999 of 10,000 are not all
    assert "99.99" in text


@given(st.floats(1.0, 2.0), st.floats(1e-300, 1e-3))
@few
def test_proved_bounds_are_rounded_up(bound: float, error: float) -> None:
    lipschitz = {"value": bound, "slack": bound - 1.0, "method": "product"}
    model = {**made_reports.MODEL, "lipschitz": lipschitz, "layers": [{**lipschitz, "name": "conv1", "kind": "conv"}]}
    model |= {"rounding": {"float64": error}}
    text = written(print_model, model)
    assert all(one >= Fraction(bound) for one in numbers(text, "L ≤ @", "conv1 conv: @ "))
    assert all(one >= Fraction(error) for one in numbers(text, "float64 ≤ @"))
    proof = written(print_proof, model)
    assert all(one >= Fraction(bound) for one in numbers(proof, "conv1 conv @ ", "total product @ "))
    assert all(one >= Fraction(bound) - 1 for one in numbers(proof, r"conv1 conv \S+ \+?@ "))
    info = made_reports.index_info(upper95=error)
    info["channels"][0]["lipschitz"] = bound
    text = written(print_info, info)
    assert all(one >= Fraction(bound) for one in numbers(text, "certified, L ≤ @"))
    assert all(one >= Fraction(error) for one in numbers(text, "upper limit @\\)"))


HOSTILE = ":dog:[red]\x1b[31m\u202egnp.\n<b>&\r"
SHOWN = ":dog:[red]\\x1b[31m\\u202egnp.\\x0a<b>&\\x0d"


def test_hostile_names_are_shown_with_every_character() -> None:
    info = made_reports.index_info() | {"index": HOSTILE}
    assert SHOWN in written(print_info, info)
    summary, records = audit(1.0, 1.0, system=HOSTILE, image=HOSTILE, alarm=True, alarm_kind="top1")
    page = audit_page(summary, records, root=Path("/nowhere"), thumbnail=lambda *_: None)
    assert "<b>&" not in page
    assert SHOWN in unescape(page)
    assert not {"\x1b", "\u202e", "\r"} & set(page)
    text = drawn(print_audit, Result(summary, skipped={HOSTILE: 1}), width=300)
    assert SHOWN in text
    assert not {"\x1b", "\u202e", "\r"} & set(text)
