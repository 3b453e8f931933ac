"""The page in a browser: whatever a person does with it. Playwright drives the Chromium that the system has.

Where there is none these tests are skipped. RETR_CHROMIUM names another browser, and
RETR_AXE axe-core (tests/reports/test_accessibility.py says how to get it), which then looks at every state.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from asking import files
from playwright import sync_api as playwright
from running import run

import retr
from retr.service.settings import Settings

AXE = os.environ.get("RETR_AXE", "")
TOKEN = "a-secret-of-some-length"


@pytest.fixture(scope="module")
def service(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page") / "my-index"
    shutil.copytree(drawn / "my-index", folder)
    found = run(Settings({"my-index": folder}, writable=True, serve_images=True, decoders=1))
    yield found.url
    found.stop()


@pytest.fixture(scope="module")
def accompanied(with_companion: Path) -> Iterator[str]:
    """A service of an index with a companion, of colours."""
    found = run(Settings({with_companion.name: with_companion}, serve_images=True, serve_proofs=True, decoders=1))
    yield found.url
    found.stop()


@pytest.fixture
def page(browser: Any, service: str) -> Iterator[Any]:
    """The page; a script that fails, or anything that its policy forbids, fails the test."""
    with browser.new_context(viewport={"width": 1000, "height": 800}) as context:
        opened, wrong = context.new_page(), []
        opened.set_default_timeout(20_000)
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
        opened.goto(service)
        playwright.expect(opened.locator("#facts")).to_contain_text("images, block-means")
        yield opened
        assert wrong == []


def opened(page: Any, url: str, words: str) -> None:
    page.goto(url)
    playwright.expect(page.locator("#facts")).to_contain_text(words)


def look(page: Any) -> None:
    """Nothing is wider than the window, and axe finds nothing serious."""
    wide = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    assert wide[1] <= wide[0]
    if AXE:
        page.evaluate(Path(AXE).read_text(encoding="utf-8"))
        found = page.evaluate("axe.run({resultTypes: ['violations']})")
        told = [(one["impact"], one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]]
        assert [one for one in told if one[0] in ("serious", "critical")] == []
        assert len(found["passes"]) > 10


def ask(page: Any, file: Path) -> None:
    page.set_input_files("#file", str(file))
    playwright.expect(page.locator("#answer")).to_be_visible()
    playwright.expect(page.locator("#busy")).to_be_hidden()


def test_a_copy_is_told_in_words_with_bars_and_pictures(page: Any, drawn: Path) -> None:
    ask(page, drawn / "img.png")
    verdict = page.locator("#verdict")
    playwright.expect(verdict).to_have_text(
        re.compile(r"^Copy of 007\.png: proved for any change down to \d+\.\d dB\.$")
    )
    playwright.expect(verdict).to_be_focused()
    playwright.expect(page.locator(".match")).to_have_count(10)
    playwright.expect(page.locator(".match .picture img")).to_have_count(10)
    playwright.expect(page.locator(".match").first).to_contain_text("copy of it")
    playwright.expect(page.locator("#decided")).to_contain_text("Ranked first by the channel block-means")
    page.select_option("#unit", "l2")
    playwright.expect(verdict).to_contain_text("up to ℓ2")
    with page.expect_download() as saved:
        page.click("#json")
    assert '"retr.query/2"' in Path(saved.value.path()).read_text()
    look(page)


def test_the_slider_turns_the_verdict_to_undecided(page: Any, drawn: Path) -> None:
    ask(page, drawn / "img.png")
    words = page.locator("#eps-words")
    playwright.expect(words).to_contain_text("still a copy, proved")
    page.locator("#eps").focus()
    page.keyboard.press("End")
    playwright.expect(words).to_contain_text("undecided")
    page.keyboard.press("Home")
    playwright.expect(words).to_contain_text("still a copy, proved")


def test_noise_edits_and_comparison(page: Any, drawn: Path) -> None:
    ask(page, drawn / "img.png")
    page.click("#noise")
    playwright.expect(page.locator("#noisy img")).to_have_count(2)
    playwright.expect(page.locator("#noisy")).to_contain_text("still a copy, as proved")
    page.click("#edits button")
    playwright.expect(page.locator(".range")).to_have_count(2)
    playwright.expect(page.locator("#verdict")).to_contain_text("And for every brightness from")
    page.locator(".picture").first.click()
    playwright.expect(page.locator("#right")).to_be_visible()
    for name, shape in (("overlay", "stage over"), ("blink", "stage over"), ("side", "stage side")):
        page.click(f'[data-mode="{name}"]')
        playwright.expect(page.locator("#compare #stage")).to_have_class(shape)
    look(page)


def test_what_is_no_image_is_said(page: Any, tmp_path: Path) -> None:
    (tmp_path / "note\u202e.png").write_text("no image")
    page.set_input_files("#file", str(tmp_path / "note\u202e.png"))
    playwright.expect(page.locator("#verdict")).to_contain_text("No answer")
    playwright.expect(page.locator("#verdict")).to_contain_text('the first bytes, "no image", begin no image format')
    playwright.expect(page.locator("#query-words")).to_have_text("note\\u202e.png")
    for empty in ("#nearest", "#edited"):
        playwright.expect(page.locator(empty)).to_be_hidden()
    look(page)


def test_what_refuses_is_said_of_what_is_no_copy(page: Any, drawn: Path) -> None:
    ask(page, sorted((drawn / "absent").iterdir())[0])
    playwright.expect(page.locator("#decided")).to_contain_text(
        "Every channel refuses all stored images; the nearest is ranked by the channel block-means"
    )
    for full in ("#nearest", "#edited"):
        playwright.expect(page.locator(full)).to_be_visible()


def test_a_batch_says_what_is_proved_of_an_undecided_image(page: Any, drawn: Path) -> None:
    absent = sorted((drawn / "absent").iterdir())[:2]
    index = retr.open(drawn / "my-index")
    records = [{**index.query(file, certify=True).as_json(), "error": None} for file in absent]
    records[0].update(verdict="undecided", verdict_because="not-a-copy is proved only up to so far")
    told = json.dumps(records)
    page.route("**/v1/query", lambda route: route.fulfill(status=200, content_type="application/json", body=told))
    page.set_input_files("#files", [str(file) for file in absent])
    playwright.expect(page.locator("#csv")).to_be_enabled()
    cells = [page.locator(f"#batch-table tbody td:nth-child({place})") for place in (2, 4)]
    playwright.expect(cells[0]).to_have_text(["undecided; as it is: not a copy", "not a copy"])
    playwright.expect(cells[1]).to_have_text([re.compile(r"^not a copy, ≥ \d+\.\d dB$")] * 2)
    with page.expect_download() as saved:
        page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text())))
    assert [(row["verdict"], row["proved"]) for row in rows] == [
        ("undecided", "not-a-copy"),
        ("not-a-copy", "not-a-copy"),
    ]


def test_a_service_that_is_gone_is_said(page: Any, drawn: Path) -> None:
    page.route("**/v1/query", lambda route: route.abort())
    page.set_input_files("#file", str(drawn / "img.png"))
    playwright.expect(page.locator("#trouble")).to_contain_text("does not answer")


def test_a_withheld_certificate_is_said_with_its_reason(page: Any, drawn: Path) -> None:
    record = retr.open(drawn / "my-index").query(drawn / "img.png", certify=True).as_json()

    def uncertified(route: Any) -> None:
        why = "the network has no proved constant"
        record.update(verdict="uncertified", verdict_because=why, certificate=None, withheld=why, copy=None)
        for match in record["matches"]:
            match.update(copy=None, top1=None, topk=None)
        route.fulfill(status=200, content_type="application/json", body=json.dumps([{**record, "error": None}]))

    page.route("**/v1/query", uncertified)
    ask(page, drawn / "img.png")
    playwright.expect(page.locator("#withheld")).to_contain_text("No certificate is given: the network has no proved")
    playwright.expect(page.locator("#verdict")).to_contain_text("As it is: a copy of")
    playwright.expect(page.locator("#slide")).to_be_hidden()
    playwright.expect(page.locator("#noise")).to_be_disabled()
    look(page)


def test_a_batch_has_a_table_and_a_csv(page: Any, drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "=1+1.png").write_bytes((drawn / "img.png").read_bytes())
    (tmp_path / "bad.png").write_text("no image")
    absent = sorted((drawn / "absent").iterdir())[0]
    page.set_input_files("#file", [str(tmp_path / "=1+1.png"), str(tmp_path / "bad.png"), str(absent)])
    playwright.expect(page.locator("#csv")).to_be_enabled()
    playwright.expect(page.locator("#batch-words")).to_have_text("2 of 3 answered, 1 copy; 1 without an answer.")
    with page.expect_download() as saved:
        page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text())))
    assert [row["verdict"] for row in rows] == ["copy", "", "not-a-copy"]
    assert rows[0]["image"] == "'=1+1.png"
    look(page)
    page.click("#batch-review")
    playwright.expect(page.locator("#review-words")).to_have_text("Pair 1 of 1")
    page.keyboard.press("n")
    playwright.expect(page.locator("#review-words")).to_contain_text("All 1 pairs are done")


def test_the_keyboard_alone_judges_pairs_of_the_index(page: Any, drawn: Path, service: str) -> None:
    httpx2.post(f"{service}/v1/items", files=files((drawn / "img.png").read_bytes())).raise_for_status()
    page.locator("#tab-review").focus()
    page.keyboard.press("Enter")
    words = page.locator("#review-words")
    playwright.expect(words).to_have_text("Pair 1 of 1")
    playwright.expect(page.locator("#one")).to_be_visible()
    look(page)
    page.keyboard.press("s")
    playwright.expect(words).to_contain_text("All 1 pairs")
    page.keyboard.press("u")
    playwright.expect(words).to_have_text("Pair 1 of 1")
    page.keyboard.press("c")
    playwright.expect(words).to_contain_text("All 1 pairs")
    with page.expect_download() as saved:
        page.locator("#export").focus()
        page.keyboard.press("Enter")
    assert "same" in Path(saved.value.path()).read_text()
    page.keyboard.press("u")
    playwright.expect(words).to_have_text("Pair 1 of 1")


def test_what_a_companion_finds_is_said_not_to_be_proved(
    page: Any, drawn: Path, accompanied: str, flipped: Path
) -> None:
    opened(page, accompanied, "companion colours")
    ask(page, flipped)
    verdict = page.locator("#verdict")
    playwright.expect(verdict).to_contain_text("Copy of 007.png, by the companion colours alone: not proved.")
    first = page.locator(".match").first
    playwright.expect(first.locator(".badge")).to_have_text("copy, not proved")
    playwright.expect(first).to_contain_text("found by the companion colours alone: not proved")
    playwright.expect(first.locator(".promise")).to_have_count(0)
    playwright.expect(page.locator("#decided")).to_contain_text("Decided by the companion colours alone: not proved")
    playwright.expect(page.locator("#withheld")).to_contain_text(
        "No certificate is given: no certified channel accepts"
    )
    playwright.expect(page.locator("#slide")).to_be_hidden()
    playwright.expect(page.locator("#edits button")).to_be_disabled()
    playwright.expect(page.locator("#edits-alone")).to_be_visible()
    look(page)
    page.focus("#certified-only")
    page.keyboard.press("Space")
    playwright.expect(verdict).to_have_text(re.compile("^Not a copy of anything in the index: proved for any change"))
    playwright.expect(page.locator("#edits button")).to_be_enabled()
    playwright.expect(page.locator("#edits-alone")).to_be_hidden()
    with page.expect_download() as saved:
        page.click("#proof")
    assert "urn:retr:certificate:2" in Path(saved.value.path()).read_text()


def test_a_batch_says_what_a_companion_alone_finds(page: Any, drawn: Path, accompanied: str, flipped: Path) -> None:
    opened(page, accompanied, "companion colours")
    page.set_input_files("#files", [str(flipped), str(drawn / "img.png")])
    playwright.expect(page.locator("#csv")).to_be_enabled()
    cells = page.locator("#batch-table tbody td:nth-child(2)")
    playwright.expect(cells).to_have_text(["copy, not proved", "copy"])
    with page.expect_download() as saved:
        page.click("#csv")
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text())))
    assert [(row["channel"], row["tier"]) for row in rows] == [("colours", "companion"), ("block-means", "certified")]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_at_every_width_in_both_schemes(page: Any, drawn: Path, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    look(page)
    ask(page, drawn / "img.png")
    playwright.expect(page.locator(".match .picture img")).to_have_count(10)  # none moves another under the mouse
    page.locator(".picture").first.click()
    playwright.expect(page.locator("#compare")).to_be_visible()
    look(page)
    page.set_input_files("#files", [str(drawn / "img.png"), str(drawn / "img.png")])
    playwright.expect(page.locator("#csv")).to_be_enabled()
    look(page)
    page.click("#batch-review")
    playwright.expect(page.locator("#review-words")).to_contain_text("Pair 1 of")
    look(page)


def test_the_whole_way_by_keyboard(page: Any, drawn: Path) -> None:
    page.keyboard.press("Tab")
    playwright.expect(page.locator(".skip")).to_be_focused()
    seen = []
    for _ in range(6):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id"))
    assert seen[:5] == ["tab-ask", "tab-batch", "tab-review", "index", "file"]
    page.focus("#file")
    with page.expect_file_chooser() as choosing:
        page.keyboard.press("Space")
    choosing.value.set_files(str(drawn / "img.png"))
    playwright.expect(page.locator("#verdict")).to_be_focused()
    reached = []
    while "right" not in reached and len(reached) < 40:
        page.keyboard.press("Tab")
        now = page.evaluate("document.activeElement.id || document.activeElement.className")
        reached.append(now)
        if now == "eps":
            page.keyboard.press("End")
            playwright.expect(page.locator("#eps-words")).to_contain_text("undecided")
        if now == "noise":
            page.keyboard.press("Enter")
            playwright.expect(page.locator("#noisy img")).to_have_count(2)
        if now == "picture":
            page.keyboard.press("Enter")
            playwright.expect(page.locator("#compare")).to_be_visible()
            break
    assert [name for name in reached if name] == ["eps", "unit", "noise", "json", "picture"]


def test_a_token_is_asked_for(browser: Any, drawn: Path) -> None:
    found = run(Settings({"my-index": drawn / "my-index"}, token=TOKEN, decoders=1))
    try:
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(found.url)
            playwright.expect(page.locator("#token-form")).to_be_visible()
            page.fill("#token", TOKEN)
            page.keyboard.press("Enter")
            playwright.expect(page.locator("#facts")).to_contain_text("images, block-means")
            ask(page, drawn / "img.png")
            playwright.expect(page.locator(".picture.none").first).to_have_text("no picture")
            page.click("#tab-review")
            playwright.expect(page.locator("#review-words")).to_contain_text("without --writable")
            look(page)
    finally:
        found.stop()
    assert not found.thread.is_alive()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("reference", "a reference set"),
        ("calibrated", "calibration"),
        ("leave-one-out", "the rule of an earlier version"),
    ],
)
def test_where_a_threshold_comes_from_is_said_in_words(page: Any, source: str, words: str) -> None:
    match = {"channel": "a", "view": "original", "tier": None, "accepted": True}
    record = {"verdict": "copy", "matches": [match], "thresholds": [{"channel": "a", "source": source}]}
    said = page.evaluate("async (record) => (await import('/words.js')).decidedWords(record)", record)
    assert said == f"Ranked first by the channel a. Its threshold comes from {words}."
