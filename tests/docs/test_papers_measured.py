"""docs/benchmarks/papers_measured.py: several records say together what they say apart, and nothing is mixed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_triplets import FACTS, MADE, benchmark, clean, records, trial
from small_two_afc import draw_photos, small_run

import retr
from retr.evaluation.two_afc.data import Choice
from retr.evaluation.two_afc.plan import TwoAFCPlan
from retr.evaluation.two_afc.records import FORMAT, Records
from retr.evaluation.two_afc.settings import Levels
from retr.evaluation.two_afc.summary import summarise_triplets

SCRIPTS = Path(retr.__file__).parent / "docs" / "benchmarks"
SPECS = [made.metric for made in MADE]
BLOCKS = "retr:block-means:8"
SHORT = Levels(l2=(0.5,), steps=2, queries=8)
PAGE = "# Before\n\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n"
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield importlib.import_module("papers_measured")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(name, records, **facts) → the file."""

    def make(name: str, made: Records, digest: str = "d" * 64, **facts: Any) -> Path:
        path = tmp_path / f"{name}.parquet"
        specs = sorted(set(made.table["system"].to_pylist()))
        usual = {
            "plan": TwoAFCPlan(data=("made",), metrics=tuple(specs)).as_json(),
            "data": [{"name": "made", "side": 64, "source": {"layout": "synthetic", "photos": 1234, "seed": 0}}],
            "metrics": [{"spec": spec, "digest": digest} for spec in specs],
            "seconds": 1800.0,
        }
        FORMAT.write(path, made.table, {**FACTS, **usual, **facts})
        return path

    return make


def only(whole: Records, *, metrics: list[str] | None = None, triplets: int = 10**6) -> Records:
    """The records of some metrics, and of the first triplets."""
    names = list(dict.fromkeys(whole.table["query"].to_pylist()))[:triplets]
    return some(whole, lambda row: row["system"] in (metrics or SPECS) and row["query"] in names)


def some(whole: Records, keep: Callable[[dict[str, Any]], bool]) -> Records:
    """The records that are to be kept."""
    return Records(whole.table.filter(pa.array([keep(row) for row in whole.table.to_pylist()])), whole.facts)


def cells(text: str, heading: str, *, below: str = "") -> list[list[str]]:
    """The rows of all tables of a section, after some words of it."""
    section = text.split(f"### {heading}", 1)[1].split("\n### ")[0]
    lines = section[section.index(below) :].splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]


def row(rows: list[list[str]], name: str) -> list[str]:
    return next(one for one in rows if one[0] == name)


def test_records_of_single_metrics_say_together_what_one_record_of_all_says(script: ModuleType, write: Write) -> None:
    whole = benchmark(12)
    apart = [write(f"run-{place}", only(whole, metrics=[spec])) for place, spec in enumerate(SPECS)]
    texts = [script.measured(script.read(paths)) for paths in ([write("whole", whole)], apart)]
    assert texts[0].split("###", 1)[1] == texts[1].split("###", 1)[1]
    assert "12 synthetic triplets from 1,234 photographs, 64 px, seed 0;\n7 runs, 3.5 hours of computing." in texts[1]
    summary = summarise_triplets(whole, epsilons=script.EPSILONS)
    lines = {line.metric: line for line in summary.metrics}
    natural = row(cells(texts[1], "Natural"), "SSIM")
    assert natural[1:3] == ["12", f"{100 * lines['ssim'].score:.1f}"]
    alarms = f"**{summary.certificates} certificates attacked, 0 alarms; {whole.table.num_rows - 7 * 12:,} adversarial"
    assert alarms in texts[1]
    proved = next(line for line in summary.certified if (line.metric, line.form) == ("retr:lipsim", "sound"))
    shown = next(one for one in cells(texts[1], "LipSim's") if one[:2] == ["LipSim", "sound"])
    assert [cell.split(" / ")[0] for cell in shown[3:7]] == [f"{100 * score:.1f}" for score in proved.scores]


