"""The audit's page: whole, harmless, and saying what the summary says."""

import base64
import io
import re

import numpy as np
import pytest
from made_records import LOST, PER_RMSE, audit, clean, table, trial
from PIL import Image
from read_page import Page

from retr.evaluation.robustness.summary import summarise
from retr.reports.audit_page import audit_page
from retr.reports.audit_page_images import difference, read_picture, thumbnail_picture


def nothing(system, item):
    return None


def page(*rows, root, thumbnail=nothing):
    records = table(*rows)
    return audit_page(summarise(records), records, root=root, thumbnail=thumbnail)


def test_it_is_whole_and_asks_nothing_of_the_world(tmp_path):
    found = Page(page(*audit(files=4), root=tmp_path))
    found.asks_nothing_of_the_world()
    assert found.tags.count("svg") >= 3 * 2 + 4


def test_the_tables_say_what_the_summary_says(tmp_path):
    records = table(*audit(files=5))
    summary = summarise(records)
    found = Page(audit_page(summary, records, root=tmp_path, thumbnail=nothing))
    rows = [row for row in found.rows if len(row) == 7 and row[0].startswith("RMSE ")]
    wanted = []
    for line in summary.budgets:
        rates = (line.clean, line.attacked, line.certified)
        counts = [f"{line.certificates}", f"{line.alarms}"]
        for name, question in (("first", "recall@1"), ("top10", "recall@10"), ("verdict", "verdict")):
            shares = [one and getattr(one, name) for one in rates]
            if any(share is not None for share in shares):
                said = ["–" if share is None else f"{100 * share.value:.1f} %" for share in shares]
                wanted.append([f"RMSE {line.budget:g}", question, *said, *(counts if name == "first" else ["", ""])])
    assert len(summary.budgets) == 12
    assert rows == wanted
    line = summary.budgets[3]
    assert line.certified is not None
    for share in (line.clean.first, line.attacked.first, line.certified.first):
        assert f"{100 * share.value:.1f} %" in found.text.split("Accuracy under attack")[0]
    assert summary.radius is not None
    assert f"{summary.radius.rmse:.2f}" in found.text


HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;.jpg"


def test_hostile_names_are_only_words(tmp_path):
    rows = [
        {
            **row,
            "query": HOSTILE,
            "edit": HOSTILE,
            "system": HOSTILE,
            "command": HOSTILE,
            "run": HOSTILE,
            "versions": HOSTILE,
            "model": HOSTILE,
            "clean_item": HOSTILE,
            "image": HOSTILE if row["attack"] != "clean" else None,
            "alarm": row["attack"] != "clean",
            "alarm_kind": HOSTILE if row["attack"] != "clean" else None,
        }
        for row in (clean(), trial(1.0, attack=HOSTILE, source=HOSTILE), trial(2.0, weak="flat-loss", attack=HOSTILE))
    ]
    text = page(*rows, root=tmp_path)
    found = Page(text)
    assert "script" not in found.tags
    assert "<script" not in text
    assert HOSTILE in "".join(found.words)


def test_alarms_come_first(tmp_path):
    radius = {"radius_top1": 2 * PER_RMSE}
    broken = trial(1.0, **radius, **LOST, within_top1=True, alarm=True, alarm_kind="top1+verdict", query="bad.jpg")
    moved = trial(1.0, goal="embedding", embedding_shift=2.0, embedding_limit=1.5, alarm=True, alarm_kind="lipschitz")
    found = Page(page(clean(query="bad.jpg", **radius), broken, moved, clean(), root=tmp_path)).text
    assert "2 soundness alarms Of 1 attacked certificates, 2 did not hold." in found
    assert found.index("soundness alarms") < found.index("recall@1")
    before = found.split("recall@1")[0]
    assert "bad.jpg" in before
    assert "first place, verdict" in before
    assert f"{2 * PER_RMSE:.6g}" in before
    assert "moved 2, allowed 1.5" in before
    assert "said to be proved" in found


def test_without_alarms_it_says_on_how_much_that_rests(tmp_path):
    calm = Page(page(clean(), trial(1.0, within_top1=True), root=tmp_path)).text
    assert "No alarm. 1 adversarial images lay inside a certified radius" in calm
    assert "No certificate was attacked" in Page(page(clean(), trial(1.0), root=tmp_path)).text


def noisy(folder, name, level=2):
    """A query and its adversarial image: a byte image changed by ``level`` everywhere, and the same as floats."""
    pixels = np.random.default_rng(0).integers(20, 230, (25, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f"{name}-clean.png")
    Image.fromarray(pixels + np.uint8(level)).save(folder / f"{name}.png")
    np.save(folder / f"{name}.npy", (pixels + float(level)) / 255.0)
    return pixels


def decoded(address):
    assert address.startswith("data:image/webp;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB")).astype(int)


def test_the_difference_is_ten_times_around_grey(tmp_path):
    noisy(tmp_path, "a")
    for name in ("a.png", "a.npy"):
        clean, made = read_picture(tmp_path / "a-clean.png"), read_picture(tmp_path / name)
        assert clean is not None
        assert made is not None
        address = difference(clean, made)
        assert np.abs(decoded(address) - (127.5 + 20)).max() <= 2
    assert difference(np.zeros((4, 4, 3)), np.zeros((4, 5, 3))) is None