def test_white_box_rows_count_by_hand(script: ModuleType, write: Write) -> None:
    rows = []
    for name, right, left, size in (
        ("a", 0.0, 3.0, 1.0),
        ("b", 0.0, 3.0, 3.0),
        ("c", 0.0, 1.5, 3.0),
        ("d", 1.0, 3.0, 1.0),
    ):
        own = {"query": name, "preference": right}
        shares = {"rmse": size, "psnr": 40.0 + size, "changed_001": 0.9, "changed_01": 0.25, "changed_03": 0.0}
        rows += [clean(**own), trial(left, 2.0, **own, **shares)]
        found = {"attack": "fgsm", "setting": "FGSM", "smallest_eps": 0.01 if left > 2 else None}
        rows += [trial(left, 2.0, **own, **found)] if name != "c" else []
    text = script.measured(script.read([write("hand", records(*rows))]))
    agree, disagree = (
        [one for one in part if one[0] == "ℓ2"]
        for part in (cells(text, "White-box", below="agree:"), cells(text, "White-box", below="They disagree:"))
    )
    heads = ["metric", "n", "FGSM, %", "mean ε", "PGD, %", "RMSE", "PSNR, dB", ">.001/.01/.03, %"]
    assert cells(text, "White-box")[0] == heads  # no column of what was not run
    sizes = ["2.00 ± 1.41", "42.0", "90.0 / 25.0 / 0.0"]
    assert agree[0] == ["ℓ2", "2", "100.0", "0.0200", "66.7 (of 3)", *sizes]
    assert disagree == [["ℓ2", "1", "100.0", "0.0200", "100.0", "1.00"]]


def test_a_set_of_fewer_triplets_has_tables_of_its_own(script: ModuleType, write: Write) -> None:
    whole = benchmark(12)
    many = some(whole, lambda row: row["attack"] != "one-pixel")
    few = only(some(whole, lambda row: row["attack"] in ("none", "one-pixel")), triplets=5)
    slow = only(whole, metrics=["ms-ssim"], triplets=5)
    paths = [
        write("few", few),
        write("many", only(many, metrics=[s for s in SPECS if s != "ms-ssim"])),
        write("slow", slow),
    ]
    text = script.measured(script.read(paths))
    assert "12 and 5 synthetic triplets" in text
    assert "Smaller sets are parts of the largest." in text
    natural = cells(text, "Natural")
    shown = [one[:2] for one in natural if one[0] in ("MS-SSIM", "SSIM")]
    assert shown == [["SSIM", "12"], ["SSIM", "5"], ["MS-SSIM", "5"]]
    white = {one[0]: one for one in cells(text, "White-box", below="On 5 triplets")}
    assert "MS-SSIM" in white
    assert "SSIM" not in white  # its attacks were run on all 12
    assert {one[0] for one in cells(text, "Black-box")} >= {"SSIM", "MS-SSIM", "LipSim"}
    assert "On 12 triplets" not in text.split("### Black-box")[1].split("###")[0]
    five = summarise_triplets(only(whole, triplets=5), epsilons=script.EPSILONS)
    score = next(line.score for line in five.metrics if line.metric == "ssim")
    assert row(cells(text, "Natural", below="On 5 triplets"), "SSIM")[2] == f"{100 * score:.1f}"
    attacked = next(line for line in five.attacks if line.metric == "ms-ssim" and line.setting == "APGD ε 1")
    shown = next(one for one in cells(text, "LipSim's", below="On 5 triplets") if one[0] == "MS-SSIM")
    assert (shown[1], shown[-1]) == ("5", f"{100 * attacked.score:.1f}")


def test_what_two_records_hold_counts_once_and_an_alarm_is_never_left_out(script: ModuleType, write: Write) -> None:
    own = {"system": "retr:a", "title": "a", "certified": True, "radius_sound": 2.0, "moves": "reference", "l2": 1.0}
    quiet = records(clean(**{**own, "moves": "none", "l2": 0.0}), trial(1.5, 2.0, **own))
    broken = records(clean(**{**own, "moves": "none", "l2": 0.0}), trial(3.0, 2.0, **own, alarm=True))
    text = script.measured(script.read([write("quiet", quiet), write("same", quiet), write("broken", broken)]))
    assert "**1 certificates attacked, 1 alarms; 1 adversarial images judged.**" in text
    assert "count once: 2, of which 1 ended otherwise" in text
    assert row(cells(text, "Natural"), "a")[1] == "1"


def test_a_published_radius_that_an_attack_refutes_is_in_bold(script: ModuleType, write: Write) -> None:
    radii = {"radius_sound": 0.05, "radius_published": 0.5, "radius_all": 0.01, "published_holds": False}
    own = {"system": "retr:a", "title": "a", "certified": True, **radii}
    made = records(clean(**own), trial(3.0, 2.0, **own, moves="reference", l2=0.2))
    forms = cells(script.measured(script.read([write("made", made)])), "LipSim's")[2:]
    assert forms == [
        ["a", "sound", "1", "0.0 / –", "0.0 / 0.0", "0.0 / 0.0", "0.0 / 0.0"],
        ["a", "published", "1", "100.0 / –", "**100.0 / 0.0**", "**100.0 / 0.0**", "0.0 / 0.0", "0.0"],
        ["a", "all three move", "1", "0.0 / –", "0.0 / 0.0", "0.0 / 0.0", "0.0 / 0.0"],
    ]


@pytest.mark.parametrize(
    ("rows", "facts", "words"),
    [
        ([clean(1.0, 2.5)], {}, r"l2 and triplet t0: clean_right is 2.5 in .*b.parquet and 2.0 in .*a.parquet"),
        ([clean(), clean(query="t1")], {"seed": 1}, "another seed: 1 in"),
        ([clean()], {"plan": TwoAFCPlan(("made",), ("l2",), certified=(0.5,)).as_json()}, "another --eps"),
        ([clean()], {"plan": TwoAFCPlan(("made",), ("l2",), Choice(split="val")).as_json()}, "another split: val"),
        ([clean()], {"data": [{"name": "made", "side": 32, "source": {}}]}, "another side: 32"),
        ([clean()], {"data": []}, "0 data sets"),
        ([clean()], {"digest": "e" * 64}, "l2 is another model"),
    ],
)
def test_records_that_contradict_each_other_are_refused(
    script: ModuleType, write: Write, tmp_path: Path, rows: list[Any], facts: dict[str, Any], words: str
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    paths = [write("a", records(clean())), write("b", records(*rows), **facts)]
    with pytest.raises(SystemExit, match=words):
        script.main([*map(str, paths), "--page", str(page)])
    assert page.read_text() == PAGE


def test_models_are_called_by_their_files_and_those_of_one_name_told_apart(script: ModuleType, write: Write) -> None:
    files = {"abcd": "runs/sll/best", "1234": "other/sll/best", "5678": "margin-0.5", "9999": "runs/sll-2/last"}
    paths = [
        write(digest, records(clean(system=f"retr:/tmp/{file}.safetensors", title="all alike")), digest=digest * 8)
        for digest, file in files.items()
    ]
    text = script.measured(script.read(paths))
    names = [one[0] for one in cells(text, "Natural")[2:]]
    assert names == ["sll (abcdabcd)", "sll (12341234)", "margin-0.5", "sll-2"]
    assert "all alike" not in text


def test_real_runs_fill_the_page_between_its_marks(
    script: ModuleType, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    photos, folder = draw_photos(tmp_path / "photos"), tmp_path_factory.mktemp
    whole, part = {"levels": SHORT, "metrics": ("l2", BLOCKS)}, {"levels": SHORT, "choice": Choice(side=32, limit=2)}
    runs = [
        small_run(photos, folder, **whole, attacks=("pgd", "apgd-l2", "apgd-radius", "embedding")),
        small_run(photos, folder, **part, attacks=("one-pixel", "pgd-a006")),
        small_run(photos, folder, **part, metrics=(BLOCKS,), attacks=("transfer-pgd-10",), transfer_from="l2"),
    ]
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    script.main([*(str(run.path) for run in runs), "--page", str(page), "--title", "Six drawings"])
    text = page.read_text()
    assert text.startswith(
        "# Before\n\n<!-- measured: begin -->\n**Six drawings**\n\n4 and 2 synthetic triplets from 8"
    )
    assert text.endswith("images judged.**\n<!-- measured: end -->\nafter\n")
    assert "\nold\n" not in text
    heads = [line for line in text.splitlines() if line.startswith("### ")]
    assert len(heads) == len(script.SECTIONS)
    images = sum(pq.read_table(run.path).num_rows for run in runs) - (2 * 4 + 2 + 2 * 2)
    assert f" 0 alarms; {images} adversarial images judged." in text
    assert [one[1] for one in cells(text, "Transferred") if one[0] == "ℓ2, on itself"] == ["2"]
    assert any(one[0].startswith("PGD eps 0.03 alpha 0.006") for one in cells(text, "Other"))
    assert any(one[0].startswith("APGD l2 at 0.999") for one in cells(text, "Other"))
    assert str(tmp_path) not in text
    assert capsys.readouterr().out == f"{page}: {len(text.splitlines()) - 5} lines from 3 records\n"


@pytest.mark.parametrize("page", ["no marks", "<!-- measured: end --> <!-- measured: begin -->", PAGE + PAGE])
def test_a_page_without_one_pair_of_marks_is_left_alone(
    script: ModuleType, write: Write, tmp_path: Path, page: str
) -> None:
    path = tmp_path / "page.md"
    path.write_text(page)
    with pytest.raises(SystemExit, match="needs one line"):
        script.main([str(write("a", records(clean()))), "--page", str(path)])
    assert path.read_text() == page


def test_the_page_of_the_papers_has_its_marks(script: ModuleType) -> None:
    page = (SCRIPTS.parent / "papers.md").read_text()
    assert script.replaced(page, "new", "papers.md").count("\nnew\n") == 1