def test_the_gallery_shows_images_norms_and_what_was_returned(tmp_path):
    noisy(tmp_path, "a")
    kept = {"image": "a.png", "clean_image": "a-clean.png", "medium": "png"}
    asked = []

    def thumbnail(system, item):
        asked.append((system, item))
        return (tmp_path / "a-clean.png").read_bytes() if item == "item-a" else b"<svg onload='alert(1)'>"

    text = page(clean(), trial(2.0, **LOST, **kept), root=tmp_path, thumbnail=thumbnail)
    found = Page(text)
    assert asked == [("index", "item-a"), ("index", "item-z")]
    assert found.tags.count("img") == 3 + 1
    assert "svg onload" not in text
    card = found.text.split("grey is no change.")[1]
    for words in (
        "broken",
        "RMSE 2.00",
        "before: a true item",
        "after: another item",
        "item-z",
        "lose the first place",
    ):
        assert words in card
    assert "held" in Page(page(clean(), trial(2.0, **kept), root=tmp_path)).text


def test_images_that_are_gone_or_elsewhere_are_not_shown(tmp_path):
    inside = tmp_path / "audit"
    inside.mkdir()
    noisy(tmp_path, "secret")
    (inside / "broken.png").write_bytes(b"no image")
    for image in ("../secret.png", str(tmp_path / "secret.png"), "gone.png", "broken.png"):
        text = page(clean(), trial(2.0, image=image, clean_image=image), root=inside)
        assert "img" not in Page(text).tags
        assert text.count("not kept") == 3


def test_the_gallery_begins_with_alarms_then_takes_systems_in_turn(tmp_path):
    noisy(tmp_path, "a")
    kept = {"image": "a.png", "clean_image": "a-clean.png"}
    rows = [clean(query=f"{name}.jpg", system=system) for name in "pqrs" for system in ("one", "two")]
    rows += [
        trial(1.0, query="p.jpg", system="one", **kept),
        trial(3.0, query="q.jpg", system="one", **LOST, **kept),
        trial(2.0, query="r.jpg", system="one", **LOST, **kept),
        trial(2.5, query="r.jpg", system="one", **LOST, **kept),
        trial(4.0, query="s.jpg", system="two", **LOST, **kept),
        trial(5.0, query="s.jpg", system="one", **LOST, **kept, alarm=True, alarm_kind="top1"),
    ]
    cards = Page(page(*rows, root=tmp_path)).text.split("grey is no change.")[1]
    assert re.findall(r"(\w\.jpg) (alarm|broken|held)", cards) == [
        ("s.jpg", "alarm"), ("r.jpg", "broken"), ("s.jpg", "broken"), ("q.jpg", "broken"), ("p.jpg", "held"),
    ]  # fmt: skip


def test_a_thumbnail_is_decoded_and_made_anew():
    sink = io.BytesIO()
    image = Image.new("RGB", (400, 200), (10, 120, 200))
    exif = Image.Exif()
    exif[0x010E] = "private words"
    image.save(sink, "JPEG", exif=exif)
    address = thumbnail_picture(sink.getvalue())
    assert address is not None
    assert decoded(address).shape == (80, 160, 3)
    assert b"private" not in base64.b64decode(address.split(",")[1])
    assert thumbnail_picture(None) is None
    assert thumbnail_picture(b"no image") is None


RADIUS = {"radius_top1": 2 * PER_RMSE}
MULTIPLE = {**RADIUS, "unit": "radius"}
STRANGER = {"stranger": True, "clean_first": False, "attacked_first": False, "clean_verdict": "not-a-copy"}
SHIFT = {"goal": "embedding", "embedding_shift": 0.5}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([clean(), trial(1.0)], "nothing certified"),
        ([clean(**RADIUS), trial(0.9, **MULTIPLE, budget=0.5), trial(4.0, **MULTIPLE, **LOST)], "4 × radius"),
        ([clean(**STRANGER), trial(1.0, **STRANGER, attacked_verdict="copy")], "The verdict is right"),
        ([clean(clean_verdict=None), trial(1.0, attacked_verdict=None)], "recall@10"),
        ([clean(**RADIUS), trial(2.0, unit="l2", budget=2.0, **RADIUS)], "ℓ2 2"),
        ([clean(**RADIUS), trial(2.0, unit="psnr", budget=40.0, **RADIUS)], "40 dB"),
        ([clean(), trial(1.0, **SHIFT), trial(1.0, **SHIFT, medium="png")], "How far the embedding was moved"),
        ([clean(), trial(1.0, **SHIFT, embedding_limit=0.6)], "share of L·‖δ‖ used"),
        ([clean(clean_first=False, clean_top10=False)], "What was run"),
        ([clean(**RADIUS), trial(1.0, weak="zero-gradient")], "Signs of weak attacks"),
        ([clean(radius_top1=0.0), trial(1.0, radius_top1=0.0, **LOST)], "Certified radii"),
    ],
)  # fmt: skip
def test_every_kind_of_audit_has_a_page(rows, words, tmp_path):
    assert words in Page(page(*rows, root=tmp_path)).text


def test_attacks_on_the_embedding_have_no_table_of_success(tmp_path):
    text = Page(page(clean(), trial(1.0, **SHIFT), trial(1.0), root=tmp_path)).text
    assert "Goal evasion" in text
    assert "Goal embedding" not in text


def test_it_depends_on_nothing_else(tmp_path):
    rows = audit(files=2)
    assert page(*rows, root=tmp_path) == page(*rows, root=tmp_path)


def test_the_date_is_read_from_the_run(tmp_path):
    row = {"run": "20261121-044743-7d4f"}
    assert "21 November 2026, 04:47 UTC" in Page(page(clean(**row), trial(1.0, **row), root=tmp_path)).text
